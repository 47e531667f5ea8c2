/* Framed messages one way with salut, gathered in 64 KiB (0: each message by itself).
 * salut_messages receive SIZE GATHER | salut_messages send SIZE GATHER PORT */
#include "counter.h"
#include <salut.h>

static void send_messages(const char *port, size_t size, size_t gather)
{
    char address[64], *message = calloc(1, size);
    snprintf(address, sizeof address, "127.0.0.1:%s", port);
    salut_sock *s = salut_create_connection(address);
    if (gather)
        salut_set_buffer(s, gather);
    while (salut_send_message(s, message, size) >= 0)
        ;
}

static void receive_messages(size_t size)
{
    volatile uint64_t *counter = open_counter();
    salut_addr address;
    salut_sock *listener = salut_create_server("127.0.0.1:0");
    salut_local(listener, &address);
    salut_check();
    printf("%d\n", salut_addr_port(&address));
    fflush(stdout);
    salut_sock *s = salut_accept(listener, NULL);
    size_t length;
    while (salut_recv_message(s, &length))
        count_message(counter, length, size);
}

int main(int argc, char **argv)
{
    size_t size = strtoul(argv[2], NULL, 10);
    if (argc > 4)
        send_messages(argv[4], size, strtoul(argv[3], NULL, 10));
    else
        receive_messages(size);
    salut_check();
    return 1;
}
