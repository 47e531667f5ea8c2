/* signals.h: who takes a test's signals under ThreadSanitizer. It loses a signal that comes to a
 * thread while it makes the record of a fiber, which takes it long: so a thread without fibers
 * takes them there. */
#ifndef TESTS_SUPPORT_SIGNALS_H
#define TESTS_SUPPORT_SIGNALS_H

#include "sanitizers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static inline void *wait_for_signals(void *unused)
{
    sigset_t none;

    sigemptyset(&none);
    for (;;)
        sigsuspend(&none);
    return unused;
}

/* Before the library starts a thread: that one keeps none either. */
static inline void keep_signals_from_fibers(void)
{
    sigset_t all;
    pthread_t thread;

    if (!UNDER_TSAN)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL))
        exit(EXIT_FAILURE);
}

#endif
