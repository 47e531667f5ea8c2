/* stream.c: send and recv. */
#include "socket/stream.h"
#include "base/error.h"
#include "socket/datagram.h"
#include "transport/descriptor.h"

#include <salut.h>

#include <errno.h>

/* The stream is as good as before: the call was given up, or could not be made. The system's own
 * ETIMEDOUT (the peer's machine is gone) is another matter than the end of our patience. */
static bool is_passing(int number, int64_t deadline)
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
    int64_t result;

    if (s->state != SOCKET_CONNECTED)
        return socket_not_connected(s, word);
    if (s->receive_failure)
        return socket_failed(s, word, s->receive_failure);
    if (s->receiving)
        return socket_failed(s, word, EBUSY);
    s->receiving = true;
    result = descriptor_receive(&s->endpoint, buffer, size, deadline);
    s->receiving = false;
    if (result >= 0)
        return (ssize_t)result;
    if (!is_passing((int)-result, deadline))
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

/* Senders take turns in the order they came: the turn is handed over, never up for grabs. */
static int take_turn(struct socket *s, int64_t deadline)
{
    int reason;

    if (!s->sending) {
        s->sending = true;
        return 0;
    }
    reason = fiber_park_in(&s->senders, deadline);
    return reason || !s->closed ? reason : ECANCELED;
}

static void pass_turn(struct socket *s)
{
    if (s->senders.first)
        fiber_wake_first(&s->senders);
    else
        s->sending = false;
}

static ssize_t send_in_turn(struct socket *s, const char *word, const void *data, size_t size,
                            int64_t deadline)
{
    size_t moved;
    int64_t result;
    char name[SOCKET_NAME_BYTES];

    if (s->send_failure)
        return error_say(EPIPE, "%s %s: the connection broke in an earlier send (%s)", word,
                         socket_name(s, name, sizeof name), error_reason(s->send_failure));
    result = descriptor_send(&s->endpoint, data, size, deadline, &moved);
    if (result >= 0)
        return (ssize_t)result;
    if (moved || !is_passing((int)-result, deadline))
        s->send_failure = (int)-result;
    return socket_failed(s, word, (int)-result);
}

ssize_t stream_send(struct socket *s, const char *word, const void *data, size_t size,
                    int64_t deadline)
{
    ssize_t sent;
    int reason;

    if (s->state != SOCKET_CONNECTED)
        return socket_not_connected(s, word);
    if (size == 0)
        return 0;
    reason = take_turn(s, deadline);
    if (reason)
        return socket_failed(s, word, reason);
    sent = send_in_turn(s, word, data, size, deadline);
    pass_turn(s);
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
        sent = stream_send(s, "send to", data, size, socket_deadline(s));
    socket_leave(s);
    return sent;
}
