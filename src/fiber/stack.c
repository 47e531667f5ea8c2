/* stack.c: where fibers' stacks come from.
 *
 * Stacks are cut from slabs, mappings of up to SLAB_STACKS_MAX stacks each, because a process
 * may have only 65,530 mappings. For the same reason a stack's guard is a guard region inside
 * the slab's mapping (MADV_GUARD_INSTALL, Linux 6.13), not a mapping of its own. On an older
 * kernel it is made with mprotect(), which splits the mapping: 32,700 stacks are then the limit
 * of the process, and stack_take() fails with ENOMEM beyond it.
 *
 * Only touched pages cost memory. The tops of the stacks lie at different offsets in their pages
 * (COLORS), or the hot frames of all fibers would compete for the same few lines of the cache.
 */
#include "fiber/stack.h"
#include "base/limits.h"
#include "fiber/sanitize.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    SLAB_STACKS_MIN = 16,
    SLAB_STACKS_MAX = 4096,
    COLORS = 16, /* 16 cache lines: a quarter of a page */
    COLOR_BYTES = 64,
};

struct slab {
    struct slab *next;
    uint32_t count;
    size_t bytes;
};

size_t stack_guard_bytes(void)
{
    long page = sysconf(_SC_PAGESIZE);

    return page > FIBER_GUARD_BYTES ? (size_t)page : FIBER_GUARD_BYTES;
}

void stack_pool_begin(struct stack_pool *pool, size_t stack_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (stack_bytes == 0)
        stack_bytes = SALUT_SANITIZED ? 4 * FIBER_STACK_BYTES : FIBER_STACK_BYTES;
    *pool = (struct stack_pool){.stack_bytes = (stack_bytes + page - 1) / page * page};
}

/* Some emulators accept the advice and do nothing: a guard is believed when the kernel itself
 * can't write there. (LeakSanitizer reads whole mappings, and would run into it.) */
static bool guard_works(char *low)
{
    if (SALUT_ASAN || madvise(low, stack_guard_bytes(), MADV_GUARD_INSTALL))
        return false;
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, low) < 0 && errno == EFAULT;
}

static bool guard(struct stack_pool *pool, char *low)
{
    if (!pool->guard_known) {
        pool->guard_known = true;
        pool->guard_cheap = guard_works(low);
        if (pool->guard_cheap)
            return true;
    }
    if (pool->guard_cheap && !madvise(low, stack_guard_bytes(), MADV_GUARD_INSTALL))
        return true; /* it fails in locked memory (mlockall) */
    return mprotect(low, stack_guard_bytes(), PROT_NONE) == 0;
}

static struct slab *map_slab(size_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
}

/* The slab's record has the first slot to itself: one page of address space is not worth a
 * cleverer place. */
static bool grow(struct stack_pool *pool)
{
    size_t slot = pool->stack_bytes + stack_guard_bytes();
    uint32_t count = pool->slabs ? 2 * pool->slabs->count : SLAB_STACKS_MIN;
    struct slab *slab;
    size_t bytes;

    if (count > SLAB_STACKS_MAX)
        count = SLAB_STACKS_MAX;
    bytes = (count + 1) * slot;
    slab = map_slab(bytes);
    while (slab == MAP_FAILED && count > SLAB_STACKS_MIN) { /* where address space is short */
        count /= 2;
        bytes = (count + 1) * slot;
        slab = map_slab(bytes);
    }
    if (slab == MAP_FAILED) {
        errno = ENOMEM;
        return false;
    }
    madvise(slab, bytes, MADV_NOHUGEPAGE); /* or one touched page would cost 2 MiB */
    sanitizer_stack_mapped(slab, bytes);
    slab->next = pool->slabs;
    slab->count = count;
    slab->bytes = bytes;
    pool->slabs = slab;
    pool->cut = 0;
    return true;
}

/* The record of a slab's nth stack, from 0. */
static struct stack *stack_of(const struct stack_pool *pool, struct slab *slab, uint32_t n)
{
    size_t slot = pool->stack_bytes + stack_guard_bytes();
    char *top = (char *)slab + (n + 2) * slot - (size_t)((n + 1) % COLORS) * COLOR_BYTES;

    return (struct stack *)top - 1;
}

static struct stack *cut(struct stack_pool *pool)
{
    size_t slot = pool->stack_bytes + stack_guard_bytes();
    struct stack *stack;
    char *low;

    if (!pool->slabs || pool->cut == pool->slabs->count) {
        if (!grow(pool))
            return NULL;
    }
    low = (char *)pool->slabs + (pool->cut + 1) * slot;
    if (!guard(pool, low)) {
        errno = ENOMEM;
        return NULL;
    }
    stack = stack_of(pool, pool->slabs, pool->cut++);
    stack->low = low + stack_guard_bytes();
    stack->pool = pool;
    stack->valgrind_number = sanitizer_stack_begins(stack->low, (char *)stack - 1);
    return stack;
}

struct stack *stack_take(struct stack_pool *pool)
{
    struct stack *stack = pool->free;

    if (!stack)
        return cut(pool);
    pool->free = stack->next_free;
    return stack;
}

/* Where the memory is locked it stays: the advice fails, and nothing else does. */
void stack_trim(struct stack *stack, const void *lowest)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = (uintptr_t)lowest / page * page;

    if (end > (uintptr_t)stack->low)
        madvise(stack->low, end - (uintptr_t)stack->low, MADV_DONTNEED);
}

void stack_give_back(struct stack *stack)
{
    struct stack_pool *pool = stack->pool;

    sanitizer_stack_clean(stack->low, (size_t)((char *)stack - stack->low));
    stack->next_free = pool->free;
    pool->free = stack;
}

/* The next mapping at this place may be a thread's stack, or anything. */
static void forget_stacks(const struct stack_pool *pool)
{
    uint32_t count = pool->cut; /* of the newest slab; the others are full */

    for (struct slab *slab = pool->slabs; slab; slab = slab->next) {
        for (uint32_t n = 0; n < count; n++)
            sanitizer_stack_ends(stack_of(pool, slab, n)->valgrind_number);
        count = slab->next ? slab->next->count : 0;
    }
}

void stack_pool_end(struct stack_pool *pool)
{
    if (sanitizer_knows_stacks())
        forget_stacks(pool);
    while (pool->slabs) {
        struct slab *slab = pool->slabs;
        pool->slabs = slab->next;
        sanitizer_stack_unmapped(slab, slab->bytes);
        munmap(slab, slab->bytes);
    }
    pool->free = NULL;
}
