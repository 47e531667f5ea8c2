/* test_connect.c: connect, to one address at a time. (Several are test_race.c's.) */
#include "support/sockets.h"

#include <limits.h>
#include <sched.h>

static struct ending without_network; /* a child's end, from before the library's first word */

struct connector {
    salut_sock *s;
    const char *host;
    int port;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void connect_it(void *argument)
{
    struct connector *c = argument;

    note(&c->outcome, salut_connect(c->s, c->host, c->port));
}

/* A fiber that is in the middle of connecting to a black hole when this returns. */
static void start_connecting(struct connector *c, salut_sock *s, int port)
{
    *c = (struct connector){.s = s, .host = "127.0.0.1", .port = port};
    c->fiber = salut_go(connect_it, c);
    assert_non_null(c->fiber);
    let_fibers_run();
    assert_false(c->outcome.done);
}

static void assert_talks(salut_sock *a, salut_sock *listener)
{
    salut_sock *b = salut_accept(listener, NULL);
    char text[8];

    assert_non_null(b);
    assert_returns(salut_send(a, "salut", 5), 5);
    assert_returns(salut_recv(b, text, sizeof text), 5);
    assert_memory_equal(text, "salut", 5);
    assert_returns(salut_send(b, "ca va", 5), 5);
    assert_returns(salut_recv(a, text, sizeof text), 5);
    assert_memory_equal(text, "ca va", 5);
    assert_works(salut_close(b));
}

/* ---- It works ------------------------------------------------------------------------------ */

static void connect_reaches_a_listener(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        salut_sock *listener = listening(hosts[i]), *s = salut_socket(SALUT_TCP);
        assert_works(salut_connect(s, hosts[i], port_of(listener)));
        assert_talks(s, listener);
        assert_works(salut_close(s));
        assert_works(salut_close(listener));
    }
}

static void connect_sends_small_messages_at_once_and_is_closed_on_exec(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);
    int no_delay = 0;

    (void)state;
    assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
    assert_int_equal(
        getsockopt(salut_fd(s), IPPROTO_TCP, TCP_NODELAY, &no_delay, &(socklen_t){sizeof no_delay}),
        0);
    assert_int_not_equal(no_delay, 0);
    assert_int_equal(fcntl(salut_fd(s), F_GETFD), FD_CLOEXEC);
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
}

static void connect_keeps_the_address_that_bind_gave(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP), *served;
    salut_addr peer;
    int port;

    (void)state;
    assert_works(salut_bind(s, "localhost", 0));
    port = port_of(s);
    assert_works(salut_connect(s, "localhost", port_of(listener)));
    served = salut_accept(listener, &peer);
    assert_non_null(served);
    assert_int_equal(salut_addr_port(&peer), port);
    assert_works(salut_close(served));
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
}

static void connect_from_every_interface_speaks_both_families(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        salut_sock *listener = listening(hosts[i]), *s = salut_socket(SALUT_TCP);
        salut_addr peer;
        assert_works(salut_bind(s, NULL, 0));
        assert_works(salut_connect(s, hosts[i], port_of(listener)));
        assert_talks(s, listener);
        assert_works(salut_peer(s, &peer));
        assert_string_equal(salut_addr_host(&peer), hosts[i]);
        assert_works(salut_settimeout(s, 0));
        assert_returns(salut_recv(s, (char[1]){0}, 1), 0);
        assert_works(salut_close(s));
        assert_works(salut_close(listener));
    }
}

static void sentences_show_an_ipv4_peer_as_ipv4_whatever_the_socket_is(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_bind(s, NULL, 0));
    assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_recv(s, (char[1]){0}, 1), EAGAIN, at_loopback(port_of(listener)));
    assert_null(strstr(salut_error(), "ffff"));
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
}

static void connect_reaches_a_path_and_an_abstract_name(void **state)
{
    char name[64];
    const char *paths[] = {own_path("door"), name};

    (void)state;
    snprintf(name, sizeof name, "@salut-door-%d", (int)getpid());
    for (size_t i = 0; i < 2; i++) {
        salut_sock *listener = salut_socket(SALUT_UNIX), *s = salut_socket(SALUT_UNIX);
        assert_works(salut_bind(listener, paths[i], 0));
        assert_works(salut_listen(listener, 1));
        assert_works(salut_connect(s, paths[i], -1)); /* the port is nobody's business here */
        assert_talks(s, listener);
        assert_works(salut_close(s));
        assert_works(salut_close(listener));
    }
}

/* ---- It can't ------------------------------------------------------------------------------ */

static void connect_where_nobody_listens_is_refused(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    int port;
    int silent = refusing("127.0.0.1", &port);

    (void)state;
    assert_fails(salut_connect(s, "127.0.0.1", port), ECONNREFUSED, at_loopback(port));
    assert_says("is the server running?");
    assert_works(salut_close(s));
    close(silent);
}

static void after_a_failed_connect_send_and_recv_give_its_failure(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    char letter;
    int port;
    int silent = refusing("127.0.0.1", &port);
    salut_addr address;

    (void)state;
    assert_fails(salut_connect(s, "127.0.0.1", port), ECONNREFUSED, at_loopback(port));
    assert_fails(salut_send(s, "x", 1), ECONNREFUSED, at_loopback(port));
    assert_fails(salut_recv(s, &letter, 1), ECONNREFUSED, at_loopback(port));
    assert_fails(salut_shutdown(s, SHUT_WR), ECONNREFUSED, at_loopback(port));
    assert_fails(salut_peer(s, &address), ECONNREFUSED, at_loopback(port));
    assert_works(salut_close(s));
    close(silent);
}

static void after_a_failed_connect_the_socket_can_be_connected_again(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);
    int port;
    int silent = refusing("127.0.0.1", &port);

    (void)state;
    assert_fails(salut_connect(s, "127.0.0.1", port), ECONNREFUSED, at_loopback(port));
    assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
    assert_talks(s, listener);
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
    close(silent);
}

static void a_bound_socket_keeps_its_address_when_connect_fails(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", NULL};
    salut_sock *listener = listening("127.0.0.1"), *served;
    int port;
    int silent = refusing("127.0.0.1", &port);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        salut_sock *s = salut_socket(SALUT_TCP);
        salut_addr peer;
        int own_port;

        assert_works(salut_bind(s, hosts[i], 0));
        own_port = port_of(s);
        assert_fails(salut_connect(s, "127.0.0.1", port), ECONNREFUSED, at_loopback(port));
        assert_int_equal(port_of(s), own_port);
        assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
        served = salut_accept(listener, &peer);
        assert_non_null(served);
        assert_int_equal(salut_addr_port(&peer), own_port);
        assert_works(salut_close(served));
        assert_works(salut_close(s));
    }
    assert_works(salut_close(listener));
    close(silent);
}

static void a_bound_socket_that_gave_up_connecting_connects_elsewhere(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);

    (void)state;
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_connect(s, "127.0.0.1", plain_port(hole.listener)), ETIMEDOUT, "127.0.0.1");
    assert_works(salut_settimeout(s, -1));
    assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
    assert_talks(s, listener);
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
    fill_in(hole);
}

static void connect_without_answer_times_out(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    int port = plain_port(hole.listener);
    int64_t begin = clock_now();

    (void)state;
    assert_works(salut_settimeout(s, 0.02));
    assert_fails(salut_connect(s, "127.0.0.1", port), ETIMEDOUT, at_loopback(port));
    assert_true(clock_now() - begin >= NANOSECONDS / 50);
    assert_works(salut_close(s));
    fill_in(hole);
}

static void connect_with_timeout_0_does_not_wait(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    int port = plain_port(hole.listener);

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_connect(s, "127.0.0.1", port), EAGAIN, at_loopback(port));
    assert_works(salut_close(s));
    fill_in(hole);
}

struct impatient {
    salut_sock *s;
    int port, rounds;
    bool enough;
};

static void try_to_connect_with_timeout_0(void *argument)
{
    struct impatient *i = argument;

    while (!i->enough && salut_connect(i->s, "127.0.0.1", i->port) < 0 && errno == EAGAIN)
        i->rounds++;
}

static void a_fiber_that_tries_to_connect_again_and_again_lets_the_others_run(void **state)
{
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    struct impatient i = {.s = salut_socket(SALUT_TCP), .port = plain_port(hole.listener)};
    salut_fiber *fiber;

    (void)state;
    assert_works(salut_settimeout(i.s, 0));
    fiber = salut_go(try_to_connect_with_timeout_0, &i);
    for (int j = 0; j < 3; j++) /* comes back each time, or the test would never end */
        salut_yield();
    assert_true(i.rounds > 0);
    i.enough = true;
    assert_works(salut_join(fiber));
    assert_works(salut_close(i.s));
    fill_in(hole);
}

static void connect_without_network(void)
{
    salut_sock *s;

    if (unshare(CLONE_NEWNET))
        _exit(77);
    s = salut_socket(SALUT_TCP);
    CHILD_ASSERT(salut_connect(s, "127.0.0.1", 4711) == -1 && errno == ENETUNREACH);
    CHILD_ASSERT(strstr(salut_error(), "127.0.0.1:4711: no route"));
    CHILD_ASSERT(salut_send(s, "x", 1) == -1 && errno == ENETUNREACH);
    /* Without a network some systems know that nobody has the name, others know nothing. */
    CHILD_ASSERT(salut_connect(s, "no-such-host.invalid", 80) == -1);
    CHILD_ASSERT(errno == ENOENT || errno == EHOSTUNREACH);
    CHILD_ASSERT(strstr(salut_error(), "no-such-host.invalid:80"));
    CHILD_ASSERT(salut_close(s) == 0);
}

static void connect_without_a_route_is_unreachable(void **state)
{
    (void)state;
    if (WIFEXITED(without_network.status) && WEXITSTATUS(without_network.status) == 77) {
        print_message("skipped: a network namespace of one's own takes root's right\n");
        skip();
    }
    if (without_network.status)
        fail_msg("status 0x%x: %s", without_network.status, without_network.said);
}

static void connect_without_descriptors_says_so_and_works_when_there_are_some(void **state)
{
    salut_sock *listener, *s;
    int port;

    (void)state;
    needs_a_true_limit_of_descriptors();
    listener = listening("127.0.0.1");
    port = port_of(listener);
    s = salut_socket(SALUT_TCP);
    allow_no_more_descriptors();
    assert_fails(salut_connect(s, "127.0.0.1", port), EMFILE, at_loopback(port));
    assert_fails(salut_send(s, "x", 1), EMFILE, at_loopback(port));
    allow_descriptors_again();
    assert_works(salut_connect(s, "127.0.0.1", port));
    assert_talks(s, listener);
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
}

static void no_socket_of_any_kind_is_opened_without_descriptors(void **state)
{
    salut_sock *server, *udp, *local, *a, *b;
    salut_addr to;
    int port;

    (void)state;
    needs_a_true_limit_of_descriptors();
    server = datagrams_at("127.0.0.1", &to);
    port = salut_addr_port(&to);
    udp = salut_socket(SALUT_UDP);
    local = salut_socket(SALUT_UNIX);
    allow_no_more_descriptors();
    assert_fails(salut_sendto(udp, "x", 1, &to), EMFILE, at_loopback(port));
    assert_fails(salut_connect(udp, "127.0.0.1", port), EMFILE, at_loopback(port));
    assert_fails(salut_bind(udp, "127.0.0.1", 0), EMFILE, "127.0.0.1");
    assert_fails(salut_bind(udp, NULL, 0), EMFILE, "every interface");
    assert_fails(salut_connect(local, own_path("x"), 0), EMFILE, own_path("x"));
    assert_fails(salut_bind(local, own_path("x"), 0), EMFILE, own_path("x"));
    a = b = local;
    assert_fails(salut_pair(&a, &b), EMFILE, "pair");
    assert_null(a);
    assert_null(b);
    allow_descriptors_again();
    assert_works(salut_close(server));
    assert_works(salut_close(udp));
    assert_works(salut_close(local));
}

static void connect_needs_a_host(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    char host[301];

    (void)state;
    memset(host, 'a', 300);
    host[300] = '\0';
    assert_fails(salut_connect(s, NULL, 4711), EINVAL, "host is empty");
    assert_fails(salut_connect(s, "", 4711), EINVAL, "host is empty");
    assert_fails(salut_connect(s, host, 4711), EINVAL, "300 bytes");
    assert_works(salut_close(s));
}

static void a_host_holds_no_spaces_and_no_control_characters(void **state)
{
    static const char *const hosts[] = {"local\nhost", "\033[31mlocalhost", "localhost ", "a\177"};
    salut_addr address;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        salut_sock *s = salut_socket(SALUT_TCP);
        assert_fails(salut_connect(s, hosts[i], 4711), EINVAL, "control character");
        assert_fails(salut_bind(s, hosts[i], 0), EINVAL, "control character");
        assert_fails(salut_resolve(&address, hosts[i], 0), EINVAL, "control character");
        assert_null(strpbrk(salut_error(), "\n\033\177"));
        assert_works(salut_close(s));
    }
}

static void a_port_to_connect_to_is_from_1_to_65535(void **state)
{
    static const int wrong[] = {0, -1, 65536, INT_MIN, INT_MAX};
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        char number[32];
        snprintf(number, sizeof number, "%d is not a port", wrong[i]);
        assert_fails(salut_connect(s, "127.0.0.1", wrong[i]), EINVAL, number);
        assert_says("127.0.0.1");
    }
    assert_works(salut_close(s));
}

static void connect_twice_is_refused(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
    assert_fails(salut_connect(s, "127.0.0.1", port_of(listener)), EISCONN, "connected already");
    assert_talks(s, listener);
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
}

static void a_listener_does_not_connect(void **state)
{
    salut_sock *listener = listening("127.0.0.1");

    (void)state;
    assert_fails(salut_connect(listener, "127.0.0.1", 4711), EOPNOTSUPP, "listener");
    assert_works(salut_close(listener));
}

static void a_path_that_is_not_there_is_named(void **state)
{
    salut_sock *s = salut_socket(SALUT_UNIX);
    const char *path = own_path("nobody");

    (void)state;
    assert_fails(salut_connect(s, path, 0), ENOENT, path);
    assert_fails(salut_send(s, "x", 1), ENOENT, path);
    assert_fails(salut_connect(s, NULL, 0), EINVAL, "path");
    assert_fails(salut_connect(s, "", 0), EINVAL, "path");
    assert_works(salut_close(s));
}

static void a_path_where_nobody_listens_any_more_is_refused(void **state)
{
    salut_sock *s = salut_socket(SALUT_UNIX), *bound = salut_socket(SALUT_UNIX);
    const char *path = own_path("silent");

    (void)state;
    assert_works(salut_bind(bound, path, 0));
    assert_fails(salut_connect(s, path, 0), ECONNREFUSED, path);
    assert_says("is the server running?");
    assert_works(salut_close(bound));
    assert_works(salut_close(s));
}

static void a_path_to_connect_to_has_at_most_107_bytes(void **state)
{
    salut_sock *s = salut_socket(SALUT_UNIX);
    char path[200];

    (void)state;
    memset(path, 'p', 199);
    path[199] = '\0';
    assert_fails(salut_connect(s, path, 0), ENAMETOOLONG, "199 bytes");
    assert_works(salut_close(s));
}

/* ---- Others meanwhile ---------------------------------------------------------------------- */

static void while_one_fiber_connects_others_can_not_place_the_socket(void **state)
{
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    salut_sock *s = salut_socket(SALUT_TCP);
    int port = plain_port(hole.listener);
    struct connector c;

    (void)state;
    start_connecting(&c, s, port);
    assert_fails(salut_connect(s, "127.0.0.1", port), EISCONN, "another fiber");
    assert_fails(salut_bind(s, "127.0.0.1", 0), EINVAL, "another fiber");
    assert_fails(salut_listen(s, 1), EINVAL, "another fiber");
    assert_none(salut_accept(s, NULL), EINVAL, "isn't listening");
    assert_fails(salut_send(s, "x", 1), ENOTCONN, "isn't connected");
    assert_fails(salut_recv(s, (char[1]){0}, 1), ENOTCONN, "isn't connected");
    assert_works(salut_close(s));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, "closed the socket");
    fill_in(hole);
}

static void close_ends_another_fiber_s_connect(void **state)
{
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    salut_sock *s = salut_socket(SALUT_TCP);
    struct connector c;

    (void)state;
    start_connecting(&c, s, plain_port(hole.listener));
    assert_works(salut_close(s));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, "closed the socket");
    fill_in(hole);
}

static void close_ends_a_bound_socket_s_connect_too(void **state)
{
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    salut_sock *s = salut_socket(SALUT_TCP);
    struct connector c;

    (void)state;
    assert_works(salut_bind(s, "127.0.0.1", 0));
    start_connecting(&c, s, plain_port(hole.listener));
    assert_works(salut_close(s));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, "closed the socket");
    fill_in(hole);
}

static void cancel_ends_connect_and_the_socket_goes_on(void **state)
{
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    salut_sock *listener = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);
    int port = plain_port(hole.listener);
    struct connector c;

    (void)state;
    start_connecting(&c, s, port);
    assert_works(salut_cancel(c.fiber));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, at_loopback(port));
    assert_works(salut_connect(s, "127.0.0.1", port_of(listener)));
    assert_talks(s, listener);
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
    fill_in(hole);
}

/* ---- A Unix listener whose queue is full --------------------------------------------------- */

/* Its queue holds one connection, which is there. */
static int full_path(const char *path, int *filler)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    *filler = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*filler, (struct sockaddr *)&address, sizeof address), 0);
    return listener;
}

static void a_full_unix_listener_is_waited_for(void **state)
{
    const char *path = own_path("full");
    salut_sock *s = salut_socket(SALUT_UNIX);
    struct connector c = {.s = s, .host = path};
    int filler, served;
    int listener = full_path(path, &filler);

    (void)state;
    c.fiber = salut_go(connect_it, &c);
    salut_sleep(0.01);
    assert_false(c.outcome.done);
    served = accept(listener, NULL, NULL);
    assert_true(served >= 0);
    assert_works(salut_join(c.fiber));
    assert_returns(c.outcome.result, 0);
    assert_works(salut_close(s));
    close(served);
    close(filler);
    close(listener);
    unlink(path);
}

static void waiting_for_a_full_unix_listener_ends_as_any_wait(void **state)
{
    const char *path = own_path("full");
    int filler;
    int listener = full_path(path, &filler);
    salut_sock *s = salut_socket(SALUT_UNIX);
    struct connector c = {.s = s, .host = path};

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_connect(s, path, 0), EAGAIN, path);
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_connect(s, path, 0), ETIMEDOUT, path);
    assert_works(salut_settimeout(s, -1));
    c.fiber = salut_go(connect_it, &c);
    let_fibers_run();
    assert_works(salut_cancel(c.fiber));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, path);
    c.outcome.done = false;
    c.fiber = salut_go(connect_it, &c);
    let_fibers_run();
    assert_works(salut_close(s));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, "closed the socket");
    close(filler);
    close(listener);
    unlink(path);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_reaches_a_listener),
        cmocka_unit_test(connect_sends_small_messages_at_once_and_is_closed_on_exec),
        cmocka_unit_test(connect_keeps_the_address_that_bind_gave),
        cmocka_unit_test(connect_from_every_interface_speaks_both_families),
        cmocka_unit_test(sentences_show_an_ipv4_peer_as_ipv4_whatever_the_socket_is),
        cmocka_unit_test(connect_reaches_a_path_and_an_abstract_name),
        cmocka_unit_test(connect_where_nobody_listens_is_refused),
        cmocka_unit_test(after_a_failed_connect_send_and_recv_give_its_failure),
        cmocka_unit_test(after_a_failed_connect_the_socket_can_be_connected_again),
        cmocka_unit_test(a_bound_socket_keeps_its_address_when_connect_fails),
        cmocka_unit_test(a_bound_socket_that_gave_up_connecting_connects_elsewhere),
        cmocka_unit_test(connect_without_answer_times_out),
        cmocka_unit_test(connect_with_timeout_0_does_not_wait),
        cmocka_unit_test(a_fiber_that_tries_to_connect_again_and_again_lets_the_others_run),
        cmocka_unit_test(connect_without_a_route_is_unreachable),
        cmocka_unit_test(connect_without_descriptors_says_so_and_works_when_there_are_some),
        cmocka_unit_test(no_socket_of_any_kind_is_opened_without_descriptors),
        cmocka_unit_test(connect_needs_a_host),
        cmocka_unit_test(a_host_holds_no_spaces_and_no_control_characters),
        cmocka_unit_test(a_port_to_connect_to_is_from_1_to_65535),
        cmocka_unit_test(connect_twice_is_refused),
        cmocka_unit_test(a_listener_does_not_connect),
        cmocka_unit_test(a_path_that_is_not_there_is_named),
        cmocka_unit_test(a_path_where_nobody_listens_any_more_is_refused),
        cmocka_unit_test(a_path_to_connect_to_has_at_most_107_bytes),
        cmocka_unit_test(while_one_fiber_connects_others_can_not_place_the_socket),
        cmocka_unit_test(close_ends_another_fiber_s_connect),
        cmocka_unit_test(close_ends_a_bound_socket_s_connect_too),
        cmocka_unit_test(cancel_ends_connect_and_the_socket_goes_on),
        cmocka_unit_test(a_full_unix_listener_is_waited_for),
        cmocka_unit_test(waiting_for_a_full_unix_listener_ends_as_any_wait),
    };

    without_network = end_of_child(connect_without_network);
    return RUN_SOCKET_TESTS(tests);
}
