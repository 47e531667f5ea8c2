/* serve.c: `salut serve` waits for clients and shows what each says, a fiber a client.
 *
 * The end is one byte: main's fiber receives it from one end of a pair of sockets, and whatever
 * ends the program writes it to the other: a signal's handler, the failure of standard output,
 * the only client's end. So nothing polls, and the listener is closed properly (a Unix path is
 * unlinked) whichever it was. */
#include "cli/cli.h"
#include "cli/show.h"

#include <salut.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* "[", the longest text of an address (a Unix path has 107 bytes), "]:65535". */
    NAME_BYTES = 128,

    /* More than anybody follows on a terminal. With 16 KiB for its piece and its stack a client
     * costs up to 32 KiB: all together 128 MiB. Further ones wait to be accepted. */
    CLIENTS_MAX = 4096,

    /* A datagram's length is written in 16 bits. */
    DATAGRAM_BYTES_MAX = 65535,
};

/* How long the next client waits, at most, once there is room for it. */
static const double FULL_PAUSE_SECONDS = 0.05;

/* The byte that ends it: one of these, or a signal's number. */
enum { END_DONE = 0, END_FAILED = 255 };

struct server {
    const char *address;
    salut_sock *listener;
    salut_sock *end; /* takes the byte that ends it */
    bool once;
    bool numbered; /* clients have no address: they are called by number */
    unsigned clients_count;
    unsigned clients_sum;
    bool unclosed; /* not as it should be: the path is still there */
};

struct client {
    struct server *server;
    salut_sock *sock;
    char name[NAME_BYTES];
    struct speech speech;
};

/* ---- The end ------------------------------------------------------------------------------- */

static int end_descriptor; /* for the handler, which may only write() */

static void on_signal(int number)
{
    unsigned char why = (unsigned char)number;
    int before = errno;

    if (write(end_descriptor, &why, 1) < 0)
        errno = before;
}

/* The first byte decides; when there is no room for one more, many have come. Without any, it has
 * failed. */
static void ask_for_the_end(struct server *server, unsigned char why)
{
    if (salut_send(server->end, &why, 1) >= 0 || errno == EAGAIN)
        return;
    complain("%s", salut_error());
    salut_shutdown(server->end, SHUT_WR);
}

/* Signals that are ignored (nohup, a background job of a script) stay so. The second one of a
 * kind ends the program at once: it may be stuck, writing to a terminal that is stopped. */
static salut_sock *hear_of_the_end(struct server *server)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;
    salut_sock *hears;

    if (salut_pair(&hears, &server->end))
        return NULL;
    salut_settimeout(server->end, 0);
    end_descriptor = salut_fd(server->end);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    return hears;
}

/* ---- A client ------------------------------------------------------------------------------ */

static void name_address(salut_addr *address, char *name, size_t size)
{
    const char *host = salut_addr_host(address);

    snprintf(name, size, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, salut_addr_port(address));
}

/* Result: NULL when there is no memory for one more, who is then sent away. */
static struct client *welcome(struct server *server, salut_sock *sock, salut_addr *peer)
{
    struct client *client = calloc(1, sizeof *client);

    if (!client) {
        complain(_("no memory for one more client, which was sent away"));
        salut_close(sock);
        return NULL;
    }
    client->server = server;
    client->sock = sock;
    server->clients_count++;
    server->clients_sum++;
    if (server->numbered)
        snprintf(client->name, sizeof client->name, _("client %u"), server->clients_sum);
    else
        name_address(peer, client->name, sizeof client->name);
    return client;
}

static void take_leave(struct client *client)
{
    client->server->clients_count--;
    salut_close(client->sock);
    free(client);
}

/* received: what the last receive gave, with its errno when it failed. */
static int say_who_left(struct client *client, ssize_t received)
{
    if (received == 0)
        return say(_("%s left"), client->name);
    if (errno == ECONNRESET)
        return say(_("%s broke off"), client->name);
    return say(_("%s is lost: %s"), client->name, salut_error());
}

static void converse(void *argument)
{
    struct client *client = argument;
    struct server *server = client->server;
    struct speech *speech = &client->speech;
    ssize_t received;
    int failed = 0;

    do {
        int reason;

        received = salut_recv(client->sock, speech_room(speech), PIECE_BYTES);
        reason = errno;
        failed = show_piece(speech, client->name, received > 0 ? (size_t)received : 0);
        errno = reason;
    } while (received > 0 && !failed);
    if (!failed)
        failed = say_who_left(client, received);
    take_leave(client);
    if (failed)
        ask_for_the_end(server, END_FAILED);
}

/* ---- Many clients -------------------------------------------------------------------------- */

/* Result: -1 when it's time to end. */
static int take_client(struct server *server, salut_sock *sock, salut_addr *peer)
{
    struct client *client = welcome(server, sock, peer);

    if (!client)
        return server->once ? -1 : 0;
    if (say(_("%s connected"), client->name)) {
        take_leave(client);
        return -1;
    }
    if (server->once) {
        converse(client);
        ask_for_the_end(server, END_DONE);
    } else if (!salut_go(converse, client)) {
        complain("%s", salut_error());
        take_leave(client);
    }
    return 0;
}

static void close_listener(struct server *server)
{
    salut_sock *listener = server->listener;

    server->listener = NULL;
    if (!salut_close(listener))
        return;
    complain("%s", salut_error());
    server->unclosed = true;
}

static void take_clients(void *argument)
{
    struct server *server = argument;
    salut_addr peer;
    salut_sock *sock;

    do {
        while (server->clients_count >= CLIENTS_MAX)
            salut_sleep(FULL_PAUSE_SECONDS);
        sock = salut_accept(server->listener, &peer);
        if (!sock && errno != ECANCELED)
            complain("%s", salut_error());
        if (server->once)
            close_listener(server); /* nobody shall wait in vain */
    } while (sock && !take_client(server, sock, &peer) && !server->once);
    ask_for_the_end(server, END_FAILED); /* unless a better reason was given already */
}

static void take_datagrams(void *argument)
{
    static unsigned char bytes[DATAGRAM_BYTES_MAX]; /* too many for a fiber's stack */
    struct server *server = argument;
    char name[NAME_BYTES];
    salut_addr from;

    for (;;) {
        ssize_t size = salut_recvfrom(server->listener, bytes, sizeof bytes, &from);

        if (size < 0) {
            complain("%s", salut_error());
            break;
        }
        name_address(&from, name, sizeof name);
        if (show_datagram(name, bytes, (size_t)size))
            break;
        if (server->once) {
            ask_for_the_end(server, END_DONE);
            break;
        }
    }
    ask_for_the_end(server, END_FAILED);
}

/* ---- The word ------------------------------------------------------------------------------ */

/* In the form that `salut send` takes. */
static int say_where(struct server *server)
{
    salut_addr here;
    char name[NAME_BYTES];

    if (salut_local(server->listener, &here)) {
        complain("%s", salut_error());
        return -1;
    }
    server->numbered = here.raw.any.sa_family == AF_UNIX;
    if (server->numbered)
        return say(_("Waiting on %s"), server->address);
    name_address(&here, name, sizeof name);
    return say(_("Waiting on %s%s"), cli_is_datagrams(server->address) ? "udp:" : "", name);
}

/* Interrupting a server is how it is ended, so that's no failure; one that was to serve a client
 * and didn't says so as every interrupted program does, and a shell's loop ends with it. */
static int end_of(const struct server *server, unsigned char why)
{
    if (why == END_DONE)
        return STATUS_DONE;
    if (why == END_FAILED)
        return STATUS_FAILED;
    if (server->once) {
        signal(why, SIG_DFL);
        raise(why);
    }
    return STATUS_DONE;
}

static int serve(struct server *server)
{
    salut_sock *end = hear_of_the_end(server);
    unsigned char why = END_FAILED;

    if (!end)
        return cli_refused();
    server->listener = salut_create_server(server->address);
    if (!server->listener)
        return cli_refused();
    if (!say_where(server)) {
        bool datagrams = cli_is_datagrams(server->address);
        if (!salut_go(datagrams ? take_datagrams : take_clients, server) ||
            salut_recv(end, &why, 1) < 0)
            complain("%s", salut_error());
    }
    close_listener(server);
    return server->unclosed ? STATUS_FAILED : end_of(server, why);
}

static int help(void)
{
    return cli_help(
        _("Waits for clients and shows what each says, until it's interrupted (Ctrl-C).\n"
          "\n"
          "Usage: salut serve [--once] [ADDRESS]\n"
          "\n"
          "  ADDRESS    where to wait, localhost:63000 by default; see salut --help.\n"
          "             Port 0 takes a free one. Only :PORT, or an address of this computer\n"
          "             other than localhost, lets other computers in.\n"
          "  --once     end when the first client has gone (udp: after the first datagram)\n"
          "  -h, --help this text\n"
          "\n"
          "A line is shown for each line that a client sends, and for what it sends without\n"
          "ending the line. Characters that could steer the terminal are shown as \\x1b.\n"
          "\n"
          "Examples:\n"
          "  salut serve\n"
          "  salut serve --once :63000\n"
          "  salut serve udp:localhost:63000\n"
          "  salut serve unix:/tmp/salut\n"));
}

int cli_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, OPTION_HELP},
        {"once", no_argument, NULL, OPTION_ONCE},
        {0},
    };
    struct server server = {.address = "localhost:63000"};
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'h':
        case OPTION_HELP:
            return help();
        case OPTION_ONCE:
            server.once = true;
            break;
        default:
            return cli_wrong_option(argv);
        }
    }
    if (argc - optind > 1)
        return cli_wrong(_("serve takes one address, and \"%s\" is one too many"),
                         argv[optind + 1]);
    if (optind < argc)
        server.address = argv[optind];
    return serve(&server);
}
