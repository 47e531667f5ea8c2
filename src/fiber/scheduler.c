/* scheduler.c: many fibers on one thread.
 *
 * There is no scheduler's own stack and no loop that everything returns to. A fiber that has to
 * wait looks for the next one itself: it takes the first of the ready queue and switches to it;
 * when none is ready, it polls the engine, standing on its own stack, until one is. If that one
 * is itself, as for a single connection, nothing is switched at all.
 *
 * A fiber is running, or ready (in the ready queue), or parked. A parked fiber may be in one
 * queue, have one timer and one operation under way; whatever comes first wakes it, and it takes
 * the others back itself when it runs again.
 *
 * Fairness. A call whose data is there returns without waiting, so a fiber could go on for ever:
 * after FIBER_CALLS_MAX such calls it looks at the network and lets the others run. Fibers that
 * keep each other ready could go on for ever as well: after FIBER_SWITCHES_MAX switches the
 * network and the timers are looked at.
 */
#include "fiber/scheduler.h"
#include "base/limits.h"
#include "fiber/overflow.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

_Thread_local struct scheduler *scheduler_of_thread;

struct borrowed {
    struct borrowed *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

/* ---- The beginning and the end of a thread ------------------------------------------------- */

static pthread_key_t thread_end;
static bool thread_ends_are_told;

/* What a fiber that never ended keeps outside its stack. */
static void free_fiber(struct fiber *f)
{
    while (f->borrowed) {
        struct borrowed *b = f->borrowed;
        f->borrowed = b->next;
        free(b);
    }
    error_free(&f->error);
}

static void free_fibers(struct scheduler *s)
{
    for (uint32_t i = 0; i < s->fibers.used; i++) {
        struct fiber *f = s->fibers.slots[i].object;
        if (!f)
            continue;
        free_fiber(f);
        if (f != s->current)
            sanitizer_end(&f->sanitizer);
    }
    handle_table_free(&s->fibers);
    free_fiber(&s->main);
}

static void drop_unclaimed(struct engine *e, struct fiber *f)
{
    const struct operation *o = f->operation;

    f->operation = NULL;
    if (o && !o->owner && o->kind == OPERATION_ACCEPT && o->result >= 0)
        e->calls->drop(e, (int)o->result);
}

void scheduler_drop_unclaimed(struct scheduler *s)
{
    for (uint32_t i = 0; i < s->fibers.used; i++) {
        struct fiber *f = s->fibers.slots[i].object;
        if (f && f != s->current)
            drop_unclaimed(s->engine, f);
    }
    if (s->current != &s->main)
        drop_unclaimed(s->engine, &s->main);
}

/* Everything but the stacks. */
static void free_the_rest(struct scheduler *s)
{
    s->engine->calls->destroy(s->engine); /* its last letters may be for fibers: they come next */
    if (s->end_sockets)
        s->end_sockets(s, false);
    free_fibers(s);
    heap_free(&s->timers);
    handle_thread_end(s->sockets.thread);
    handle_table_free(&s->sockets);
}

static void end_thread(void *scheduler)
{
    struct scheduler *s = scheduler;

    channel_forget_fibers(s);
    scheduler_drop_unclaimed(s);
    if (s->end_sockets)
        s->end_sockets(s, true);
    free_the_rest(s);
    if (s->current == &s->main) /* else the thread ends while standing on one of them */
        stack_pool_end(&s->stacks);
    free(s);
    overflow_unwatch();
    error_current = NULL;
    scheduler_of_thread = NULL;
}

static void make_thread_end(void)
{
    thread_ends_are_told = !pthread_key_create(&thread_end, end_thread);
}

static struct scheduler *scheduler_make(struct engine *e)
{
    struct scheduler *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->engine = e;
    s->fibers.thread = handle_thread_begin();
    if (!s->fibers.thread) {
        free(s);
        return NULL;
    }
    s->sockets.thread = s->fibers.thread;
    s->calls_left = FIBER_CALLS_MAX;
    s->switches_left = FIBER_SWITCHES_MAX;
    stack_pool_begin(&s->stacks, 0);
    s->current = &s->main;
    return s;
}

struct scheduler *scheduler_create(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct engine *e = fork_watch() ? engine_epoll_create() : NULL;
    struct scheduler *s = e ? scheduler_make(e) : NULL;

    if (!s) {
        if (e)
            e->calls->destroy(e);
        return NULL;
    }
    sanitizer_begin_main(&s->main.sanitizer);
    pthread_once(&once, make_thread_end);
    if (thread_ends_are_told) /* else all keys are in use, and what a thread had is lost with it */
        pthread_setspecific(thread_end, s);
    scheduler_of_thread = s;
    error_adopt(&s->main.error);
    return s;
}

/* ---- Queues -------------------------------------------------------------------------------- */

static void queue_add(struct fiber_queue *q, struct fiber *f)
{
    f->next = NULL;
    if (q->last)
        q->last->next = f;
    else
        q->first = f;
    q->last = f;
}

static struct fiber *queue_take(struct fiber_queue *q)
{
    struct fiber *f = q->first;

    q->first = f->next;
    if (!q->first)
        q->last = NULL;
    return f;
}

/* O(n): only for a fiber that gives up waiting in it. */
static void queue_remove(struct fiber_queue *q, struct fiber *f)
{
    struct fiber *before = NULL;

    for (struct fiber *at = q->first; at != f; at = at->next)
        before = at;
    if (before)
        before->next = f->next;
    else
        q->first = f->next;
    if (q->last == f)
        q->last = before;
}

/* ---- Who runs next ------------------------------------------------------------------------- */

static void make_ready(struct fiber *f, int reason)
{
    if (f->life != scheduler_of_thread->life)
        return;
    f->parked = NOT_PARKED;
    f->reason = reason;
    queue_add(&scheduler_of_thread->ready, f);
}

static void wake_for(struct fiber *f, int reason)
{
    if (!f->parked || f->life != scheduler_of_thread->life)
        return;
    if (f->queue) {
        queue_remove(f->queue, f);
        f->queue = NULL;
    }
    make_ready(f, reason);
}

static struct fiber *timer_fiber(struct timer *t)
{
    return (struct fiber *)((char *)t - offsetof(struct fiber, timer));
}

static void fire_timers(struct scheduler *s)
{
    int64_t now;

    if (!s->timers.count)
        return;
    now = fiber_now();
    while (heap_first(&s->timers) && heap_first(&s->timers)->due <= now) {
        struct timer *due = heap_first(&s->timers);
        heap_remove(&s->timers, due);
        wake_for(timer_fiber(due), ETIMEDOUT);
    }
}

/* Sees what the network and the clock have brought until then. What fails in it for others is not
 * for the errno of the fiber that happens to look. */
static void look(struct scheduler *s, int64_t until)
{
    int saved_errno = errno;

    if (s->before_look)
        s->before_look(s);
    if (s->engine->calls->poll(s->engine, until)) {
        fire_timers(s);
        s->switches_left = FIBER_SWITCHES_MAX;
    }
    errno = saved_errno;
}

/* Until a fiber is ready. */
static void sleep_here(struct scheduler *s)
{
    if (!s->trimmer.looks)
        trim_begin(s);
    do
        look(s, s->timers.count ? heap_first(&s->timers)->due : NEVER);
    while (!s->ready.first);
}

static struct fiber *next_ready(struct scheduler *s)
{
    if (!s->ready.first)
        sleep_here(s);
    if (!s->switches_left)
        look(s, AT_ONCE);
    s->switches_left--;
    return queue_take(&s->ready);
}

/* The first thing a fiber does when it runs again, or for the first time. */
static void arrive(struct scheduler *s, struct fiber *left)
{
    sanitizer_after_switch(&s->current->sanitizer, &left->sanitizer);
    if (s->ended) {
        sanitizer_end(&s->ended->sanitizer);
        stack_give_back(s->ended->stack);
        s->ended = NULL;
    }
    (void)left;
}

static void run_next(struct scheduler *s)
{
    struct fiber *f = s->current;
    struct fiber *next = next_ready(s);
    int saved_errno = errno;

    s->calls_left = FIBER_CALLS_MAX;
    if (next == f)
        return;
    s->current = next;
    error_current = &next->error;
    sanitizer_before_switch(&f->sanitizer, &next->sanitizer, 0);
    s->left = f;
    context_switch(&f->context, &next->context);
    arrive(s, s->left);
    errno = saved_errno;
}

/* ---- Waiting and waking -------------------------------------------------------------------- */

int fiber_park(int64_t deadline, const char *what)
{
    struct scheduler *s = scheduler_of_thread;
    struct fiber *f = s->current;

    if (f->cancelled || f->interrupted) {
        f->interrupted = false;
        return ECANCELED;
    }
    if (deadline == AT_ONCE)
        return EAGAIN;
    if (deadline != NEVER) {
        f->timer.due = deadline;
        if (!heap_add(&s->timers, &f->timer))
            return ENOMEM;
    }
    f->waits_for = what;
    f->parked = PARKED;
    run_next(s);
    heap_remove(&s->timers, &f->timer);
    return f->reason;
}

int fiber_park_in(struct fiber_queue *queue, int64_t deadline, const char *what)
{
    struct fiber *f = fiber_current();
    int reason;

    queue_add(queue, f);
    f->queue = queue;
    reason = fiber_park(deadline, what);
    if (f->queue) { /* it didn't come to waiting */
        queue_remove(queue, f);
        f->queue = NULL;
    }
    return reason;
}

void fiber_wake(struct fiber *f)
{
    wake_for(f, 0);
}

void fiber_wake_first(struct fiber_queue *queue)
{
    struct fiber *f = queue->first;

    if (!f)
        return;
    queue_take(queue);
    f->queue = NULL;
    make_ready(f, 0);
}

void fiber_wake_all(struct fiber_queue *queue)
{
    while (queue->first)
        fiber_wake_first(queue);
}

void fiber_step_aside(void)
{
    struct scheduler *s = scheduler_of_thread;

    if (!s->ready.first)
        look(s, AT_ONCE);
    make_ready(s->current, 0);
    run_next(s);
}

void fiber_cancel(struct fiber *f)
{
    f->cancelled = true;
    wake_for(f, ECANCELED);
}

void fiber_interrupt(struct fiber *f)
{
    if (f->parked)
        wake_for(f, ECANCELED);
    else
        f->interrupted = true;
}

/* ---- Memory -------------------------------------------------------------------------------- */

void *fiber_borrow(size_t size)
{
    struct fiber *f = fiber_current();
    struct borrowed *b = calloc(1, sizeof *b + size);

    if (!b)
        return NULL;
    b->next = f->borrowed;
    f->borrowed = b;
    return b->bytes;
}

void fiber_give_back(void *memory)
{
    struct fiber *f = fiber_current();
    struct borrowed *b = f->borrowed;

    assert(b->bytes == memory);
    f->borrowed = b->next;
    free(b);
}

/* ---- Operations ---------------------------------------------------------------------------- */

void fiber_rest(void)
{
    struct scheduler *s = scheduler_of_thread;

    look(s, AT_ONCE);
    make_ready(s->current, 0);
    run_next(s);
}

/* A stream's end is none when the system has told before that the connection is no more. */
static void note_loss(const struct operation *o)
{
    if (o->kind == OPERATION_SEND || o->kind == OPERATION_RECEIVE)
        endpoint_note_loss(o->endpoint, o->result);
}

/* An operation without an owner is done. */
static void wake_owner(struct operation *o)
{
    struct fiber *f = o->owner;

    note_loss(o);
    o->owner = NULL;
    fiber_wake(f);
}

/* Whoever may not wait is told what is so now, not what was so when the thread last looked. */
static void forget_what_was_heard(struct endpoint *ep)
{
    ep->readable = true;
    ep->writable = true;
}

int64_t fiber_perform(struct operation *o, int64_t deadline)
{
    struct scheduler *s = scheduler_of_thread;
    int failure;

    if (s->current->cancelled) {
        fiber_count_call();
        return -ECANCELED;
    }
    if (deadline == AT_ONCE && o->endpoint)
        forget_what_was_heard(o->endpoint);
    o->done = wake_owner;
    o->owner = s->current;
    if (s->engine->calls->start(s->engine, o)) {
        note_loss(o);
        fiber_count_call();
        return o->result;
    }
    s->current->operation = o;
    do
        failure = fiber_park(deadline, NULL);
    while (!failure && o->owner);
    s->current->operation = NULL;
    if (!o->owner) /* done, though the fiber may have been woken for another reason first */
        return o->result;
    s->engine->calls->cancel(s->engine, o);
    if (failure == EAGAIN)
        fiber_count_call();
    return -failure;
}

/* ---- Several worlds on one thread ---------------------------------------------------------- */

static void begin_world(void *argument)
{
    struct scheduler *s = argument;

    arrive(s, s->left);
    errno = 0;
    s->main.function(s->main.argument);
    assert(0 && "a world's first function returns");
}

struct scheduler *scheduler_create_apart(struct engine *e, struct stack *stack,
                                         void (*function)(void *), void *argument)
{
    struct scheduler *s = scheduler_make(e);
    char *top = (char *)((uintptr_t)stack & ~(uintptr_t)(CACHE_LINE_BYTES - 1));

    if (!s)
        return NULL;
    overflow_watch();
    s->main.stack = stack;
    s->main.function = function;
    s->main.argument = argument;
    sanitizer_begin(&s->main.sanitizer, stack->low, (size_t)(top - stack->low));
    context_make(&s->main.context, stack->low, top, begin_world, s);
    return s;
}

void scheduler_enter(struct scheduler *to, bool for_good)
{
    struct scheduler *from = scheduler_of_thread;
    struct fiber *f = from->current;
    int saved_errno = errno;

    to->left = f;
    scheduler_of_thread = to;
    error_current = &to->current->error;
    sanitizer_before_switch(&f->sanitizer, &to->current->sanitizer, for_good);
    context_switch(&f->context, &to->current->context);
    arrive(from, from->left);
    errno = saved_errno;
}

void scheduler_destroy_apart(struct scheduler *s)
{
    struct scheduler *here = scheduler_of_thread;
    struct error *error_here = error_current;

    scheduler_of_thread = s; /* what its engine completes at its end is for its own fibers */
    error_current = &s->main.error;
    channel_forget_fibers(s);
    sanitizer_end(&s->main.sanitizer);
    s->current = &s->main;
    free_the_rest(s);
    stack_pool_end(&s->stacks);
    free(s);
    scheduler_of_thread = here;
    error_current = error_here;
}

/* ---- A fiber's life ------------------------------------------------------------------------ */

static void fiber_end(struct fiber *f)
{
    struct scheduler *s = scheduler_of_thread;
    struct fiber *next;

    fiber_wake_all(&f->joiners);
    handle_close(&s->fibers, f->handle);
    error_free(&f->error);
    if (s->main_is_gone)
        fork_end_with_the_last(s);
    next = next_ready(s);
    s->ended = f;
    s->calls_left = FIBER_CALLS_MAX;
    s->current = next;
    s->left = f;
    error_current = &next->error;
    sanitizer_before_switch(&f->sanitizer, &next->sanitizer, 1);
    context_switch(&f->context, &next->context);
    assert(0 && "a fiber that has ended runs");
}

static void fiber_begin(void *argument)
{
    struct fiber *f = argument;

    arrive(scheduler_of_thread, scheduler_of_thread->left);
    errno = 0;
    f->function(f->argument);
    fiber_end(f);
}

struct fiber *fiber_start(struct stack_pool *stacks, void (*function)(void *), void *argument)
{
    struct scheduler *s = scheduler_of_thread;
    struct stack *stack = stack_take(stacks);
    struct fiber *f;

    if (!stack)
        return NULL;
    f = (struct fiber *)(((uintptr_t)stack - sizeof *f) & ~(uintptr_t)(CACHE_LINE_BYTES - 1));
    *f = (struct fiber){.function = function, .argument = argument, .stack = stack};
    f->handle = handle_open(&s->fibers, f);
    if (!f->handle) {
        stack_give_back(stack);
        return NULL;
    }
    f->number = ++s->started;
    f->life = s->life;
    overflow_watch();
    sanitizer_begin(&f->sanitizer, stack->low, (size_t)((char *)f - stack->low));
    context_make(&f->context, stack->low, f, fiber_begin, f);
    queue_add(&s->ready, f);
    return f;
}
