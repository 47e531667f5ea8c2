/* Whoever asks a fiber where it stands (a debugger, perf, backtrace(3), a C++ exception) can walk
 * up its frames to where it began, and finds the end there. test_gdb.py asks this same program. */
#include "support/fibers.h"

#include "fiber/scheduler.h"

#include <salut.h>

#include <unwind.h>

enum { FRAMES_MAX = 100 };

struct trace {
    uintptr_t frames[FRAMES_MAX];
    int count;
    _Unwind_Reason_Code end;
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *argument)
{
    struct trace *t = argument;

    if (t->count == FRAMES_MAX)
        return _URC_NORMAL_STOP;
    t->frames[t->count++] = _Unwind_GetIP(context);
    return _URC_NO_REASON;
}

/* Three functions whose names a debugger shall show. None is a tail call. */

__attribute__((noinline)) void deep_in_a_fiber(struct trace *t);
__attribute__((noinline)) void middle_of_a_fiber(struct trace *t);
void outermost_of_a_fiber(void *argument);

static volatile int steps;

void deep_in_a_fiber(struct trace *t)
{
    salut_yield();
    t->end = _Unwind_Backtrace(note_frame, t);
    steps++;
}

void middle_of_a_fiber(struct trace *t)
{
    deep_in_a_fiber(t);
    steps++;
}

void outermost_of_a_fiber(void *argument)
{
    middle_of_a_fiber(argument);
    steps++;
}

static bool passes_through(const struct trace *t, uintptr_t function)
{
    for (int i = 0; i < t->count; i++)
        if (t->frames[i] > function && t->frames[i] < function + 2000)
            return true;
    return false;
}

static void the_frames_of_a_fiber_lead_to_its_beginning(void **state)
{
    struct trace t = {.count = 0};

    (void)state;
    assert_int_equal(salut_join(salut_go(outermost_of_a_fiber, &t)), 0);
    assert_int_equal(t.end, _URC_END_OF_STACK);
    assert_in_range(t.count, 5, 12);
    assert_true(passes_through(&t, (uintptr_t)deep_in_a_fiber));
    assert_true(passes_through(&t, (uintptr_t)middle_of_a_fiber));
    assert_true(passes_through(&t, (uintptr_t)outermost_of_a_fiber));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frames_of_a_fiber_lead_to_its_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
