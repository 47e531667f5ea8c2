/* Stacks: what they cost, what they leave behind, and what happens when there are no more. Each
 * test is a child of its own, whose memory is not yet touched by another's. */
#include "support/fibers.h"

#include "base/limits.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* What the design promises for an idle fiber with all that is kept for it, in a plain build. */
enum { IDLE_FIBER_BYTES_MAX = 46 * 1024 / 10 }; /* 4.6 KiB */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* The memory this process really has, and the address space. */
static size_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHILD_ASSERT(file && fscanf(file, "%lu %lu", &size, &pages) == 2);
    fclose(file);
    return pages * page_bytes();
}

static size_t address_space(void)
{
    unsigned long size = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHILD_ASSERT(file && fscanf(file, "%lu", &size) == 1);
    fclose(file);
    return size * page_bytes();
}

static int maps(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    int lines = 0, letter;

    CHILD_ASSERT(file);
    while ((letter = getc(file)) != EOF)
        lines += letter == '\n';
    fclose(file);
    return lines;
}

static void sleep_for_years(void *unused)
{
    (void)unused;
    salut_sleep(1e8); /* this one needs a timer */
}

static void do_nothing(void *unused)
{
    (void)unused;
}

/* Guard regions that are no maps of their own: Linux 6.13 has them; some watchers don't. */
static bool guards_are_cheap(void)
{
    CHILD_ASSERT(salut_join(salut_go(do_nothing, NULL)) == 0); /* it is known after the first */
    return scheduler_of_thread->stacks.guard_cheap;
}

/* Starts `count` fibers, lets them sleep, and says what each cost. */
static size_t cost_of_sleepers(salut_fiber **fibers, int count)
{
    size_t before, after;

    before = resident();
    for (int i = 0; i < count; i++) {
        fibers[i] = salut_go(sleep_for_years, NULL);
        if (!fibers[i])
            fprintf(stderr, "fiber %d: %s\n", i, salut_error());
        CHILD_ASSERT(fibers[i]);
    }
    salut_yield();
    after = resident();
    return (after - before) / (size_t)count;
}

static void end_all(salut_fiber **fibers, int count)
{
    for (int i = 0; i < count; i++)
        CHILD_ASSERT(salut_cancel(fibers[i]) == 0);
    for (int i = 0; i < count; i++)
        CHILD_ASSERT(salut_join(fibers[i]) == 0);
    CHILD_ASSERT(scheduler_of_thread->timers.count == 0);
}

/* ThreadSanitizer knows 8,000 threads and fibers; valgrind looks through all stacks it knows at
 * each switch. */
static int many_fibers(void)
{
    int count = sized(100000, UNDER_TSAN || RUNNING_ON_VALGRIND ? 1000 : 5000, "fibers");

    if (!guards_are_cheap() && count > 20000) {
        printf("this kernel has no cheap guards: 20000 fibers instead of %d\n", count);
        count = 20000;
    }
    return count;
}

static void sleep_in_great_numbers(void)
{
    int count = many_fibers();
    salut_fiber **fibers = malloc((size_t)count * sizeof *fibers);
    int maps_before = maps();
    size_t cost;

    memset(fibers, 0, (size_t)count * sizeof *fibers);
    cost = cost_of_sleepers(fibers, count);
    printf("%d fibers that sleep: %zu bytes each, %d maps more\n", count, cost,
           maps() - maps_before);
    fflush(stdout);
#if !defined(SALUT_SWITCH_UCONTEXT)
    if (!watcher())
        CHILD_ASSERT(cost <= IDLE_FIBER_BYTES_MAX);
#endif
    if (guards_are_cheap() && !watcher())
        CHILD_ASSERT(maps() < 100);
    end_all(fibers, count);
    free(fibers);
}

static void a_hundred_thousand_fibers_sleep_on_one_thread(void **state)
{
    (void)state;
    assert_child_is_content(sleep_in_great_numbers);
}

static void sleep_again_and_again(void)
{
    static salut_fiber *fibers[1000];
    int sleepers = sized(1000, 100, "fibers");
    size_t first;

    cost_of_sleepers(fibers, sleepers);
    end_all(fibers, sleepers);
    first = address_space();
    for (int i = 0; i < 5; i++) {
        cost_of_sleepers(fibers, sleepers);
        end_all(fibers, sleepers);
    }
    CHILD_ASSERT(watcher() || address_space() == first);
}

static void stacks_are_used_again(void **state)
{
    (void)state;
    assert_child_is_content(sleep_again_and_again);
}

/* ---- No more ------------------------------------------------------------------------------- */

static void limit_address_space(size_t bytes)
{
    struct rlimit limit;

    CHILD_ASSERT(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = bytes;
    CHILD_ASSERT(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void run_out_of_address_space(void)
{
    enum { MANY = 100000 };
    static salut_fiber *fibers[MANY];
    const size_t room = (size_t)100 << 20;
    int count = 0;

    CHILD_ASSERT(salut_yield() == 0);
    limit_address_space(address_space() + room);
    while (count < MANY && (fibers[count] = salut_go(sleep_for_years, NULL)))
        count++;
    CHILD_ASSERT(errno == ENOMEM);
    CHILD_ASSERT(salut_failed());
    CHILD_ASSERT(strncmp(salut_error(), "go: ", 4) == 0);
    printf("%d stacks in 100 MiB\n", count);
    fflush(stdout);
    CHILD_ASSERT((size_t)count > room / (FIBER_STACK_BYTES + stack_guard_bytes()) * 9 / 10);
    CHILD_ASSERT(count < MANY);

    /* everything goes on */
    salut_clear_error();
    CHILD_ASSERT(salut_yield() == 0);
    CHILD_ASSERT(salut_sleep(1e-6) == 0);
    CHILD_ASSERT(!salut_go(sleep_for_years, NULL));
    CHILD_ASSERT(salut_cancel(fibers[0]) == 0 && salut_join(fibers[0]) == 0);
    fibers[0] = salut_go(sleep_for_years, NULL); /* on the stack that is free now */
    CHILD_ASSERT(fibers[0]);
    limit_address_space(RLIM_INFINITY);
    fibers[count] = salut_go(sleep_for_years, NULL);
    CHILD_ASSERT(fibers[count]);
    end_all(fibers, count + 1);
}

static void without_address_space_go_says_enomem_and_everything_goes_on(void **state)
{
    (void)state;
    needs_no("AddressSanitizer", "it needs address space without a limit");
    needs_no("ThreadSanitizer", "it needs address space without a limit");
    needs_no("valgrind", "it needs address space itself");
    needs_no("qemu", "a limit would be the emulator's own");
    assert_child_is_content(run_out_of_address_space);
}

/* Guard regions can't be made in memory that is locked. */
static void start_fibers_with_all_memory_locked(void)
{
    enum { FIBERS = 50 }; /* more than the first slab has */
    static salut_fiber *fibers[FIBERS];

    fibers[0] = salut_go(sleep_for_years, NULL);
    CHILD_ASSERT(fibers[0]);
    if (mlockall(MCL_FUTURE)) {
        fprintf(stderr, "mlockall: %s\n", strerror(errno));
        _exit(77);
    }
    for (int i = 1; i < FIBERS; i++) {
        fibers[i] = salut_go(sleep_for_years, NULL);
        if (!fibers[i] && errno == ENOMEM && getuid())
            _exit(77); /* the limit of locked memory */
        CHILD_ASSERT(fibers[i]);
    }
    end_all(fibers, FIBERS);
}

static void fibers_start_in_a_program_whose_memory_is_locked(void **state)
{
    struct ending ending = end_of_child(start_fibers_with_all_memory_locked);

    (void)state;
    if (WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == 77) {
        printf("left out: this user may not lock memory\n");
        skip();
    }
    if (ending.status)
        fail_msg("the child ended with status 0x%x and said: %s", ending.status, ending.said);
}

/* ---- The pool itself ----------------------------------------------------------------------- */

static void stacks_are_apart_from_each_other(void **state)
{
    enum { STACKS = 100 };
    struct stack_pool pool;
    struct stack *stacks[STACKS];

    (void)state;
    stack_pool_begin(&pool, 0);
    for (int i = 0; i < STACKS; i++) {
        stacks[i] = stack_take(&pool);
        assert_non_null(stacks[i]);
        assert_true((uintptr_t)stacks[i]->low % page_bytes() == 0);
        assert_in_range((char *)stacks[i] - stacks[i]->low, pool.stack_bytes - 2048,
                        pool.stack_bytes);
        memset(stacks[i]->low, i, (size_t)((char *)stacks[i] - stacks[i]->low));
    }
    for (int i = 0; i < STACKS; i++)
        for (char *byte = stacks[i]->low; byte < (char *)stacks[i]; byte += 101)
            assert_int_equal(*byte, (char)i);
    stack_pool_end(&pool);
}

static void the_last_stack_given_back_is_the_first_taken(void **state)
{
    struct stack_pool pool;
    struct stack *a, *b;

    (void)state;
    stack_pool_begin(&pool, 0);
    a = stack_take(&pool);
    b = stack_take(&pool);
    stack_give_back(a);
    stack_give_back(b);
    assert_ptr_equal(stack_take(&pool), b);
    assert_ptr_equal(stack_take(&pool), a);
    stack_pool_end(&pool);
}

static void a_stack_has_the_size_that_was_asked_for(void **state)
{
    struct stack_pool pool;
    struct stack *stack;

    (void)state;
    stack_pool_begin(&pool, 1000001);
    stack = stack_take(&pool);
    assert_true(pool.stack_bytes >= 1000001);
    assert_true(pool.stack_bytes % page_bytes() == 0);
    memset(stack->low, 'x', (size_t)((char *)stack - stack->low));
    stack_pool_end(&pool);
}

static void write_below_a_stack(void)
{
    struct stack_pool pool;
    struct stack *stack;

    stack_pool_begin(&pool, 0);
    stack_take(&pool);
    stack = stack_take(&pool);
    signal(SIGSEGV, SIG_DFL);
    stack->low[0] = 'x';
    *(volatile char *)(stack->low - 1) = 'x';
}

static void the_byte_below_a_stack_can_not_be_written(void **state)
{
    struct ending ending = end_of_child(write_below_a_stack);

    (void)state;
    assert_true(WIFSIGNALED(ending.status));
    assert_int_equal(WTERMSIG(ending.status), SIGSEGV);
}

static void write_at_the_guards_end(void)
{
    struct stack_pool pool;
    struct stack *stack;

    stack_pool_begin(&pool, 0);
    stack_take(&pool);
    stack = stack_take(&pool);
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)(stack->low - FIBER_GUARD_BYTES) = 'x';
}

static void the_guard_is_as_wide_as_it_says(void **state)
{
    struct ending ending = end_of_child(write_at_the_guards_end);

    (void)state;
    assert_true(WIFSIGNALED(ending.status));
    assert_int_equal(WTERMSIG(ending.status), SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_fibers_sleep_on_one_thread),
        cmocka_unit_test(stacks_are_used_again),
        cmocka_unit_test(without_address_space_go_says_enomem_and_everything_goes_on),
        cmocka_unit_test(fibers_start_in_a_program_whose_memory_is_locked),
        cmocka_unit_test(stacks_are_apart_from_each_other),
        cmocka_unit_test(the_last_stack_given_back_is_the_first_taken),
        cmocka_unit_test(a_stack_has_the_size_that_was_asked_for),
        cmocka_unit_test(the_byte_below_a_stack_can_not_be_written),
        cmocka_unit_test(the_guard_is_as_wide_as_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
