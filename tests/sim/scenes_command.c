/* scenes_command.c: `salut serve` and `salut send`. */
#include "sim/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int salut_main(int argc, char **argv);

enum { SENDERS = 3, TEXT_BYTES = 3000, SHOWN_BYTES = TEXT_BYTES + 4 /* an escape at its end */ };

static const double VERY_LONG = 2000;

static const int WHY_NO_CONVERSATION[] = {ECONNREFUSED, ECONNRESET,  EPIPE,   ETIMEDOUT,
                                          EHOSTUNREACH, ENETUNREACH, ENOBUFS, ENOMEM,
                                          ENFILE,       EMFILE,      0};

/* What is asked of `salut serve`, and whether it is to end. */
struct server {
    char *address;
    bool once, interrupted;
};

static void interrupt_when_asked(void *argument)
{
    struct server *server = argument;
    struct sigaction action;

    while (!server->interrupted)
        salut_sleep(0.5);
    sigaction(SIGTERM, NULL, &action);
    expect(action.sa_handler != SIG_DFL, "the server doesn't handle SIGTERM");
    action.sa_handler(SIGTERM); /* not by a signal: a simulated write() is no system call */
}

static int status_of_serve; /* salut_sim_start() has none */

static void serve(void *argument)
{
    struct server *server = argument;
    char *argv[] = {"salut", "serve", server->once ? "--once" : server->address, server->address,
                    NULL};
    int argc = server->once ? 4 : 3;

    if (!server->once)
        argv[3] = NULL;
    salut_go(interrupt_when_asked, server);
    status_of_serve = salut_main(argc, argv);
}

static void start_serve(salut_sim_host *host, struct server *server)
{
    server->interrupted = false;
    process_forget_printed(host);
    expect(!salut_sim_start(host, serve, server), "%s", salut_error());
    wait_until_printed(host, "Waiting on ");
}

static void end_serve(salut_sim_host *host, struct server *server)
{
    server->interrupted = true;
    expect(ends_within(host, 10), "the server doesn't end when it is interrupted");
    expect(status_of_serve == 0, "the server's status is %d", status_of_serve);
}

/* What is said by it: words of the command line, or what comes on standard input. */
struct sender {
    salut_sim_host *host;
    char text[TEXT_BYTES + 1];
};

static void add_hosts(salut_sim_host **server, struct sender *senders)
{
    char name[16];

    *server = salut_sim_add_host("server");
    salut_sim_add_name(*server, "localhost", NULL);
    for (int i = 0; i < SENDERS; i++) {
        snprintf(name, sizeof name, "sender%d", i);
        senders[i].host = salut_sim_add_host(name);
    }
}

/* No two senders say the same; some of its characters are of two bytes. */
static void make_text(struct sender *s, int number)
{
    size_t size = 1 + (size_t)salut_sim_random(salut_sim_random(4) ? 60 : TEXT_BYTES);

    for (size_t i = 0; i < size; i++)
        s->text[i] = (char)('a' + (number * 8 + (int)(i * 5 + i / 7) % 8));
    for (size_t i = 3; i + 2 <= size; i += 5)
        memcpy(s->text + i, "é", strlen("é"));
    s->text[size] = '\0';
}

static void start_send(struct sender *s, char *address, bool by_input)
{
    process_forget_printed(s->host);
    process_give_input(s->host, s->text);
    expect(!salut_sim_start_main(s->host, salut_main, by_input ? 3 : 4,
                                 (char *[]){"salut", "send", address, s->text, NULL}),
           "%s", salut_error());
}

static void start_senders(struct sender *senders)
{
    for (int i = 0; i < SENDERS; i++) {
        make_text(&senders[i], i);
        start_send(&senders[i], "localhost:63000", salut_sim_random(2));
        salut_sleep(drawn_seconds(0.005));
    }
}

/* What the server shows of one host: of each of its lines what comes after the address, one after
 * the other, but for those that are not its words. Result: the bytes. */
static size_t shown_of(salut_sim_host *server, int number, char *shown, bool *left)
{
    char name[32];
    size_t size = 0;

    *left = false;
    snprintf(name, sizeof name, "10.0.0.%d:", 3 + number);
    for (const char *line = process_output(server); *line; line = strchr(line, '\n') + 1) {
        size_t length = strcspn(line, "\n"), port = 0;
        if (strncmp(line, name, strlen(name)))
            continue;
        line += strlen(name);
        length -= strlen(name);
        port = strspn(line, "0123456789");
        line += port;
        length -= port;
        if (length >= 2 && line[0] == ':' && line[1] == ' ' && size + length - 2 <= SHOWN_BYTES) {
            memcpy(shown + size, line + 2, length - 2);
            size += length - 2;
        } else {
            *left |= begins(line, " left", 5);
            expect(begins(line, " connected\n", 11) || begins(line, " left\n", 6) ||
                       begins(line, " broke off\n", 11) || begins(line, " is lost: ", 10),
                   "an odd line: %s", line);
        }
    }
    return size;
}

static void expect_shown(salut_sim_host *server, const struct sender *s, int number, bool honest)
{
    char shown[SHOWN_BYTES];
    bool left;
    size_t size = shown_of(server, number, shown, &left);

    if (!honest && size >= 4 && !memcmp(shown + size - 4, "\\xc3", 4))
        size -= 4; /* a character whose rest never came */
    expect(begins(s->text, shown, size), "sender %d didn't say that", number);
    expect(!honest || (size == strlen(s->text) && left), "sender %d said more: %zu of %zu bytes",
           number, size, strlen(s->text));
}

static void expect_quiet_end(const struct sender *s, int number)
{
    expect(ends_within(s->host, VERY_LONG), "sender %d never ends", number);
    expect(salut_sim_join(s->host) == 0, "sender %d has status %d", number,
           salut_sim_join(s->host));
    expect(!*process_output(s->host) && !*process_complaints(s->host), "sender %d says something",
           number);
}

static void expect_true_end(const struct sender *s, int number)
{
    const char *complaint;
    int status;

    expect(ends_within(s->host, VERY_LONG), "sender %d never ends", number);
    complaint = process_complaints(s->host);
    status = salut_sim_join(s->host);
    expect(status == 0 || status == 137 || (status == 1 && *complaint), "sender %d has status %d",
           number, status);
    expect(!*complaint || gives_reason(complaint, WHY_NO_CONVERSATION) ||
               strstr(complaint, "the other end is gone"),
           "sender %d complains of something else", number);
}

/* ---- The scenes ---------------------------------------------------------------------------- */

static void serve_once(void)
{
    static struct sender senders[SENDERS];
    struct server server = {.address = "localhost:63000", .once = true};
    salut_sim_host *host;

    add_hosts(&host, senders);
    draw_an_honest_network((salut_sim_host *[]){host, senders[0].host}, 2);
    start_serve(host, &server);
    expect(strstr(process_output(host), "Waiting on 10.0.0.2:63000\n"), "it waits elsewhere");
    make_text(&senders[0], 0);
    start_send(&senders[0], "localhost:63000", salut_sim_random(2));
    expect(ends_within(host, VERY_LONG) && status_of_serve == 0, "the server doesn't end well");
    expect_quiet_end(&senders[0], 0);
    expect_shown(host, &senders[0], 0, true);
}

static void serve_many(void)
{
    static struct sender senders[SENDERS];
    struct server server = {.address = "localhost:63000"};
    salut_sim_host *host;

    add_hosts(&host, senders);
    start_serve(host, &server);
    start_senders(senders);
    for (int i = 0; i < SENDERS; i++)
        expect_quiet_end(&senders[i], i);
    end_serve(host, &server);
    for (int i = 0; i < SENDERS; i++)
        expect_shown(host, &senders[i], i, true);
}

static void serve_in_trouble(void)
{
    static struct sender senders[SENDERS];
    struct server server = {.address = "localhost:63000"};
    salut_sim_host *host, *clients[SENDERS];

    add_hosts(&host, senders);
    for (int i = 0; i < SENDERS; i++)
        clients[i] = senders[i].host;
    start_serve(host, &server);
    start_senders(senders);
    let_trouble_come(host, clients, SENDERS);
    for (int i = 0; i < SENDERS; i++)
        expect_true_end(&senders[i], i);
    salut_sleep(VERY_LONG); /* until the server has heard of it too */
    for (int i = 0; i < SENDERS; i++)
        expect_shown(host, &senders[i], i, false);
    if (!ends_within(host, 0))
        end_serve(host, &server);
    start_serve(host, &server);
    start_senders(senders);
    for (int i = 0; i < SENDERS; i++)
        expect_quiet_end(&senders[i], i);
    end_serve(host, &server);
    for (int i = 0; i < SENDERS; i++)
        expect_shown(host, &senders[i], i, true);
}

static void serve_datagrams(void)
{
    static struct sender senders[SENDERS];
    struct server server = {.address = "udp:localhost:63000", .once = true};
    salut_sim_host *host;

    add_hosts(&host, senders);
    start_serve(host, &server);
    expect(salut_sim_start_main(
               senders[0].host, salut_main, 5,
               (char *[]){"salut", "send", "udp:localhost:63000", "one two", "three", NULL}) == 0,
           "%s", salut_error());
    expect(ends_within(host, VERY_LONG) && status_of_serve == 0, "the server doesn't end well");
    expect(is_like(process_output(host),
                   "Waiting on udp:10\\.0\\.0\\.2:63000\n10\\.0\\.0\\.3:[0-9]+: one two\n"),
           "the server prints something else");
    expect(ends_within(senders[0].host, VERY_LONG), "the sender doesn't end");
}

static void send_by_path(void *argument)
{
    salut_sock *s;

    (void)argument;
    wait_until_printed(salut_sim_here(), "Waiting on unix:/tmp/salut\n");
    s = salut_create_connection("unix:/tmp/salut");
    salut_send_line(s, "one");
    salut_send(s, "two", 3);
    salut_close(s);
}

/* A path is one host's alone, where one program runs: who sends is a fiber of the server's. */
static void serve_path_too(void *server)
{
    salut_go(send_by_path, NULL);
    serve(server);
}

static void serve_path(void)
{
    salut_sim_host *host = salut_sim_add_host("host");
    struct server server = {.address = "unix:/tmp/salut", .once = true};

    for (int i = 0; i < 2; i++) { /* the path is free again */
        process_forget_printed(host);
        expect(!salut_sim_start(host, serve_path_too, &server), "%s", salut_error());
        expect(ends_within(host, VERY_LONG) && status_of_serve == 0, "it doesn't end well");
        expect(is_like(process_output(host), "Waiting on unix:/tmp/salut\n"
                                             "client 1 connected\n"
                                             "(client 1: [onetw]+\n)+"
                                             "client 1 left\n"),
               "it prints something else");
    }
}

static void send_to_nobody(void)
{
    static struct sender senders[SENDERS];
    salut_sim_host *host;

    add_hosts(&host, senders);
    make_text(&senders[0], 0);
    start_send(&senders[0], "localhost:63000", false);
    expect(salut_sim_join(senders[0].host) == 1, "the status is not 1");
    expect(is_like(process_complaints(senders[0].host),
                   "salut: connect to localhost:63000: .*is the server running\\?.*\n"),
           "it says something else");
}

static void wrong_words(void)
{
    salut_sim_host *host = salut_sim_add_host("host");

    for (int i = 0; i < 2; i++) { /* the second time nothing is left of the first */
        expect(!salut_sim_start_main(host, salut_main, 4,
                                     (char *[]){"salut", "serve", "--onec", "a", NULL}) &&
                   salut_sim_join(host) == 2,
               "the status is not 2");
        expect(!salut_sim_start_main(host, salut_main, 2, (char *[]){"salut", "--version", NULL}) &&
                   salut_sim_join(host) == 0,
               "the status is not 0");
    }
    expect(is_like(process_output(host), "(salut [0-9.]+\n){2}"), "it prints something else");
    expect(is_like(process_complaints(host),
                   "(salut: unknown option --onec \\(try salut --help\\)\n){2}"),
           "it complains of something else");
}

const struct scene command_scenes[] = {
    {"serve_once", serve_once, false},
    {"serve_many", serve_many, false},
    {"serve_in_trouble", serve_in_trouble, false},
    {"serve_datagrams", serve_datagrams, false},
    {"serve_path", serve_path, false},
    {"send_to_nobody", send_to_nobody, false},
    {"wrong_words", wrong_words, false},
    {0},
};
