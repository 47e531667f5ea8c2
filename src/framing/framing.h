/* What lines and messages share: who may receive them, how long they may be, how they end. */
#ifndef SALUT_FRAMING_FRAMING_H
#define SALUT_FRAMING_FRAMING_H

#include "socket/socket.h"

/* The cold sides of the two below: leave the socket, and say why. Always NULL. */
struct socket *framing_refuse_sender(struct socket *s, const char *word);
struct socket *framing_refuse_receiver(struct socket *s, const char *word);

/* socket_enter(), for a stream. */
static inline struct socket *framing_enter_sender(const salut_sock *handle, const char *word)
{
    struct socket *s = socket_enter(handle, word);

    return !s || socket_is_stream(s) ? s : framing_refuse_sender(s, word);
}

/* socket_enter(), for a stream that nobody else is receiving on. */
static inline struct socket *framing_enter_receiver(const salut_sock *handle, const char *word)
{
    struct socket *s = framing_enter_sender(handle, word);

    if (!s || (s->state == SOCKET_CONNECTED && !s->receiving))
        return s;
    return framing_refuse_receiver(s, word);
}

/* The longest line or message, in bytes. */
static inline size_t framing_limit(const struct socket *s, size_t by_default)
{
    return s->limit ? s->limit : by_default;
}

/* What was received lies in the socket's memory, which goes when the word leaves if another fiber has
 * closed the socket meanwhile (a call that finds its data ready may let others run): then there is
 * nothing, ECANCELED. Else it is handed on. */
void *framing_keep(struct socket *s, const char *word, void *received, size_t *size);

/* The peer is done: cleanly (errno 0) when nothing was begun, else EPROTO. */
void framing_end(struct socket *s, const char *word, size_t have, const char *what);

#endif
