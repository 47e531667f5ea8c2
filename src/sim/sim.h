/* Programs on a simulated network: who runs, and what is written about it. */
#ifndef SALUT_SIM_SIM_H
#define SALUT_SIM_SIM_H

#include "base/error.h"
#include "engine/sim.h"
#include "fiber/scheduler.h"

#include <salut/sim.h>

#include <stdio.h>

struct trace;

/* A fiber in salut_sim_join(); it lies on its stack. */
struct joiner {
    struct letter letter; /* first: a letter's address is its joiner's */
    struct joiner *next;
    struct sim_host *system; /* its own */
    struct fiber *fiber;
    bool posted, told;
};

/* A host with its program. */
struct salut_sim_host {
    struct run *run;
    struct sim_host *system;
    struct scheduler *scheduler; /* NULL: no program runs */
    struct stack *stack;         /* the program's first */
    bool ended;                  /* the program has, and somebody still stands on its stack */
    int status;
    char last_words[SENTENCE_BYTES];
    struct joiner *joiners;
    void (*program)(void *argument);
    void *argument;
    int (*main_function)(int argc, char **argv);
    int argc;
    char **argv;
};

/* One salut_sim_run(). */
struct run {
    struct sim_world world;
    struct scheduler *outside; /* the caller's own */
    struct stack_pool stacks;
    salut_sim_host **hosts; /* by their systems' numbers */
    bool any_ended;         /* a program has, whose stack may be free by now */
    int64_t end_at;
    uint64_t steps, steps_max;
    int result; /* errno, why it ended; 0 */
    char sentence[SENTENCE_BYTES];
    struct trace *trace;
    salut_sim_summary summary;
};

/* The run of this thread, or NULL. */
extern _Thread_local struct run *run_of_thread;

/* ---- run.c --------------------------------------------------------------------------------- */

salut_sim_host *run_add_host(struct run *r, const char *name);

/* A program begins, or ends for this reason with this status. A program can end itself: then this
 * doesn't return. */
int run_start(salut_sim_host *host);
void run_end(salut_sim_host *host, enum sim_what what, int status);

/* ---- trace.c ------------------------------------------------------------------------------- */

/* Begins to write to the files that are not NULL. 0, or -1 with the failure said. */
int trace_open(struct run *r, const char *text, const char *diagram);

/* 0, or errno when not all could be written. */
int trace_close(struct run *r);

/* ---- words.c ------------------------------------------------------------------------------- */

/* A link as the public word describes it; all zeros changes nothing. 0, or -1 with the failure
 * said. */
int words_link(struct sim_link *link, const salut_sim_link *wanted, const char *word);

#endif
