/* scenes_greeting.c: serveur.c and client.c. */
#include "sim/scene.h"

#include <errno.h>
#include <string.h>

/* Their main(), renamed by their build. */
int serveur_main(void);
int client_main(void);

static const char GREETING[] = "Salut le serveur !";

/* Longer than TCP tries. */
static const double VERY_LONG = 2000;

static const int WHY_NO_CONVERSATION[] = {ECONNREFUSED, ECONNRESET,  EPIPE,   ETIMEDOUT,
                                          EHOSTUNREACH, ENETUNREACH, ENOBUFS, ENOMEM,
                                          ENFILE,       EMFILE,      0};

static int run_serveur(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return serveur_main();
}

static int run_client(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return client_main();
}

static void start(salut_sim_host *host, int (*run)(int argc, char **argv))
{
    process_forget_printed(host);
    expect(!salut_sim_start_main(host, run, 1, (char *[]){"program", NULL}), "%s", salut_error());
}

/* The server's localhost is everybody's. */
static void add_hosts(salut_sim_host **server, salut_sim_host **client)
{
    *server = salut_sim_add_host("server");
    *client = salut_sim_add_host("client");
    salut_sim_add_name(*server, "localhost", NULL);
}

/* As far as it has come: a stream may be cut anywhere, and the server receives once. */
static void expect_true_output(salut_sim_host *server)
{
    const char *output = process_output(server);
    const char *message = strstr(output, "Message recu: ");

    expect(is_like(output, "(Serveur en attente\\.\\.\\.\n"
                           "(Connexion de \\('10\\.0\\.0\\.3', [0-9]+\\)\n"
                           "(Message recu: [^\n]*\n)?)?)?"),
           "the server prints something else");
    if (message) {
        message += strlen("Message recu: ");
        expect(begins(GREETING, message, strcspn(message, "\n")), "the message is another");
    }
}

static void greet(salut_sim_host *server, salut_sim_host *client)
{
    start(server, run_serveur);
    wait_until_printed(server, "Serveur en attente...\n");
    start(client, run_client);
    expect(salut_sim_join(client) == 0, "the client's status is not 0");
    expect(salut_sim_join(server) == 0, "the server's status is not 0");
    expect(strstr(process_output(server), "Message recu: S"), "no message has come");
    expect_true_output(server);
}

static void greeting(void)
{
    salut_sim_host *hosts[2];

    add_hosts(&hosts[0], &hosts[1]);
    draw_an_honest_network(hosts, 2);
    greet(hosts[0], hosts[1]);
    expect(!*process_complaints(hosts[0]) && !*process_complaints(hosts[1]), "somebody complains");
}

static void calm_greeting(void)
{
    salut_sim_host *server, *client;

    add_hosts(&server, &client);
    greet(server, client);
    expect(strstr(process_output(server), "\nMessage recu: Salut le serveur !\n"),
           "the message is not whole");
}

/* Both on one machine, as in two terminals: the client is a fiber of the server's program. */
static void client_beside(void *argument)
{
    (void)argument;
    while (!strstr(process_output(salut_sim_here()), "Serveur en attente...\n"))
        salut_sleep(0.001);
    client_main();
}

static void both(void *argument)
{
    salut_fiber *beside = salut_go(client_beside, NULL);

    (void)argument;
    serveur_main();
    salut_join(beside);
}

static void greeting_at_home(void)
{
    salut_sim_host *host = salut_sim_add_host("home");

    salut_sim_start(host, both, NULL);
    expect(salut_sim_join(host) == 0, "the status is not 0");
    expect(is_like(process_output(host), "Serveur en attente\\.\\.\\.\n"
                                         "Connexion de \\('127\\.0\\.0\\.1', [0-9]+\\)\n"
                                         "Message recu: S[^\n]*\n"),
           "the server prints something else");
}

static void client_without_server(void)
{
    salut_sim_host *server, *client;

    add_hosts(&server, &client);
    start(client, run_client);
    expect(salut_sim_join(client) == 1, "the client's status is not 1");
    expect(strstr(salut_sim_last_words(client), "connect to localhost:63000") &&
               gives_reason(salut_sim_last_words(client), (int[]){ECONNREFUSED, 0}),
           "the client doesn't say that nobody listens");
}

/* The server waits for ever when nobody has come to it. */
static void end_of(salut_sim_host *server)
{
    if (ends_within(server, VERY_LONG))
        return;
    expect(!strstr(process_output(server), "Connexion"), "the server never ends");
    salut_sim_kill(server);
}

static void expect_honest_end(salut_sim_host *host)
{
    const char *words = salut_sim_last_words(host);
    int status = salut_sim_join(host);

    expect(status == 0 || status == 137 || (status == 1 && *words), "the status is %d", status);
    expect(!*words || gives_reason(words, WHY_NO_CONVERSATION), "\"%s\" is no reason", words);
}

static void greeting_in_trouble(void)
{
    salut_sim_host *server, *client;

    add_hosts(&server, &client);
    start(server, run_serveur);
    if (salut_sim_random(4))
        wait_until_printed(server, "Serveur en attente...\n");
    start(client, run_client);
    let_trouble_come(server, &client, 1);
    expect(ends_within(client, VERY_LONG), "the client never ends");
    end_of(server);
    expect_honest_end(client);
    expect_honest_end(server);
    expect_true_output(server);
    greet(server, client);
}

const struct scene greeting_scenes[] = {
    {"greeting", greeting, false},
    {"calm_greeting", calm_greeting, true},
    {"greeting_at_home", greeting_at_home, false},
    {"client_without_server", client_without_server, false},
    {"greeting_in_trouble", greeting_in_trouble, false},
    {0},
};
