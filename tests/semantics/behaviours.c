/* What our sockets do: a line "name: outcome" for each behaviour, as behaviours.py prints for
 * Python's. The two files have the same behaviours in the same order; test_semantics.py compares
 * them, and says what an outcome is. */
#include <salut.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/tcp.h>

static const double BRIEFLY = 0.05; /* for a wait that is meant to end in vain */
static const char HOST[] = "127.0.0.1";

enum { KIBIBYTE = 1 << 10, MEBIBYTE = 1 << 20, OPENED_MAX = 64, NO_DESCRIPTOR = 99999 };

static int outcome_count;
static salut_sock *opened[OPENED_MAX]; /* closed after each behaviour */
static size_t opened_count;

/* ---- What happened ------------------------------------------------------------------------- */

static void tell_word(const char *word)
{
    printf("%s%s", outcome_count++ ? ", " : "", word);
}

/* A word's result: what it returned, or the error's name. */
static void tell(ssize_t result)
{
    char number[32];

    snprintf(number, sizeof number, "%zd", result);
    if (result >= 0)
        tell_word(number);
    else
        tell_word(errno == EOPNOTSUPP ? "EOPNOTSUPP" : strerrorname_np(errno));
}

static void tell_received(ssize_t result, const char *bytes)
{
    char text[64];

    if (result <= 0) {
        tell(result);
        return;
    }
    snprintf(text, sizeof text, "%zd %.*s", result, (int)result, bytes);
    tell_word(text);
}

static void tell_recv(salut_sock *s, size_t size)
{
    char bytes[32];

    tell_received(salut_recv(s, bytes, size), bytes);
}

static void tell_recvfrom(salut_sock *s, size_t size)
{
    char bytes[32];
    salut_addr from;

    tell_received(salut_recvfrom(s, bytes, size, &from), bytes);
}

/* A path is told as Python shows it. */
static void tell_path(salut_addr *address)
{
    char text[128];

    snprintf(text, sizeof text, "'%s'", salut_addr_host(address));
    tell_word(text);
}

static void tell_path_of(salut_sock *s, int (*ask)(salut_sock *s, salut_addr *address))
{
    salut_addr address;

    if (ask(s, &address))
        tell(-1);
    else
        tell_path(&address);
}

static void tell_host_of_peer(salut_sock *s)
{
    salut_addr peer;

    if (salut_peer(s, &peer))
        tell(-1);
    else
        tell_word(salut_addr_host(&peer));
}

static void tell_own_host(salut_sock *s)
{
    salut_addr address;

    if (salut_local(s, &address))
        tell(-1);
    else
        tell_word(salut_addr_host(&address));
}

static void tell_accept(salut_sock *s)
{
    tell(salut_accept(s, NULL) ? 0 : -1);
}

static void tell_decode(const char *bytes, ssize_t size)
{
    char *text = salut_decode(bytes, size);

    tell(text ? (ssize_t)strlen(text) : -1);
    free(text);
}

/* ---- Ends of conversations ----------------------------------------------------------------- */

static salut_sock *keep(salut_sock *s)
{
    if (!s || opened_count == OPENED_MAX) {
        fprintf(stderr, "\nbehaviours: %s\n", s ? "OPENED_MAX is too small" : salut_error());
        exit(EXIT_FAILURE);
    }
    opened[opened_count++] = s;
    return s;
}

static salut_sock *new_tcp(void)
{
    return keep(salut_socket(SALUT_TCP));
}

static salut_sock *new_udp(void)
{
    return keep(salut_socket(SALUT_UDP));
}

static salut_sock *new_unix(void)
{
    return keep(salut_socket(SALUT_UNIX));
}

static salut_sock *bound(salut_sock *s)
{
    salut_bind(s, HOST, 0);
    return s;
}

static salut_sock *listener(int backlog)
{
    salut_sock *s = bound(new_tcp());

    salut_listen(s, backlog);
    return s;
}

static salut_sock *listener_at(const char *host)
{
    salut_sock *s = new_tcp();

    salut_bind(s, host, 0);
    salut_listen(s, 8);
    return s;
}

static salut_addr address_of(salut_sock *s)
{
    salut_addr address;

    salut_local(s, &address);
    return address;
}

static int port_of(salut_sock *s)
{
    salut_addr address = address_of(s);

    return salut_addr_port(&address);
}

static int connect_to(salut_sock *s, salut_sock *there)
{
    return salut_connect(s, HOST, port_of(there));
}

/* The end that connected, and the one that was accepted. */
struct pair {
    salut_sock *client, *server;
};

static struct pair pair(void)
{
    salut_sock *server = listener(8);
    struct pair p = {.client = new_tcp()};

    connect_to(p.client, server);
    p.server = keep(salut_accept(server, NULL));
    return p;
}

static struct pair unix_pair(void)
{
    struct pair p;

    salut_pair(&p.client, &p.server);
    keep(p.client);
    keep(p.server);
    return p;
}

/* The same with small buffers, whatever this system's are. */
static struct pair narrow_pair(void)
{
    struct pair p = pair();

    setsockopt(salut_fd(p.client), SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int));
    setsockopt(salut_fd(p.server), SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
    return p;
}

/* Nobody listens there, though the port is taken. */
static salut_sock *nobody(void)
{
    return bound(new_tcp());
}

static ssize_t send_text(salut_sock *s, const char *text)
{
    return salut_send(s, text, strlen(text));
}

static ssize_t send_text_to(salut_sock *s, const char *text, salut_sock *there)
{
    salut_addr address = address_of(there);

    return salut_sendto(s, text, strlen(text), &address);
}

static ssize_t send_zeros(salut_sock *s, size_t size)
{
    void *zeros = calloc(1, size);
    ssize_t sent = salut_send(s, zeros, size);

    free(zeros);
    return sent;
}

/* How many bytes come until the end. */
static ssize_t count_all(salut_sock *s)
{
    char bytes[4096];
    ssize_t size, sum = 0;

    while ((size = salut_recv(s, bytes, sizeof bytes)) > 0)
        sum += size;
    return size < 0 ? size : sum;
}

static void wait_for(salut_sock *s, short events)
{
    struct pollfd one = {.fd = salut_fd(s), .events = events};

    if (poll(&one, 1, 60000) != 1) {
        fprintf(stderr, "\nbehaviours: the event did not come\n");
        exit(EXIT_FAILURE);
    }
}

/* Closes so that the peer is told off instead of told goodbye. */
static void reset(salut_sock *s)
{
    struct linger none = {.l_onoff = 1};

    setsockopt(salut_fd(s), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    salut_close(s);
}

static int option_of(salut_sock *s, int level, int name)
{
    int value = -1;

    getsockopt(salut_fd(s), level, name, &value, &(socklen_t){sizeof value});
    return value;
}

/* ---- Time ---------------------------------------------------------------------------------- */

static void recv_times_out(void)
{
    struct pair p = pair();

    salut_settimeout(p.client, BRIEFLY);
    tell_recv(p.client, 10);
}

static void recvfrom_times_out(void)
{
    salut_sock *s = bound(new_udp());

    salut_settimeout(s, BRIEFLY);
    tell_recvfrom(s, 10);
}

static void accept_times_out(void)
{
    salut_sock *s = listener(8);

    salut_settimeout(s, BRIEFLY);
    tell_accept(s);
}

static void connect_times_out_when_the_backlog_is_full(void)
{
    salut_sock *server = listener(1);
    int result = 0;

    for (int i = 0; i < 16 && !result; i++) {
        salut_sock *client = new_tcp();
        salut_settimeout(client, BRIEFLY);
        result = connect_to(client, server);
    }
    tell(result);
}

static void recv_at_timeout_0(void)
{
    struct pair p = pair();

    salut_settimeout(p.client, 0);
    tell_recv(p.client, 10);
}

static void recv_at_timeout_0_when_bytes_are_there(void)
{
    struct pair p = pair();

    send_text(p.server, "hello");
    wait_for(p.client, POLLIN);
    salut_settimeout(p.client, 0);
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
}

static void accept_at_timeout_0(void)
{
    salut_sock *s = listener(8);

    salut_settimeout(s, 0);
    tell_accept(s);
}

static void connect_at_timeout_0(void)
{
    salut_sock *client = new_tcp();

    salut_settimeout(client, 0);
    tell(connect_to(client, listener(8)));
}

static void connect_at_timeout_0_and_again_with_time(void)
{
    salut_sock *client = new_tcp();
    salut_sock *server = listener(8);

    salut_settimeout(client, 0);
    tell(connect_to(client, server));
    salut_settimeout(client, 60);
    tell(connect_to(client, server));
}

static void send_at_timeout_0_while_there_is_no_room_and_again_when_there_is(void)
{
    salut_sock *a, *b;
    char bytes[1024] = "";
    ssize_t sent = 0, size;

    salut_pair(&a, &b);
    salut_settimeout(keep(a), 0);
    salut_settimeout(keep(b), 0);
    while ((size = salut_send(a, bytes, sizeof bytes)) > 0)
        sent += size;
    tell(size);
    while (sent && (size = salut_recv(b, bytes, sizeof bytes)) > 0)
        sent -= size;
    tell(send_text(a, "x"));
}

static void send_again_after_a_timeout_in_the_middle(void)
{
    struct pair p = narrow_pair();

    salut_settimeout(p.client, BRIEFLY);
    tell(send_zeros(p.client, 8 * MEBIBYTE));
    tell(send_text(p.client, "x"));
}

static void read_all(void *socket)
{
    char bytes[4096];

    while (salut_recv(socket, bytes, sizeof bytes) > 0)
        continue;
}

static void send_a_lot_with_a_timeout_to_one_who_reads_when_there_is_no_more_room(void)
{
    struct pair p = narrow_pair();
    salut_fiber *reader = salut_go(read_all, p.server);

    salut_settimeout(p.client, 60);
    tell_word(send_zeros(p.client, 8 * MEBIBYTE) == 8 * MEBIBYTE ? "all" : "a part");
    salut_close(p.client);
    salut_join(reader);
}

static void settimeout_negative(void)
{
    tell(salut_settimeout(new_tcp(), -1));
}

static void settimeout_not_a_number(void)
{
    tell(salut_settimeout(new_tcp(), NAN));
}

static void send_late(void *socket)
{
    salut_sleep(3 * BRIEFLY);
    send_text(socket, "late");
}

static void accepted_socket_has_no_timeout_though_the_listener_has(void)
{
    salut_sock *server = listener(8);
    salut_sock *client = new_tcp();
    salut_sock *accepted;
    salut_fiber *late;

    salut_settimeout(server, BRIEFLY);
    connect_to(client, server);
    accepted = keep(salut_accept(server, NULL));
    late = salut_go(send_late, client);
    tell_recv(accepted, 10);
    salut_join(late);
}

/* ---- The end of a conversation ------------------------------------------------------------- */

static void recv_a_part(void)
{
    struct pair p = pair();

    send_text(p.server, "hello");
    tell_recv(p.client, 2);
    tell_recv(p.client, 10);
}

static void recv_after_the_peer_closed(void)
{
    struct pair p = pair();

    send_text(p.server, "hello");
    salut_close(p.server);
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
}

static void recv_after_a_reset(void)
{
    struct pair p = pair();

    reset(p.server);
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
}

static void recv_after_bytes_and_a_reset(void)
{
    struct pair p = pair();

    send_text(p.server, "hello");
    wait_for(p.client, POLLIN);
    reset(p.server);
    wait_for(p.client, POLLERR);
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
}

static void send_after_a_reset(void)
{
    struct pair p = pair();

    reset(p.server);
    wait_for(p.client, POLLERR);
    tell(send_text(p.client, "x"));
    tell(send_text(p.client, "x"));
}

static void send_and_then_recv_after_a_reset(void)
{
    struct pair p = pair();

    reset(p.server);
    wait_for(p.client, POLLERR);
    tell(send_text(p.client, "x"));
    tell_recv(p.client, 10);
}

static void recv_and_then_send_after_a_reset(void)
{
    struct pair p = pair();

    reset(p.server);
    wait_for(p.client, POLLERR);
    tell_recv(p.client, 10);
    tell(send_text(p.client, "x"));
    tell(send_text(p.client, "x"));
}

static void shutdown_after_a_reset(void)
{
    struct pair p = pair();

    reset(p.server);
    wait_for(p.client, POLLERR);
    tell(salut_shutdown(p.client, SHUT_WR));
}

static void send_after_the_peer_closed(void)
{
    struct pair p = pair();

    salut_close(p.server);
    wait_for(p.client, POLLIN);
    tell(send_text(p.client, "x"));
    wait_for(p.client, POLLERR);
    tell(send_text(p.client, "x"));
}

static void recv_after_a_send_that_the_peer_had_closed_to(void)
{
    struct pair p = pair();

    salut_close(p.server);
    wait_for(p.client, POLLIN);
    tell(send_text(p.client, "x"));
    wait_for(p.client, POLLERR);
    tell_recv(p.client, 10);
    tell(send_text(p.client, "x"));
    tell_recv(p.client, 10);
}

static void send_to_the_gone_raises_no_signal(void)
{
    struct pair p = pair();
    struct sigaction action;

    salut_shutdown(p.client, SHUT_WR);
    tell(send_text(p.client, "x"));
    sigaction(SIGPIPE, NULL, &action);
    tell_word(action.sa_handler == SIG_DFL ? "SIG_DFL" : "SIG_IGN");
}

static void recv_after_the_peer_closed_with_bytes_unread(void)
{
    struct pair p = pair();

    send_text(p.client, "unread");
    wait_for(p.server, POLLIN);
    salut_close(p.server);
    tell_recv(p.client, 10);
}

static void send_after_the_peer_closed_with_bytes_unread(void)
{
    struct pair p = pair();

    send_text(p.client, "unread");
    wait_for(p.server, POLLIN);
    salut_close(p.server);
    wait_for(p.client, POLLERR);
    tell(send_text(p.client, "x"));
    tell(send_text(p.client, "x"));
}

static void reset_late(void *socket)
{
    salut_sleep(BRIEFLY);
    reset(socket);
}

static void send_a_lot_to_one_who_breaks_off(void)
{
    struct pair p = narrow_pair();
    salut_fiber *late = salut_go(reset_late, p.server);

    tell(send_zeros(p.client, 8 * MEBIBYTE));
    tell(send_text(p.client, "x"));
    tell_recv(p.client, 10);
    salut_join(late);
}

static void close_with_bytes_on_their_way(void)
{
    struct pair p = narrow_pair();

    send_zeros(p.client, 32 * KIBIBYTE);
    salut_close(p.client);
    tell(count_all(p.server));
}

static void half_close_with_bytes_on_their_way(void)
{
    struct pair p = narrow_pair();

    send_zeros(p.client, 32 * KIBIBYTE);
    tell(salut_shutdown(p.client, SHUT_WR));
    tell(count_all(p.server));
    tell(send_text(p.server, "late"));
    tell_recv(p.client, 10);
}

static void accept_a_client_that_is_gone(void)
{
    salut_sock *server = listener(8);
    salut_sock *client = new_tcp();

    connect_to(client, server);
    reset(client);
    tell_recv(keep(salut_accept(server, NULL)), 10);
}

static void accept_a_client_that_has_said_goodbye(void)
{
    salut_sock *server = listener(8);
    salut_sock *client = new_tcp();
    salut_sock *accepted;

    connect_to(client, server);
    send_text(client, "hello");
    salut_close(client);
    accepted = keep(salut_accept(server, NULL));
    tell_recv(accepted, 10);
    tell_recv(accepted, 10);
}

static void recv_after_the_listener_closed_before_it_accepted(void)
{
    salut_sock *server = listener(8);
    salut_sock *client = new_tcp();

    connect_to(client, server);
    salut_close(server);
    tell_recv(client, 10);
}

static void conversation_goes_on_when_the_listener_closes(void)
{
    salut_sock *server = listener(8);
    salut_sock *client = new_tcp();
    salut_sock *accepted;

    connect_to(client, server);
    accepted = keep(salut_accept(server, NULL));
    salut_close(server);
    tell(send_text(client, "hello"));
    tell_recv(accepted, 10);
}

static void half_close_and_still_receive(void)
{
    struct pair p = pair();

    tell(salut_shutdown(p.client, SHUT_WR));
    tell_recv(p.server, 10);
    tell(send_text(p.server, "late"));
    tell_recv(p.client, 10);
}

static void half_close_of_both_ends(void)
{
    struct pair p = pair();

    tell(salut_shutdown(p.client, SHUT_WR));
    tell(salut_shutdown(p.server, SHUT_WR));
    tell_recv(p.client, 10);
    tell_recv(p.server, 10);
    tell(send_text(p.client, "x"));
}

static void shutdown_after_both_ends_are_closed(void)
{
    struct pair p = pair();

    salut_shutdown(p.client, SHUT_WR);
    salut_shutdown(p.server, SHUT_WR);
    wait_for(p.client, POLLIN);
    tell(salut_shutdown(p.server, SHUT_RDWR));
}

static void send_after_half_close(void)
{
    struct pair p = pair();

    salut_shutdown(p.client, SHUT_WR);
    tell(send_text(p.client, "x"));
}

static void recv_after_shutting_down_reading(void)
{
    struct pair p = pair();

    tell(salut_shutdown(p.client, SHUT_RD));
    tell_recv(p.client, 10);
    tell(send_text(p.server, "x"));
}

static void shutdown_both_ways(void)
{
    struct pair p = pair();

    tell(salut_shutdown(p.client, SHUT_RDWR));
    tell_recv(p.client, 10);
    tell(send_text(p.client, "x"));
    tell_recv(p.server, 10);
}

static void shutdown_twice(void)
{
    struct pair p = pair();

    tell(salut_shutdown(p.client, SHUT_WR));
    tell(salut_shutdown(p.client, SHUT_WR));
}

static void shutdown_unconnected(void)
{
    tell(salut_shutdown(new_tcp(), SHUT_RDWR));
}

static void shutdown_of_a_listener(void)
{
    tell(salut_shutdown(listener(8), SHUT_RDWR));
}

static void shutdown_in_no_direction(void)
{
    tell(salut_shutdown(pair().client, 7));
}

static void recv_0_bytes(void)
{
    struct pair p = pair();

    send_text(p.server, "hello");
    wait_for(p.client, POLLIN);
    tell_recv(p.client, 0);
}

static void send_0_bytes(void)
{
    tell(send_text(pair().client, ""));
}

static void recv_unconnected(void)
{
    tell_recv(new_tcp(), 10);
}

static void send_unconnected(void)
{
    tell(send_text(new_tcp(), "x"));
}

static void recv_on_a_listener(void)
{
    tell_recv(listener(8), 10);
}

/* ---- Beginning one ------------------------------------------------------------------------- */

static void connect_where_nobody_listens_and_then_where_somebody_does(void)
{
    salut_sock *client = new_tcp();

    tell(connect_to(client, nobody()));
    tell(connect_to(client, listener(8)));
}

static void connect_when_the_listener_has_closed(void)
{
    salut_sock *server = listener(8);
    int port = port_of(server);

    salut_close(server);
    tell(salut_connect(new_tcp(), HOST, port));
}

static void connect_a_bound_socket_where_nobody_listens_and_then_where_somebody_does(void)
{
    salut_sock *client = bound(new_tcp());
    int port = port_of(client);

    tell(connect_to(client, nobody()));
    tell(connect_to(client, listener(8)));
    tell(port_of(client) == port);
}

static void connect_twice(void)
{
    tell(connect_to(pair().client, listener(8)));
}

static void connect_a_listener(void)
{
    tell(connect_to(listener(8), listener(8)));
}

static void connect_by_ipv6_where_only_ipv4_is_heard(void)
{
    tell(salut_connect(new_tcp(), "::1", port_of(listener(8))));
}

static void connect_by_ipv4_where_only_ipv6_is_heard(void)
{
    tell(salut_connect(new_tcp(), HOST, port_of(listener_at("::1"))));
}

static void connect_to_a_mapped_address(void)
{
    salut_sock *client = new_tcp();

    tell(salut_connect(client, "::ffff:127.0.0.1", port_of(listener(8))));
    tell_host_of_peer(client);
}

static void connect_to_any_address(void)
{
    salut_sock *client = new_tcp();

    tell(salut_connect(client, "0.0.0.0", port_of(listener(8))));
    tell_host_of_peer(client);
}

static void connect_to_a_broadcast_address(void)
{
    tell(salut_connect(new_tcp(), "127.255.255.255", port_of(listener(8))));
}

static void clients_that_wait_in_a_backlog_of_1(void)
{
    salut_sock *server = listener(1);
    int count = 0;

    for (;; count++) {
        salut_sock *client = new_tcp();
        salut_settimeout(client, BRIEFLY);
        if (connect_to(client, server))
            break;
    }
    tell(count);
}

static void clients_are_accepted_in_the_order_they_came(void)
{
    salut_sock *server = listener(8);
    salut_sock *clients[] = {new_tcp(), new_tcp(), new_tcp()};

    for (size_t i = 0; i < 3; i++) {
        connect_to(clients[i], server);
        send_text(clients[i], i == 0 ? "a" : i == 1 ? "b" : "c");
    }
    for (size_t i = 0; i < 3; i++)
        tell_recv(keep(salut_accept(server, NULL)), 10);
}

static void connect_to_port_0(void)
{
    tell(salut_connect(new_tcp(), HOST, 0));
}

static void connect_to_port_65536(void)
{
    tell(salut_connect(new_tcp(), HOST, 65536));
}

static void connect_to_no_host(void)
{
    tell(salut_connect(new_tcp(), "", port_of(listener(8))));
}

static void bind_twice(void)
{
    tell(salut_bind(bound(new_tcp()), HOST, 0));
}

static void bind_where_somebody_listens(void)
{
    tell(salut_bind(new_tcp(), HOST, port_of(listener(8))));
}

static void bind_where_somebody_is_who_does_not_listen(void)
{
    tell(salut_bind(new_tcp(), HOST, port_of(nobody())));
}

static void bind_to_every_interface_where_somebody_listens(void)
{
    tell(salut_bind(new_tcp(), "", port_of(listener(8))));
}

static void bind_where_somebody_listens_to_every_interface(void)
{
    tell(salut_bind(new_tcp(), HOST, port_of(listener_at(""))));
}

static void bind_to_ipv6_where_somebody_listens_by_ipv4(void)
{
    tell(salut_bind(new_tcp(), "::1", port_of(listener(8))));
}

static void bind_to_every_ipv4_interface_where_somebody_listens_by_ipv6(void)
{
    tell(salut_bind(new_tcp(), "0.0.0.0", port_of(listener_at("::1"))));
}

static void bind_for_datagrams_where_somebody_listens(void)
{
    tell(salut_bind(new_udp(), HOST, port_of(listener(8))));
}

static void bind_for_datagrams_where_somebody_is(void)
{
    tell(salut_bind(new_udp(), HOST, port_of(bound(new_udp()))));
}

static void bind_to_an_address_of_another_machine(void)
{
    tell(salut_bind(new_tcp(), "192.0.2.1", 0));
}

static void bind_to_an_ipv6_address_of_another_machine(void)
{
    tell(salut_bind(new_tcp(), "2001:db8::1", 0));
}

static void bind_when_connected(void)
{
    tell(salut_bind(pair().client, HOST, 0));
}

static void bind_to_port_65536(void)
{
    tell(salut_bind(new_tcp(), HOST, 65536));
}

static void bind_while_the_port_is_in_time_wait(void)
{
    salut_sock *server = listener(8);
    salut_sock *client = new_tcp();
    int port = port_of(server);

    connect_to(client, server);
    salut_close(keep(salut_accept(server, NULL))); /* who closes first keeps the port busy */
    tell_recv(client, 10);
    salut_close(client);
    salut_close(server);
    tell(salut_bind(new_tcp(), HOST, port));
}

static void bind_to_localhost(void)
{
    salut_sock *s = new_tcp();

    salut_bind(s, "localhost", 0);
    tell_own_host(s);
}

static void bind_to_every_interface(void)
{
    salut_sock *s = new_tcp();

    salut_bind(s, "", 0);
    tell_own_host(s);
}

static void listen_without_bind(void)
{
    salut_sock *s = new_tcp();

    tell(salut_listen(s, 1));
    tell_own_host(s);
}

static void listen_after_a_bind_that_failed(void)
{
    salut_sock *s = new_tcp();

    tell(salut_bind(s, HOST, port_of(listener(8))));
    tell(salut_listen(s, 1));
}

static void listen_twice(void)
{
    tell(salut_listen(listener(8), 1));
}

static void listen_where_another_came_first(void)
{
    salut_sock *first = bound(new_tcp()), *second = new_tcp();

    salut_bind(second, HOST, port_of(first));
    tell(salut_listen(first, 1));
    tell(salut_listen(second, 1));
}

static void listen_when_connected(void)
{
    tell(salut_listen(pair().client, 1));
}

static void listen_for_datagrams(void)
{
    tell(salut_listen(bound(new_udp()), 1));
}

static void accept_without_listen(void)
{
    tell_accept(bound(new_tcp()));
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

static void datagram_to_oneself(void)
{
    salut_sock *s = bound(new_udp());

    tell(send_text_to(s, "hello", s));
    tell_recvfrom(s, 10);
}

static void empty_datagram(void)
{
    salut_sock *s = bound(new_udp());

    tell(send_text_to(s, "", s));
    tell_recvfrom(s, 10);
}

static void empty_datagram_on_a_connected_socket(void)
{
    salut_sock *peer = bound(new_udp());
    salut_sock *s = bound(new_udp());

    connect_to(s, peer);
    tell(send_text(s, ""));
    tell(send_text(s, "next"));
    tell_recv(peer, 10);
    tell_recv(peer, 10);
}

static void datagram_longer_than_the_buffer_and_the_one_after_it(void)
{
    salut_sock *s = bound(new_udp());

    send_text_to(s, "hello", s);
    send_text_to(s, "next", s);
    tell_recv(s, 4);
    tell_recv(s, 4);
}

static void datagrams_come_in_the_order_they_were_sent(void)
{
    salut_sock *s = bound(new_udp());
    salut_sock *other = new_udp();
    const char *texts[] = {"a", "b", "c", "d", "e"};

    for (size_t i = 0; i < 5; i++)
        send_text_to(other, texts[i], s);
    for (size_t i = 0; i < 5; i++)
        tell_recv(s, 10);
}

static void largest_udp_datagram_and_one_byte_more(void)
{
    salut_sock *s = bound(new_udp());
    salut_addr here = address_of(s);
    char *bytes = calloc(1, 65508);

    tell(salut_sendto(s, bytes, 65507, &here));
    tell(salut_sendto(s, bytes, 65508, &here));
    free(bytes);
}

static void largest_udp_datagram_by_ipv6_and_one_byte_more(void)
{
    salut_sock *s = new_udp();
    char *bytes = calloc(1, 65528);
    salut_addr here;

    salut_bind(s, "::1", 0);
    here = address_of(s);
    tell(salut_sendto(s, bytes, 65527, &here));
    tell(salut_sendto(s, bytes, 65528, &here));
    free(bytes);
}

static void udp_connected_where_nobody_is(void)
{
    salut_sock *nowhere = bound(new_udp());
    salut_sock *s = new_udp();

    connect_to(nowhere, nowhere); /* from now on it hears only itself */
    salut_settimeout(s, 60);
    tell(connect_to(s, nowhere));
    tell(send_text(s, "x"));
    tell_recv(s, 10);
    tell(send_text(s, "x"));
}

static void udp_unconnected_hears_of_no_refusal(void)
{
    salut_sock *nowhere = bound(new_udp());
    salut_sock *s = bound(new_udp());

    connect_to(nowhere, nowhere);
    salut_settimeout(s, BRIEFLY);
    tell(send_text_to(s, "x", nowhere));
    tell(send_text_to(s, "x", nowhere));
    tell_recv(s, 10);
}

static void udp_refusal_is_told_once(void)
{
    salut_sock *nowhere = bound(new_udp());
    salut_sock *s = new_udp();

    connect_to(nowhere, nowhere);
    connect_to(s, nowhere);
    tell(send_text(s, "x"));
    wait_for(s, POLLERR);
    tell(send_text(s, "x"));
    salut_settimeout(s, BRIEFLY);
    tell_recv(s, 10);
}

static void udp_connected_twice(void)
{
    salut_sock *one = bound(new_udp());
    salut_sock *other = bound(new_udp());
    salut_sock *s = new_udp();

    tell(connect_to(s, one));
    tell(connect_to(s, other));
    send_text(s, "hello");
    tell_recv(other, 10);
}

static void udp_connected_hears_only_its_peer(void)
{
    salut_sock *peer = bound(new_udp());
    salut_sock *stranger = bound(new_udp());
    salut_sock *s = bound(new_udp());

    salut_settimeout(s, 60);
    connect_to(s, peer);
    send_text_to(stranger, "stranger", s);
    send_text_to(peer, "peer", s);
    tell_recv(s, 10);
}

static void udp_connected_sends_elsewhere(void)
{
    salut_sock *peer = bound(new_udp());
    salut_sock *other = bound(new_udp());
    salut_sock *s = new_udp();

    connect_to(s, peer);
    tell(send_text_to(s, "x", other));
}

static void udp_to_port_0(void)
{
    salut_addr there;

    salut_resolve(&there, HOST, 0);
    tell(salut_sendto(new_udp(), "x", 1, &there));
}

static void udp_shutdown_unconnected(void)
{
    tell(salut_shutdown(bound(new_udp()), SHUT_WR));
}

static void udp_send_after_half_close(void)
{
    salut_sock *s = new_udp();

    connect_to(s, bound(new_udp()));
    tell(salut_shutdown(s, SHUT_WR));
    tell(send_text(s, "x"));
}

static void udp_recv_after_shutting_down_reading(void)
{
    salut_sock *s = new_udp();

    connect_to(s, bound(new_udp()));
    tell(salut_shutdown(s, SHUT_RD));
    salut_settimeout(s, BRIEFLY);
    tell_recv(s, 10);
}

static void udp_send_unconnected(void)
{
    tell(send_text(new_udp(), "x"));
}

static void udp_recv_unbound(void)
{
    salut_sock *s = new_udp();

    salut_settimeout(s, BRIEFLY);
    tell_recv(s, 10);
}

static void udp_own_name_of_one_who_has_sent(void)
{
    salut_sock *s = new_udp();

    send_text_to(s, "x", bound(new_udp()));
    tell_own_host(s);
    tell(port_of(s) > 0);
}

static void udp_own_name_of_one_who_is_connected(void)
{
    salut_sock *s = new_udp();

    connect_to(s, bound(new_udp()));
    tell_own_host(s);
    tell_host_of_peer(s);
}

static void udp_by_ipv4_at_a_socket_of_both_families(void)
{
    salut_sock *s = new_udp();
    salut_addr there, from;
    char bytes[10];

    salut_bind(s, "", 0);
    salut_resolve(&there, HOST, port_of(s));
    tell(salut_sendto(new_udp(), "hello", 5, &there));
    tell_received(salut_recvfrom(s, bytes, sizeof bytes, &from), bytes);
    tell_word(salut_addr_host(&from));
    tell(salut_sendto(s, "back", 4, &from));
}

static void tell_send_to_host(salut_sock *s, const char *host)
{
    salut_addr there;

    salut_resolve(&there, host, 9);
    tell(salut_sendto(s, "x", 1, &there));
}

static void udp_to_ipv6_from_ipv4(void)
{
    tell_send_to_host(bound(new_udp()), "::1");
}

static void udp_to_a_mapped_address_from_one_who_speaks_only_ipv6(void)
{
    salut_sock *s = new_udp();

    salut_bind(s, "::1", 0);
    tell_send_to_host(s, "::ffff:127.0.0.1");
}

static void udp_broadcast_without_leave(void)
{
    tell_send_to_host(new_udp(), "127.255.255.255");
}

static void recvfrom_on_a_stream(void)
{
    struct pair p = pair();

    send_text(p.server, "hello");
    tell_recvfrom(p.client, 10);
}

static void sendto_on_a_stream(void)
{
    struct pair p = pair();

    tell(send_text_to(p.client, "hello", p.server));
}

/* ---- Unix ---------------------------------------------------------------------------------- */

/* A socket's file whose program is gone: by the system's own calls, since ours tidy up. */
static void leave_behind(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) {
        perror("\nbehaviours: bind");
        exit(EXIT_FAILURE);
    }
    close(fd);
}

static void abstract_name(char *name, size_t size)
{
    snprintf(name, size, "@salut-semantics-%d", getpid());
}

static salut_sock *bound_at(salut_kind kind, const char *path)
{
    salut_sock *s = keep(salut_socket(kind));

    salut_bind(s, path, 0);
    return s;
}

static void unix_connect_where_there_is_no_file(void)
{
    tell(salut_connect(new_unix(), "missing", 0));
}

static void unix_connect_to_a_plain_file(void)
{
    close(open("plain", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    tell(salut_connect(new_unix(), "plain", 0));
    unlink("plain");
}

static void unix_connect_to_what_a_program_left_behind(void)
{
    leave_behind("stale", SOCK_STREAM);
    tell(salut_connect(new_unix(), "stale", 0));
    unlink("stale");
}

static void unix_connect_to_one_who_does_not_listen(void)
{
    bound_at(SALUT_UNIX, "bound");
    tell(salut_connect(new_unix(), "bound", 0));
}

static void unix_connect_to_a_socket_for_datagrams(void)
{
    bound_at(SALUT_UNIX_DATAGRAM, "datagrams");
    tell(salut_connect(new_unix(), "datagrams", 0));
}

static void unix_connect_to_an_abstract_name_that_nobody_has(void)
{
    tell(salut_connect(new_unix(), "@salut-semantics-nobody", 0));
}

static void unix_connect_twice(void)
{
    salut_sock *client = new_unix();

    salut_listen(bound_at(SALUT_UNIX, "path"), 8);
    tell(salut_connect(client, "path", 0));
    tell(salut_connect(client, "path", 0));
}

static void unix_names_of_both_ends(void)
{
    salut_sock *server = bound_at(SALUT_UNIX, "path");
    salut_sock *client = new_unix();
    salut_sock *accepted;

    salut_listen(server, 8);
    salut_connect(client, "path", 0);
    accepted = keep(salut_accept(server, NULL));
    tell_path_of(client, salut_local);
    tell_path_of(client, salut_peer);
    tell_path_of(accepted, salut_local);
    tell_path_of(accepted, salut_peer);
}

static void unix_recv_after_the_listener_closed_before_it_accepted(void)
{
    salut_sock *server = bound_at(SALUT_UNIX, "path");
    salut_sock *client = new_unix();

    salut_listen(server, 8);
    salut_connect(client, "path", 0);
    salut_close(server);
    tell_recv(client, 10);
}

static void unix_recv_and_send_after_the_peer_closed(void)
{
    struct pair p = unix_pair();

    send_text(p.server, "hello");
    salut_close(p.server);
    tell(send_text(p.client, "x"));
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
}

static void unix_recv_after_the_peer_closed_with_bytes_unread(void)
{
    struct pair p = unix_pair();

    send_text(p.client, "unread");
    salut_close(p.server);
    tell_recv(p.client, 10);
}

static void unix_send_after_the_peer_closed_with_bytes_unread(void)
{
    struct pair p = unix_pair();

    send_text(p.client, "unread");
    salut_close(p.server);
    tell(send_text(p.client, "x"));
    tell(send_text(p.client, "x"));
}

static void unix_recv_bytes_after_the_peer_closed_with_bytes_unread(void)
{
    struct pair p = unix_pair();

    send_text(p.client, "unread");
    send_text(p.server, "hello");
    salut_close(p.server);
    tell_recv(p.client, 10);
    tell_recv(p.client, 10);
}

static void unix_half_close_and_still_receive(void)
{
    struct pair p = unix_pair();

    tell(salut_shutdown(p.client, SHUT_WR));
    tell_recv(p.server, 10);
    tell(send_text(p.server, "late"));
    tell_recv(p.client, 10);
    tell(send_text(p.client, "x"));
}

static void unix_send_to_one_who_shut_down_reading(void)
{
    struct pair p = unix_pair();

    tell(salut_shutdown(p.client, SHUT_RD));
    tell_recv(p.client, 10);
    tell(send_text(p.server, "x"));
    tell(send_text(p.client, "back"));
    tell_recv(p.server, 10);
}

static void unix_shutdown_after_the_peer_closed(void)
{
    struct pair p = unix_pair();

    salut_close(p.server);
    tell(salut_shutdown(p.client, SHUT_WR));
}

static void unix_send_and_recv_unconnected(void)
{
    tell(send_text(new_unix(), "x"));
    tell_recv(new_unix(), 10);
}

static void unix_bind_to_what_a_program_left_behind(void)
{
    leave_behind("stale", SOCK_STREAM);
    tell(salut_bind(new_unix(), "stale", 0));
    unlink("stale");
}

static void unix_bind_to_a_path_in_use(void)
{
    salut_listen(bound_at(SALUT_UNIX, "used"), 8);
    tell(salut_bind(new_unix(), "used", 0));
}

static void unix_bind_to_an_abstract_name_in_use(void)
{
    char name[64];

    abstract_name(name, sizeof name);
    salut_listen(bound_at(SALUT_UNIX, name), 8);
    tell(salut_bind(new_unix(), name, 0));
}

static void unix_bind_where_there_is_no_directory(void)
{
    tell(salut_bind(new_unix(), "missing/s", 0));
}

static void unix_path_of_107_and_of_108_bytes(void)
{
    char path[109];

    memset(path, 'x', 108);
    path[107] = '\0';
    tell(salut_bind(new_unix(), path, 0));
    path[107] = 'x';
    path[108] = '\0';
    tell(salut_bind(new_unix(), path, 0));
}

static void unix_close_unlinks_the_path(void)
{
    salut_close(bound_at(SALUT_UNIX, "path"));
    tell_word(access("path", F_OK) ? "gone" : "there");
}

static void unix_abstract_name(void)
{
    salut_sock *client = new_unix();
    salut_sock *server, *accepted;
    salut_addr peer;
    char name[64];

    abstract_name(name, sizeof name);
    server = bound_at(SALUT_UNIX, name);
    salut_listen(server, 8);
    tell(salut_connect(client, name, 0));
    accepted = keep(salut_accept(server, &peer));
    send_text(accepted, "hello");
    tell_recv(client, 10);
    tell_path(&peer);
}

static void unix_connect_times_out_when_the_backlog_is_full(void)
{
    int result = 0;

    salut_listen(bound_at(SALUT_UNIX, "full"), 1);
    for (int i = 0; i < 16 && !result; i++) {
        salut_sock *client = new_unix();
        salut_settimeout(client, BRIEFLY);
        result = salut_connect(client, "full", 0);
    }
    tell(result);
}

/* The address of a Unix datagram socket; salut_resolve() is for hosts. */
static salut_addr path_address(const char *path)
{
    salut_addr a = {.raw.path.sun_family = AF_UNIX, .raw_size = sizeof a.raw.path};

    snprintf(a.raw.path.sun_path, sizeof a.raw.path.sun_path, "%s", path);
    return a;
}

static void unix_datagram_where_there_is_no_file_and_to_one_left_behind(void)
{
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));
    salut_addr missing = path_address("missing");
    salut_addr stale = path_address("stale");

    tell(salut_sendto(s, "x", 1, &missing));
    leave_behind("stale", SOCK_DGRAM);
    tell(salut_sendto(s, "x", 1, &stale));
    unlink("stale");
}

static void unix_datagram_to_one_who_never_reads(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "slow");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));
    ssize_t result;

    salut_settimeout(s, BRIEFLY);
    while ((result = send_text_to(s, "x", receiver)) == 1)
        continue;
    tell(result);
}

static void recv_late(void *socket)
{
    char byte;

    salut_sleep(BRIEFLY);
    salut_recv(socket, &byte, 1);
}

static void unix_datagram_to_one_who_reads_late(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "slow");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));
    salut_fiber *late;

    salut_settimeout(s, 0);
    while (send_text_to(s, "x", receiver) == 1)
        continue;
    late = salut_go(recv_late, receiver);
    salut_settimeout(s, 60);
    tell(send_text_to(s, "x", receiver));
    salut_join(late);
}

static void unix_datagram_to_ones_peer_who_reads_late(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "slow");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));
    salut_fiber *late;

    salut_connect(s, "slow", 0);
    salut_settimeout(s, 0);
    while (send_text(s, "x") == 1)
        continue;
    late = salut_go(recv_late, receiver);
    salut_settimeout(s, 60);
    tell(send_text(s, "x"));
    salut_join(late);
}

static void unix_datagram_to_one_who_is_gone(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "gone");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));

    salut_connect(s, "gone", 0);
    tell(send_text(s, "x"));
    salut_close(receiver);
    tell(send_text(s, "x"));
    tell(send_text(s, "x"));
}

static void unix_datagram_shutdown_when_the_peer_is_gone(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "gone");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));

    salut_connect(s, "gone", 0);
    salut_close(receiver);
    tell(send_text(s, "x"));
    tell(salut_shutdown(s, SHUT_RDWR));
    tell(send_text(s, "x"));
    tell_recvfrom(s, 10);
}

static void unix_datagram_to_ones_peer_who_shut_down_reading(void)
{
    salut_sock *a = bound_at(SALUT_UNIX_DATAGRAM, "a"), *b = bound_at(SALUT_UNIX_DATAGRAM, "b");

    salut_connect(a, "b", 0);
    salut_connect(b, "a", 0);
    tell(send_text(a, "one"));
    tell(salut_shutdown(b, SHUT_RD));
    tell(send_text(a, "two"));
    tell_recv(b, 10);
    tell_recv(b, 10);
}

static void unix_datagram_to_a_stream(void)
{
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));
    salut_addr stream = path_address("stream");

    salut_listen(bound_at(SALUT_UNIX, "stream"), 8);
    tell(salut_sendto(s, "x", 1, &stream));
    tell(salut_connect(s, "stream", 0));
}

static void unix_datagram_to_one_who_is_connected_elsewhere(void)
{
    salut_sock *peer = bound_at(SALUT_UNIX_DATAGRAM, "peer");
    salut_sock *s = bound_at(SALUT_UNIX_DATAGRAM, "connected");
    salut_sock *stranger = keep(salut_socket(SALUT_UNIX_DATAGRAM));

    salut_connect(s, "peer", 0);
    tell(send_text_to(stranger, "x", s));
    tell(send_text_to(peer, "x", s));
    tell(salut_connect(stranger, "connected", 0));
}

static void unix_datagram_that_is_empty_and_one_longer_than_the_buffer(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "path");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));

    tell(send_text_to(s, "", receiver));
    tell(send_text_to(s, "hello", receiver));
    tell(send_text_to(s, "next", receiver));
    tell_recvfrom(receiver, 4);
    tell_recvfrom(receiver, 4);
    tell_recvfrom(receiver, 4);
}

static void unix_datagram_of_64_kib_and_of_8_mib(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "path");
    salut_sock *s = keep(salut_socket(SALUT_UNIX_DATAGRAM));
    salut_addr there = address_of(receiver);
    void *zeros = calloc(8, MEBIBYTE);

    tell(salut_sendto(s, zeros, 65536, &there));
    tell(salut_sendto(s, zeros, 8 * MEBIBYTE, &there));
    free(zeros);
}

static void unix_datagram_names_of_senders(void)
{
    salut_sock *receiver = bound_at(SALUT_UNIX_DATAGRAM, "path");
    salut_sock *named = bound_at(SALUT_UNIX_DATAGRAM, "named");
    salut_addr from;
    char bytes[10];

    send_text_to(keep(salut_socket(SALUT_UNIX_DATAGRAM)), "x", receiver);
    send_text_to(named, "x", receiver);
    for (int i = 0; i < 2; i++) {
        tell(salut_recvfrom(receiver, bytes, sizeof bytes, &from));
        tell_path(&from);
    }
}

/* ---- Who is there, and what is set --------------------------------------------------------- */

static void close_twice(void)
{
    salut_sock *s = new_tcp();

    tell(salut_close(s));
    tell(salut_close(s));
}

static void use_after_close(void)
{
    salut_sock *s = new_tcp();
    salut_sock *there = nobody();
    salut_addr address;

    salut_close(s);
    tell(send_text(s, "x"));
    tell_recv(s, 10);
    tell_accept(s);
    tell(salut_bind(s, HOST, 0));
    tell(salut_listen(s, 1));
    tell(connect_to(s, there));
    tell(salut_local(s, &address));
    tell(salut_settimeout(s, 1));
    tell(salut_shutdown(s, SHUT_RDWR));
}

static void descriptor_before_bind(void)
{
    tell(salut_fd(new_tcp()));
}

static void descriptor_after_close(void)
{
    salut_sock *s = bound(new_tcp());

    salut_close(s);
    tell_word(salut_fd(s) == -1 ? "-1" : "there");
}

static void descriptor_of_nothing(void)
{
    tell(salut_from_fd(NO_DESCRIPTOR) ? 0 : -1);
}

static void close_while_a_duplicate_of_the_descriptor_is_open(void)
{
    struct pair p = pair();
    int duplicate = fcntl(salut_fd(p.server), F_DUPFD_CLOEXEC, 0);

    salut_close(p.server);
    salut_settimeout(p.client, 0);
    tell_recv(p.client, 10);
    send_text(keep(salut_from_fd(duplicate)), "hello");
    wait_for(p.client, POLLIN);
    tell_recv(p.client, 10);
}

static void name_of_the_peer_when_unconnected(void)
{
    salut_addr peer;

    tell(salut_peer(new_tcp(), &peer));
}

static void name_of_the_peer_after_its_reset(void)
{
    struct pair p = pair();
    salut_addr peer;

    reset(p.server);
    wait_for(p.client, POLLERR);
    tell(salut_peer(p.client, &peer));
}

static void name_of_the_peer_after_it_closed(void)
{
    struct pair p = pair();

    salut_close(p.server);
    wait_for(p.client, POLLIN);
    tell_host_of_peer(p.client);
}

static void name_of_the_peer_after_both_ends_are_closed(void)
{
    struct pair p = pair();
    salut_addr peer;

    salut_shutdown(p.client, SHUT_WR);
    salut_shutdown(p.server, SHUT_WR);
    wait_for(p.client, POLLIN);
    tell(salut_peer(p.server, &peer));
}

static void names_of_both_ends_agree(void)
{
    struct pair p = pair();
    salut_addr peer;

    salut_peer(p.server, &peer);
    tell(salut_addr_port(&peer) == port_of(p.client));
    salut_peer(p.client, &peer);
    tell(salut_addr_port(&peer) == port_of(p.server));
    tell_own_host(p.client);
    tell_own_host(p.server);
}

static void own_name_after_a_reset(void)
{
    struct pair p = pair();

    reset(p.server);
    wait_for(p.client, POLLERR);
    tell_own_host(p.client);
}

static void name_of_a_listeners_peer(void)
{
    salut_addr peer;

    tell(salut_peer(listener(8), &peer));
}

static void own_name_when_unbound(void)
{
    salut_addr address;

    tell(salut_local(new_tcp(), &address));
}

static void names_of_a_pair(void)
{
    struct pair p = unix_pair();

    tell_path_of(p.client, salut_local);
    tell_path_of(p.client, salut_peer);
}

static void tell_peer_at(salut_sock *server, const char *host)
{
    salut_sock *client = new_tcp();
    salut_addr peer;

    salut_listen(server, 8);
    salut_connect(client, host, port_of(server));
    keep(salut_accept(server, &peer));
    tell_word(salut_addr_host(&peer));
}

static void peer_by_ipv6(void)
{
    salut_sock *server = new_tcp();

    salut_bind(server, "::1", 0);
    tell_peer_at(server, "::1");
}

static void peer_by_ipv4_at_a_listener_of_both_families(void)
{
    salut_sock *server = new_tcp();

    salut_bind(server, "", 0);
    tell_peer_at(server, HOST);
}

static void option_tcp_nodelay_of_both_ends(void)
{
    struct pair p = pair();

    tell(option_of(p.client, IPPROTO_TCP, TCP_NODELAY));
    tell(option_of(p.server, IPPROTO_TCP, TCP_NODELAY));
}

static void option_reuseaddr_of_a_listener(void)
{
    tell(option_of(listener(8), SOL_SOCKET, SO_REUSEADDR));
}

static void descriptors_are_closed_on_exec(void)
{
    struct pair p = pair();
    salut_sock *all[] = {p.client, p.server, listener(8), bound(new_udp())};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tell(fcntl(salut_fd(all[i]), F_GETFD) & FD_CLOEXEC ? 1 : 0);
}

/* ---- Text ---------------------------------------------------------------------------------- */

static void decode_all(const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tell_decode(texts[i], (ssize_t)strlen(texts[i]));
}

static void decode_text(void)
{
    const char *texts[] = {"", "Salut", "é", "€", "😀", "\xef\xbb\xbf"};

    decode_all(texts, sizeof texts / sizeof *texts);
}

static void decode_what_is_not_utf_8(void)
{
    const char *bytes[] = {"\xe9",     "\x80",         "\xc3",         "\xe2\x82",
                           "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                           "\xff",     "ok \xfe"};

    decode_all(bytes, sizeof bytes / sizeof *bytes);
}

static void decode_a_zero_byte(void)
{
    tell_decode("a\0b", 3);
}

/* ---- All of them --------------------------------------------------------------------------- */

static const struct behaviour {
    const char *name;
    void (*show)(void);
} behaviours[] = {
/* a macro, so that a behaviour can't be called by another's name */
#define BEHAVIOUR(function)                                                                        \
    {                                                                                              \
#function, function                                                                        \
    }
    BEHAVIOUR(recv_times_out),
    BEHAVIOUR(recvfrom_times_out),
    BEHAVIOUR(accept_times_out),
    BEHAVIOUR(connect_times_out_when_the_backlog_is_full),
    BEHAVIOUR(recv_at_timeout_0),
    BEHAVIOUR(recv_at_timeout_0_when_bytes_are_there),
    BEHAVIOUR(accept_at_timeout_0),
    BEHAVIOUR(connect_at_timeout_0),
    BEHAVIOUR(connect_at_timeout_0_and_again_with_time),
    BEHAVIOUR(send_at_timeout_0_while_there_is_no_room_and_again_when_there_is),
    BEHAVIOUR(send_again_after_a_timeout_in_the_middle),
    BEHAVIOUR(send_a_lot_with_a_timeout_to_one_who_reads_when_there_is_no_more_room),
    BEHAVIOUR(settimeout_negative),
    BEHAVIOUR(settimeout_not_a_number),
    BEHAVIOUR(accepted_socket_has_no_timeout_though_the_listener_has),
    BEHAVIOUR(recv_a_part),
    BEHAVIOUR(recv_after_the_peer_closed),
    BEHAVIOUR(recv_after_a_reset),
    BEHAVIOUR(recv_after_bytes_and_a_reset),
    BEHAVIOUR(send_after_a_reset),
    BEHAVIOUR(send_and_then_recv_after_a_reset),
    BEHAVIOUR(recv_and_then_send_after_a_reset),
    BEHAVIOUR(shutdown_after_a_reset),
    BEHAVIOUR(send_after_the_peer_closed),
    BEHAVIOUR(recv_after_a_send_that_the_peer_had_closed_to),
    BEHAVIOUR(send_to_the_gone_raises_no_signal),
    BEHAVIOUR(recv_after_the_peer_closed_with_bytes_unread),
    BEHAVIOUR(send_after_the_peer_closed_with_bytes_unread),
    BEHAVIOUR(send_a_lot_to_one_who_breaks_off),
    BEHAVIOUR(close_with_bytes_on_their_way),
    BEHAVIOUR(half_close_with_bytes_on_their_way),
    BEHAVIOUR(accept_a_client_that_is_gone),
    BEHAVIOUR(accept_a_client_that_has_said_goodbye),
    BEHAVIOUR(recv_after_the_listener_closed_before_it_accepted),
    BEHAVIOUR(conversation_goes_on_when_the_listener_closes),
    BEHAVIOUR(half_close_and_still_receive),
    BEHAVIOUR(half_close_of_both_ends),
    BEHAVIOUR(shutdown_after_both_ends_are_closed),
    BEHAVIOUR(send_after_half_close),
    BEHAVIOUR(recv_after_shutting_down_reading),
    BEHAVIOUR(shutdown_both_ways),
    BEHAVIOUR(shutdown_twice),
    BEHAVIOUR(shutdown_unconnected),
    BEHAVIOUR(shutdown_of_a_listener),
    BEHAVIOUR(shutdown_in_no_direction),
    BEHAVIOUR(recv_0_bytes),
    BEHAVIOUR(send_0_bytes),
    BEHAVIOUR(recv_unconnected),
    BEHAVIOUR(send_unconnected),
    BEHAVIOUR(recv_on_a_listener),
    BEHAVIOUR(connect_where_nobody_listens_and_then_where_somebody_does),
    BEHAVIOUR(connect_when_the_listener_has_closed),
    BEHAVIOUR(connect_a_bound_socket_where_nobody_listens_and_then_where_somebody_does),
    BEHAVIOUR(connect_twice),
    BEHAVIOUR(connect_a_listener),
    BEHAVIOUR(connect_by_ipv6_where_only_ipv4_is_heard),
    BEHAVIOUR(connect_by_ipv4_where_only_ipv6_is_heard),
    BEHAVIOUR(connect_to_a_mapped_address),
    BEHAVIOUR(connect_to_any_address),
    BEHAVIOUR(connect_to_a_broadcast_address),
    BEHAVIOUR(clients_that_wait_in_a_backlog_of_1),
    BEHAVIOUR(clients_are_accepted_in_the_order_they_came),
    BEHAVIOUR(connect_to_port_0),
    BEHAVIOUR(connect_to_port_65536),
    BEHAVIOUR(connect_to_no_host),
    BEHAVIOUR(bind_twice),
    BEHAVIOUR(bind_where_somebody_listens),
    BEHAVIOUR(bind_where_somebody_is_who_does_not_listen),
    BEHAVIOUR(bind_to_every_interface_where_somebody_listens),
    BEHAVIOUR(bind_where_somebody_listens_to_every_interface),
    BEHAVIOUR(bind_to_ipv6_where_somebody_listens_by_ipv4),
    BEHAVIOUR(bind_to_every_ipv4_interface_where_somebody_listens_by_ipv6),
    BEHAVIOUR(bind_for_datagrams_where_somebody_listens),
    BEHAVIOUR(bind_for_datagrams_where_somebody_is),
    BEHAVIOUR(bind_to_an_address_of_another_machine),
    BEHAVIOUR(bind_to_an_ipv6_address_of_another_machine),
    BEHAVIOUR(bind_when_connected),
    BEHAVIOUR(bind_to_port_65536),
    BEHAVIOUR(bind_while_the_port_is_in_time_wait),
    BEHAVIOUR(bind_to_localhost),
    BEHAVIOUR(bind_to_every_interface),
    BEHAVIOUR(listen_without_bind),
    BEHAVIOUR(listen_after_a_bind_that_failed),
    BEHAVIOUR(listen_twice),
    BEHAVIOUR(listen_where_another_came_first),
    BEHAVIOUR(listen_when_connected),
    BEHAVIOUR(listen_for_datagrams),
    BEHAVIOUR(accept_without_listen),
    BEHAVIOUR(datagram_to_oneself),
    BEHAVIOUR(empty_datagram),
    BEHAVIOUR(empty_datagram_on_a_connected_socket),
    BEHAVIOUR(datagram_longer_than_the_buffer_and_the_one_after_it),
    BEHAVIOUR(datagrams_come_in_the_order_they_were_sent),
    BEHAVIOUR(largest_udp_datagram_and_one_byte_more),
    BEHAVIOUR(largest_udp_datagram_by_ipv6_and_one_byte_more),
    BEHAVIOUR(udp_connected_where_nobody_is),
    BEHAVIOUR(udp_unconnected_hears_of_no_refusal),
    BEHAVIOUR(udp_refusal_is_told_once),
    BEHAVIOUR(udp_connected_twice),
    BEHAVIOUR(udp_connected_hears_only_its_peer),
    BEHAVIOUR(udp_connected_sends_elsewhere),
    BEHAVIOUR(udp_to_port_0),
    BEHAVIOUR(udp_shutdown_unconnected),
    BEHAVIOUR(udp_send_after_half_close),
    BEHAVIOUR(udp_recv_after_shutting_down_reading),
    BEHAVIOUR(udp_send_unconnected),
    BEHAVIOUR(udp_recv_unbound),
    BEHAVIOUR(udp_own_name_of_one_who_has_sent),
    BEHAVIOUR(udp_own_name_of_one_who_is_connected),
    BEHAVIOUR(udp_by_ipv4_at_a_socket_of_both_families),
    BEHAVIOUR(udp_to_ipv6_from_ipv4),
    BEHAVIOUR(udp_to_a_mapped_address_from_one_who_speaks_only_ipv6),
    BEHAVIOUR(udp_broadcast_without_leave),
    BEHAVIOUR(recvfrom_on_a_stream),
    BEHAVIOUR(sendto_on_a_stream),
    BEHAVIOUR(unix_connect_where_there_is_no_file),
    BEHAVIOUR(unix_connect_to_a_plain_file),
    BEHAVIOUR(unix_connect_to_what_a_program_left_behind),
    BEHAVIOUR(unix_connect_to_one_who_does_not_listen),
    BEHAVIOUR(unix_connect_to_a_socket_for_datagrams),
    BEHAVIOUR(unix_connect_to_an_abstract_name_that_nobody_has),
    BEHAVIOUR(unix_connect_twice),
    BEHAVIOUR(unix_names_of_both_ends),
    BEHAVIOUR(unix_recv_after_the_listener_closed_before_it_accepted),
    BEHAVIOUR(unix_recv_and_send_after_the_peer_closed),
    BEHAVIOUR(unix_recv_after_the_peer_closed_with_bytes_unread),
    BEHAVIOUR(unix_send_after_the_peer_closed_with_bytes_unread),
    BEHAVIOUR(unix_recv_bytes_after_the_peer_closed_with_bytes_unread),
    BEHAVIOUR(unix_half_close_and_still_receive),
    BEHAVIOUR(unix_send_to_one_who_shut_down_reading),
    BEHAVIOUR(unix_shutdown_after_the_peer_closed),
    BEHAVIOUR(unix_send_and_recv_unconnected),
    BEHAVIOUR(unix_bind_to_what_a_program_left_behind),
    BEHAVIOUR(unix_bind_to_a_path_in_use),
    BEHAVIOUR(unix_bind_to_an_abstract_name_in_use),
    BEHAVIOUR(unix_bind_where_there_is_no_directory),
    BEHAVIOUR(unix_path_of_107_and_of_108_bytes),
    BEHAVIOUR(unix_close_unlinks_the_path),
    BEHAVIOUR(unix_abstract_name),
    BEHAVIOUR(unix_connect_times_out_when_the_backlog_is_full),
    BEHAVIOUR(unix_datagram_where_there_is_no_file_and_to_one_left_behind),
    BEHAVIOUR(unix_datagram_to_one_who_never_reads),
    BEHAVIOUR(unix_datagram_to_one_who_reads_late),
    BEHAVIOUR(unix_datagram_to_ones_peer_who_reads_late),
    BEHAVIOUR(unix_datagram_to_one_who_is_gone),
    BEHAVIOUR(unix_datagram_shutdown_when_the_peer_is_gone),
    BEHAVIOUR(unix_datagram_to_ones_peer_who_shut_down_reading),
    BEHAVIOUR(unix_datagram_to_a_stream),
    BEHAVIOUR(unix_datagram_to_one_who_is_connected_elsewhere),
    BEHAVIOUR(unix_datagram_that_is_empty_and_one_longer_than_the_buffer),
    BEHAVIOUR(unix_datagram_of_64_kib_and_of_8_mib),
    BEHAVIOUR(unix_datagram_names_of_senders),
    BEHAVIOUR(close_twice),
    BEHAVIOUR(use_after_close),
    BEHAVIOUR(descriptor_before_bind),
    BEHAVIOUR(descriptor_after_close),
    BEHAVIOUR(descriptor_of_nothing),
    BEHAVIOUR(close_while_a_duplicate_of_the_descriptor_is_open),
    BEHAVIOUR(name_of_the_peer_when_unconnected),
    BEHAVIOUR(name_of_the_peer_after_its_reset),
    BEHAVIOUR(name_of_the_peer_after_it_closed),
    BEHAVIOUR(name_of_the_peer_after_both_ends_are_closed),
    BEHAVIOUR(names_of_both_ends_agree),
    BEHAVIOUR(own_name_after_a_reset),
    BEHAVIOUR(name_of_a_listeners_peer),
    BEHAVIOUR(own_name_when_unbound),
    BEHAVIOUR(names_of_a_pair),
    BEHAVIOUR(peer_by_ipv6),
    BEHAVIOUR(peer_by_ipv4_at_a_listener_of_both_families),
    BEHAVIOUR(option_tcp_nodelay_of_both_ends),
    BEHAVIOUR(option_reuseaddr_of_a_listener),
    BEHAVIOUR(descriptors_are_closed_on_exec),
    BEHAVIOUR(decode_text),
    BEHAVIOUR(decode_what_is_not_utf_8),
    BEHAVIOUR(decode_a_zero_byte),
#undef BEHAVIOUR
};

static bool is_among(const char *name, char **names)
{
    while (*names && strcmp(*names, name))
        names++;
    return *names;
}

/* The arguments are behaviours to leave out. */
int main(int argc, char **argv)
{
    (void)argc;
    for (size_t i = 0; i < sizeof behaviours / sizeof *behaviours; i++) {
        if (is_among(behaviours[i].name, argv + 1))
            continue;
        outcome_count = 0;
        printf("%s: ", behaviours[i].name);
        fflush(stdout);
        behaviours[i].show();
        printf("\n");
        while (opened_count)
            salut_close(opened[--opened_count]);
        salut_clear_error();
    }
    return 0;
}
