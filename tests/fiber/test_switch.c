/* What is a fiber's own and survives a switch: errno, the failure and its sentence, the registers
 * that a callee must keep, how floating-point numbers are rounded. */
#include "support/fibers.h"

#include "base/error.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>

/* ---- errno and the failure ----------------------------------------------------------------- */

struct failing {
    int number, number_after;
    bool failed_before;
    char said[100], said_after[100];
};

static void fail_and_yield(void *argument)
{
    struct failing *f = argument;

    f->failed_before = salut_failed() || errno;
    error_say(f->number, "the failure numbered %d", f->number);
    snprintf(f->said, sizeof f->said, "%s", salut_error());
    salut_yield();
    f->number_after = errno;
    snprintf(f->said_after, sizeof f->said_after, "%s", salut_error());
}

static void errno_and_the_sentence_are_each_fibers_own(void **state)
{
    struct failing one = {.number = 41}, other = {.number = 42};
    salut_fiber *a = salut_go(fail_and_yield, &one), *b = salut_go(fail_and_yield, &other);

    (void)state;
    salut_clear_error();
    errno = 40;
    salut_yield();
    assert_int_equal(errno, 40);
    assert_int_equal(salut_failed(), 0);
    assert_int_equal(salut_join(a), 0);
    assert_int_equal(salut_join(b), 0);
    assert_int_equal(errno, 40);
    assert_int_equal(salut_failed(), 0);
    assert_string_equal(salut_error(), "");
    assert_false(one.failed_before);
    assert_false(other.failed_before);
    assert_int_equal(one.number_after, 41);
    assert_int_equal(other.number_after, 42);
    assert_string_equal(one.said, "the failure numbered 41");
    assert_string_equal(one.said_after, one.said);
    assert_string_equal(other.said_after, "the failure numbered 42");
}

static void a_new_fiber_on_a_used_stack_has_no_failure(void **state)
{
    struct failing one = {.number = 41}, other = {.number = 42};

    (void)state;
    salut_join(salut_go(fail_and_yield, &one));
    salut_join(salut_go(fail_and_yield, &other));
    assert_false(other.failed_before);
}

struct receiver {
    salut_sock *socket;
    ssize_t result;
};

static void receive(void *argument)
{
    struct receiver *r = argument;
    char bytes[10];

    r->result = salut_recv(r->socket, bytes, sizeof bytes);
}

/* Urgent data wakes the receiver's descriptor with nothing to be received, so that the engine's
 * try fails with EAGAIN while main waits. */
static void errno_survives_what_the_engine_does_meanwhile(void **state)
{
    salut_sock *server = salut_create_server("localhost:0"), *peer;
    struct receiver r;
    salut_addr address;
    char connect_to[64];
    salut_fiber *fiber;

    (void)state;
    assert_int_equal(salut_local(server, &address), 0);
    snprintf(connect_to, sizeof connect_to, "localhost:%d", salut_addr_port(&address));
    peer = salut_create_connection(connect_to);
    r.socket = salut_accept(server, NULL);
    assert_non_null(r.socket);
    fiber = salut_go(receive, &r);
    salut_yield(); /* it waits */
    assert_int_equal(send(salut_fd(peer), "!", 1, MSG_OOB), 1);
    errno = 40;
    assert_int_equal(salut_yield(), 0);
    assert_int_equal(errno, 40);
    assert_int_equal(salut_sleep(1e-4), 0);
    assert_int_equal(errno, 40);
    salut_close(peer);
    salut_join(fiber);
    assert_int_equal(r.result, 0);
    salut_close(r.socket);
    salut_close(server);
}

/* ---- Registers ----------------------------------------------------------------------------- */

/* Fills every register that a callee must keep with values made from `seed`, yields, and tells
 * how many of them came back otherwise. */
uint64_t registers_lost_by_a_yield(uint64_t seed);

#if defined(__x86_64__)
__asm__("    .text\n"
        "    .globl registers_lost_by_a_yield\n"
        "    .type registers_lost_by_a_yield, @function\n"
        "registers_lost_by_a_yield:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
        "    pushq %r15\n    pushq %rdi\n" /* seven pushes: the stack is aligned for a call */
        "    leaq 1(%rdi), %rbp\n    leaq 2(%rdi), %rbx\n    leaq 3(%rdi), %r12\n"
        "    leaq 4(%rdi), %r13\n    leaq 5(%rdi), %r14\n    leaq 6(%rdi), %r15\n"
        "    call salut_yield@PLT\n"
        "    popq %rdi\n"
        "    xorl %eax, %eax\n"
        "    leaq 1(%rdi), %rcx\n    cmpq %rcx, %rbp\n    setne %dl\n    addb %dl, %al\n"
        "    leaq 2(%rdi), %rcx\n    cmpq %rcx, %rbx\n    setne %dl\n    addb %dl, %al\n"
        "    leaq 3(%rdi), %rcx\n    cmpq %rcx, %r12\n    setne %dl\n    addb %dl, %al\n"
        "    leaq 4(%rdi), %rcx\n    cmpq %rcx, %r13\n    setne %dl\n    addb %dl, %al\n"
        "    leaq 5(%rdi), %rcx\n    cmpq %rcx, %r14\n    setne %dl\n    addb %dl, %al\n"
        "    leaq 6(%rdi), %rcx\n    cmpq %rcx, %r15\n    setne %dl\n    addb %dl, %al\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n"
        "    popq %rbp\n    ret\n"
        "    .size registers_lost_by_a_yield, .-registers_lost_by_a_yield\n");
#elif defined(__aarch64__)
__asm__("    .text\n"
        "    .globl registers_lost_by_a_yield\n"
        "    .type registers_lost_by_a_yield, %function\n"
        "registers_lost_by_a_yield:\n"
        "    sub sp, sp, #176\n"
        "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n    stp d14, d15, [sp, #144]\n    str x0, [sp, #160]\n"
        "    add x19, x0, #1\n    add x20, x0, #2\n    add x21, x0, #3\n    add x22, x0, #4\n"
        "    add x23, x0, #5\n    add x24, x0, #6\n    add x25, x0, #7\n    add x26, x0, #8\n"
        "    add x27, x0, #9\n    add x28, x0, #10\n    add x29, x0, #11\n"
        "    fmov d8, x19\n    fmov d9, x20\n    fmov d10, x21\n    fmov d11, x22\n"
        "    fmov d12, x23\n    fmov d13, x24\n    fmov d14, x25\n    fmov d15, x26\n"
        "    bl salut_yield\n"
        "    ldr x0, [sp, #160]\n"
        "    mov x1, #0\n"
        "    add x2, x0, #1\n    cmp x2, x19\n    cinc x1, x1, ne\n"
        "    fmov x3, d8\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #2\n    cmp x2, x20\n    cinc x1, x1, ne\n"
        "    fmov x3, d9\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #3\n    cmp x2, x21\n    cinc x1, x1, ne\n"
        "    fmov x3, d10\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #4\n    cmp x2, x22\n    cinc x1, x1, ne\n"
        "    fmov x3, d11\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #5\n    cmp x2, x23\n    cinc x1, x1, ne\n"
        "    fmov x3, d12\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #6\n    cmp x2, x24\n    cinc x1, x1, ne\n"
        "    fmov x3, d13\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #7\n    cmp x2, x25\n    cinc x1, x1, ne\n"
        "    fmov x3, d14\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #8\n    cmp x2, x26\n    cinc x1, x1, ne\n"
        "    fmov x3, d15\n    cmp x2, x3\n    cinc x1, x1, ne\n"
        "    add x2, x0, #9\n    cmp x2, x27\n    cinc x1, x1, ne\n"
        "    add x2, x0, #10\n    cmp x2, x28\n    cinc x1, x1, ne\n"
        "    add x2, x0, #11\n    cmp x2, x29\n    cinc x1, x1, ne\n"
        "    mov x0, x1\n"
        "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n    ret\n"
        "    .size registers_lost_by_a_yield, .-registers_lost_by_a_yield\n");
#else
uint64_t registers_lost_by_a_yield(uint64_t seed)
{
    (void)seed;
    skip();
    return 0;
}
#endif

struct keeper {
    uint64_t seed, lost;
};

static void keep_registers(void *argument)
{
    struct keeper *k = argument;

    for (int i = 0; i < 100; i++)
        k->lost += registers_lost_by_a_yield(k->seed + (uint64_t)i);
}

static void the_registers_a_callee_keeps_survive_a_switch(void **state)
{
    struct keeper keepers[3] = {{.seed = 0x1111111111111111}, {.seed = 0x2222222222222222}};
    salut_fiber *fibers[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        fibers[i] = salut_go(keep_registers, &keepers[i]);
    keepers[2].seed = 0x3333333333333333;
    keep_registers(&keepers[2]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(keepers[i].lost, 0);
}

/* ---- Rounding ------------------------------------------------------------------------------ */

#if defined(__x86_64__)

enum rounding { NEAREST, DOWN, UP };

static void round_to(enum rounding way)
{
    unsigned sse;
    unsigned short x87;

    __asm__ volatile("stmxcsr %0" : "=m"(sse));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    sse = (sse & ~0x6000u) | (unsigned)way << 13;
    x87 = (unsigned short)((x87 & ~0xc00u) | (unsigned)way << 10);
    __asm__ volatile("ldmxcsr %0" : : "m"(sse));
    __asm__ volatile("fldcw %0" : : "m"(x87));
}

/* How both units round; -1 when each does it otherwise. */
static int rounding(void)
{
    unsigned sse;
    unsigned short x87;

    __asm__ volatile("stmxcsr %0" : "=m"(sse));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    sse = sse >> 13 & 3;
    return (int)sse == (x87 >> 10 & 3) ? (int)sse : -1;
}

struct rounder {
    enum rounding way;
    int at_first, after;
    volatile long double x87_third;
    volatile double sse_third;
};

static void round_that_way(void *argument)
{
    struct rounder *r = argument;
    volatile long double x87_one = 1;
    volatile double sse_one = 1;

    r->at_first = rounding();
    round_to(r->way);
    salut_yield();
    r->after = rounding();
    r->x87_third = x87_one / 3;
    r->sse_third = sse_one / 3;
    round_to(NEAREST);
}

static void how_numbers_are_rounded_is_each_fibers_own(void **state)
{
    struct rounder up = {.way = UP}, down = {.way = DOWN};
    salut_fiber *a, *b;

    (void)state;
    needs_no("valgrind", "it rounds to nearest, whatever the program says");
    a = salut_go(round_that_way, &up);
    b = salut_go(round_that_way, &down);
    salut_yield();
    assert_int_equal(rounding(), NEAREST);
    salut_join(a);
    salut_join(b);
    assert_int_equal(rounding(), NEAREST);
    assert_int_equal(up.after, UP);
    assert_int_equal(down.after, DOWN);
    assert_true(up.x87_third > down.x87_third);
    assert_true(up.sse_third > down.sse_third);
}

static void a_new_fiber_rounds_to_nearest_whatever_its_maker_does(void **state)
{
    struct rounder r = {.at_first = -1, .way = UP};

    (void)state;
#ifdef SALUT_SWITCH_UCONTEXT
    printf("left out: switched by ucontext, a new fiber rounds as its maker does\n");
    skip();
#endif
    needs_no("valgrind", "it rounds to nearest, whatever the program says");
    round_to(DOWN);
    salut_join(salut_go(round_that_way, &r));
    assert_int_equal(rounding(), DOWN);
    round_to(NEAREST);
    assert_int_equal(r.at_first, NEAREST);
}

#else

static void how_numbers_are_rounded_is_each_fibers_own(void **state)
{
    (void)state;
    printf("left out: only x86-64's ABI has a callee keep it; elsewhere it is the thread's\n");
    skip();
}

static void a_new_fiber_rounds_to_nearest_whatever_its_maker_does(void **state)
{
    how_numbers_are_rounded_is_each_fibers_own(state);
}

#endif

/* ---- The stack ----------------------------------------------------------------------------- */

struct deep {
    int depth;
    bool intact, aligned;
};

static bool fill_and_look_again(int depth)
{
    volatile unsigned char bytes[200];
    bool intact = true;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(depth + (int)i);
    if (depth)
        intact = fill_and_look_again(depth - 1);
    else
        salut_yield();
    for (size_t i = 0; i < sizeof bytes; i++)
        intact = intact && bytes[i] == (unsigned char)(depth + (int)i);
    return intact;
}

static void go_deep(void *argument)
{
    struct deep *d = argument;
    _Alignas(16) volatile char aligned = 0;

    d->aligned = (uintptr_t)&aligned % 16 == 0;
    d->intact = fill_and_look_again(d->depth);
}

static void deep_stacks_stay_as_they_were_beside_each_other(void **state)
{
    struct deep deep[8];
    salut_fiber *fibers[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        deep[i] = (struct deep){.depth = 5 * i};
        fibers[i] = salut_go(go_deep, &deep[i]);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    for (int i = 0; i < 8; i++) {
        assert_true(deep[i].intact);
        assert_true(deep[i].aligned);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errno_and_the_sentence_are_each_fibers_own),
        cmocka_unit_test(a_new_fiber_on_a_used_stack_has_no_failure),
        cmocka_unit_test(errno_survives_what_the_engine_does_meanwhile),
        cmocka_unit_test(the_registers_a_callee_keeps_survive_a_switch),
        cmocka_unit_test(how_numbers_are_rounded_is_each_fibers_own),
        cmocka_unit_test(a_new_fiber_rounds_to_nearest_whatever_its_maker_does),
        cmocka_unit_test(deep_stacks_stay_as_they_were_beside_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
