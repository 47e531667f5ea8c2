/* datagram.c: sendto and recvfrom, and send and recv on a socket for datagrams. */
#include "socket/datagram.h"
#include "base/error.h"
#include "socket/address.h"
#include "transport/descriptor.h"

#include <salut.h>

#include <errno.h>
#include <string.h>

ssize_t datagram_receive(struct socket *s, const char *word, void *buffer, size_t size,
                         salut_addr *from)
{
    int64_t result;

    if (!socket_size_fits(word, size, 1))
        return -1;
    if (s->endpoint.descriptor < 0) {
        if (socket_stands_on_failure(s, STEP_CONNECT + 1, word))
            return -1;
        return error_say(EINVAL, "%.*s: the socket has no address to receive at: bind first",
                         error_word_size(word), word);
    }
    if (s->receiving)
        return socket_failed(s, word, EBUSY);
    s->receiving = true;
    result = descriptor_receive_from(&s->endpoint, buffer, size, from, socket_deadline(s));
    s->receiving = false;
    if (result < 0)
        return socket_failed(s, word, (int)-result);
    if ((size_t)result > size)
        return error_say(EMSGSIZE, "%.*s: a datagram of %lld bytes came, and the buffer has %zu",
                         error_word_size(word), word, (long long)result, size);
    if (from)
        address_unmap(from);
    return (ssize_t)result;
}

ssize_t salut_recvfrom(salut_sock *handle, void *buffer, size_t size, salut_addr *from)
{
    struct socket *s = socket_enter(handle, "recvfrom");
    ssize_t received = -1;

    if (from)
        memset(from, 0, sizeof *from);
    if (!s)
        return -1;
    if (socket_is_stream(s))
        error_say(EOPNOTSUPP, "recvfrom: the socket is a stream: use recv");
    else
        received = datagram_receive(s, "recvfrom", buffer, size, from);
    if (from && received < 0)
        memset(from, 0, sizeof *from);
    socket_leave(s);
    return received;
}

/* Says what became of a datagram that was not sent. Always -1. */
static ssize_t not_sent(struct socket *s, const char *word, size_t size, salut_addr *to, int number)
{
    char name[SOCKET_NAME_BYTES];

    if (s->closed || !to)
        return socket_failed(s, word, number);
    address_text(to, name, sizeof name);
    if (number == EMSGSIZE)
        return error_say(EMSGSIZE, "%s %s: %zu bytes are too many for one datagram", word, name,
                         size);
    if (number == EACCES)
        return error_say(EACCES, "%s %s: not allowed (a broadcast needs SO_BROADCAST)", word, name);
    return error_set(number, "%s %s", word, name);
}

ssize_t datagram_send(struct socket *s, const char *word, const void *data, size_t size,
                      const salut_addr *to)
{
    int64_t deadline = socket_deadline(s);
    salut_addr address;
    int64_t result;

    if (!socket_size_fits(word, size, 0))
        return -1;
    if (!to && s->state != SOCKET_CONNECTED)
        return socket_not_connected(s, word);
    if (to) {
        address = *to;
        result = -EAFNOSUPPORT;
        if (socket_is_unix(s) == (address_family(to) == AF_UNIX))
            result = socket_open(s, address_family(to));
        if (result < 0)
            return not_sent(s, word, size, &address, (int)-result);
        if (s->dual)
            address_map(&address);
    }
    result = -socket_take_turn(s, deadline);
    if (!result) {
        result = descriptor_send_to(&s->endpoint, data, size, to ? &address : NULL, deadline);
        socket_pass_turn(s);
    }
    return result < 0 ? not_sent(s, word, size, to ? &address : NULL, (int)-result) : result;
}

ssize_t salut_sendto(salut_sock *handle, const void *data, size_t size, const salut_addr *to)
{
    struct socket *s = socket_enter(handle, "sendto");
    ssize_t sent = -1;

    if (!s)
        return -1;
    if (socket_is_stream(s))
        error_say(EOPNOTSUPP, "sendto: the socket is a stream: use send");
    else if (!to || !to->raw_size)
        error_say(EINVAL, "sendto: there is no address to send to");
    else
        sent = datagram_send(s, "send to", data, size, to);
    socket_leave(s);
    return sent;
}
