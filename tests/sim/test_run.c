#include "sim/simulated.h"

#include <dirent.h>
#include <math.h>

/* ---- What a run is ------------------------------------------------------------------------- */

static void greet_server(void *argument)
{
    salut_sock *server = salut_create_server("0.0.0.0:63000");
    salut_sock *client = salut_accept(server, NULL);
    char buffer[64];
    size_t have = 0;
    ssize_t size;

    (void)argument;
    while ((size = salut_recv(client, buffer + have, sizeof buffer - have)) > 0)
        have += (size_t)size;
    EXPECT(have == 18 && !memcmp(buffer, "Salut le serveur !", 18));
    salut_close(client);
    salut_close(server);
    salut_check();
}

static void greeting(void *argument)
{
    salut_sim_host *server = salut_sim_add_host("server");

    (void)argument;
    salut_sim_start(server, greet_server, NULL);
    salut_sleep(0.001);
    salut_sock *s = salut_create_connection("server:63000");
    salut_send(s, "Salut le serveur !", 18);
    salut_close(s);
    salut_check();
    EXPECT(salut_sim_join(server) == 0);
}

static void a_greeting_crosses(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++)
        simulate(seed, greeting);
}

static void sleep_an_hour(void *argument)
{
    (void)argument;
    for (int i = 0; i < 3600; i++)
        salut_sleep(1);
}

static void an_hour_passes(void **state)
{
    (void)state;
    simulate(1, sleep_an_hour);
    assert_true(salut_sim_last().seconds >= 3600 && salut_sim_last().seconds < 3601);
}

/* ---- One seed, one run --------------------------------------------------------------------- */

static char directory[] = "/tmp/salut-sim-XXXXXX";

static const char *in_directory(const char *name)
{
    static char paths[2][64];
    static int turn;

    turn = !turn;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", directory, name);
    return paths[turn];
}

static char *contents(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    assert_non_null(f);
    if (getdelim(&text, &size, '\0', f) < 0)
        text = strdup("");
    fclose(f);
    return text;
}

/* What a run of the greeting with this seed leaves in its trace. */
static char *trace_of(uint64_t seed)
{
    const char *path = in_directory("trace");

    simulate_with(seed, greeting, NULL, &(salut_sim_options){.trace = path});
    return contents(path);
}

static void one_seed_gives_one_trace(void **state)
{
    char *first = trace_of(11), *second = trace_of(11), *other = trace_of(12), hash[32];
    uint64_t hash_of_other = salut_sim_last().trace_hash;

    (void)state;
    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
    assert_non_null(strstr(first, "seed 11\n"));
    assert_non_null(strstr(first, "main > server: connect to port 63000\n"));
    assert_non_null(strstr(first, "server: its program ends (0)"));
    snprintf(hash, sizeof hash, "hash %016llx\n", (unsigned long long)hash_of_other);
    assert_non_null(strstr(other, hash));
    free(first);
    free(second);
    free(other);
}

static void a_diagram_is_drawn(void **state)
{
    const char *path = in_directory("diagram");
    char *text;

    (void)state;
    simulate_with(11, greeting, NULL, &(salut_sim_options){.diagram = path, .calm = 1});
    text = contents(path);
    assert_int_equal(strncmp(text, "sequenceDiagram\n", 16), 0);
    assert_non_null(strstr(text, "participant h1 as server\n"));
    assert_non_null(strstr(text, "h0->>h1: 18 bytes\n"));
    assert_null(strstr(text, "_")); /* no name of the program's inside */
    free(text);
}

static void the_environment_chooses_the_seed(void **state)
{
    (void)state;
    setenv("SALUT_SIM_SEED", "99", 1);
    simulate(1, greeting);
    assert_int_equal(salut_sim_last().seed, 99);
    setenv("SALUT_SIM_SEED", "nine", 1);
    assert_int_equal(salut_sim_run(1, greeting, NULL, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(salut_error(), "\"nine\""));
    unsetenv("SALUT_SIM_SEED");
}

static void the_environment_asks_for_a_trace(void **state)
{
    const char *path = in_directory("asked");
    char *text;

    (void)state;
    setenv("SALUT_SIM_TRACE", path, 1);
    simulate(5, greeting);
    unsetenv("SALUT_SIM_TRACE");
    text = contents(path);
    assert_non_null(strstr(text, "seed 5\n"));
    free(text);
}

static void let_one_in(void *argument)
{
    salut_sock *server = salut_create_server("0.0.0.0:7");

    (void)argument;
    EXPECT(salut_accept(server, NULL));
    salut_sleep(1e6);
}

static void meet_trouble(void *argument)
{
    salut_sim_host *here = salut_sim_here(), *other = salut_sim_add_host("other");
    salut_sock *sock;
    char byte;

    (void)argument;
    EXPECT(!salut_sim_start(other, let_one_in, NULL));
    salut_sleep(0.1);
    sock = salut_create_connection("other:7");
    EXPECT(!salut_sim_limit(here, &(salut_sim_limits){.exhaustion = 1}));
    EXPECT(!salut_create_connection("other:7"));
    EXPECT(!salut_sim_limit(here, &(salut_sim_limits){0}));
    EXPECT(!salut_sim_cut(here, other));
    EXPECT(salut_send(sock, "?", 1) == 1);
    EXPECT(salut_recv(sock, &byte, 1) == -1 && errno == ETIMEDOUT);
    EXPECT(!salut_sim_kill(other));
    salut_close(sock);
    salut_clear_error();
}

static void a_trace_tells_of_trouble(void **state)
{
    static const char *const told[] = {"a call fails: ENO", "the link is cut",
                                       "gives up: no answer", "other: killed"};
    const char *path = in_directory("trace");
    char *text;

    (void)state;
    simulate_with(1, meet_trouble, NULL, &(salut_sim_options){.trace = path});
    text = contents(path);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        if (!strstr(text, told[i]))
            fail_msg("\"%s\" is not in: %s", told[i], text);
    }
    free(text);
}

static void a_trace_that_can_t_be_written_is_told(void **state)
{
    (void)state;
    simulate_failure(greeting, &(salut_sim_options){.trace = "/dev/full"}, ENOSPC, "trace");
    simulate_failure(greeting, &(salut_sim_options){.trace = "/nowhere/at/all"}, ENOENT,
                     "/nowhere/at/all");
    simulate_failure(greeting, &(salut_sim_options){.diagram = "/nowhere/at/all"}, ENOENT,
                     "/nowhere/at/all");
}

static void talk_at_length(void *argument)
{
    (void)argument;
    for (int i = 0; i < 3000; i++)
        salut_sim_say("line %d; it has: marks # and %s", i, "\x1b[31mcolours");
}

static void a_long_diagram_ends_early(void **state)
{
    const char *path = in_directory("long");
    char *text;

    (void)state;
    simulate_with(1, talk_at_length, NULL, &(salut_sim_options){.diagram = path});
    text = contents(path);
    assert_non_null(strstr(text, "and so on\n"));
    assert_null(strstr(text, "line 2999"));
    assert_null(strstr(text, "\x1b"));
    free(text);
}

/* ---- How a run fails ----------------------------------------------------------------------- */

static void receive_a_byte(void *socket)
{
    char byte;

    salut_recv(socket, &byte, 1);
}

static void wait_for_nobody(void *argument)
{
    salut_sock *listener = salut_create_server("localhost:63000");
    salut_sock *a, *b;

    (void)argument;
    salut_pair(&a, &b);
    salut_send(b, "?", 1);
    salut_join(salut_go(receive_a_byte, a)); /* which doesn't wait any more when nobody moves */
    salut_go(receive_a_byte, a);
    salut_accept(listener, NULL);
}

static void start_who_wait(void *argument)
{
    salut_sim_host *server = salut_sim_add_host("server");

    (void)argument;
    salut_sim_start(server, wait_for_nobody, NULL);
    salut_sim_join(server);
}

static void a_deadlock_says_who_waits(void **state)
{
    (void)state;
    simulate_failure(start_who_wait, NULL, EDEADLK,
                     "server/main waits for a client on 127.0.0.1:63000");
    assert_non_null(strstr(salut_error(), "main/main waits for the end of a host's program"));
    assert_null(strstr(salut_error(), "server/1"));
    assert_non_null(strstr(salut_error(), "server/2"));
    assert_non_null(strstr(salut_error(), "SALUT_SIM_SEED=7 replays it"));
}

static void never_wait(void *argument)
{
    (void)argument;
    for (;;)
        salut_yield();
}

void ask_who_never_answers(void *argument); /* exported: so a fiber has its function's name */

void ask_who_never_answers(void *argument)
{
    (void)argument;
    salut_create_connection("10.9.9.9:9");
}

static void ask_and_never_wait(void *argument)
{
    salut_sim_add_host("idle"); /* it runs nothing, so it waits for nothing */
    salut_go(ask_who_never_answers, NULL);
    never_wait(argument);
}

static void a_livelock_is_told(void **state)
{
    (void)state;
    simulate_failure(never_wait, &(salut_sim_options){.steps_max = 1000}, ELOOP, "1000 turns");
    simulate_failure(ask_and_never_wait, &(salut_sim_options){.steps_max = 1000}, ELOOP,
                     "main/1 (ask_who_never_answers) waits for the answer of 10.9.9.9:9");
    assert_null(strstr(salut_error(), "idle"));
}

static void sleep_a_second(void *argument)
{
    (void)argument;
    salut_sleep(1);
}

/* On Linux they would give back what their stacks don't need. */
static void let_many_wait(void *argument)
{
    double begin = salut_sim_now();

    (void)argument;
    for (int i = 0; i < 200; i++)
        EXPECT(salut_go(sleep_a_second, NULL));
    salut_sleep(2);
    EXPECT(took(begin, 2, 2.001));
    EXPECT(salut_sim_last().seconds >= 2); /* of the run that goes on */
}

static void many_fibers_wait(void **state)
{
    (void)state;
    simulate(1, let_many_wait);
}

static void time_is_limited(void **state)
{
    (void)state;
    simulate_failure(sleep_an_hour, &(salut_sim_options){.seconds_max = 60}, ETIMEDOUT,
                     "seconds_max");
    assert_true(salut_sim_last().seconds <= 60);
}

static void connect_and_check(void *argument)
{
    (void)argument;
    salut_create_connection("localhost:9");
    salut_check();
    EXPECT(false && "here after salut_check()");
}

static void a_failed_program_fails_the_run(void **state)
{
    (void)state;
    simulate_failure(connect_and_check, NULL, EPROTO, "localhost:9");
}

static void nonsense_is_refused(void **state)
{
    salut_sim_options wrong = {.link = {.loss = 7}};

    (void)state;
    simulate_failure(NULL, NULL, EINVAL, "NULL");
    simulate_failure(greeting, &wrong, EINVAL, "link");
    simulate_failure(greeting, &(salut_sim_options){.seconds_max = -1}, EINVAL, "seconds_max");
    simulate_failure(greeting, &(salut_sim_options){.seconds_max = (double)NAN}, EINVAL,
                     "seconds_max");
}

/* ---- The world outside --------------------------------------------------------------------- */

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

static void a_run_leaves_nothing_open(void **state)
{
    int before;

    (void)state;
    simulate(1, greeting);
    before = open_descriptors();
    for (uint64_t seed = 0; seed < 50; seed++)
        simulate(seed, greeting);
    assert_int_equal(open_descriptors(), before);
}

/* The caller's own fibers and sockets are there as before, once the run is over. */
static void the_real_network_is_still_there(void **state)
{
    salut_sock *a, *b;
    char byte;

    (void)state;
    assert_int_equal(salut_pair(&a, &b), 0);
    simulate(1, greeting);
    assert_int_equal(salut_send(a, "x", 1), 1);
    assert_int_equal(salut_recv(b, &byte, 1), 1);
    assert_int_equal(salut_sleep(0.001), 0);
    salut_close(a);
    salut_close(b);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    const char *const names[] = {"trace", "diagram", "asked", "long"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_directory(names[i]));
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_crosses),
        cmocka_unit_test(an_hour_passes),
        cmocka_unit_test(one_seed_gives_one_trace),
        cmocka_unit_test(a_diagram_is_drawn),
        cmocka_unit_test(the_environment_chooses_the_seed),
        cmocka_unit_test(the_environment_asks_for_a_trace),
        cmocka_unit_test(a_trace_tells_of_trouble),
        cmocka_unit_test(a_trace_that_can_t_be_written_is_told),
        cmocka_unit_test(a_long_diagram_ends_early),
        cmocka_unit_test(a_deadlock_says_who_waits),
        cmocka_unit_test(a_livelock_is_told),
        cmocka_unit_test(many_fibers_wait),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(a_failed_program_fails_the_run),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_run_leaves_nothing_open),
        cmocka_unit_test(the_real_network_is_still_there),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
