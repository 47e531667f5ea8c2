/* What every server here has in common beside its work: its first line of output is its port. */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static inline void print_port(int port)
{
    printf("%d\n", port);
    fflush(stdout);
}

/* A listener on 127.0.0.1, at a port the system chooses and this prints. */
static inline int listen_and_print_port(int type_flags)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("can't listen");
        exit(1);
    }
    print_port(ntohs(address.sin_port));
    return fd;
}

#endif
