/* Greets with salut: a fiber for each client. */
#include <salut.h>
#include <stdio.h>

static void greet(void *argument)
{
    salut_sock *client = argument;
    salut_send(client, "salut\n", 6);
    salut_close(client);
}

int main(void)
{
    salut_addr address;
    salut_sock *server = salut_create_server("127.0.0.1:0");
    salut_local(server, &address);
    salut_check();
    printf("%d\n", salut_addr_port(&address));
    fflush(stdout);

    salut_sock *client;
    while ((client = salut_accept(server, NULL)))
        if (!salut_go(greet, client))
            salut_close(client);
    salut_check();
    return 0;
}
