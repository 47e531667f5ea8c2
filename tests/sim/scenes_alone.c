/* scenes_alone.c: programs that talk to themselves: udp.c, unix.c, timeout.c. */
#include "sim/scene.h"

#include <errno.h>
#include <string.h>

int udp_main(void);
int unix_main(int argc, char **argv);
int timeout_main(void);

static int run_udp(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return udp_main();
}

static int run_timeout(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return timeout_main();
}

/* Where localhost has become slow. */
static salut_sim_host *start_alone(int (*run)(int argc, char **argv), double loss)
{
    salut_sim_host *host = salut_sim_add_host("alone");
    salut_sim_link link = {.latency_seconds = drawn_seconds(0.1),
                           .jitter_seconds = drawn_seconds(0.1) + 1e-6,
                           .loss = loss};

    expect(!salut_sim_set_link(host, host, &link) &&
               !salut_sim_start_main(host, run, 1, (char *[]){"program", NULL}),
           "%s", salut_error());
    return host;
}

static void expect_output(salut_sim_host *host, const char *pattern)
{
    expect(salut_sim_join(host) == 0, "the status is not 0");
    expect(is_like(process_output(host), pattern), "it prints something else");
}

static void udp(void)
{
    expect_output(start_alone(run_udp, 0),
                  "\"salut\" was answered by \"SALUT\"\n"
                  "\"\" was answered by \"\"\n"
                  "\"le serveur !\" was answered by \"LE SERVEUR !\"\n"
                  "recv: a datagram of 8 bytes came, and the buffer has 5\n");
}

/* A datagram that is lost is missed in time, and never taken for another. */
static void udp_with_loss(void)
{
    salut_sim_host *host = start_alone(run_udp, 0.3);
    const char *words;

    expect(ends_within(host, 100), "it never ends");
    words = salut_sim_last_words(host);
    expect(!*words || gives_reason(words, (int[]){ETIMEDOUT, 0}), "it fails otherwise");
    expect(is_like(process_output(host), "(\"salut\" was answered by \"SALUT\"\n"
                                         "(\"\" was answered by \"\"\n"
                                         "(\"le serveur !\" was answered by \"LE SERVEUR !\"\n"
                                         "(recv[^\n]*\n)?)?)?)?"),
           "it prints something else");
    expect(*words || strstr(process_output(host), "recv"), "it prints less");
}

static void unix_path(void)
{
    salut_sim_host *host = start_alone(unix_main, 0);

    expect_output(host, "waiting at salut\\.socket\n"
                        "the host hears: S[alut, it's me!]*\n"
                        "the visitor hears: C[ome in!]*\n");
    expect(!salut_sim_start_main(host, unix_main, 1, (char *[]){"program", NULL}) &&
               salut_sim_join(host) == 0,
           "the path is not free again");
}

static void timeout(void)
{
    expect_output(start_alone(run_timeout, 0),
                  "before asking: recv[^\n]*: it would have to wait, and the timeout is 0\n"
                  "asked once: recv[^\n]*: no answer in time\n"
                  "asked again: S[alut !]*\n");
}

const struct scene alone_scenes[] = {
    {"udp", udp, false},
    {"udp_with_loss", udp_with_loss, false},
    {"unix", unix_path, false},
    {"timeout", timeout, false},
    {0},
};
