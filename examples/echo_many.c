/* echo_many.c: sends back whatever each client sends, to many clients at once: a fiber for each.
 *
 *     ./echo_many [port]       the port is 63000 if not said; 0 lets the system choose one
 *     nc localhost 63000       in as many other terminals as you like
 */
#include <salut.h>
#include <stdio.h>
#include <stdlib.h>

static void echo(void *argument)
{
    salut_sock *client = argument;
    char buffer[4096];
    ssize_t size;

    while ((size = salut_recv(client, buffer, sizeof buffer)) > 0) {
        if (salut_send(client, buffer, (size_t)size) < 0)
            break; /* what comes now would follow a gap */
    }
    if (salut_failed())
        fprintf(stderr, "lost a client: %s\n", salut_error());
    salut_close(client);
}

int main(int argc, char **argv)
{
    salut_sock *server = salut_socket(SALUT_TCP);
    salut_sock *client;
    salut_addr here;

    salut_bind(server, "localhost", argc > 1 ? atoi(argv[1]) : 63000);
    salut_listen(server, 0);
    salut_local(server, &here);
    salut_check();
    printf("listening on %s:%d\n", salut_addr_host(&here), salut_addr_port(&here));
    fflush(stdout);

    while ((client = salut_accept(server, NULL))) {
        if (!salut_go(echo, client)) {
            fprintf(stderr, "no fiber for a client: %s\n", salut_error());
            salut_clear_error();
            salut_close(client);
        }
    }
    salut_check();
    return 0;
}
