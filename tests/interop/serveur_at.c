/* serveur_at.c: examples/serveur.c at the address that its argument says. */
#include <salut.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    salut_sock *server = salut_create_server(argc > 1 ? argv[1] : NULL);
    salut_sock *client;
    salut_addr address;
    char bytes[1024];
    char *message;

    salut_check();
    puts("Serveur en attente...");
    client = salut_accept(server, &address);
    printf("Connexion de ('%s', %d)\n", salut_addr_host(&address), salut_addr_port(&address));
    message = salut_decode(bytes, salut_recv(client, bytes, sizeof bytes));
    if (message)
        printf("Message recu: %s\n", message);
    free(message);
    salut_close(client);
    salut_close(server);
    salut_check();
    return 0;
}
