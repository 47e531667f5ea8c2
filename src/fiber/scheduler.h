/* The scheduler: who runs on this thread, who is ready, who waits until when. One a thread, made
 * at the thread's first word, with its engine. Higher floors wait through fiber_perform() and
 * fiber_park(), and wake through fiber_wake(). */
#ifndef SALUT_FIBER_SCHEDULER_H
#define SALUT_FIBER_SCHEDULER_H

#include "base/clock.h"
#include "base/error.h"
#include "base/handle.h"
#include "base/heap.h"
#include "engine/engine.h"
#include "fiber/context.h"
#include "fiber/sanitize.h"
#include "fiber/stack.h"

struct fiber;

/* Fibers in the order they came. */
struct fiber_queue {
    struct fiber *first;
    struct fiber *last;
};

/* How a fiber waits. A parked one is looked at about once a second, see trim.c. */
enum parked {
    NOT_PARKED,
    PARKED,
    PARKED_BEFORE, /* the last look found it so */
    PARKED_TRIMMED /* and its stack has given back what it doesn't need */
};

/* A thread's looks at its parked fibers, trim.c's. */
struct trimmer {
    struct letter alarm; /* first: its address is the trimmer's */
    uint32_t slot;       /* where in the table of fibers the look goes on */
    bool again;          /* it has found one that the next one should see */
    bool looks;          /* the alarm is set */
};

/* A thread's own fiber has no stack of ours; every other one lies at the top of its stack (but for
 * a scheduler's first fiber, which lies in the scheduler). */
struct fiber {
    struct context context;
    struct fiber *next;        /* in the one queue it is in */
    struct fiber_queue *queue; /* that it waits in; NULL when parked otherwise or not at all */
    struct timer timer;
    uint8_t parked;   /* enum parked */
    bool interrupted; /* the next wait fails */
    bool cancelled;   /* for good: each further wait fails */
    int reason;       /* why it was woken: 0, ETIMEDOUT, ECANCELED */
    uint32_t number;  /* of the fibers of its thread, in the order they were started; main is 0 */
    uint32_t life;    /* its scheduler's, when it was started: see fork.c */
    /* What it waits for: an operation, or else something in words. */
    const struct operation *operation;
    const char *waits_for;
    struct error error;
    void (*function)(void *argument);
    void *argument;
    void *handle;
    struct stack *stack;
    struct fiber_queue joiners;
    struct borrowed *borrowed; /* by the words that it is in, newest first */
    struct sanitizer_state sanitizer;
};

struct scheduler {
    struct engine *engine;
    struct fiber *current;
    struct fiber_queue ready;
    unsigned calls_left;    /* of FIBER_CALLS_MAX */
    unsigned switches_left; /* of FIBER_SWITCHES_MAX */
    struct heap timers;
    struct handle_table fibers;
    struct handle_table sockets; /* floor 5's, here so that one look finds a thread's all */
    struct stack_pool stacks;
    struct trimmer trimmer;
    struct fiber *left; /* who ran before `current` */
    /* What a higher floor has to do before the thread looks at the network; NULL if nothing. */
    void (*before_look)(struct scheduler *s);
    void *gathered; /* that floor's */
    /* What it has to do when the thread ends, while the engine is still there to close what is
     * open (close), or, after that, to free what it has. NULL if nothing. */
    void (*end_sockets)(struct scheduler *s, bool close);
    /* What it has to do in a child process, where the fibers that waited are no more. */
    void (*forget_waits)(struct scheduler *s);
    void *socket_records;   /* that floor's */
    struct waiter *waiters; /* fibers that wait at channels; channel.c's */
    struct fiber *ended;    /* its stack goes back once nobody stands on it */
    uint32_t started;       /* fibers so far */
    uint32_t life;          /* how often it was copied into a child process */
    bool main_is_gone;      /* another fiber forked */
    struct fiber main;
};

extern _Thread_local struct scheduler *scheduler_of_thread;

/* Makes it; NULL and errno when that fails. */
struct scheduler *scheduler_create(void);

/* This thread's scheduler, or NULL and errno. */
static inline struct scheduler *scheduler_get(void)
{
    return scheduler_of_thread ? scheduler_of_thread : scheduler_create();
}

/* Closes what was accepted for fibers that will not run again: all but the present one. */
void scheduler_drop_unclaimed(struct scheduler *s);

/* Schedulers beside the thread's own, each with the world that its engine is: they take turns,
 * one entering another. A new one will run function(argument) on this stack when it is first
 * entered; the function must not return. NULL and errno ENOMEM. */
struct scheduler *scheduler_create_apart(struct engine *e, struct stack *stack,
                                         void (*function)(void *), void *argument);

/* Leaves the thread's present scheduler, until it is entered again, and goes on with another. */
void scheduler_enter(struct scheduler *to, bool for_good);

/* Frees one that nobody stands in, with its engine, sockets and fibers, whatever they were about.
 * Its world closes what is open as it sees fit. Its first stack is its creator's. */
void scheduler_destroy_apart(struct scheduler *s);

/* The functions below are for a thread whose scheduler_get() has succeeded. */

static inline struct fiber *fiber_current(void)
{
    return scheduler_of_thread->current;
}

static inline int64_t fiber_now(void)
{
    struct engine *e = scheduler_of_thread->engine;

    return e->calls->now(e);
}

/* The deadline has come. For calls of several steps, none of which may have had to wait for it. */
static inline bool fiber_is_late(int64_t deadline)
{
    return deadline != NEVER && deadline != AT_ONCE && fiber_now() >= deadline;
}

/* A new fiber, ready to run, on a stack of this pool; NULL and errno ENOMEM or EAGAIN. */
struct fiber *fiber_start(struct stack_pool *stacks, void (*function)(void *), void *argument);

/* Waits to be woken. 0, or ETIMEDOUT, ECANCELED, EAGAIN (the deadline is AT_ONCE), ENOMEM.
 * A fiber may also be woken for nothing that it waited for: the caller looks again.
 * what: for people who ask why nothing moves, "its turn to send". */
int fiber_park(int64_t deadline, const char *what);

/* The same, in a queue, that fiber_wake_first() wakes from. */
int fiber_park_in(struct fiber_queue *queue, int64_t deadline, const char *what);

/* Makes a parked fiber ready; nothing happens to another one. */
void fiber_wake(struct fiber *f);

void fiber_wake_first(struct fiber_queue *queue);

void fiber_wake_all(struct fiber_queue *queue);

/* Lets the others that are ready go first. */
void fiber_step_aside(void);

/* One other is ready, and no more: it goes first. */
static inline void fiber_give_way(void)
{
    struct scheduler *s = scheduler_of_thread;

    if (s->ready.first && s->ready.first == s->ready.last)
        fiber_step_aside();
}

/* Memory for the word that the fiber is in, zeroed; NULL and errno ENOMEM. It is given back newest
 * first, or freed with a fiber that never comes to it. */
void *fiber_borrow(size_t size);
void fiber_give_back(void *memory);

/* A call that did not have to wait: after FIBER_CALLS_MAX of them the fiber rests. */
void fiber_rest(void);
static inline void fiber_count_call(void)
{
    if (--scheduler_of_thread->calls_left == 0)
        fiber_rest();
}

/* Asks f to end. */
void fiber_cancel(struct fiber *f);

/* Ends one wait of f with ECANCELED: the present one, or the next. */
void fiber_interrupt(struct fiber *f);

/* trim.c's: begins to look at the parked fibers now and then, if there are many. */
void trim_begin(struct scheduler *s);

/* channel.c's: the thread ends, and with it the fibers that wait at channels; or this is a child
 * process, and they are no more. */
void channel_forget_fibers(struct scheduler *s);
void channel_forget_waits(struct scheduler *s);

/* fork.c's: from now on a fork of this process leaves the child's scheduler in order.
 * false: it can't be had, errno says why. */
bool fork_watch(void);

/* No fiber is left, in a child process of another fiber than main: ends the process. */
void fork_end_with_the_last(struct scheduler *s);

/* Does an operation, waiting for it if need be. The operation's result, or -ETIMEDOUT,
 * -ECANCELED, -EAGAIN, -ENOMEM when it was taken back (`moved` says what a send had sent). */
int64_t fiber_perform(struct operation *o, int64_t deadline);

#endif
