/* Bytes one way with salut: sends and receives of SIZE bytes.
 * salut_bulk receive SIZE | salut_bulk send SIZE PORT */
#include "counter.h"
#include <salut.h>

static void send_bytes(const char *port, const char *bytes, size_t size)
{
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", port);
    salut_sock *s = salut_create_connection(address);
    while (salut_send(s, bytes, size) > 0)
        ;
}

static void receive_bytes(char *bytes, size_t size)
{
    volatile uint64_t *counter = open_counter();
    salut_addr address;
    salut_sock *listener = salut_create_server("127.0.0.1:0");
    salut_local(listener, &address);
    salut_check();
    printf("%d\n", salut_addr_port(&address));
    fflush(stdout);
    salut_sock *s = salut_accept(listener, NULL);
    ssize_t n;
    while ((n = salut_recv(s, bytes, size)) > 0)
        *counter += (uint64_t)n;
}

int main(int argc, char **argv)
{
    size_t size = strtoul(argv[2], NULL, 10);
    char *bytes = calloc(1, size);
    if (argc > 3)
        send_bytes(argv[3], bytes, size);
    else
        receive_bytes(bytes, size);
    salut_check();
    return 1;
}
