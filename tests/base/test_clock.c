/* Seconds, nanoseconds and deadlines, up to where numbers end. */
#include "support/fibers.h"

#include "base/clock.h"

#include <math.h>

static void seconds_become_nanoseconds(void **state)
{
    (void)state;
    assert_true(nanoseconds(0) == 0);
    assert_true(nanoseconds(1e-9) == 1);
    assert_true(nanoseconds(0.25) == 250000000);
    assert_true(nanoseconds(3600) == 3600 * (int64_t)NANOSECONDS);
}

static void more_than_a_century_is_never(void **state)
{
    (void)state;
    assert_true(nanoseconds(2.9e9) == 2900000000 * (int64_t)NANOSECONDS);
    assert_true(nanoseconds(3.2e9) == NEVER);
    assert_true(nanoseconds(1e300) == NEVER);
    assert_true(nanoseconds(INFINITY) == NEVER);
}

static void a_deadline_is_now_and_the_span(void **state)
{
    (void)state;
    assert_true(deadline_after(1000, 0) == 1000);
    assert_true(deadline_after(1000, 500) == 1500);
}

static void a_deadline_beyond_the_last_number_is_never(void **state)
{
    (void)state;
    assert_true(deadline_after(1000, NEVER) == NEVER);
    assert_true(deadline_after(1000, NEVER - 1) == NEVER);
    assert_true(deadline_after(NEVER - 1, 2) == NEVER);
    assert_true(deadline_after(clock_now(), nanoseconds(2.9e9)) < NEVER);
}

static void the_clock_never_goes_back(void **state)
{
    int64_t before = clock_now();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_now();
        assert_true(now >= before);
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_become_nanoseconds),
        cmocka_unit_test(more_than_a_century_is_never),
        cmocka_unit_test(a_deadline_is_now_and_the_span),
        cmocka_unit_test(a_deadline_beyond_the_last_number_is_never),
        cmocka_unit_test(the_clock_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
