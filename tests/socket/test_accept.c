/* test_accept.c: accept: who comes, who doesn't, and what happens when descriptors run out. */
#include "support/sockets.h"

#include <sys/syscall.h>

/* The library's calls of accept4() come by here on their way to the kernel. */
static int accepts_asked;
static int accept_failure; /* the errno that the next one gives instead; 0: none */

int accept4(int descriptor, __SOCKADDR_ARG address, socklen_t *size, int flags)
{
    accepts_asked++;
    if (accept_failure) {
        errno = accept_failure;
        accept_failure = 0;
        return -1;
    }
    return (int)syscall(SYS_accept4, descriptor, address.__sockaddr__, size, flags);
}

struct acceptor {
    salut_sock *listener, *client;
    salut_addr peer;
    double timeout;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void accept_one(void *argument)
{
    struct acceptor *a = argument;

    a->client = salut_accept(a->listener, &a->peer);
    note(&a->outcome, a->client ? 0 : -1);
}

static void start_accepting(struct acceptor *a, salut_sock *listener)
{
    *a = (struct acceptor){.listener = listener};
    a->fiber = salut_go(accept_one, a);
    assert_non_null(a->fiber);
    let_fibers_run();
    assert_false(a->outcome.done);
}

static void assert_all_zeros(const salut_addr *address)
{
    static const salut_addr zeros;

    assert_memory_equal(address, &zeros, sizeof zeros);
}

/* ---- Who comes ----------------------------------------------------------------------------- */

static void accept_tells_who_came(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    int client = plain_connection(port_of(listener));
    salut_addr peer;

    (void)state;
    served = salut_accept(listener, &peer);
    assert_non_null(served);
    assert_string_equal(salut_addr_host(&peer), "127.0.0.1");
    assert_int_equal(salut_addr_port(&peer), plain_port(client));
    assert_int_equal(write(client, "salut", 5), 5);
    assert_returns(salut_recv(served, (char[8]){0}, 8), 5);
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
    close(client);
}

static void accept_waits_for_a_client(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    struct acceptor a;
    int client;

    (void)state;
    start_accepting(&a, listener);
    client = plain_connection(port_of(listener));
    assert_works(salut_join(a.fiber));
    assert_non_null(a.client);
    assert_int_equal(salut_addr_port(&a.peer), plain_port(client));
    assert_works(salut_close(a.client));
    assert_works(salut_close(listener));
    close(client);
}

static void accepted_sockets_have_no_timeout_and_no_delay_and_are_closed_on_exec(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    int client = plain_connection(port_of(listener));
    int no_delay = 0;

    (void)state;
    assert_works(salut_settimeout(listener, 0));
    wait_for(salut_fd(listener), POLLIN);
    served = salut_accept(listener, NULL);
    assert_non_null(served);
    assert_int_equal(getsockopt(salut_fd(served), IPPROTO_TCP, TCP_NODELAY, &no_delay,
                                &(socklen_t){sizeof no_delay}),
                     0);
    assert_int_not_equal(no_delay, 0);
    assert_int_equal(fcntl(salut_fd(served), F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(client, "x", 1), 1);
    assert_returns(salut_recv(served, (char[1]){0}, 1), 1); /* it waits, if need be */
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
    close(client);
}

static void a_client_that_has_gone_already_harms_nobody(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    int first = plain_connection(port_of(listener)), second;
    int others = 0;
    salut_addr peer;

    (void)state;
    plain_reset(first);
    second = plain_connection(port_of(listener));
    do { /* Linux hands the first one out all the same, and its receive tells */
        served = salut_accept(listener, &peer);
        assert_non_null(served);
        if (salut_addr_port(&peer) != plain_port(second)) {
            assert_fails(salut_recv(served, (char[1]){0}, 1), ECONNRESET, "127.0.0.1");
            others++;
        }
        assert_works(salut_close(served));
    } while (salut_addr_port(&peer) != plain_port(second));
    assert_true(others <= 1);
    assert_works(salut_close(listener));
    close(second);
}

static void troubles_of_one_client_s_are_passed_over(void **state)
{
    static const int troubles[] = {ECONNABORTED, EPROTO,       EPERM,  ENETDOWN,   ENETUNREACH,
                                   EHOSTDOWN,    EHOSTUNREACH, ENONET, ENOPROTOOPT};
    salut_sock *listener = listening("127.0.0.1"), *served;
    int client;

    (void)state;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        client = plain_connection(port_of(listener));
        wait_for(salut_fd(listener), POLLIN);
        accept_failure = troubles[i];
        served = salut_accept(listener, NULL);
        if (!served)
            fail_msg("%s: %s", strerror(troubles[i]), salut_error());
        assert_int_equal(accept_failure, 0); /* it was met */
        assert_works(salut_close(served));
        close(client);
    }
    assert_works(salut_close(listener));
}

static void other_failures_of_accept_are_told(void **state)
{
    salut_sock *listener = listening("127.0.0.1");

    (void)state;
    accept_failure = EFAULT;
    assert_none(salut_accept(listener, NULL), EFAULT, at_loopback(port_of(listener)));
    assert_works(salut_close(listener));
}

/* ---- Who doesn't --------------------------------------------------------------------------- */

static void accept_needs_a_listener(void **state)
{
    salut_sock *fresh = salut_socket(SALUT_TCP), *bound = salut_socket(SALUT_TCP), *a, *b;
    salut_addr peer;

    (void)state;
    connected(&a, &b);
    memset(&peer, 'x', sizeof peer);
    assert_none(salut_accept(fresh, &peer), EINVAL, "isn't listening");
    assert_all_zeros(&peer);
    assert_works(salut_bind(bound, "127.0.0.1", 0));
    assert_none(salut_accept(bound, &peer), EINVAL, "isn't listening");
    assert_none(salut_accept(a, NULL), EINVAL, "isn't listening");
    assert_works(salut_close(fresh));
    assert_works(salut_close(bound));
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void accept_on_datagrams_is_refused(void **state)
{
    salut_sock *s = salut_socket(SALUT_UDP);

    (void)state;
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_none(salut_accept(s, NULL), EINVAL, "isn't listening");
    assert_works(salut_close(s));
}

static void two_fibers_can_not_accept_on_one_listener(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    struct acceptor a;
    int client;

    (void)state;
    start_accepting(&a, listener);
    assert_none(salut_accept(listener, NULL), EBUSY, "another fiber is accepting");
    client = plain_connection(port_of(listener)); /* the first one is none the worse for it */
    assert_works(salut_join(a.fiber));
    assert_non_null(a.client);
    assert_works(salut_close(a.client));
    assert_works(salut_close(listener));
    close(client);
}

static void accept_gives_up_when_its_time_is_over(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    int64_t begin = clock_now();
    salut_addr peer;

    (void)state;
    memset(&peer, 'x', sizeof peer);
    assert_works(salut_settimeout(listener, 0.01));
    assert_none(salut_accept(listener, &peer), ETIMEDOUT, at_loopback(port_of(listener)));
    assert_true(clock_now() - begin >= NANOSECONDS / 100);
    assert_all_zeros(&peer);
    assert_works(salut_close(listener));
}

static void accept_with_timeout_0_does_not_wait(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    int client;

    (void)state;
    assert_works(salut_settimeout(listener, 0));
    for (int i = 0; i < 3; i++)
        assert_none(salut_accept(listener, NULL), EAGAIN, at_loopback(port_of(listener)));
    client = plain_connection(port_of(listener));
    served = salut_accept(listener, NULL); /* it looks, and doesn't believe what it knew */
    assert_non_null(served);
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
    close(client);
}

static void close_ends_another_fiber_s_accept(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    struct acceptor a;

    (void)state;
    start_accepting(&a, listener);
    assert_works(salut_close(listener));
    assert_works(salut_join(a.fiber));
    assert_outcome(a.outcome, ECANCELED, "closed the socket");
    assert_null(a.client);
    assert_all_zeros(&a.peer);
    assert_none(salut_accept(listener, NULL), EBADF, "closed");
}

static void cancel_ends_accept_and_the_listener_goes_on(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    struct acceptor a;
    int client;

    (void)state;
    start_accepting(&a, listener);
    assert_works(salut_cancel(a.fiber));
    assert_works(salut_join(a.fiber));
    assert_outcome(a.outcome, ECANCELED, "canceled");
    client = plain_connection(port_of(listener));
    served = salut_accept(listener, NULL);
    assert_non_null(served);
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
    close(client);
}

/* ---- When descriptors have run out --------------------------------------------------------- */

static void accept_waits_without_descriptors_and_goes_on_when_there_are_some(void **state)
{
    salut_sock *listener;
    int clients[3];
    struct acceptor a;
    int64_t begin;
    double pauses;

    (void)state;
    needs_a_true_limit_of_descriptors();
    listener = listening("127.0.0.1");
    for (int i = 0; i < 3; i++)
        clients[i] = plain_connection(port_of(listener));
    allow_no_more_descriptors();
    accepts_asked = 0;
    begin = clock_now();
    a = (struct acceptor){.listener = listener};
    a.fiber = salut_go(accept_one, &a);
    salut_sleep(0.1);
    assert_false(a.outcome.done);
    /* Pauses of 5, 10, 20 ms and so on: n of them take 5 * (2^n - 1) ms. */
    pauses = (double)(clock_now() - begin) / 5e6;
    assert_true(accepts_asked >= 2);
    for (int n = 1; n < accepts_asked; n++)
        pauses -= 1 << (n - 1);
    assert_true(pauses >= 0);

    allow_descriptors_again();
    assert_works(salut_join(a.fiber));
    assert_non_null(a.client);
    assert_works(salut_close(a.client));
    for (int i = 1; i < 3; i++) { /* none that came meanwhile is lost */
        salut_sock *served = salut_accept(listener, NULL);
        assert_non_null(served);
        assert_works(salut_close(served));
    }
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    assert_works(salut_close(listener));
}

/* Somebody waits there, for whom there is no descriptor. */
static salut_sock *listening_without_descriptors(int *client)
{
    salut_sock *listener;

    needs_a_true_limit_of_descriptors();
    listener = listening("127.0.0.1");
    *client = plain_connection(port_of(listener));
    wait_for(salut_fd(listener), POLLIN);
    allow_no_more_descriptors();
    return listener;
}

static void accept_without_descriptors_says_so_when_its_time_is_over(void **state)
{
    salut_sock *listener, *served;
    salut_addr peer;
    int client;

    (void)state;
    listener = listening_without_descriptors(&client);
    assert_works(salut_settimeout(listener, 0.02));
    assert_none(salut_accept(listener, &peer), EMFILE, at_loopback(port_of(listener)));
    assert_all_zeros(&peer);
    assert_works(salut_settimeout(listener, 0));
    assert_none(salut_accept(listener, NULL), EMFILE, "too many open descriptors");
    allow_descriptors_again();
    served = salut_accept(listener, NULL);
    assert_non_null(served);
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
    close(client);
}

static void a_pause_of_accept_is_still_that_fiber_s_accept(void **state)
{
    int client;
    salut_sock *listener = listening_without_descriptors(&client);
    struct acceptor a;

    (void)state;
    start_accepting(&a, listener);
    assert_none(salut_accept(listener, NULL), EBUSY, "another fiber is accepting");
    allow_descriptors_again();
    assert_works(salut_join(a.fiber));
    assert_non_null(a.client);
    assert_works(salut_close(a.client));
    assert_works(salut_close(listener));
    close(client);
}

static void close_ends_a_pause_of_accept(void **state)
{
    int client;
    salut_sock *listener = listening_without_descriptors(&client);
    struct acceptor a;

    (void)state;
    start_accepting(&a, listener);
    assert_works(salut_close(listener));
    let_fibers_run();
    assert_outcome(a.outcome, ECANCELED, "closed the socket");
    allow_descriptors_again();
    close(client);
}

struct closer {
    salut_sock *listener;
    int result;
};

static void close_soon(void *argument)
{
    struct closer *c = argument;

    salut_sleep(0.001);
    c->result = salut_close(c->listener);
}

static void accept_then_sleep(void *argument)
{
    struct acceptor *a = argument;

    accept_one(a);
    salut_clear_error();
    note(&a->outcome, salut_sleep(0.001));
}

static void a_close_at_the_end_of_a_pause_of_accept_spoils_no_later_wait(void **state)
{
    struct acceptor a = {0};
    struct closer c = {.result = -1};
    salut_fiber *closer;
    int client;

    (void)state;
    needs_a_true_limit_of_descriptors();
    a.listener = c.listener = listening("127.0.0.1");
    client = plain_connection(port_of(a.listener));
    wait_for(salut_fd(a.listener), POLLIN);
    allow_no_more_descriptors();
    closer = salut_go(close_soon, &c);
    a.fiber = salut_go(accept_then_sleep, &a);
    salut_yield();
    hold_thread_until(clock_now() + NANOSECONDS / 50); /* both waits end in the same look */
    assert_works(salut_join(a.fiber));
    assert_works(salut_join(closer));
    assert_works(c.result);
    assert_null(a.client);
    assert_returns(a.outcome.result, 0);
    allow_descriptors_again();
    close(client);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_tells_who_came),
        cmocka_unit_test(accept_waits_for_a_client),
        cmocka_unit_test(accepted_sockets_have_no_timeout_and_no_delay_and_are_closed_on_exec),
        cmocka_unit_test(a_client_that_has_gone_already_harms_nobody),
        cmocka_unit_test(troubles_of_one_client_s_are_passed_over),
        cmocka_unit_test(other_failures_of_accept_are_told),
        cmocka_unit_test(accept_needs_a_listener),
        cmocka_unit_test(accept_on_datagrams_is_refused),
        cmocka_unit_test(two_fibers_can_not_accept_on_one_listener),
        cmocka_unit_test(accept_gives_up_when_its_time_is_over),
        cmocka_unit_test(accept_with_timeout_0_does_not_wait),
        cmocka_unit_test(close_ends_another_fiber_s_accept),
        cmocka_unit_test(cancel_ends_accept_and_the_listener_goes_on),
        cmocka_unit_test(accept_waits_without_descriptors_and_goes_on_when_there_are_some),
        cmocka_unit_test(accept_without_descriptors_says_so_when_its_time_is_over),
        cmocka_unit_test(a_pause_of_accept_is_still_that_fiber_s_accept),
        cmocka_unit_test(close_ends_a_pause_of_accept),
        cmocka_unit_test(a_close_at_the_end_of_a_pause_of_accept_spoils_no_later_wait),
    };

    return RUN_SOCKET_TESTS(tests);
}
