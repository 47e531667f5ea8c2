/* What every program that times fibers has in common: CPU time in nanoseconds, and a line for
 * each figure ("switch 12.3"). CPU time, because a fiber's cost is what it computes; the driver
 * has the program alone on its core. */
#ifndef BENCH_STOPWATCH_H
#define BENCH_STOPWATCH_H

#include <stdio.h>
#include <time.h>

enum { SWITCHES = 4000000, LIVES = 400000 };

static inline double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline void print_figure(const char *name, double begin, double count)
{
    printf("%s %.3f\n", name, (cpu_ns() - begin) / count);
    fflush(stdout);
}

#endif
