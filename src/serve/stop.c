/* stop.c: SIGINT, SIGTERM and salut_stop().
 *
 * A signal's handler may do next to nothing: it posts a semaphore. One thread of the process
 * waits on it and sends the letters. Servers that can be stopped are on a list, under a lock. */
#include "base/error.h"
#include "serve/serve.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct server *servers;
static unsigned signal_takers; /* servers among them that take signals */
static struct sigaction before_int, before_term;
static sem_t signals;
static bool started; /* the thread that waits for them */

static void on_signal(int number)
{
    int saved_errno = errno;

    (void)number;
    sem_post(&signals);
    errno = saved_errno;
}

/* The first request drains, the second doesn't wait for it. Under the lock. */
static void request(struct server *server)
{
    struct engine *e = server->engine;

    if (server->requests == 2)
        return;
    e->calls->post(e, server->requests == 0 ? &server->stop : &server->hurry);
    server->requests++;
}

/* Of an engine that is alone, or (NULL) of those whose world the process's signals reach. */
static void request_all(const struct engine *alone)
{
    pthread_mutex_lock(&lock);
    for (struct server *s = servers; s; s = s->next) {
        if (s->takes_signals && (alone ? s->engine == alone : !s->engine->alone))
            request(s);
    }
    pthread_mutex_unlock(&lock);
}

void stop_all_of(const struct engine *e)
{
    request_all(e);
}

static void *signal_thread(void *unused)
{
    (void)unused;
    for (;;) {
        while (sem_wait(&signals))
            continue;
        request_all(NULL);
    }
    return NULL;
}

/* Once in a process. errno. */
static int start_signal_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    int failure;

    if (started)
        return 0;
    sem_init(&signals, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&thread, NULL, signal_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return failure;
    pthread_detach(thread);
    started = true;
    return 0;
}

static void leave_signals(void)
{
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
}

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

/* A child process serves nobody: whoever forked was in a handler, and the rest is no more. */
static void in_child(void)
{
    if (signal_takers)
        leave_signals();
    signal_takers = 0;
    servers = NULL;
    started = false;
    pthread_mutex_unlock(&lock);
}

static int unwatched; /* errno: why a child would believe that it serves */

static void watch_forks(void)
{
    unwatched = pthread_atfork(before_fork, after_fork, in_child);
}

static int take_signals(const struct server *server)
{
    /* Not on the stack of the fiber that runs, if the thread has one for signals. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    int failure;

    if (server->engine->alone)
        return 0;
    failure = start_signal_thread();
    if (failure || signal_takers++)
        return failure;
    sigaction(SIGINT, &action, &before_int);
    sigaction(SIGTERM, &action, &before_term);
    return 0;
}

int stop_enlist(struct server *server)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int failure = 0;

    pthread_once(&once, watch_forks);
    if (unwatched)
        return unwatched;
    pthread_mutex_lock(&lock);
    if (server->takes_signals)
        failure = take_signals(server);
    if (!failure) {
        server->next = servers;
        servers = server;
    }
    pthread_mutex_unlock(&lock);
    return failure;
}

unsigned stop_delist(struct server *server)
{
    struct server **at = &servers;
    unsigned letters;

    pthread_mutex_lock(&lock);
    while (*at != server)
        at = &(*at)->next;
    *at = server->next;
    if (server->takes_signals && !server->engine->alone && --signal_takers == 0)
        leave_signals();
    letters = server->requests;
    pthread_mutex_unlock(&lock);
    return letters;
}

struct server *stop_take(const struct engine *e)
{
    struct server **at = &servers;
    struct server *found;

    pthread_mutex_lock(&lock);
    while (*at && (*at)->engine != e)
        at = &(*at)->next;
    found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&lock);
    return found;
}

int salut_stop(salut_sock *listener)
{
    bool found = false;

    if (!listener)
        return error_keep("stop");
    pthread_mutex_lock(&lock);
    for (struct server *s = servers; s; s = s->next) {
        if (s->listener == listener) {
            request(s);
            found = true;
        }
    }
    pthread_mutex_unlock(&lock);
    return found ? 0 : error_say(EINVAL, "stop: nobody is serving that listener");
}
