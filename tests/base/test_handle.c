/* Handles: a stale one and another thread's are recognised. */
#include "support/fibers.h"

#include "base/handle.h"

#include <errno.h>
#include <pthread.h>

static struct handle_table new_table(void)
{
    return (struct handle_table){.thread = handle_thread_begin()};
}

static uint32_t slot_of(const void *handle)
{
    return (uint32_t)((uintptr_t)handle & 0xffffff);
}

static void a_handle_leads_to_its_object(void **state)
{
    struct handle_table table = new_table();
    int objects[100];
    void *handles[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        handles[i] = handle_open(&table, &objects[i]);
        assert_non_null(handles[i]);
    }
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(handle_object(&table, handles[i]), &objects[i]);
    handle_table_free(&table);
}

static void null_leads_nowhere(void **state)
{
    struct handle_table table = new_table(), never_filled = {0};
    int object;

    (void)state;
    handle_open(&table, &object);
    assert_null(handle_object(&table, NULL));
    assert_null(handle_object(&never_filled, NULL));
    handle_table_free(&table);
}

static void a_closed_handle_leads_nowhere_though_its_slot_is_used_again(void **state)
{
    struct handle_table table = new_table();
    int first, second;
    void *stale = handle_open(&table, &first);
    void *fresh;

    (void)state;
    handle_close(&table, stale);
    assert_null(handle_object(&table, stale));
    fresh = handle_open(&table, &second);
    assert_int_equal(slot_of(fresh), slot_of(stale));
    assert_null(handle_object(&table, stale));
    assert_ptr_equal(handle_object(&table, fresh), &second);
    handle_table_free(&table);
}

static void slots_are_used_again_in_the_order_they_were_freed(void **state)
{
    struct handle_table table = new_table();
    int object;
    void *handles[16];
    const int order[] = {5, 0, 15, 7};

    (void)state;
    for (int i = 0; i < 16; i++)
        handles[i] = handle_open(&table, &object);
    for (int i = 0; i < 4; i++)
        handle_close(&table, handles[order[i]]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(slot_of(handle_open(&table, &object)), slot_of(handles[order[i]]));
    handle_table_free(&table);
}

static void a_generation_returns_only_after_16_million_others(void **state)
{
    struct handle_table table = new_table();
    int object;
    void *first = handle_open(&table, &object);
    void *handle = first;

    (void)state;
    for (int i = 1; i < 1 << 24; i++) {
        handle_close(&table, handle);
        handle = handle_open(&table, &object);
        if (handle_object(&table, first))
            fail_msg("handle %d is the first one again", i);
    }
    handle_close(&table, handle);
    assert_ptr_equal(handle_open(&table, &object), first);
    handle_table_free(&table);
}

static void *number_of_a_thread(void *number)
{
    *(uint16_t *)number = handle_thread_begin();
    return NULL;
}

static void another_threads_handle_leads_nowhere(void **state)
{
    struct handle_table mine = new_table(), theirs = {0};
    int my_object, their_object;
    void *my_handle, *their_handle;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, number_of_a_thread, &theirs.thread), 0);
    pthread_join(thread, NULL);
    assert_int_not_equal(mine.thread, theirs.thread);
    my_handle = handle_open(&mine, &my_object);
    their_handle = handle_open(&theirs, &their_object);
    assert_null(handle_object(&mine, their_handle));
    assert_null(handle_object(&theirs, my_handle));
    assert_int_equal(handle_thread(their_handle), theirs.thread);
    handle_table_free(&mine);
    handle_table_free(&theirs);
}

static void no_thread_has_the_number_0(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 65536; i++) {
        uint16_t number = handle_thread_begin();
        assert_int_not_equal(number, 0);
        handle_thread_end(number);
    }
}

static void a_living_threads_number_is_no_others(void **state)
{
    uint16_t mine = handle_thread_begin();

    (void)state;
    for (int i = 0; i < 3 * 65536; i++) {
        uint16_t number = handle_thread_begin();
        assert_int_not_equal(number, mine);
        handle_thread_end(number);
    }
    handle_thread_end(mine);
}

static void a_number_lives_from_its_beginning_to_its_end(void **state)
{
    uint16_t number = handle_thread_begin();

    (void)state;
    assert_true(handle_thread_lives(number));
    handle_thread_end(number);
    assert_false(handle_thread_lives(number));
}

static void a_thread_too_many_is_told_enobufs(void **state)
{
    uint16_t number, last = 0;
    int count = 0;

    (void)state;
    errno = 0;
    while ((number = handle_thread_begin())) {
        last = number;
        count++;
    }
    assert_int_equal(errno, ENOBUFS);
    assert_true(count > 65000); /* the other tests of this file have the rest */
    handle_thread_end(last);
    assert_int_equal(handle_thread_begin(), last);
    for (uint32_t i = 1; i <= 0xffff; i++)
        handle_thread_end((uint16_t)i);
}

static void a_full_table_says_eagain_and_has_room_again_after_a_close(void **state)
{
    struct handle_table table = new_table();
    int object;
    void *handle = NULL;

    (void)state;
    for (int i = 0; i < HANDLE_SLOTS_MAX; i++)
        handle = handle_open(&table, &object);
    assert_ptr_equal(handle_object(&table, handle), &object);
    errno = 0;
    assert_null(handle_open(&table, &object));
    assert_int_equal(errno, EAGAIN);
    handle_close(&table, handle);
    assert_non_null(handle_open(&table, &object));
    handle_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_leads_to_its_object),
        cmocka_unit_test(null_leads_nowhere),
        cmocka_unit_test(a_closed_handle_leads_nowhere_though_its_slot_is_used_again),
        cmocka_unit_test(slots_are_used_again_in_the_order_they_were_freed),
        cmocka_unit_test(a_generation_returns_only_after_16_million_others),
        cmocka_unit_test(another_threads_handle_leads_nowhere),
        cmocka_unit_test(no_thread_has_the_number_0),
        cmocka_unit_test(a_living_threads_number_is_no_others),
        cmocka_unit_test(a_number_lives_from_its_beginning_to_its_end),
        cmocka_unit_test(a_thread_too_many_is_told_enobufs),
        cmocka_unit_test(a_full_table_says_eagain_and_has_room_again_after_a_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
