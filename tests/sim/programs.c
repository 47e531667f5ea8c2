/* programs.c: the examples and the command as they are, on the simulated network.
 *
 *     programs_simulated NAME [FIRST [COUNT]]      plays this scene by so many seeds
 *     programs_simulated                           says the names of all
 *
 * Where the network is honest, programs must print and end as they should. Where it isn't, what
 * they say must be true as far as it goes, a failure must be one that <salut.h> tells of, and all
 * must end. Prints a hash of what happened and was printed; at the first thing that is wrong says
 * what it is and how to see it again, and ends with status 1. SALUT_SIM_SEED=N: that seed alone. */
#include "sim/scene.h"

#include "base/error.h"
#include "sim/sim.h"

#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct scene *scene; /* the one that is played */

/* ---- What must be so ----------------------------------------------------------------------- */

static void tell_all(struct run *r)
{
    for (uint32_t i = 0; r && i < r->world.host_count; i++) {
        salut_sim_host *host = r->hosts[i];
        dprintf(STDERR_FILENO, "--- %s, status %d, last words \"%s\", printed:\n%s%s",
                host->system->name, host->status, host->last_words, process_output(host),
                process_complaints(host));
    }
}

void expect(bool holds, const char *sentence, ...)
{
    char text[1024];
    va_list arguments;

    if (holds)
        return;
    va_start(arguments, sentence);
    vsnprintf(text, sizeof text, sentence, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "%s: %s (SALUT_SIM_SEED=%llu %s %s)\n", scene->name, text,
            (unsigned long long)salut_sim_last().seed, program_invocation_name, scene->name);
    tell_all(run_of_thread);
    fflush(NULL); /* the trace so far */
    _exit(EXIT_FAILURE);
}

bool is_like(const char *text, const char *pattern)
{
    char whole[1024];
    regex_t compiled;
    bool like;

    snprintf(whole, sizeof whole, "^(%s)$", pattern);
    expect(!regcomp(&compiled, whole, REG_EXTENDED | REG_NOSUB), "not a pattern: %s", pattern);
    like = !regexec(&compiled, text, 0, NULL, 0);
    regfree(&compiled);
    return like;
}

bool gives_reason(const char *sentence, const int *numbers)
{
    while (*numbers && !strstr(sentence, error_reason(*numbers)))
        numbers++;
    return *numbers;
}

bool begins(const char *whole, const char *begin, size_t size)
{
    return size <= strlen(whole) && !memcmp(whole, begin, size);
}

void wait_until_printed(salut_sim_host *host, const char *part)
{
    double patience = salut_sim_now() + 60;

    while (!strstr(process_output(host), part)) {
        expect(salut_sim_now() < patience, "%s doesn't print \"%s\"", host->system->name, part);
        salut_sleep(0.001);
    }
}

bool ends_within(salut_sim_host *host, double seconds)
{
    double end = salut_sim_now() + seconds;

    for (double pause = 0.001; host->scheduler && !host->ended; pause *= 2) {
        if (salut_sim_now() >= end)
            return false;
        salut_sleep(pause);
    }
    return true;
}

/* ---- Chance -------------------------------------------------------------------------------- */

double drawn_seconds(double max)
{
    return max * (double)salut_sim_random(1000001) / 1e6;
}

static size_t drawn_size(size_t least, unsigned doublings)
{
    return least << salut_sim_random(doublings + 1);
}

void draw_an_honest_network(salut_sim_host *const *hosts, size_t count)
{
    salut_sim_link link = {
        .latency_seconds = drawn_seconds(0.05),
        .jitter_seconds = drawn_seconds(0.05) + 1e-6,
        .bytes_per_second = salut_sim_random(2) ? 1e5 : 0,
        .loss = salut_sim_random(2) ? 0.05 : 0,
    };

    salut_sim_set_link(NULL, NULL, &link);
    for (size_t i = 0; i < count; i++) {
        salut_sim_limits limits = {
            .send_bytes = drawn_size(32, 13), /* a greeting fits */
            .receive_bytes = drawn_size(16, 14),
            .read_bytes_max = salut_sim_random(2) ? drawn_size(1, 6) : 0,
        };
        salut_sim_limit(hosts[i], &limits);
    }
}

static void strike(salut_sim_host *server, salut_sim_host *client)
{
    salut_sim_link bad = {.latency_seconds = 0.01, .jitter_seconds = 0.1, .loss = 0.3};
    salut_sim_limits poor = {.exhaustion = 0.1, .descriptors_max = 5};

    switch (salut_sim_random(10)) {
    case 0:
        salut_sim_cut(server, NULL);
        break;
    case 1:
        salut_sim_cut(server, client);
        break;
    case 2:
        salut_sim_heal(server, NULL);
        break;
    case 3:
        salut_sim_kill(client);
        break;
    case 4:
        salut_sim_stop(client);
        break;
    case 5:
        salut_sim_stop(server);
        break;
    case 6:
        salut_sim_set_link(server, NULL, &bad);
        break;
    case 7:
        bad.resets = 0.1;
        salut_sim_set_link(server, NULL, &bad);
        break;
    case 8:
        salut_sim_crash(server);
        break;
    case 9:
        salut_sim_limit(salut_sim_random(2) ? server : client, &poor);
        break;
    }
}

void let_trouble_come(salut_sim_host *server, salut_sim_host *const *clients, size_t count)
{
    salut_sim_link office = {.latency_seconds = 0.0002, .jitter_seconds = 0.0003};
    double longest = salut_sim_random(4) ? 0.01 : 10;

    for (uint64_t left = 1 + salut_sim_random(4); left; left--) {
        salut_sleep(drawn_seconds(longest));
        strike(server, clients[salut_sim_random(count)]);
    }
    salut_sleep(drawn_seconds(longest));
    salut_sim_boot(server);
    salut_sim_continue(server);
    salut_sim_limit(server, NULL);
    for (size_t i = 0; i < count; i++) {
        salut_sim_continue(clients[i]);
        salut_sim_limit(clients[i], NULL);
    }
    salut_sim_set_link(NULL, NULL, &office);
    salut_sim_heal(NULL, NULL);
}

/* ---- All of them --------------------------------------------------------------------------- */

static const struct scene *const tables[] = {greeting_scenes, crowd_scenes, command_scenes,
                                             alone_scenes};
enum { TABLES = sizeof tables / sizeof *tables };

static const struct scene *find(const char *name)
{
    for (size_t i = 0; i < TABLES; i++) {
        for (const struct scene *s = tables[i]; s->name; s++) {
            if (!strcmp(s->name, name))
                return s;
        }
    }
    return NULL;
}

static int say_names(void)
{
    for (size_t i = 0; i < TABLES; i++) {
        for (const struct scene *s = tables[i]; s->name; s++)
            printf("%s\n", s->name);
    }
    return 0;
}

/* FNV-1a, of all that the hash was and of a run. */
static uint64_t mixed(uint64_t hash, const struct run *r)
{
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        const char *texts[] = {process_output(r->hosts[i]), process_complaints(r->hosts[i]),
                               r->hosts[i]->last_words};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            for (const char *c = texts[t]; *c; c++)
                hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
        }
    }
    return hash;
}

static void play(void *hash)
{
    scene->play();
    *(uint64_t *)hash = mixed(*(uint64_t *)hash, run_of_thread);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    uint64_t hash = 0xcbf29ce484222325;

    if (argc < 2)
        return say_names();
    scene = find(argv[1]);
    if (!scene || argc > 4)
        return 2;
    if (getenv("SALUT_SIM_SEED"))
        count = 1;
    process_begin();
    for (; count; seed++, count--) {
        salut_sim_options options = {.calm = scene->calm};
        int result = salut_sim_run(seed, play, &hash, &options);
        expect(!result, "%s", salut_error());
        hash = (hash ^ salut_sim_last().trace_hash) * 0x100000001b3;
        process_end_all();
    }
    printf("%s: %016llx\n", scene->name, (unsigned long long)hash);
    return 0;
}
