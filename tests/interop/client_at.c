/* client_at.c: examples/client.c to the address that its argument says. */
#include <salut.h>

#include <string.h>

int main(int argc, char **argv)
{
    const char *message = "Salut le serveur !";
    salut_sock *client = salut_create_connection(argc > 1 ? argv[1] : NULL);

    salut_send(client, message, strlen(message));
    salut_close(client);
    salut_check();
    return 0;
}
