/* The echo of salut_echo.c, but each client's first request takes its handler BYTES deep into its
 * stack, as a parser would. salut_deep BYTES */
#include <alloca.h>
#include <salut.h>
#include <stdio.h>
#include <stdlib.h>

static size_t depth;

__attribute__((noinline)) static void go_deep(void)
{
    volatile char *bytes = alloca(depth + 1);
    for (size_t i = 0; i < depth; i += 1024)
        bytes[i] = 1;
}

static void handle(void *argument)
{
    salut_sock *client = argument;
    char buffer[1024];
    ssize_t n;
    for (int first = 1; (n = salut_recv(client, buffer, sizeof buffer)) > 0; first = 0) {
        if (first)
            go_deep();
        if (salut_send(client, buffer, (size_t)n) < 0)
            break;
    }
    salut_close(client);
}

int main(int argc, char **argv)
{
    depth = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    salut_addr address;
    salut_sock *server = salut_create_server("127.0.0.1:0");
    salut_local(server, &address);
    salut_check();
    printf("%d\n", salut_addr_port(&address));
    fflush(stdout);

    salut_sock *client;
    while ((client = salut_accept(server, NULL)))
        if (!salut_go(handle, client))
            salut_close(client);
    salut_check();
    return 0;
}
