/* Greets by hand: accepts until nobody waits, sends six bytes to each, closes. */
#define _GNU_SOURCE
#include "port.h"
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

int main(void)
{
    int on = 1, listener = listen_and_print_port(SOCK_NONBLOCK);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
        return 1;
    for (;;) {
        epoll_wait(poller, &event, 1, -1);
        int fd;
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            send(fd, "salut\n", 6, MSG_NOSIGNAL);
            close(fd);
        }
    }
}
