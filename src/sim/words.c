/* words.c: the public words for hosts, links and faults of a simulated network. */
#include "base/clock.h"
#include "serve/serve.h"
#include "sim/sim.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_BYTES_MAX = 200, STATUS_KILLED = 137 };

static const double LATENCY_SECONDS_MAX = 3600;
static const double DRIFT_MAX = 0.5;

/* ---- What is common to them ---------------------------------------------------------------- */

static struct run *enter(const char *word)
{
    if (!run_of_thread)
        error_say(EPERM, "%s: this is for programs on a simulated network (salut_sim_run)", word);
    return run_of_thread;
}

static bool is_host(const struct run *r, const salut_sim_host *host)
{
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        if (r->hosts[i] == host)
            return true;
    }
    return false;
}

/* The run, if the host is one of its. */
static struct run *enter_host(const char *word, const salut_sim_host *host)
{
    struct run *r = enter(word);

    if (r && !is_host(r, host)) {
        error_say(EINVAL, "%s: that is no host of this run", word);
        return NULL;
    }
    return r;
}

static bool is_part(double part)
{
    return part >= 0 && part <= 1;
}

static uint32_t millionths(double part)
{
    return (uint32_t)(part * SIM_MILLION + 0.5);
}

/* ---- Hosts --------------------------------------------------------------------------------- */

static bool is_name(const char *name, size_t size_max)
{
    size_t size = name ? strlen(name) : 0;

    return size && size <= size_max &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
               size;
}

salut_sim_host *salut_sim_add_host(const char *name)
{
    struct run *r = enter("sim_add_host");
    salut_sim_host *host;

    if (!r)
        return NULL;
    if (!is_name(name, SIM_NAME_BYTES - 1)) {
        error_say(EINVAL, "sim_add_host: a name has 1 to %d letters, digits, '-', '_' or '.'",
                  SIM_NAME_BYTES - 1);
        return NULL;
    }
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        if (!strcmp(r->hosts[i]->system->name, name)) {
            error_say(EEXIST, "sim_add_host: there is a host %s already", name);
            return NULL;
        }
    }
    host = run_add_host(r, name);
    if (!host && errno == ENOSPC)
        error_say(ENOSPC, "sim_add_host: a run has %d hosts at most", SIM_HOSTS_MAX);
    else if (!host)
        error_set(errno, "sim_add_host %s", name);
    return host;
}

static int add_name(salut_sim_host *host, const char *name, const salut_addr *address)
{
    struct sim_name *n = calloc(1, sizeof *n);

    if (!n)
        return error_set(ENOMEM, "sim_add_name %s", name);
    snprintf(n->name, sizeof n->name, "%s", name);
    n->address = *address;
    n->next = host->system->names;
    host->system->names = n;
    return 0;
}

int salut_sim_add_name(salut_sim_host *host, const char *name, const char *address)
{
    salut_addr given;

    if (!enter_host("sim_add_name", host))
        return -1;
    if (!is_name(name, HOST_NAME_BYTES_MAX))
        return error_say(EINVAL, "sim_add_name: that is no name for a host");
    if (!address)
        return add_name(host, name, &host->system->ipv4) ||
                       add_name(host, name, &host->system->ipv6)
                   ? -1
                   : 0;
    if (!strspn(address, "0123456789abcdefABCDEF:") || salut_resolve(&given, address, 0))
        return error_say(EINVAL, "sim_add_name: %s is no numeric address", address);
    return add_name(host, name, &given);
}

static int start(salut_sim_host *host, const char *word)
{
    int failure;

    if (host->scheduler)
        return error_say(EBUSY, "%s: a program runs on %s already", word, host->system->name);
    if (!host->system->up)
        return error_say(EHOSTDOWN, "%s: %s has crashed (salut_sim_boot)", word,
                         host->system->name);
    failure = run_start(host);
    return failure ? error_set(failure, "%s on %s", word, host->system->name) : 0;
}

int salut_sim_start(salut_sim_host *host, void (*program)(void *argument), void *argument)
{
    if (!enter_host("sim_start", host))
        return -1;
    if (!program)
        return error_say(EINVAL, "sim_start: the program is NULL");
    if (start(host, "sim_start"))
        return -1;
    host->main_function = NULL;
    host->program = program;
    host->argument = argument;
    return 0;
}

/* The words after the pointers to them, as one piece of memory. */
static char **copy_words(int argc, char **argv)
{
    size_t size = ((size_t)argc + 1) * sizeof *argv;
    char **copy, *words;

    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    copy = malloc(size);
    if (!copy)
        return NULL;
    words = (char *)(copy + argc + 1);
    for (int i = 0; i < argc; i++) {
        copy[i] = words;
        words = stpcpy(words, argv[i]) + 1;
    }
    copy[argc] = NULL;
    return copy;
}

int salut_sim_start_main(salut_sim_host *host, int (*main_function)(int, char **), int argc,
                         char **argv)
{
    char **copy;

    if (!enter_host("sim_start_main", host))
        return -1;
    if (!main_function || argc < 1)
        return error_say(EINVAL, "sim_start_main: a program needs a function and its name");
    copy = copy_words(argc, argv);
    if (!copy)
        return error_set(ENOMEM, "sim_start_main");
    if (start(host, "sim_start_main")) {
        free(copy);
        return -1;
    }
    free(host->argv);
    host->argv = copy;
    host->argc = argc;
    host->main_function = main_function;
    return 0;
}

/* A letter that was posted has to come before its record goes. */
static int wait_for_end(salut_sim_host *host)
{
    struct joiner me = {.system = salut_sim_here()->system, .fiber = fiber_current()};
    struct joiner **at = &host->joiners;
    int reason;

    me.next = host->joiners;
    host->joiners = &me;
    do
        reason = fiber_park(NEVER, "the end of a host's program");
    while (!reason && !me.told);
    while (me.posted && !me.told)
        fiber_step_aside();
    if (me.told)
        return 0;
    while (*at != &me)
        at = &(*at)->next;
    *at = me.next;
    return reason;
}

int salut_sim_join(salut_sim_host *host)
{
    int reason;

    if (!enter_host("sim_join", host))
        return -1;
    if (host == salut_sim_here())
        return error_say(EDEADLK, "sim_join: a program can't wait for its own end");
    reason = host->scheduler && !host->ended ? wait_for_end(host) : 0;
    return reason ? error_set(reason, "sim_join %s", host->system->name) : host->status;
}

const char *salut_sim_last_words(salut_sim_host *host)
{
    return enter_host("sim_last_words", host) ? host->last_words : "";
}

/* ---- What befalls them --------------------------------------------------------------------- */

int salut_sim_interrupt(salut_sim_host *host)
{
    if (!enter_host("sim_interrupt", host))
        return -1;
    stop_all_of(&host->system->engine);
    return 0;
}

/* The run's own program can only return. */
static struct run *enter_other(const char *word, salut_sim_host *host)
{
    struct run *r = enter_host(word, host);

    if (r && host == r->hosts[0]) {
        error_say(EINVAL, "%s: not the host main, on which the run stands", word);
        return NULL;
    }
    return r;
}

int salut_sim_kill(salut_sim_host *host)
{
    if (!enter_other("sim_kill", host))
        return -1;
    if (host->scheduler && !host->ended)
        run_end(host, SIM_KILLED, STATUS_KILLED);
    return 0;
}

int salut_sim_crash(salut_sim_host *host)
{
    struct run *r = enter_other("sim_crash", host);

    if (!r)
        return -1;
    sim_host_crash(host->system);
    if (host->scheduler && !host->ended)
        run_end(host, SIM_CRASHED, STATUS_KILLED);
    else
        sim_record(&r->world, SIM_CRASHED, host->system, NULL, 0, NULL);
    return 0;
}

int salut_sim_boot(salut_sim_host *host)
{
    struct run *r = enter_host("sim_boot", host);

    if (!r)
        return -1;
    sim_host_boot(host->system);
    sim_record(&r->world, SIM_BOOTED, host->system, NULL, 0, NULL);
    return 0;
}

static int set_stopped(const char *word, salut_sim_host *host, bool stopped)
{
    struct run *r = enter_other(word, host);

    if (!r)
        return -1;
    host->system->stopped = stopped;
    sim_record(&r->world, stopped ? SIM_STOPPED : SIM_CONTINUED, host->system, NULL, 0, NULL);
    return 0;
}

int salut_sim_stop(salut_sim_host *host)
{
    return set_stopped("sim_stop", host, true);
}

int salut_sim_continue(salut_sim_host *host)
{
    return set_stopped("sim_continue", host, false);
}

int salut_sim_skew(salut_sim_host *host, double seconds, double drift)
{
    struct sim_host *h;

    if (!enter_host("sim_skew", host))
        return -1;
    if (!(seconds >= 0) || !(fabs(drift) <= DRIFT_MAX))
        return error_say(EINVAL, "sim_skew: a clock goes forward, and drifts by half at most");
    h = host->system;
    h->clock_ahead = deadline_after(sim_host_time(h), nanoseconds(seconds)) - h->world->now;
    h->clock_drift = (int32_t)(drift * SIM_MILLION + (drift < 0 ? -0.5 : 0.5));
    h->drift_since = h->world->now;
    h->awake = true; /* it may be later than it thought */
    return 0;
}

int salut_sim_limit(salut_sim_host *host, const salut_sim_limits *limits)
{
    static const salut_sim_limits usual;
    const salut_sim_limits *l = limits ? limits : &usual;

    if (!enter_host("sim_limit", host))
        return -1;
    if (!is_part(l->exhaustion))
        return error_say(EINVAL, "sim_limit: the exhaustion is not from 0 to 1");
    host->system->descriptors_max = l->descriptors_max;
    host->system->send_bytes = l->send_bytes;
    host->system->receive_bytes = l->receive_bytes;
    host->system->read_bytes_max = l->read_bytes_max;
    host->system->exhaustion = millionths(l->exhaustion);
    host->system->names_unknown = l->names_unknown;
    return 0;
}

/* ---- Links --------------------------------------------------------------------------------- */

int words_link(struct sim_link *link, const salut_sim_link *wanted, const char *word)
{
    static const salut_sim_link nothing;

    if (!memcmp(wanted, &nothing, sizeof nothing))
        return 0;
    if (!(wanted->latency_seconds >= 0 && wanted->latency_seconds <= LATENCY_SECONDS_MAX) ||
        !(wanted->jitter_seconds >= 0 && wanted->jitter_seconds <= LATENCY_SECONDS_MAX) ||
        !(wanted->bytes_per_second >= 0 && wanted->bytes_per_second < 1e15) ||
        !is_part(wanted->loss) || !is_part(wanted->duplication) || !is_part(wanted->reordering) ||
        !is_part(wanted->resets))
        return error_say(EINVAL, "%s: a link can't be like that (see salut_sim_link)", word);
    link->latency = nanoseconds(wanted->latency_seconds);
    link->jitter = nanoseconds(wanted->jitter_seconds);
    link->bytes_per_second = (uint64_t)wanted->bytes_per_second;
    link->loss = millionths(wanted->loss);
    link->duplication = millionths(wanted->duplication);
    link->reordering = millionths(wanted->reordering);
    link->resets = millionths(wanted->resets);
    return 0;
}

/* Does something to each link that a and b, or NULLs for all, mean. */
static void for_links(struct run *r, salut_sim_host *a, salut_sim_host *b,
                      void (*change)(struct sim_link *link, const void *how), const void *how)
{
    if (a && b) {
        change(sim_link_between(a->system, b->system), how);
        return;
    }
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (!a || r->hosts[i] == a || r->hosts[j] == a)
                change(sim_link_between(r->hosts[i]->system, r->hosts[j]->system), how);
        }
    }
}

static struct run *enter_links(const char *word, salut_sim_host *a, salut_sim_host *b)
{
    struct run *r = enter(word);

    if (!r || (a && !enter_host(word, a)) || (b && !enter_host(word, b)))
        return NULL;
    if (b && !a) {
        error_say(EINVAL, "%s: b is a host and a is NULL", word);
        return NULL;
    }
    return r;
}

static void change_quality(struct sim_link *link, const void *how)
{
    const struct sim_link *wanted = how;
    bool cut = link->cut;

    *link = *wanted;
    link->cut = cut;
}

int salut_sim_set_link(salut_sim_host *a, salut_sim_host *b, const salut_sim_link *link)
{
    struct run *r = enter_links("sim_set_link", a, b);
    struct sim_link wanted = {0};

    if (!r)
        return -1;
    if (!link)
        return error_say(EINVAL, "sim_set_link: the link is NULL");
    if (words_link(&wanted, link, "sim_set_link"))
        return -1;
    for_links(r, a, b, change_quality, &wanted);
    if (!a)
        r->world.link = wanted;
    return 0;
}

static void change_cut(struct sim_link *link, const void *how)
{
    link->cut = *(const bool *)how;
}

static int set_cut(const char *word, salut_sim_host *a, salut_sim_host *b, bool cut)
{
    struct run *r = enter_links(word, a, b);

    if (!r)
        return -1;
    for_links(r, a, b, change_cut, &cut);
    sim_record(&r->world, cut ? SIM_CUT : SIM_HEALED, (a ? a : r->hosts[0])->system,
               b ? b->system : NULL, 0, NULL);
    return 0;
}

int salut_sim_cut(salut_sim_host *a, salut_sim_host *b)
{
    return set_cut("sim_cut", a, b, true);
}

int salut_sim_heal(salut_sim_host *a, salut_sim_host *b)
{
    return set_cut("sim_heal", a, b, false);
}

static bool is_among(salut_sim_host *const *side, size_t count, const salut_sim_host *host)
{
    for (size_t i = 0; i < count; i++) {
        if (side[i] == host)
            return true;
    }
    return false;
}

int salut_sim_split(salut_sim_host *const *side, size_t count)
{
    struct run *r = enter("sim_split");

    if (!r)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!enter_host("sim_split", side[i]))
            return -1;
        sim_record(&r->world, SIM_CUT, side[i]->system, NULL, 0, NULL);
    }
    for (uint32_t i = 0; i < r->world.host_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            sim_link_between(r->hosts[i]->system, r->hosts[j]->system)->cut =
                is_among(side, count, r->hosts[i]) != is_among(side, count, r->hosts[j]);
        }
    }
    return 0;
}

/* ---- The run itself ------------------------------------------------------------------------ */

salut_sim_host *salut_sim_here(void)
{
    struct run *r = enter("sim_here");

    return r ? r->hosts[sim_host_of(scheduler_of_thread->engine)->number] : NULL;
}

double salut_sim_now(void)
{
    struct run *r = enter("sim_now");

    return r ? (double)r->world.now / NANOSECONDS : -1;
}

uint64_t salut_sim_random(uint64_t limit)
{
    struct run *r = enter("sim_random");

    return r && limit ? sim_draw_below(&r->world, limit) : 0;
}

void salut_sim_say(const char *format, ...)
{
    struct run *r = enter("sim_say");
    char text[SAID_BYTES_MAX + 1];
    va_list arguments;

    if (!r)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sim_record(&r->world, SIM_SAID, salut_sim_here()->system, NULL, 0, text);
}
