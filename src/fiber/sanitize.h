/* What AddressSanitizer, ThreadSanitizer and valgrind must be told about stacks and switches.
 * Without them, nothing is left of it (valgrind: a few no-ops when a stack is first cut). */
#ifndef SALUT_FIBER_SANITIZE_H
#define SALUT_FIBER_SANITIZE_H

#include <stddef.h>

#if defined(__has_feature)
#define SALUT_HAS_FEATURE(x) __has_feature(x)
#else
#define SALUT_HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SALUT_HAS_FEATURE(address_sanitizer)
#define SALUT_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define SALUT_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || SALUT_HAS_FEATURE(thread_sanitizer)
#define SALUT_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define SALUT_TSAN 0
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(number) ((void)(number))
#define RUNNING_ON_VALGRIND 0
#endif

/* What they keep for a fiber. */
struct sanitizer_state {
#if SALUT_ASAN
    void *fake_stack;
    const void *low;
    size_t size;
#endif
#if SALUT_TSAN
    void *fiber;
#endif
    char unused; /* so that the struct has a member */
};

#if SALUT_ASAN || SALUT_TSAN
#define SALUT_SANITIZED 1
#else
#define SALUT_SANITIZED 0
#endif

static inline void sanitizer_begin(struct sanitizer_state *s, const void *low, size_t size)
{
#if SALUT_ASAN
    s->low = low;
    s->size = size;
#endif
#if SALUT_TSAN
    s->fiber = __tsan_create_fiber(0);
#endif
    (void)s, (void)low, (void)size;
}

static inline void sanitizer_begin_main(struct sanitizer_state *s)
{
#if SALUT_TSAN
    s->fiber = __tsan_get_current_fiber();
#endif
    (void)s;
}

/* from leaves; ending: for good. */
static inline void sanitizer_before_switch(struct sanitizer_state *from, struct sanitizer_state *to,
                                           int ending)
{
#if SALUT_ASAN
    __sanitizer_start_switch_fiber(ending ? NULL : &from->fake_stack, to->low, to->size);
#endif
#if SALUT_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from, (void)to, (void)ending;
}

/* `now` runs; `left` is who ran before (its bounds are learnt here when it is a thread's own). */
static inline void sanitizer_after_switch(struct sanitizer_state *now, struct sanitizer_state *left)
{
#if SALUT_ASAN
    __sanitizer_finish_switch_fiber(now->fake_stack, &left->low, &left->size);
#endif
    (void)now, (void)left;
}

static inline void sanitizer_end(struct sanitizer_state *s)
{
#if SALUT_TSAN
    __tsan_destroy_fiber(s->fiber);
#endif
    (void)s;
}

/* Valgrind's number for a new stack, by which it is told of its end. */
static inline unsigned sanitizer_stack_begins(void *low, void *high)
{
    (void)low, (void)high;
    return (unsigned)VALGRIND_STACK_REGISTER(low, high);
}

static inline void sanitizer_stack_ends(unsigned number)
{
    VALGRIND_STACK_DEREGISTER(number);
}

/* Somebody wants to be told of each stack's end. */
static inline int sanitizer_knows_stacks(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

static inline void sanitizer_stack_mapped(void *low, size_t size)
{
#if SALUT_ASAN
    __lsan_register_root_region(low, size);
#endif
    (void)low, (void)size;
}

/* A stack that will be reused must not keep the red zones of frames that never returned. */
static inline void sanitizer_stack_clean(void *low, size_t size)
{
#if SALUT_ASAN
    __asan_unpoison_memory_region(low, size);
#endif
    (void)low, (void)size;
}

static inline void sanitizer_stack_unmapped(void *low, size_t size)
{
#if SALUT_ASAN
    __lsan_unregister_root_region(low, size);
    __asan_unpoison_memory_region(low, size);
#endif
    (void)low, (void)size;
}

#endif
