/* fork.c: what becomes of a thread's fibers in a child process.
 *
 * Of the threads only the one that forked goes on in the child, and so of its fibers only the one
 * that did. (If all went on, they would read and write the same connections as the parent's.) The
 * others are forgotten where they stand: their handles say that they have ended, what they waited
 * for is taken back, and since it can't be known who still points to them, each fiber knows the
 * life of the scheduler that it belongs to: whoever wakes one of an earlier life wakes nobody.
 * Their stacks stay as they are, shared with the parent until the thread's end.
 *
 * The forking fiber may not be main. As with threads, the process then ends with its last fiber.
 */
#include "fiber/scheduler.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static void begin_new_life(void)
{
    struct scheduler *s = scheduler_of_thread;
    struct fiber *f = s ? s->current : NULL;

    if (!s || s->engine->alone) /* a simulated program has no processes */
        return;
    s->life++;
    f->life = s->life;
    f->joiners = (struct fiber_queue){0};
    s->ready = (struct fiber_queue){0};
    s->timers.count = 0;
    s->trimmer = (struct trimmer){0};
    channel_forget_waits(s);
    scheduler_drop_unclaimed(s);
    handle_close_others(&s->fibers, f->handle);
    s->main_is_gone = s->main_is_gone || f != &s->main;
    if (s->forget_waits)
        s->forget_waits(s);
}

static int unwatched; /* errno: why children can't be put in order */

static void watch(void)
{
    unwatched = pthread_atfork(NULL, NULL, begin_new_life);
}

bool fork_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch);
    if (unwatched)
        errno = unwatched;
    return !unwatched;
}

void fork_end_with_the_last(struct scheduler *s)
{
    for (uint32_t i = 0; i < s->fibers.used; i++) {
        if (s->fibers.slots[i].object)
            return;
    }
    exit(EXIT_SUCCESS);
}
