/* When a fiber runs over its stack's end: a sentence on standard error before SIGSEGV ends the
 * program. Only where the program has no handler of its own. */
#ifndef SALUT_FIBER_OVERFLOW_H
#define SALUT_FIBER_OVERFLOW_H

#include <stdbool.h>

extern _Thread_local bool overflow_watched;

void overflow_watch_thread(void);

/* Called at each fiber's start; does something at a thread's first. */
static inline void overflow_watch(void)
{
    if (!overflow_watched)
        overflow_watch_thread();
}

/* The thread ends, or its scheduler. */
void overflow_unwatch(void);

#endif
