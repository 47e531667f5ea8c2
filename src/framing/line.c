/* line.c: text, a line at a time. A received line is a view into the socket's own room: no copy,
 * no allocation. */
#include "base/error.h"
#include "framing/framing.h"
#include "socket/input.h"
#include "socket/stream.h"

#include <salut.h>

#include <errno.h>
#include <string.h>

/* A longer line is seldom text, and often an attack. */
enum { LINE_BYTES_MAX = 64 * 1024 };

/* ---- recv_line ----------------------------------------------------------------------------- */

static char *too_long(struct socket *s, const char *word, size_t limit)
{
    char name[SOCKET_NAME_BYTES];

    error_say(EMSGSIZE, "%s %s: a line is longer than %zu bytes (salut_set_limit)", word,
              socket_name(s, name, sizeof name), limit);
    return NULL;
}

/* The line that ends at `newline`, without its CR LF. */
static char *cut_line(struct socket *s, const char *word, unsigned char *newline, size_t *size)
{
    struct input *in = s->input;
    unsigned char *line = in->bytes + in->begin;
    size_t length = (size_t)(newline - line);
    size_t limit = framing_limit(s, LINE_BYTES_MAX);

    if (length && line[length - 1] == '\r')
        length--;
    if (length > limit)
        return too_long(s, word, limit);
    line[length] = '\0';
    in->begin = (size_t)(newline - in->bytes) + 1;
    *size = length;
    return (char *)line;
}

static char *receive_line(struct socket *s, const char *word, size_t *size)
{
    size_t limit = framing_limit(s, LINE_BYTES_MAX);
    int64_t deadline = socket_deadline(s);
    struct input *in = input_of(s, word);
    size_t seen = 0; /* bytes that hold no newline */

    while (in) {
        size_t have = in->end - in->begin;
        unsigned char *newline = NULL;
        ssize_t received;

        if (have > seen)
            newline = memchr(in->bytes + in->begin + seen, '\n', have - seen);
        if (newline)
            return cut_line(s, word, newline, size);
        if (have > limit + 1 || (have == limit + 1 && in->bytes[in->end - 1] != '\r'))
            return too_long(s, word, limit);
        seen = have;
        received = input_fill(s, word, have + 1, deadline);
        if (received == 0)
            framing_end(s, word, have, "line");
        if (received <= 0)
            return NULL;
    }
    return NULL;
}

char *salut_recv_line(salut_sock *handle, size_t *size)
{
    struct socket *s = framing_enter_receiver(handle, "recv_line from");
    char *line;
    size_t unwanted;

    if (!size)
        size = &unwanted;
    *size = 0;
    if (!s)
        return NULL;
    line = receive_line(s, "recv_line from", size);
    line = framing_keep(s, "recv_line from", line, size);
    socket_leave(s);
    return line;
}

/* ---- send_line ----------------------------------------------------------------------------- */

ssize_t salut_send_line(salut_sock *handle, const char *text)
{
    struct socket *s = framing_enter_sender(handle, "send_line to");
    size_t size = text ? strlen(text) : 0;
    ssize_t sent = -1;

    if (!s)
        return -1;
    if (!text)
        error_say(EINVAL, "send_line: the text is NULL");
    else if (memchr(text, '\n', size))
        error_say(EINVAL, "send_line: the text holds a newline, so it would be two lines");
    else
        sent = stream_send(s, "send_line to", text, size, "\n", 1, socket_deadline(s));
    socket_leave(s);
    return sent < 0 ? -1 : (ssize_t)size;
}
