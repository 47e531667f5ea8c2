/* salut/sim.h: a network that can be replayed.
 *
 * A program that speaks salut's words runs here unchanged, on hosts, links and a clock that exist
 * in this process alone. Everything that is left to chance on a real network, what comes when, how
 * a stream is cut into receives, which packet is lost, is drawn from one seed: the same seed gives
 * the same run on every machine, as often as you like.
 *
 *     #include <salut/sim.h>                            cc test.c -lsalut
 *
 *     static void test(void *argument)                  // runs on the host "main"
 *     {
 *         salut_sim_host *server = salut_sim_add_host("server");
 *         salut_sim_start(server, serve_them, NULL);    // serve_them() speaks the words
 *         ...                                           // and so does this function
 *     }
 *     int main(void)
 *     {
 *         for (uint64_t seed = 1; seed <= 1000; seed++)
 *             if (salut_sim_run(seed, test, NULL, NULL))
 *                 salut_check();                        // says what went wrong, and the seed
 *     }
 *
 * The clock stands while programs compute and jumps to what comes next when all of them wait, so
 * that an hour of timeouts takes milliseconds. salut_sleep() and salut_settimeout() go by it; time()
 * and its like don't: use salut_sim_now().
 *
 * What a host has: a name, an IPv4 and an IPv6 address (10.0.0.1 and fd00::1 for the first, and so
 * on), its own localhost, its own Unix paths (in directories that all exist), descriptors, limits
 * and clock. All hosts know each other's names. Its program is one thread: salut_serve() has one
 * worker there. Global variables and the heap are shared by all programs, since they are one
 * process; memory that a killed program had of its own is not freed (its sockets and fibers are).
 *
 * SALUT_SIM_SEED=N in the environment runs that seed instead of the one given;
 * SALUT_SIM_TRACE=FILE writes what happens to FILE, and SALUT_SIM_DIAGRAM=FILE draws it as a
 * sequence diagram (Mermaid's language).
 *
 * Every word here is for the programs of a run; elsewhere it fails with EPERM. Results are 0, or -1
 * with errno and a sentence in salut_error().
 */
#ifndef SALUT_SIM_H
#define SALUT_SIM_H

#include <salut.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A simulated machine. Good until its run ends. */
typedef struct salut_sim_host salut_sim_host;

/* What the way between two hosts is like, in both directions. The default is a small office:
 * 0.2 ms and up to 0.3 ms more, no limit, nothing lost. */
typedef struct salut_sim_link {
    double latency_seconds;  /* that every packet takes, 0 to 3600 */
    double jitter_seconds;   /* and up to so much more, drawn for each */
    double bytes_per_second; /* 0: no limit */
    double loss;             /* the part of the packets that is lost, 0 to 1: datagrams for good;
                                what a stream carries comes later, as TCP repeats it */
    double duplication;      /* of datagrams that come twice */
    double reordering;       /* of datagrams that are overtaken; jitter alone overtakes none */
    double resets;           /* of a stream's packets at which something on the way breaks the
                                connection off, for both ends */
} salut_sim_link;

/* What a host has less of than usual; 0 is the default of each. */
typedef struct salut_sim_limits {
    unsigned descriptors_max; /* EMFILE beyond; default 20,000 */
    size_t send_bytes;     /* that a new socket's system holds for it, each way; default: drawn, */
    size_t receive_bytes;  /* from 4 KiB to 128 KiB */
    size_t read_bytes_max; /* a receive gets no more at once: 1 is byte after byte */
    double exhaustion;     /* the part of the calls that need memory of the system's and fail
                                 (ENOBUFS, ENOMEM, ENFILE), 0 to 1 */
    int names_unknown;     /* 1: no name but localhost can be looked up (EHOSTUNREACH) */
} salut_sim_limits;

typedef struct salut_sim_options {
    double seconds_max;  /* of simulated time; then the run fails with ETIMEDOUT; default one day */
    uint64_t steps_max;  /* turns that programs take without ever all waiting, before that is
                             called a livelock (ELOOP); default a million */
    int calm;            /* 1: nothing is left to chance but what the links say: streams are cut
                             where they were sent, localhost takes no time */
    salut_sim_link link; /* between hosts; all zeros is the default */
    const char *trace;   /* a file for the trace; NULL: none */
    const char *diagram; /* a file for the sequence diagram; NULL: none */
} salut_sim_options;

/* What a run was like, for who counts. */
typedef struct salut_sim_summary {
    uint64_t seed;
    uint64_t trace_hash; /* of all that happened: two runs with one seed have the same */
    uint64_t operations; /* sends, receives, accepts and so on that reached the network */
    double seconds;      /* of simulated time */
} salut_sim_summary;

/* Runs program(argument) on the host "main" of a new network, until it returns; the other hosts'
 * programs then end with it. options: NULL is all defaults. Runs can't be nested.
 * Result: 0, or -1 and
 *     EDEADLK    all programs wait, and nothing is left that could happen;
 *     ELOOP      programs kept each other busy, and time never went on;
 *     ETIMEDOUT  seconds_max was over;
 *     EPROTO     the program ended by salut_check(), on a failure of its own;
 *     EINVAL, ENOMEM, or what made writing the trace impossible.
 * The sentence names the seed, and for EDEADLK and ELOOP each fiber and what it waits for. */
SALUT_PUBLIC int salut_sim_run(uint64_t seed, void (*program)(void *argument), void *argument,
                               const salut_sim_options *options);

/* What the last run of this thread was like, or the present one so far. */
SALUT_PUBLIC salut_sim_summary salut_sim_last(void);

/* ---- Hosts --------------------------------------------------------------------------------- */

/* A new machine, linked to all others. name: 1 to 63 bytes, letters, digits, '-', '_' and '.'.
 * Result: the host; or NULL and EINVAL, EEXIST (the name is taken), ENOSPC (1000 hosts), ENOMEM. */
SALUT_PUBLIC salut_sim_host *salut_sim_add_host(const char *name);

/* Another name for the host, or (address not NULL) for any address: a name with several addresses
 * has been given several times. "localhost" can be given too, so that two programs that have it
 * written in meet from different hosts. Result: 0, or -1 and EINVAL, ENOMEM. */
SALUT_PUBLIC int salut_sim_add_name(salut_sim_host *host, const char *name, const char *address);

/* Runs program(argument) on the host, as its main(). Result: 0, or -1 and EBUSY (a program runs
 * there), EHOSTDOWN (it has crashed: boot it first), ENOMEM. */
SALUT_PUBLIC int salut_sim_start(salut_sim_host *host, void (*program)(void *argument),
                                 void *argument);

/* The same for a whole program's main(), which is given a copy of these arguments. */
SALUT_PUBLIC int salut_sim_start_main(salut_sim_host *host, int (*main_function)(int, char **),
                                      int argc, char **argv);

/* Waits for the host's program to end. Result: its status (what main returned, 1 after
 * salut_check(), 137 when it was killed or its host crashed; 0 if none ever ran), or -1 and
 * ECANCELED, EDEADLK (itself). */
SALUT_PUBLIC int salut_sim_join(salut_sim_host *host);

/* The sentence with which the host's program ended by salut_check(); "" if it didn't. */
SALUT_PUBLIC const char *salut_sim_last_words(salut_sim_host *host);

/* SIGTERM: a salut_serve() there drains. Other programs don't notice. */
SALUT_PUBLIC int salut_sim_interrupt(salut_sim_host *host);

/* SIGKILL: the program is gone, its system closes its sockets. */
SALUT_PUBLIC int salut_sim_kill(salut_sim_host *host);

/* The power fails: program and system are gone, and nobody is told. Peers find out when they send,
 * once it has booted again. Its programs have to be started anew. */
SALUT_PUBLIC int salut_sim_crash(salut_sim_host *host);
SALUT_PUBLIC int salut_sim_boot(salut_sim_host *host);

/* SIGSTOP and SIGCONT: the program stands still, its system doesn't. */
SALUT_PUBLIC int salut_sim_stop(salut_sim_host *host);
SALUT_PUBLIC int salut_sim_continue(salut_sim_host *host);

/* Puts its clock so many seconds forward, and has it gain (or lose) so many a second from now on:
 * 0.01 is a percent. Result: 0, or -1 and EINVAL (seconds is negative: this clock never goes back;
 * the drift is not between -0.5 and 0.5). */
SALUT_PUBLIC int salut_sim_skew(salut_sim_host *host, double seconds, double drift);

/* Its limits from now on; NULL: the usual ones. Buffers are those of sockets to come. */
SALUT_PUBLIC int salut_sim_limit(salut_sim_host *host, const salut_sim_limits *limits);

/* ---- Links --------------------------------------------------------------------------------- */

/* What the way between a and b is like from now on; b NULL: between a and everybody else; both
 * NULL: between all. a and b the same: its localhost. */
SALUT_PUBLIC int salut_sim_set_link(salut_sim_host *a, salut_sim_host *b,
                                    const salut_sim_link *link);

/* Pulls the cable out, and puts it back. NULLs as above. What a stream carried meanwhile comes
 * late, as TCP repeats it, or never: after about 15 minutes the sender gives up. */
SALUT_PUBLIC int salut_sim_cut(salut_sim_host *a, salut_sim_host *b);
SALUT_PUBLIC int salut_sim_heal(salut_sim_host *a, salut_sim_host *b);

/* Cuts every link between these hosts and the others, and heals all the rest. */
SALUT_PUBLIC int salut_sim_split(salut_sim_host *const *side, size_t count);

/* ---- The run itself ------------------------------------------------------------------------ */

/* The host whose program is asking. */
SALUT_PUBLIC salut_sim_host *salut_sim_here(void);

/* Seconds since the run began, by nobody's clock but the network's. */
SALUT_PUBLIC double salut_sim_now(void);

/* A number below `limit` (1 or more), from the run's seed. */
SALUT_PUBLIC uint64_t salut_sim_random(uint64_t limit);

/* A line of your own in the trace, formatted as by printf(); at most 200 bytes. */
SALUT_PUBLIC void salut_sim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
#endif
