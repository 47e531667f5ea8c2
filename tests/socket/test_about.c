/* test_about.c: what can be asked of a socket and set on it; sockets from elsewhere; pairs;
 * shutdown; and handles that are none, closed, or another thread's. */
#include "support/sockets.h"

#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

/* ---- local, peer, fd ----------------------------------------------------------------------- */

static void a_fresh_socket_has_no_address_no_peer_and_no_descriptor(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    salut_addr address, zeros = {0};

    (void)state;
    memset(&address, 'x', sizeof address);
    assert_fails(salut_local(s, &address), EINVAL, "no address yet");
    assert_memory_equal(&address, &zeros, sizeof zeros);
    memset(&address, 'x', sizeof address);
    assert_fails(salut_peer(s, &address), ENOTCONN, "no peer yet");
    assert_memory_equal(&address, &zeros, sizeof zeros);
    assert_string_equal(salut_addr_host(&address), "");
    assert_int_equal(salut_addr_port(&address), 0);
    assert_fails(salut_fd(s), EBADF, "before bind or connect");
    assert_works(salut_close(s));
}

static void a_kind_that_is_none_makes_no_socket(void **state)
{
    (void)state;
    assert_none(salut_socket((salut_kind)0), EINVAL, "0 is not a kind");
    assert_none(salut_socket((salut_kind)5), EINVAL, "5 is not a kind");
    assert_none(salut_socket((salut_kind)-1), EINVAL, "is not a kind");
}

static void local_and_peer_are_the_two_ends(void **state)
{
    salut_sock *a, *b;
    salut_addr of_a, of_b;

    (void)state;
    connected(&a, &b);
    assert_works(salut_local(a, &of_a));
    assert_works(salut_peer(b, &of_b));
    assert_int_equal(salut_addr_port(&of_a), salut_addr_port(&of_b));
    assert_works(salut_peer(a, &of_a));
    assert_works(salut_local(b, &of_b));
    assert_int_equal(salut_addr_port(&of_a), salut_addr_port(&of_b));
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void a_listener_has_no_peer(void **state)
{
    salut_sock *s = listening("127.0.0.1");
    salut_addr peer;

    (void)state;
    assert_fails(salut_peer(s, &peer), ENOTCONN, "isn't connected");
    assert_works(salut_close(s));
}

static void fd_is_the_system_s_descriptor(void **state)
{
    salut_sock *s = listening("127.0.0.1");
    int port = port_of(s);

    (void)state;
    assert_int_equal(plain_port(salut_fd(s)), port);
    assert_works(salut_close(s));
}

/* ---- settimeout ---------------------------------------------------------------------------- */

static void a_timeout_is_a_number(void **state)
{
    salut_sock *a, *b;
    char letter;

    (void)state;
    connected(&a, &b);
    assert_fails(salut_settimeout(a, NAN), EINVAL, "not a number");
    assert_works(salut_settimeout(a, (double)INFINITY));
    assert_works(salut_settimeout(a, 1e300));
    assert_returns(salut_send(b, "x", 1), 1);
    assert_returns(salut_recv(a, &letter, 1), 1);
    assert_works(salut_settimeout(a, 1e-300)); /* short, but it waits: not 0 */
    assert_fails(salut_recv(a, &letter, 1), ETIMEDOUT, "127.0.0.1");
    assert_works(salut_settimeout(a, -0.0));
    assert_fails(salut_recv(a, &letter, 1), EAGAIN, "127.0.0.1");
    assert_works(salut_settimeout(a, (double)-INFINITY));
    assert_returns(salut_send(b, "x", 1), 1);
    assert_returns(salut_recv(a, &letter, 1), 1);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

/* ---- from_fd ------------------------------------------------------------------------------- */

static void from_fd_adopts_a_connection(void **state)
{
    int port;
    int listener = plain_listener(&port), fd = plain_connection(port);
    int served = accept(listener, NULL, NULL);
    salut_sock *s = salut_from_fd(fd);
    salut_addr peer;
    char text[8];

    (void)state;
    assert_non_null(s);
    assert_int_equal(salut_fd(s), fd);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_works(salut_peer(s, &peer));
    assert_int_equal(salut_addr_port(&peer), port);
    assert_returns(salut_send(s, "salut", 5), 5);
    assert_int_equal(read(served, text, sizeof text), 5);
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_recv(s, text, sizeof text), EAGAIN, at_loopback(port));
    assert_works(salut_close(s));
    assert_int_equal(read(served, text, sizeof text), 0); /* closed it is */
    close(served);
    close(listener);
}

static void from_fd_adopts_a_listener(void **state)
{
    int port;
    salut_sock *s = salut_from_fd(plain_listener(&port)), *served;
    int client = plain_connection(port);

    (void)state;
    assert_non_null(s);
    served = salut_accept(s, NULL);
    assert_non_null(served);
    assert_fails(salut_send(s, "x", 1), ENOTCONN, "listener");
    assert_works(salut_close(served));
    assert_works(salut_close(s));
    close(client);
}

static void from_fd_adopts_a_dual_listener_and_shows_ipv4_clients_as_ipv4(void **state)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
    salut_sock *s, *served;
    salut_addr peer;

    (void)state;
    setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
    assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(listener, 1), 0);
    client = plain_connection(plain_port(listener));
    s = salut_from_fd(listener);
    assert_non_null(s);
    served = salut_accept(s, &peer);
    assert_non_null(served);
    assert_string_equal(salut_addr_host(&peer), "127.0.0.1");
    assert_works(salut_close(served));
    assert_works(salut_close(s));
    close(client);
}

static void from_fd_adopts_datagrams(void **state)
{
    int fd = plain_bound(SOCK_DGRAM, "127.0.0.1", 0, -1);
    salut_sock *s = salut_from_fd(fd), *client = salut_socket(SALUT_UDP);
    salut_addr here;
    char text[8];

    (void)state;
    assert_non_null(s);
    assert_works(salut_local(s, &here));
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_returns(salut_recvfrom(s, text, sizeof text, &here), 5);
    assert_fails(salut_listen(s, 1), EOPNOTSUPP, "datagrams");
    assert_works(salut_close(s));
    assert_works(salut_close(client));
}

static void from_fd_adopts_unix_sockets(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int ends[2];
        salut_sock *s;
        char text[8];
        assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends), 0);
        s = salut_from_fd(ends[0]);
        assert_non_null(s);
        assert_returns(salut_send(s, "salut", 5), 5);
        assert_int_equal(read(ends[1], text, sizeof text), 5);
        assert_int_equal(write(ends[1], "ca va", 5), 5);
        assert_returns(salut_recv(s, text, sizeof text), 5);
        assert_works(salut_close(s));
        close(ends[1]);
    }
}

static void assert_not_adopted(int fd, int expected)
{
    char name[32];
    int flags = fcntl(fd, F_GETFL);

    snprintf(name, sizeof name, "from_fd %d", fd);
    assert_none(salut_from_fd(fd), expected, name);
    assert_int_equal(fcntl(fd, F_GETFL), flags);
    assert_int_equal(close(fd), 0); /* still the caller's */
}

static void from_fd_leaves_what_it_can_not_adopt_to_its_owner(void **state)
{
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_not_adopted(pipes[0], ENOTSOCK);
    assert_not_adopted(pipes[1], ENOTSOCK);
    assert_not_adopted(open("/dev/null", O_RDONLY), ENOTSOCK);
    assert_not_adopted(socket(AF_UNIX, SOCK_SEQPACKET, 0), EPROTONOSUPPORT);
    assert_not_adopted(socket(AF_NETLINK, SOCK_RAW, 0), EPROTONOSUPPORT);
    assert_none(salut_from_fd(-1), EBADF, "from_fd -1");
    assert_none(salut_from_fd(1 << 20), EBADF, "from_fd 1048576");
}

static void from_fd_adopts_what_was_a_socket_of_the_library_s_under_the_same_number(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    int fd = salut_fd(s), kept;
    char letter;

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_recv(s, &letter, 1), EAGAIN, "127.0.0.1");
    assert_works(salut_settimeout(s, 0.001));
    assert_fails(salut_recv(s, &letter, 1), ETIMEDOUT, "127.0.0.1");
    kept = dup(fd);
    assert_works(salut_close(s));
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
    s = salut_from_fd(fd);
    assert_non_null(s);
    assert_works(salut_settimeout(s, 0.001));
    assert_fails(salut_recv(s, &letter, 1), ETIMEDOUT, "127.0.0.1");
    assert_works(salut_settimeout(s, 60));
    assert_int_equal(write(peer, "x", 1), 1);
    assert_returns(salut_recv(s, &letter, 1), 1);
    assert_works(salut_close(s));
    close(peer);
}

/* ---- pair ---------------------------------------------------------------------------------- */

static void a_pair_is_two_ends_of_one_conversation(void **state)
{
    salut_sock *a, *b;
    salut_addr address;
    char text[8];

    (void)state;
    assert_works(salut_pair(&a, &b));
    assert_returns(salut_send(a, "salut", 5), 5);
    assert_returns(salut_recv(b, text, sizeof text), 5);
    assert_returns(salut_send(b, "ca va", 5), 5);
    assert_returns(salut_recv(a, text, sizeof text), 5);
    assert_works(salut_peer(a, &address));
    assert_string_equal(salut_addr_host(&address), "");
    assert_int_equal(fcntl(salut_fd(a), F_GETFD), FD_CLOEXEC);
    assert_works(salut_close(a));
    assert_returns(salut_recv(b, text, sizeof text), 0);
    assert_works(salut_close(b));
}

/* ---- shutdown ------------------------------------------------------------------------------ */

static void after_shutdown_of_sending_the_peer_receives_the_end_and_may_answer(void **state)
{
    salut_sock *a, *b;
    char text[8];

    (void)state;
    connected(&a, &b);
    assert_returns(salut_send(a, "fin", 3), 3);
    assert_works(salut_shutdown(a, SHUT_WR));
    assert_fails(salut_send(a, "x", 1), EPIPE, "127.0.0.1");
    assert_returns(salut_recv(b, text, sizeof text), 3);
    assert_returns(salut_recv(b, text, sizeof text), 0);
    assert_returns(salut_send(b, "bien", 4), 4);
    assert_returns(salut_recv(a, text, sizeof text), 4);
    assert_works(salut_shutdown(b, SHUT_WR));
    assert_returns(salut_recv(a, text, sizeof text), 0);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void after_shutdown_of_receiving_recv_gives_the_end_and_send_goes_on(void **state)
{
    salut_sock *a, *b;
    char text[8];

    (void)state;
    connected(&a, &b);
    assert_works(salut_shutdown(a, SHUT_RD));
    assert_returns(salut_recv(a, text, sizeof text), 0);
    assert_returns(salut_send(a, "salut", 5), 5);
    assert_returns(salut_recv(b, text, sizeof text), 5);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

struct waiter {
    salut_sock *s;
    char *bytes;
    size_t size;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void wait_to_receive(void *argument)
{
    struct waiter *w = argument;

    note(&w->outcome, salut_recv(w->s, w->bytes, w->size));
}

static void wait_to_send(void *argument)
{
    struct waiter *w = argument;

    note(&w->outcome, salut_send(w->s, w->bytes, w->size));
}

static void shutdown_wakes_those_who_wait_on_the_socket(void **state)
{
    size_t size = 16 * 1024 * 1024;
    char *bytes = calloc(1, size);

    (void)state;
    for (int unix_domain = 0; unix_domain < 2; unix_domain++) {
        salut_sock *a, *b;
        struct waiter receiver = {.bytes = (char[1]){0}, .size = 1};
        struct waiter sender = {.bytes = bytes, .size = size};
        if (unix_domain)
            assert_works(salut_pair(&a, &b));
        else
            connected(&a, &b);
        receiver.s = sender.s = a;
        receiver.fiber = salut_go(wait_to_receive, &receiver);
        sender.fiber = salut_go(wait_to_send, &sender);
        let_fibers_run();
        assert_false(receiver.outcome.done || sender.outcome.done);
        assert_works(salut_shutdown(a, SHUT_RDWR));
        assert_works(salut_join(receiver.fiber));
        assert_works(salut_join(sender.fiber));
        assert_returns(receiver.outcome.result, 0);
        assert_outcome(sender.outcome, EPIPE, unix_domain ? "" : "127.0.0.1");
        assert_works(salut_close(a));
        assert_works(salut_close(b));
    }
    free(bytes);
}

static void shutdown_needs_a_connection_and_a_direction(void **state)
{
    salut_sock *fresh = salut_socket(SALUT_TCP), *listener = listening("127.0.0.1"), *a, *b;

    (void)state;
    connected(&a, &b);
    assert_fails(salut_shutdown(fresh, SHUT_WR), ENOTCONN, "isn't connected");
    assert_fails(salut_shutdown(listener, SHUT_RDWR), ENOTCONN, "listener");
    assert_fails(salut_shutdown(a, 3), EINVAL, "3 is not SHUT_RD");
    assert_fails(salut_shutdown(a, -1), EINVAL, "-1 is not SHUT_RD");
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    assert_works(salut_close(fresh));
    assert_works(salut_close(listener));
}

static void shutdown_of_a_broken_connection_is_told(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    int port = plain_port(peer);

    (void)state;
    plain_reset(peer);
    wait_for(salut_fd(s), POLLHUP);
    assert_fails(salut_shutdown(s, SHUT_WR), ENOTCONN, at_loopback(port));
    assert_works(salut_close(s));
}

/* ---- Every word on a handle ---------------------------------------------------------------- */

typedef ssize_t word(salut_sock *s);

static ssize_t bind_word(salut_sock *s)
{
    return salut_bind(s, "127.0.0.1", 0);
}

static ssize_t listen_word(salut_sock *s)
{
    return salut_listen(s, 1);
}

static ssize_t accept_word(salut_sock *s)
{
    salut_addr peer, zeros = {0};
    salut_sock *client;

    memset(&peer, 'x', sizeof peer);
    client = salut_accept(s, &peer);
    return client || memcmp(&peer, &zeros, sizeof zeros) ? 0 : -1;
}

static ssize_t connect_word(salut_sock *s)
{
    return salut_connect(s, "127.0.0.1", 4711);
}

static ssize_t send_word(salut_sock *s)
{
    return salut_send(s, "x", 1);
}

static ssize_t recv_word(salut_sock *s)
{
    char letter;

    return salut_recv(s, &letter, 1);
}

static ssize_t recv_exactly_word(salut_sock *s)
{
    char letter;

    return salut_recv_exactly(s, &letter, 1);
}

static ssize_t sendto_word(salut_sock *s)
{
    salut_addr to = {.raw.ipv4.sin_family = AF_INET, .raw_size = sizeof to.raw.ipv4};

    return salut_sendto(s, "x", 1, &to);
}

static ssize_t recvfrom_word(salut_sock *s)
{
    char letter;
    salut_addr from, zeros = {0};
    ssize_t result;

    memset(&from, 'x', sizeof from);
    result = salut_recvfrom(s, &letter, 1, &from);
    return memcmp(&from, &zeros, sizeof zeros) ? 0 : result;
}

static ssize_t local_word(salut_sock *s)
{
    salut_addr address;

    return salut_local(s, &address);
}

static ssize_t peer_word(salut_sock *s)
{
    salut_addr address;

    return salut_peer(s, &address);
}

static ssize_t fd_word(salut_sock *s)
{
    return salut_fd(s);
}

static ssize_t settimeout_word(salut_sock *s)
{
    return salut_settimeout(s, 1);
}

static ssize_t shutdown_word(salut_sock *s)
{
    return salut_shutdown(s, SHUT_WR);
}

static ssize_t set_buffer_word(salut_sock *s)
{
    return salut_set_buffer(s, 1024);
}

static ssize_t flush_word(salut_sock *s)
{
    return salut_flush(s);
}

static word *const words[] = {bind_word,       listen_word,   accept_word,       connect_word,
                              send_word,       recv_word,     recv_exactly_word, sendto_word,
                              recvfrom_word,   local_word,    peer_word,         fd_word,
                              settimeout_word, shutdown_word, set_buffer_word,   flush_word};

enum { WORDS = sizeof words / sizeof *words };

static void a_word_on_null_fails_with_ebadf_when_nothing_failed_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORDS; i++) {
        salut_clear_error();
        assert_fails(words[i](NULL), EBADF, "the socket is NULL");
    }
    salut_clear_error();
    assert_works(salut_close(NULL));
    assert_false(salut_failed());
}

static void a_word_after_a_step_that_failed_speaks_of_that_step(void **state)
{
    char byte;

    (void)state;
    salut_sock *s = salut_socket(SALUT_TCP);
    assert_fails(salut_connect(s, "", 4711), EINVAL, "host is empty");
    assert_fails(salut_recv(s, &byte, 1), EINVAL, "host is empty");
    assert_fails(salut_settimeout(s, NAN), EINVAL, "not a number");
    assert_fails(salut_recv(s, &byte, 1), EINVAL, "an earlier step");
    assert_works(salut_close(s));
}

static void a_word_on_null_keeps_the_first_failure(void **state)
{
    (void)state;
    assert_none(salut_create_server("127.0.0.1:99999"), EINVAL, "127.0.0.1:99999");
    for (size_t i = 0; i < WORDS; i++) {
        errno = 0;
        assert_fails(words[i](NULL), EINVAL, "127.0.0.1:99999");
    }
    assert_works(salut_close(NULL));
    assert_says("127.0.0.1:99999");
}

static void close_it(void *argument)
{
    salut_close(argument);
}

static void a_word_on_a_socket_that_another_fiber_closed_fails_with_ebadf(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP), *next;

    (void)state;
    assert_works(salut_join(salut_go(close_it, s)));
    for (size_t i = 0; i < WORDS; i++)
        assert_fails(words[i](s), EBADF, "was closed");
    assert_fails(salut_close(s), EBADF, "was closed");
    next = salut_socket(SALUT_TCP); /* in the same place, perhaps: it isn't mistaken for it */
    assert_fails(salut_send(s, "x", 1), EBADF, "was closed");
    assert_fails(salut_close(s), EBADF, "was closed");
    assert_fails(salut_send(next, "x", 1), ENOTCONN, "isn't connected");
    assert_works(salut_close(next));
}

struct visit {
    salut_sock *s;
    bool has_words_of_its_own;
    size_t as_told; /* words that failed with EPERM and the sentence */
};

static bool is_told(ssize_t result)
{
    return result == -1 && errno == EPERM && strstr(salut_error(), "belongs to another thread");
}

static void *visit_from_another_thread(void *argument)
{
    struct visit *v = argument;
    salut_sock *own = v->has_words_of_its_own ? salut_socket(SALUT_TCP) : NULL;

    for (size_t i = 0; i < WORDS; i++) {
        salut_clear_error();
        v->as_told += is_told(words[i](v->s));
    }
    v->as_told += is_told(salut_close(v->s));
    salut_close(own);
    return NULL;
}

static void a_word_from_another_thread_fails_with_eperm(void **state)
{
    salut_sock *a, *b;
    char letter;

    (void)state;
    connected(&a, &b);
    for (int i = 0; i < 2; i++) {
        struct visit v = {.s = a, .has_words_of_its_own = i};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, visit_from_another_thread, &v), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(v.as_told, WORDS + 1);
    }
    assert_false(salut_failed());
    assert_returns(salut_send(a, "x", 1), 1);
    assert_returns(salut_recv(b, &letter, 1), 1);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_socket_has_no_address_no_peer_and_no_descriptor),
        cmocka_unit_test(a_kind_that_is_none_makes_no_socket),
        cmocka_unit_test(local_and_peer_are_the_two_ends),
        cmocka_unit_test(a_listener_has_no_peer),
        cmocka_unit_test(fd_is_the_system_s_descriptor),
        cmocka_unit_test(a_timeout_is_a_number),
        cmocka_unit_test(from_fd_adopts_a_connection),
        cmocka_unit_test(from_fd_adopts_a_listener),
        cmocka_unit_test(from_fd_adopts_a_dual_listener_and_shows_ipv4_clients_as_ipv4),
        cmocka_unit_test(from_fd_adopts_datagrams),
        cmocka_unit_test(from_fd_adopts_unix_sockets),
        cmocka_unit_test(from_fd_leaves_what_it_can_not_adopt_to_its_owner),
        cmocka_unit_test(from_fd_adopts_what_was_a_socket_of_the_library_s_under_the_same_number),
        cmocka_unit_test(a_pair_is_two_ends_of_one_conversation),
        cmocka_unit_test(after_shutdown_of_sending_the_peer_receives_the_end_and_may_answer),
        cmocka_unit_test(after_shutdown_of_receiving_recv_gives_the_end_and_send_goes_on),
        cmocka_unit_test(shutdown_wakes_those_who_wait_on_the_socket),
        cmocka_unit_test(shutdown_needs_a_connection_and_a_direction),
        cmocka_unit_test(shutdown_of_a_broken_connection_is_told),
        cmocka_unit_test(a_word_on_null_fails_with_ebadf_when_nothing_failed_before),
        cmocka_unit_test(a_word_after_a_step_that_failed_speaks_of_that_step),
        cmocka_unit_test(a_word_on_null_keeps_the_first_failure),
        cmocka_unit_test(a_word_on_a_socket_that_another_fiber_closed_fails_with_ebadf),
        cmocka_unit_test(a_word_from_another_thread_fails_with_eperm),
    };

    return RUN_SOCKET_TESTS(tests);
}
