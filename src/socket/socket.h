/* The socket: one record, the words' common ground. A word enters (is the handle good?), does its
 * work, and leaves; the record outlives salut_close() until the last fiber has left. */
#ifndef SALUT_SOCKET_SOCKET_H
#define SALUT_SOCKET_SOCKET_H

#include "base/clock.h"
#include "engine/engine.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum socket_state {
    SOCKET_NEW, /* perhaps bound */
    SOCKET_LISTENING,
    SOCKET_CONNECTED,
};

/* The words that give a socket its place, for the failure that is kept until one succeeds. */
enum socket_step { STEP_NONE, STEP_BIND, STEP_LISTEN, STEP_CONNECT };

/* What every receive and send looks at comes first, in the first two lines of the cache. */
struct socket {
    _Alignas(CACHE_LINE_BYTES) struct endpoint endpoint;
    unsigned users;      /* calls under way */
    int receive_failure; /* errno that every further receive gives */
    int send_failure;    /* errno that broke the sending side; then it is EPIPE */
    uint8_t kind;        /* enum salut_kind */
    uint8_t state;       /* enum socket_state */
    bool closed;
    bool sending;
    bool receiving;
    bool bound;
    bool dual;             /* an IPv6 socket that speaks IPv4 too */
    uint8_t failed_step;   /* enum socket_step */
    int64_t timeout;       /* nanoseconds; NEVER, 0 */
    int64_t end_at;        /* when the conversation must be over, whatever each call takes; NEVER */
    struct input *input;   /* what came and wasn't asked for yet; NULL: nothing ever did */
    struct output *output; /* sends that gather; NULL: they don't */
    struct fiber_queue senders; /* waiting for their turn */
    void *handle;
    struct socket *next, *before;   /* of the thread's records */
    size_t limit;                   /* bytes in a line or a message; 0: the default */
    void *worker;                   /* floor 7's, of a client that is served; NULL */
    struct fiber *stepper;          /* in bind, connect or a pause of accept; NULL */
    char *path;                     /* bound here, to be unlinked; NULL if none */
    struct file_identity path_file; /* made there, so that no other's is unlinked */
    int failure;                    /* errno of the step that failed, 0 when none did */
    unsigned nth_failure;           /* that step's, of the thread's */
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } peer; /* for sentences; family 0: none, or not of the Internet */
};

/* A record without descriptor, with its handle; NULL and errno ENOMEM. */
struct socket *socket_create(int kind);

/* What socket_create() made, when it comes to nothing. */
void socket_discard(struct socket *s);

/* The cold side of socket_enter(): says what is wrong with the handle. Always NULL. */
struct socket *socket_refuse_handle(const salut_sock *handle, const char *word);

/* The record, or NULL: for what is over before another fiber runs, and needs not enter. */
static inline struct socket *socket_find(const salut_sock *handle)
{
    struct scheduler *scheduler = scheduler_of_thread;

    return scheduler ? handle_object(&scheduler->sockets, handle) : NULL;
}

static inline struct socket *socket_enter(const salut_sock *handle, const char *word)
{
    struct socket *s = socket_find(handle);

    if (!s)
        return socket_refuse_handle(handle, word);
    s->users++;
    return s;
}

void socket_free(struct socket *s);

static inline void socket_leave(struct socket *s)
{
    if (--s->users == 0 && s->closed)
        socket_free(s);
}

static inline int64_t socket_deadline(const struct socket *s)
{
    int64_t deadline;

    if (s->timeout == NEVER)
        return s->end_at;
    if (s->timeout == 0)
        return AT_ONCE;
    deadline = deadline_after(fiber_now(), s->timeout);
    return deadline < s->end_at ? deadline : s->end_at;
}

/* The conversation's time is over: even a call that needn't wait fails. */
static inline bool socket_is_overdue(const struct socket *s)
{
    return s->end_at != NEVER && fiber_now() >= s->end_at;
}

static inline bool socket_is_stream(const struct socket *s)
{
    return s->kind == SALUT_TCP || s->kind == SALUT_UNIX;
}

static inline bool socket_is_unix(const struct socket *s)
{
    return s->kind == SALUT_UNIX || s->kind == SALUT_UNIX_DATAGRAM;
}

/* Opens the descriptor, unless there is one. -errno. */
int socket_open(struct socket *s, int family);

/* The turn to send, in the order they came: handed over, never up for grabs. errno, or 0. */
int socket_take_turn(struct socket *s, int64_t deadline);
void socket_pass_turn(struct socket *s);

/* Closes it: the socket is as new, but for its timeout. */
void socket_reset(struct socket *s);

/* A fiber is in a word that waits and isn't an operation on the endpoint: close interrupts it. */
static inline void socket_begin_step(struct socket *s)
{
    s->stepper = fiber_current();
}

static inline void socket_end_step(struct socket *s)
{
    s->stepper->interrupted = false;
    s->stepper = NULL;
}

/* A step failed: words that need it give the same failure until it succeeds. Always -1. */
int socket_step_failed(struct socket *s, enum socket_step step);

void socket_step_done(struct socket *s, enum socket_step step);

/* The step that this word stands on failed earlier: true, and that failure is kept. */
bool socket_stands_on_failure(const struct socket *s, enum socket_step step, const char *word);

/* The word needs a connection and there is none. Always -1. */
int socket_not_connected(const struct socket *s, const char *word);

/* The other end's address for a sentence, or this one's, or "". */
const char *socket_name(struct socket *s, char *text, size_t size);

enum { SOCKET_NAME_BYTES = 2 * 112 };

/* A failure on the socket: "word name: reason"; a socket closed meanwhile is said to be. -1. */
int socket_failed(struct socket *s, const char *word, int number);

/* size may be received or sent at once; else EINVAL and false. */
bool socket_size_fits(const char *word, size_t size, size_t least);

#endif
