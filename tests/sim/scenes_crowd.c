/* scenes_crowd.c: echo_many.c and chat.c, and who comes to them. */
#include "sim/scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int echo_many_main(int argc, char **argv);
int chat_main(int argc, char **argv);

enum { GUESTS = 3, LINES = 5, HEARD_BYTES = 8192 };

/* Longer than anything takes that isn't in vain. */
static const double VERY_LONG = 2000;

static const int WHY_NO_CONVERSATION[] = {ECONNREFUSED, ECONNRESET,  EPIPE,   ETIMEDOUT,
                                          EHOSTUNREACH, ENETUNREACH, ENOBUFS, ENOMEM,
                                          ENFILE,       EMFILE,      0};

static void add_hosts(salut_sim_host **server, salut_sim_host **guests)
{
    char name[16];

    *server = salut_sim_add_host("server");
    salut_sim_add_name(*server, "localhost", NULL);
    for (int i = 0; i < GUESTS; i++) {
        snprintf(name, sizeof name, "guest%d", i);
        guests[i] = salut_sim_add_host(name);
    }
}

static void start_server(salut_sim_host *server, int (*run)(int argc, char **argv))
{
    expect(!salut_sim_start_main(server, run, 2, (char *[]){"program", "7000", NULL}), "%s",
           salut_error());
    wait_until_printed(server, "listening on 10.0.0.2:7000\n");
}

/* A guest is killed with its fibers, but its record is the scene's. */
struct guest {
    int number, round; /* a late word of an earlier round is another guest's */
    salut_sock *sock;
    size_t size, sent, heard; /* bytes */
    bool wrong;
    int failure;
    char text[HEARD_BYTES];
};

static void expect_true_end(const struct guest *g, bool honest)
{
    int reasons = 0;

    expect(!g->wrong, "guest %d hears what it didn't say", g->number);
    for (size_t i = 0; WHY_NO_CONVERSATION[i]; i++)
        reasons += WHY_NO_CONVERSATION[i] == g->failure;
    expect(!g->failure || reasons, "errno %d is no reason", g->failure);
    expect(!honest || !g->failure, "guest %d fails: errno %d", g->number, g->failure);
}

/* ---- Echo ---------------------------------------------------------------------------------- */

static unsigned char said_at(const struct guest *g, size_t at)
{
    return (unsigned char)(at * 7 + at / 251 + (size_t)g->number);
}

static void hear_echo(void *argument)
{
    struct guest *g = argument;
    unsigned char bytes[700];
    ssize_t size;

    while ((size = salut_recv(g->sock, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < size; i++)
            g->wrong |= bytes[i] != said_at(g, g->heard++);
    }
    if (size < 0)
        g->failure = errno;
}

static int say(struct guest *g)
{
    unsigned char bytes[900];

    while (g->sent < g->size) {
        size_t size = 1 + (size_t)salut_sim_random(sizeof bytes);
        if (size > g->size - g->sent)
            size = g->size - g->sent;
        for (size_t i = 0; i < size; i++)
            bytes[i] = said_at(g, g->sent + i);
        if (salut_send(g->sock, bytes, size) < 0)
            return -1;
        g->sent += size;
    }
    return salut_shutdown(g->sock, SHUT_WR);
}

static void talk_to_oneself(void *argument)
{
    struct guest *g = argument;
    salut_fiber *hearing;

    g->sock = salut_create_connection("server:7000");
    if (!g->sock) {
        g->failure = errno;
        return;
    }
    salut_settimeout(g->sock, VERY_LONG);
    hearing = salut_go(hear_echo, g);
    if (say(g) && !g->failure && errno != ENOTCONN)
        g->failure = errno;
    salut_join(hearing);
    salut_close(g->sock);
}

static void start_guests(salut_sim_host **hosts, struct guest *guests,
                         void (*program)(void *argument), int round)
{
    memset(guests, 0, GUESTS * sizeof *guests);
    for (int i = 0; i < GUESTS; i++) {
        guests[i].number = i;
        guests[i].round = round;
        guests[i].size = 1 + (size_t)salut_sim_random(salut_sim_random(4) ? 100 : 20000);
        expect(!salut_sim_start(hosts[i], program, &guests[i]), "%s", salut_error());
        salut_sleep(drawn_seconds(0.01));
    }
}

static void expect_echoes(salut_sim_host **hosts, struct guest *guests)
{
    start_guests(hosts, guests, talk_to_oneself, 2);
    for (int i = 0; i < GUESTS; i++) {
        expect(ends_within(hosts[i], VERY_LONG), "guest %d never ends", i);
        expect_true_end(&guests[i], true);
        expect(guests[i].heard == guests[i].size, "guest %d hears %zu of %zu bytes", i,
               guests[i].heard, guests[i].size);
    }
}

static void echo(void)
{
    salut_sim_host *hosts[1 + GUESTS];
    static struct guest guests[GUESTS];

    add_hosts(&hosts[0], hosts + 1);
    draw_an_honest_network(hosts, 1 + GUESTS);
    start_server(hosts[0], echo_many_main);
    expect_echoes(hosts + 1, guests);
    expect(!*process_complaints(hosts[0]), "the server complains");
}

/* Each complaint of the server's is about a client that was lost, for a reason. */
static bool all_lost(const char *complaints)
{
    char line[1024];

    for (; *complaints; complaints = strchr(complaints, '\n') + 1) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(complaints, "\n"), complaints);
        if (!is_like(line, "lost a client: (recv from|send to) .*") ||
            !gives_reason(line, WHY_NO_CONVERSATION))
            return false;
    }
    return true;
}

static void echo_with_few_descriptors(void)
{
    salut_sim_host *hosts[1 + GUESTS];
    salut_sim_limits few = {.descriptors_max = 2 + (unsigned)salut_sim_random(2)};
    static struct guest guests[GUESTS];

    add_hosts(&hosts[0], hosts + 1);
    salut_sim_limit(hosts[0], &few);
    start_server(hosts[0], echo_many_main);
    expect_echoes(hosts + 1, guests);
    expect(!*process_complaints(hosts[0]), "the server complains");
}

static void echo_in_trouble(void)
{
    salut_sim_host *hosts[1 + GUESTS];
    static struct guest guests[GUESTS];

    add_hosts(&hosts[0], hosts + 1);
    start_server(hosts[0], echo_many_main);
    start_guests(hosts + 1, guests, talk_to_oneself, 1);
    let_trouble_come(hosts[0], hosts + 1, GUESTS);
    for (int i = 0; i < GUESTS; i++) {
        expect(ends_within(hosts[1 + i], 3 * VERY_LONG), "guest %d never ends", i);
        expect_true_end(&guests[i], false);
        expect(guests[i].failure || guests[i].heard == guests[i].size ||
                   salut_sim_join(hosts[1 + i]) == 137 || *process_complaints(hosts[0]),
               "guest %d ends well after %zu of %zu bytes", i, guests[i].heard, guests[i].size);
    }
    expect(all_lost(process_complaints(hosts[0])), "the server complains of something else");
    salut_sim_kill(hosts[0]);
    process_forget_printed(hosts[0]);
    start_server(hosts[0], echo_many_main);
    expect_echoes(hosts + 1, guests);
}

/* ---- Chat ---------------------------------------------------------------------------------- */

static void hear_others(void *argument)
{
    struct guest *g = argument;
    const char *line;

    while ((line = salut_recv_line(g->sock, NULL))) {
        int size = snprintf(g->text + g->heard, HEARD_BYTES - g->heard, "%s\n", line);
        g->heard += (size_t)size;
    }
    if (errno)
        g->failure = errno;
}

/* Says its lines and stays until it has heard itself say all of them. */
static void chat_along(void *argument)
{
    struct guest *g = argument;
    salut_fiber *hearing;
    char line[64];

    g->sock = salut_create_connection("server:7000");
    if (!g->sock) {
        g->failure = errno;
        return;
    }
    salut_settimeout(g->sock, VERY_LONG);
    hearing = salut_go(hear_others, g);
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof line, "guest %d.%d says %d", g->round, g->number, i);
        if (salut_send_line(g->sock, line) < 0)
            break;
        g->sent++;
        salut_sleep(drawn_seconds(0.02));
    }
    salut_shutdown(g->sock, SHUT_WR);
    salut_join(hearing);
    salut_close(g->sock);
}

/* It hears each of its own lines once and in order, and of the others', from some line on, all. In
 * trouble the server may be unable to tell it one. */
static void expect_true_talk(const struct guest *g, bool honest)
{
    int next[GUESTS] = {0};
    const char *line = g->text;

    for (; *line; line = strchr(line, '\n') + 1) {
        int port, round, guest, number, end = 0;
        if (sscanf(line, "%d: guest %d.%d says %d%n", &port, &round, &guest, &number, &end) == 4) {
            if (round != g->round)
                continue;
            expect(guest >= 0 && guest < GUESTS && line[end] == '\n', "an odd line: %s", line);
            bool first = guest != g->number && !next[guest];
            expect(number == next[guest] || ((first || !honest) && number > next[guest]),
                   "guest %d hears guest %d's line %d instead of %d", g->number, guest, number,
                   next[guest]);
            next[guest] = number + 1;
        } else {
            expect(sscanf(line, "%d: (has %*[comelft])%n", &port, &end) == 1 && line[end] == '\n',
                   "an odd line: %s", line);
        }
    }
    expect(next[g->number] <= (int)g->sent, "guest %d hears more than it said", g->number);
}

static void expect_chat(salut_sim_host **hosts, struct guest *guests)
{
    start_guests(hosts, guests, chat_along, 2);
    for (int i = 0; i < GUESTS; i++) {
        char last[64];
        expect(ends_within(hosts[i], VERY_LONG), "guest %d never ends", i);
        expect_true_end(&guests[i], true);
        expect_true_talk(&guests[i], true);
        snprintf(last, sizeof last, ": guest 2.%d says %d\n", i, LINES - 1);
        expect(strstr(guests[i].text, last), "guest %d doesn't hear its last line", i);
    }
}

static void end_chat(salut_sim_host *server, bool in_trouble)
{
    const char *complaints;

    salut_sim_interrupt(server);
    expect(ends_within(server, VERY_LONG), "the server never ends");
    expect(salut_sim_join(server) == 0, "the server doesn't end well");
    complaints = process_complaints(server);
    expect(!*complaints || (in_trouble && !strncmp(complaints, "lost a guest: ", 14)),
           "the server complains");
}

static void chat(void)
{
    salut_sim_host *hosts[1 + GUESTS];
    static struct guest guests[GUESTS];

    add_hosts(&hosts[0], hosts + 1);
    draw_an_honest_network(hosts, 1 + GUESTS);
    start_server(hosts[0], chat_main);
    expect_chat(hosts + 1, guests);
    end_chat(hosts[0], false);
}

static void chat_in_trouble(void)
{
    salut_sim_host *hosts[1 + GUESTS];
    static struct guest guests[GUESTS];

    add_hosts(&hosts[0], hosts + 1);
    start_server(hosts[0], chat_main);
    start_guests(hosts + 1, guests, chat_along, 1);
    let_trouble_come(hosts[0], hosts + 1, GUESTS);
    for (int i = 0; i < GUESTS; i++) {
        expect(ends_within(hosts[1 + i], 3 * VERY_LONG), "guest %d never ends", i);
        expect_true_end(&guests[i], false);
        expect_true_talk(&guests[i], false);
    }
    if (ends_within(hosts[0], 0)) {
        process_forget_printed(hosts[0]);
        start_server(hosts[0], chat_main);
    }
    expect_chat(hosts + 1, guests);
    end_chat(hosts[0], true);
}

const struct scene crowd_scenes[] = {
    {"echo", echo, false},
    {"echo_with_few_descriptors", echo_with_few_descriptors, false},
    {"echo_in_trouble", echo_in_trouble, false},
    {"chat", chat, false},
    {"chat_in_trouble", chat_in_trouble, false},
    {0},
};
