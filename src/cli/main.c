/* main.c: the command `salut`: the table of its words, and what they share. */
#include "cli/cli.h"
#include "cli/show.h"

#include <salut.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct word {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
    const char *summary;
} words[] = {
    {"serve", cli_serve, "salut serve [--once] [ADDRESS]",
     N_("wait for clients and show what they say")},
    {"send", cli_send, "salut send ADDRESS [MESSAGE ...]", N_("send a message, or standard input")},
};
enum { WORDS_COUNT = sizeof words / sizeof words[0] };

/* ---- What the words share ------------------------------------------------------------------ */

int cli_wrong(const char *format, ...)
{
    char sentence[512]; /* our own short text and a word of the command line: cut when longer */
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    complain(_("%s (try salut --help)"), sentence);
    return STATUS_WRONG;
}

int cli_wrong_option(char **argv)
{
    const char *given = argv[optind - 1];

    if (optopt && optopt < OPTION_HELP)
        return cli_wrong(_("unknown option -%c"), optopt);
    if (optopt)
        return cli_wrong(_("%s: this option takes no value"), given);
    return cli_wrong(_("unknown option %s"), given);
}

int cli_refused(void)
{
    int reason = errno;

    complain("%s", salut_error());
    switch (reason) {
    case EINVAL:
    case ENAMETOOLONG:
    case EPROTONOSUPPORT:
        return STATUS_WRONG;
    default:
        return STATUS_FAILED;
    }
}

int cli_help(const char *text)
{
    return print(text) ? STATUS_FAILED : STATUS_DONE;
}

bool cli_is_datagrams(const char *address)
{
    return !strncmp(address, "udp:", strlen("udp:"));
}

/* ---- The command itself -------------------------------------------------------------------- */

/* A socket must not get the number of a standard descriptor that is closed, or what is printed
 * would be sent. In its place comes one that refuses to be used, as a closed one would. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

static void speak_the_users_language(void)
{
    setlocale(LC_ALL, "");
#ifdef SALUT_LOCALEDIR
    bindtextdomain("salut", SALUT_LOCALEDIR);
#endif
    bind_textdomain_codeset("salut", "UTF-8");
    textdomain("salut");
}

static int help(void)
{
    puts(_("Talk over the network: the words of Python's socket module, as a command.\n\nUsage:"));
    for (size_t i = 0; i < WORDS_COUNT; i++)
        printf("  %-34s %s\n", words[i].usage, _(words[i].summary));
    printf("  %-34s %s\n", "salut [WORD] --help", _("say more"));
    printf("  %-34s %s\n", "salut --version", _("say which version this is"));
    return cli_help(
        _("\n"
          "An ADDRESS is one of\n"
          "  localhost:63000        TCP, from this computer to itself\n"
          "  192.0.2.7:63000        TCP; an IPv6 address goes in brackets: [::1]:63000\n"
          "  :63000                 TCP on every interface (to send: localhost)\n"
          "  udp:localhost:63000    datagrams\n"
          "  unix:/tmp/salut        between programs of this computer, by a path\n"
          "\n"
          "Try it in two terminals:\n"
          "  salut serve\n"
          "  salut send localhost:63000 'Salut le serveur !'\n"));
}

static int version(void)
{
    return say("salut %s", salut_version()) ? STATUS_FAILED : STATUS_DONE;
}

static int usage(void)
{
    for (size_t i = 0; i < WORDS_COUNT; i++)
        fprintf(stderr, "%s %s\n", i ? "      " : _("usage:"), words[i].usage);
    fprintf(stderr, "       salut --help\n");
    return STATUS_WRONG;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };

    occupy_standard_descriptors();
    speak_the_users_language();
    setvbuf(stderr, NULL, _IOLBF, 0); /* a sentence is one write */
    signal(SIGPIPE, SIG_IGN);         /* a reader of ours that left is a failed write */
    opterr = 0;
    optind = 0; /* on a simulated network this process may have been `salut` before */

    switch (getopt_long(argc, argv, "+h", options, NULL)) {
    case 'h':
    case OPTION_HELP:
        return help();
    case OPTION_VERSION:
        return version();
    case '?':
        return cli_wrong_option(argv);
    }
    if (optind >= argc)
        return usage();

    argc -= optind;
    argv += optind;
    for (size_t i = 0; i < WORDS_COUNT; i++) {
        if (!strcmp(argv[0], words[i].name)) {
            optind = 0; /* getopt_long() begins anew */
            return words[i].run(argc, argv);
        }
    }
    return cli_wrong(_("unknown word \"%s\""), argv[0]);
}
