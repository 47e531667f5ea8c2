/* A fiber's life: go, join, cancel, sleep and yield in every order. */
#include "support/fibers.h"

#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>

/* What happened, a letter each. */
static char happened[256];

static void note(char letter)
{
    size_t length = strlen(happened);

    if (length < sizeof happened - 1)
        happened[length] = letter;
}

static int forget(void **state)
{
    (void)state;
    memset(happened, 0, sizeof happened);
    salut_clear_error();
    return 0;
}

static void note_letter(void *letter)
{
    note(*(const char *)letter);
}

static void note_twice(void *letter)
{
    note(*(const char *)letter);
    salut_yield();
    note(*(const char *)letter);
}

/* ---- go and yield -------------------------------------------------------------------------- */

static void a_fiber_first_runs_when_its_maker_waits(void **state)
{
    salut_fiber *fiber = salut_go(note_letter, "a");

    (void)state;
    note('m');
    assert_string_equal(happened, "m");
    assert_int_equal(salut_yield(), 0);
    assert_string_equal(happened, "ma");
    assert_int_equal(salut_join(fiber), 0);
}

static void fibers_run_in_the_order_they_were_started(void **state)
{
    (void)state;
    salut_go(note_letter, "a");
    salut_go(note_letter, "b");
    salut_go(note_letter, "c");
    salut_yield();
    assert_string_equal(happened, "abc");
}

static void a_yield_lets_each_other_one_run_once(void **state)
{
    (void)state;
    salut_go(note_twice, "a");
    salut_go(note_twice, "b");
    salut_yield();
    note('m');
    salut_yield();
    assert_string_equal(happened, "abmab");
}

static void a_yield_with_no_other_fiber_returns(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(salut_yield(), 0);
}

static void go_without_a_function_says_einval(void **state)
{
    (void)state;
    assert_null(salut_go(NULL, NULL));
    assert_int_equal(errno, EINVAL);
    assert_string_equal(salut_error(), "go: the function is NULL");
}

static void start_ten(void *deep)
{
    int depth = *(int *)deep - 1;
    salut_fiber *fibers[10];

    note('x');
    for (int i = 0; depth && i < 10; i++)
        fibers[i] = salut_go(start_ten, &depth);
    for (int i = 0; depth && i < 10; i++)
        salut_join(fibers[i]);
}

static void fibers_start_fibers(void **state)
{
    int depth = 3;
    salut_fiber *fiber = salut_go(start_ten, &depth);

    (void)state;
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(strlen(happened), 1 + 10 + 100);
}

static void pass_it_on(void *left)
{
    if (--*(int *)left > 0)
        salut_go(pass_it_on, left);
}

static void a_fiber_after_another_uses_the_same_stack(void **state)
{
    int left = sized(100000, 2000, "fibers, one after another");
    uint32_t cut;

    (void)state;
    salut_join(salut_go(note_letter, "a"));
    cut = scheduler_of_thread->stacks.cut;
    salut_go(pass_it_on, &left);
    while (left > 0)
        salut_yield();
    assert_in_range(scheduler_of_thread->stacks.cut, cut, cut + 2);
}

/* ---- join ---------------------------------------------------------------------------------- */

static void joining_one_that_has_ended_returns_at_once(void **state)
{
    salut_fiber *fiber = salut_go(note_letter, "a");

    (void)state;
    salut_yield();
    assert_string_equal(happened, "a");
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(salut_join(fiber), 0);
}

static void joining_one_that_ended_long_ago_never_waits_for_another(void **state)
{
    salut_fiber *ended = salut_go(note_letter, "a"), *other;

    (void)state;
    salut_join(ended);
    other = salut_go(note_letter, "b"); /* on the same stack */
    assert_int_equal(salut_join(ended), 0);
    assert_string_equal(happened, "a");
    assert_int_equal(salut_join(other), 0);
    assert_string_equal(happened, "ab");
}

static void joining_null_says_einval(void **state)
{
    (void)state;
    assert_int_equal(salut_join(NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(salut_error(), "join: the fiber is NULL");
}

struct self {
    salut_fiber *fiber;
    int result, number;
};

static void join_self(void *argument)
{
    struct self *self = argument;

    self->result = salut_join(self->fiber);
    self->number = errno;
}

static void joining_itself_says_edeadlk(void **state)
{
    struct self self = {0};

    (void)state;
    self.fiber = salut_go(join_self, &self);
    assert_int_equal(salut_join(self.fiber), 0);
    assert_int_equal(self.result, -1);
    assert_int_equal(self.number, EDEADLK);
}

struct joiner {
    salut_fiber *of;
    int result, number;
};

static void join_of(void *argument)
{
    struct joiner *joiner = argument;

    joiner->result = salut_join(joiner->of);
    joiner->number = errno;
    note('j');
}

static void sleep_until_canceled(void *letter)
{
    salut_sleep(INFINITY);
    note(*(const char *)letter);
}

static void any_number_may_wait_for_one(void **state)
{
    enum { JOINERS = 100 };
    struct joiner joiners[JOINERS];
    salut_fiber *fibers[JOINERS], *of = salut_go(sleep_until_canceled, "e");

    (void)state;
    for (int i = 0; i < JOINERS; i++) {
        joiners[i] = (struct joiner){.of = of, .result = -2};
        fibers[i] = salut_go(join_of, &joiners[i]);
    }
    salut_yield();
    assert_string_equal(happened, "");
    salut_cancel(of);
    for (int i = 0; i < JOINERS; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    for (int i = 0; i < JOINERS; i++)
        assert_int_equal(joiners[i].result, 0);
    assert_int_equal(happened[0], 'e');
    assert_int_equal(strlen(happened), 1 + JOINERS);
}

static void two_that_join_each_other_wait_until_one_is_canceled(void **state)
{
    struct joiner a = {0}, b = {0};
    salut_fiber *fa = salut_go(join_of, &a), *fb = salut_go(join_of, &b);

    (void)state;
    a.of = fb;
    b.of = fa;
    salut_yield();
    salut_yield();
    assert_string_equal(happened, "");
    salut_cancel(fa);
    assert_int_equal(salut_join(fb), 0);
    assert_int_equal(a.result, -1);
    assert_int_equal(a.number, ECANCELED);
    assert_int_equal(b.result, 0);
}

static void a_joiner_that_gives_up_leaves_the_other_joiners_in_place(void **state)
{
    salut_fiber *of = salut_go(sleep_until_canceled, "e"), *fibers[3];
    struct joiner joiners[3];

    (void)state;
    for (int leaver = 0; leaver < 3; leaver++) {
        forget(NULL);
        of = leaver ? salut_go(sleep_until_canceled, "e") : of;
        for (int i = 0; i < 3; i++) {
            joiners[i] = (struct joiner){.of = of};
            fibers[i] = salut_go(join_of, &joiners[i]);
        }
        salut_yield();
        salut_cancel(fibers[leaver]);
        assert_int_equal(salut_join(fibers[leaver]), 0);
        assert_string_equal(happened, "j");
        salut_cancel(of);
        for (int i = 0; i < 3; i++)
            assert_int_equal(salut_join(fibers[i]), 0);
        assert_string_equal(happened, "jejj");
    }
}

/* ---- cancel -------------------------------------------------------------------------------- */

struct attempts {
    int results[4], numbers[4];
};

static void sleep_four_times(void *argument)
{
    struct attempts *a = argument;

    note('b');
    a->results[0] = salut_sleep(INFINITY);
    a->numbers[0] = errno;
    a->results[1] = salut_sleep(1e-9);
    a->numbers[1] = errno;
    a->results[2] = salut_yield();
    a->numbers[2] = errno;
    a->results[3] = salut_sleep(0);
    a->numbers[3] = errno;
    assert_string_equal(salut_error(), "sleep: canceled");
    note('e');
}

static void assert_all_were_canceled(const struct attempts *a)
{
    for (int i = 0; i < 4; i++) {
        assert_int_equal(a->results[i], -1);
        assert_int_equal(a->numbers[i], ECANCELED);
    }
}

static void a_cancel_ends_the_present_wait_and_every_later_one(void **state)
{
    struct attempts a = {{0}, {0}};
    salut_fiber *fiber = salut_go(sleep_four_times, &a);

    (void)state;
    salut_yield();
    assert_string_equal(happened, "b");
    assert_int_equal(salut_cancel(fiber), 0);
    assert_string_equal(happened, "b");
    assert_int_equal(salut_join(fiber), 0);
    assert_all_were_canceled(&a);
}

static void one_canceled_before_it_first_ran_still_runs(void **state)
{
    struct attempts a = {{0}, {0}};
    salut_fiber *fiber = salut_go(sleep_four_times, &a);

    (void)state;
    assert_int_equal(salut_cancel(fiber), 0);
    assert_int_equal(salut_join(fiber), 0);
    assert_string_equal(happened, "be");
    assert_all_were_canceled(&a);
}

static void a_cancel_ends_a_join(void **state)
{
    salut_fiber *of = salut_go(sleep_until_canceled, "e");
    struct joiner joiner = {.of = of};
    salut_fiber *fiber = salut_go(join_of, &joiner);

    (void)state;
    salut_yield();
    salut_cancel(fiber);
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(joiner.result, -1);
    assert_int_equal(joiner.number, ECANCELED);
    assert_string_equal(happened, "j");
    salut_cancel(of);
    assert_int_equal(salut_join(of), 0);
}

static void canceling_one_that_has_ended_is_fine(void **state)
{
    salut_fiber *fiber = salut_go(note_letter, "a"), *other;

    (void)state;
    salut_join(fiber);
    other = salut_go(sleep_until_canceled, "e");
    salut_yield();
    assert_int_equal(salut_cancel(fiber), 0);
    salut_yield();
    assert_string_equal(happened, "a"); /* the other one wasn't meant */
    assert_int_equal(salut_cancel(other), 0);
    assert_int_equal(salut_join(other), 0);
}

static void canceling_null_says_einval(void **state)
{
    (void)state;
    assert_int_equal(salut_cancel(NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(salut_error(), "cancel: the fiber is NULL");
}

static void cancel_self(void *argument)
{
    struct self *self = argument;

    salut_cancel(self->fiber);
    self->result = salut_sleep(INFINITY);
    self->number = errno;
}

static void one_that_cancels_itself_ends_at_its_next_wait(void **state)
{
    struct self self = {0};

    (void)state;
    self.fiber = salut_go(cancel_self, &self);
    assert_int_equal(salut_join(self.fiber), 0);
    assert_int_equal(self.result, -1);
    assert_int_equal(self.number, ECANCELED);
}

static void two_cancels_are_one(void **state)
{
    struct attempts a = {{0}, {0}};
    salut_fiber *fiber = salut_go(sleep_four_times, &a);

    (void)state;
    salut_yield();
    assert_int_equal(salut_cancel(fiber), 0);
    assert_int_equal(salut_cancel(fiber), 0);
    assert_int_equal(salut_join(fiber), 0);
    assert_string_equal(happened, "be");
}

/* What a wait had brought before the cancel is kept: the cancel then meets the next wait. */
static void sleep_briefly_then_again(void *argument)
{
    struct attempts *a = argument;

    a->results[0] = salut_sleep(1e-9);
    a->results[1] = salut_sleep(1e-9);
    a->numbers[1] = errno;
}

static void a_cancel_after_the_wait_was_over_meets_the_next_one(void **state)
{
    struct attempts a = {{-2, -2}, {0}};
    salut_fiber *fiber = salut_go(sleep_briefly_then_again, &a);
    struct fiber *f = handle_object(&scheduler_of_thread->fibers, fiber);

    (void)state;
    salut_yield();
    while (fiber_now() <= f->timer.due)
        ;
    salut_go(note_letter, "x"); /* so that we are ready before the sleeper */
    scheduler_of_thread->switches_left = 0;
    salut_yield();
    assert_false(f->parked);
    assert_int_equal(a.results[0], -2);
    salut_cancel(fiber);
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(a.results[0], 0);
    assert_int_equal(a.results[1], -1);
    assert_int_equal(a.numbers[1], ECANCELED);
}

/* ---- sleep --------------------------------------------------------------------------------- */

struct sleeper {
    double seconds;
    int result, number;
    int64_t due;
};

static struct sleeper *awake[200];
static int awake_count;

static void sleep_so_long(void *argument)
{
    struct sleeper *s = argument;

    s->result = salut_sleep(s->seconds);
    s->number = errno;
    s->due = fiber_current()->timer.due;
    awake[awake_count++] = s;
    note('w');
}

static void sleepers_wake_in_the_order_of_their_time(void **state)
{
    enum { SLEEPERS = 200 };
    static struct sleeper sleepers[SLEEPERS];
    salut_fiber *fibers[SLEEPERS];

    (void)state;
    awake_count = 0;
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){.seconds = 0.0001 * ((i * 37) % 100 + 1)};
        fibers[i] = salut_go(sleep_so_long, &sleepers[i]);
    }
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    assert_int_equal(awake_count, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(awake[i]->result, 0);
        assert_true(i == 0 || awake[i - 1]->due <= awake[i]->due);
    }
    assert_int_equal(scheduler_of_thread->timers.count, 0);
}

static void a_sleep_lasts_at_least_its_time(void **state)
{
    int64_t begun = clock_now();

    (void)state;
    assert_int_equal(salut_sleep(0.01), 0);
    assert_true(clock_now() - begun >= NANOSECONDS / 100);
}

static void a_sleep_of_nothing_or_less_is_a_yield(void **state)
{
    const double nothing[] = {0, -0.0, -1, -1e300, -INFINITY};

    (void)state;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        forget(NULL);
        salut_go(note_letter, "o");
        assert_int_equal(salut_sleep(nothing[i]), 0);
        assert_string_equal(happened, "o");
    }
}

static void a_sleep_of_not_a_number_says_einval(void **state)
{
    (void)state;
    salut_go(note_letter, "o");
    assert_int_equal(salut_sleep(NAN), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(salut_error(), "sleep: the seconds are not a number");
    assert_string_equal(happened, "");
    salut_yield();
}

static void a_sleep_longer_than_the_clock_lasts_until_it_is_canceled(void **state)
{
    const double long_times[] = {1e7, 1e10, 1e18, 1e300, INFINITY};

    (void)state;
    for (size_t i = 0; i < sizeof long_times / sizeof *long_times; i++) {
        struct sleeper s = {.seconds = long_times[i]};
        salut_fiber *fiber = salut_go(sleep_so_long, &s);
        forget(NULL);
        awake_count = 0;
        salut_yield();
        salut_sleep(1e-4);
        assert_string_equal(happened, "");
        salut_cancel(fiber);
        salut_join(fiber);
        assert_int_equal(s.result, -1);
        assert_int_equal(s.number, ECANCELED);
        assert_int_equal(scheduler_of_thread->timers.count, 0);
    }
}

static void the_shortest_sleep_ends(void **state)
{
    (void)state;
    assert_int_equal(salut_sleep(1e-9), 0);
    assert_int_equal(salut_sleep(1e-300), 0);
    assert_int_equal(salut_failed(), 0);
}

/* ---- Threads ------------------------------------------------------------------------------- */

struct stranger {
    salut_fiber *fiber;
    int join_result, join_number, cancel_result, cancel_number;
    char said[200];
};

static void *meddle(void *argument)
{
    struct stranger *s = argument;

    s->join_result = salut_join(s->fiber);
    s->join_number = errno;
    snprintf(s->said, sizeof s->said, "%s", salut_error());
    s->cancel_result = salut_cancel(s->fiber);
    s->cancel_number = errno;
    return NULL;
}

static void another_threads_fiber_says_eperm(void **state)
{
    struct stranger s = {.fiber = salut_go(sleep_until_canceled, "e")};
    pthread_t thread;

    (void)state;
    salut_yield();
    assert_int_equal(pthread_create(&thread, NULL, meddle, &s), 0);
    pthread_join(thread, NULL);
    assert_int_equal(s.join_result, -1);
    assert_int_equal(s.join_number, EPERM);
    assert_string_equal(s.said, "join: the fiber belongs to another thread");
    assert_int_equal(s.cancel_result, -1);
    assert_int_equal(s.cancel_number, EPERM);
    salut_yield();
    assert_string_equal(happened, "");
    salut_cancel(s.fiber);
    assert_int_equal(salut_join(s.fiber), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_fiber_first_runs_when_its_maker_waits, forget),
        cmocka_unit_test_setup(fibers_run_in_the_order_they_were_started, forget),
        cmocka_unit_test_setup(a_yield_lets_each_other_one_run_once, forget),
        cmocka_unit_test_setup(a_yield_with_no_other_fiber_returns, forget),
        cmocka_unit_test_setup(go_without_a_function_says_einval, forget),
        cmocka_unit_test_setup(fibers_start_fibers, forget),
        cmocka_unit_test_setup(a_fiber_after_another_uses_the_same_stack, forget),
        cmocka_unit_test_setup(joining_one_that_has_ended_returns_at_once, forget),
        cmocka_unit_test_setup(joining_one_that_ended_long_ago_never_waits_for_another, forget),
        cmocka_unit_test_setup(joining_null_says_einval, forget),
        cmocka_unit_test_setup(joining_itself_says_edeadlk, forget),
        cmocka_unit_test_setup(any_number_may_wait_for_one, forget),
        cmocka_unit_test_setup(two_that_join_each_other_wait_until_one_is_canceled, forget),
        cmocka_unit_test_setup(a_joiner_that_gives_up_leaves_the_other_joiners_in_place, forget),
        cmocka_unit_test_setup(a_cancel_ends_the_present_wait_and_every_later_one, forget),
        cmocka_unit_test_setup(one_canceled_before_it_first_ran_still_runs, forget),
        cmocka_unit_test_setup(a_cancel_ends_a_join, forget),
        cmocka_unit_test_setup(canceling_one_that_has_ended_is_fine, forget),
        cmocka_unit_test_setup(canceling_null_says_einval, forget),
        cmocka_unit_test_setup(one_that_cancels_itself_ends_at_its_next_wait, forget),
        cmocka_unit_test_setup(two_cancels_are_one, forget),
        cmocka_unit_test_setup(a_cancel_after_the_wait_was_over_meets_the_next_one, forget),
        cmocka_unit_test_setup(sleepers_wake_in_the_order_of_their_time, forget),
        cmocka_unit_test_setup(a_sleep_lasts_at_least_its_time, forget),
        cmocka_unit_test_setup(a_sleep_of_nothing_or_less_is_a_yield, forget),
        cmocka_unit_test_setup(a_sleep_of_not_a_number_says_einval, forget),
        cmocka_unit_test_setup(a_sleep_longer_than_the_clock_lasts_until_it_is_canceled, forget),
        cmocka_unit_test_setup(the_shortest_sleep_ends, forget),
        cmocka_unit_test_setup(another_threads_fiber_says_eperm, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
