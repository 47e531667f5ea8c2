/* test_datagram.c: datagrams: UDP over both families, and between programs of this machine. */
#include "support/sockets.h"

#include <limits.h>

struct talker {
    salut_sock *s;
    const char *text;
    salut_addr to, from;
    char buffer[64];
    struct outcome outcome;
    salut_fiber *fiber;
};

static void receive_one(void *argument)
{
    struct talker *t = argument;

    note(&t->outcome, salut_recvfrom(t->s, t->buffer, sizeof t->buffer, &t->from));
}

static void send_one(void *argument)
{
    struct talker *t = argument;

    note(&t->outcome, salut_sendto(t->s, t->text, strlen(t->text), &t->to));
}

static void start(struct talker *t, void (*function)(void *))
{
    t->fiber = salut_go(function, t);
    assert_non_null(t->fiber);
    let_fibers_run();
    assert_false(t->outcome.done);
}

static void assert_all_zeros(const salut_addr *address)
{
    static const salut_addr zeros;

    assert_memory_equal(address, &zeros, sizeof zeros);
}

/* ---- UDP ----------------------------------------------------------------------------------- */

static void sendto_and_recvfrom_speak_both_families(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        salut_addr here, there, from;
        salut_sock *server = datagrams_at(hosts[i], &here), *client = salut_socket(SALUT_UDP);
        char text[16];

        assert_returns(salut_sendto(client, "salut", 5, &here), 5);
        assert_returns(salut_recvfrom(server, text, sizeof text, &from), 5);
        assert_memory_equal(text, "salut", 5);
        assert_string_equal(salut_addr_host(&from), hosts[i]);
        assert_works(salut_local(client, &there));
        assert_int_equal(salut_addr_port(&from), salut_addr_port(&there));
        assert_returns(salut_sendto(server, "ca va", 5, &from), 5);
        assert_returns(salut_recvfrom(client, text, sizeof text, NULL), 5);
        assert_memory_equal(text, "ca va", 5);
        assert_works(salut_close(server));
        assert_works(salut_close(client));
    }
}

static void recvfrom_waits_for_a_datagram(void **state)
{
    struct talker t = {0};
    salut_addr here;
    salut_sock *client = salut_socket(SALUT_UDP);

    (void)state;
    t.s = datagrams_at("127.0.0.1", &here);
    start(&t, receive_one);
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_works(salut_join(t.fiber));
    assert_returns(t.outcome.result, 5);
    assert_string_equal(salut_addr_host(&t.from), "127.0.0.1");
    assert_works(salut_close(t.s));
    assert_works(salut_close(client));
}

static void an_ipv4_sender_to_every_interface_is_shown_as_ipv4_and_answered(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    salut_sock *server = salut_socket(SALUT_UDP);

    (void)state;
    assert_works(salut_bind(server, NULL, 0));
    for (size_t i = 0; i < 2; i++) {
        salut_sock *client = salut_socket(SALUT_UDP);
        salut_addr to, from;
        char text[16];

        assert_works(salut_resolve(&to, hosts[i], port_of(server)));
        assert_returns(salut_sendto(client, "salut", 5, &to), 5);
        assert_returns(salut_recvfrom(server, text, sizeof text, &from), 5);
        assert_string_equal(salut_addr_host(&from), hosts[i]);
        assert_returns(salut_sendto(server, "ca va", 5, &from), 5);
        assert_returns(salut_recv(client, text, sizeof text), 5);
        assert_memory_equal(text, "ca va", 5);
        assert_works(salut_close(client));
    }
    assert_works(salut_close(server));
}

static void a_socket_that_first_sent_over_ipv6_shows_ipv4_senders_as_ipv4(void **state)
{
    salut_addr six, four, from;
    salut_sock *s6 = datagrams_at("::1", &six), *s4 = datagrams_at("127.0.0.1", &four);
    salut_sock *client = salut_socket(SALUT_UDP);
    char text[16];

    (void)state;
    assert_returns(salut_sendto(client, "six", 3, &six), 3);
    assert_returns(salut_recv(s6, text, sizeof text), 3);
    if (salut_sendto(client, "four", 4, &four) == 4) { /* where the system lets it */
        assert_returns(salut_recvfrom(s4, text, sizeof text, &from), 4);
        assert_returns(salut_sendto(s4, "back", 4, &from), 4);
        assert_returns(salut_recvfrom(client, text, sizeof text, &from), 4);
        assert_string_equal(salut_addr_host(&from), "127.0.0.1");
        assert_returns(salut_sendto(client, "on", 2, &from), 2);
        assert_returns(salut_recv(s4, text, sizeof text), 2);
    }
    assert_works(salut_close(client));
    assert_works(salut_close(s4));
    assert_works(salut_close(s6));
}

static void connected_datagrams_need_no_address(void **state)
{
    salut_addr here, there;
    salut_sock *server = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    salut_sock *stranger = salut_socket(SALUT_UDP);
    char text[16];

    (void)state;
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&here)));
    assert_returns(salut_send(client, "salut", 5), 5);
    assert_returns(salut_recvfrom(server, text, sizeof text, &there), 5);
    assert_returns(salut_sendto(stranger, "boo", 3, &there), 3); /* not from the peer: dropped */
    assert_returns(salut_sendto(server, "ca va", 5, &there), 5);
    assert_returns(salut_recv(client, text, sizeof text), 5);
    assert_memory_equal(text, "ca va", 5);
    assert_works(salut_close(server));
    assert_works(salut_close(client));
    assert_works(salut_close(stranger));
}

static void datagrams_can_be_connected_to_another_peer(void **state)
{
    salut_addr first, second;
    salut_sock *a = datagrams_at("127.0.0.1", &first), *b = datagrams_at("127.0.0.1", &second);
    salut_sock *client = salut_socket(SALUT_UDP);
    int port;
    char letter;

    (void)state;
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&first)));
    port = port_of(client);
    assert_returns(salut_send(client, "a", 1), 1);
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&second)));
    assert_int_equal(port_of(client), port);
    assert_returns(salut_send(client, "b", 1), 1);
    assert_returns(salut_recv(a, &letter, 1), 1);
    assert_int_equal(letter, 'a');
    assert_returns(salut_recv(b, &letter, 1), 1);
    assert_int_equal(letter, 'b');
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    assert_works(salut_close(client));
}

static void when_connecting_elsewhere_fails_the_peer_stays(void **state)
{
    salut_addr here;
    salut_sock *server = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    char letter;

    (void)state;
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&here)));
    assert_fails(salut_connect(client, "::1", 4711), EAFNOSUPPORT, "[::1]:4711");
    assert_returns(salut_send(client, "x", 1), 1);
    assert_returns(salut_recv(server, &letter, 1), 1);
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void a_socket_that_has_sent_keeps_its_port_when_connect_fails(void **state)
{
    salut_addr here;
    salut_sock *server = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    int port;

    (void)state;
    assert_returns(salut_sendto(client, "x", 1, &here), 1);
    port = port_of(client);
    assert_fails(salut_connect(client, "::1", 4711), EAFNOSUPPORT, "[::1]:4711");
    assert_int_equal(port_of(client), port);
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&here)));
    assert_int_equal(port_of(client), port);
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void a_datagram_can_be_empty(void **state)
{
    salut_addr here, from;
    salut_sock *server = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    char letter;

    (void)state;
    assert_returns(salut_sendto(client, "", 0, &here), 0);
    assert_returns(salut_recvfrom(server, &letter, 1, &from), 0);
    assert_string_equal(salut_addr_host(&from), "127.0.0.1");
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&here)));
    assert_returns(salut_send(client, NULL, 0), 0);
    assert_returns(salut_recv(server, &letter, 1), 0);
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void a_datagram_too_long_to_send_is_not_sent(void **state)
{
    static char much[70000];
    salut_addr here;
    salut_sock *server = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    const char *name = at_loopback(salut_addr_port(&here));

    (void)state;
    assert_fails(salut_sendto(client, much, sizeof much, &here), EMSGSIZE, name);
    assert_says("70000 bytes");
    assert_works(salut_connect(client, "127.0.0.1", salut_addr_port(&here)));
    assert_fails(salut_send(client, much, sizeof much), EMSGSIZE, name);
    assert_works(salut_settimeout(server, 0));
    assert_fails(salut_recv(server, much, sizeof much), EAGAIN, "127.0.0.1");
    assert_returns(salut_send(client, much, 60000), 60000);
    wait_for(salut_fd(server), POLLIN);
    assert_returns(salut_recv(server, much, sizeof much), 60000);
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void a_datagram_longer_than_the_buffer_is_told_and_the_next_one_comes(void **state)
{
    salut_addr here, from;
    salut_sock *server = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    char text[4];

    (void)state;
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_returns(salut_sendto(client, "ca", 2, &here), 2);
    assert_fails(salut_recvfrom(server, text, sizeof text, &from), EMSGSIZE, "5 bytes");
    assert_memory_equal(text, "salu", 4);
    assert_all_zeros(&from);
    assert_fails(salut_recv(server, text, sizeof text), EMSGSIZE, "buffer has 4");
    assert_returns(salut_recv(server, text, sizeof text), 2);
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void datagrams_to_nobody_are_refused_once_the_system_knows(void **state)
{
    salut_addr here;
    salut_sock *nobody = datagrams_at("127.0.0.1", &here), *client = salut_socket(SALUT_UDP);
    int port = salut_addr_port(&here);
    struct talker t = {.s = client};

    (void)state;
    assert_works(salut_connect(client, "127.0.0.1", port));
    assert_works(salut_close(nobody));
    assert_returns(salut_send(client, "x", 1), 1);
    assert_fails(salut_recv(client, t.buffer, 1), ECONNREFUSED, at_loopback(port));
    t.s = client;
    start(&t, receive_one); /* one that waits hears of it too */
    assert_returns(salut_send(client, "x", 1), 1);
    assert_works(salut_join(t.fiber));
    assert_outcome(t.outcome, ECONNREFUSED, at_loopback(port));
    assert_all_zeros(&t.from);
    assert_works(salut_close(client));
}

/* ---- What can't be ------------------------------------------------------------------------- */

static void datagram_words_are_not_for_streams_nor_the_other_way_round(void **state)
{
    salut_addr to;
    salut_sock *a, *b;
    char letter;

    (void)state;
    connected(&a, &b);
    assert_works(salut_local(b, &to));
    assert_fails(salut_sendto(a, "x", 1, &to), EOPNOTSUPP, "stream");
    assert_fails(salut_recvfrom(a, &letter, 1, &to), EOPNOTSUPP, "stream");
    assert_all_zeros(&to);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    a = salut_socket(SALUT_UDP);
    assert_fails(salut_recv_exactly(a, &letter, 1), EOPNOTSUPP, "datagram");
    assert_works(salut_close(a));
}

static void recvfrom_needs_an_address_of_its_own(void **state)
{
    salut_sock *s = salut_socket(SALUT_UDP);
    salut_addr from;
    char letter;

    (void)state;
    memset(&from, 'x', sizeof from);
    assert_fails(salut_recvfrom(s, &letter, 1, &from), EINVAL, "bind first");
    assert_all_zeros(&from);
    assert_fails(salut_send(s, "x", 1), ENOTCONN, "connect first");
    assert_works(salut_close(s));
}

static void sendto_needs_an_address_that_the_socket_can_reach(void **state)
{
    salut_addr none = {0}, four, six, path;
    salut_sock *s4 = datagrams_at("127.0.0.1", &four), *s6 = datagrams_at("::1", &six);
    salut_sock *local = salut_socket(SALUT_UNIX_DATAGRAM), *other = salut_socket(SALUT_UDP);

    (void)state;
    assert_works(salut_bind(local, own_path("here"), 0));
    assert_works(salut_local(local, &path));
    assert_fails(salut_sendto(s4, "x", 1, NULL), EINVAL, "no address");
    assert_fails(salut_sendto(s4, "x", 1, &none), EINVAL, "no address");
    assert_fails(salut_sendto(s4, "x", 1, &six), EAFNOSUPPORT, "[::1]");
    assert_fails(salut_sendto(s4, "x", 1, &path), EAFNOSUPPORT, own_path("here"));
    assert_fails(salut_sendto(s6, "x", 1, &path), EAFNOSUPPORT, own_path("here"));
    assert_fails(salut_sendto(local, "x", 1, &four), EAFNOSUPPORT, "127.0.0.1");
    assert_fails(salut_sendto(other, "x", 1, &path), EAFNOSUPPORT, own_path("here"));
    assert_returns(salut_sendto(other, "x", 1, &four), 1); /* it is still what it was */
    assert_works(salut_close(local));
    local = salut_socket(SALUT_UNIX_DATAGRAM);
    assert_fails(salut_sendto(local, "x", 1, &four), EAFNOSUPPORT, "127.0.0.1");
    assert_works(salut_close(local));
    assert_works(salut_close(other));
    assert_works(salut_close(s4));
    assert_works(salut_close(s6));
}

static void sizes_that_can_not_be_are_refused(void **state)
{
    salut_addr here;
    salut_sock *s = datagrams_at("127.0.0.1", &here);
    char letter;

    (void)state;
    assert_fails(salut_recvfrom(s, &letter, 0, NULL), EINVAL, "size is 0");
    assert_fails(salut_recv(s, &letter, (size_t)SSIZE_MAX + 1), EINVAL, "9223372036854775808");
    assert_fails(salut_sendto(s, &letter, SIZE_MAX, &here), EINVAL, "18446744073709551615");
    assert_works(salut_close(s));
}

static void two_fibers_can_not_receive_on_one_socket(void **state)
{
    salut_addr here;
    struct talker t = {.s = datagrams_at("127.0.0.1", &here)};
    char letter;

    (void)state;
    start(&t, receive_one);
    assert_fails(salut_recv(t.s, &letter, 1), EBUSY, "another fiber is receiving");
    assert_works(salut_close(t.s));
    assert_works(salut_join(t.fiber));
    assert_outcome(t.outcome, ECANCELED, "closed the socket");
    assert_all_zeros(&t.from);
}

/* One who waits, and one who comes later: nobody waits for ever for what won't be sent. */
static void shutting_down_ends_a_receive(void **state)
{
    salut_addr here;
    struct talker t = {.s = datagrams_at("127.0.0.1", &here)};
    char letter;

    (void)state;
    assert_works(salut_connect(t.s, "127.0.0.1", salut_addr_port(&here)));
    start(&t, receive_one);
    assert_works(salut_shutdown(t.s, SHUT_RD));
    assert_works(salut_join(t.fiber));
    assert_int_equal(t.outcome.result, 0);
    assert_all_zeros(&t.from);
    assert_returns(salut_recv(t.s, &letter, 1), 0);
    assert_returns(salut_send(t.s, "x", 1), 1); /* what comes all the same is received */
    assert_returns(salut_recv(t.s, &letter, 1), 1);
    assert_works(salut_close(t.s));
}

static void recvfrom_gives_up_when_its_time_is_over(void **state)
{
    salut_addr here;
    salut_sock *s = datagrams_at("127.0.0.1", &here);
    int64_t begin = clock_now();
    char letter;

    (void)state;
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_recvfrom(s, &letter, 1, NULL), ETIMEDOUT,
                 at_loopback(salut_addr_port(&here)));
    assert_true(clock_now() - begin >= NANOSECONDS / 100);
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_recvfrom(s, &letter, 1, NULL), EAGAIN, "127.0.0.1");
    assert_works(salut_close(s));
}

/* ---- Between programs of this machine -------------------------------------------------------- */

static salut_sock *datagrams_at_path(const char *path, salut_addr *address)
{
    salut_sock *s = salut_socket(SALUT_UNIX_DATAGRAM);

    assert_works(salut_bind(s, path, 0));
    assert_works(salut_local(s, address));
    assert_string_equal(salut_addr_host(address), path);
    return s;
}

static void unix_datagrams_are_sent_and_answered(void **state)
{
    salut_addr here, there, from;
    salut_sock *server = datagrams_at_path(own_path("server"), &here);
    salut_sock *client = datagrams_at_path(own_path("client"), &there);
    char text[16];

    (void)state;
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_returns(salut_recvfrom(server, text, sizeof text, &from), 5);
    assert_string_equal(salut_addr_host(&from), own_path("client"));
    assert_returns(salut_sendto(server, "ca va", 5, &from), 5);
    assert_returns(salut_recv(client, text, sizeof text), 5);
    assert_returns(salut_sendto(client, "", 0, &here), 0);
    assert_returns(salut_recv(server, text, sizeof text), 0);
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_fails(salut_recvfrom(server, text, 4, &from), EMSGSIZE, "5 bytes");
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void a_nameless_unix_sender_has_no_address(void **state)
{
    salut_addr here, from;
    salut_sock *server = datagrams_at_path(own_path("server"), &here);
    salut_sock *client = salut_socket(SALUT_UNIX_DATAGRAM);
    char text[16];

    (void)state;
    assert_returns(salut_sendto(client, "salut", 5, &here), 5);
    assert_returns(salut_recvfrom(server, text, sizeof text, &from), 5);
    assert_string_equal(salut_addr_host(&from), "");
    assert_int_equal(salut_addr_port(&from), 0);
    assert_fails(salut_sendto(server, "ca va", 5, &from), EINVAL, "no address");
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

static void a_sender_whose_path_fills_the_system_s_room_is_answered(void **state)
{
    salut_addr here, from;
    salut_sock *server;
    struct sockaddr_un longest = {.sun_family = AF_UNIX}, to = {.sun_family = AF_UNIX};
    size_t used = strlen(own_path(""));
    char text[16], shown[sizeof longest.sun_path + 1];
    int peer;

    (void)state;
    needs_no("valgrind", "it looks for the NUL that such a path doesn't have");
    server = datagrams_at_path(own_path("server"), &here);
    peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(longest.sun_path, 'p', sizeof longest.sun_path); /* all 108 bytes, and no NUL */
    memcpy(longest.sun_path, own_path(""), used);
    memcpy(shown, longest.sun_path, sizeof longest.sun_path);
    shown[sizeof longest.sun_path] = '\0';
    assert_int_equal(bind(peer, (struct sockaddr *)&longest, sizeof longest), 0);
    strcpy(to.sun_path, own_path("server"));
    assert_int_equal(sendto(peer, "salut", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
    assert_returns(salut_recvfrom(server, text, sizeof text, &from), 5);
    assert_string_equal(salut_addr_host(&from), shown);
    assert_returns(salut_sendto(server, "ca va", 5, &from), 5);
    assert_int_equal(recv(peer, text, sizeof text, 0), 5);
    close(peer);
    unlink(shown);
    assert_works(salut_close(server));
}

static void unix_datagrams_to_nobody_are_refused(void **state)
{
    salut_addr here;
    salut_sock *server = datagrams_at_path(own_path("server"), &here);
    salut_sock *client = salut_socket(SALUT_UNIX_DATAGRAM);

    (void)state;
    assert_works(salut_connect(client, own_path("server"), 0));
    assert_works(salut_close(server));
    assert_fails(salut_sendto(client, "x", 1, &here), ENOENT, own_path("server"));
    assert_fails(salut_send(client, "x", 1), ECONNREFUSED, "");
    assert_works(salut_close(client));
}

/* Fills the receiver's queue: how many datagrams that takes, each of one letter. */
static int fill_queue(salut_sock *client, const salut_addr *to)
{
    int count = 0;

    assert_works(salut_settimeout(client, 0));
    while (salut_sendto(client, "x", 1, to) == 1)
        count++;
    failure_is(true, errno, EAGAIN, "the timeout is 0", __FILE__, __LINE__);
    salut_clear_error();
    return count;
}

static void a_sender_waits_for_a_full_unix_queue_and_goes_on(void **state)
{
    struct talker t = {.text = "late"};
    salut_sock *server = datagrams_at_path(own_path("server"), &t.to);
    char text[16];
    int count;

    (void)state;
    t.s = salut_socket(SALUT_UNIX_DATAGRAM);
    count = fill_queue(t.s, &t.to);
    assert_true(count > 0);
    assert_works(salut_settimeout(t.s, 0.01));
    assert_fails(salut_sendto(t.s, "never", 5, &t.to), ETIMEDOUT, own_path("server"));
    assert_works(salut_settimeout(t.s, -1));
    start(&t, send_one);
    for (int i = 0; i < count; i++)
        assert_returns(salut_recv(server, text, sizeof text), 1);
    assert_returns(salut_recv(server, text, sizeof text), 4);
    assert_memory_equal(text, "late", 4);
    assert_works(salut_join(t.fiber));
    assert_returns(t.outcome.result, 4);
    assert_works(salut_close(t.s));
    assert_works(salut_close(server));
}

static void a_connected_sender_waits_for_a_full_unix_queue_too(void **state)
{
    struct talker t = {.text = "late"};
    salut_addr here;
    salut_sock *server = datagrams_at_path(own_path("server"), &here);
    char text[16];
    int count;

    (void)state;
    t.s = salut_socket(SALUT_UNIX_DATAGRAM);
    assert_works(salut_connect(t.s, own_path("server"), 0));
    count = fill_queue(t.s, &here);
    for (int round = 0; round < 20; round++) {
        assert_works(salut_settimeout(t.s, 0));
        assert_fails(salut_send(t.s, "x", 1), EAGAIN, own_path("server"));
        assert_works(salut_settimeout(t.s, -1));
        assert_returns(salut_recv(server, text, sizeof text), 1);
        assert_returns(salut_send(t.s, "x", 1), 1);
    }
    for (int i = 0; i < count; i++)
        assert_returns(salut_recv(server, text, sizeof text), 1);
    assert_works(salut_close(t.s));
    assert_works(salut_close(server));
}

static void two_senders_of_datagrams_take_turns(void **state)
{
    struct talker first = {.text = "first"}, second = {.text = "second"};
    salut_sock *server = datagrams_at_path(own_path("server"), &first.to);
    char text[16];
    int count;

    (void)state;
    second.to = first.to;
    first.s = second.s = salut_socket(SALUT_UNIX_DATAGRAM);
    count = fill_queue(first.s, &first.to);
    assert_works(salut_settimeout(first.s, -1));
    start(&first, send_one);
    start(&second, send_one);
    for (int i = 0; i < count; i++)
        assert_returns(salut_recv(server, text, sizeof text), 1);
    assert_returns(salut_recv(server, text, sizeof text), 5);
    assert_memory_equal(text, "first", 5);
    assert_returns(salut_recv(server, text, sizeof text), 6);
    assert_works(salut_join(first.fiber));
    assert_works(salut_join(second.fiber));
    assert_returns(first.outcome.result, 5);
    assert_returns(second.outcome.result, 6);
    assert_works(salut_close(first.s));
    assert_works(salut_close(server));
}

static void waiting_for_a_full_unix_queue_ends_as_any_wait(void **state)
{
    struct talker t = {.text = "late"};
    salut_sock *server = datagrams_at_path(own_path("server"), &t.to);

    (void)state;
    t.s = salut_socket(SALUT_UNIX_DATAGRAM);
    fill_queue(t.s, &t.to);
    assert_works(salut_settimeout(t.s, -1));
    start(&t, send_one);
    assert_works(salut_cancel(t.fiber));
    assert_works(salut_join(t.fiber));
    assert_outcome(t.outcome, ECANCELED, own_path("server"));
    t.outcome.done = false;
    start(&t, send_one);
    assert_works(salut_close(t.s));
    assert_works(salut_join(t.fiber));
    assert_outcome(t.outcome, ECANCELED, "closed the socket");
    assert_works(salut_close(server));
}

/* ---- Many at once -------------------------------------------------------------------------- */

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static bool can_be_told(salut_sock *s, int option, int value)
{
    if (!setsockopt(salut_fd(s), IPPROTO_UDP, option, &value, sizeof value))
        return true;
    assert_int_equal(errno, ENOPROTOOPT);
    return false;
}

/* The system cuts what is sent, and may be asked to join what has come. */
static void what_is_sent_by_one_call_can_leave_as_many_datagrams(void **state)
{
    enum { SIZE = 100, FULL = 5, LAST = 30, ALL = FULL * SIZE + LAST };
    char bytes[ALL], heard[ALL];
    salut_addr box;
    salut_sock *receiver = datagrams_at("127.0.0.1", &box);
    salut_sock *sender = datagrams_at("127.0.0.1", &(salut_addr){0});
    bool cuts = can_be_told(sender, UDP_SEGMENT, SIZE);

    (void)state;
    for (int i = 0; i < ALL; i++)
        bytes[i] = (char)i;
    if (cuts) {
        assert_returns(salut_sendto(sender, bytes, ALL, &box), ALL);
        for (int i = 0; i < FULL; i++) {
            assert_returns(salut_recvfrom(receiver, heard, ALL, NULL), SIZE);
            assert_memory_equal(heard, bytes + i * SIZE, SIZE);
        }
        assert_returns(salut_recvfrom(receiver, heard, ALL, NULL), LAST);
    }
    if (cuts && can_be_told(receiver, UDP_GRO, 1)) {
        size_t got = 0;
        assert_returns(salut_sendto(sender, bytes, ALL, &box), ALL);
        while (got < ALL) {
            ssize_t size = salut_recvfrom(receiver, heard + got, ALL - got, NULL);
            assert_true(size > 0);
            got += (size_t)size;
        }
        assert_memory_equal(heard, bytes, ALL);
    }
    assert_works(salut_close(sender));
    assert_works(salut_close(receiver));
    if (!cuts) {
        puts("skipped: this kernel doesn't cut datagrams (UDP_SEGMENT)");
        skip();
    }
}

static void receiving_after_a_bind_that_failed_says_why_it_failed(void **state)
{
    salut_sock *s = salut_socket(SALUT_UDP);
    char byte;

    (void)state;
    assert_fails(salut_bind(s, "192.0.2.1", 0), EADDRNOTAVAIL, "192.0.2.1");
    assert_fails(salut_recvfrom(s, &byte, 1, NULL), EADDRNOTAVAIL, "192.0.2.1");
    assert_works(salut_close(s));
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(sendto_and_recvfrom_speak_both_families),
        cmocka_unit_test(recvfrom_waits_for_a_datagram),
        cmocka_unit_test(receiving_after_a_bind_that_failed_says_why_it_failed),
        cmocka_unit_test(an_ipv4_sender_to_every_interface_is_shown_as_ipv4_and_answered),
        cmocka_unit_test(a_socket_that_first_sent_over_ipv6_shows_ipv4_senders_as_ipv4),
        cmocka_unit_test(connected_datagrams_need_no_address),
        cmocka_unit_test(datagrams_can_be_connected_to_another_peer),
        cmocka_unit_test(when_connecting_elsewhere_fails_the_peer_stays),
        cmocka_unit_test(a_socket_that_has_sent_keeps_its_port_when_connect_fails),
        cmocka_unit_test(a_datagram_can_be_empty),
        cmocka_unit_test(a_datagram_too_long_to_send_is_not_sent),
        cmocka_unit_test(a_datagram_longer_than_the_buffer_is_told_and_the_next_one_comes),
        cmocka_unit_test(datagrams_to_nobody_are_refused_once_the_system_knows),
        cmocka_unit_test(datagram_words_are_not_for_streams_nor_the_other_way_round),
        cmocka_unit_test(recvfrom_needs_an_address_of_its_own),
        cmocka_unit_test(sendto_needs_an_address_that_the_socket_can_reach),
        cmocka_unit_test(sizes_that_can_not_be_are_refused),
        cmocka_unit_test(two_fibers_can_not_receive_on_one_socket),
        cmocka_unit_test(shutting_down_ends_a_receive),
        cmocka_unit_test(recvfrom_gives_up_when_its_time_is_over),
        cmocka_unit_test(unix_datagrams_are_sent_and_answered),
        cmocka_unit_test(a_nameless_unix_sender_has_no_address),
        cmocka_unit_test(a_sender_whose_path_fills_the_system_s_room_is_answered),
        cmocka_unit_test(unix_datagrams_to_nobody_are_refused),
        cmocka_unit_test(a_sender_waits_for_a_full_unix_queue_and_goes_on),
        cmocka_unit_test(a_connected_sender_waits_for_a_full_unix_queue_too),
        cmocka_unit_test(two_senders_of_datagrams_take_turns),
        cmocka_unit_test(waiting_for_a_full_unix_queue_ends_as_any_wait),
        cmocka_unit_test(what_is_sent_by_one_call_can_leave_as_many_datagrams),
    };

    return RUN_SOCKET_TESTS(tests);
}
