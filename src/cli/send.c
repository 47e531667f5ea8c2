/* send.c: `salut send` says what is on the command line, or else what comes on standard input.
 *
 * Reading standard input blocks the thread: there is nothing to do without it. While something
 * is sent, a fiber takes what the other end answers and throws it away: an answer that nobody
 * took would stop the other end, and a socket closed upon it breaks off what is still on its
 * way. */
#include "cli/cli.h"
#include "cli/show.h"

#include <salut.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* What a pipe of Linux holds: more would not come at once. */
    INPUT_BYTES = 64 * 1024,

    /* Answers are not looked at; a page is read by a call. */
    ANSWER_BYTES = 4096,

    /* 65,535 less UDP's header, which is what IPv6 takes. IPv4 takes 20 bytes less, as the system
     * will say. */
    DATAGRAM_BYTES_MAX = 65527,
};

/* After the end the other side may still break off, which means that it didn't take all. This is
 * several ways around the world, and not long for one who waits for the prompt. */
static const double GOODBYE_SECONDS_MAX = 2;

/* ---- A stream ------------------------------------------------------------------------------ */

struct conversation {
    salut_sock *sock;
    salut_fiber *hearing;
    char failure[1024]; /* why hearing ended, "" when it was well; the library's limit */
};

static void hear(void *argument)
{
    struct conversation *talk = argument;
    char answer[ANSWER_BYTES];
    ssize_t size;

    do
        size = salut_recv(talk->sock, answer, sizeof answer);
    while (size > 0);
    if (size < 0 && errno != ECANCELED)
        snprintf(talk->failure, sizeof talk->failure, "%s", salut_error());
}

static void lose_patience(void *argument)
{
    struct conversation *talk = argument;

    salut_sleep(GOODBYE_SECONDS_MAX);
    salut_cancel(talk->hearing);
}

/* The words with a space between them, as echo's, and no newline. */
static int send_words(salut_sock *sock, int count, char **message)
{
    size_t size = 0;
    char *text, *end;
    ssize_t sent;

    for (int i = 0; i < count; i++)
        size += strlen(message[i]) + 1;
    text = end = malloc(size);
    if (!text) {
        complain(_("no memory for the message"));
        return STATUS_FAILED;
    }
    for (int i = 0; i < count; i++) {
        end = stpcpy(end, message[i]);
        *end++ = ' ';
    }
    sent = salut_send(sock, text, size - 1);
    free(text);
    return sent < 0 ? cli_refused() : STATUS_DONE;
}

static int input_failed(void)
{
    complain(_("can't read standard input: %s"), strerror(errno));
    return STATUS_FAILED;
}

/* As it comes: from a terminal, read() gives a line. */
static int send_input(salut_sock *sock)
{
    char bytes[INPUT_BYTES]; /* main's stack is large */
    ssize_t size;

    while ((size = read(STDIN_FILENO, bytes, sizeof bytes)) > 0) {
        if (salut_send(sock, bytes, (size_t)size) < 0)
            return cli_refused();
    }
    return size < 0 ? input_failed() : STATUS_DONE;
}

/* Says that no more will come, and hears whether the other end breaks off or ends well. */
static int say_goodbye(struct conversation *talk)
{
    int lost = salut_shutdown(talk->sock, SHUT_WR);

    if (lost && errno != ENOTCONN)
        return cli_refused();
    if (!salut_go(lose_patience, talk) || salut_join(talk->hearing))
        return cli_refused();
    if (talk->failure[0])
        complain("%s", talk->failure);
    else if (lost)
        complain(_("the other end is gone: what was sent last may not have arrived"));
    return talk->failure[0] || lost ? STATUS_FAILED : STATUS_DONE;
}

static int send_stream(struct conversation *talk, int count, char **message)
{
    int status;

    talk->hearing = salut_go(hear, talk);
    if (!talk->hearing)
        return cli_refused();
    status = count ? send_words(talk->sock, count, message) : send_input(talk->sock);
    return status ? status : say_goodbye(talk);
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

/* When nobody takes it, the other computer may say so, and this one does at once. */
static int send_datagram(salut_sock *sock, const char *bytes, size_t size)
{
    char answer[ANSWER_BYTES];

    if (salut_send(sock, bytes, size) < 0)
        return cli_refused();
    salut_settimeout(sock, 0);
    if (salut_recv(sock, answer, sizeof answer) < 0 && errno != EAGAIN && errno != EMSGSIZE)
        return cli_refused();
    salut_settimeout(sock, -1);
    return STATUS_DONE;
}

/* Each line, without its newline. */
static int send_lines(salut_sock *sock)
{
    char line[DATAGRAM_BYTES_MAX]; /* main's stack is large */
    unsigned long number = 1;
    size_t size = 0;
    int status = STATUS_DONE;
    int byte;

    while (!status && (byte = getchar()) != EOF) {
        if (byte == '\n') {
            status = send_datagram(sock, line, size);
            size = 0;
            number++;
        } else if (size == sizeof line) {
            complain(_("line %lu of standard input has more than %d bytes, the most that a "
                       "datagram holds"),
                     number, DATAGRAM_BYTES_MAX);
            status = STATUS_FAILED;
        } else {
            line[size++] = (char)byte;
        }
    }
    if (!status && ferror(stdin))
        return input_failed();
    return status || !size ? status : send_datagram(sock, line, size);
}

static int send_datagrams(salut_sock *sock, int count, char **message)
{
    int status = STATUS_DONE;

    if (!count)
        return send_lines(sock);
    for (int i = 0; i < count && !status; i++)
        status = send_datagram(sock, message[i], strlen(message[i]));
    return status;
}

/* ---- The word ------------------------------------------------------------------------------ */

static int help(void)
{
    return cli_help(
        _("Connects, sends, ends. Prints nothing when all went well.\n"
          "\n"
          "Usage: salut send ADDRESS [MESSAGE ...]\n"
          "\n"
          "  ADDRESS    where somebody waits; see salut --help\n"
          "  MESSAGE    what to send, without a newline; several are joined by a space.\n"
          "             Without any: standard input as it comes, byte for byte, to its end\n"
          "             (Ctrl-D in a terminal). udp: each MESSAGE, or each line of standard\n"
          "             input without its newline, is a datagram.\n"
          "  -h, --help this text; options come before ADDRESS\n"
          "\n"
          "Examples, with salut serve in another terminal:\n"
          "  salut send localhost:63000 'Salut le serveur !'\n"
          "  date | salut send localhost:63000\n"
          "and with salut serve udp:localhost:63000:\n"
          "  salut send udp:localhost:63000 one two\n"));
}

int cli_send(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    struct conversation talk = {0};
    const char *address;
    int status;

    switch (getopt_long(argc, argv, "+h", options, NULL)) {
    case 'h':
    case OPTION_HELP:
        return help();
    case '?':
        return cli_wrong_option(argv);
    }
    if (optind >= argc)
        return cli_wrong(_("send needs an address, such as localhost:63000"));
    address = argv[optind++];
    argc -= optind;
    argv += optind;
    talk.sock = salut_create_connection(address);
    if (!talk.sock)
        return cli_refused();
    status = cli_is_datagrams(address) ? send_datagrams(talk.sock, argc, argv)
                                       : send_stream(&talk, argc, argv);
    salut_close(talk.sock);
    return status;
}
