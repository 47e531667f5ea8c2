/* Datagrams by hand, 32 sent and 32 received in turn, from one socket to another.
 * raw_datagrams one: a call for each | batch: by sendmmsg and recvmmsg, 32 a call */
#define _GNU_SOURCE
#include "datagrams.h"
#include "stopwatch.h"

static int from, to;
static struct sockaddr_in address;
static char bytes[BURST][SIZE];

static void fail(const char *call)
{
    perror(call);
    exit(1);
}

static int open_socket(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        fail("can't open a socket");
    return fd;
}

static void one_by_one(void)
{
    for (int i = 0; i < BURST; i++)
        if (sendto(from, bytes[i], SIZE, 0, (struct sockaddr *)&address, sizeof address) < 0)
            fail("sendto");
    for (int i = 0; i < BURST; i++) {
        struct sockaddr_in sender;
        socklen_t size = sizeof sender;
        if (recvfrom(to, bytes[i], SIZE, 0, (struct sockaddr *)&sender, &size) < 0)
            fail("recvfrom");
    }
}

static void in_batches(void)
{
    struct sockaddr_in senders[BURST];
    struct iovec pieces[BURST];
    struct mmsghdr all[BURST];
    for (int i = 0; i < BURST; i++) {
        pieces[i] = (struct iovec){bytes[i], SIZE};
        all[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &address,
                                              .msg_namelen = sizeof address,
                                              .msg_iov = &pieces[i],
                                              .msg_iovlen = 1}};
    }
    for (int sent = 0, n; sent < BURST; sent += n)
        if ((n = sendmmsg(from, all + sent, (unsigned)(BURST - sent), 0)) < 0)
            fail("sendmmsg");
    for (int i = 0; i < BURST; i++)
        all[i].msg_hdr.msg_name = &senders[i];
    for (int got = 0, n; got < BURST; got += n)
        if ((n = recvmmsg(to, all + got, (unsigned)(BURST - got), MSG_WAITFORONE, NULL)) < 0)
            fail("recvmmsg");
}

int main(int argc, char **argv)
{
    int batch = argc > 1 && strcmp(argv[1], "batch") == 0;
    from = open_socket();
    to = open_socket(); /* address is its */

    double begin = cpu_ns();
    for (int i = 0; i < BURSTS; i++)
        batch ? in_batches() : one_by_one();
    print_figure("datagram", begin, BURSTS * BURST);
    return 0;
}
