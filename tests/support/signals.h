/* signals.h: who takes a test's signals under ThreadSanitizer. It loses a signal that comes to a
 * thread while it makes the record of a fiber, which takes it long: so a thread without fibers
 * takes them there. */
#ifndef TESTS_SUPPORT_SIGNALS_H
#define TESTS_SUPPORT_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_ARE_LOST true
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_ARE_LOST true
#endif
#ifndef SIGNALS_ARE_LOST
#define SIGNALS_ARE_LOST false
#endif

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

    if (!SIGNALS_ARE_LOST)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL))
        exit(EXIT_FAILURE);
}

#endif
