/* Stacks for fibers: mapped lazily, guarded below, pooled. A pool belongs to one thread. */
#ifndef SALUT_FIBER_STACK_H
#define SALUT_FIBER_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stack that is in use or in its pool. The record lies at the stack's own top, in the page
 * that a fiber touches anyway; its owner's record lies right below it. */
struct stack {
    char *low; /* the lowest byte that may be used; the guard is below */
    struct stack *next_free;
    struct stack_pool *pool;
    unsigned valgrind_number;
};

struct slab; /* many stacks in one mapping */

struct stack_pool {
    size_t stack_bytes; /* of one stack, without its guard */
    struct slab *slabs; /* newest first: the one that stacks are cut from */
    struct stack *free;
    uint32_t cut;     /* stacks cut from the newest slab */
    bool guard_known; /* guard_cheap has been found out */
    bool guard_cheap; /* the kernel has guards that need no map of their own */
};

/* Of the guard below each stack. */
size_t stack_guard_bytes(void);

/* stack_bytes 0 is FIBER_STACK_BYTES; it is rounded up to pages. */
void stack_pool_begin(struct stack_pool *pool, size_t stack_bytes);

/* A stack, or NULL and errno ENOMEM. */
struct stack *stack_take(struct stack_pool *pool);

/* Gives the system the pages below `lowest`, whose bytes nobody needs; NULL: gives nothing. */
void stack_trim(struct stack *stack, const void *lowest);

/* To the pool it came from. */
void stack_give_back(struct stack *stack);

/* Unmaps every stack, also those in use. */
void stack_pool_end(struct stack_pool *pool);

#endif
