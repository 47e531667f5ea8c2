/* context.c: the first frame of a new stack, as the switch expects to find it. */
#include "fiber/context.h"

#include <stdint.h>
#include <string.h>

#ifdef SALUT_SWITCH_UCONTEXT

/* makecontext() passes only ints: a pointer goes as two halves. */
static void begin(unsigned entry_high, unsigned entry_low, unsigned high, unsigned low)
{
    void (*entry)(void *) = (void (*)(void *))((uintptr_t)entry_high << 32 | entry_low);

    entry((void *)((uintptr_t)high << 32 | low));
}

void context_make(struct context *c, void *low, void *top, void (*entry)(void *), void *argument)
{
    uintptr_t e = (uintptr_t)entry, a = (uintptr_t)argument;

    getcontext(&c->state);
    c->state.uc_stack.ss_sp = low;
    c->state.uc_stack.ss_size = (size_t)((char *)top - (char *)low);
    c->state.uc_link = NULL;
    makecontext(&c->state, (void (*)(void))begin, 4, (unsigned)(e >> 32), (unsigned)e,
                (unsigned)(a >> 32), (unsigned)a);
}

void context_switch(struct context *from, struct context *to)
{
    swapcontext(&from->state, &to->state);
}

#else

/* In switch_*.S: a nop, and then it calls the function in its first saved register with the
 * second. */
extern void context_begin(void);

void context_make(struct context *c, void *low, void *top, void (*entry)(void *), void *argument)
{
    uintptr_t *frame = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15);

    (void)low;
#if defined(__x86_64__)
    frame -= 8; /* control words, r15, r14, r13, r12, rbx, rbp, return address */
    memset(frame, 0, 8 * sizeof *frame);
    frame[0] = (uintptr_t)0x037f << 32 | 0x1f80; /* the ABI's initial x87 and SSE control words */
    frame[3] = (uintptr_t)argument;
    frame[4] = (uintptr_t)entry;
    frame[7] = (uintptr_t)context_begin + 1;
#elif defined(__aarch64__)
    frame -= 20; /* x19 to x28, x29, x30, d8 to d15 */
    memset(frame, 0, 20 * sizeof *frame);
    frame[0] = (uintptr_t)entry;
    frame[1] = (uintptr_t)argument;
    frame[11] = (uintptr_t)context_begin + 4;
#endif
    c->stack_pointer = frame;
}

#endif
