/* input.c: the received bytes that wait to be asked for. */
#include "socket/input.h"
#include "base/error.h"
#include "socket/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_BYTES_MIN = 4 * 1024,
    /* A receive that fills all its room is offered twice as much next time, up to this: by then
     * the system call is paid by what it brings. */
    INPUT_BYTES_EAGER = 256 * 1024,
    /* The rest of something so large is received alone, with the beginning of what follows, so
     * that it never has to be moved to make room. */
    INPUT_BYTES_LARGE = 16 * 1024,
    INPUT_BYTES_BEYOND = 64,
};

struct input *input_of(struct socket *s, const char *word)
{
    if (!s->input) {
        s->input = calloc(1, sizeof *s->input);
        if (!s->input)
            socket_failed(s, word, ENOMEM);
    }
    return s->input;
}

/* Room for `need` bytes in all, or for twice what is there if that is less: a peer that announces
 * much and sends little gets little. */
static bool make_room(struct input *in, size_t need)
{
    size_t have = in->end - in->begin;
    size_t capacity = in->capacity ? in->capacity : INPUT_BYTES_MIN;
    unsigned char *bytes;

    if (in->begin) {
        if (have)
            memmove(in->bytes, in->bytes + in->begin, have);
        in->begin = 0;
        in->end = have;
    }
    if (in->capacity && (need <= in->capacity || have < in->capacity))
        return true;
    while (capacity <= have)
        capacity *= 2;
    bytes = realloc(in->bytes, capacity);
    if (!bytes)
        return false;
    in->bytes = bytes;
    in->capacity = capacity;
    return true;
}

/* The wish for more room next time is granted only if there is memory. */
static void grow(struct input *in)
{
    unsigned char *bytes = realloc(in->bytes, 2 * in->capacity);

    if (!bytes)
        return;
    in->bytes = bytes;
    in->capacity *= 2;
}

ssize_t input_fill(struct socket *s, const char *word, size_t need, int64_t deadline)
{
    struct input *in = s->input;
    size_t room, rest;
    ssize_t received;

    if (in->begin < in->end && fiber_is_late(deadline))
        return socket_failed(s, word, ETIMEDOUT);
    if (in->begin + need > in->capacity || in->begin == in->end || in->end == in->capacity) {
        if (!make_room(in, need))
            return socket_failed(s, word, ENOMEM);
    }
    room = in->capacity - in->end;
    rest = need - (in->end - in->begin);
    if (rest >= INPUT_BYTES_LARGE && room > rest + INPUT_BYTES_BEYOND)
        room = rest + INPUT_BYTES_BEYOND;
    received = stream_receive_new(s, word, in->bytes + in->end, room, deadline);
    if (received <= 0)
        return received;
    in->end += (size_t)received;
    if (in->end == in->capacity && in->capacity < INPUT_BYTES_EAGER)
        grow(in);
    return received;
}

bool input_give_back(struct socket *s, const void *bytes, size_t size)
{
    struct input *in = s->input ? s->input : calloc(1, sizeof *in);
    unsigned char *room = in ? malloc(size) : NULL;

    if (!room) {
        if (!s->input)
            free(in);
        return false;
    }
    assert(in->begin == in->end); /* it was taken first */
    memcpy(room, bytes, size);
    free(in->bytes);
    *in = (struct input){.bytes = room, .end = size, .capacity = size};
    s->input = in;
    return true;
}

size_t input_take(struct input *in, void *into, size_t size)
{
    size_t have = in->end - in->begin;

    if (size > have)
        size = have;
    memcpy(into, in->bytes + in->begin, size);
    in->begin += size;
    return size;
}

void input_free(struct input *in)
{
    if (!in)
        return;
    free(in->bytes);
    free(in);
}
