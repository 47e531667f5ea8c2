/* framing.c: what lines and messages share, and salut_set_limit(). */
#include "framing/framing.h"
#include "base/error.h"

#include <salut.h>

#include <errno.h>

/* A length that 4 bytes can hold, with room for what surrounds it. */
#define LIMIT_BYTES_MAX ((size_t)1 << 30)

struct socket *framing_refuse_sender(struct socket *s, const char *word)
{
    error_say(EOPNOTSUPP, "%s a socket for datagrams: each is a message already", word);
    socket_leave(s);
    return NULL;
}

struct socket *framing_refuse_receiver(struct socket *s, const char *word)
{
    if (s->receiving)
        socket_failed(s, word, EBUSY);
    else
        socket_not_connected(s, word);
    socket_leave(s);
    return NULL;
}

void *framing_keep(struct socket *s, const char *word, void *received, size_t *size)
{
    if (!received || !s->closed)
        return received;
    *size = 0;
    socket_failed(s, word, ECANCELED);
    return NULL;
}

void framing_end(struct socket *s, const char *word, size_t have, const char *what)
{
    char name[SOCKET_NAME_BYTES];

    if (have)
        error_say(EPROTO, "%s %s: the peer ended in the middle of a %s, after %zu bytes of it",
                  word, socket_name(s, name, sizeof name), what, have);
    else
        errno = 0;
}

int salut_set_limit(salut_sock *handle, size_t bytes)
{
    struct socket *s = socket_enter(handle, "set_limit");
    int result = 0;

    if (!s)
        return -1;
    if (bytes > LIMIT_BYTES_MAX)
        result =
            error_say(EINVAL, "set_limit: %zu bytes, and %zu is the most", bytes, LIMIT_BYTES_MAX);
    else
        s->limit = bytes;
    socket_leave(s);
    return result;
}
