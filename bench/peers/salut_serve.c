/* Echo with salut_serve. salut_serve WORKERS */
#include <salut.h>
#include <stdio.h>
#include <stdlib.h>

static void handle(salut_sock *client, void *argument)
{
    char buffer[1024];
    ssize_t n;
    (void)argument;
    while ((n = salut_recv(client, buffer, sizeof buffer)) > 0)
        if (salut_send(client, buffer, (size_t)n) < 0)
            break;
}

int main(int argc, char **argv)
{
    salut_serve_options options = {.workers = argc > 1 ? (unsigned)atoi(argv[1]) : 1};
    salut_addr address;
    salut_sock *server = salut_create_server("127.0.0.1:0");
    salut_local(server, &address);
    salut_check();
    printf("%d\n", salut_addr_port(&address));
    fflush(stdout);
    salut_serve(server, handle, NULL, &options);
    salut_check();
    return 0;
}
