/* recv_exactly: so many bytes, in however many pieces, or the reason why not and how many came. */
#include "support/fibers.h"

#include <salut.h>

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

static salut_sock *near, *far;

static int open_both(void **state)
{
    (void)state;
    salut_clear_error();
    return salut_pair(&near, &far);
}

static int close_both(void **state)
{
    (void)state;
    salut_close(near);
    salut_close(far);
    return 0;
}

struct pieces {
    const char *bytes;
    size_t size, piece;
    bool end;
};

static void send_in_pieces(void *argument)
{
    struct pieces *p = argument;

    for (size_t sent = 0; sent < p->size; sent += p->piece) {
        size_t left = p->size - sent;
        if (salut_send(far, p->bytes + sent, left < p->piece ? left : p->piece) < 0)
            return;
        salut_yield();
    }
    if (p->end)
        salut_shutdown(far, SHUT_WR);
}

static void bytes_in_any_pieces_become_one(void **state)
{
    const char *bytes = "Salut le serveur !";

    (void)state;
    for (size_t piece = 1; piece <= 18; piece++) {
        struct pieces p = {.bytes = bytes, .size = 18, .piece = piece};
        salut_fiber *fiber = salut_go(send_in_pieces, &p);
        char buffer[18];
        assert_int_equal(salut_recv_exactly(near, buffer, sizeof buffer), 18);
        assert_memory_equal(buffer, bytes, 18);
        assert_int_equal(salut_join(fiber), 0);
    }
}

static void what_is_more_is_left_for_the_next(void **state)
{
    char buffer[4];

    (void)state;
    assert_int_equal(salut_send(far, "abcdefgh", 8), 8);
    assert_int_equal(salut_recv_exactly(near, buffer, 3), 3);
    assert_memory_equal(buffer, "abc", 3);
    assert_int_equal(salut_recv_exactly(near, buffer, 4), 4);
    assert_memory_equal(buffer, "defg", 4);
    assert_int_equal(salut_recv(near, buffer, 4), 1);
    assert_int_equal(buffer[0], 'h');
}

static void a_clean_end_is_0(void **state)
{
    char buffer[4];

    (void)state;
    assert_int_equal(salut_send(far, "abcd", 4), 4);
    assert_int_equal(salut_close(far), 0);
    assert_int_equal(salut_recv_exactly(near, buffer, 4), 4);
    assert_int_equal(salut_recv_exactly(near, buffer, 4), 0);
    assert_int_equal(salut_recv_exactly(near, buffer, 4), 0);
    assert_int_equal(salut_failed(), 0);
    far = NULL;
}

static void an_end_in_the_middle_says_eproto_and_how_many_came(void **state)
{
    struct pieces p = {.bytes = "abc", .size = 3, .piece = 1, .end = true};
    char buffer[5];
    salut_fiber *fiber = salut_go(send_in_pieces, &p);

    (void)state;
    assert_int_equal(salut_recv_exactly(near, buffer, 5), -1);
    assert_int_equal(errno, EPROTO);
    assert_non_null(strstr(salut_error(), "after 3 of 5 bytes"));
    assert_memory_equal(buffer, "abc", 3);
    assert_int_equal(salut_join(fiber), 0);
}

/* A peer on the same machine that closes with bytes unread breaks the connection off. */
static void a_peer_that_breaks_off_in_the_middle_is_told_with_how_many_came(void **state)
{
    char buffer[5];

    (void)state;
    assert_int_equal(salut_send(near, "unread", 6), 6);
    assert_int_equal(salut_send(far, "abc", 3), 3);
    assert_int_equal(salut_close(far), 0);
    far = NULL;
    assert_int_equal(salut_recv_exactly(near, buffer, 5), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_non_null(strstr(salut_error(), "3 of 5 bytes came, then: the peer broke"));
    assert_memory_equal(buffer, "abc", 3);
}

static void a_timeout_in_the_middle_leaves_what_came_for_the_next(void **state)
{
    char buffer[5];

    (void)state;
    assert_int_equal(salut_send(far, "abc", 3), 3);
    assert_int_equal(salut_settimeout(near, 0.005), 0);
    assert_int_equal(salut_recv_exactly(near, buffer, 5), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(salut_send(far, "de", 2), 2);
    assert_int_equal(salut_recv_exactly(near, buffer, 5), 5);
    assert_memory_equal(buffer, "abcde", 5);
}

static void so_does_timeout_0(void **state)
{
    char buffer[5];

    (void)state;
    assert_int_equal(salut_settimeout(near, 0), 0);
    assert_int_equal(salut_recv_exactly(near, buffer, 5), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(salut_send(far, "abc", 3), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(salut_recv_exactly(near, buffer, 5), -1);
        assert_int_equal(errno, EAGAIN);
    }
    assert_int_equal(salut_send(far, "defgh", 5), 5);
    assert_int_equal(salut_recv_exactly(near, buffer, 5), 5);
    assert_memory_equal(buffer, "abcde", 5);
    assert_int_equal(salut_recv(near, buffer, 5), 3);
    assert_memory_equal(buffer, "fgh", 3);
}

static bool drip;

static void drip_for_ever(void *unused)
{
    (void)unused;
    while (drip && salut_send(far, "x", 1) == 1)
        salut_yield();
}

/* Whenever the receiver looks, there is some more. */
static void the_time_covers_the_whole_call_whatever_drips_in(void **state)
{
    static char buffer[20000];
    salut_fiber *fiber;

    (void)state;
    drip = true;
    fiber = salut_go(drip_for_ever, NULL);
    assert_int_equal(salut_settimeout(near, 1e-6), 0);
    assert_int_equal(salut_recv_exactly(near, buffer, sizeof buffer), -1);
    assert_int_equal(errno, ETIMEDOUT);
    drip = false;
    assert_int_equal(salut_join(fiber), 0);
}

/* The peer is as fast as this machine: the data is always there before anyone has to wait. */
static void *write_for_ever(void *descriptor)
{
    static char zeros[1 << 16];

    while (write(*(int *)descriptor, zeros, sizeof zeros) > 0)
        ;
    return NULL;
}

static void the_time_covers_a_call_that_never_has_to_wait(void **state)
{
    const size_t much = (size_t)64 << 20; /* no machine receives so much in a microsecond */
    char *buffer = malloc(much);
    int plain[2];
    pthread_t thread;
    salut_sock *s;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, plain), 0);
    s = salut_from_fd(plain[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pthread_create(&thread, NULL, write_for_ever, &plain[1]), 0);
    assert_int_equal(salut_settimeout(s, 1e-6), 0);
    assert_int_equal(salut_recv_exactly(s, buffer, much), -1);
    assert_int_equal(errno, ETIMEDOUT);
    salut_close(s); /* which ends the thread */
    pthread_join(thread, NULL);
    close(plain[1]);
    free(buffer);
}

struct receiving {
    ssize_t result;
    int number;
    char buffer[5];
};

static void receive_five(void *argument)
{
    struct receiving *r = argument;

    r->result = salut_recv_exactly(near, r->buffer, 5);
    r->number = errno;
}

static void a_cancel_in_the_middle_leaves_what_came_for_the_next(void **state)
{
    struct receiving r = {0};
    salut_fiber *fiber = salut_go(receive_five, &r);
    char buffer[5];

    (void)state;
    assert_int_equal(salut_send(far, "abc", 3), 3);
    salut_yield(); /* it has them and waits for more */
    assert_int_equal(salut_cancel(fiber), 0);
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(r.result, -1);
    assert_int_equal(r.number, ECANCELED);
    assert_int_equal(salut_recv(near, buffer, 5), 3);
    assert_memory_equal(buffer, "abc", 3);
}

static void a_close_in_the_middle_says_ecanceled(void **state)
{
    struct receiving r = {0};
    salut_fiber *fiber = salut_go(receive_five, &r);

    (void)state;
    assert_int_equal(salut_send(far, "abc", 3), 3);
    salut_yield();
    assert_int_equal(salut_close(near), 0);
    near = NULL;
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(r.result, -1);
    assert_int_equal(r.number, ECANCELED);
}

static void what_recv_line_left_behind_comes_first(void **state)
{
    char buffer[6];

    (void)state;
    assert_int_equal(salut_send(far, "line\nabc", 8), 8);
    assert_string_equal(salut_recv_line(near, NULL), "line");
    assert_int_equal(salut_send(far, "def", 3), 3);
    assert_int_equal(salut_recv_exactly(near, buffer, 6), 6);
    assert_memory_equal(buffer, "abcdef", 6);
}

static void datagrams_are_not_for_it(void **state)
{
    salut_sock *s = salut_socket(SALUT_UDP);
    char buffer[5];

    (void)state;
    assert_int_equal(salut_bind(s, "localhost", 0), 0);
    assert_int_equal(salut_recv_exactly(s, buffer, 5), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    salut_close(s);
}

static void no_room_says_einval(void **state)
{
    char buffer[5];

    (void)state;
    assert_int_equal(salut_recv_exactly(near, buffer, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(salut_recv_exactly(near, buffer, SIZE_MAX), -1);
    assert_int_equal(errno, EINVAL);
}

static void a_null_socket_says_so(void **state)
{
    char buffer[5];

    (void)state;
    assert_int_equal(salut_recv_exactly(NULL, buffer, 5), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_in_any_pieces_become_one, open_both, close_both),
        cmocka_unit_test_setup_teardown(what_is_more_is_left_for_the_next, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_clean_end_is_0, open_both, close_both),
        cmocka_unit_test_setup_teardown(
            a_peer_that_breaks_off_in_the_middle_is_told_with_how_many_came, open_both, close_both),
        cmocka_unit_test_setup_teardown(an_end_in_the_middle_says_eproto_and_how_many_came,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(a_timeout_in_the_middle_leaves_what_came_for_the_next,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(so_does_timeout_0, open_both, close_both),
        cmocka_unit_test_setup_teardown(the_time_covers_the_whole_call_whatever_drips_in, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(the_time_covers_a_call_that_never_has_to_wait, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(a_cancel_in_the_middle_leaves_what_came_for_the_next,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(a_close_in_the_middle_says_ecanceled, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(what_recv_line_left_behind_comes_first, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(datagrams_are_not_for_it, open_both, close_both),
        cmocka_unit_test_setup_teardown(no_room_says_einval, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_null_socket_says_so, open_both, close_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
