/* resolver.c: a few threads that call getaddrinfo().
 *
 * A lookup is a record of its own, because the fiber that asked may give up (timeout, cancel)
 * while getaddrinfo() can't be stopped. The record is on the list of all lookups while it is
 * queued or running; then it travels as a letter to the engine's thread, which completes the
 * operation, if there still is one, and frees it. One lock guards the list and each lookup's
 * `engine`; `operation` is touched by the engine's thread only. */
#include "engine/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    struct letter letter; /* first: a letter's address is its lookup's */
    struct engine *engine;
    struct operation *operation; /* NULL: nobody wants the answer any more */
    struct lookup *next;
    bool running;
    int result;
    struct address_list found;
    char host[HOST_NAME_BYTES_MAX + 1];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct lookup *lookups; /* queued and running, oldest first */
static unsigned threads;
static unsigned idle_threads;
static unsigned queued; /* lookups that no thread has taken yet */

static struct lookup *first_queued(void)
{
    struct lookup *l = lookups;

    while (l && l->running)
        l = l->next;
    return l;
}

static void enlist(struct lookup *l)
{
    struct lookup **end = &lookups;

    while (*end)
        end = &(*end)->next;
    *end = l;
}

static void delist(struct lookup *l)
{
    struct lookup **at = &lookups;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

static bool is_listed(const struct lookup *l)
{
    const struct lookup *at = lookups;

    while (at && at != l)
        at = at->next;
    return at != NULL;
}

static void drop_queued(struct lookup *l)
{
    queued--;
    delist(l);
    free(l);
}

static int lookup_errno(int code)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_AGAIN:
    case EAI_FAIL:
        return EHOSTUNREACH;
    case EAI_MEMORY:
        return ENOMEM;
    case EAI_SYSTEM:
        return errno ? errno : EIO;
    default:
        return ENOENT;
    }
}

static void look_up(struct lookup *l)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    l->result = -lookup_errno(getaddrinfo(l->host, NULL, &hints, &list));
    for (struct addrinfo *a = list; a && l->found.count < ADDRESSES_MAX; a = a->ai_next) {
        salut_addr *address = &l->found.addresses[l->found.count];
        if (a->ai_addrlen > sizeof address->raw)
            continue;
        memcpy(&address->raw, a->ai_addr, a->ai_addrlen);
        address->raw_size = a->ai_addrlen;
        l->found.count++;
    }
    if (list)
        freeaddrinfo(list);
    if (!l->result && !l->found.count)
        l->result = -ENOENT;
}

static void deliver(struct letter *letter)
{
    struct lookup *l = (struct lookup *)letter;
    struct operation *operation = l->operation;

    if (operation) {
        *operation->found = l->found;
        operation->result = l->result;
        operation->lookup = NULL;
    }
    free(l);
    if (operation)
        operation->done(operation);
}

static void *resolver_thread(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct lookup *l = first_queued();
        if (!l) {
            idle_threads++;
            pthread_cond_wait(&work, &lock);
            idle_threads--;
            continue;
        }
        l->running = true;
        queued--;
        pthread_mutex_unlock(&lock);
        look_up(l);
        pthread_mutex_lock(&lock);
        delist(l);
        if (l->engine)
            l->engine->calls->post(l->engine, &l->letter);
        else
            free(l);
    }
    return NULL;
}

/* ---- In a child process -------------------------------------------------------------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

/* The threads are no more, nor are the fibers that asked. */
static void in_child(void)
{
    pthread_cond_init(&work, NULL);
    threads = idle_threads = queued = 0;
    while (lookups) {
        struct lookup *l = lookups;
        lookups = l->next;
        free(l);
    }
    pthread_mutex_unlock(&lock);
}

static int unwatched; /* errno: why a fork might leave the child without its lookups */

static void watch_forks(void)
{
    unwatched = pthread_atfork(before_fork, after_fork, in_child);
}

/* -------------------------------------------------------------------------------------------- */

/* Signals are for the program's own threads: this one takes none. */
static int start_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    int failure;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&thread, NULL, resolver_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return failure == EAGAIN ? -ENOBUFS : -failure; /* EAGAIN is about waiting here */
    pthread_detach(thread);
    threads++;
    return 0;
}

int resolver_start(struct engine *e, struct operation *operation)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct lookup *l;
    int failure = 0;

    pthread_once(&once, watch_forks);
    if (unwatched)
        return -unwatched;
    l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->letter.open = deliver;
    l->engine = e;
    l->operation = operation;
    strncpy(l->host, operation->host, HOST_NAME_BYTES_MAX);

    pthread_mutex_lock(&lock);
    if (queued >= idle_threads && threads < RESOLVER_THREADS_MAX)
        failure = start_thread();
    if (failure && threads)
        failure = 0; /* those that run will come to it */
    if (!failure) {
        enlist(l);
        queued++;
        operation->lookup = l;
        pthread_cond_signal(&work);
    }
    pthread_mutex_unlock(&lock);
    if (failure)
        free(l);
    return failure;
}

void resolver_cancel(struct operation *operation)
{
    struct lookup *l = operation->lookup;

    if (!l)
        return;
    operation->lookup = NULL;
    l->operation = NULL;
    pthread_mutex_lock(&lock);
    if (is_listed(l) && !l->running) /* else it may be on its way already */
        drop_queued(l);
    pthread_mutex_unlock(&lock);
}

void resolver_forget(struct engine *e)
{
    struct lookup *next;

    pthread_mutex_lock(&lock);
    for (struct lookup *l = lookups; l; l = next) {
        next = l->next;
        if (l->engine != e)
            continue;
        if (l->running)
            l->engine = NULL;
        else
            drop_queued(l);
    }
    pthread_mutex_unlock(&lock);
}
