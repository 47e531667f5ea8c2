#include "sim/simulated.h"

#include <math.h>

static salut_sim_host *server;

/* A connection to the echo server over a link like this. */
static salut_sock *connect_over(const salut_sim_link *link)
{
    salut_sock *s;

    server = add_echo_server();
    EXPECT(!salut_sim_set_link(salut_sim_here(), server, link));
    s = salut_create_connection("server:7");
    EXPECT(s);
    return s;
}

/* ---- Streams ------------------------------------------------------------------------------- */

static void ask_far_away(void *argument)
{
    const salut_sim_link far = {.latency_seconds = 1};
    salut_sock *s = connect_over(&far);
    double begin = salut_sim_now();

    (void)argument;
    EXPECT(echoes(s, "hello") && took(begin, 2, 2.1));
    salut_close(s);
}

static void a_packet_takes_the_latency(void **state)
{
    (void)state;
    simulate_with(1, ask_far_away, NULL, &(salut_sim_options){.calm = 1});
}

static void ask_on_a_shaky_way(void *argument)
{
    const salut_sim_link shaky = {.latency_seconds = 1, .jitter_seconds = 1};
    salut_sock *s = connect_over(&shaky);
    double least = 4, most = 2, begin;

    (void)argument;
    for (int i = 0; i < 50; i++) {
        begin = salut_sim_now();
        EXPECT(echoes(s, "x") && took(begin, 2, 4.001));
        least = fmin(least, salut_sim_now() - begin);
        most = fmax(most, salut_sim_now() - begin);
    }
    EXPECT(least < 2.7 && most > 3.3);
    salut_close(s);
}

static void and_up_to_the_jitter_more(void **state)
{
    (void)state;
    simulate(1, ask_on_a_shaky_way);
}

static void swallow(void *argument)
{
    salut_sock *listener = salut_create_server("0.0.0.0:9"), *client;
    char buffer[4096];

    (void)argument;
    client = salut_accept(listener, NULL);
    while (salut_recv(client, buffer, sizeof buffer) > 0)
        continue;
    EXPECT(salut_send(client, "done", 4) == 4);
    salut_close(client);
    salut_close(listener);
}

static char million[1000000];

static void send_much(void *argument)
{
    const salut_sim_link slow = {.latency_seconds = 0.01, .bytes_per_second = 100000};
    salut_sim_host *sink = salut_sim_add_host("sink");
    double begin;
    salut_sock *s;
    char done[4];

    (void)argument;
    salut_sim_start(sink, swallow, NULL);
    salut_sim_set_link(sink, NULL, &slow);
    salut_sleep(0.001);
    s = salut_create_connection("sink:9");
    begin = salut_sim_now();
    EXPECT(salut_send(s, million, sizeof million) == sizeof million);
    salut_shutdown(s, SHUT_WR);
    EXPECT(salut_recv_exactly(s, done, 4) == 4);
    EXPECT(took(begin, 10, 13)); /* the receiver's window adds its waits */
    salut_close(s);
}

static void bytes_take_their_time(void **state)
{
    (void)state;
    simulate_with(1, send_much, NULL, &(salut_sim_options){.calm = 1});
}

static void talk_over_a_lossy_way(void *argument)
{
    const salut_sim_link lossy = {.latency_seconds = 0.01, .loss = 0.3};
    salut_sock *s = connect_over(&lossy);
    double begin = salut_sim_now();

    (void)argument;
    for (int i = 0; i < 100; i++)
        EXPECT(echoes(s, "all of it comes"));
    EXPECT(took(begin, 5, 300)); /* repetitions take time, and no byte is lost */
    salut_close(s);
}

static void what_a_stream_loses_comes_later(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, talk_over_a_lossy_way);
}

static void talk_until_it_breaks(void *argument)
{
    const salut_sim_link breaking = {.latency_seconds = 0.001, .resets = 0.05};
    salut_sock *s = connect_over(&breaking);
    int count = 0;

    (void)argument;
    while (echoes(s, "hello") && ++count < 10000)
        continue;
    EXPECT(count < 10000);
    EXPECT(errno == ECONNRESET || errno == EPIPE);
    salut_close(s);
}

static void something_on_the_way_breaks_it_off(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, talk_until_it_breaks);
}

/* A socket with an address of its own asks one address after the other; that the system has given
 * one up is no reason to give up the others. */
static void connect_past_the_dead(void *argument)
{
    salut_sim_host *dead = salut_sim_add_host("dead");
    salut_sock *s = salut_socket(SALUT_TCP);
    double begin;

    (void)argument;
    add_echo_server();
    EXPECT(!salut_sim_crash(dead));
    EXPECT(!salut_sim_add_name(dead, "both", "10.0.0.3"));
    EXPECT(!salut_sim_add_name(dead, "both", "10.0.0.2"));
    begin = salut_sim_now();
    EXPECT(!salut_bind(s, "10.0.0.1", 0));
    EXPECT(!salut_connect(s, "both", 7) && took(begin, 60, 300));
    EXPECT(echoes(s, "hello"));
    salut_close(s);
}

static void a_bound_socket_tries_the_next_address(void **state)
{
    (void)state;
    simulate(1, connect_past_the_dead);
}

/* ---- Cables -------------------------------------------------------------------------------- */

static void pull_the_cable(void *argument)
{
    salut_sim_host *server_ = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    double begin;
    char back[5];

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_cut(salut_sim_here(), server_));
    EXPECT(salut_send(s, "later", 5) == 5);
    salut_settimeout(s, 5);
    EXPECT(salut_recv(s, back, 5) == -1 && errno == ETIMEDOUT);
    EXPECT(!salut_sim_heal(NULL, NULL));
    begin = salut_sim_now();
    salut_settimeout(s, -1);
    EXPECT(salut_recv_exactly(s, back, 5) == 5 && !memcmp(back, "later", 5));
    EXPECT(took(begin, 0, 30));
    salut_close(s);
}

static void a_cut_link_heals(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, pull_the_cable);
}

static void leave_the_cable_out(void *argument)
{
    salut_sim_host *server_ = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    double begin;
    char byte;

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_cut(server_, NULL));
    begin = salut_sim_now();
    EXPECT(salut_send(s, "x", 1) == 1);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ETIMEDOUT && took(begin, 600, 1200));
    salut_close(s);
}

static void after_a_quarter_of_an_hour_the_sender_gives_up(void **state)
{
    (void)state;
    simulate(1, leave_the_cable_out);
}

static void give_up_for_one_who_has_left(void *argument)
{
    salut_sim_host *server_ = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");

    (void)argument;
    EXPECT(echoes(s, "hello"));
    EXPECT(!salut_sim_cut(server_, NULL));
    EXPECT(salut_send(s, "x", 1) == 1 && !salut_close(s));
    salut_sleep(3600);
}

static void the_system_gives_up_also_for_one_who_has_left(void **state)
{
    (void)state;
    simulate(1, give_up_for_one_who_has_left);
}

/* With bytes unread, which breaks the connection off. */
static void leave_unread(void *argument)
{
    salut_sock *listener = salut_create_server("0.0.0.0:7");
    salut_sock *client = salut_accept(listener, NULL);

    (void)argument;
    salut_sleep(1);
    salut_close(client);
    EXPECT(!salut_sim_cut(salut_sim_here(), NULL));
    salut_close(listener);
}

static void hear_no_reset(void *argument)
{
    salut_sock *s;
    char byte;

    (void)argument;
    server = salut_sim_add_host("server");
    EXPECT(!salut_sim_start(server, leave_unread, NULL));
    salut_sleep(0.001);
    s = salut_create_connection("server:7");
    EXPECT(salut_send(s, "unread", 6) == 6);
    salut_settimeout(s, 60);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ETIMEDOUT);
    EXPECT(!salut_sim_heal(server, NULL));
    salut_settimeout(s, -1);
    EXPECT(salut_send(s, "?", 1) == 1);
    EXPECT(salut_recv(s, &byte, 1) == -1 && errno == ECONNRESET); /* the next one is told again */
    salut_close(s);
    salut_clear_error();
}

static void a_reset_can_be_lost(void **state)
{
    (void)state;
    simulate(1, hear_no_reset);
}

static bool reaches(const char *address)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    bool reached;

    salut_settimeout(s, 3);
    reached = !salut_connect(s, address, 7) && echoes(s, "here");
    EXPECT(reached || errno == ETIMEDOUT);
    salut_close(s);
    return reached;
}

static void reach_from_a(void *argument)
{
    *(int *)argument = reaches("b") + 2 * reaches("c");
}

static void split_them(void *argument)
{
    salut_sim_host *a = salut_sim_add_host("a"), *b = salut_sim_add_host("b");
    salut_sim_host *c = salut_sim_add_host("c"), *side[] = {a, b};
    int reached = -1;

    (void)argument;
    salut_sim_start(b, echo_server, NULL);
    salut_sim_start(c, echo_server, NULL);
    salut_sleep(0.001);
    EXPECT(!salut_sim_split(side, 2));
    salut_sim_start(a, reach_from_a, &reached);
    EXPECT(!salut_sim_join(a) && reached == 1);
    EXPECT(!reaches("b") && reaches("c"));
    EXPECT(!salut_sim_split(NULL, 0)); /* all are on one side: whole again */
    salut_sim_start(a, reach_from_a, &reached);
    EXPECT(!salut_sim_join(a) && reached == 3);
    EXPECT(reaches("b"));
}

static void hosts_are_split_in_two(void **state)
{
    (void)state;
    simulate(1, split_them);
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

enum { SENT = 2000 };

static struct {
    int received, twice, overtaken;
    bool seen[SENT];
} counted;

static void count_datagrams(void *argument)
{
    salut_sock *s = salut_socket(SALUT_UDP);
    int number, last = -1;

    (void)argument;
    salut_bind(s, "0.0.0.0", 9);
    salut_settimeout(s, 10);
    while (salut_recv(s, &number, sizeof number) == sizeof number) {
        counted.received++;
        counted.twice += counted.seen[number];
        counted.overtaken += number < last && !counted.seen[number];
        counted.seen[number] = true;
        last = number;
    }
    EXPECT(errno == ETIMEDOUT);
    salut_close(s);
}

static void send_datagrams(void *argument)
{
    salut_sim_host *sink = salut_sim_add_host("sink");
    salut_sock *s = salut_socket(SALUT_UDP);

    memset(&counted, 0, sizeof counted);
    salut_sim_start(sink, count_datagrams, NULL);
    EXPECT(!salut_sim_set_link(NULL, NULL, argument));
    salut_sleep(0.001);
    EXPECT(!salut_connect(s, "10.0.0.2", 9));
    for (int i = 0; i < SENT; i++) {
        EXPECT(salut_send(s, &i, sizeof i) == sizeof i);
        salut_sleep(0.001);
    }
    salut_close(s);
    EXPECT(!salut_sim_join(sink));
}

static void datagrams_over(salut_sim_link *link)
{
    simulate_with(3, send_datagrams, link, NULL);
}

static void datagrams_are_lost(void **state)
{
    (void)state;
    datagrams_over(&(salut_sim_link){.latency_seconds = 0.0001, .loss = 0.1});
    assert_in_range(counted.received, SENT - 300, SENT - 120);
    assert_int_equal(counted.twice + counted.overtaken, 0);
}

static void datagrams_come_twice(void **state)
{
    (void)state;
    datagrams_over(&(salut_sim_link){.latency_seconds = 0.0001, .duplication = 0.1});
    assert_in_range(counted.twice, 120, 300);
    assert_int_equal(counted.received, SENT + counted.twice);
}

static void datagrams_are_overtaken(void **state)
{
    (void)state;
    datagrams_over(&(salut_sim_link){.latency_seconds = 0.005, .reordering = 0.1});
    assert_int_equal(counted.received, SENT);
    assert_in_range(counted.overtaken, 50, 400);
}

static void on_an_honest_link_each_comes_once(void **state)
{
    (void)state;
    datagrams_over(&(salut_sim_link){.latency_seconds = 0.001});
    assert_int_equal(counted.received, SENT);
    assert_int_equal(counted.twice + counted.overtaken, 0);
}

/* ---- Mistakes ------------------------------------------------------------------------------ */

static void set_impossible_links(void *argument)
{
    salut_sim_host *me = salut_sim_here(), *b = salut_sim_add_host("b");
    const salut_sim_link wrong[] = {
        {.latency_seconds = -1},
        {.latency_seconds = 3601},
        {.latency_seconds = (double)NAN},
        {.jitter_seconds = -1},
        {.bytes_per_second = -1},
        {.loss = 1.1},
        {.loss = (double)NAN},
        {.duplication = -0.1},
        {.reordering = 2},
        {.resets = (double)NAN},
        {.jitter_seconds = (double)INFINITY},
    };

    (void)argument;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EXPECT(salut_sim_set_link(me, b, &wrong[i]) == -1 && errno == EINVAL);
    EXPECT(salut_sim_set_link(me, b, NULL) == -1 && errno == EINVAL);
    EXPECT(salut_sim_cut(NULL, b) == -1 && errno == EINVAL);
    EXPECT(salut_sim_heal((salut_sim_host *)&wrong, b) == -1 && errno == EINVAL);
    EXPECT(salut_sim_split((salut_sim_host *[]){NULL}, 1) == -1 && errno == EINVAL);
}

static void impossible_links_are_refused(void **state)
{
    (void)state;
    simulate(1, set_impossible_links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_takes_the_latency),
        cmocka_unit_test(and_up_to_the_jitter_more),
        cmocka_unit_test(bytes_take_their_time),
        cmocka_unit_test(what_a_stream_loses_comes_later),
        cmocka_unit_test(something_on_the_way_breaks_it_off),
        cmocka_unit_test(a_bound_socket_tries_the_next_address),
        cmocka_unit_test(a_cut_link_heals),
        cmocka_unit_test(after_a_quarter_of_an_hour_the_sender_gives_up),
        cmocka_unit_test(the_system_gives_up_also_for_one_who_has_left),
        cmocka_unit_test(a_reset_can_be_lost),
        cmocka_unit_test(hosts_are_split_in_two),
        cmocka_unit_test(datagrams_are_lost),
        cmocka_unit_test(datagrams_come_twice),
        cmocka_unit_test(datagrams_are_overtaken),
        cmocka_unit_test(on_an_honest_link_each_comes_once),
        cmocka_unit_test(impossible_links_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
