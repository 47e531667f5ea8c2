/* test_channel.c: channels: between the fibers of a thread, between threads, and when those who
 * wait are canceled or their thread ends. */
#include "support/sockets.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* ---- A fiber at a channel ------------------------------------------------------------------ */

struct visitor {
    salut_channel *c;
    int item;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void send_item(void *argument)
{
    struct visitor *v = argument;

    note(&v->outcome, salut_channel_send(v->c, &v->item));
}

static void receive_item(void *argument)
{
    struct visitor *v = argument;

    note(&v->outcome, salut_channel_recv(v->c, &v->item));
}

static void start(struct visitor *v, void (*function)(void *))
{
    v->fiber = salut_go(function, v);
    let_fibers_run();
}

static void start_waiting(struct visitor *v, void (*function)(void *))
{
    start(v, function);
    assert_false(v->outcome.done);
}

static salut_channel *ints(size_t capacity)
{
    salut_channel *c = salut_channel_create(capacity, sizeof(int));

    assert_non_null(c);
    return c;
}

static void assert_sends(salut_channel *c, int item)
{
    assert_works(salut_channel_send(c, &item));
}

static void assert_receives(salut_channel *c, int expected)
{
    int item = -1;

    assert_returns(salut_channel_recv(c, &item), 1);
    assert_int_equal(item, expected);
}

static void assert_got(struct visitor *v, int expected)
{
    assert_works(salut_join(v->fiber));
    assert_returns(v->outcome.result, 1);
    assert_int_equal(v->item, expected);
}

/* ---- On one thread ------------------------------------------------------------------------- */

static void items_come_out_in_the_order_they_went_in(void **state)
{
    static const size_t capacities[] = {1, 2, 7, 1000};

    (void)state;
    for (int i = 0; i < 4; i++) {
        salut_channel *c = ints(capacities[i]);
        int capacity = (int)capacities[i], in = 0, out = 0;
        while (out < 3 * capacity + 5) {
            while (in - out < capacity)
                assert_sends(c, in++);
            for (int k = 0; k < capacity / 2 + 1; k++)
                assert_receives(c, out++);
        }
        salut_channel_free(c);
    }
}

static void items_of_every_size_are_copied_whole(void **state)
{
    static const size_t sizes[] = {1, 3, 8, 100, 64 * 1024};
    static unsigned char in[64 * 1024], out[64 * 1024];

    (void)state;
    for (int i = 0; i < 5; i++) {
        salut_channel *c = salut_channel_create(3, sizes[i]);
        assert_non_null(c);
        for (int round = 0; round < 10; round++) {
            memset(in, round + 1, sizes[i]);
            assert_works(salut_channel_send(c, in));
            memset(out, 0, sizes[i]);
            assert_returns(salut_channel_recv(c, out), 1);
            assert_memory_equal(in, out, sizes[i]);
        }
        salut_channel_free(c);
    }
}

static void send_waits_while_the_channel_is_full(void **state)
{
    salut_channel *c = ints(2);
    struct visitor first = {.c = c, .item = 3}, second = {.c = c, .item = 4};

    (void)state;
    assert_sends(c, 1);
    assert_sends(c, 2);
    start_waiting(&first, send_item);
    start_waiting(&second, send_item);
    assert_receives(c, 1);
    let_fibers_run();
    assert_true(first.outcome.done);
    assert_false(second.outcome.done);
    assert_receives(c, 2);
    assert_receives(c, 3);
    assert_receives(c, 4);
    assert_works(salut_join(second.fiber));
    assert_returns(first.outcome.result, 0);
    assert_returns(second.outcome.result, 0);
    salut_channel_free(c);
}

static void recv_waits_while_there_is_nothing(void **state)
{
    salut_channel *c = ints(2);
    struct visitor first = {.c = c}, second = {.c = c};

    (void)state;
    start_waiting(&first, receive_item);
    start_waiting(&second, receive_item);
    assert_sends(c, 1);
    let_fibers_run();
    assert_true(first.outcome.done);
    assert_false(second.outcome.done);
    assert_sends(c, 2);
    assert_got(&first, 1);
    assert_got(&second, 2);
    salut_channel_free(c);
}

static void try_send_never_waits(void **state)
{
    salut_channel *c = ints(1);
    int item = 1;

    (void)state;
    assert_works(salut_channel_try_send(c, &item));
    item = 2;
    assert_fails(salut_channel_try_send(c, &item), EAGAIN, "the channel is full");
    assert_receives(c, 1);
    assert_works(salut_channel_try_send(c, &item));
    assert_receives(c, 2);
    salut_channel_free(c);
}

static void try_send_wakes_a_receiver(void **state)
{
    struct visitor v = {.c = ints(1)};
    int item = 5;

    (void)state;
    start_waiting(&v, receive_item);
    assert_works(salut_channel_try_send(v.c, &item));
    assert_got(&v, 5);
    salut_channel_free(v.c);
}

/* ---- Closing ------------------------------------------------------------------------------- */

static void close_lets_receivers_drain_and_refuses_senders(void **state)
{
    salut_channel *c = ints(3);
    int item = 3;

    (void)state;
    assert_sends(c, 1);
    assert_sends(c, 2);
    assert_works(salut_channel_close(c));
    assert_works(salut_channel_close(c)); /* once more is no harm */
    assert_fails(salut_channel_send(c, &item), EPIPE, "the channel is closed");
    assert_fails(salut_channel_try_send(c, &item), EPIPE, "the channel is closed");
    salut_clear_error();
    assert_receives(c, 1);
    assert_receives(c, 2);
    assert_returns(salut_channel_recv(c, &item), 0);
    assert_returns(salut_channel_recv(c, &item), 0);
    assert_int_equal(item, 3);
    assert_false(salut_failed());
    salut_channel_free(c);
}

static void a_full_channel_that_is_closed_says_closed(void **state)
{
    salut_channel *c = ints(1);
    int item = 1;

    (void)state;
    assert_sends(c, item);
    assert_works(salut_channel_close(c));
    assert_fails(salut_channel_send(c, &item), EPIPE, "closed");
    assert_fails(salut_channel_try_send(c, &item), EPIPE, "closed");
    salut_channel_free(c);
}

static void close_wakes_everyone_who_waits(void **state)
{
    salut_channel *empty = ints(1), *full = ints(1);
    struct visitor receivers[5], senders[5];

    (void)state;
    assert_sends(full, 42);
    for (int i = 0; i < 5; i++) {
        receivers[i] = (struct visitor){.c = empty, .item = -1};
        senders[i] = (struct visitor){.c = full, .item = i};
        start_waiting(&receivers[i], receive_item);
        start_waiting(&senders[i], send_item);
    }
    assert_works(salut_channel_close(empty));
    assert_works(salut_channel_close(full));
    for (int i = 0; i < 5; i++) {
        assert_works(salut_join(receivers[i].fiber));
        assert_works(salut_join(senders[i].fiber));
        assert_returns(receivers[i].outcome.result, 0);
        assert_outcome(senders[i].outcome, EPIPE, "the channel is closed");
    }
    assert_receives(full, 42); /* none of theirs */
    assert_returns(salut_channel_recv(full, &(int){0}), 0);
    salut_channel_free(empty);
    salut_channel_free(full);
}

/* ---- Canceling ----------------------------------------------------------------------------- */

static void a_canceled_wait_takes_and_leaves_nothing(void **state)
{
    salut_channel *empty = ints(1), *full = ints(1);
    struct visitor receiver = {.c = empty, .item = -1}, sender = {.c = full, .item = 2};
    int item = -1;

    (void)state;
    assert_sends(full, 1);
    start_waiting(&receiver, receive_item);
    start_waiting(&sender, send_item);
    assert_works(salut_cancel(receiver.fiber));
    assert_works(salut_cancel(sender.fiber));
    assert_works(salut_join(receiver.fiber));
    assert_works(salut_join(sender.fiber));
    assert_outcome(receiver.outcome, ECANCELED, "channel_recv");
    assert_outcome(sender.outcome, ECANCELED, "channel_send");
    assert_sends(empty, 3); /* nobody waits for it any more */
    assert_receives(empty, 3);
    assert_receives(full, 1);
    assert_works(salut_channel_close(full));
    assert_returns(salut_channel_recv(full, &item), 0);
    salut_channel_free(empty);
    salut_channel_free(full);
}

struct canceled {
    salut_channel *c;
    struct outcome send, try_send, recv;
};

static void use_it_all_the_same(void *argument)
{
    struct canceled *v = argument;
    int item = 8;

    salut_sleep(1000);
    note(&v->recv, salut_channel_recv(v->c, &item));
    note(&v->send, salut_channel_send(v->c, &item));
    item = 9;
    note(&v->try_send, salut_channel_try_send(v->c, &item));
}

/* So it can still say farewell to somebody. */
static void a_canceled_fiber_may_do_what_can_not_wait(void **state)
{
    struct canceled v = {.c = ints(2)};
    salut_fiber *fiber;

    (void)state;
    assert_sends(v.c, 1);
    fiber = salut_go(use_it_all_the_same, &v);
    let_fibers_run();
    assert_works(salut_cancel(fiber));
    assert_works(salut_join(fiber));
    assert_outcome(v.recv, ECANCELED, "channel_recv");
    assert_outcome(v.send, ECANCELED, "channel_send");
    assert_returns(v.try_send.result, 0);
    assert_receives(v.c, 1);
    assert_receives(v.c, 9);
    salut_channel_free(v.c);
}

static void an_item_for_a_receiver_that_is_canceled_just_then_is_not_lost(void **state)
{
    struct visitor first = {.c = ints(1)}, second = {.c = first.c};

    (void)state;
    start_waiting(&first, receive_item);
    start_waiting(&second, receive_item);
    assert_sends(first.c, 1);
    assert_works(salut_cancel(first.fiber)); /* it was woken, and hasn't run yet */
    let_fibers_run();
    assert_int_equal(first.outcome.done + second.outcome.done, 1 + (first.outcome.result == -1));
    if (!second.outcome.done)
        assert_sends(first.c, 1);
    assert_got(&second, 1);
    salut_channel_free(first.c);
}

/* ---- What can't be ------------------------------------------------------------------------- */

static void channels_that_can_not_be_are_refused(void **state)
{
    (void)state;
    assert_none(salut_channel_create(0, 4), EINVAL, "0 items of 4 bytes");
    assert_none(salut_channel_create(4, 0), EINVAL, "4 items of 0 bytes");
    assert_none(salut_channel_create(1, 65537), EINVAL, "65537 bytes");
    assert_none(salut_channel_create(((size_t)1 << 30) + 1, 1), EINVAL, "1 GiB in all");
    assert_none(salut_channel_create(SIZE_MAX, 64), EINVAL, "1 GiB in all");
    assert_none(salut_channel_create(SIZE_MAX / 64 + 2, 64), EINVAL, "1 GiB in all");
}

static void no_channel_and_no_item_are_told(void **state)
{
    salut_channel *c = ints(1);
    int item = 1;

    (void)state;
    assert_fails(salut_channel_send(NULL, &item), EINVAL, "the channel is NULL");
    assert_fails(salut_channel_try_send(NULL, &item), EINVAL, "the channel is NULL");
    assert_fails(salut_channel_recv(NULL, &item), EINVAL, "the channel is NULL");
    assert_fails(salut_channel_close(NULL), EINVAL, "the channel is NULL");
    assert_fails(salut_channel_send(c, NULL), EINVAL, "channel_send: the item is NULL");
    assert_fails(salut_channel_try_send(c, NULL), EINVAL, "channel_try_send: the item is NULL");
    assert_sends(c, 1);
    assert_fails(salut_channel_recv(c, NULL), EINVAL, "channel_recv: the item is NULL");
    assert_receives(c, 1);
    salut_channel_free(c);
    salut_channel_free(NULL);
}

/* ---- Between threads ----------------------------------------------------------------------- */

enum { THREADS = 4, FIBERS = 6 };

/* Senders and receivers, some of each on every thread, at one channel. */
struct crowd {
    salut_channel *c;
    int items; /* of each sender */
    _Atomic int senders_left;
    _Atomic int failed, received;
    _Atomic unsigned char *seen; /* how often each item came out */
};

struct crowd_sender {
    struct crowd *crowd;
    int number;
};

static void send_its_items(void *argument)
{
    struct crowd_sender *sender = argument;
    struct crowd *crowd = sender->crowd;

    for (int i = 0; i < crowd->items; i++) {
        int item = sender->number * crowd->items + i;
        if (salut_channel_send(crowd->c, &item))
            atomic_fetch_add(&crowd->failed, 1);
    }
    if (atomic_fetch_sub(&crowd->senders_left, 1) == 1)
        salut_channel_close(crowd->c);
}

/* Each receiver sees the items of any one sender in their order. */
static void receive_until_closed(void *argument)
{
    struct crowd *crowd = argument;
    int last[THREADS * FIBERS];
    int item, result;

    memset(last, -1, sizeof last);
    while ((result = salut_channel_recv(crowd->c, &item)) == 1) {
        int *last_of_sender = &last[item / crowd->items];
        if (item <= *last_of_sender)
            atomic_fetch_add(&crowd->failed, 1);
        *last_of_sender = item;
        atomic_fetch_add(&crowd->seen[item], 1);
        atomic_fetch_add(&crowd->received, 1);
    }
    if (result)
        atomic_fetch_add(&crowd->failed, 1);
}

struct crowd_thread {
    struct crowd *crowd;
    int number;
    pthread_t thread;
};

static void *run_crowd_thread(void *argument)
{
    struct crowd_thread *t = argument;
    struct crowd_sender senders[FIBERS];
    salut_fiber *fibers[2 * FIBERS];

    for (int i = 0; i < FIBERS; i++) {
        senders[i] = (struct crowd_sender){t->crowd, t->number * FIBERS + i};
        fibers[2 * i] = salut_go(send_its_items, &senders[i]);
        fibers[2 * i + 1] = salut_go(receive_until_closed, t->crowd);
    }
    for (int i = 0; i < 2 * FIBERS; i++) {
        if (salut_join(fibers[i]))
            atomic_fetch_add(&t->crowd->failed, 1);
    }
    return NULL;
}

static void every_item_of_many_threads_arrives_exactly_once(void **state)
{
    static const size_t capacities[] = {1, 3, 500};
    int items = sized(5000, 300, "items a sender");
    int all = THREADS * FIBERS * items;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct crowd crowd = {.c = ints(capacities[i]),
                              .items = items,
                              .senders_left = THREADS * FIBERS,
                              .seen = calloc((size_t)all, 1)};
        struct crowd_thread threads[THREADS];
        assert_non_null(crowd.seen);
        for (int k = 0; k < THREADS; k++) {
            threads[k] = (struct crowd_thread){.crowd = &crowd, .number = k};
            pthread_create(&threads[k].thread, NULL, run_crowd_thread, &threads[k]);
        }
        for (int k = 0; k < THREADS; k++)
            pthread_join(threads[k].thread, NULL);
        assert_int_equal(crowd.failed, 0);
        assert_int_equal(crowd.received, all);
        for (int k = 0; k < all; k++)
            assert_int_equal(crowd.seen[k], 1);
        free((void *)crowd.seen);
        salut_channel_free(crowd.c);
    }
}

static void *send_thousand_then_close(void *channel)
{
    for (int i = 0; i < 1000; i++)
        salut_channel_send(channel, &i);
    salut_channel_close(channel);
    return NULL;
}

static void *send_back(void *argument)
{
    salut_channel **there_and_back = argument;
    int item;

    while (salut_channel_recv(there_and_back[0], &item) == 1)
        salut_channel_send(there_and_back[1], &item);
    salut_channel_close(there_and_back[1]);
    return NULL;
}

static void threads_without_fibers_use_channels_as_well(void **state)
{
    salut_channel *c[2] = {ints(3), ints(2)};
    pthread_t sender, answerer;
    int item, next = 0;

    (void)state;
    pthread_create(&answerer, NULL, send_back, c);
    pthread_create(&sender, NULL, send_thousand_then_close, c[0]);
    while (salut_channel_recv(c[1], &item) == 1)
        assert_int_equal(item, next++);
    assert_int_equal(next, 1000);
    pthread_join(sender, NULL);
    pthread_join(answerer, NULL);
    salut_channel_free(c[0]);
    salut_channel_free(c[1]);
}

/* ---- Calls that come too late -------------------------------------------------------------- */

/* Two visitors of a channel that wait on a thread of their own. The thread stands still while the
 * first is called, so that the call is on its way when the first gives up. */
struct too_late {
    struct visitor first, second;
    void (*function)(void *argument);
    bool ends; /* the thread, with its fibers; else the first is canceled, and the second joined */
    sem_t waiting, called;
};

static void *wait_for_a_call(void *argument)
{
    struct too_late *t = argument;

    t->first.fiber = salut_go(t->function, &t->first);
    salut_yield();
    if (t->second.c) {
        t->second.fiber = salut_go(t->function, &t->second);
        salut_yield();
    }
    sem_post(&t->waiting);
    while (sem_wait(&t->called))
        ;
    if (t->ends)
        return NULL;
    salut_cancel(t->first.fiber);
    salut_join(t->second.fiber);
    return NULL;
}

static pthread_t begin_too_late(struct too_late *t)
{
    pthread_t thread;

    sem_init(&t->waiting, 0, 0);
    sem_init(&t->called, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_call, t), 0);
    while (sem_wait(&t->waiting))
        ;
    return thread;
}

static void a_receiver_that_gives_up_when_called_passes_the_call_on(void **state)
{
    salut_channel *c = ints(1);
    struct too_late t = {.first.c = c, .second.c = c, .function = receive_item};
    pthread_t thread = begin_too_late(&t);

    (void)state;
    assert_sends(c, 7);
    sem_post(&t.called);
    pthread_join(thread, NULL);
    assert_outcome(t.first.outcome, ECANCELED, "channel_recv");
    assert_returns(t.second.outcome.result, 1);
    assert_int_equal(t.second.item, 7);
    salut_channel_free(c);
}

static void a_sender_that_gives_up_when_called_passes_the_call_on(void **state)
{
    salut_channel *c = ints(1);
    struct too_late t = {
        .first = {.c = c, .item = 1}, .second = {.c = c, .item = 2}, .function = send_item};
    pthread_t thread;

    (void)state;
    assert_sends(c, 0);
    thread = begin_too_late(&t);
    assert_receives(c, 0);
    sem_post(&t.called);
    pthread_join(thread, NULL);
    assert_outcome(t.first.outcome, ECANCELED, "channel_send");
    assert_returns(t.second.outcome.result, 0);
    assert_receives(c, 2);
    salut_channel_free(c);
}

/* ---- A thread that ends while its fibers wait ---------------------------------------------- */

static void fibers_that_went_with_their_thread_are_called_no_more(void **state)
{
    salut_channel *c = ints(1);
    struct too_late t = {.first.c = c, .second.c = c, .function = receive_item, .ends = true};
    struct visitor here = {.c = c};
    pthread_t thread = begin_too_late(&t);

    (void)state;
    start_waiting(&here, receive_item);
    sem_post(&t.called);
    pthread_join(thread, NULL);
    assert_sends(c, 7);
    assert_got(&here, 7);
    salut_channel_free(c);
}

static void a_call_for_a_fiber_that_goes_with_its_thread_is_passed_on(void **state)
{
    salut_channel *c = ints(1);
    struct too_late t = {.first.c = c, .second.c = c, .function = receive_item, .ends = true};
    struct visitor here = {.c = c};
    pthread_t thread = begin_too_late(&t);

    (void)state;
    start_waiting(&here, receive_item);
    assert_sends(c, 7); /* for the other thread's, who came first */
    sem_post(&t.called);
    assert_got(&here, 7);
    pthread_join(thread, NULL);
    salut_channel_free(c);
}

static void a_channel_may_be_closed_after_those_who_waited_are_gone(void **state)
{
    salut_channel *c = ints(1);
    struct too_late t = {.first.c = c, .second.c = c, .function = receive_item, .ends = true};
    pthread_t thread = begin_too_late(&t);

    (void)state;
    sem_post(&t.called);
    pthread_join(thread, NULL);
    assert_works(salut_channel_close(c));
    salut_channel_free(c);
}

int main(void)
{
    struct CMUnitTest channel[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(items_of_every_size_are_copied_whole),
        cmocka_unit_test(send_waits_while_the_channel_is_full),
        cmocka_unit_test(recv_waits_while_there_is_nothing),
        cmocka_unit_test(try_send_never_waits),
        cmocka_unit_test(try_send_wakes_a_receiver),
        cmocka_unit_test(close_lets_receivers_drain_and_refuses_senders),
        cmocka_unit_test(a_full_channel_that_is_closed_says_closed),
        cmocka_unit_test(close_wakes_everyone_who_waits),
        cmocka_unit_test(a_canceled_wait_takes_and_leaves_nothing),
        cmocka_unit_test(a_canceled_fiber_may_do_what_can_not_wait),
        cmocka_unit_test(an_item_for_a_receiver_that_is_canceled_just_then_is_not_lost),
        cmocka_unit_test(channels_that_can_not_be_are_refused),
        cmocka_unit_test(no_channel_and_no_item_are_told),
        cmocka_unit_test(every_item_of_many_threads_arrives_exactly_once),
        cmocka_unit_test(threads_without_fibers_use_channels_as_well),
        cmocka_unit_test(a_receiver_that_gives_up_when_called_passes_the_call_on),
        cmocka_unit_test(a_sender_that_gives_up_when_called_passes_the_call_on),
        cmocka_unit_test(fibers_that_went_with_their_thread_are_called_no_more),
        cmocka_unit_test(a_call_for_a_fiber_that_goes_with_its_thread_is_passed_on),
        cmocka_unit_test(a_channel_may_be_closed_after_those_who_waited_are_gone),
    };

    return RUN_SOCKET_TESTS(channel);
}
