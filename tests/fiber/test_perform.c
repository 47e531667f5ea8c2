/* Operations that fibers wait for: what was done is never taken for undone, whatever else woke the
 * fiber meanwhile, and a call that may not wait tells the truth all the same. */
#include "support/fibers.h"

#include "base/limits.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>
#include <fcntl.h>

struct receiver {
    salut_sock *socket;
    salut_fiber *fiber;
    ssize_t result;
    int number;
    bool ended;
    char buffer[64];
};

static void receive(void *argument)
{
    struct receiver *r = argument;

    r->result = salut_recv(r->socket, r->buffer, sizeof r->buffer);
    r->number = errno;
    r->ended = true;
}

/* So many calls that don't wait that the thread looks at the network once, before anything that
 * became ready earlier runs. */
static void make_the_thread_look(void)
{
    salut_sock *a, *b;
    char bytes[FIBER_CALLS_MAX];

    salut_pair(&a, &b);
    for (int i = 0; i < FIBER_CALLS_MAX; i++)
        salut_send(a, "x", 1);
    salut_recv(b, bytes, sizeof bytes);
    salut_close(a);
    salut_close(b);
}

static void look_once(void *unused)
{
    (void)unused;
    make_the_thread_look();
}

/* What the receiver has and what is still there are all that was sent. */
static void assert_nothing_is_lost(struct receiver *r, size_t sent)
{
    char rest[64];
    size_t have = r->result > 0 ? (size_t)r->result : 0;

    salut_settimeout(r->socket, 0);
    for (ssize_t more; have < sent; have += (size_t)more) {
        more = salut_recv(r->socket, rest, sizeof rest);
        if (more <= 0)
            fail_msg("%zu of %zu bytes are lost; the receive had said %zd: %s", sent - have, sent,
                     r->result, strerror(r->number));
    }
}

static void bytes_that_come_after_a_cancel_are_not_lost(void **state)
{
    struct receiver r = {0};
    salut_sock *peer;

    (void)state;
    assert_int_equal(salut_pair(&r.socket, &peer), 0);
    r.fiber = salut_go(receive, &r);
    salut_yield(); /* it waits */
    salut_cancel(r.fiber);
    assert_int_equal(salut_send(peer, "hello", 5), 5);
    make_the_thread_look();
    salut_join(r.fiber);
    assert_nothing_is_lost(&r, 5);
    salut_close(peer);
    salut_close(r.socket);
}

static void bytes_that_come_after_a_timeout_are_not_lost(void **state)
{
    struct receiver r = {0};
    salut_sock *peer;
    salut_fiber *looker;
    int64_t deadline;

    (void)state;
    assert_int_equal(salut_pair(&r.socket, &peer), 0);
    salut_settimeout(r.socket, 0.001);
    r.fiber = salut_go(receive, &r);
    salut_yield(); /* it waits */
    deadline = fiber_now() + NANOSECONDS / 1000;
    looker = salut_go(look_once, NULL);
    while (fiber_now() < deadline)
        ;
    salut_yield(); /* the looker finds the receiver's time over: it is ready, after us */
    assert_false(r.ended);
    assert_int_equal(salut_send(peer, "hello", 5), 5);
    make_the_thread_look();
    salut_join(r.fiber);
    salut_join(looker);
    assert_nothing_is_lost(&r, 5);
    salut_close(peer);
    salut_close(r.socket);
}

struct accepter {
    salut_sock *listener, *client;
};

static void accept_one(void *argument)
{
    struct accepter *a = argument;

    a->client = salut_accept(a->listener, NULL);
}

static void a_client_that_comes_after_a_cancel_is_not_lost(void **state)
{
    struct accepter a = {.listener = salut_create_server("localhost:0")};
    salut_fiber *fiber = salut_go(accept_one, &a);
    salut_addr address;
    int raw = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(salut_local(a.listener, &address), 0);
    salut_yield(); /* it waits */
    salut_cancel(fiber);
    assert_int_equal(connect(raw, &address.raw.any, address.raw_size), 0);
    make_the_thread_look();
    salut_join(fiber);
    if (!a.client) {
        salut_settimeout(a.listener, 0);
        a.client = salut_accept(a.listener, NULL);
    }
    assert_non_null(a.client);
    salut_close(a.client);
    salut_close(a.listener);
    close(raw);
}

struct sender {
    salut_sock *socket;
    char *data;
    size_t size;
    ssize_t result;
};

static void send_all(void *argument)
{
    struct sender *s = argument;

    s->result = salut_send(s->socket, s->data, s->size);
}

static void a_send_that_was_completed_after_a_cancel_says_so(void **state)
{
    struct sender s = {.size = 0};
    salut_sock *peer;
    salut_fiber *fiber;
    char bytes[65536];
    ssize_t size;
    size_t arrived = 0;

    (void)state;
    assert_int_equal(salut_pair(&s.socket, &peer), 0);
    salut_settimeout(s.socket, 0); /* fill it up */
    while (salut_send(s.socket, "x", 1) == 1)
        s.size++;
    assert_int_equal(errno, EAGAIN);
    salut_settimeout(s.socket, -1);
    s.size = 1000;
    s.data = calloc(1, s.size);
    fiber = salut_go(send_all, &s);
    salut_yield(); /* it waits */
    salut_cancel(fiber);
    while ((size = read(salut_fd(peer), bytes, sizeof bytes)) > 0)
        arrived += 0; /* only what the sender sends counts */
    make_the_thread_look();
    while ((size = read(salut_fd(peer), bytes, sizeof bytes)) > 0)
        arrived += (size_t)size;
    salut_join(fiber);
    while ((size = read(salut_fd(peer), bytes, sizeof bytes)) > 0)
        arrived += (size_t)size;
    assert_int_equal(s.result, arrived == s.size ? (ssize_t)s.size : -1);
    free(s.data);
    salut_close(s.socket);
    salut_close(peer);
}

static void a_wake_for_nothing_does_not_end_a_receive(void **state)
{
    struct receiver r = {0};
    salut_sock *peer;

    (void)state;
    assert_int_equal(salut_pair(&r.socket, &peer), 0);
    r.fiber = salut_go(receive, &r);
    salut_yield(); /* it waits */
    assert_false(r.ended);
    fiber_wake(handle_object(&scheduler_of_thread->fibers, r.fiber));
    salut_yield();
    assert_false(r.ended);
    assert_int_equal(salut_send(peer, "hello", 5), 5);
    salut_join(r.fiber);
    assert_int_equal(r.result, 5);
    salut_close(peer);
    salut_close(r.socket);
}

static void a_socket_closed_under_a_receive_ends_it(void **state)
{
    struct receiver r = {0};
    salut_sock *peer;

    (void)state;
    assert_int_equal(salut_pair(&r.socket, &peer), 0);
    r.fiber = salut_go(receive, &r);
    salut_yield(); /* it waits */
    assert_int_equal(salut_close(r.socket), 0);
    salut_join(r.fiber);
    assert_int_equal(r.result, -1);
    assert_int_equal(r.number, ECANCELED);
    salut_close(peer);
}

static void a_receive_with_timeout_0_sees_what_came_since_the_last(void **state)
{
    salut_sock *a, *b;
    char byte = 0;

    (void)state;
    assert_int_equal(salut_pair(&a, &b), 0);
    salut_settimeout(b, 0);
    for (char sent = 'a'; sent <= 'z'; sent++) {
        assert_int_equal(salut_recv(b, &byte, 1), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(salut_send(a, &sent, 1), 1);
        assert_int_equal(salut_recv(b, &byte, 1), 1);
        assert_int_equal(byte, sent);
    }
    salut_close(a);
    salut_close(b);
}

static void a_send_with_timeout_0_sees_the_room_there_is_since_the_last(void **state)
{
    static char data[1 << 16];
    salut_sock *a, *b;

    (void)state;
    assert_int_equal(salut_pair(&a, &b), 0);
    salut_settimeout(a, 0);
    while (salut_send(a, "x", 1) == 1)
        ;
    assert_int_equal(errno, EAGAIN);
    while (read(salut_fd(b), data, sizeof data) > 0)
        ;
    assert_int_equal(salut_send(a, "x", 1), 1);
    salut_close(a);
    salut_close(b);
}

struct insister {
    salut_sock *socket;
    int tries_max, tries;
    bool others_ran;
    int tries_before_others;
};

/* Never waits, never yields: only tries. */
static void insist(void *argument)
{
    struct insister *i = argument;
    char byte;

    while (i->tries < i->tries_max && salut_recv(i->socket, &byte, 1) < 0)
        i->tries++;
}

static void note_that_others_ran(void *argument)
{
    struct insister *i = argument;

    i->others_ran = true;
    i->tries_before_others = i->tries;
}

static void a_fiber_that_only_tries_with_timeout_0_lets_the_others_run(void **state)
{
    struct insister i = {.tries_max = 10000};
    salut_sock *peer;
    salut_fiber *fiber;

    (void)state;
    assert_int_equal(salut_pair(&i.socket, &peer), 0);
    salut_settimeout(i.socket, 0);
    fiber = salut_go(insist, &i);
    salut_go(note_that_others_ran, &i);
    salut_join(fiber);
    assert_true(i.others_ran);
    assert_in_range(i.tries_before_others, 0, FIBER_CALLS_MAX);
    salut_close(i.socket);
    salut_close(peer);
}

static void a_canceled_fiber_that_goes_on_trying_lets_the_others_run(void **state)
{
    struct insister i = {.tries_max = 10000};
    salut_sock *peer;
    salut_fiber *fiber;

    (void)state;
    assert_int_equal(salut_pair(&i.socket, &peer), 0);
    fiber = salut_go(insist, &i);
    salut_cancel(fiber);
    salut_go(note_that_others_ran, &i);
    salut_join(fiber);
    assert_int_equal(i.tries, i.tries_max);
    assert_in_range(i.tries_before_others, 0, FIBER_CALLS_MAX);
    salut_close(i.socket);
    salut_close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_come_after_a_cancel_are_not_lost),
        cmocka_unit_test(bytes_that_come_after_a_timeout_are_not_lost),
        cmocka_unit_test(a_client_that_comes_after_a_cancel_is_not_lost),
        cmocka_unit_test(a_send_that_was_completed_after_a_cancel_says_so),
        cmocka_unit_test(a_wake_for_nothing_does_not_end_a_receive),
        cmocka_unit_test(a_socket_closed_under_a_receive_ends_it),
        cmocka_unit_test(a_receive_with_timeout_0_sees_what_came_since_the_last),
        cmocka_unit_test(a_send_with_timeout_0_sees_the_room_there_is_since_the_last),
        cmocka_unit_test(a_fiber_that_only_tries_with_timeout_0_lets_the_others_run),
        cmocka_unit_test(a_canceled_fiber_that_goes_on_trying_lets_the_others_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
