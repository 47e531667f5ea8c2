/* Handles: the pointers that users hold. A handle is a number dressed as a pointer; it names a
 * thread, a slot in that thread's table and the slot's generation, and is never dereferenced. So
 * a handle that outlived its object, or that came to another thread, is recognised instead of
 * being followed into memory that is something else by now.
 *
 *     63      48 47           24 23            0
 *     | thread | generation    | slot           |
 */
#ifndef SALUT_BASE_HANDLE_H
#define SALUT_BASE_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "a handle needs 64 bits");

enum {
    HANDLE_SLOTS_MAX = 1 << 22, /* 4 million objects of a kind on one thread */
};

struct handle_slot {
    void *object; /* NULL when free */
    uint32_t generation;
    uint32_t next_free; /* slot + 1 */
};

struct handle_table {
    struct handle_slot *slots;
    uint32_t capacity;
    uint32_t used;       /* slots that were ever in use */
    uint32_t first_free; /* slot + 1; reused in the order they were freed, so that a */
    uint32_t last_free;  /* stale handle stays recognisable as long as can be */
    uint16_t thread;     /* 1 and up, so that no handle is NULL */
};

/* A number for a thread's tables, which no other has until it is given back; the longest unused
 * comes first. 0 and errno ENOBUFS: 65,535 threads have one. */
uint16_t handle_thread_begin(void);
void handle_thread_end(uint16_t number);

/* Whether a thread has this number just now. */
bool handle_thread_lives(uint16_t number);

/* A handle for object, or NULL and errno ENOMEM or EAGAIN (HANDLE_SLOTS_MAX are in use). */
void *handle_open(struct handle_table *table, void *object);

void handle_close(struct handle_table *table, void *handle);

/* Closes all handles but this one; NULL: all. */
void handle_close_others(struct handle_table *table, const void *handle);

void handle_table_free(struct handle_table *table);

static inline uint16_t handle_thread(const void *handle)
{
    return (uint16_t)((uintptr_t)handle >> 48);
}

/* The object, or NULL when the handle is stale or another thread's. */
static inline void *handle_object(const struct handle_table *table, const void *handle)
{
    uintptr_t bits = (uintptr_t)handle;
    uint32_t slot = (uint32_t)(bits & 0xffffff);

    if (handle_thread(handle) != table->thread || slot >= table->used ||
        table->slots[slot].generation != ((bits >> 24) & 0xffffff))
        return NULL;
    return table->slots[slot].object;
}

#endif
