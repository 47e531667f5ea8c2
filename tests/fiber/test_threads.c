/* Each thread has fibers of its own, and takes all of them with it when it ends. That nothing is
 * left is for LeakSanitizer and valgrind to say. */
#include "support/fibers.h"

#include "base/error.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>
#include <pthread.h>

static void in_a_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, body, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- Keys ---------------------------------------------------------------------------------- */

static void do_nothing(void *unused)
{
    (void)unused;
}

/* In a program that has used up all of them, none may be taken that is another's. */
static void be_without_a_key(void)
{
    pthread_key_t key, last = 0;

    while (!pthread_key_create(&key, NULL))
        last = key;
    CHILD_ASSERT(error_say(EPIPE, "the thread's own sentence") == -1);
    CHILD_ASSERT(salut_yield() == 0);
    CHILD_ASSERT(salut_join(salut_go(do_nothing, NULL)) == 0);
    for (key = 0; key <= last; key++)
        CHILD_ASSERT(pthread_getspecific(key) == NULL);
}

static void without_a_key_nobody_elses_is_used(void **state)
{
    (void)state;
    needs_no("AddressSanitizer", "it has a key itself");
    needs_no("ThreadSanitizer", "it has a key itself");
    assert_child_is_content(be_without_a_key);
}

/* ---- Side by side -------------------------------------------------------------------------- */

enum { THREADS = 4 };

struct counter {
    int turns;
    long sum;
    pthread_t of;
    bool moved;
};

static void count(void *argument)
{
    struct counter *c = argument;

    for (int i = 0; i < c->turns; i++) {
        c->sum++;
        c->moved = c->moved || !pthread_equal(c->of, pthread_self());
        if (i % 10 == 0)
            salut_sleep(1e-9);
        else
            salut_yield();
    }
}

static void *start_many(void *argument)
{
    struct counter *c = argument;
    salut_fiber *fibers[50];

    c->of = pthread_self();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 50; i++)
            fibers[i] = salut_go(count, c);
        for (int i = 0; i < 50; i++)
            salut_join(fibers[i]);
    }
    return NULL;
}

static void threads_start_fibers_at_the_same_time(void **state)
{
    struct counter counters[THREADS];
    pthread_t threads[THREADS];
    int turns = sized(40, 10, "turns of each fiber");

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        counters[i] = (struct counter){.turns = turns};
        assert_int_equal(pthread_create(&threads[i], NULL, start_many, &counters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(counters[i].sum, 5L * 50 * turns);
        assert_false(counters[i].moved);
    }
}

/* ---- The end ------------------------------------------------------------------------------- */

static void fail_and_sleep(void *unused)
{
    (void)unused;
    error_say(EPIPE, "a sentence that has to be freed");
    salut_sleep(1e8);
}

static void *leave_fibers_behind(void *unused)
{
    for (int i = 0; i < 100; i++)
        salut_go(fail_and_sleep, NULL);
    salut_yield();
    for (int i = 0; i < 10; i++)
        salut_go(fail_and_sleep, NULL); /* these never ran */
    error_say(EPIPE, "this one too");
    return unused;
}

static void a_thread_that_ends_frees_the_fibers_it_leaves(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        in_a_thread(leave_fibers_behind, NULL);
}

struct call {
    struct letter letter;
    struct fiber *fiber;
    bool opened;
};

static void wake_the_fiber(struct letter *letter)
{
    struct call *call = (struct call *)letter;

    call->opened = true;
    fiber_wake(call->fiber);
}

/* As when a name's addresses arrive just as the thread ends. */
static void *end_with_a_letter_unread(void *argument)
{
    struct call *call = argument;
    salut_fiber *fiber = salut_go(fail_and_sleep, NULL);
    struct engine *e = scheduler_of_thread->engine;

    salut_yield();
    call->letter.open = wake_the_fiber;
    call->fiber = handle_object(&scheduler_of_thread->fibers, fiber);
    if (call->fiber && e->calls->expect_letters(e) == 0)
        e->calls->post(e, &call->letter);
    return NULL;
}

static void a_letter_that_came_too_late_is_opened_while_its_fiber_is_still_there(void **state)
{
    struct call call = {.opened = false};

    (void)state;
    in_a_thread(end_with_a_letter_unread, &call);
    assert_true(call.opened);
}

static void end_the_thread(void *unused)
{
    pthread_exit(unused);
}

static void *end_within_a_fiber(void *unused)
{
    (void)unused;
    salut_join(salut_go(end_the_thread, NULL));
    return NULL;
}

static void a_thread_may_end_within_a_fiber(void **state)
{
    (void)state;
    needs_no("ThreadSanitizer", "it can't end a thread within a fiber");
    needs_no("AddressSanitizer", "it can't end a thread within a fiber");
    in_a_thread(end_within_a_fiber, NULL);
}

static pthread_key_t later;

static void use_a_word_late(void *yielded)
{
    salut_go(fail_and_sleep, NULL);
    *(int *)yielded = salut_yield();
}

static void *end_with_a_destructor(void *yielded)
{
    salut_yield();
    pthread_setspecific(later, yielded);
    return NULL;
}

static void a_word_in_a_destructor_after_the_scheduler_is_gone_makes_a_new_one(void **state)
{
    int yielded = -2;

    (void)state;
    salut_yield(); /* our key is older: its destructor comes first */
    assert_int_equal(pthread_key_create(&later, use_a_word_late), 0);
    in_a_thread(end_with_a_destructor, &yielded);
    assert_int_equal(yielded, 0);
    pthread_key_delete(later);
}

static void *only_yield(void *unused)
{
    salut_yield();
    return unused;
}

static int descriptors_open(void)
{
    int count = 0;

    for (int descriptor = 0; descriptor < 1000; descriptor++)
        count += dup2(descriptor, descriptor) >= 0;
    return count;
}

static void threads_come_and_go_without_leaving_a_descriptor(void **state)
{
    int before, threads = sized(500, 50, "threads, one after another");
    struct call call = {.opened = false};

    (void)state;
    in_a_thread(only_yield, NULL);
    before = descriptors_open();
    for (int i = 0; i < threads; i++)
        in_a_thread(only_yield, NULL);
    in_a_thread(end_with_a_letter_unread, &call);
    assert_int_equal(descriptors_open(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_nobody_elses_is_used), /* stays the first */
        cmocka_unit_test(threads_start_fibers_at_the_same_time),
        cmocka_unit_test(a_thread_that_ends_frees_the_fibers_it_leaves),
        cmocka_unit_test(a_letter_that_came_too_late_is_opened_while_its_fiber_is_still_there),
        cmocka_unit_test(a_thread_may_end_within_a_fiber),
        cmocka_unit_test(a_word_in_a_destructor_after_the_scheduler_is_gone_makes_a_new_one),
        cmocka_unit_test(threads_come_and_go_without_leaving_a_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
