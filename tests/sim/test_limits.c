#include "sim/simulated.h"

#include <math.h>

/* ---- Descriptors --------------------------------------------------------------------------- */

static void use_descriptors_up(void *argument)
{
    const salut_sim_limits four = {.descriptors_max = 4};
    salut_sock *ends[6];

    (void)argument;
    EXPECT(!salut_sim_limit(salut_sim_here(), &four));
    EXPECT(!salut_pair(&ends[0], &ends[1]) && !salut_pair(&ends[2], &ends[3]));
    EXPECT(salut_pair(&ends[4], &ends[5]) == -1 && errno == EMFILE);
    EXPECT(!salut_sim_limit(salut_sim_here(), NULL));
    EXPECT(!salut_pair(&ends[4], &ends[5]));
    for (int i = 0; i < 6; i++)
        salut_close(ends[i]);
}

/* One of two can still be had, and is given back. */
static void use_all_but_one(void *argument)
{
    const salut_sim_limits three = {.descriptors_max = 3};
    salut_sock *ends[2], *others[2], *last;

    (void)argument;
    EXPECT(!salut_sim_limit(salut_sim_here(), &three));
    EXPECT(!salut_pair(&ends[0], &ends[1]));
    EXPECT(salut_pair(&others[0], &others[1]) == -1 && errno == EMFILE);
    EXPECT((last = salut_create_server("localhost:7")));
    EXPECT(!salut_create_server("localhost:8") && errno == EMFILE);
    salut_close(last);
    salut_close(ends[0]);
    salut_close(ends[1]);
    salut_clear_error();
}

static void descriptors_end(void **state)
{
    (void)state;
    simulate(1, use_all_but_one);
    simulate(1, use_descriptors_up);
}

/* A server without descriptors takes its clients once it has some, and loses none. */
static void come_while_there_are_none(void *argument)
{
    const salut_sim_limits few = {.descriptors_max = 2};
    salut_sim_host *server = salut_sim_add_host("server");
    salut_sock *clients[5];

    (void)argument;
    salut_sim_limit(server, &few); /* the listener and one client */
    salut_sim_start(server, echo_server, NULL);
    salut_sleep(0.001);
    for (int i = 0; i < 5; i++)
        EXPECT((clients[i] = salut_create_connection("server:7")));
    for (int i = 0; i < 5; i++) {
        EXPECT(echoes(clients[i], "my turn"));
        salut_close(clients[i]);
    }
}

static void clients_wait_for_descriptors(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, come_while_there_are_none);
}

/* ---- Buffers ------------------------------------------------------------------------------- */

static void never_read(void *argument)
{
    salut_sock *listener = salut_create_server("0.0.0.0:9");
    salut_sock *client = salut_accept(listener, NULL);

    (void)argument;
    salut_sleep(3600);
    salut_close(client);
    salut_close(listener);
}

static void fill_small_buffers(void *argument)
{
    const salut_sim_limits small = {.send_bytes = 1000, .receive_bytes = 1000};
    salut_sim_host *sink = salut_sim_add_host("sink");
    static char much[10000];
    ssize_t sent = 0;
    salut_sock *s;

    (void)argument;
    salut_sim_limit(sink, &small);
    salut_sim_limit(salut_sim_here(), &small);
    salut_sim_start(sink, never_read, NULL);
    salut_sleep(0.001);
    s = salut_create_connection("sink:9");
    salut_settimeout(s, 5);
    while (sent < (ssize_t)sizeof much && salut_send(s, much, 100) == 100)
        sent += 100;
    EXPECT(errno == ETIMEDOUT && sent >= 1000 && sent <= 2000);
    salut_close(s);
    EXPECT(!salut_sim_kill(sink));
}

static void buffers_fill(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        simulate(seed, fill_small_buffers);
}

static void read_byte_after_byte(void *argument)
{
    const salut_sim_limits slow = {.read_bytes_max = 1};
    salut_sim_host *server = add_echo_server();
    salut_sock *s = salut_create_connection("server:7");
    char buffer[64];

    (void)argument;
    salut_sim_limit(salut_sim_here(), &slow);
    EXPECT(salut_send(s, "hello", 5) == 5);
    for (int i = 0; i < 5; i++)
        EXPECT(salut_recv(s, buffer, sizeof buffer) == 1 && buffer[0] == "hello"[i]);
    EXPECT(echoes(s, "a whole sentence"));
    salut_close(s);
    salut_sim_kill(server);
}

static void a_receive_gets_one_byte(void **state)
{
    (void)state;
    simulate(1, read_byte_after_byte);
}

/* ---- Memory, names ------------------------------------------------------------------------- */

static bool is_exhaustion(int number)
{
    return number == ENOBUFS || number == ENOMEM || number == ENFILE;
}

static void run_out_of_memory(void *argument)
{
    const salut_sim_limits poor = {.exhaustion = 0.3};
    salut_sim_host *server = add_echo_server();
    int failed = 0, done = 0;

    (void)argument;
    EXPECT(!salut_sim_limit(salut_sim_here(), &poor));
    for (int i = 0; i < 200; i++) {
        salut_sock *s = salut_socket(SALUT_TCP);
        if (s && !salut_connect(s, "10.0.0.2", 7) && echoes(s, "hello")) {
            done++;
        } else {
            EXPECT(is_exhaustion(errno));
            EXPECT(*salut_error());
            failed++;
        }
        if (s)
            salut_close(s);
    }
    EXPECT(failed > 20 && done > 20);
    salut_sim_kill(server);
}

static void memory_runs_out(void **state)
{
    (void)state;
    simulate(1, run_out_of_memory);
}

static void lose_the_name_server(void *argument)
{
    const salut_sim_limits lost = {.names_unknown = 1};
    salut_sim_host *other = salut_sim_add_host("other");
    salut_addr found;

    (void)argument;
    EXPECT(!salut_sim_limit(salut_sim_here(), &lost));
    EXPECT(salut_resolve(&found, "other", 7) == -1 && errno == EHOSTUNREACH);
    EXPECT(!salut_resolve(&found, "localhost", 7));
    EXPECT(!salut_resolve(&found, "10.0.0.2", 7));
    EXPECT(!salut_sim_limit(salut_sim_here(), NULL));
    EXPECT(!salut_resolve(&found, "other", 7));
    EXPECT(other);
}

static void run_out_of_buffers_for_datagrams(void *argument)
{
    salut_sock *s = salut_create_server("udp:localhost:7");
    salut_addr here;
    char byte;

    (void)argument;
    EXPECT(!salut_local(s, &here));
    EXPECT(!salut_sim_limit(salut_sim_here(), &(salut_sim_limits){.exhaustion = 1}));
    EXPECT(salut_sendto(s, "x", 1, &here) == -1 && errno == ENOBUFS && *salut_error());
    EXPECT(!salut_sim_limit(salut_sim_here(), NULL));
    EXPECT(salut_sendto(s, "x", 1, &here) == 1 && salut_recv(s, &byte, 1) == 1);
    salut_close(s);
    salut_clear_error();
}

static void datagrams_need_buffers(void **state)
{
    (void)state;
    simulate(1, run_out_of_buffers_for_datagrams);
}

static void names_are_unknown(void **state)
{
    (void)state;
    simulate(1, lose_the_name_server);
}

static void set_impossible_limits(void *argument)
{
    salut_sim_limits wrong = {.exhaustion = 1.5};

    (void)argument;
    EXPECT(salut_sim_limit(salut_sim_here(), &wrong) == -1 && errno == EINVAL);
    wrong.exhaustion = (double)NAN;
    EXPECT(salut_sim_limit(salut_sim_here(), &wrong) == -1 && errno == EINVAL);
    EXPECT(salut_sim_limit(NULL, NULL) == -1 && errno == EINVAL);
}

static void impossible_limits_are_refused(void **state)
{
    (void)state;
    simulate(1, set_impossible_limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_end),   cmocka_unit_test(clients_wait_for_descriptors),
        cmocka_unit_test(buffers_fill),      cmocka_unit_test(a_receive_gets_one_byte),
        cmocka_unit_test(memory_runs_out),   cmocka_unit_test(datagrams_need_buffers),
        cmocka_unit_test(names_are_unknown), cmocka_unit_test(impossible_limits_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
