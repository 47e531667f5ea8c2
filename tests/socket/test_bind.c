/* test_bind.c: bind and listen: the address that a socket of one's own gets, and what is said
 * when it can't have it. */
#include "support/sockets.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct ending privileged_port; /* a child's end, from before the library's first word */

/* A system without IPv6: the library's calls of socket() come by here on their way. */
static int ipv6_failure; /* errno, 0 for none */

int socket(int family, int type, int protocol)
{
    if (family == AF_INET6 && ipv6_failure) {
        errno = ipv6_failure;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

/* ---- The Internet -------------------------------------------------------------------------- */

static void assert_local(salut_sock *s, const char *host)
{
    salut_addr local;

    assert_works(salut_local(s, &local));
    assert_string_equal(salut_addr_host(&local), host);
    assert_true(salut_addr_port(&local) > 0);
}

static void bind_to_port_0_lets_the_system_choose_and_local_tells(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_local(s, "127.0.0.1");
    assert_works(salut_close(s));
}

static void bind_takes_ipv6_addresses(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_bind(s, "::1", 0));
    assert_local(s, "::1");
    assert_works(salut_close(s));
}

static void bind_takes_localhost_for_127_0_0_1(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_bind(s, "localhost", 0));
    assert_local(s, "127.0.0.1");
    assert_works(salut_close(s));
}

static void assert_client_is_seen_as(salut_sock *listener, const char *host)
{
    salut_sock *client = salut_socket(SALUT_TCP), *served;
    salut_addr peer, here;

    assert_works(salut_connect(client, host, port_of(listener)));
    served = salut_accept(listener, &peer);
    assert_non_null(served);
    assert_string_equal(salut_addr_host(&peer), host);
    assert_int_equal(salut_addr_port(&peer), port_of(client));
    assert_local(served, host);
    assert_works(salut_peer(served, &here));
    assert_string_equal(salut_addr_host(&here), host);
    assert_works(salut_close(served));
    assert_works(salut_close(client));
}

static void bind_without_host_is_every_interface_and_shows_each_client_in_its_family(void **state)
{
    const char *everywhere[] = {NULL, ""};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        salut_sock *s = salut_socket(SALUT_TCP);
        assert_works(salut_bind(s, everywhere[i], 0));
        assert_works(salut_listen(s, 0));
        assert_client_is_seen_as(s, "127.0.0.1");
        assert_client_is_seen_as(s, "::1");
        assert_works(salut_close(s));
    }
}

static void every_interface_is_ipv4_alone_where_there_is_no_ipv6(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    ipv6_failure = EAFNOSUPPORT;
    assert_works(salut_bind(s, NULL, 0));
    assert_works(salut_listen(s, 0));
    assert_client_is_seen_as(s, "127.0.0.1");
    assert_works(salut_close(s));
    s = salut_socket(SALUT_TCP);
    assert_fails(salut_bind(s, "::1", 0), EAFNOSUPPORT, "[::1]:0");
    ipv6_failure = ENOBUFS; /* what is no lack of IPv6 is told */
    assert_fails(salut_bind(s, NULL, 0), ENOBUFS, "every interface");
    ipv6_failure = 0;
    assert_works(salut_close(s));
}

static void bind_to_the_ipv6_wildcard_itself_is_ipv6_alone(void **state)
{
    salut_sock *s = listening("::");
    salut_sock *client = salut_socket(SALUT_TCP);

    (void)state;
    assert_fails(salut_connect(client, "127.0.0.1", port_of(s)), ECONNREFUSED, "127.0.0.1");
    assert_works(salut_close(client));
    assert_works(salut_close(s));
}

static void a_port_is_from_0_to_65535(void **state)
{
    static const int wrong[] = {-1, 65536, INT_MIN, INT_MAX};
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", wrong[i]);
        assert_fails(salut_bind(s, "127.0.0.1", wrong[i]), EINVAL, number);
        assert_says("127.0.0.1");
        assert_fails(salut_bind(s, NULL, wrong[i]), EINVAL, number);
    }
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_works(salut_close(s));
}

static void a_host_of_300_characters_is_refused_unasked(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    char host[301];

    (void)state;
    memset(host, 'a', 300);
    host[300] = '\0';
    assert_fails(salut_bind(s, host, 0), EINVAL, "300 bytes");
    assert_works(salut_close(s));
}

static void an_address_of_another_machine_can_not_be_bound(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_fails(salut_bind(s, "192.0.2.1", 4711), EADDRNOTAVAIL, "192.0.2.1:4711");
    assert_works(salut_close(s));
}

static void a_port_in_use_is_named(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", NULL};
    static const char *const shown[] = {"127.0.0.1:%d", "[::1]:%d", "every interface, port %d"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        salut_sock *first = listening(hosts[i]), *second = salut_socket(SALUT_TCP);
        char name[64];
        snprintf(name, sizeof name, shown[i], port_of(first));
        assert_fails(salut_bind(second, hosts[i], port_of(first)), EADDRINUSE, name);
        assert_says("in use");
        assert_works(salut_close(second));
        assert_works(salut_close(first));
    }
}

static void a_port_of_datagrams_in_use_is_named(void **state)
{
    salut_addr address;
    salut_sock *first = datagrams_at("127.0.0.1", &address), *second = salut_socket(SALUT_UDP);
    int port = salut_addr_port(&address);

    (void)state;
    assert_fails(salut_bind(second, "127.0.0.1", port), EADDRINUSE, at_loopback(port));
    assert_works(salut_close(second));
    assert_works(salut_close(first));
}

static void a_server_can_start_again_at_once_where_its_clients_just_were(void **state)
{
    salut_sock *first = listening("127.0.0.1");
    int port = port_of(first);
    int client = plain_connection(port);
    salut_sock *served = salut_accept(first, NULL);

    (void)state;
    assert_works(salut_close(served)); /* the side that closes first keeps the port in TIME_WAIT */
    close(client);
    assert_works(salut_close(first));
    first = salut_socket(SALUT_TCP);
    assert_works(salut_bind(first, "127.0.0.1", port));
    assert_works(salut_listen(first, 1));
    assert_works(salut_close(first));
}

static void bind_twice_is_refused(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP), *a, *b;

    (void)state;
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_fails(salut_bind(s, "127.0.0.1", 0), EINVAL, "address already");
    assert_works(salut_listen(s, 0)); /* it is none the worse for it */
    assert_fails(salut_bind(s, "127.0.0.1", 0), EINVAL, "address already");
    assert_works(salut_close(s));
    connected(&a, &b);
    assert_fails(salut_bind(a, "127.0.0.1", 0), EINVAL, "address already");
    assert_returns(salut_send(a, "x", 1), 1);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void after_a_failed_bind_listen_and_accept_give_its_failure(void **state)
{
    salut_sock *first = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);
    int port = port_of(first);
    salut_addr address;

    (void)state;
    assert_fails(salut_bind(s, "127.0.0.1", port), EADDRINUSE, at_loopback(port));
    assert_fails(salut_listen(s, 1), EADDRINUSE, at_loopback(port));
    assert_none(salut_accept(s, NULL), EADDRINUSE, at_loopback(port));
    assert_fails(salut_connect(s, "127.0.0.1", port), EADDRINUSE, at_loopback(port));
    assert_fails(salut_send(s, "x", 1), EADDRINUSE, at_loopback(port));
    assert_fails(salut_recv(s, (char[1]){0}, 1), EADDRINUSE, at_loopback(port));
    assert_fails(salut_local(s, &address), EADDRINUSE, at_loopback(port));
    assert_fails(salut_fd(s), EADDRINUSE, at_loopback(port));
    assert_works(salut_close(s));
    assert_works(salut_close(first));
}

static void a_failed_bind_is_told_though_another_socket_failed_since(void **state)
{
    salut_sock *first = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_fails(salut_bind(s, "127.0.0.1", port_of(first)), EADDRINUSE, "127.0.0.1");
    assert_fails(salut_send(first, "x", 1), ENOTCONN, "listener");
    assert_fails(salut_listen(s, 1), EADDRINUSE, "in use");
    salut_clear_error();
    assert_fails(salut_listen(s, 1), EADDRINUSE, "in use");
    assert_works(salut_close(s));
    assert_works(salut_close(first));
}

static void after_a_failed_bind_the_socket_can_be_bound_again(void **state)
{
    salut_sock *first = listening("127.0.0.1"), *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_fails(salut_bind(s, "127.0.0.1", port_of(first)), EADDRINUSE, "127.0.0.1");
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_works(salut_listen(s, 1));
    assert_client_is_seen_as(s, "127.0.0.1");
    assert_works(salut_close(s));
    assert_works(salut_close(first));
}

static void bind_port_80_as_nobody(void)
{
    salut_sock *s;

    if (setgid(65534) || setuid(65534))
        _exit(77);
    s = salut_socket(SALUT_TCP);
    CHILD_ASSERT(s);
    CHILD_ASSERT(salut_bind(s, "127.0.0.1", 80) == -1 && errno == EACCES);
    CHILD_ASSERT(strstr(salut_error(), "127.0.0.1:80: permission denied"));
    CHILD_ASSERT(salut_bind(s, "127.0.0.1", 0) == 0);
    CHILD_ASSERT(salut_close(s) == 0);
}

static void a_port_under_1024_needs_the_right_to_it(void **state)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
    int first = 1024;

    (void)state;
    if (file) {
        assert_int_equal(fscanf(file, "%d", &first), 1);
        fclose(file);
    }
    if (first <= 80 ||
        (WIFEXITED(privileged_port.status) && WEXITSTATUS(privileged_port.status) == 77)) {
        print_message("skipped: port 80 is anybody's here, or this isn't root, who could be "
                      "nobody for a moment\n");
        skip();
    }
    if (privileged_port.status)
        fail_msg("status 0x%x: %s", privileged_port.status, privileged_port.said);
}

/* ---- listen -------------------------------------------------------------------------------- */

static void listen_without_bind_is_on_127_0_0_1(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_listen(s, 1));
    assert_local(s, "127.0.0.1");
    assert_client_is_seen_as(s, "127.0.0.1");
    assert_works(salut_close(s));
}

static void listen_takes_any_backlog(void **state)
{
    static const int backlogs[] = {INT_MIN, -1, 0, 1, INT_MAX};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        salut_sock *s = salut_socket(SALUT_TCP);
        assert_works(salut_bind(s, "127.0.0.1", 0));
        assert_works(salut_listen(s, backlogs[i]));
        assert_client_is_seen_as(s, "127.0.0.1");
        assert_works(salut_close(s));
    }
}

static void listen_again_changes_the_backlog_and_nothing_else(void **state)
{
    salut_sock *s = listening("127.0.0.1");

    (void)state;
    assert_works(salut_listen(s, 5));
    assert_client_is_seen_as(s, "127.0.0.1");
    assert_works(salut_close(s));
}

static void datagrams_need_no_listener(void **state)
{
    salut_sock *udp = salut_socket(SALUT_UDP), *local = salut_socket(SALUT_UNIX_DATAGRAM);

    (void)state;
    assert_works(salut_bind(udp, "127.0.0.1", 0));
    assert_fails(salut_listen(udp, 1), EOPNOTSUPP, "datagrams");
    assert_fails(salut_listen(local, 1), EOPNOTSUPP, "datagrams");
    assert_works(salut_close(udp));
    assert_works(salut_close(local));
}

static void what_is_connected_does_not_listen(void **state)
{
    salut_sock *a, *b;

    (void)state;
    connected(&a, &b);
    assert_fails(salut_listen(a, 1), EINVAL, "connected");
    assert_fails(salut_listen(b, 1), EINVAL, "connected");
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void a_second_listener_at_one_port_is_refused_at_the_latest_by_listen(void **state)
{
    salut_sock *first = salut_socket(SALUT_TCP), *second = salut_socket(SALUT_TCP);
    int port;

    (void)state;
    assert_works(salut_bind(first, "127.0.0.1", 0));
    port = port_of(first);
    assert_works(salut_bind(second, "127.0.0.1", port)); /* SO_REUSEADDR allows that much */
    assert_works(salut_listen(first, 1));
    assert_fails(salut_listen(second, 1), EADDRINUSE, at_loopback(port));
    assert_works(salut_close(first));
    assert_works(salut_listen(second, 1));
    assert_works(salut_close(second));
}

/* ---- Unix paths ---------------------------------------------------------------------------- */

static void assert_unix_client_is_served(salut_sock *listener, const char *path)
{
    salut_sock *client = salut_socket(SALUT_UNIX), *served;
    salut_addr address;

    assert_works(salut_connect(client, path, 0));
    served = salut_accept(listener, &address);
    assert_non_null(served);
    assert_string_equal(salut_addr_host(&address), ""); /* a client's end has no name */
    assert_int_equal(salut_addr_port(&address), 0);
    assert_works(salut_local(served, &address));
    assert_string_equal(salut_addr_host(&address), path);
    assert_works(salut_peer(client, &address));
    assert_string_equal(salut_addr_host(&address), path);
    assert_works(salut_close(served));
    assert_works(salut_close(client));
}

static salut_sock *listening_at_path(const char *path)
{
    salut_sock *s = salut_socket(SALUT_UNIX);

    assert_works(salut_bind(s, path, 0));
    assert_works(salut_listen(s, 5));
    return s;
}

static void a_path_is_made_by_bind_and_removed_by_close(void **state)
{
    const char *path = own_path("greetings");
    salut_sock *s = listening_at_path(path);

    (void)state;
    assert_int_equal(access(path, F_OK), 0);
    assert_unix_client_is_served(s, path);
    assert_works(salut_close(s));
    assert_int_equal(access(path, F_OK), -1);
}

static void an_abstract_name_makes_no_file(void **state)
{
    char name[64];
    salut_sock *s;

    (void)state;
    snprintf(name, sizeof name, "@salut-test-%d", (int)getpid());
    s = listening_at_path(name);
    assert_unix_client_is_served(s, name);
    assert_int_equal(access(name, F_OK), -1);
    assert_works(salut_close(s));
}

static void close_leaves_a_file_alone_that_is_another_program_s_by_now(void **state)
{
    const char *path = own_path("mine-no-more");
    salut_sock *first = listening_at_path(path), *second;

    (void)state;
    assert_int_equal(unlink(path), 0);
    second = listening_at_path(path);
    assert_works(salut_close(first));
    assert_unix_client_is_served(second, path);
    assert_works(salut_close(second));
}

static void a_path_in_use_is_named(void **state)
{
    const char *path = own_path("taken");
    salut_sock *first = listening_at_path(path), *second = salut_socket(SALUT_UNIX);

    (void)state;
    assert_fails(salut_bind(second, path, 0), EADDRINUSE, path);
    assert_says("another program is using that path");
    assert_works(salut_close(second));
    assert_int_equal(access(path, F_OK), 0);
    assert_works(salut_close(first));
}

static void a_path_of_datagrams_in_use_is_named(void **state)
{
    const char *path = own_path("taken");
    salut_sock *first = salut_socket(SALUT_UNIX_DATAGRAM);
    salut_sock *second = salut_socket(SALUT_UNIX_DATAGRAM);

    (void)state;
    assert_works(salut_bind(first, path, 0));
    assert_fails(salut_bind(second, path, 0), EADDRINUSE, path);
    assert_says("another program is using that path");
    assert_works(salut_close(second));
    assert_works(salut_close(first));
}

/* What a program leaves that ended without close. */
static void leave_a_socket_file(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    close(descriptor);
}

static void a_stale_path_is_told_from_one_in_use(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    static const salut_kind kinds[] = {SALUT_UNIX, SALUT_UNIX_DATAGRAM};
    const char *path = own_path("stale");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        salut_sock *s = salut_socket(kinds[i]);
        leave_a_socket_file(path, types[i]);
        assert_fails(salut_bind(s, path, 0), EADDRINUSE, path);
        assert_says("delete the file");
        assert_int_equal(unlink(path), 0);
        assert_works(salut_bind(s, path, 0));
        assert_works(salut_close(s));
    }
}

static void a_plain_file_in_the_way_is_told_and_left_alone(void **state)
{
    const char *path = own_path("plain");
    salut_sock *s = salut_socket(SALUT_UNIX);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_true(file >= 0);
    close(file);
    assert_fails(salut_bind(s, path, 0), EADDRINUSE, path);
    assert_says("there is a file with that name");
    assert_works(salut_close(s));
    assert_int_equal(unlink(path), 0);
}

static void a_path_in_no_directory_is_named(void **state)
{
    const char *path = own_path("no/such/place");
    salut_sock *s = salut_socket(SALUT_UNIX);

    (void)state;
    assert_fails(salut_bind(s, path, 0), ENOENT, path);
    assert_fails(salut_listen(s, 1), ENOENT, path);
    assert_works(salut_close(s));
}

static void a_path_has_at_most_107_bytes(void **state)
{
    salut_sock *s = salut_socket(SALUT_UNIX);
    char path[109];
    int room;

    (void)state;
    snprintf(path, sizeof path, "%s/", own_path("x"));
    room = (int)(strlen(path) - 2);
    memset(path + room, 'p', sizeof path - (size_t)room);
    path[108] = '\0';
    assert_fails(salut_bind(s, path, 0), ENAMETOOLONG, "108 bytes");
    path[107] = '\0';
    assert_works(salut_bind(s, path, 0));
    assert_works(salut_listen(s, 1));
    assert_unix_client_is_served(s, path);
    assert_works(salut_close(s));
    assert_int_equal(access(path, F_OK), -1);
}

static void a_unix_socket_without_a_path_is_told(void **state)
{
    salut_sock *s = salut_socket(SALUT_UNIX);

    (void)state;
    assert_fails(salut_bind(s, NULL, 0), EINVAL, "path");
    assert_fails(salut_bind(s, "", 0), EINVAL, "path");
    assert_fails(salut_bind(s, "@", 0), EINVAL, "path");
    assert_works(salut_close(s));
    s = salut_socket(SALUT_UNIX);
    assert_fails(salut_listen(s, 1), EINVAL, "path");
    assert_works(salut_close(s));
}

static void a_path_that_could_steer_a_terminal_is_shown_without_its_control_bytes(void **state)
{
    const char *path = own_path("no/\033[31m\nred");
    salut_sock *s = salut_socket(SALUT_UNIX);

    (void)state;
    assert_fails(salut_bind(s, path, 0), ENOENT, "red");
    assert_null(strchr(salut_error(), '\033'));
    assert_null(strchr(salut_error(), '\n'));
    assert_works(salut_close(s));
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(bind_to_port_0_lets_the_system_choose_and_local_tells),
        cmocka_unit_test(bind_takes_ipv6_addresses),
        cmocka_unit_test(bind_takes_localhost_for_127_0_0_1),
        cmocka_unit_test(bind_without_host_is_every_interface_and_shows_each_client_in_its_family),
        cmocka_unit_test(every_interface_is_ipv4_alone_where_there_is_no_ipv6),
        cmocka_unit_test(bind_to_the_ipv6_wildcard_itself_is_ipv6_alone),
        cmocka_unit_test(a_port_is_from_0_to_65535),
        cmocka_unit_test(a_host_of_300_characters_is_refused_unasked),
        cmocka_unit_test(an_address_of_another_machine_can_not_be_bound),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_port_of_datagrams_in_use_is_named),
        cmocka_unit_test(a_server_can_start_again_at_once_where_its_clients_just_were),
        cmocka_unit_test(bind_twice_is_refused),
        cmocka_unit_test(after_a_failed_bind_listen_and_accept_give_its_failure),
        cmocka_unit_test(a_failed_bind_is_told_though_another_socket_failed_since),
        cmocka_unit_test(after_a_failed_bind_the_socket_can_be_bound_again),
        cmocka_unit_test(a_port_under_1024_needs_the_right_to_it),
        cmocka_unit_test(listen_without_bind_is_on_127_0_0_1),
        cmocka_unit_test(listen_takes_any_backlog),
        cmocka_unit_test(listen_again_changes_the_backlog_and_nothing_else),
        cmocka_unit_test(datagrams_need_no_listener),
        cmocka_unit_test(what_is_connected_does_not_listen),
        cmocka_unit_test(a_second_listener_at_one_port_is_refused_at_the_latest_by_listen),
        cmocka_unit_test(a_path_is_made_by_bind_and_removed_by_close),
        cmocka_unit_test(an_abstract_name_makes_no_file),
        cmocka_unit_test(close_leaves_a_file_alone_that_is_another_program_s_by_now),
        cmocka_unit_test(a_path_in_use_is_named),
        cmocka_unit_test(a_path_of_datagrams_in_use_is_named),
        cmocka_unit_test(a_stale_path_is_told_from_one_in_use),
        cmocka_unit_test(a_plain_file_in_the_way_is_told_and_left_alone),
        cmocka_unit_test(a_path_in_no_directory_is_named),
        cmocka_unit_test(a_path_has_at_most_107_bytes),
        cmocka_unit_test(a_unix_socket_without_a_path_is_told),
        cmocka_unit_test(a_path_that_could_steer_a_terminal_is_shown_without_its_control_bytes),
    };

    privileged_port = end_of_child(bind_port_80_as_nobody);
    return RUN_SOCKET_TESTS(tests);
}
