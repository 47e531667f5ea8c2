/* message.c: messages with their length before them: 4 bytes, big-endian, then so many bytes. A
 * received message is a view into the socket's own room: no copy, no allocation. */
#include "base/error.h"
#include "framing/framing.h"
#include "socket/input.h"
#include "socket/output.h"
#include "socket/stream.h"

#include <salut.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum {
    HEADER_BYTES = 4,
    /* What is larger is better sent in pieces: both ends would have to hold it whole. */
    MESSAGE_BYTES_MAX = 16 * 1024 * 1024,
};

/* ---- recv_message -------------------------------------------------------------------------- */

static size_t announced(const struct input *in)
{
    uint32_t size;

    memcpy(&size, in->bytes + in->begin, HEADER_BYTES);
    return ntohl(size);
}

static void *too_long(struct socket *s, const char *word, size_t size, size_t limit)
{
    char name[SOCKET_NAME_BYTES];

    error_say(EMSGSIZE,
              "%s %s: a message of %zu bytes is announced, and %zu is the most (salut_set_limit)",
              word, socket_name(s, name, sizeof name), size, limit);
    return NULL;
}

/* The next message, if all of it is there. */
static inline void *cut_message(struct input *in, size_t limit, size_t *size)
{
    size_t have = in->end - in->begin;
    size_t length;

    if (have < HEADER_BYTES)
        return NULL;
    length = announced(in);
    if (length > limit || have - HEADER_BYTES < length)
        return NULL;
    in->begin += HEADER_BYTES + length;
    *size = length;
    return in->bytes + in->begin - length;
}

static void *receive_message(struct socket *s, const char *word, size_t *size)
{
    size_t limit = framing_limit(s, MESSAGE_BYTES_MAX);
    int64_t deadline = socket_deadline(s);
    struct input *in = input_of(s, word);
    void *message;

    while (in) {
        size_t have = in->end - in->begin;
        size_t length = have < HEADER_BYTES ? 0 : announced(in);
        ssize_t received;

        if (length > limit)
            return too_long(s, word, length, limit);
        received = input_fill(s, word, HEADER_BYTES + length, deadline);
        if (received == 0)
            framing_end(s, word, have, "message");
        if (received <= 0)
            return NULL;
        message = cut_message(in, limit, size);
        if (message)
            return message;
    }
    return NULL;
}

static void *receive_entered(salut_sock *handle, size_t *size)
{
    struct socket *s = framing_enter_receiver(handle, "recv_message from");
    void *message;

    *size = 0;
    if (!s)
        return NULL;
    message = receive_message(s, "recv_message from", size);
    message = framing_keep(s, "recv_message from", message, size);
    socket_leave(s);
    return message;
}

void *salut_recv_message(salut_sock *handle, size_t *size)
{
    struct socket *s = socket_find(handle);
    void *message = NULL;
    size_t unwanted;

    if (!size)
        size = &unwanted;
    if (s && s->input && !s->receiving)
        message = cut_message(s->input, framing_limit(s, MESSAGE_BYTES_MAX), size);
    return message ? message : receive_entered(handle, size);
}

/* ---- send_message -------------------------------------------------------------------------- */

static ssize_t send_entered(salut_sock *handle, uint32_t header, const void *data, size_t size)
{
    struct socket *s = framing_enter_sender(handle, "send_message to");
    ssize_t sent = -1;

    if (!s)
        return -1;
    if (size > framing_limit(s, MESSAGE_BYTES_MAX))
        error_say(EMSGSIZE, "send_message: %zu bytes, and %zu is the most (salut_set_limit)", size,
                  framing_limit(s, MESSAGE_BYTES_MAX));
    else
        sent = stream_send(s, "send_message to", &header, HEADER_BYTES, data, size,
                           socket_deadline(s));
    socket_leave(s);
    return sent < 0 ? -1 : (ssize_t)size;
}

ssize_t salut_send_message(salut_sock *handle, const void *data, size_t size)
{
    struct socket *s = socket_find(handle);
    uint32_t header = htonl((uint32_t)size);

    if (s && size <= framing_limit(s, MESSAGE_BYTES_MAX) &&
        output_gather(s, &header, HEADER_BYTES, data, size))
        return (ssize_t)size;
    return send_entered(handle, header, data, size);
}
