/* frames.c: lines and messages as another program writes them. Waits for one client; prints its
 * port. Each line comes back in [ ], and after the line "message" one message comes back whole. */
#include <salut.h>

#include <stdio.h>
#include <string.h>

static void answer_line(salut_sock *s, const char *line)
{
    char answer[1024];

    snprintf(answer, sizeof answer, "[%s]", line);
    salut_send_line(s, answer);
}

static void answer_message(salut_sock *s)
{
    size_t size;
    void *message = salut_recv_message(s, &size);

    if (message)
        salut_send_message(s, message, size);
}

int main(void)
{
    salut_sock *listener = salut_create_server("localhost:0");
    salut_sock *client;
    salut_addr here;
    const char *line;

    salut_local(listener, &here);
    salut_check();
    printf("%d\n", salut_addr_port(&here));
    fflush(stdout);
    client = salut_accept(listener, NULL);
    while ((line = salut_recv_line(client, NULL))) {
        if (strcmp(line, "message"))
            answer_line(client, line);
        else
            answer_message(client);
    }
    salut_close(client);
    salut_close(listener);
    salut_check();
    return 0;
}
