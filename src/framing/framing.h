/* What lines and messages share: who may receive them, how long they may be, how they end. */
#ifndef SALUT_FRAMING_FRAMING_H
#define SALUT_FRAMING_FRAMING_H

#include "socket/socket.h"

/* socket_enter(), for a stream that nobody else is receiving on. */
struct socket *framing_enter(const salut_sock *handle, const char *word);

/* socket_enter(), for a stream. */
struct socket *framing_enter_sender(const salut_sock *handle, const char *word);

/* The longest line or message, in bytes. */
static inline size_t framing_limit(const struct socket *s, size_t by_default)
{
    return s->limit ? s->limit : by_default;
}

/* The peer is done: cleanly (errno 0) when nothing was begun, else EPROTO. */
void framing_end(struct socket *s, const char *word, size_t have, const char *what);

#endif
