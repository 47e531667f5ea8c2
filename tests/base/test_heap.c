/* The timers' heap, beside a plain list that does the same slowly. */
#include "support/fibers.h"

#include "base/heap.h"

enum { TIMERS = 200, STEPS = 50000 };

static uint64_t chance = 20240229;

static uint32_t below(uint32_t limit)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chance >> 33) % limit;
}

static int64_t earliest(const struct timer *timers)
{
    int64_t due = INT64_MAX;

    for (int i = 0; i < TIMERS; i++)
        if (timers[i].place && timers[i].due < due)
            due = timers[i].due;
    return due;
}

static void every_timer_knows_its_place(const struct heap *h)
{
    for (uint32_t i = 0; i < h->count; i++)
        assert_int_equal(h->timers[i]->place, i + 1);
}

static void an_empty_heap_has_no_first(void **state)
{
    struct heap h = {0};

    (void)state;
    assert_null(heap_first(&h));
    heap_free(&h);
}

static void the_first_is_always_the_earliest(void **state)
{
    struct heap h = {0};
    struct timer timers[TIMERS] = {0};
    uint32_t inside = 0;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        struct timer *t = &timers[below(TIMERS)];
        if (t->place) {
            heap_remove(&h, t);
            assert_int_equal(t->place, 0);
            inside--;
        } else {
            t->due = below(100); /* many are equal */
            assert_true(heap_add(&h, t));
            inside++;
        }
        assert_int_equal(h.count, inside);
        every_timer_knows_its_place(&h);
        if (inside)
            assert_int_equal(heap_first(&h)->due, earliest(timers));
    }
    heap_free(&h);
}

static void timers_leave_in_the_order_of_their_time(void **state)
{
    struct heap h = {0};
    struct timer timers[TIMERS] = {0};
    int64_t before = INT64_MIN;

    (void)state;
    for (int i = 0; i < TIMERS; i++) {
        timers[i].due = (int64_t)below(1000) - 500;
        assert_true(heap_add(&h, &timers[i]));
    }
    for (int i = 0; i < TIMERS; i++) {
        struct timer *first = heap_first(&h);
        assert_true(first->due >= before);
        before = first->due;
        heap_remove(&h, first);
    }
    assert_null(heap_first(&h));
    heap_free(&h);
}

static void removing_what_is_not_inside_changes_nothing(void **state)
{
    struct heap h = {0};
    struct timer inside = {.due = 1}, outside = {.due = 0};

    (void)state;
    assert_true(heap_add(&h, &inside));
    heap_remove(&h, &outside);
    assert_ptr_equal(heap_first(&h), &inside);
    heap_remove(&h, &inside);
    heap_remove(&h, &inside);
    assert_int_equal(h.count, 0);
    heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(the_first_is_always_the_earliest),
        cmocka_unit_test(timers_leave_in_the_order_of_their_time),
        cmocka_unit_test(removing_what_is_not_inside_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
