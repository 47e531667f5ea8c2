/* udp.c: datagrams. A fiber answers each one in capitals; main() asks.
 *
 * A datagram comes whole or not at all: one send is one receive, even of nothing. It may also get
 * lost on its way, so whoever waits for an answer had better set a timeout.
 */
#include <ctype.h>
#include <errno.h>
#include <salut.h>
#include <stdio.h>
#include <string.h>

static void answer_in_capitals(void *argument)
{
    salut_sock *server = argument;
    salut_addr asker;
    char text[64];
    ssize_t size;

    while ((size = salut_recvfrom(server, text, sizeof text, &asker)) >= 0) {
        for (ssize_t i = 0; i < size; i++)
            text[i] = (char)toupper((unsigned char)text[i]);
        salut_sendto(server, text, (size_t)size, &asker);
        salut_check();
    }
    if (errno != ECANCELED) /* which is how main() ends it */
        salut_check();
}

int main(void)
{
    const char *questions[] = {"salut", "", "le serveur !"};
    char answer[64], small[5];
    salut_addr there;

    salut_sock *server = salut_socket(SALUT_UDP);
    salut_bind(server, "localhost", 0); /* the system chooses the port */
    salut_local(server, &there);
    salut_fiber *fiber = salut_go(answer_in_capitals, server);
    salut_check();

    salut_sock *client = salut_socket(SALUT_UDP);
    salut_connect(client, salut_addr_host(&there), salut_addr_port(&there));
    salut_settimeout(client, 10);
    salut_check();
    for (int i = 0; i < 3; i++) {
        salut_send(client, questions[i], strlen(questions[i]));
        salut_check();
        ssize_t size = salut_recv(client, answer, sizeof answer);
        salut_check();
        printf("\"%s\" was answered by \"%.*s\"\n", questions[i], (int)size, answer);
    }

    /* What doesn't fit in the buffer is an error, never silently cut off. */
    salut_send(client, "too long", strlen("too long"));
    salut_check();
    if (salut_recv(client, small, sizeof small) < 0 && errno == EMSGSIZE) {
        puts(salut_error());
        salut_clear_error();
    }

    salut_close(client);
    salut_close(server); /* the fiber's recvfrom fails with ECANCELED, and the fiber ends */
    salut_join(fiber);
    salut_check();
    return 0;
}
