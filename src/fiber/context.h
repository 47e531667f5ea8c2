/* The switch between two stacks: in assembly for x86-64 and arm64 (switch_*.S), by ucontext
 * elsewhere or when asked for (SALUT_SWITCH_UCONTEXT). */
#ifndef SALUT_FIBER_CONTEXT_H
#define SALUT_FIBER_CONTEXT_H

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(SALUT_SWITCH_UCONTEXT)
#define SALUT_SWITCH_UCONTEXT 1
#endif

#ifndef __ASSEMBLER__

#include <stddef.h>

#ifdef SALUT_SWITCH_UCONTEXT
#include <ucontext.h>

struct context {
    ucontext_t state;
};
#else
struct context {
    void *stack_pointer; /* switch_*.S: what a callee must keep lies above it */
};
#endif

/* Makes a context that, once switched to, calls entry(argument) on the stack that ends below
 * `top`. entry must not return. */
void context_make(struct context *c, void *low, void *top, void (*entry)(void *), void *argument);

/* The stack of a context that doesn't run holds nothing below this; NULL: that is not known. */
static inline const void *context_lowest(const struct context *c)
{
#ifdef SALUT_SWITCH_UCONTEXT
    (void)c;
    return NULL;
#else
    return c->stack_pointer;
#endif
}

/* Leaves the running context in `from` and goes on with `to`. */
void context_switch(struct context *from, struct context *to);

#endif
#endif
