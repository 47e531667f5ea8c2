/* Echo by hand: one thread, level-triggered epoll, the fewest system calls there can be. A short
 * write keeps its rest aside and waits for room without reading more. */
#define _GNU_SOURCE
#include "port.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct client {
    int fd;
    char *rest; /* what the socket didn't take */
    size_t rest_size, rest_sent;
};

static int poller;

static void interest(int operation, struct client *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, operation, c->fd, &event) != 0)
        perror("epoll_ctl");
}

static void drop(struct client *c)
{
    close(c->fd);
    free(c->rest);
    free(c);
}

static void accept_client(int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct client *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    interest(EPOLL_CTL_ADD, c, EPOLLIN);
}

static void keep_rest(struct client *c, const char *rest, size_t size)
{
    c->rest = malloc(size);
    if (!c->rest) {
        drop(c);
        return;
    }
    memcpy(c->rest, rest, size);
    c->rest_size = size;
    c->rest_sent = 0;
    interest(EPOLL_CTL_MOD, c, EPOLLOUT);
}

static void echo(struct client *c)
{
    static char buffer[65536];
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    ssize_t sent = send(c->fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        drop(c);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    if (sent < n)
        keep_rest(c, buffer + sent, (size_t)(n - sent));
}

static void send_rest(struct client *c)
{
    ssize_t sent = send(c->fd, c->rest + c->rest_sent, c->rest_size - c->rest_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        drop(c);
        return;
    }
    c->rest_sent += (size_t)sent;
    if (c->rest_sent < c->rest_size)
        return;
    free(c->rest);
    c->rest = NULL;
    interest(EPOLL_CTL_MOD, c, EPOLLIN);
}

int main(void)
{
    struct client listener = {.fd = listen_and_print_port(SOCK_NONBLOCK)};
    poller = epoll_create1(EPOLL_CLOEXEC);
    interest(EPOLL_CTL_ADD, &listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[512];
        int n = epoll_wait(poller, events, 512, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c == &listener)
                accept_client(c->fd);
            else if (c->rest)
                send_rest(c);
            else
                echo(c);
        }
    }
}
