#include "support/fibers.h"

#include <salut/sim.h>

#include <errno.h>
#include <stdlib.h>

static int failures;

static void greet_server(void *argument)
{
    salut_sock *server = salut_create_server(":63000");
    salut_sock *client = salut_accept(server, NULL);
    char buffer[64];
    size_t have = 0;
    ssize_t size;

    (void)argument;
    while ((size = salut_recv(client, buffer + have, sizeof buffer - have)) > 0)
        have += (size_t)size;
    failures += have != 18 || memcmp(buffer, "Salut le serveur !", 18);
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
    failures += salut_sim_join(server) != 0;
}

static void a_greeting_crosses(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        if (salut_sim_run(seed, greeting, NULL, NULL))
            fail_msg("%s", salut_error());
        assert_int_equal(failures, 0);
    }
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
    assert_int_equal(salut_sim_run(1, sleep_an_hour, NULL, NULL), 0);
    assert_true(salut_sim_last().seconds >= 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_crosses),
        cmocka_unit_test(an_hour_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
