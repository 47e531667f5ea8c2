/* cli.h: what the words of the command `salut` share. A word is a function of one file, listed in
 * main.c's table; it speaks to the network by <salut.h> alone and to people by cli/show.h. */
#ifndef SALUT_CLI_CLI_H
#define SALUT_CLI_CLI_H

#include <libintl.h>
#include <stdbool.h>

/* Every text a person reads is marked for translation: po/POTFILES.in. */
#define _(text) gettext(text)
#define N_(text) text /* marked only: translated where it is shown */

/* How the command ends. */
enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1, /* the network, standard input or standard output said no */
    STATUS_WRONG = 2,  /* the command line makes no sense */
};

/* getopt_long()'s values of long options are above every letter. */
enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_ONCE };

/* The words: argv[0] is the word itself. Result: a status. */
int cli_serve(int argc, char **argv);
int cli_send(int argc, char **argv);

/* Says what is wrong with the command line and where help is. Result: STATUS_WRONG. */
int cli_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for what getopt_long() has just answered with '?'. */
int cli_wrong_option(char **argv);

/* Says what failed last in the library. Result: STATUS_WRONG when it was the address's writing,
 * else STATUS_FAILED. */
int cli_refused(void);

/* Prints a help text. Result: a status. */
int cli_help(const char *text);

/* Whether an address names datagrams rather than a stream. */
bool cli_is_datagrams(const char *address);

#endif
