/* salut's simulated network: an echo of 64 B between two hosts, and an hour in which a hundred
 * connections wait and are asked once a minute whether they are still there. */
#include "stopwatch.h"
#include <salut/sim.h>

enum { ECHOES = 300000, CONNECTIONS = 100, MINUTES = 60, SIZE = 64 };

static void echo(void *client)
{
    char buffer[SIZE];
    ssize_t size;

    while ((size = salut_recv(client, buffer, sizeof buffer)) > 0)
        salut_send(client, buffer, (size_t)size);
    salut_close(client);
}

static void serve(void *argument)
{
    salut_sock *listener = salut_create_server("0.0.0.0:7"), *client;

    (void)argument;
    while ((client = salut_accept(listener, NULL)))
        salut_go(echo, client);
}

static salut_sock *connect_to_server(void)
{
    salut_sock *s = salut_create_connection("10.0.0.2:7");

    salut_check();
    return s;
}

static void ask(salut_sock *s)
{
    char buffer[SIZE] = {0};

    salut_send(s, buffer, sizeof buffer);
    salut_recv_exactly(s, buffer, sizeof buffer);
    salut_check();
}

static void start_server(void)
{
    salut_sim_start(salut_sim_add_host("server"), serve, NULL);
    salut_sleep(1);
}

static void ask_often(void *argument)
{
    (void)argument;
    start_server();
    salut_sock *s = connect_to_server();
    for (int i = 0; i < ECHOES; i++)
        ask(s);
    salut_close(s);
}

static void ask_once_a_minute(void *argument)
{
    (void)argument;
    salut_sock *s = connect_to_server();
    for (int i = 0; i < MINUTES; i++) {
        salut_sleep(60);
        ask(s);
    }
    salut_close(s);
}

static void wait_an_hour(void *argument)
{
    salut_fiber *fibers[CONNECTIONS];

    (void)argument;
    start_server();
    for (int i = 0; i < CONNECTIONS; i++)
        fibers[i] = salut_go(ask_once_a_minute, NULL);
    for (int i = 0; i < CONNECTIONS; i++)
        salut_join(fibers[i]);
}

static void sleep_an_hour(void *argument)
{
    (void)argument;
    for (int i = 0; i < 3600; i++)
        salut_sleep(1);
}

int main(void)
{
    double begin = cpu_ns();
    salut_sim_run(1, ask_often, NULL, NULL);
    salut_check();
    print_figure("operation", begin, (double)salut_sim_last().operations);

    begin = cpu_ns();
    salut_sim_run(1, sleep_an_hour, NULL, NULL);
    salut_check();
    print_figure("idle_hour", begin, 1e6);

    begin = cpu_ns();
    salut_sim_run(1, wait_an_hour, NULL, NULL);
    salut_check();
    print_figure("hour", begin, 1e6);
    return 0;
}
