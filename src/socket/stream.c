/* stream.c: send and recv. */
#include "socket/stream.h"
#include "base/error.h"
#include "socket/datagram.h"
#include "socket/input.h"
#include "socket/output.h"
#include "transport/descriptor.h"

#include <salut.h>

#include <errno.h>

/* The system's own ETIMEDOUT (the peer's machine is gone) is another matter than the end of our
 * patience. */
bool stream_is_whole(int number, int64_t deadline)
{
    switch (number) {
    case EAGAIN:
    case EBUSY:
    case ECANCELED:
    case EFAULT:
    case EINVAL:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC: /* epoll's limit of watches */
        return true;
    case ETIMEDOUT:
        return deadline != NEVER && fiber_now() >= deadline;
    default:
        return false;
    }
}

/* ---- recv ---------------------------------------------------------------------------------- */

ssize_t stream_receive(struct socket *s, const char *word, void *buffer, size_t size,
                       int64_t deadline)
{
    if (input_size(s) && !s->receiving)
        return (ssize_t)input_take(s->input, buffer, size);
    return stream_receive_new(s, word, buffer, size, deadline);
}

ssize_t stream_receive_new(struct socket *s, const char *word, void *buffer, size_t size,
                           int64_t deadline)
{
    int64_t result;

    if (s->state != SOCKET_CONNECTED)
        return socket_not_connected(s, word);
    if (s->receive_failure)
        return socket_failed(s, word, s->receive_failure);
    if (s->receiving)
        return socket_failed(s, word, EBUSY);
    if (socket_is_overdue(s))
        return socket_failed(s, word, ETIMEDOUT);
    s->receiving = true;
    result = descriptor_receive(&s->endpoint, buffer, size, deadline);
    s->receiving = false;
    if (result == 0 && s->endpoint.lost)
        result = -s->endpoint.lost;
    if (result >= 0)
        return (ssize_t)result;
    if (!stream_is_whole((int)-result, deadline))
        s->receive_failure = (int)-result;
    return socket_failed(s, word, (int)-result);
}

ssize_t salut_recv(salut_sock *handle, void *buffer, size_t size)
{
    struct socket *s = socket_enter(handle, "recv from");
    ssize_t received = -1;

    if (!s)
        return -1;
    if (!socket_is_stream(s))
        received = datagram_receive(s, "recv from", buffer, size, NULL);
    else if (socket_size_fits("recv", size, 1))
        received = stream_receive(s, "recv from", buffer, size, socket_deadline(s));
    socket_leave(s);
    return received;
}

/* ---- send ---------------------------------------------------------------------------------- */

int stream_say_broken(struct socket *s, const char *word)
{
    char name[SOCKET_NAME_BYTES];

    return error_say(EPIPE, "%s %s: the connection broke in an earlier send (%s)", word,
                     socket_name(s, name, sizeof name), error_reason(s->send_failure));
}

static ssize_t send_in_turn(struct socket *s, const char *word, const void *head, size_t head_size,
                            const void *data, size_t size, int64_t deadline)
{
    size_t moved;
    int64_t result;

    if (s->send_failure)
        return stream_say_broken(s, word);
    result = descriptor_send(&s->endpoint, head, head_size, data, size, deadline, &moved);
    if (result >= 0)
        return (ssize_t)result;
    if (moved || !stream_is_whole((int)-result, deadline))
        s->send_failure = (int)-result;
    return socket_failed(s, word, (int)-result);
}

/* What doesn't fit beside the gathered bytes sends them on first. Then it is gathered itself, or
 * sent from where it lies when it is too big for that. */
static ssize_t send_gathering(struct socket *s, const char *word, const void *head,
                              size_t head_size, const void *data, size_t size, int64_t deadline)
{
    int failure = output_flush_in_turn(s, deadline);

    if (failure && s->send_failure && !s->closed)
        return send_in_turn(s, word, head, head_size, data, size, deadline);
    if (failure)
        return socket_failed(s, word, -failure);
    if (head_size + size > s->output->capacity)
        return send_in_turn(s, word, head, head_size, data, size, deadline);
    output_append(s->output, head, head_size);
    output_append(s->output, data, size);
    return (ssize_t)(head_size + size);
}

ssize_t stream_send(struct socket *s, const char *word, const void *head, size_t head_size,
                    const void *data, size_t size, int64_t deadline)
{
    ssize_t sent;
    int reason;

    if (s->state != SOCKET_CONNECTED)
        return socket_not_connected(s, word);
    if (!data && size)
        return error_say(EINVAL, "%.*s: the data is NULL", error_word_size(word), word);
    if (socket_is_overdue(s))
        return socket_failed(s, word, ETIMEDOUT);
    if (head_size + size == 0)
        return 0;
    if (!s->send_failure && output_fits(s, head_size + size)) {
        output_append(s->output, head, head_size);
        output_append(s->output, data, size);
        return (ssize_t)(head_size + size);
    }
    reason = socket_take_turn(s, deadline);
    if (reason)
        return socket_failed(s, word, reason);
    if (s->output)
        sent = send_gathering(s, word, head, head_size, data, size, deadline);
    else
        sent = send_in_turn(s, word, head, head_size, data, size, deadline);
    socket_pass_turn(s);
    return sent;
}

ssize_t salut_send(salut_sock *handle, const void *data, size_t size)
{
    struct socket *s = socket_enter(handle, "send to");
    ssize_t sent = -1;

    if (!s)
        return -1;
    if (!socket_is_stream(s))
        sent = datagram_send(s, "send to", data, size, NULL);
    else if (socket_size_fits("send", size, 0))
        sent = stream_send(s, "send to", NULL, 0, data, size, socket_deadline(s));
    socket_leave(s);
    return sent;
}
