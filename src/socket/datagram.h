/* Datagrams on an entered socket. Results are counts, or -1 with the failure said. */
#ifndef SALUT_SOCKET_DATAGRAM_H
#define SALUT_SOCKET_DATAGRAM_H

#include "socket/socket.h"

/* One datagram; from may be NULL. */
ssize_t datagram_receive(struct socket *s, const char *word, void *buffer, size_t size,
                         salut_addr *from);

/* One datagram; `to` is NULL on a connected socket. */
ssize_t datagram_send(struct socket *s, const char *word, const void *data, size_t size,
                      const salut_addr *to);

#endif
