/* worker.c: a client's life on its worker, and a worker's on its thread. */
#include "serve/serve.h"
#include "socket/server.h"
#include "socket/socket.h"

#include <errno.h>
#include <stdlib.h>

/* How long to wait for memory when there is none for a client who has come. */
static const int64_t MEMORY_PAUSE = NANOSECONDS / 100;

/* For canceled handlers to clean up. One that only computes can't be stopped at all. */
static const int64_t CANCEL_GRACE = NANOSECONDS;

/* Lies in its fiber's first frame. */
struct client {
    struct client *next, *before;
    struct fiber *fiber;
};

struct arrival {
    struct letter letter; /* first: a letter's address is its arrival's */
    struct arrival *next;
    struct worker *worker;
    int descriptor;
    salut_addr peer;
};

/* ---- A client ------------------------------------------------------------------------------ */

static void link_client(struct worker *w, struct client *c)
{
    c->next = w->clients;
    if (c->next)
        c->next->before = c;
    w->clients = c;
}

static void unlink_client(struct worker *w, struct client *c)
{
    if (c->next)
        c->next->before = c->before;
    if (c->before)
        c->before->next = c->next;
    else
        w->clients = c->next;
}

/* One client fewer: whoever waits for that is woken, also the acceptor on its thread. */
static void lighten(struct worker *w)
{
    struct engine *e = w->server->engine;

    atomic_fetch_sub(&w->load, 1);
    fiber_wake_all(&w->waits);
    if (w != w->server->workers && atomic_load(&w->server->full) &&
        !atomic_exchange(&w->room_said, true))
        e->calls->post(e, &w->room);
}

static void client_fiber(void *socket)
{
    struct socket *s = socket;
    struct worker *w = s->worker;
    salut_sock *handle = s->handle;
    struct client me = {.fiber = fiber_current()};

    link_client(w, &me);
    w->server->handler(handle, w->server->argument);
    if (handle_object(&scheduler_of_thread->sockets, handle))
        salut_close(handle);
    unlink_client(w, &me);
    lighten(w);
}

void worker_wait(struct worker *w, int64_t until)
{
    struct fiber *me = fiber_current();

    fiber_park_in(&w->waits, until, "its clients");
    if (!me->cancelled)
        return;
    me->cancelled = false;
    w->server->cancelled = true;
}

static void wait_for_memory(struct worker *w)
{
    worker_wait(w, deadline_after(fiber_now(), MEMORY_PAUSE));
}

void worker_begin(struct worker *w, int descriptor, const salut_addr *peer)
{
    struct server *server = w->server;
    struct socket *s;

    while (!(s = socket_create(server->kind)))
        wait_for_memory(w);
    while (server_settle(s, descriptor, peer))
        wait_for_memory(w);
    s->worker = w;
    s->timeout = server->idle;
    s->end_at = deadline_after(fiber_now(), server->request);
    while (!fiber_start(&w->stacks, client_fiber, s))
        wait_for_memory(w);
}

/* ---- Clients from the acceptor's thread ---------------------------------------------------- */

static void arrive(struct letter *letter)
{
    struct arrival *a = (struct arrival *)letter;
    struct arrival **end = &a->worker->arrivals;

    while (*end)
        end = &(*end)->next;
    *end = a;
    fiber_wake_all(&a->worker->waits);
}

bool worker_hand_over(struct worker *w, int descriptor, const salut_addr *peer)
{
    struct arrival *a = calloc(1, sizeof *a);

    if (!a)
        return false;
    a->letter.open = arrive;
    a->worker = w;
    a->descriptor = descriptor;
    a->peer = *peer;
    w->engine->calls->post(w->engine, &a->letter);
    return true;
}

static void begin_arrivals(struct worker *w)
{
    while (w->arrivals) {
        struct arrival *a = w->arrivals;
        w->arrivals = a->next;
        worker_begin(w, a->descriptor, &a->peer);
        free(a);
    }
}

/* ---- The thread ---------------------------------------------------------------------------- */

static void on_stop(struct letter *letter)
{
    struct worker *w = (struct worker *)((char *)letter - offsetof(struct worker, stop));

    w->stopping = true;
    fiber_wake_all(&w->waits);
}

static void on_hurry(struct letter *letter)
{
    struct worker *w = (struct worker *)((char *)letter - offsetof(struct worker, hurry));

    w->drain_until = fiber_now();
    fiber_wake_all(&w->waits);
}

static void on_leave(struct letter *letter)
{
    struct worker *w = (struct worker *)((char *)letter - offsetof(struct worker, leave));

    w->leaving = true;
    fiber_wake_all(&w->waits);
}

static bool wait_for_load(struct worker *w, const int64_t *until)
{
    while (atomic_load(&w->load) && fiber_now() < *until)
        worker_wait(w, *until);
    return !atomic_load(&w->load);
}

void worker_drain(struct worker *w)
{
    int64_t grace;

    if (wait_for_load(w, &w->drain_until))
        return;
    fiber_step_aside(); /* or those that have only just come would not be among w->clients */
    for (struct client *c = w->clients; c; c = c->next) {
        fiber_cancel(c->fiber);
        w->cut++;
    }
    grace = fiber_now() + CANCEL_GRACE;
    wait_for_load(w, &grace);
}

/* 0, or an errno. */
static int prepare(struct worker *w)
{
    struct scheduler *s = scheduler_get();
    int failure = s ? -s->engine->calls->expect_letters(s->engine) : errno;

    if (failure)
        return failure;
    w->engine = s->engine;
    w->stop.open = on_stop;
    w->hurry.open = on_hurry;
    w->leave.open = on_leave;
    stack_pool_begin(&w->stacks, w->server->stack_bytes);
    return 0;
}

static bool report_for_work(struct worker *w)
{
    struct server *server = w->server;
    int failure = prepare(w);

    pthread_mutex_lock(&server->lock);
    if (failure)
        server->failure = failure;
    else
        server->started++;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return !failure;
}

void *worker_thread(void *worker)
{
    struct worker *w = worker;
    struct engine *first = w->server->engine;

    if (!report_for_work(w))
        return NULL;
    for (;;) {
        begin_arrivals(w);
        if (w->stopping)
            break;
        worker_wait(w, NEVER);
    }
    worker_drain(w);
    first->calls->post(first, &w->finished);
    while (!w->leaving) /* until then letters may come */
        worker_wait(w, NEVER);
    if (!atomic_load(&w->load))
        stack_pool_end(&w->stacks);
    return NULL;
}
