/* Timers: a binary heap of deadlines, earliest first. The nodes live in their owners; the heap
 * holds pointers and tells each node its place, so that removal needs no search. */
#ifndef SALUT_BASE_HEAP_H
#define SALUT_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t due;
    uint32_t place; /* index in the heap + 1; 0 when not in it */
};

struct heap {
    struct timer **timers;
    uint32_t count;
    uint32_t capacity;
};

/* false when out of memory; the timer is then not in the heap. O(log n). */
bool heap_add(struct heap *h, struct timer *t);

/* Nothing happens when it isn't in the heap. O(log n). */
void heap_remove(struct heap *h, struct timer *t);

void heap_free(struct heap *h);

static inline struct timer *heap_first(const struct heap *h)
{
    return h->count ? h->timers[0] : NULL;
}

#endif
