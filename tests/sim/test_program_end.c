/* A simulated program that is killed, or ends, leaves nothing of its sockets: that is for
 * LeakSanitizer and valgrind to say. Its handles are known to be closed. */
#include "support/fibers.h"

#include <salut/sim.h>

#include <errno.h>

static salut_sock *left_open;
static bool ended, refused;
static int said;

static void *answer(void *buffer, salut_sock *client)
{
    salut_set_buffer(client, 1000);
    salut_send(client, "gathered", 8);
    salut_recv_line(client, NULL); /* makes a buffer */
    return buffer;
}

static void serve_one(void *unused)
{
    char buffer[64];
    salut_sock *server = salut_create_server(":63000");

    (void)unused;
    left_open = salut_accept(server, NULL);
    answer(buffer, left_open);
    salut_recv(left_open, buffer, sizeof buffer);
}

static void connect_by_name(void *unused)
{
    (void)unused;
    salut_create_connection("nowhere.example:9");
}

static void serve_and_look_up(void *unused)
{
    salut_go(connect_by_name, NULL);
    serve_one(unused);
}

/* Connects to the host, has its program stopped by end(), and tries its handle. */
static void meet(salut_sim_host *host, int (*end)(salut_sim_host *))
{
    salut_sock *s;
    char byte[16];

    salut_sleep(0.001);
    s = salut_create_connection("server:63000");
    salut_send_line(s, "a line, and another");
    salut_sleep(1);
    if (end)
        end(host);
    ended = salut_recv(s, byte, sizeof byte) >= 0 || errno == ECONNRESET || end == salut_sim_crash;
    salut_close(s);
    salut_clear_error();
    if (!end)
        salut_sim_join(host);
    refused = salut_send(left_open, "x", 1) == -1;
    said = errno;
    salut_clear_error();
}

static void kill_it(void *unused)
{
    salut_sim_host *server = salut_sim_add_host("server");

    (void)unused;
    salut_sim_start(server, serve_and_look_up, NULL);
    meet(server, salut_sim_kill);
}

static void crash_it(void *unused)
{
    salut_sim_host *server = salut_sim_add_host("server");

    (void)unused;
    salut_sim_start(server, serve_and_look_up, NULL);
    salut_sleep(0.5);
    salut_sim_crash(server);
    ended = true;
    refused = salut_send(left_open, "x", 1) == -1;
    said = errno;
    salut_clear_error();
}

static void let_it_end(void *unused)
{
    salut_sim_host *server = salut_sim_add_host("server");

    (void)unused;
    salut_sim_start(server, serve_one, NULL);
    meet(server, NULL);
}

static void leaves_nothing(void (*program)(void *))
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        ended = refused = false;
        if (salut_sim_run(seed, program, NULL, NULL))
            fail_msg("%s", salut_error());
        assert_true(ended);
        assert_true(refused);
        assert_int_equal(said, EBADF);
    }
}

static void a_killed_program_leaves_nothing(void **state)
{
    (void)state;
    leaves_nothing(kill_it);
}

static void a_program_whose_host_crashes_leaves_nothing(void **state)
{
    (void)state;
    leaves_nothing(crash_it);
}

static void a_program_that_returns_leaves_nothing(void **state)
{
    (void)state;
    leaves_nothing(let_it_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_program_leaves_nothing),
        cmocka_unit_test(a_program_whose_host_crashes_leaves_nothing),
        cmocka_unit_test(a_program_that_returns_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
