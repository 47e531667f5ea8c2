/* What a socket has received and nobody has asked for yet: the room that lines and messages are
 * cut from. It comes with the first of them and grows with what really arrives, never with what a
 * peer announces. */
#ifndef SALUT_SOCKET_INPUT_H
#define SALUT_SOCKET_INPUT_H

#include "socket/socket.h"

struct input {
    size_t begin, end; /* the bytes that are there */
    size_t capacity;
    unsigned char *bytes;
};

/* The socket's, made at the first call; NULL and the failure said. */
struct input *input_of(struct socket *s, const char *word);

static inline size_t input_size(const struct socket *s)
{
    return s->input ? s->input->end - s->input->begin : 0;
}

/* Receives once more, with room for `need` bytes in all if they come. How many came, 0 at the
 * end, -1 with the failure said. What was pointed to moves. */
ssize_t input_fill(struct socket *s, const char *word, size_t need, int64_t deadline);

/* Bytes that were taken, with all there were, and are wanted again. false: no memory. */
bool input_give_back(struct socket *s, const void *bytes, size_t size);

/* At most size of the bytes that are there. */
size_t input_take(struct input *in, void *into, size_t size);

void input_free(struct input *in);

#endif
