/* Datagrams with salut, 32 sent and 32 received in turn, from one socket to another.
 * salut_datagrams one | segments: 32 by one call each way, which the system cuts (UDP_SEGMENT) and
 * puts together again (UDP_GRO) */
#include "datagrams.h"
#include "stopwatch.h"
#include <salut.h>

static salut_sock *from, *to;
static salut_addr address;

static void one_by_one(char *bytes)
{
    for (int i = 0; i < BURST; i++)
        salut_sendto(from, bytes, SIZE, &address);
    for (int i = 0; i < BURST; i++)
        salut_recvfrom(to, bytes, SIZE, NULL);
}

static void in_segments(char *bytes)
{
    salut_sendto(from, bytes, BURST * SIZE, &address);
    for (ssize_t got = 0, n; got < BURST * SIZE; got += n)
        if ((n = salut_recvfrom(to, bytes, BURST * SIZE, NULL)) < 0)
            break;
}

int main(int argc, char **argv)
{
    static char bytes[BURST * SIZE];
    int segments = argc > 1 && strcmp(argv[1], "segments") == 0;
    from = salut_create_server("udp:127.0.0.1:0");
    to = salut_create_server("udp:127.0.0.1:0");
    salut_local(to, &address);
    salut_check();
    if (segments)
        cut_and_join(salut_fd(from), salut_fd(to));

    double begin = cpu_ns();
    for (int i = 0; i < BURSTS && !salut_failed(); i++)
        segments ? in_segments(bytes) : one_by_one(bytes);
    print_figure("datagram", begin, BURSTS * BURST);
    salut_check();
    return 0;
}
