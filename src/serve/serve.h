/* A server: one thread accepts, several serve.
 *
 * The thread that calls salut_serve() is the first worker. It accepts, and gives each client to
 * the worker with the fewest: a descriptor in a letter. So there is one queue of clients and one
 * place to stop: draining takes what waits in the backlog, then tells the workers. Everything
 * below belongs to the first worker's thread, unless it says otherwise.
 */
#ifndef SALUT_SERVE_SERVE_H
#define SALUT_SERVE_SERVE_H

#include "fiber/scheduler.h"

#include <salut.h>

#include <pthread.h>
#include <stdatomic.h>

struct client;
struct arrival;

/* One thread of a server. */
struct worker {
    struct server *server;
    pthread_t thread;                 /* not the first's */
    struct engine *engine;            /* set before `ready` is said, for letters */
    atomic_uint load;                 /* clients here, and on their way here; any thread */
    struct letter stop, hurry, leave; /* from the first worker's thread */
    struct letter finished, room;     /* to it */
    atomic_bool room_said;            /* `room` is on its way */
    bool is_finished;                 /* the first worker's thread knows */

    /* The worker's own thread's: */
    struct stack_pool stacks;
    struct client *clients;   /* those whose fibers run */
    struct arrival *arrivals; /* those to begin, oldest first */
    struct fiber_queue waits; /* for a client to come or to leave, or for a letter */
    bool stopping, leaving;
    int64_t drain_until;
    unsigned cut; /* canceled, since they did not end by themselves */
};

struct server {
    void (*handler)(salut_sock *client, void *argument);
    void *argument;
    int kind; /* of the clients' sockets */
    unsigned connections_max;
    unsigned worker_count;
    size_t stack_bytes;
    int64_t idle, request, drain; /* nanoseconds; NEVER */
    struct engine *engine;        /* the first worker's */
    struct fiber *acceptor;
    atomic_bool full; /* the acceptor waits for any client to leave; any thread */
    bool stopping;
    bool cancelled; /* the acceptor was, while it had work to do yet */
    bool told;      /* the other workers were told to stop */
    unsigned heard; /* of the requests to stop */

    /* stop.c's: */
    const salut_sock *listener;
    struct server *next;
    unsigned requests; /* to stop */
    bool takes_signals;
    struct letter stop, hurry;

    /* While the threads start: */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned started;
    int failure; /* errno, why one could not */

    struct worker workers[];
};

/* ---- worker.c ------------------------------------------------------------------------------ */

/* Begins a conversation on this thread, the worker's own; its load counts it already. */
void worker_begin(struct worker *w, int descriptor, const salut_addr *peer);

/* The same on the worker's thread. false: no memory for the letter. */
bool worker_hand_over(struct worker *w, int descriptor, const salut_addr *peer);

/* Waits in line until then, or for less. When the acceptor is canceled meanwhile, that is kept
 * for later: it has others to wait for. */
void worker_wait(struct worker *w, int64_t until);

/* Lets the clients end by themselves until w->drain_until, then cancels them. */
void worker_drain(struct worker *w);

/* A worker's thread, from its beginning to its end. */
void *worker_thread(void *worker);

/* ---- stop.c -------------------------------------------------------------------------------- */

/* From now on signals and salut_stop() find the server: its letters come to its engine. errno
 * EAGAIN when the thread for signals can't be started, ENOMEM. */
int stop_enlist(struct server *server);

/* Afterwards no letter is sent. How many were, one or two of which may still be on their way. */
unsigned stop_delist(struct server *server);

/* What a signal does, to the servers of one engine that is alone: no real one reaches them. */
void stop_all_of(const struct engine *e);

/* A server of this engine is taken off the list; NULL when there is none. */
struct server *stop_take(const struct engine *e);

/* ---- serve.c ------------------------------------------------------------------------------- */

/* The engine's world goes under with all its fibers: its servers are freed. */
void serve_forget(const struct engine *e);

#endif
