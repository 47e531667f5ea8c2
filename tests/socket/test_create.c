/* test_create.c: create_server and create_connection: addresses as one string, of every form and
 * of none. */
#include "support/sockets.h"

static void assert_they_talk(salut_sock *server, salut_sock *client)
{
    salut_sock *served = salut_accept(server, NULL);
    char text[8];

    assert_non_null(served);
    assert_returns(salut_send(client, "salut", 5), 5);
    assert_returns(salut_recv(served, text, sizeof text), 5);
    assert_memory_equal(text, "salut", 5);
    assert_works(salut_close(served));
    assert_works(salut_close(client));
}

static salut_sock *connection_to(const char *form, int port)
{
    char address[128];
    salut_sock *s;

    snprintf(address, sizeof address, form, port);
    s = salut_create_connection(address);
    if (!s)
        fail_msg("%s: %s", address, salut_error());
    return s;
}

/* ---- Every form ---------------------------------------------------------------------------- */

static void host_and_port(void **state)
{
    static const char *const servers[] = {"127.0.0.1:0", "localhost:0"};
    static const char *const clients[] = {"127.0.0.1:%d", "localhost:%d", ":%d"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        salut_sock *server = salut_create_server(servers[i]);
        salut_addr local;
        assert_non_null(server);
        assert_works(salut_local(server, &local));
        assert_string_equal(salut_addr_host(&local), "127.0.0.1");
        for (size_t j = 0; j < 3; j++)
            assert_they_talk(server, connection_to(clients[j], port_of(server)));
        assert_works(salut_close(server));
    }
}

static void an_ipv6_address_goes_in_brackets(void **state)
{
    salut_sock *server = salut_create_server("[::1]:0");

    (void)state;
    assert_non_null(server);
    assert_they_talk(server, connection_to("[::1]:%d", port_of(server)));
    assert_works(salut_close(server));
}

static void a_server_without_host_is_on_every_interface(void **state)
{
    static const char *const clients[] = {":%d", "127.0.0.1:%d", "[::1]:%d"};
    salut_sock *server = salut_create_server(":0");

    (void)state;
    assert_non_null(server);
    for (size_t i = 0; i < 3; i++)
        assert_they_talk(server, connection_to(clients[i], port_of(server)));
    assert_works(salut_close(server));
}

static void a_path_and_an_abstract_name(void **state)
{
    char path[128], name[64];
    const char *addresses[] = {path, name};

    (void)state;
    snprintf(path, sizeof path, "unix:%s", own_path("create"));
    snprintf(name, sizeof name, "unix:@salut-create-%d", (int)getpid());
    for (size_t i = 0; i < 2; i++) {
        salut_sock *server = salut_create_server(addresses[i]);
        assert_non_null(server);
        assert_they_talk(server, salut_create_connection(addresses[i]));
        assert_works(salut_close(server));
    }
}

static void datagrams(void **state)
{
    static const char *const servers[] = {"udp:127.0.0.1:0", "udp:[::1]:0", "udp:localhost:0"};
    static const char *const clients[] = {"udp:127.0.0.1:%d", "udp:[::1]:%d", "udp:localhost:%d"};
    char text[8];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        salut_sock *server = salut_create_server(servers[i]), *client;
        salut_addr from;
        assert_non_null(server);
        client = connection_to(clients[i], port_of(server));
        assert_returns(salut_send(client, "salut", 5), 5);
        assert_returns(salut_recvfrom(server, text, sizeof text, &from), 5);
        assert_int_equal(salut_addr_port(&from), port_of(client));
        assert_works(salut_close(client));
        assert_works(salut_close(server));
    }
}

/* ---- From the service manager ---------------------------------------------------------------- */

static struct ending inherited; /* a child's end, from before the library's first word */

/* As sd_listen_fds(3) has it: two listeners, descriptors 3 and 4, for this very process. */
static void be_started_with_two_listeners(void)
{
    int ports[2], listeners[2];
    char number[16];
    salut_sock *s, *served;

    for (int i = 0; i < 2; i++)
        listeners[i] = fcntl(plain_listener(&ports[i]), F_DUPFD, 10);
    for (int i = 0; i < 2; i++)
        CHILD_ASSERT(dup2(listeners[i], 3 + i) == 3 + i);
    for (int fd = 5; fd < 20; fd++)
        close(fd);
    CHILD_ASSERT(!salut_create_server("systemd:") && errno == ENOENT);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", "1", 1); /* they are another process's */
    CHILD_ASSERT(!salut_create_server("systemd:") && errno == ENOENT);
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    CHILD_ASSERT(!salut_create_server("systemd:2") && errno == ENOENT);
    CHILD_ASSERT(strstr(salut_error(), "systemd:2: the service manager passed 2 sockets"));
    CHILD_ASSERT(!salut_create_server("systemd:-1") && errno == EINVAL);
    CHILD_ASSERT(!salut_create_server("systemd:x") && errno == EINVAL);
    CHILD_ASSERT(!salut_create_server("systemd: 1") && errno == EINVAL);
    CHILD_ASSERT(!salut_create_server("systemd:+1") && errno == EINVAL);
    CHILD_ASSERT(!salut_create_server("systemd:4294967297") && errno == EINVAL);
    CHILD_ASSERT((s = salut_create_server("systemd:1")));
    plain_connection(ports[1]);
    CHILD_ASSERT((served = salut_accept(s, NULL)));
    CHILD_ASSERT(salut_close(served) == 0 && salut_close(s) == 0);
    CHILD_ASSERT((s = salut_create_server("systemd:")));
    plain_connection(ports[0]);
    CHILD_ASSERT((served = salut_accept(s, NULL)));
    CHILD_ASSERT(fcntl(salut_fd(s), F_GETFD) == FD_CLOEXEC);
}

static void a_listener_is_taken_over_from_the_service_manager(void **state)
{
    (void)state;
    if (inherited.status)
        fail_msg("status 0x%x: %s", inherited.status, inherited.said);
}

/* ---- And of none --------------------------------------------------------------------------- */

struct mistake {
    const char *address;
    const char *part; /* of the sentence */
};

static void what_is_no_address_is_said_to_be_none(void **state)
{
    static char long_host[310];
    const struct mistake mistakes[] = {
        {"", "the address is empty"},
        {NULL, "the address is empty"},
        {"abc", "abc: there is no port"},
        {"localhost", "localhost: there is no port"},
        {"[::1]", "[::1]: there is no port"},
        {"[::1]80", "[::1]80: there is no port"},
        {"[::1]:80:81", "the port is a number"},
        {"[::1]]:80", "there is no port"},
        {"localhost:", "localhost:: the port is a number"},
        {":", ":: the port is a number"},
        {"localhost:abc", "localhost:abc: the port is a number"},
        {"localhost:12x", "the port is a number from 0 to 65535"},
        {"localhost: 80", "the port is a number"},
        {"localhost:-1", "localhost:-1: the port is a number from 0 to 65535"},
        {"localhost:+80", "the port is a number"},
        {"localhost:65536", "localhost:65536: the port is a number from 0 to 65535"},
        {"localhost:99999999999999999999", "the port is a number from 0 to 65535"},
        {"localhost:80:81", "more than one port"},
        {"::1:80", "an IPv6 address goes in [ ]"},
        {"[::1:80", "the [ has no ]"},
        {"[:80", "the [ has no ]"},
        {"local host:80", "a space or a control character"},
        {"local\nhost:80", "a space or a control character"},
        {"\033[31mlocalhost:80", "a space or a control character"},
        {long_host, "300 bytes"},
        {"udp:", "no port"},
        {"udp:localhost", "no port"},
        {"unix:", "path is empty"},
        {"unix:@", "path is empty"},
    };

    (void)state;
    memset(long_host, 'a', 300);
    strcpy(long_host + 300, ":80");
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        salut_clear_error();
        assert_none(salut_create_server(mistakes[i].address), EINVAL, mistakes[i].part);
        assert_null(strpbrk(salut_error(), "\n\033"));
        salut_clear_error();
        assert_none(salut_create_connection(mistakes[i].address), EINVAL, mistakes[i].part);
        assert_null(strpbrk(salut_error(), "\n\033"));
    }
}

static void control_bytes_of_a_wrong_address_reach_no_terminal(void **state)
{
    (void)state;
    assert_none(salut_create_server("\033[31m\nred"), EINVAL, "there is no port");
    assert_null(strpbrk(salut_error(), "\n\033"));
    assert_none(salut_create_connection("a:8\r\n0"), EINVAL, "the port is a number");
    assert_null(strpbrk(salut_error(), "\n\r"));
}

static void tls_is_what_this_build_can_not_speak(void **state)
{
    (void)state;
    assert_none(salut_create_server("tls:localhost:443"), EPROTONOSUPPORT, "tls:localhost:443");
    assert_none(salut_create_connection("tls:localhost:443"), EPROTONOSUPPORT, "TLS");
}

static void a_server_that_can_not_bind_leaves_nothing_and_says_why(void **state)
{
    salut_sock *first = salut_create_server("127.0.0.1:0");
    char address[64];

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%d", port_of(first));
    assert_none(salut_create_server(address), EADDRINUSE, address);
    assert_none(salut_accept(NULL, NULL), EADDRINUSE, address); /* ten lines without a check */
    snprintf(address, sizeof address, "unix:%s", own_path("no/such/place"));
    assert_none(salut_create_server(address), ENOENT, "no/such/place");
    assert_works(salut_close(first));
}

static void a_connection_that_can_not_be_made_leaves_nothing_and_says_why(void **state)
{
    char address[64];
    int port;
    int silent = refusing("127.0.0.1", &port);

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    assert_none(salut_create_connection(address), ECONNREFUSED, address);
    assert_fails(salut_send(NULL, "x", 1), ECONNREFUSED, address);
    assert_none(salut_create_connection("127.0.0.1:0"), EINVAL, "0 is not a port");
    close(silent);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_port),
        cmocka_unit_test(an_ipv6_address_goes_in_brackets),
        cmocka_unit_test(a_server_without_host_is_on_every_interface),
        cmocka_unit_test(a_path_and_an_abstract_name),
        cmocka_unit_test(datagrams),
        cmocka_unit_test(a_listener_is_taken_over_from_the_service_manager),
        cmocka_unit_test(what_is_no_address_is_said_to_be_none),
        cmocka_unit_test(control_bytes_of_a_wrong_address_reach_no_terminal),
        cmocka_unit_test(tls_is_what_this_build_can_not_speak),
        cmocka_unit_test(a_server_that_can_not_bind_leaves_nothing_and_says_why),
        cmocka_unit_test(a_connection_that_can_not_be_made_leaves_nothing_and_says_why),
    };

    inherited = end_of_child(be_started_with_two_listeners);
    return RUN_SOCKET_TESTS(tests);
}
