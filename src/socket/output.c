/* output.c: gathering, and the two words for it.
 *
 * A thread keeps a list of the outputs that hold bytes. Before it looks at the network, each of
 * them is sent without waiting; what the system doesn't take at once goes on leaving as a pending
 * operation, which holds the socket's turn to send, while new sends are still gathered behind it.
 */
#include "socket/output.h"
#include "base/error.h"
#include "socket/stream.h"
#include "transport/descriptor.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More would not save a measurable share of the system calls. */
enum { OUTPUT_BYTES_MAX = 16 * 1024 * 1024 };

/* ---- The thread's list --------------------------------------------------------------------- */

void output_list(struct output *out)
{
    struct scheduler *s = scheduler_of_thread;

    out->listed = true;
    out->before = NULL;
    out->next = s->gathered;
    if (out->next)
        out->next->before = out;
    s->gathered = out;
}

static void unlist(struct output *out)
{
    if (!out->listed)
        return;
    out->listed = false;
    if (out->next)
        out->next->before = out->before;
    if (out->before)
        out->before->next = out->next;
    else
        scheduler_of_thread->gathered = out->next;
}

/* ---- Leaving without a fiber --------------------------------------------------------------- */

/* `send` is done: what was gathered behind it moves up. */
static void has_left(struct output *out)
{
    size_t left = out->send.size;

    if (out->send.result < 0) {
        endpoint_note_loss(&out->socket->endpoint, out->send.result);
        out->socket->send_failure = (int)-out->send.result;
        out->unsaid = true;
        out->size = 0;
        return;
    }
    out->size -= left;
    memmove(out->bytes, out->bytes + left, out->size);
    if (out->size)
        output_list(out);
}

static void on_done(struct operation *o)
{
    struct output *out = o->owner;

    out->leaving = false;
    has_left(out);
    socket_pass_turn(out->socket);
}

static void begin_to_leave(struct output *out)
{
    struct engine *e = scheduler_of_thread->engine;

    out->send = (struct operation){.kind = OPERATION_SEND,
                                   .endpoint = &out->socket->endpoint,
                                   .from = out->bytes,
                                   .size = out->size,
                                   .done = on_done,
                                   .owner = out};
    if (e->calls->start(e, &out->send)) {
        has_left(out);
        return;
    }
    out->leaving = true;
    out->socket->sending = true;
}

void output_push(struct output *out)
{
    unlist(out);
    if (out->size && !out->socket->sending) /* whoever has the turn sends it first */
        begin_to_leave(out);
}

static void send_gathered(struct scheduler *s)
{
    while (s->gathered)
        output_push(s->gathered);
}

/* ---- For a fiber that sends ---------------------------------------------------------------- */

int output_flush_in_turn(struct socket *s, int64_t deadline)
{
    struct output *out = s->output;
    int64_t result;
    size_t moved;

    if (s->send_failure) {
        int failure = out->unsaid ? s->send_failure : EPIPE; /* the reason is told once */
        out->unsaid = false;
        return -failure;
    }
    if (!out->size)
        return 0;
    unlist(out);
    result = descriptor_send(&s->endpoint, NULL, 0, out->bytes, out->size, deadline, &moved);
    out->size -= moved;
    if (result >= 0)
        return 0;
    memmove(out->bytes, out->bytes + moved, out->size);
    if (!s->closed && stream_is_whole((int)-result, deadline)) {
        output_list(out); /* nothing is lost: it goes on leaving later */
    } else {
        s->send_failure = (int)-result;
        out->size = 0;
    }
    return (int)result;
}

void output_forget(struct output *out)
{
    out->listed = false;
    out->leaving = false;
    out->size = 0;
}

void output_free(struct output *out)
{
    if (!out)
        return;
    unlist(out);
    free(out);
}

/* ---- The words ----------------------------------------------------------------------------- */

int output_flush(struct socket *s, const char *word)
{
    int64_t deadline = socket_deadline(s);
    int failure = socket_take_turn(s, deadline);
    bool broken;

    if (failure)
        return socket_failed(s, word, failure);
    broken = s->send_failure && !s->output->unsaid;
    failure = output_flush_in_turn(s, deadline);
    socket_pass_turn(s);
    if (broken && !s->closed)
        return stream_say_broken(s, word);
    return failure ? socket_failed(s, word, -failure) : 0;
}

int salut_flush(salut_sock *handle)
{
    struct socket *s = socket_enter(handle, "flush to");
    int result;

    if (!s)
        return -1;
    result = s->output ? output_flush(s, "flush to") : 0;
    socket_leave(s);
    return result;
}

static int set_buffer(struct socket *s, size_t bytes)
{
    struct output *out;

    if (!socket_is_stream(s))
        return error_say(EOPNOTSUPP, "set_buffer: datagrams can't be gathered");
    if (bytes > OUTPUT_BYTES_MAX)
        return error_say(EINVAL, "set_buffer: %zu bytes, and %d is the most", bytes,
                         OUTPUT_BYTES_MAX);
    if (s->output && output_flush(s, "set_buffer"))
        return -1;
    if (s->output && (s->output->size || s->sending))
        return error_say(EBUSY, "set_buffer: another fiber is sending on this socket");
    out = bytes ? malloc(sizeof *out + bytes) : NULL;
    if (bytes && !out)
        return error_set(ENOMEM, "set_buffer");
    output_free(s->output);
    s->output = out;
    if (!out)
        return 0;
    memset(out, 0, sizeof *out);
    out->socket = s;
    out->capacity = bytes;
    scheduler_of_thread->before_look = send_gathered;
    return 0;
}

int salut_set_buffer(salut_sock *handle, size_t bytes)
{
    struct socket *s = socket_enter(handle, "set_buffer");
    int result;

    if (!s)
        return -1;
    result = set_buffer(s, bytes);
    socket_leave(s);
    return result;
}
