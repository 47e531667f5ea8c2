/* channel.c: items from fiber to fiber, also across threads.
 *
 * A ring under a lock, and two queues of fibers that wait for it to change. To be woken means
 * only "look again": whoever comes first takes the item. A waiter on another thread is woken by
 * a letter to its engine, which is why a waiter's record is allocated: the letter may still be
 * on its way when the fiber, canceled, has gone.
 *
 * A record is in its queue, or called: taken out by a waker, to be freed when the call arrives
 * on the waiter's thread. A waiter that was called but gives up passes the call on, so that no
 * item is left lying while somebody else sleeps. So do those whose thread ends under them.
 */
#include "base/error.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What is larger is better sent as a pointer. */
enum { CHANNEL_ITEM_BYTES_MAX = 64 * 1024 };
#define CHANNEL_BYTES_MAX ((size_t)1 << 30)

struct waiter {
    struct letter letter; /* first: a letter's address is its waiter's */
    salut_channel *channel;
    struct waiters *queue; /* the channel's, that it is or was in */
    struct waiter *next, *before;
    bool called;
    struct scheduler *scheduler;
    /* Its own thread's business: */
    struct waiter *next_here, *before_here; /* of the thread's that have a fiber */
    struct fiber *fiber;                    /* NULL: it has gone */
    bool *arrived;
};

struct waiters {
    struct waiter *first, *last;
};

struct salut_channel {
    pthread_mutex_t lock;
    struct waiters receivers, senders;
    size_t item_size;
    size_t capacity; /* items */
    size_t count;
    size_t first;
    bool closed;
    unsigned char items[];
};

/* ---- Waiting and calling ------------------------------------------------------------------- */

static void enqueue(struct waiter *w)
{
    struct waiters *q = w->queue;

    w->before = q->last;
    if (q->last)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
}

static void dequeue(struct waiter *w)
{
    struct waiters *q = w->queue;

    if (w->before)
        w->before->next = w->next;
    else
        q->first = w->next;
    if (w->next)
        w->next->before = w->before;
    else
        q->last = w->before;
}

static void enlist(struct waiter *w)
{
    w->next_here = w->scheduler->waiters;
    if (w->next_here)
        w->next_here->before_here = w;
    w->scheduler->waiters = w;
}

static void delist(struct waiter *w)
{
    if (w->next_here)
        w->next_here->before_here = w->before_here;
    if (w->before_here)
        w->before_here->next_here = w->next_here;
    else
        w->scheduler->waiters = w->next_here;
}

static void arrive(struct letter *letter)
{
    struct waiter *w = (struct waiter *)letter;

    if (w->fiber) {
        delist(w);
        *w->arrived = true;
        fiber_wake(w->fiber);
    }
    free(w);
}

/* Under the lock. */
static void call_first(struct waiters *q)
{
    struct waiter *w = q->first;

    if (!w)
        return;
    dequeue(w);
    w->called = true;
    if (w->scheduler == scheduler_of_thread)
        arrive(&w->letter);
    else
        w->scheduler->engine->calls->post(w->scheduler->engine, &w->letter);
}

static bool has_item(const salut_channel *c)
{
    return c->count || c->closed;
}

static bool has_room(const salut_channel *c)
{
    return c->count < c->capacity || c->closed;
}

/* Under the lock. The call that is on its way to w will find nobody. */
static void pass_on(struct waiter *w)
{
    salut_channel *c = w->channel;

    w->fiber = NULL;
    if (w->queue == &c->receivers ? has_item(c) : has_room(c))
        call_first(w->queue);
}

/* Waits in q, giving the lock up meanwhile. 0: look again; or ECANCELED, ENOMEM, EMFILE. */
static int wait_in(salut_channel *c, struct waiters *q)
{
    struct engine *e = scheduler_of_thread->engine;
    struct waiter *w = calloc(1, sizeof *w);
    bool arrived = false;
    int reason;

    if (!w)
        return ENOMEM;
    reason = -e->calls->expect_letters(e);
    if (reason) {
        free(w);
        return reason;
    }
    w->letter.open = arrive;
    w->channel = c;
    w->queue = q;
    w->scheduler = scheduler_of_thread;
    w->fiber = fiber_current();
    w->arrived = &arrived;
    enlist(w);
    enqueue(w);
    pthread_mutex_unlock(&c->lock);
    reason = fiber_park(NEVER, q == &c->receivers ? "an item of a channel" : "room in a channel");
    pthread_mutex_lock(&c->lock);
    if (arrived)
        return 0;
    delist(w);
    if (w->called) {
        pass_on(w);
    } else {
        dequeue(w);
        free(w);
    }
    return reason;
}

/* All of them leave their queues before any passes its call on, or it could be to another. */
void channel_forget_fibers(struct scheduler *s)
{
    struct waiter *called = NULL;

    while (s->waiters) {
        struct waiter *w = s->waiters;
        salut_channel *c = w->channel;
        delist(w);
        pthread_mutex_lock(&c->lock);
        if (w->called) {
            w->next_here = called;
            called = w;
        } else {
            dequeue(w);
            free(w);
        }
        pthread_mutex_unlock(&c->lock);
    }
    while (called) {
        struct waiter *w = called;
        salut_channel *c = w->channel;
        called = w->next_here;
        pthread_mutex_lock(&c->lock);
        pass_on(w);
        pthread_mutex_unlock(&c->lock);
    }
}

/* The other threads are no more, so that nobody gives up a lock that one of them holds. */
void channel_forget_waits(struct scheduler *s)
{
    while (s->waiters) {
        struct waiter *w = s->waiters;
        delist(w);
        w->fiber = NULL;
        if (w->called || pthread_mutex_trylock(&w->channel->lock))
            continue;
        dequeue(w);
        pthread_mutex_unlock(&w->channel->lock);
        free(w);
    }
}

/* ---- The words ----------------------------------------------------------------------------- */

salut_channel *salut_channel_create(size_t capacity, size_t item_size)
{
    salut_channel *c;

    if (!capacity || !item_size || item_size > CHANNEL_ITEM_BYTES_MAX ||
        capacity > CHANNEL_BYTES_MAX / item_size) {
        error_say(EINVAL,
                  "channel: %zu items of %zu bytes can't be (each 1 to %d bytes, 1 GiB in all)",
                  capacity, item_size, CHANNEL_ITEM_BYTES_MAX);
        return NULL;
    }
    c = malloc(sizeof *c + capacity * item_size);
    if (!c) {
        error_set(ENOMEM, "channel");
        return NULL;
    }
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->capacity = capacity;
    c->item_size = item_size;
    return c;
}

static int enter(salut_channel *c, const char *word)
{
    if (!c)
        return error_say(EINVAL, "%s: the channel is NULL", word);
    if (!scheduler_get())
        return error_set(errno, "%s", word);
    pthread_mutex_lock(&c->lock);
    return 0;
}

static int leave(salut_channel *c, const char *word, int failure)
{
    pthread_mutex_unlock(&c->lock);
    fiber_count_call();
    if (failure == EPIPE)
        return error_say(EPIPE, "%s: the channel is closed", word);
    if (failure == EAGAIN)
        return error_say(EAGAIN, "%s: the channel is full", word);
    return failure ? error_set(failure, "%s", word) : 0;
}

/* The item goes to, or comes from, memory of the caller's. */
static int enter_with(salut_channel *c, const void *item, const char *word)
{
    if (c && !item)
        return error_say(EINVAL, "%s: the item is NULL", word);
    return enter(c, word);
}

static void put(salut_channel *c, const void *item)
{
    size_t at = (c->first + c->count) % c->capacity;

    memcpy(c->items + at * c->item_size, item, c->item_size);
    c->count++;
    call_first(&c->receivers);
}

static void take(salut_channel *c, void *item)
{
    memcpy(item, c->items + c->first * c->item_size, c->item_size);
    c->first = (c->first + 1) % c->capacity;
    c->count--;
    call_first(&c->senders);
}

int salut_channel_send(salut_channel *c, const void *item)
{
    int failure;

    if (enter_with(c, item, "channel_send"))
        return -1;
    failure = fiber_current()->cancelled ? ECANCELED : 0;
    while (!failure && !has_room(c))
        failure = wait_in(c, &c->senders);
    if (!failure && c->closed)
        failure = EPIPE;
    if (!failure)
        put(c, item);
    return leave(c, "channel_send", failure);
}

int salut_channel_try_send(salut_channel *c, const void *item)
{
    int failure = 0;

    if (enter_with(c, item, "channel_try_send"))
        return -1;
    if (c->closed)
        failure = EPIPE;
    else if (!has_room(c))
        failure = EAGAIN;
    else
        put(c, item);
    return leave(c, "channel_try_send", failure);
}

int salut_channel_recv(salut_channel *c, void *item)
{
    int failure, received = 0;

    if (enter_with(c, item, "channel_recv"))
        return -1;
    failure = fiber_current()->cancelled ? ECANCELED : 0;
    while (!failure && !has_item(c))
        failure = wait_in(c, &c->receivers);
    if (!failure && c->count) {
        take(c, item);
        received = 1;
    }
    return leave(c, "channel_recv", failure) ? -1 : received;
}

int salut_channel_close(salut_channel *c)
{
    if (enter(c, "channel_close"))
        return -1;
    c->closed = true;
    while (c->receivers.first)
        call_first(&c->receivers);
    while (c->senders.first)
        call_first(&c->senders);
    return leave(c, "channel_close", 0);
}

void salut_channel_free(salut_channel *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}
