/* test_trim.c: fibers that went deep and then wait for long give their pages back.
 *
 * But for one test the engine's clock and alarm are ours: time stands still while fibers run, and
 * jumps to what comes first. */
#include "base/clock.h"
#include "fiber/scheduler.h"
#include "support/fibers.h"

#include <salut.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum {
    MANY = 100,   /* more than are worth looking at */
    FEW = 20,     /* fewer than that, with those before */
    DEEP = 40960, /* bytes of stack, in a plain build's 64 KiB */
    TRIM_SLICE = 64,
};

/* ---- Our own clock ------------------------------------------------------------------------- */

static struct {
    struct engine_calls calls;
    const struct engine_calls *real;
    int64_t now;
    int64_t alarm_at; /* NEVER: it isn't set */
    struct letter *alarm;
    int alarms; /* that have gone off */
} ours;

static int64_t our_now(struct engine *e)
{
    (void)e;
    return ours.now;
}

static int our_alarm(struct engine *e, int64_t at, struct letter *letter)
{
    (void)e;
    ours.alarm_at = at;
    ours.alarm = letter;
    return 0;
}

static bool our_poll(struct engine *e, int64_t until)
{
    int64_t next = until < ours.alarm_at ? until : ours.alarm_at;

    ours.real->poll(e, next == NEVER ? NEVER : AT_ONCE);
    if (next == NEVER || next == AT_ONCE)
        return true;
    ours.now = next;
    if (next == ours.alarm_at) {
        ours.alarm_at = NEVER;
        ours.alarms++;
        ours.alarm->open(ours.alarm);
    }
    return true;
}

static int take_clock(void **state)
{
    struct engine *e = scheduler_get()->engine;

    (void)state;
    ours.real = e->calls;
    ours.calls = *e->calls;
    ours.calls.now = our_now;
    ours.calls.poll = our_poll;
    ours.calls.alarm = our_alarm;
    ours.now = NANOSECONDS;
    ours.alarm_at = NEVER;
    ours.alarms = 0;
    e->calls = &ours.calls;
    scheduler_of_thread->trimmer = (struct trimmer){0};
    return 0;
}

static int give_clock_back(void **state)
{
    (void)state;
    scheduler_of_thread->engine->calls = ours.real;
    return 0;
}

/* ---- Divers -------------------------------------------------------------------------------- */

struct diver {
    salut_fiber *handle;
    struct fiber *fiber;
    double pause; /* between two dives; 0: it waits to be woken */
    bool over;
    bool lost; /* what it keeps on its stack is not there any more */
};

/* On the stack itself, and not on one that AddressSanitizer keeps beside it. */
__attribute__((noinline, no_sanitize("address"))) static void dive(void)
{
    char deep[DEEP];

    memset(deep, 1, sizeof deep);
    __asm__ volatile("" : : "r"(deep) : "memory"); /* or it would never have been there */
}

static void dive_and_wait(void *argument)
{
    struct diver *diver = argument;
    volatile unsigned kept[32];

    for (unsigned i = 0; i < 32; i++)
        kept[i] = i * i;
    diver->fiber = fiber_current();
    do {
        dive();
        if (diver->pause > 0)
            salut_sleep(diver->pause);
        else
            fiber_park(NEVER, "the end of the test");
    } while (!diver->over);
    dive();
    for (unsigned i = 0; i < 32; i++)
        diver->lost |= kept[i] != i * i;
}

static void start_divers(struct diver *divers, int count)
{
    for (int i = 0; i < count; i++) {
        divers[i].handle = salut_go(dive_and_wait, &divers[i]);
        assert_non_null(divers[i].handle);
    }
    assert_int_equal(salut_yield(), 0);
}

static void end_divers(struct diver *divers, int count)
{
    for (int i = 0; i < count; i++) {
        divers[i].over = true;
        fiber_wake(divers[i].fiber);
    }
    for (int i = 0; i < count; i++) {
        assert_int_equal(salut_join(divers[i].handle), 0);
        assert_false(divers[i].lost);
    }
}

/* The pages of its stack that are there. */
static int pages_of(const struct diver *diver)
{
    const struct stack *stack = diver->fiber->stack;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t count = ((uintptr_t)stack + sizeof *stack - (uintptr_t)stack->low + page - 1) / page;
    unsigned char there[1024];
    int pages = 0;

    if (count > sizeof there || mincore(stack->low, count * page, there))
        return -1;
    for (size_t i = 0; i < count; i++)
        pages += there[i] & 1;
    return pages;
}

static int pages_deep(void)
{
    return DEEP / (int)sysconf(_SC_PAGESIZE);
}

/* One, or two where a frame lies across their border. */
enum { PAGES_NEEDED = 2 };

/* qemu tells what the host has, which may have larger pages than its guest thinks. */
static void needs_a_switch_that_tells_its_depth(void)
{
    struct diver one = {.pause = 0};

    needs_no("qemu", "its mincore() is not to be believed");
    start_divers(&one, 1);
    if (!context_lowest(&one.fiber->context)) {
        end_divers(&one, 1);
        puts("skipped: ucontext doesn't say how deep a stack is in use");
        skip();
    }
    end_divers(&one, 1);
}

/* Of one look at all fibers that there ever were at once. */
static int slices(void)
{
    return (int)(scheduler_of_thread->fibers.used + TRIM_SLICE - 1) / TRIM_SLICE;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void fewer_fibers_are_let_be(void **state)
{
    struct diver divers[FEW] = {{0}};

    (void)state;
    needs_a_switch_that_tells_its_depth();
    start_divers(divers, FEW);
    assert_int_equal(salut_sleep(10), 0);
    assert_int_equal(ours.alarms, 0);
    for (int i = 0; i < FEW; i++)
        assert_true(pages_of(&divers[i]) >= pages_deep());
    end_divers(divers, FEW);
}

static void who_waits_for_two_looks_keeps_only_what_is_in_use(void **state)
{
    static struct diver divers[MANY];

    (void)state;
    needs_a_switch_that_tells_its_depth();
    memset(divers, 0, sizeof divers);
    start_divers(divers, MANY);
    for (int i = 0; i < MANY; i++)
        assert_true(pages_of(&divers[i]) >= pages_deep());
    assert_int_equal(salut_sleep(1.5), 0);
    for (int i = 0; i < MANY; i++)
        assert_true(pages_of(&divers[i]) >= pages_deep());
    assert_int_equal(salut_sleep(1.5), 0);
    for (int i = 0; i < MANY; i++)
        assert_in_range(pages_of(&divers[i]), 1, PAGES_NEEDED);
    end_divers(divers, MANY);
}

static void who_runs_between_keeps_its_stack(void **state)
{
    static struct diver divers[MANY];

    (void)state;
    needs_a_switch_that_tells_its_depth();
    memset(divers, 0, sizeof divers);
    for (int i = 0; i < MANY; i += 2)
        divers[i].pause = 0.9;
    start_divers(divers, MANY);
    assert_int_equal(salut_sleep(7.7), 0);
    for (int i = 0; i < MANY; i += 2)
        assert_true(pages_of(&divers[i]) >= pages_deep());
    for (int i = 1; i < MANY; i += 2)
        assert_in_range(pages_of(&divers[i]), 1, PAGES_NEEDED);
    end_divers(divers, MANY);
}

static void when_there_is_nobody_left_the_thread_is_left_in_peace(void **state)
{
    static struct diver divers[MANY];

    (void)state;
    memset(divers, 0, sizeof divers);
    start_divers(divers, MANY);
    assert_int_equal(salut_sleep(1000), 0);
    assert_int_equal(ours.alarms, 2 * slices());
    end_divers(divers, MANY);
}

static void a_long_look_lets_the_network_have_its_turn(void **state)
{
    enum { COUNT = 1000, SLICES_MIN = 10 };
    struct diver *divers = calloc(COUNT, sizeof *divers);

    (void)state;
    needs_a_switch_that_tells_its_depth();
    assert_non_null(divers);
    start_divers(divers, COUNT);
    assert_int_equal(salut_sleep(1.0005), 0); /* in the middle of the first look */
    assert_int_equal(ours.alarms, 1);
    assert_int_equal(salut_sleep(10), 0);
    assert_int_equal(ours.alarms, 2 * slices());
    assert_true(slices() >= SLICES_MIN);
    for (int i = 0; i < COUNT; i++)
        assert_in_range(pages_of(&divers[i]), 1, PAGES_NEEDED);
    end_divers(divers, COUNT);
    free(divers);
}

/* ---- By the real clock --------------------------------------------------------------------- */

struct quiet_thread {
    struct diver divers[MANY];
    atomic_bool dived;
    int bell[2]; /* a pair; a byte ends it */
};

static void *wait_for_bell(void *argument)
{
    struct quiet_thread *quiet = argument;
    salut_sock *bell;
    char byte;

    start_divers(quiet->divers, MANY);
    bell = salut_from_fd(quiet->bell[1]);
    atomic_store(&quiet->dived, true);
    salut_recv(bell, &byte, 1);
    salut_close(bell);
    end_divers(quiet->divers, MANY);
    return NULL;
}

/* No timer, no event: the thread itself sees to being woken. */
static void a_thread_to_which_nothing_happens_looks_too(void **state)
{
    static struct quiet_thread quiet;
    pthread_t thread;
    int before = 0, now;

    (void)state;
    needs_a_switch_that_tells_its_depth();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet.bell), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_bell, &quiet), 0);
    while (!atomic_load(&quiet.dived))
        assert_int_equal(salut_sleep(0.001), 0);
    for (int i = 0; i < MANY; i++)
        before += pages_of(&quiet.divers[i]);
    assert_true(before >= MANY * pages_deep());
    do {
        assert_int_equal(salut_sleep(0.02), 0);
        now = 0;
        for (int i = 0; i < MANY; i++)
            now += pages_of(&quiet.divers[i]);
    } while (now > MANY * PAGES_NEEDED);
    assert_int_equal(write(quiet.bell[0], "!", 1), 1);
    pthread_join(thread, NULL);
    close(quiet.bell[0]);
    printf("%d pages of %d fibers became %d\n", before, MANY, now);
}

static void trim_as_a_child(void)
{
    static struct diver divers[MANY];
    int now;

    start_divers(divers, MANY);
    do {
        CHILD_ASSERT(salut_sleep(0.02) == 0);
        now = 0;
        for (int i = 0; i < MANY; i++)
            now += pages_of(&divers[i]);
    } while (now > MANY * PAGES_NEEDED);
}

/* The parent's alarm is not the child's. */
static void a_child_process_looks_at_its_own_fibers(void **state)
{
    static struct diver divers[MANY];

    (void)state;
    needs_a_switch_that_tells_its_depth();
    start_divers(divers, MANY);
    do /* until the alarm is set, and no look of a slow machine's was the last one */
        assert_int_equal(salut_sleep(0.001), 0);
    while (!scheduler_of_thread->trimmer.looks);
    assert_child_is_content(trim_as_a_child);
    end_divers(divers, MANY);
}

#define WITH_OUR_CLOCK(test) cmocka_unit_test_setup_teardown(test, take_clock, give_clock_back)

int main(void)
{
    const struct CMUnitTest trim[] = {
        WITH_OUR_CLOCK(fewer_fibers_are_let_be), /* first: a thread has had few so far */
        WITH_OUR_CLOCK(who_waits_for_two_looks_keeps_only_what_is_in_use),
        WITH_OUR_CLOCK(who_runs_between_keeps_its_stack),
        WITH_OUR_CLOCK(when_there_is_nobody_left_the_thread_is_left_in_peace),
        WITH_OUR_CLOCK(a_long_look_lets_the_network_have_its_turn),
        cmocka_unit_test(a_thread_to_which_nothing_happens_looks_too),
        cmocka_unit_test(a_child_process_looks_at_its_own_fibers),
    };

    return cmocka_run_group_tests(trim, NULL, NULL);
}
