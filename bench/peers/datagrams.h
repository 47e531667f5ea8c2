/* What the programs that time datagrams have in common: how many, how large, how the system is
 * asked to cut and join them. Sender and receiver take turns on one thread, so that none is lost
 * and the CPU time is that of both ends. */
#ifndef BENCH_DATAGRAMS_H
#define BENCH_DATAGRAMS_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BURST = 32, BURSTS = 20000, SIZE = 64 };

/* What is sent by one call leaves as datagrams of SIZE bytes; what waits is received as one. */
static inline void cut_and_join(int sender, int receiver)
{
    int size = SIZE, on = 1;
    if (setsockopt(sender, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) != 0 ||
        setsockopt(receiver, IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) {
        perror("this kernel doesn't cut datagrams");
        exit(1);
    }
}

#endif
