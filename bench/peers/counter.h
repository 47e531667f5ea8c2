/* What every receiver of a one-way flow has in common: it counts what came in a page of memory
 * that it shares with the driver (a file named by BENCH_COUNTER), which reads it at the
 * beginning and at the end of the measured window. So no receiver reads a clock. */
#ifndef BENCH_COUNTER_H
#define BENCH_COUNTER_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static inline volatile uint64_t *open_counter(void)
{
    const char *path = getenv("BENCH_COUNTER");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        perror("can't map BENCH_COUNTER");
        exit(1);
    }
    return page;
}

/* A message of another size than was sent would make the figures worthless. */
static inline void count_message(volatile uint64_t *counter, size_t size, size_t expected)
{
    if (size != expected) {
        fprintf(stderr, "a message of %zu bytes arrived, not of %zu\n", size, expected);
        exit(1);
    }
    *counter += 1;
}

#endif
