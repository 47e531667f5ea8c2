#include "sim/simulated.h"

#include <math.h>

/* ---- Names and addresses ------------------------------------------------------------------- */

static bool resolves(const char *name, const char *address)
{
    salut_addr found;

    return !salut_resolve(&found, name, 7) && !strcmp(salut_addr_host(&found), address);
}

static void look_names_up(void *argument)
{
    salut_sim_host *other = salut_sim_add_host("other");
    salut_addr found;

    (void)argument;
    EXPECT(other);
    EXPECT(resolves("main", "fd00::1") || resolves("main", "10.0.0.1"));
    EXPECT(resolves("other", "fd00::2") || resolves("other", "10.0.0.2"));
    EXPECT(!salut_sim_add_name(other, "mail.example", NULL));
    EXPECT(resolves("mail.example", "fd00::2") || resolves("mail.example", "10.0.0.2"));
    EXPECT(!salut_sim_add_name(other, "nowhere.example", "192.0.2.7"));
    EXPECT(resolves("nowhere.example", "192.0.2.7"));
    EXPECT(salut_resolve(&found, "unknown.example", 7) == -1 && errno == ENOENT);
    EXPECT(strstr(salut_error(), "unknown.example"));
}

static void names_are_looked_up(void **state)
{
    (void)state;
    simulate(1, look_names_up);
}

static void adopt_descriptors(void *argument)
{
    salut_sock *listener = salut_create_server("localhost:7");
    salut_sock *client = salut_create_connection("localhost:7");
    salut_sock *datagrams = salut_create_server("udp:localhost:7");
    salut_sock *other, *a, *b;
    salut_addr address;
    char byte;

    (void)argument;
    other = salut_from_fd(salut_fd(listener));
    EXPECT(other && salut_accept(other, NULL));
    other = salut_from_fd(salut_fd(client));
    EXPECT(other && !salut_peer(other, &address) && salut_addr_port(&address) == 7);
    other = salut_from_fd(salut_fd(datagrams));
    EXPECT(other && !salut_local(other, &address) && salut_addr_port(&address) == 7);
    EXPECT(salut_send_line(other, "no stream") == -1 && errno == EOPNOTSUPP);
    EXPECT(!salut_pair(&a, &b));
    other = salut_from_fd(salut_fd(a));
    EXPECT(other && salut_send(other, "x", 1) == 1 && salut_recv(b, &byte, 1) == 1);
    EXPECT(!salut_from_fd(1000) && errno == EBADF);
    salut_clear_error();
}

static void descriptors_are_adopted(void **state)
{
    (void)state;
    simulate(1, adopt_descriptors);
}

static bool speaks_ipv6(salut_kind kind)
{
    salut_sock *s = salut_socket(kind);
    bool does;

    EXPECT(!salut_bind(s, "127.0.0.1", 0));
    does = !salut_connect(s, "::1", 7);
    EXPECT(does || errno == EAFNOSUPPORT);
    salut_close(s);
    return does;
}

static void send_to_nobody(void *argument)
{
    salut_sock *s = salut_socket(SALUT_UDP);
    salut_addr nobody;

    (void)argument;
    EXPECT(!speaks_ipv6(SALUT_TCP) && !speaks_ipv6(SALUT_UDP)); /* bound to IPv4 */
    EXPECT(!salut_resolve(&nobody, "10.9.9.9", 9));
    EXPECT(salut_sendto(s, "x", 1, &nobody) == -1 && errno == ENETUNREACH);
    EXPECT(salut_connect(s, "10.9.9.9", 9) == -1 && errno == ENETUNREACH);
    EXPECT(strstr(salut_error(), "10.9.9.9:9"));
    salut_close(s);
    salut_clear_error();
}

static void an_address_can_be_out_of_reach(void **state)
{
    (void)state;
    simulate(1, send_to_nobody);
}

static void ask_for_the_impossible(void *argument)
{
    salut_sim_host *other = salut_sim_add_host("other"), *none = NULL;
    char long_name[65];

    (void)argument;
    memset(long_name, 'x', 64);
    long_name[64] = '\0';
    EXPECT(!salut_sim_add_host(NULL) && errno == EINVAL);
    EXPECT(!salut_sim_add_host("") && errno == EINVAL);
    EXPECT(!salut_sim_add_host("two words") && errno == EINVAL);
    EXPECT(!salut_sim_add_host(long_name) && errno == EINVAL);
    EXPECT(salut_sim_add_host(long_name + 1));
    EXPECT(!salut_sim_add_host("other") && errno == EEXIST);
    EXPECT(salut_sim_add_name(other, "no:name", NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_add_name(other, "name", "main") == -1 && errno == EINVAL);
    EXPECT(salut_sim_add_name(none, "name", NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_start(other, NULL, NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_start_main(other, NULL, 0, NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_join(salut_sim_here()) == -1 && errno == EDEADLK);
    EXPECT(salut_sim_kill(salut_sim_here()) == -1 && errno == EINVAL);
    EXPECT(salut_sim_crash(salut_sim_here()) == -1 && errno == EINVAL);
    EXPECT(salut_sim_skew(other, -1, 0) == -1 && errno == EINVAL);
    EXPECT(salut_sim_skew(other, (double)NAN, 0) == -1 && errno == EINVAL);
    EXPECT(salut_sim_skew(other, 0, 0.6) == -1 && errno == EINVAL);
    EXPECT(salut_sim_run(1, look_names_up, NULL, NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_random(0) == 0);
    salut_clear_error();
}

static void mistakes_are_told(void **state)
{
    (void)state;
    simulate(1, ask_for_the_impossible);
}

static void add_hosts_until_it_fails(void *argument)
{
    char name[16];
    int count = 1;

    (void)argument;
    for (snprintf(name, sizeof name, "h1"); salut_sim_add_host(name); count++)
        snprintf(name, sizeof name, "h%d", count + 1);
    EXPECT(errno == ENOSPC && count == 1000);
    EXPECT(strstr(salut_error(), "1000 hosts"));
}

static void a_thousand_hosts_are_the_limit(void **state)
{
    (void)state;
    simulate(1, add_hosts_until_it_fails);
}

static void outside_of_a_run_the_words_fail(void **state)
{
    salut_sim_link link = {0};

    (void)state;
    assert_null(salut_sim_add_host("a"));
    assert_int_equal(errno, EPERM);
    assert_non_null(strstr(salut_error(), "simulated network"));
    assert_int_equal(salut_sim_kill(NULL), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(salut_sim_set_link(NULL, NULL, &link), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(salut_sim_split(NULL, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_null(salut_sim_here());
    assert_true(salut_sim_now() < 0);
    assert_int_equal(salut_sim_random(10), 0);
    assert_string_equal(salut_sim_last_words(NULL), "");
    salut_sim_say("nobody hears this");
}

/* ---- A program's life ---------------------------------------------------------------------- */

static int count_arguments(int argc, char **argv)
{
    salut_sleep(1);
    EXPECT(argv[argc] == NULL && !strcmp(argv[argc - 1], "last"));
    return argc;
}

static void fail_to_connect(void *argument)
{
    (void)argument;
    salut_create_connection("main:9");
    salut_check();
}

static void start_programs(void *argument)
{
    salut_sim_host *a = salut_sim_add_host("a"), *b = salut_sim_add_host("b");
    char program[] = "program", last[] = "last", *words[] = {program, last, NULL};
    double begin = salut_sim_now();

    (void)argument;
    EXPECT(salut_sim_join(a) == 0);
    EXPECT(!salut_sim_start_main(a, count_arguments, 2, words));
    last[0] = 'x'; /* the program has a copy */
    EXPECT(salut_sim_start(a, echo_server, NULL) == -1 && errno == EBUSY);
    EXPECT(!salut_sim_start(b, fail_to_connect, NULL));
    EXPECT(salut_sim_join(a) == 2 && took(begin, 1, 1.1));
    EXPECT(salut_sim_join(a) == 2);
    EXPECT(salut_sim_join(b) == 1);
    EXPECT(strstr(salut_sim_last_words(b), "main:9") && strstr(salut_sim_last_words(b), "refused"));
    EXPECT(!*salut_sim_last_words(a));
    last[0] = 'l';
    EXPECT(!salut_sim_start_main(a, count_arguments, 2, words) && salut_sim_join(a) == 2);
}

static void programs_start_and_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, start_programs);
}

static void join_server(void *argument)
{
    salut_sim_join(argument);
    EXPECT(errno == ECANCELED);
}

static void join_server_that_was_killed(void *argument)
{
    EXPECT(salut_sim_join(argument) == 137);
}

/* The first of two, so that the other is still told; and one just when it is told. */
static void cancel_a_join(void *argument)
{
    salut_sim_host *server = add_echo_server();
    salut_fiber *fiber = salut_go(join_server, server);
    salut_fiber *other = salut_go(join_server_that_was_killed, server);

    (void)argument;
    salut_yield();
    EXPECT(!salut_cancel(fiber) && !salut_join(fiber));
    EXPECT(!salut_sim_kill(server) && salut_sim_join(server) == 137);
    EXPECT(!salut_cancel(other) && !salut_join(other));
    salut_clear_error();
}

static void a_join_can_be_cancelled(void **state)
{
    (void)state;
    simulate(1, cancel_a_join);
}

static void join_and_be_killed(void *argument)
{
    salut_sim_join(argument);
    EXPECT(false && "here after salut_sim_kill()");
}

static void kill_one_who_joins(void *argument)
{
    salut_sim_host *server = add_echo_server(), *other = salut_sim_add_host("other");

    (void)argument;
    EXPECT(!salut_sim_start(other, join_and_be_killed, server));
    salut_sleep(0.001);
    EXPECT(!salut_sim_kill(other) && salut_sim_join(other) == 137);
    EXPECT(!salut_sim_kill(server) && salut_sim_join(server) == 137);
}

static void a_killed_program_joins_no_more(void **state)
{
    (void)state;
    simulate(1, kill_one_who_joins);
}

/* ---- What befalls it ----------------------------------------------------------------------- */

static void kill_the_server(void *argument)
{
    salut_sim_host *server = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    char byte;

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_kill(server) && salut_sim_join(server) == 137);
    EXPECT(salut_recv(s, &byte, 1) == 0); /* its system closes in order */
    EXPECT(!salut_create_connection("server:7") && errno == ECONNREFUSED);
    salut_close(s);
    EXPECT(!salut_sim_kill(server)); /* nothing there to kill */
    EXPECT(!salut_sim_start(server, echo_server, NULL));
    salut_sleep(0.001);
    s = salut_create_connection("server:7");
    EXPECT(echoes(s, "again"));
    salut_close(s);
}

static void a_killed_program_s_peers_are_told(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, kill_the_server);
}

/* Half-open: the peer learns of it when it sends, and only once the server is up again. */
static void crash_the_server(void *argument)
{
    salut_sim_host *server = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    char byte;
    double begin;

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_crash(server) && salut_sim_join(server) == 137);
    EXPECT(salut_sim_start(server, echo_server, NULL) == -1 && errno == EHOSTDOWN);
    salut_settimeout(s, 3600);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ETIMEDOUT);
    EXPECT(salut_send(s, "x", 1) == 1);
    salut_settimeout(s, 10);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ETIMEDOUT);
    EXPECT(!salut_sim_boot(server));
    begin = salut_sim_now();
    salut_settimeout(s, -1);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ECONNRESET && took(begin, 0, 120));
    salut_close(s);
}

static void a_crash_leaves_half_open_connections(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, crash_the_server);
}

static void ask_and_hear_nothing(void *argument)
{
    salut_sock *s = salut_create_connection("main:7");
    char byte;

    (void)argument;
    salut_sleep(1);
    EXPECT(salut_send(s, "?", 1) == 1);
    EXPECT(!salut_settimeout(s, 1));
    for (int i = 0; i < 3; i++)
        EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ETIMEDOUT);
    salut_close(s);
}

/* While its program is stopped, the client's patience ends, and its system gives up as well. */
static void be_out_of_reach(void *argument)
{
    salut_sim_host *client = salut_sim_add_host("client");
    salut_sock *listener = salut_create_server("0.0.0.0:7");
    salut_sock *s;

    (void)argument;
    EXPECT(!salut_sim_start(client, ask_and_hear_nothing, NULL));
    s = salut_accept(listener, NULL);
    salut_sleep(0.5);
    EXPECT(!salut_sim_cut(salut_sim_here(), client));
    salut_sleep(1);
    EXPECT(!salut_sim_stop(client));
    salut_sleep(2000);
    EXPECT(!salut_sim_continue(client));
    EXPECT(!salut_sim_join(client));
    salut_close(s);
    salut_close(listener);
    salut_clear_error();
}

static void a_timeout_of_ours_hides_none_of_the_system_s(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, be_out_of_reach);
}

static void crash_for_good(void *argument)
{
    salut_sim_host *server = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    double begin = salut_sim_now();
    char byte;

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_crash(server));
    EXPECT(salut_send(s, "x", 1) == 1);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ETIMEDOUT && took(begin, 600, 1200));
    salut_close(s);
    begin = salut_sim_now();
    EXPECT(!salut_create_connection("server:7") && took(begin, 60, 300));
    EXPECT(errno == ETIMEDOUT);
}

static void who_never_answers_is_given_up(void **state)
{
    (void)state;
    simulate(1, crash_for_good);
}

/* The system of a stopped program still takes what fits; the program answers when it goes on. */
static void stop_the_server(void *argument)
{
    salut_sim_host *server = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    char back[5];

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_stop(server));
    EXPECT(salut_send(s, "alive", 5) == 5);
    salut_settimeout(s, 10);
    EXPECT(salut_recv(s, back, 5) == -1 && errno == ETIMEDOUT);
    EXPECT(!salut_sim_continue(server));
    EXPECT(salut_recv_exactly(s, back, 5) == 5 && !memcmp(back, "alive", 5));
    salut_close(s);
}

static void a_stopped_program_goes_on(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, stop_the_server);
}

static void join_a_stopped_one(void *argument)
{
    salut_sim_host *server = add_echo_server();

    (void)argument;
    salut_sim_stop(server);
    salut_sim_join(server);
}

static void a_deadlock_says_who_is_stopped(void **state)
{
    (void)state;
    simulate_failure(join_a_stopped_one, NULL, EDEADLK,
                     "server/main waits for salut_sim_continue()");
}

/* ---- Its clock ----------------------------------------------------------------------------- */

static void sleep_a_minute(void *argument)
{
    (void)argument;
    salut_sleep(60);
}

static void skew_clocks(void *argument)
{
    salut_sim_host *fast = salut_sim_add_host("fast"), *slow = salut_sim_add_host("slow");
    double begin = salut_sim_now();

    (void)argument;
    EXPECT(!salut_sim_skew(fast, 0, 0.5) && !salut_sim_skew(slow, 0, -0.5));
    salut_sim_start(fast, sleep_a_minute, NULL);
    salut_sim_start(slow, sleep_a_minute, NULL);
    EXPECT(!salut_sim_join(fast) && took(begin, 39.9, 40.1));
    EXPECT(!salut_sim_join(slow) && took(begin, 119.9, 120.1));
    begin = salut_sim_now();
    salut_sim_start(fast, sleep_a_minute, NULL);
    salut_sleep(1);
    EXPECT(!salut_sim_skew(fast, 3600, 0)); /* it is an hour later there */
    EXPECT(!salut_sim_join(fast) && took(begin, 1, 1.1));
}

static void clocks_differ(void **state)
{
    (void)state;
    simulate(1, skew_clocks);
}

/* ---- A server drains ----------------------------------------------------------------------- */

static int serve_result = -2;

static void serve(void *argument)
{
    salut_sock *listener = salut_create_server("0.0.0.0:7");

    (void)argument;
    serve_result = salut_serve(listener, echo_to, NULL, NULL);
    salut_close(listener);
}

static void interrupt_the_server(void *argument)
{
    salut_sim_host *server = salut_sim_add_host("server");
    salut_sock *s;
    char byte;

    (void)argument;
    serve_result = -2;
    salut_sim_start(server, serve, NULL);
    salut_sleep(0.001);
    s = salut_create_connection("server:7");
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_interrupt(server));
    EXPECT(echoes(s, "still served"));
    salut_shutdown(s, SHUT_WR);
    EXPECT(salut_recv(s, &byte, 1) == 0);
    salut_close(s);
    EXPECT(salut_sim_join(server) == 0 && serve_result == 0);
}

static void an_interrupted_server_drains(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, interrupt_the_server);
}

/* ---- No host -------------------------------------------------------------------------------- */

static int no_main(int count, char **words)
{
    (void)words;
    return count;
}

static void speak_of_no_host(void *argument)
{
    salut_sim_host *none = NULL;
    char *words[] = {"program", NULL};

    (void)argument;
    EXPECT(salut_sim_start(none, echo_server, NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_start_main(none, no_main, 1, words) == -1 && errno == EINVAL);
    EXPECT(salut_sim_join(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_interrupt(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_kill(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_crash(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_boot(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_stop(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_continue(none) == -1 && errno == EINVAL);
    EXPECT(salut_sim_skew(none, 1, 0) == -1 && errno == EINVAL);
    EXPECT(strstr(salut_error(), "sim_skew: that is no host of this run"));
    salut_clear_error();
}

static void what_is_no_host_is_refused(void **state)
{
    (void)state;
    simulate(1, speak_of_no_host);
}

static void start_twice(void *argument)
{
    salut_sim_host *host = salut_sim_add_host("host");
    char *words[] = {"program", NULL};

    (void)argument;
    EXPECT(!salut_sim_start(host, echo_server, NULL));
    EXPECT(salut_sim_start_main(host, no_main, 1, words) == -1 && errno == EBUSY);
    EXPECT(!salut_sim_kill(host));
    salut_clear_error();
}

static void a_host_runs_one_program(void **state)
{
    (void)state;
    simulate(1, start_twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_host_is_refused),
        cmocka_unit_test(a_host_runs_one_program),
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test(descriptors_are_adopted),
        cmocka_unit_test(an_address_can_be_out_of_reach),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(a_thousand_hosts_are_the_limit),
        cmocka_unit_test(outside_of_a_run_the_words_fail),
        cmocka_unit_test(programs_start_and_end),
        cmocka_unit_test(a_join_can_be_cancelled),
        cmocka_unit_test(a_killed_program_joins_no_more),
        cmocka_unit_test(a_killed_program_s_peers_are_told),
        cmocka_unit_test(a_crash_leaves_half_open_connections),
        cmocka_unit_test(who_never_answers_is_given_up),
        cmocka_unit_test(a_timeout_of_ours_hides_none_of_the_system_s),
        cmocka_unit_test(a_stopped_program_goes_on),
        cmocka_unit_test(a_deadlock_says_who_is_stopped),
        cmocka_unit_test(clocks_differ),
        cmocka_unit_test(an_interrupted_server_drains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
