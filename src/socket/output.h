/* Sends that gather: many small ones, one system call. Gathered bytes leave when the buffer is
 * full, before the thread next looks at the network (so before the fiber that sent them can have
 * waited for anything), at salut_flush(), or at close. */
#ifndef SALUT_SOCKET_OUTPUT_H
#define SALUT_SOCKET_OUTPUT_H

#include "socket/socket.h"

#include <string.h>

struct output {
    struct socket *socket;
    struct output *next, *before; /* of this thread's that hold bytes */
    bool listed;
    bool leaving; /* `send` is under way, and has the turn to send */
    bool unsaid;  /* it failed, and no word has said so yet */
    size_t size;  /* bytes gathered, with those that are leaving */
    size_t capacity;
    struct operation send;
    unsigned char bytes[];
};

/* Room for so many bytes right now? Then the caller may append without taking a turn. */
static inline bool output_fits(const struct socket *s, size_t size)
{
    const struct output *out = s->output;

    return out && (!s->sending || out->leaving) && !s->senders.first &&
           size <= out->capacity - out->size;
}

/* On the list of those that hold bytes. */
void output_list(struct output *out);

/* Adds bytes that fit. */
static inline void output_append(struct output *out, const void *bytes, size_t size)
{
    if (!size)
        return;
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
    if (!out->listed && !out->leaving)
        output_list(out);
}

/* What nearly every send of a socket that gathers comes to: head and data are put with the others.
 * false: it isn't as simple as that, and nothing was done. */
static inline bool output_gather(struct socket *s, const void *head, size_t head_size,
                                 const void *data, size_t size)
{
    struct output *out = s->output;
    unsigned char *at;

    if (!output_fits(s, head_size + size) || !data || s->send_failure ||
        s->state != SOCKET_CONNECTED || s->end_at != NEVER)
        return false;
    at = out->bytes + out->size;
    memcpy(at, head, head_size);
    memcpy(at + head_size, data, size);
    out->size += head_size + size;
    if (!out->listed && !out->leaving)
        output_list(out);
    return true;
}

/* Lets the gathered bytes leave without waiting, if nobody is sending. */
void output_push(struct output *out);

/* Sends what is gathered, after what is being sent; says what failed. */
int output_flush(struct socket *s, const char *word);

/* Sends what is gathered; the caller has the turn. -errno, and the stream is broken, or 0. */
int output_flush_in_turn(struct socket *s, int64_t deadline);

/* Nothing is gathered or under way any more: another process sends it. */
void output_forget(struct output *out);

/* The socket closes or stops gathering: what is left is dropped. */
void output_free(struct output *out);

#endif
