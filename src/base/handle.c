/* handle.c: opening and closing handles. */
#include "base/handle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS_MAX = 0xffff, BITS = 64 };

static _Atomic uint64_t living[(THREADS_MAX + 1) / BITS]; /* a bit for each number */

uint16_t handle_thread_begin(void)
{
    static _Atomic uint32_t tries;

    for (uint32_t left = THREADS_MAX; left; left--) {
        uint32_t number = atomic_fetch_add(&tries, 1) % THREADS_MAX + 1;
        uint64_t bit = (uint64_t)1 << number % BITS;
        if (!(atomic_fetch_or(&living[number / BITS], bit) & bit))
            return (uint16_t)number;
    }
    errno = ENOBUFS;
    return 0;
}

void handle_thread_end(uint16_t number)
{
    atomic_fetch_and(&living[number / BITS], ~((uint64_t)1 << number % BITS));
}

bool handle_thread_lives(uint16_t number)
{
    return atomic_load(&living[number / BITS]) >> number % BITS & 1;
}

static bool grow(struct handle_table *table)
{
    uint32_t capacity = table->capacity ? 2 * table->capacity : 16;
    struct handle_slot *slots;

    if (table->used >= HANDLE_SLOTS_MAX) {
        errno = EAGAIN;
        return false;
    }
    slots = realloc(table->slots, capacity * sizeof *slots);
    if (!slots)
        return false;
    table->slots = slots;
    table->capacity = capacity;
    return true;
}

static bool take_slot(struct handle_table *table, uint32_t *slot)
{
    if (table->first_free) {
        *slot = table->first_free - 1;
        table->first_free = table->slots[*slot].next_free;
        if (!table->first_free)
            table->last_free = 0;
        return true;
    }
    if (table->used == table->capacity && !grow(table))
        return false;
    *slot = table->used++;
    table->slots[*slot].generation = 0;
    return true;
}

void *handle_open(struct handle_table *table, void *object)
{
    uint32_t slot;

    if (!take_slot(table, &slot))
        return NULL;
    table->slots[slot].object = object;
    return (void *)((uintptr_t)table->thread << 48 |
                    (uintptr_t)table->slots[slot].generation << 24 | slot);
}

void handle_close(struct handle_table *table, void *handle)
{
    uint32_t slot = (uint32_t)((uintptr_t)handle & 0xffffff);

    table->slots[slot].object = NULL;
    table->slots[slot].generation = (table->slots[slot].generation + 1) & 0xffffff;
    table->slots[slot].next_free = 0;
    if (table->last_free)
        table->slots[table->last_free - 1].next_free = slot + 1;
    else
        table->first_free = slot + 1;
    table->last_free = slot + 1;
}

void handle_close_others(struct handle_table *table, const void *handle)
{
    void *kept = handle ? handle_object(table, handle) : NULL;

    for (uint32_t slot = 0; slot < table->used; slot++) {
        if (table->slots[slot].object && table->slots[slot].object != kept)
            handle_close(table, (void *)(uintptr_t)slot);
    }
}

void handle_table_free(struct handle_table *table)
{
    free(table->slots);
    *table = (struct handle_table){0};
}
