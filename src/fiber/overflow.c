/* overflow.c: the handler of SIGSEGV. It needs a stack of its own, since the one it reports is
 * full: each thread that starts fibers gets one (sigaltstack), unless it has one. So do handlers
 * of the program's own, which would find little room on a fiber's stack. */
#include "fiber/overflow.h"
#include "fiber/scheduler.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Room for the kernel's frame with the widest vector registers of today (11 KiB with AMX). */
enum { SIGNAL_STACK_BYTES = 64 * 1024 };

_Thread_local bool overflow_watched;
static _Thread_local void *signal_stack; /* NULL: the program's own, or none */

static bool in_guard(const struct fiber *f, uintptr_t address)
{
    uintptr_t low = f->stack ? (uintptr_t)f->stack->low : 0;

    return low && address < low && address >= low - stack_guard_bytes();
}

/* Only what a signal handler may do. The fault happens again when it returns, and ends the
 * program where it is, so that a debugger or a core file shows the place. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    static const char sentence[] =
        "salut: a fiber ran over the end of its stack (64 KiB unless set otherwise): large "
        "buffers belong in malloc's memory, and deep recursion in a loop\n";
    struct scheduler *s = scheduler_of_thread;
    ssize_t written;

    (void)context;
    signal(number, SIG_DFL);
    if (info->si_code <= 0) { /* somebody sent it: it won't happen again by itself */
        raise(number);
    } else if (s && in_guard(s->current, (uintptr_t)info->si_addr)) {
        written = write(STDERR_FILENO, sentence, sizeof sentence - 1);
        (void)written;
    }
}

/* Only where the program has none of its own. */
static void take_faults(void)
{
    struct sigaction action, before;

    if (sigaction(SIGSEGV, NULL, &before) || (before.sa_flags & SA_SIGINFO) ||
        before.sa_handler != SIG_DFL)
        return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
}

void overflow_watch_thread(void)
{
    stack_t stack;
    void *memory;

    overflow_watched = true;
    take_faults();
    if (sigaltstack(NULL, &stack) || !(stack.ss_flags & SS_DISABLE))
        return;
    memory = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return;
    signal_stack = memory;
    stack = (stack_t){.ss_sp = signal_stack, .ss_size = SIGNAL_STACK_BYTES};
    sigaltstack(&stack, NULL);
}

void overflow_unwatch(void)
{
    stack_t now;

    overflow_watched = false;
    if (!signal_stack)
        return;
    if (!sigaltstack(NULL, &now) && now.ss_sp == signal_stack) /* not one that came after it */
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    munmap(signal_stack, SIGNAL_STACK_BYTES);
    signal_stack = NULL;
}
