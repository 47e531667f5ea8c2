/* inherited_server.c: serves what the service manager passed on, until SIGTERM. Each line is
 * answered by itself, and the process's number. inherited_server [NUMBER_OF_THE_SOCKET] */
#include "../support/signals.h"

#include <salut.h>

#include <stdio.h>
#include <unistd.h>

static void answer(salut_sock *client, void *unused)
{
    char text[256];
    const char *line;

    (void)unused;
    while ((line = salut_recv_line(client, NULL))) {
        snprintf(text, sizeof text, "%s %d", line, (int)getpid());
        salut_send_line(client, text);
    }
}

int main(int argc, char **argv)
{
    salut_serve_options options = {.workers = 2};
    char address[64];
    salut_sock *listener;

    keep_signals_from_fibers();
    snprintf(address, sizeof address, "systemd:%s", argc > 1 ? argv[1] : "");
    listener = salut_create_server(address);
    salut_check();
    salut_serve(listener, answer, NULL, &options);
    salut_close(listener);
    salut_check();
    return 0;
}
