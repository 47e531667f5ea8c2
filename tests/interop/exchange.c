/* exchange.c: many bytes, both ways at once.
 *
 *     exchange connect ADDRESS COUNT      exchange listen ADDRESS COUNT
 *
 * Sends COUNT bytes and says that this is all; meanwhile receives until the peer has said so.
 * Prints how many bytes went each way, and their Adler-32. A listener first prints its port. */
#include <salut.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_BYTES_MAX = 300 * 1000,
    SUM_BYTES_MAX = 5552, /* so many bytes can't overflow the sums */
};

struct sum {
    size_t bytes;
    uint32_t low, high;
};

struct sending {
    salut_sock *sock;
    size_t count;
    struct sum sum;
};

static void add(struct sum *sum, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum->low += bytes[i];
        sum->high += sum->low;
        if (i % SUM_BYTES_MAX == SUM_BYTES_MAX - 1 || i == size - 1) {
            sum->low %= 65521;
            sum->high %= 65521;
        }
    }
    sum->bytes += size;
}

static void show(const char *way, const struct sum *sum)
{
    printf("%s %zu %u\n", way, sum->bytes, sum->high << 16 | sum->low);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Pieces of all sizes, of bytes that look like no others. */
static void send_all(void *argument)
{
    struct sending *s = argument;
    unsigned char *piece = malloc(PIECE_BYTES_MAX);
    uint32_t random = 63000;

    while (s->sum.bytes < s->count) {
        size_t left = s->count - s->sum.bytes;
        size_t size = 1 + next_random(&random) % PIECE_BYTES_MAX;
        if (size > left)
            size = left;
        for (size_t i = 0; i < size; i++)
            piece[i] = (unsigned char)next_random(&random);
        if (salut_send(s->sock, piece, size) < 0)
            break;
        add(&s->sum, piece, size);
    }
    salut_shutdown(s->sock, SHUT_WR);
    free(piece);
    salut_check();
}

static void receive_all(salut_sock *s, struct sum *sum)
{
    unsigned char bytes[64 * 1024];
    ssize_t size;

    while ((size = salut_recv(s, bytes, sizeof bytes)) > 0)
        add(sum, bytes, (size_t)size);
}

static salut_sock *accept_one(const char *address)
{
    salut_sock *listener = salut_create_server(address);
    salut_sock *s;
    salut_addr here;

    salut_local(listener, &here);
    salut_check();
    printf("%d\n", salut_addr_port(&here));
    fflush(stdout);
    s = salut_accept(listener, NULL);
    salut_close(listener);
    return s;
}

int main(int argc, char **argv)
{
    struct sending sending = {.sum.low = 1};
    struct sum received = {.low = 1};
    salut_fiber *sender;

    if (argc != 4)
        return 2;
    sending.count = strtoul(argv[3], NULL, 10);
    sending.sock =
        strcmp(argv[1], "listen") ? salut_create_connection(argv[2]) : accept_one(argv[2]);
    salut_check();
    sender = salut_go(send_all, &sending);
    receive_all(sending.sock, &received);
    salut_join(sender);
    salut_close(sending.sock);
    salut_check();
    show("sent", &sending.sum);
    show("received", &received);
    return 0;
}
