/* Messages one way with nng: push to pull over TCP, its defaults.
 * nng_messages receive SIZE | nng_messages send SIZE PORT */
#include "counter.h"
#include "port.h"
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

static void check(int problem)
{
    if (!problem)
        return;
    fprintf(stderr, "%s\n", nng_strerror(problem));
    exit(1);
}

static void send_messages(size_t size, const char *port)
{
    nng_socket push;
    char address[64], *message = calloc(1, size);
    check(nng_push0_open(&push));
    snprintf(address, sizeof address, "tcp://127.0.0.1:%s", port);
    check(nng_dial(push, address, NULL, 0));
    for (;;)
        check(nng_send(push, message, size, 0));
}

static void receive_messages(size_t size)
{
    nng_socket pull;
    nng_listener listener;
    int port;
    volatile uint64_t *counter = open_counter();
    char *message = malloc(size);
    check(nng_pull0_open(&pull));
    check(nng_listen(pull, "tcp://127.0.0.1:0", &listener, 0));
    check(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port));
    print_port(port);
    for (;;) {
        size_t length = size;
        check(nng_recv(pull, message, &length, 0));
        count_message(counter, length, size);
    }
}

int main(int argc, char **argv)
{
    size_t size = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        send_messages(size, argv[3]);
    else
        receive_messages(size);
}
