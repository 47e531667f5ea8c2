/* serveur.c: waits for one client on localhost:63000, says who came and what they said. */
#include <salut.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    salut_sock *serveur = salut_socket(SALUT_TCP);
    salut_bind(serveur, "localhost", 63000);
    salut_listen(serveur, 1);
    salut_check();
    puts("Serveur en attente...");

    salut_addr adresse;
    salut_sock *client = salut_accept(serveur, &adresse);
    printf("Connexion de ('%s', %d)\n", salut_addr_host(&adresse), salut_addr_port(&adresse));

    char donnees[1024];
    char *message = salut_decode(donnees, salut_recv(client, donnees, sizeof donnees));
    if (message)
        printf("Message recu: %s\n", message);

    free(message);
    salut_close(client);
    salut_close(serveur);
    salut_check();
    return 0;
}
