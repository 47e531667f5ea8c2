/* serve.c: salut_serve(): the threads' beginning and end, and the acceptor between. */
#include "serve/serve.h"
#include "base/error.h"
#include "socket/server.h"
#include "socket/socket.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WORKERS_MAX = 1024, /* more threads than cores never help: this is a slip of the pen */
    STACK_BYTES_MIN = 16 * 1024,
    STACK_BYTES_MAX = 1024 * 1024 * 1024,
};

static const double DRAIN_SECONDS = 5; /* most service managers kill after 10 to 90 */

/* For a worker to finish after drain_until, with its own grace for canceled handlers: one that is
 * silent then has a handler that never waits. */
static const int64_t FINISH_GRACE = 3 * (int64_t)NANOSECONDS;

/* ---- The options --------------------------------------------------------------------------- */

static unsigned cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

static int bad_option(const char *name)
{
    return error_say(EINVAL, "serve: the option %s makes no sense", name);
}

static int check_options(const salut_serve_options *o)
{
    if (o->workers > WORKERS_MAX)
        return bad_option("workers");
    if (isnan(o->idle_seconds) || o->idle_seconds < 0)
        return bad_option("idle_seconds");
    if (isnan(o->request_seconds) || o->request_seconds < 0)
        return bad_option("request_seconds");
    if (isnan(o->drain_seconds) || o->drain_seconds < 0)
        return bad_option("drain_seconds");
    if (o->stack_bytes && (o->stack_bytes < STACK_BYTES_MIN || o->stack_bytes > STACK_BYTES_MAX))
        return bad_option("stack_bytes");
    return 0;
}

static int64_t span(double seconds)
{
    return seconds > 0 ? nanoseconds(seconds) : NEVER;
}

/* ---- Letters to the acceptor --------------------------------------------------------------- */

static void on_server_stop(struct letter *letter)
{
    struct server *server = (struct server *)((char *)letter - offsetof(struct server, stop));

    server->heard++;
    server->stopping = true;
    fiber_interrupt(server->acceptor);
}

static void on_server_hurry(struct letter *letter)
{
    struct server *server = (struct server *)((char *)letter - offsetof(struct server, hurry));

    server->heard++;
    server->drain = 0;
    server->workers[0].drain_until = fiber_now();
    fiber_wake_all(&server->workers[0].waits);
    for (unsigned i = 1; i < server->worker_count && server->told; i++) {
        struct worker *w = &server->workers[i];
        if (!w->is_finished)
            w->engine->calls->post(w->engine, &w->hurry);
    }
}

static void on_finished(struct letter *letter)
{
    struct worker *w = (struct worker *)((char *)letter - offsetof(struct worker, finished));

    w->is_finished = true;
    w->engine->calls->post(w->engine, &w->leave);
    fiber_wake_all(&w->server->workers[0].waits);
}

static void on_room(struct letter *letter)
{
    struct worker *w = (struct worker *)((char *)letter - offsetof(struct worker, room));

    atomic_store(&w->room_said, false);
    fiber_wake_all(&w->server->workers[0].waits);
}

/* ---- Accepting ----------------------------------------------------------------------------- */

static unsigned total_load(struct server *server)
{
    unsigned load = 0;

    for (unsigned i = 0; i < server->worker_count; i++)
        load += atomic_load(&server->workers[i].load);
    return load;
}

static struct worker *least_loaded(struct server *server)
{
    struct worker *least = &server->workers[0];

    for (unsigned i = 1; i < server->worker_count; i++) {
        if (atomic_load(&server->workers[i].load) < atomic_load(&least->load))
            least = &server->workers[i];
    }
    return least;
}

/* Waits until there are fewer clients than `load`, or for less. */
static void wait_for_room(struct server *server, unsigned load, int64_t deadline)
{
    atomic_store(&server->full, true);
    if (total_load(server) >= load)
        worker_wait(&server->workers[0], deadline);
    atomic_store(&server->full, false);
}

static void place(struct server *server, int descriptor, const salut_addr *peer)
{
    struct worker *w = least_loaded(server);

    atomic_fetch_add(&w->load, 1);
    if (w != server->workers && worker_hand_over(w, descriptor, peer))
        return;
    if (w != server->workers) {
        atomic_fetch_sub(&w->load, 1);
        w = server->workers;
        atomic_fetch_add(&w->load, 1);
    }
    worker_begin(w, descriptor, peer);
}

/* Until the server is to stop: 0; or until it can't accept: -1 with the failure said. */
static int accept_clients(struct server *server, struct socket *listener)
{
    salut_addr peer = {0};

    while (!server->stopping) {
        int64_t descriptor;
        if (total_load(server) >= server->connections_max) {
            wait_for_room(server, server->connections_max, NEVER);
            if (server->cancelled)
                return 0;
            continue;
        }
        descriptor = server_accept(listener, &peer, NEVER);
        if (descriptor >= 0)
            place(server, (int)descriptor, &peer);
        else if (descriptor != -ECANCELED)
            return socket_failed(listener, "serve on", (int)-descriptor);
        else if (listener->closed || fiber_current()->cancelled)
            return 0;
    }
    return 0;
}

/* Those who wait in the backlog have been promised service by the kernel. When there are no
 * descriptors for them, each client who leaves gives one back. */
static void accept_the_last(struct server *server, struct socket *listener)
{
    const int64_t *until = &server->workers[0].drain_until; /* which a second request changes */
    salut_addr peer = {0};

    while (!listener->closed && fiber_now() < *until) {
        unsigned load = total_load(server);
        int64_t descriptor;
        if (load >= server->connections_max) {
            wait_for_room(server, server->connections_max, *until);
            continue;
        }
        descriptor = server_accept(listener, &peer, AT_ONCE);
        if (descriptor >= 0)
            place(server, (int)descriptor, &peer);
        else if (descriptor == -EAGAIN || !load)
            return;
        else
            wait_for_room(server, load, *until);
    }
}

/* ---- The threads --------------------------------------------------------------------------- */

static void tell_to_stop(struct server *server)
{
    server->told = true;
    for (unsigned i = 1; i < server->worker_count; i++) {
        struct worker *w = &server->workers[i];
        w->drain_until = server->workers[0].drain_until;
        w->engine->calls->post(w->engine, &w->stop);
    }
}

static bool all_finished(const struct server *server)
{
    for (unsigned i = 1; i < server->worker_count; i++) {
        if (!server->workers[i].is_finished)
            return false;
    }
    return true;
}

/* Has come when a thread should have finished; a second request brings it nearer. */
static int64_t patience(const struct server *server)
{
    return deadline_after(server->workers[0].drain_until, FINISH_GRACE);
}

/* false: some thread can't be waited for. */
static bool wait_for_threads(struct server *server)
{
    while (!all_finished(server) && fiber_now() < patience(server))
        worker_wait(&server->workers[0], patience(server));
    for (unsigned i = 1; i < server->worker_count; i++) {
        if (server->workers[i].is_finished)
            pthread_join(server->workers[i].thread, NULL);
        else
            pthread_detach(server->workers[i].thread);
    }
    return all_finished(server);
}

/* Takes all other workers down again: they have no clients yet. */
static void dismiss(struct server *server)
{
    tell_to_stop(server);
    while (!all_finished(server))
        worker_wait(&server->workers[0], NEVER);
    wait_for_threads(server);
    server->acceptor->cancelled |= server->cancelled;
}

/* Why a thread could not be started. EAGAIN is not about waiting here. */
static const char *thread_reason(int failure)
{
    return failure == EAGAIN ? "the system allows no more threads" : error_reason(failure);
}

/* 0; or errno, and no thread is left. */
static int start_threads(struct server *server, unsigned wanted)
{
    int failure = 0;

    for (unsigned i = 1; i < wanted && !failure; i++) {
        struct worker *w = &server->workers[i];
        failure = pthread_create(&w->thread, NULL, worker_thread, w);
        if (failure)
            break;
        pthread_mutex_lock(&server->lock);
        while (server->started < i && !server->failure)
            pthread_cond_wait(&server->changed, &server->lock);
        failure = server->failure;
        pthread_mutex_unlock(&server->lock);
        if (failure)
            pthread_join(w->thread, NULL);
        else
            server->worker_count++;
    }
    if (!failure)
        return 0;
    error_say(EAGAIN, "serve: only %u of %u workers could be started: %s", server->worker_count,
              wanted, thread_reason(failure));
    dismiss(server);
    return EAGAIN;
}

/* ---- From the beginning to the end --------------------------------------------------------- */

static void set_up_worker(struct server *server, struct worker *w)
{
    w->server = server;
    w->finished.open = on_finished;
    w->room.open = on_room;
}

static struct server *create(const salut_serve_options *o, unsigned workers)
{
    struct server *server = calloc(1, sizeof *server + workers * sizeof *server->workers);

    if (!server)
        return NULL;
    server->connections_max = o->connections_max ? o->connections_max : UINT32_MAX;
    server->worker_count = 1;
    server->stack_bytes = o->stack_bytes;
    server->idle = span(o->idle_seconds);
    server->request = span(o->request_seconds);
    server->drain = nanoseconds(o->drain_seconds > 0 ? o->drain_seconds : DRAIN_SECONDS);
    server->engine = scheduler_of_thread->engine;
    server->acceptor = fiber_current();
    server->takes_signals = !o->leave_signals;
    server->stop.open = on_server_stop;
    server->hurry.open = on_server_hurry;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    for (unsigned i = 0; i < workers; i++)
        set_up_worker(server, &server->workers[i]);
    stack_pool_begin(&server->workers[0].stacks, o->stack_bytes);
    return server;
}

static void destroy(struct server *server)
{
    stack_pool_end(&server->workers[0].stacks);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}

void serve_forget(const struct engine *e)
{
    struct server *server;

    while ((server = stop_take(e)))
        destroy(server);
}

static int say_how_many(unsigned cut)
{
    return error_say(ETIMEDOUT, "serve: %u conversation%s did not end in time and %s canceled", cut,
                     cut == 1 ? "" : "s", cut == 1 ? "was" : "were");
}

/* Ends what runs. 0, or -1 with the failure said. */
static int drain(struct server *server, struct socket *listener)
{
    struct worker *first = &server->workers[0];
    struct fiber *me = server->acceptor;
    unsigned cut = 0, letters;
    bool all;

    server->cancelled |= me->cancelled;
    me->cancelled = false; /* it has work to do yet */
    me->interrupted = false;
    first->drain_until = deadline_after(fiber_now(), server->drain);
    accept_the_last(server, listener);
    tell_to_stop(server);
    worker_drain(first);
    all = wait_for_threads(server);
    letters = stop_delist(server);
    while (server->heard < letters)
        fiber_rest();
    me->interrupted = false; /* by a request that came while there was nothing left to stop */
    me->cancelled |= server->cancelled;
    for (unsigned i = 0; i < server->worker_count; i++)
        cut += server->workers[i].cut;
    if (all && !atomic_load(&first->load))
        destroy(server); /* else it is left to the handlers that go on */
    if (cut)
        return say_how_many(cut);
    return all ? 0 : error_say(ETIMEDOUT, "serve: a handler never waits, so it can't be stopped");
}

static int serve(struct server *server, struct socket *listener, unsigned workers)
{
    int failure = start_threads(server, workers);
    char sentence[SENTENCE_BYTES];
    int result;

    if (!failure) {
        failure = stop_enlist(server);
        if (failure) {
            dismiss(server);
            error_say(failure, "serve: the way to stop it could not be prepared: %s",
                      thread_reason(failure));
        }
    }
    if (failure) {
        destroy(server);
        return -1;
    }
    result = accept_clients(server, listener);
    if (!result)
        return drain(server, listener);
    failure = errno;
    snprintf(sentence, sizeof sentence, "%s", salut_error());
    drain(server, listener);
    return error_say(failure, "%s", sentence);
}

static int serve_entered(struct socket *listener,
                         void (*handler)(salut_sock *client, void *argument), void *argument,
                         const salut_serve_options *options)
{
    struct engine *e = scheduler_of_thread->engine;
    unsigned workers = options->workers ? options->workers : cores();
    struct server *server;
    int failure;

    if (!handler)
        return error_say(EINVAL, "serve: the handler is NULL");
    if (server_check(listener, "serve") || check_options(options))
        return -1;
    failure = e->calls->expect_letters(e);
    if (failure)
        return error_set(-failure, "serve");
    if (e->alone)
        workers = 1;
    server = create(options, workers);
    if (!server)
        return error_set(ENOMEM, "serve");
    server->handler = handler;
    server->argument = argument;
    server->kind = listener->kind;
    server->listener = listener->handle;
    return serve(server, listener, workers);
}

int salut_serve(salut_sock *listener, void (*handler)(salut_sock *client, void *argument),
                void *argument, const salut_serve_options *options)
{
    static const salut_serve_options defaults;
    struct socket *s = socket_enter(listener, "serve");
    int result;

    if (!s)
        return -1;
    result = serve_entered(s, handler, argument, options ? options : &defaults);
    socket_leave(s);
    return result;
}
