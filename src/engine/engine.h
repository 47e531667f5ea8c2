/* The engine: where bytes, clients and time come from. One interface, several worlds: the kernel
 * by epoll (epoll.c) today.
 *
 * It speaks of operations that complete, not of readiness. engine_start() says done or pending;
 * engine_poll() completes what it can and calls each operation's done(); engine_cancel() takes a
 * pending one back. An engine belongs to one thread and knows nothing of fibers: the scheduler
 * stands above it. This floor alone makes system calls on sockets.
 */
#ifndef SALUT_ENGINE_ENGINE_H
#define SALUT_ENGINE_ENGINE_H

#include "base/limits.h"

#include <salut.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One open socket, embedded in its owner, which must not move while it is open. */
struct endpoint {
    int descriptor; /* -1 when not open */
    bool stream;    /* a TCP stream: a short receive has emptied it */
    bool readable;  /* worth trying; false: wait for the engine's word */
    bool writable;
    bool alert;      /* an end, an error or urgent data: a short receive proves nothing any more */
    bool registered; /* the kernel tells the engine about it */
    bool shut_read;  /* a datagram that isn't there needn't be waited for */
    int lost;        /* errno, by which a call learnt that the connection is no more; 0 */
    struct operation *receiving; /* pending, or NULL */
    struct operation *sending;
};

enum operation_kind {
    OPERATION_RECEIVE,      /* at most size bytes of a stream; result: how many, 0 at its end */
    OPERATION_RECEIVE_FROM, /* one datagram; result: its true size, which may exceed size; 0 from
                             * nobody after a shutdown */
    OPERATION_ACCEPT,       /* result: the new descriptor, for engine_adopt() */
    OPERATION_SEND,    /* all of head and from, in one packet if they fit; result: their size */
    OPERATION_SEND_TO, /* one datagram */
    OPERATION_CONNECT, /* result: 0 */
    OPERATION_RESOLVE, /* the addresses of a name; result: 0 */
};

/* Up to ADDRESSES_MAX addresses of one name, without port, in the system's order. */
struct address_list {
    uint32_t count;
    salut_addr addresses[ADDRESSES_MAX];
};

/* One thing to be done. It lives in its caller until done() is called or it is cancelled. */
struct operation {
    enum operation_kind kind;
    struct endpoint *endpoint; /* all but RESOLVE */
    union {
        void *into;       /* RECEIVE, RECEIVE_FROM */
        const void *from; /* SEND, SEND_TO */
    };
    size_t size;
    const void *head; /* SEND: what goes before `from`; may be NULL */
    size_t head_size;
    size_t moved; /* SEND: bytes that were taken, on failure too */
    salut_addr
        *address; /* in for SEND_TO and CONNECT, out for the others; may be NULL, but for ACCEPT */
    const char *host;           /* RESOLVE: the name */
    struct address_list *found; /* RESOLVE: filled */
    void *lookup;               /* RESOLVE: the resolver's */
    int64_t result;             /* as said at each kind, or -errno */
    /* Called once, from poll or close; it must not close an endpoint. */
    void (*done)(struct operation *operation);
    void *owner; /* for done() */
};

/* A system says once that a connection is no more, to whoever calls first, and of the others a
 * receive only learns that nothing will come: as if the peer had ended in good order. So what a call
 * learns is noted as soon as it is done, before any other fiber runs. */
static inline void endpoint_note_loss(struct endpoint *ep, int64_t result)
{
    if (result == -ECONNRESET || result == -ETIMEDOUT || result == -EHOSTUNREACH ||
        result == -ENETUNREACH)
        ep->lost = (int)-result;
}

/* Something that another thread asks an engine's thread to do. */
struct letter {
    struct letter *next;
    void (*open)(struct letter *letter); /* called on the engine's thread */
};

/* Which file a path leads to. */
struct file_identity {
    uint64_t device, inode;
    bool is_socket;
};

struct engine {
    const struct engine_calls *calls;
    /* Its world has this one thread: no other may help, and no signal comes from outside. */
    bool alone;
};

/* Each returns 0 or -errno where not said otherwise. */
struct engine_calls {
    /* A new descriptor, non-blocking and close-on-exec. */
    int (*open)(struct engine *e, struct endpoint *ep, int family, int type);
    /* Two of them, connected to each other. */
    int (*open_pair)(struct engine *e, struct endpoint *a, struct endpoint *b);
    /* An endpoint around a descriptor that is open already. */
    int (*adopt)(struct engine *e, struct endpoint *ep, int descriptor, bool stream);
    /* Makes a descriptor from elsewhere fit to be adopted: non-blocking and close-on-exec. */
    int (*claim)(struct engine *e, int descriptor);
    /* Closes a descriptor that no endpoint has. */
    void (*drop)(struct engine *e, int descriptor);
    /* The open endpoint `from`, with nothing pending, goes on as `to`. */
    void (*move)(struct engine *e, struct endpoint *from, struct endpoint *to);
    int (*bind)(struct engine *e, struct endpoint *ep, const salut_addr *address);
    /* What a bind to a Unix path leaves in the file system: looked at, not followed; removed. */
    int (*identify)(struct engine *e, const char *path, struct file_identity *file);
    int (*unlink)(struct engine *e, const char *path);
    int (*listen)(struct engine *e, struct endpoint *ep, int backlog);
    int (*shutdown)(struct engine *e, struct endpoint *ep, int how);
    int (*set_option)(struct engine *e, struct endpoint *ep, int level, int name, int value);
    int (*get_option)(struct engine *e, struct endpoint *ep, int level, int name, int *value);
    /* This end's address, or the peer's. */
    int (*name)(struct engine *e, struct endpoint *ep, bool peer, salut_addr *address);
    /* Pending operations complete with -ECANCELED. */
    void (*close)(struct engine *e, struct endpoint *ep);

    /* true: done, see result (done() is not called). false: pending. */
    bool (*start)(struct engine *e, struct operation *operation);
    /* The operation is forgotten; done() will not be called. */
    void (*cancel)(struct engine *e, struct operation *operation);
    /* Completes what it can, waiting until then (NEVER, AT_ONCE) when there is nothing. false: it
     * went on with what it had learnt before, so that hardly any time has passed. */
    bool (*poll)(struct engine *e, int64_t until);
    int64_t (*now)(struct engine *e);
    /* To be called on the engine's thread before another may post to it. */
    int (*expect_letters)(struct engine *e);
    /* From any thread: has the letter opened by the engine's. */
    void (*post)(struct engine *e, struct letter *letter);
    /* Has the letter opened at that time, in a poll. One at a time: a new one takes the place of
     * the last. For what may be late or not come at all: polls that wait for ever cost no more. */
    int (*alarm)(struct engine *e, int64_t at, struct letter *letter);
    void (*destroy)(struct engine *e);
};

/* The kernel, by epoll. NULL and errno when it can't be had. */
struct engine *engine_epoll_create(void);

#endif
