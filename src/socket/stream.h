/* Receiving and sending on an entered socket, for the words and for the floor of framing. Results
 * are counts, or -1 with the failure said. */
#ifndef SALUT_SOCKET_STREAM_H
#define SALUT_SOCKET_STREAM_H

#include "socket/socket.h"

/* At least one byte, at most size; 0 at the end. */
ssize_t stream_receive(struct socket *s, const char *word, void *buffer, size_t size,
                       int64_t deadline);

/* All of it, after those who came before. */
ssize_t stream_send(struct socket *s, const char *word, const void *data, size_t size,
                    int64_t deadline);

#endif
