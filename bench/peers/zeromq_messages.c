/* Messages one way with ZeroMQ: PUSH to PULL over TCP, its defaults.
 * zeromq_messages receive SIZE | zeromq_messages send SIZE PORT */
#include "counter.h"
#include "port.h"
#include <string.h>
#include <zmq.h>

static void send_messages(void *context, size_t size, const char *port)
{
    char address[64], *message = calloc(1, size);
    void *push = zmq_socket(context, ZMQ_PUSH);
    snprintf(address, sizeof address, "tcp://127.0.0.1:%s", port);
    if (zmq_connect(push, address) != 0)
        exit(1);
    while (zmq_send(push, message, size, 0) >= 0)
        ;
}

static void receive_messages(void *context, size_t size)
{
    volatile uint64_t *counter = open_counter();
    char address[64], *message = malloc(size);
    size_t length = sizeof address;
    void *pull = zmq_socket(context, ZMQ_PULL);
    if (zmq_bind(pull, "tcp://127.0.0.1:*") != 0)
        exit(1);
    zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, address, &length);
    print_port(atoi(strrchr(address, ':') + 1));
    int n;
    while ((n = zmq_recv(pull, message, size, 0)) >= 0)
        count_message(counter, (size_t)n, size);
}

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    size_t size = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        send_messages(context, size, argv[3]);
    else
        receive_messages(context, size);
    return 1;
}
