/* flows.c: what TCP promises about one direction's bytes: the receiver's are a prefix of the
 * sender's, and after an orderly end they are all of them. */
#include "model/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Contents ------------------------------------------------------------------------------ */

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ (x >> 16);
}

/* Text in UTF-8 of just so many bytes, with characters of one to four; a line's has no newline. */
static void fill_with_text(unsigned char *into, size_t size, uint32_t key, bool line)
{
    static const char *const characters[] = {"\xc3\xa9",     "\xe2\x82\xac",     "\xf0\x9f\x90\x9f",
                                             "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xc2\x80"};

    for (size_t at = 0; at < size;) {
        uint32_t r = mix(key + (uint32_t)at * 0x9e3779b9);
        const char *c = characters[(r >> 8) % 6];
        size_t length = strlen(c);
        if (r % 4 == 0 && length <= size - at) {
            memcpy(into + at, c, length);
            at += length;
        } else {
            unsigned char byte = (unsigned char)('!' + (r >> 8) % 90);
            if (r % 32 == 1)
                byte = '\r';
            else if (r % 32 == 2 && !line)
                byte = '\n';
            into[at++] = byte;
        }
    }
}

/* What a send of this kind sends next: without a message's header, with a line's end. */
void flow_content(struct flow *f, char word, unsigned char *into, size_t size)
{
    uint32_t key = mix(f->key + f->made++ * 0x85ebca6b);

    if (word == 'm') {
        for (size_t at = 0; at < size; at++)
            into[at] = (unsigned char)mix(key + (uint32_t)at * 0x9e3779b9);
    } else {
        fill_with_text(into, size, key, word != 's');
    }
    if (word == 'l' && size && into[size - 1] == '\r')
        into[size - 1] = '.';
    if (word == 'c' && size)
        into[size - 1] = '\r';
}

/* ---- Units --------------------------------------------------------------------------------- */

void flow_open(struct flow *f, struct unit *u, const unsigned char *bytes, size_t size)
{
    if (f->size + size > f->room) {
        f->room = 2 * (f->size + size);
        f->bytes = realloc(f->bytes, f->room);
        if (!f->bytes)
            abort();
    }
    if (size)
        memcpy(f->bytes + f->size, bytes, size);
    *u = (struct unit){.next = f->open, .start = f->size, .size = size};
    f->size += size;
    f->open = u;
}

/* Its call has returned. */
void flow_close(struct flow *f, struct unit *u)
{
    struct unit **at = &f->open;

    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
}

/* It failed before its first byte: whoever came after it moves up. */
void flow_withdraw(struct flow *f, struct unit *u)
{
    size_t end = u->start + u->size;

    if (f->received > u->start)
        wrong("withdrawn bytes",
              "a send failed and left its stream whole, but the peer received %zu bytes of it",
              f->received - u->start);
    memmove(f->bytes + u->start, f->bytes + end, f->size - end);
    f->size -= u->size;
    if (f->confirmed > u->start) /* one that came after it had been sent before it */
        f->confirmed -= u->size;
    for (struct unit *other = f->open; other; other = other->next) {
        if (other->start > u->start)
            other->start -= u->size;
    }
}

/* All sends up to here have returned. */
size_t flow_settled(const struct flow *f)
{
    size_t settled = f->size;

    for (const struct unit *u = f->open; u; u = u->next) {
        if (u->start < settled)
            settled = u->start;
    }
    return settled;
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static const char *name_of(const struct player *p, char text[64])
{
    snprintf(text, 64, "talk %d, %s side's receiver", p->number,
             p->side && p->side->which ? "the accepting" : "the connecting");
    return text;
}

/* These bytes came next. */
void flow_take(struct player *p, struct flow *f, const void *bytes, size_t size)
{
    const unsigned char *got = bytes;
    char name[64];

    if (f->untracked || f->received + size > f->known) {
        f->untracked = true;
        return;
    }
    if (size > f->size - f->received)
        wrong("bytes nobody sent", "%s: after %zu of %zu bytes came %zu more", name_of(p, name),
              f->received, f->size, size);
    for (size_t i = 0; i < size; i++) {
        if (got[i] != f->bytes[f->received + i])
            wrong("wrong bytes", "%s: byte %zu is 0x%02x and should be 0x%02x (a receive of %zu)",
                  name_of(p, name), f->received + i, got[i], f->bytes[f->received + i], size);
    }
    f->received += size;
}

/* The receiver is told that no more will come. */
void flow_end(struct player *p, struct flow *f)
{
    char name[64];

    if (f->untracked)
        return;
    if (!f->ended)
        wrong("an end nobody sent", "%s: the end came, and nobody had ended it", name_of(p, name));
    if (f->received < f->confirmed)
        wrong("lost bytes", "%s: the end came after %zu bytes, and %zu had been sent",
              name_of(p, name), f->received, f->confirmed);
}
