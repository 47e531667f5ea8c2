/* heap.c: the timers' binary heap. */
#include "base/heap.h"

#include <stdlib.h>

static void put(struct heap *h, uint32_t index, struct timer *t)
{
    h->timers[index] = t;
    t->place = index + 1;
}

static void rise(struct heap *h, uint32_t index, struct timer *t)
{
    while (index > 0 && h->timers[(index - 1) / 2]->due > t->due) {
        put(h, index, h->timers[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(h, index, t);
}

static void sink(struct heap *h, uint32_t index, struct timer *t)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->timers[child + 1]->due < h->timers[child]->due)
            child++;
        if (h->timers[child]->due >= t->due)
            break;
        put(h, index, h->timers[child]);
        index = child;
    }
    put(h, index, t);
}

bool heap_add(struct heap *h, struct timer *t)
{
    if (h->count == h->capacity) {
        uint32_t capacity = h->capacity ? 2 * h->capacity : 16;
        struct timer **timers = realloc(h->timers, capacity * sizeof *timers);
        if (!timers)
            return false;
        h->timers = timers;
        h->capacity = capacity;
    }
    rise(h, h->count++, t);
    return true;
}

void heap_remove(struct heap *h, struct timer *t)
{
    uint32_t index = t->place - 1;
    struct timer *last;

    if (t->place == 0)
        return;
    t->place = 0;
    last = h->timers[--h->count];
    if (last == t)
        return;
    if (index > 0 && h->timers[(index - 1) / 2]->due > last->due)
        rise(h, index, last);
    else
        sink(h, index, last);
}

void heap_free(struct heap *h)
{
    free(h->timers);
    *h = (struct heap){0};
}
