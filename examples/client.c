/* client.c: connects to localhost:63000 and says hello. */
#include <salut.h>
#include <string.h>

int main(void)
{
    const char *message = "Salut le serveur !";

    salut_sock *client = salut_socket(SALUT_TCP);
    salut_connect(client, "localhost", 63000);
    salut_send(client, message, strlen(message));
    salut_close(client);
    salut_check();
    return 0;
}
