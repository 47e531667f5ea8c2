/* exactly.c: so many bytes, however many pieces they come in. */
#include "base/error.h"
#include "socket/input.h"
#include "socket/socket.h"
#include "socket/stream.h"

#include <salut.h>

#include <errno.h>

/* The peer or the clock came between. While the stream is good, what came goes back to it; else
 * the sentence says how much there was. Without memory to put it in, the stream is good no more: a
 * further receive would give the rest as if it were all. Always -1. */
static ssize_t cut_short(struct socket *s, const char *buffer, size_t have, size_t size)
{
    int failure = errno;

    if (!s->receive_failure && input_give_back(s, buffer, have)) {
        errno = failure;
        return -1;
    }
    if (!s->receive_failure)
        failure = s->receive_failure = ENOMEM;
    return error_say(failure, "recv_exactly: %zu of %zu bytes came, then: %s", have, size,
                     error_reason(failure));
}

static ssize_t receive_exactly(struct socket *s, char *buffer, size_t size)
{
    const char *word = "recv_exactly from";
    int64_t deadline = socket_deadline(s);
    size_t have = 0;

    while (have < size) {
        ssize_t received;

        if (have && fiber_is_late(deadline))
            received = socket_failed(s, word, ETIMEDOUT);
        else
            received = stream_receive(s, word, buffer + have, size - have, deadline);
        if (received > 0)
            have += (size_t)received;
        else if (have == 0)
            return received;
        else if (received < 0)
            return cut_short(s, buffer, have, size);
        else
            return error_say(EPROTO, "recv_exactly: the peer ended after %zu of %zu bytes", have,
                             size);
    }
    return (ssize_t)size;
}

ssize_t salut_recv_exactly(salut_sock *handle, void *buffer, size_t size)
{
    struct socket *s = socket_enter(handle, "recv_exactly");
    ssize_t received = -1;

    if (!s)
        return -1;
    if (!socket_is_stream(s))
        error_say(EOPNOTSUPP, "recv_exactly: a datagram comes whole: use recv");
    else if (socket_size_fits("recv_exactly", size, 1))
        received = receive_exactly(s, buffer, size);
    socket_leave(s);
    return received;
}
