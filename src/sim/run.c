/* run.c: who runs on a simulated network, and until when.
 *
 * Each program has a scheduler of its own, all on one thread. A program runs until none of its
 * fibers can go on; it then comes to wait_for_something(), standing on its own stack, and looks who
 * is next: one of those who have something to do, drawn; when there is none, the clock jumps to
 * what comes first, an event of the network or the end of somebody's patience. When nothing will
 * ever come, the run is over: that is a deadlock, and every fiber is asked what it waits for.
 *
 * A program that has ended is freed by the next one, since nobody can free the stack that they
 * stand on. The run's own caller has left its scheduler, and is entered again at the end.
 */
#include "sim/sim.h"

#include "base/clock.h"
#include "serve/serve.h"
#include "socket/address.h"
#include "socket/socket.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROGRAM_STACK_BYTES = 1024 * 1024, /* a main() may be careless; only touched pages cost */
    STATUS_KILLED = 137,               /* as a shell says of SIGKILL */
};

static const uint64_t STEPS_MAX = 1000000;
static const double SECONDS_MAX = 86400;

_Thread_local struct run *run_of_thread;
static _Thread_local salut_sim_summary last_summary;

static salut_sim_host *here(void)
{
    struct run *r = run_of_thread;

    return r->hosts[sim_host_of(scheduler_of_thread->engine)->number];
}

/* ---- What everybody waits for -------------------------------------------------------------- */

static const char *operation_name(const struct operation *o)
{
    static const char *const names[] = {
        [OPERATION_RECEIVE] = "bytes from",    [OPERATION_RECEIVE_FROM] = "a datagram at",
        [OPERATION_ACCEPT] = "a client on",    [OPERATION_SEND] = "room to send to",
        [OPERATION_SEND_TO] = "room to send",  [OPERATION_CONNECT] = "the answer of",
        [OPERATION_RESOLVE] = "the address of"};

    return names[o->kind];
}

static void name_operation(struct scheduler *s, const struct operation *o, char *text, size_t size)
{
    struct engine *e = s->engine;
    salut_addr address = {0};
    char name[SOCKET_NAME_BYTES] = "";
    bool listens = o->kind == OPERATION_ACCEPT || o->kind == OPERATION_RECEIVE_FROM;

    if (o->kind == OPERATION_CONNECT)
        address = *o->address;
    else if (o->endpoint && (listens || e->calls->name(e, o->endpoint, true, &address)))
        e->calls->name(e, o->endpoint, false, &address);
    if (address.raw_size > sizeof(sa_family_t))
        address_text(&address, name, sizeof name);
    snprintf(text, size, "%s %s", operation_name(o),
             o->kind == OPERATION_RESOLVE ? o->host
             : name[0]                    ? name
                                          : "its other end");
}

static void name_fiber(const salut_sim_host *host, const struct fiber *f, char *text, size_t size)
{
    void *code = __extension__(void *) f->function;
    const char *function = NULL;
    Dl_info found;

    if (f->number && dladdr(code, &found) && found.dli_saddr == code)
        function = found.dli_sname;
    if (!f->number)
        snprintf(text, size, "%s/main", host->system->name);
    else
        snprintf(text, size, "%s/%u%s%s%s", host->system->name, f->number, function ? " (" : "",
                 function ? function : "", function ? ")" : "");
}

/* "server/main waits for a client on 127.0.0.1:63000; " at the sentence's end, and in the trace. */
static void tell_wait(salut_sim_host *host, const struct fiber *f, char *sentence, size_t size)
{
    char name[128], what[256], line[512];
    size_t used = strlen(sentence);

    name_fiber(host, f, name, sizeof name);
    if (host->system->stopped)
        snprintf(what, sizeof what, "salut_sim_continue()");
    else if (f->operation)
        name_operation(host->scheduler, f->operation, what, sizeof what);
    else
        snprintf(what, sizeof what, "%s", f->waits_for ? f->waits_for : "nothing: it could run");
    snprintf(line, sizeof line, "%s waits for %s", name, what);
    sim_record(&host->run->world, SIM_SAID, host->system, NULL, 0, line);
    snprintf(sentence + used, size - used, "%s%s", used ? "; " : "", line);
}

static void tell_waits(struct run *r, char *sentence, size_t size)
{
    sentence[0] = '\0';
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        salut_sim_host *host = r->hosts[i];
        if (!host->scheduler || host->ended)
            continue;
        tell_wait(host, &host->scheduler->main, sentence, size);
        for (uint32_t n = 0; n < host->scheduler->fibers.used; n++) {
            if (host->scheduler->fibers.slots[n].object)
                tell_wait(host, host->scheduler->fibers.slots[n].object, sentence, size);
        }
    }
}

/* ---- Who is next --------------------------------------------------------------------------- */

/* The caller of salut_sim_run() goes on; nobody comes back. */
static _Noreturn void finish(struct run *r, int result)
{
    r->result = result;
    scheduler_enter(r->outside, true);
    abort();
}

static bool can_run(const struct run *r, const salut_sim_host *host)
{
    return host->scheduler && !host->ended && !host->system->stopped &&
           (host->system->awake || host->system->until <= r->world.now);
}

/* One of those who can run; NULL when nobody can. */
static salut_sim_host *draw_runner(struct run *r)
{
    uint32_t count = 0, chosen;

    for (uint32_t i = 0; i < r->world.host_count; i++)
        count += can_run(r, r->hosts[i]);
    if (!count)
        return NULL;
    chosen = count > 1 ? (uint32_t)sim_draw_below(&r->world, count) : 0;
    for (uint32_t i = 0;; i++) {
        if (can_run(r, r->hosts[i]) && chosen-- == 0)
            return r->hosts[i];
    }
}

/* When something will happen next; NEVER. */
static int64_t next_time(const struct run *r)
{
    int64_t next = NEVER;

    if (heap_first(&r->world.events))
        next = heap_first(&r->world.events)->due;
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        const salut_sim_host *host = r->hosts[i];
        if (host->scheduler && !host->ended && !host->system->stopped && host->system->until < next)
            next = host->system->until;
    }
    return next;
}

static void jump(struct run *r)
{
    int64_t next = next_time(r);
    char waits[SENTENCE_BYTES - 256];

    if (next == NEVER) {
        tell_waits(r, waits, sizeof waits);
        snprintf(r->sentence, sizeof r->sentence,
                 "all programs wait, and nothing is left to happen: %s", waits);
        finish(r, EDEADLK);
    }
    if (next > r->end_at) {
        snprintf(r->sentence, sizeof r->sentence, "the run's time was over (seconds_max)");
        finish(r, ETIMEDOUT);
    }
    if (next > r->world.now)
        r->world.now = next;
    r->steps = 0;
}

static void check_progress(struct run *r)
{
    char waits[SENTENCE_BYTES - 256];

    if (r->world.failure) {
        snprintf(r->sentence, sizeof r->sentence, "out of memory for the network itself");
        finish(r, r->world.failure);
    }
    if (r->steps++ < r->steps_max)
        return;
    tell_waits(r, waits, sizeof waits);
    snprintf(r->sentence, sizeof r->sentence,
             "programs took %llu turns and never all waited, so that time stood still: %s",
             (unsigned long long)r->steps_max, waits);
    finish(r, ELOOP);
}

static void free_program(salut_sim_host *host)
{
    struct engine *e = &host->system->engine;

    scheduler_destroy_apart(host->scheduler);
    serve_forget(e);
    stack_give_back(host->stack);
    host->scheduler = NULL;
    host->ended = false;
}

/* All that have ended, but for one who still stands here. */
static void free_ended(struct run *r)
{
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        if (r->hosts[i]->ended && r->hosts[i]->scheduler != scheduler_of_thread)
            free_program(r->hosts[i]);
    }
}

static salut_sim_host *next_host(struct run *r)
{
    salut_sim_host *host;

    for (;;) {
        sim_happen(&r->world);
        check_progress(r);
        host = draw_runner(r);
        if (host)
            break;
        jump(r);
    }
    host->system->awake = false;
    host->system->until = NEVER;
    return host;
}

static void wait_for_something(struct sim_host *system)
{
    struct run *r = system->world->runner;
    salut_sim_host *next = next_host(r);

    if (next->system != system)
        scheduler_enter(next->scheduler, false);
    if (r->any_ended)
        free_ended(r);
}

/* ---- A program's life ---------------------------------------------------------------------- */

static void begin_program(void *argument)
{
    salut_sim_host *host = argument;
    struct run *r = host->run;
    int status = 0;

    if (r->any_ended)
        free_ended(r);
    if (host->main_function)
        status = host->main_function(host->argc, host->argv);
    else
        host->program(host->argument);
    run_end(host, SIM_ENDED, status);
}

int run_start(salut_sim_host *host)
{
    struct run *r = host->run;

    host->stack = stack_take(&r->stacks);
    if (!host->stack)
        return ENOMEM;
    host->scheduler =
        scheduler_create_apart(&host->system->engine, host->stack, begin_program, host);
    if (!host->scheduler) {
        stack_give_back(host->stack);
        return ENOMEM;
    }
    host->last_words[0] = '\0';
    host->system->awake = true;
    host->system->stopped = false;
    sim_record(&r->world, SIM_STARTED, host->system, NULL, 0, NULL);
    return 0;
}

/* Opened on the joiner's host. */
static void on_end(struct letter *letter)
{
    struct joiner *j = (struct joiner *)letter;

    j->told = true;
    fiber_wake(j->fiber);
}

static void tell_joiners(salut_sim_host *host)
{
    while (host->joiners) {
        struct joiner *j = host->joiners;
        host->joiners = j->next;
        j->letter.open = on_end;
        j->posted = true;
        j->system->engine.calls->post(&j->system->engine, &j->letter);
    }
}

/* Those who wait on that host wait no more. */
static void forget_joiners(struct run *r, const struct sim_host *system)
{
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        struct joiner **at = &r->hosts[i]->joiners;
        while (*at) {
            if ((*at)->system == system)
                *at = (*at)->next;
            else
                at = &(*at)->next;
        }
    }
}

void run_end(salut_sim_host *host, enum sim_what what, int status)
{
    struct run *r = host->run;
    bool own = host->scheduler == scheduler_of_thread;

    sim_record(&r->world, what, host->system, NULL, (uint64_t)status, NULL);
    host->status = status;
    host->ended = true;
    forget_joiners(r, host->system);
    sim_host_close_all(host->system);
    tell_joiners(host);
    if (!own) {
        free_program(host);
        return;
    }
    r->any_ended = true;
    if (host->system->number == 0)
        finish(r, r->result);
    scheduler_enter(next_host(r)->scheduler, true);
    abort();
}

/* salut_check() in a program. */
static void end_by_check(int status)
{
    salut_sim_host *host = here();
    struct run *r = host->run;

    snprintf(host->last_words, sizeof host->last_words, "%s", salut_error());
    sim_record(&r->world, SIM_SAID, host->system, NULL, 0, host->last_words);
    if (host->system->number == 0) {
        r->result = EPROTO;
        snprintf(r->sentence, sizeof r->sentence, "%s", host->last_words);
    }
    run_end(host, SIM_ENDED, status);
}

/* ---- The run ------------------------------------------------------------------------------- */

salut_sim_host *run_add_host(struct run *r, const char *name)
{
    salut_sim_host **hosts = realloc(r->hosts, (r->world.host_count + 1) * sizeof *hosts);
    salut_sim_host *host = calloc(1, sizeof *host);

    if (hosts)
        r->hosts = hosts;
    if (hosts && host)
        host->system = sim_host_add(&r->world, name);
    if (!hosts || !host || !host->system) {
        int failure = hosts && host ? errno : ENOMEM;
        free(host);
        errno = failure;
        return NULL;
    }
    host->run = r;
    r->hosts[host->system->number] = host;
    return host;
}

static void free_run(struct run *r)
{
    uint32_t count = r->world.host_count;

    for (uint32_t i = 0; i < count; i++) {
        if (r->hosts[i]->scheduler)
            free_program(r->hosts[i]);
    }
    sim_world_end(&r->world);
    for (uint32_t i = 0; i < count; i++) {
        free(r->hosts[i]->argv);
        free(r->hosts[i]);
    }
    free(r->hosts);
    stack_pool_end(&r->stacks);
    free(r);
}

static void summarize(struct run *r)
{
    r->summary.trace_hash = r->world.hash;
    r->summary.operations = r->world.operations;
    r->summary.seconds = (double)r->world.now / NANOSECONDS;
    last_summary = r->summary;
}

salut_sim_summary salut_sim_last(void)
{
    if (run_of_thread)
        summarize(run_of_thread);
    return last_summary;
}

/* The seed that SALUT_SIM_SEED names; the given one if it names none. false: it is no number. */
static bool choose_seed(uint64_t *seed)
{
    const char *text = getenv("SALUT_SIM_SEED");
    unsigned long long number;
    char *end;

    if (!text || !*text)
        return true;
    errno = 0;
    number = strtoull(text, &end, 0);
    if (*end || errno)
        return false;
    *seed = number;
    return true;
}

static const char *file_for(const char *given, const char *variable)
{
    const char *named = getenv(variable);

    return named && *named ? named : given;
}

static int check_options(const salut_sim_options *o)
{
    if (isnan(o->seconds_max) || o->seconds_max < 0)
        return error_say(EINVAL, "sim_run: the option seconds_max makes no sense");
    return 0;
}

static void run_main(struct run *r, salut_sim_host *host)
{
    run_of_thread = r;
    error_exit = end_by_check;
    host->system->awake = false;
    scheduler_enter(host->scheduler, false);
    error_exit = NULL;
    run_of_thread = NULL;
}

static struct run *make_run(uint64_t seed, const salut_sim_options *o)
{
    struct run *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    sim_world_begin(&r->world, seed);
    r->world.calm = o->calm;
    r->world.wait = wait_for_something;
    r->world.runner = r;
    r->outside = scheduler_of_thread;
    r->end_at = nanoseconds(o->seconds_max > 0 ? o->seconds_max : SECONDS_MAX);
    r->steps_max = o->steps_max ? o->steps_max : STEPS_MAX;
    r->summary.seed = seed;
    stack_pool_begin(&r->stacks, PROGRAM_STACK_BYTES);
    return r;
}

/* What the run came to, said to its caller. */
static int conclude(struct run *r, int trace_failure)
{
    unsigned long long seed = r->summary.seed;
    double at = r->summary.seconds;
    int result = 0;

    if (r->result)
        result = error_say(r->result, "sim, at %.6f s: %s (SALUT_SIM_SEED=%llu replays it)", at,
                           r->sentence, seed);
    else if (trace_failure)
        result = error_set(trace_failure, "sim_run: writing the trace");
    free_run(r);
    return result;
}

int salut_sim_run(uint64_t seed, void (*program)(void *argument), void *argument,
                  const salut_sim_options *options)
{
    static const salut_sim_options defaults;
    const salut_sim_options *o = options ? options : &defaults;
    salut_sim_host *host;
    struct run *r;
    int failure;

    if (run_of_thread)
        return error_say(EINVAL, "sim_run: a simulated program can't begin a run of its own");
    if (!program)
        return error_say(EINVAL, "sim_run: the program is NULL");
    if (check_options(o))
        return -1;
    if (!choose_seed(&seed))
        return error_say(EINVAL, "sim_run: SALUT_SIM_SEED is \"%s\", which is no number",
                         getenv("SALUT_SIM_SEED"));
    if (!scheduler_get() || !(r = make_run(seed, o)))
        return error_set(errno, "sim_run");
    failure = words_link(&r->world.link, &o->link, "sim_run");
    if (!failure && trace_open(r, file_for(o->trace, "SALUT_SIM_TRACE"),
                               file_for(o->diagram, "SALUT_SIM_DIAGRAM")))
        failure = -1;
    host = failure ? NULL : run_add_host(r, "main");
    if (host) {
        host->program = program;
        host->argument = argument;
    }
    if (failure || !host || run_start(host)) {
        if (!failure)
            error_set(ENOMEM, "sim_run");
        trace_close(r);
        free_run(r);
        return -1;
    }
    run_main(r, host);
    summarize(r);
    return conclude(r, trace_close(r));
}
