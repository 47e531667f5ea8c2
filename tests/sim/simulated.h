/* simulated.h: a test on a simulated network. A program there can't leave by cmocka's longjmp();
 * it says what it expected, and the test fails with the first thing that was not so. */
#ifndef TESTS_SIM_SIMULATED_H
#define TESTS_SIM_SIMULATED_H

#include "support/fibers.h"

#include <salut/sim.h>

#include <errno.h>

static char unexpected[1024];

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition) && !unexpected[0])                                                        \
            snprintf(unexpected, sizeof unexpected, "%s:%d: %s; errno %s: %s", __FILE__, __LINE__, \
                     #condition, strerrorname_np(errno), salut_error());                           \
    } while (0)

/* Runs it, and fails unless all was as expected. */
static inline void simulate_with(uint64_t seed, void (*program)(void *argument), void *argument,
                                 const salut_sim_options *options)
{
    unexpected[0] = '\0';
    if (salut_sim_run(seed, program, argument, options))
        fail_msg("%s", salut_error());
    if (unexpected[0])
        fail_msg("seed %llu: %s", (unsigned long long)seed, unexpected);
}

static inline void simulate(uint64_t seed, void (*program)(void *argument))
{
    simulate_with(seed, program, NULL, NULL);
}

/* Runs it, and fails unless the run fails with this errno and a sentence that has these words. */
static inline void simulate_failure(void (*program)(void *argument),
                                    const salut_sim_options *options, int number, const char *words)
{
    unexpected[0] = '\0';
    errno = 0;
    assert_int_equal(salut_sim_run(7, program, NULL, options), -1);
    assert_int_equal(errno, number);
    if (!strstr(salut_error(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, salut_error());
    if (unexpected[0])
        fail_msg("%s", unexpected);
}

/* How long it is since then, by the network's clock, is between these. */
static inline bool took(double since, double least, double most)
{
    double seconds = salut_sim_now() - since;

    return seconds >= least && seconds <= most;
}

/* ---- Programs that several tests start ----------------------------------------------------- */

static inline void echo_to(salut_sock *client, void *argument)
{
    char buffer[4096];
    ssize_t size;

    (void)argument;
    while ((size = salut_recv(client, buffer, sizeof buffer)) > 0 &&
           salut_send(client, buffer, (size_t)size) == size)
        continue;
}

static inline void echo(void *client)
{
    echo_to(client, NULL);
    salut_close(client);
}

/* Echoes to everybody on port 7, until its listener fails. */
static inline void echo_server(void *argument)
{
    salut_sock *listener = salut_create_server("0.0.0.0:7"), *client;

    (void)argument;
    while ((client = salut_accept(listener, NULL)))
        salut_go(echo, client);
    salut_close(listener);
}

/* A host "server" that echoes, ready. */
static inline salut_sim_host *add_echo_server(void)
{
    salut_sim_host *server = salut_sim_add_host("server");

    EXPECT(!salut_sim_start(server, echo_server, NULL));
    salut_sleep(0.001);
    return server;
}

static inline bool echoes(salut_sock *s, const char *text)
{
    char back[64];
    ssize_t size = (ssize_t)strlen(text);

    return salut_send(s, text, (size_t)size) == size &&
           salut_recv_exactly(s, back, (size_t)size) == size && !memcmp(back, text, (size_t)size);
}

#endif
