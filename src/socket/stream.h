/* Receiving and sending on an entered socket, for the words and for the floor of framing. Results
 * are counts, or -1 with the failure said. */
#ifndef SALUT_SOCKET_STREAM_H
#define SALUT_SOCKET_STREAM_H

#include "socket/socket.h"

/* At least one byte, at most size; 0 at the end. What was received earlier comes first. */
ssize_t stream_receive(struct socket *s, const char *word, void *buffer, size_t size,
                       int64_t deadline);

/* The same, but past what was received earlier. */
ssize_t stream_receive_new(struct socket *s, const char *word, void *buffer, size_t size,
                           int64_t deadline);

/* All of head and data, which go as one, after those who came before. */
ssize_t stream_send(struct socket *s, const char *word, const void *head, size_t head_size,
                    const void *data, size_t size, int64_t deadline);

/* A send broke the stream earlier, and has said why: it says so again. Always -1, EPIPE. */
int stream_say_broken(struct socket *s, const char *word);

/* The stream is as good as before this failure: the call was given up, or could not be made. */
bool stream_is_whole(int number, int64_t deadline);

#endif
