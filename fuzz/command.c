/* command.c: the command `salut`, whole, on a simulated host, with a peer beside it. Whatever its
 * command line and whatever the peer or standard input says, it ends with 0, 1 or 2 (unless it
 * serves, which it may do for ever), says on standard error what was wrong and nothing when nothing
 * was, and prints nothing that could steer a terminal.
 *
 * How: the words of the command line, with NULs between them. The matter is standard input and what
 * the peer says. */
#include "cli/cli.h"
#include "fuzz/fuzz.h"

#include <salut/sim.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORDS_MAX = 16, KILLED = 137 };

/* Longer than any timeout of the command's or the network's: who isn't done by then hangs. */
static const double SECONDS_MAX = 7200;

int salut_main(int argc, char **argv); /* main.c's */

static struct play {
    const uint8_t *bytes;
    size_t size;
    int argc;
    char *argv[WORDS_MAX + 1];
    int status;
    bool visited;    /* a client has come to where it waits, and has gone */
    char *out, *err; /* what it printed */
    size_t out_size, err_size;
} play;

/* ---- The peer ------------------------------------------------------------------------------ */

/* Says its bytes in two pieces, and hears what there is to hear. */
static void converse(void *socket)
{
    salut_sock *sock = socket;
    size_t half = play.size / 2;
    char heard[256];

    salut_settimeout(sock, 1);
    salut_send(sock, play.bytes, half);
    salut_sleep(0.01);
    salut_send(sock, play.bytes + half, play.size - half);
    salut_shutdown(sock, SHUT_WR);
    while (salut_recv(sock, heard, sizeof heard) > 0)
        ;
    salut_close(sock);
}

static void welcome(void *address)
{
    salut_sock *server = salut_create_server(address);
    salut_sock *client;

    while ((client = salut_accept(server, NULL)) != NULL)
        converse(client);
    salut_close(server);
}

/* A client of a server is told where that waits: on its first line, "Waiting on ADDRESS". */
static void visit(void *argument)
{
    static const char waiting[] = "Waiting on ";
    char address[256] = "";
    salut_sock *sock;

    (void)argument;
    do
        salut_sleep(0.1);
    while (fflush(stdout) || play.out_size < sizeof waiting);
    sscanf(play.out, "Waiting on %255[^\n]", address);
    sock = address[0] ? salut_create_connection(address) : NULL;
    if (!sock)
        return;
    converse(sock);
    play.visited = true;
}

/* The command's own program: its peers live on the same host, so that each address is theirs. */
static int act(int argc, char **argv)
{
    static char tcp[] = ":7", udp[] = "udp::7", path[] = "unix:/s";

    salut_go(welcome, tcp);
    salut_go(welcome, path);
    salut_go(welcome, udp);
    salut_go(visit, NULL);
    salut_sleep(0.001);
    salut_clear_error();
    optind = 0; /* getopt_long() begins anew */
    return salut_main(argc, argv);
}

/* ---- The stage ----------------------------------------------------------------------------- */

static void end_it(void *host)
{
    if (!salut_sleep(SECONDS_MAX))
        salut_sim_kill(host);
}

static void run(void *argument)
{
    salut_sim_host *host = salut_sim_add_host("stage");

    (void)argument;
    fuzz_require(!salut_sim_start_main(host, act, play.argc, play.argv), "%s", salut_error());
    salut_go(end_it, host);
    play.status = salut_sim_join(host);
}

/* The standard streams are of memory; standard input is a file, since it is read by descriptor. */
static void set_standard_input(void)
{
    static int file = -1;

    if (file < 0)
        file = dup2(memfd_create("input", MFD_CLOEXEC), STDIN_FILENO);
    fuzz_require(file == STDIN_FILENO && !ftruncate(file, 0) && !lseek(file, 0, SEEK_SET) &&
                     pwrite(file, play.bytes, play.size, 0) == (ssize_t)play.size,
                 "standard input can be set");
    __fpurge(stdin);
    clearerr(stdin);
}

/* The fuzzer has its own use for these signals, and a command that finds them ignored leaves them
 * alone. */
static void run_undisturbed(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    struct sigaction ignored = {.sa_handler = SIG_IGN}, before[COUNT];
    FILE *real_out = stdout, *real_err = stderr;
    char sentence[1024] = "";

    for (size_t i = 0; i < COUNT; i++)
        sigaction(numbers[i], &ignored, &before[i]);
    stdout = open_memstream(&play.out, &play.out_size);
    stderr = open_memstream(&play.err, &play.err_size);
    if (salut_sim_run(1, run, NULL, NULL))
        snprintf(sentence, sizeof sentence, "%s", salut_error());
    fclose(stdout);
    fclose(stderr);
    stdout = real_out;
    stderr = real_err;
    for (size_t i = 0; i < COUNT; i++)
        sigaction(numbers[i], &before[i], NULL);
    fuzz_require(!sentence[0], "%s", sentence);
}

/* ---- The properties ------------------------------------------------------------------------ */

static void require_harmless(const char *stream, const char *text, size_t size)
{
    const char *end = text + size;

    for (const char *line = text; line < end; line++) {
        const char *at = line;
        while (line < end && *line != '\n' && *line != '\t')
            line++;
        fuzz_require(fuzz_is_harmless(at, (size_t)(line - at)), "%s is harmless: %s", stream, at);
    }
}

static bool was_to_serve_once(void)
{
    for (int i = 2; i < play.argc; i++) {
        if (!strcmp(play.argv[i], "--once"))
            return true;
    }
    return false;
}

static void check_what_it_said(void)
{
    bool served = !strncmp(play.out, "Waiting on ", strlen("Waiting on "));

    fuzz_require(play.status == STATUS_DONE || play.status == STATUS_FAILED ||
                     play.status == STATUS_WRONG || (served && play.status == KILLED),
                 "it ends with 0, 1 or 2, not %d: %s", play.status, play.err);
    fuzz_require(play.status != KILLED || !play.visited || !was_to_serve_once(),
                 "it ends when its only client has gone");
    if (play.status == STATUS_FAILED || play.status == STATUS_WRONG)
        fuzz_require(!strncmp(play.err, "salut: ", 7) || !strncmp(play.err, "usage: ", 7),
                     "a failure is told: %s", play.err);
    else if (!served)
        fuzz_require(!play.err_size, "when all went well there is nothing to say: %s", play.err);
    require_harmless("standard output", play.out, play.out_size);
    require_harmless("standard error", play.err, play.err_size);
}

static void read_words(char *line, size_t size)
{
    static char name[] = "salut";
    char *end = line + size;

    play.argc = 0;
    play.argv[play.argc++] = name;
    while (size && line <= end && play.argc < WORDS_MAX) {
        play.argv[play.argc++] = line;
        line += strlen(line) + 1;
    }
    play.argv[play.argc] = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct script script = fuzz_script(bytes, size);
    char *line = calloc(1, script.how_size + 1);

    if (script.how_size)
        memcpy(line, script.how, script.how_size);
    play = (struct play){.bytes = script.bytes, .size = script.size};
    read_words(line, script.how_size);
    set_standard_input();
    run_undisturbed();
    check_what_it_said();
    free(play.out);
    free(play.err);
    free(line);
    return 0;
}
