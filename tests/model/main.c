/* main.c: the hunt: plays random programs until one goes wrong, makes that one small, and shows it
 * with the command that plays it again. Each process takes its share of the seeds; one that finds
 * something, crashes or hangs is a finding. */
#include "model/model.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

enum {
    JOBS_MAX = 64,
    REPORT_BYTES = 4096,
    STATUS_FOUND = 3,
    PROGRESS_SECONDS = 10,
    SEEDS_EACH = 60, /* of a finding */
};

/* What a process has come to; in memory that all of them share. */
struct worker {
    uint64_t seed, programs, operations;
    char report[REPORT_BYTES]; /* "kind: what"; "" if nothing was found */
};

struct shared {
    struct worker workers[JOBS_MAX + 1]; /* the last is for trying while shrinking */
    struct words_seen seen;
    volatile bool enough;
};

static struct options {
    uint64_t first, seeds, operations;
    unsigned jobs, seconds, seconds_each, seconds_shrinking;
    bool keep_going, show, words, hashes;
    bool quick;
    const char *program, *findings;
} options = {.first = 1, .seeds = 1000, .jobs = 1, .seconds_each = 60, .seconds_shrinking = 60};

static struct shared *shared;
static struct worker *me;
static double started_at;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

_Noreturn void report_wrong(const char *text)
{
    snprintf(me->report, sizeof me->report, "%s", text);
    fflush(NULL); /* the trace, if there is one */
    _exit(STATUS_FOUND);
}

/* ---- Playing ------------------------------------------------------------------------------- */

/* A killed program's memory is gone with it, and is no leak of the library's. */
static bool kills(const struct program *p)
{
    for (int i = 0; i < p->part_count; i++) {
        int kind = within(p->parts[i].fields[FAULT_KIND], FAULT_KINDS);
        if (p->parts[i].kind == FAULT && (kind == FAULT_KILL || kind == FAULT_CRASH))
            return true;
    }
    return false;
}

static void play_in_time(const struct program *p)
{
    bool may_leak = kills(p);

    (void)may_leak;
    alarm(options.seconds_each);
#ifdef __SANITIZE_ADDRESS__
    if (may_leak)
        __lsan_disable();
#endif
    play(p);
#ifdef __SANITIZE_ADDRESS__
    if (may_leak)
        __lsan_enable();
#endif
    alarm(0);
    me->programs++;
    me->operations += salut_sim_last().operations;
    if (options.hashes)
        printf("seed %llu: trace %016llx\n", (unsigned long long)p->seed,
               (unsigned long long)salut_sim_last().trace_hash);
}

static bool is_over(void)
{
    return shared->enough || (options.seconds && now() - started_at > options.seconds) ||
           (options.operations && me->operations >= options.operations / options.jobs);
}

static _Noreturn void work(uint64_t seed)
{
    static struct program p;
    uint64_t end = options.first + options.seeds;

    for (; seed < end && !is_over(); seed += options.jobs) {
        me->seed = seed;
        program_generate(&p, seed);
        play_in_time(&p);
    }
    exit(0);
}

/* ---- What is said -------------------------------------------------------------------------- */

/* How a process ended that plays programs; NULL: well. */
static const char *finding_of(struct worker *w, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(w->report, sizeof w->report, "hang: the program took more than %u real seconds",
                 options.seconds_each);
    else if (WIFSIGNALED(status))
        snprintf(w->report, sizeof w->report, "crash: %s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) && !w->report[0])
        snprintf(w->report, sizeof w->report, "exit: status %d (a sanitizer's? see above)",
                 WEXITSTATUS(status));
    return w->report[0] ? w->report : NULL;
}

static uint64_t total(size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < options.jobs; i++)
        sum += *(uint64_t *)((char *)&shared->workers[i] + offset);
    return sum;
}

static void say_progress(FILE *out, const char *what)
{
    uint64_t operations = total(offsetof(struct worker, operations));
    double seconds = now() - started_at;

    fprintf(out, "%s%llu of %llu programs, %.3g million operations, %.0f s (%.0f a second)\n", what,
            (unsigned long long)total(offsetof(struct worker, programs)),
            (unsigned long long)options.seeds, (double)operations / 1e6, seconds,
            seconds > 0 ? (double)operations / seconds : 0);
    fflush(out);
}

static void say_replay(const struct program *p)
{
    static char text[PROGRAM_TEXT_BYTES];

    program_write(p, text);
    printf("  tests/hunt --seed %llu --program '%s'\n", (unsigned long long)p->seed, text);
}

/* ---- Shrinking ----------------------------------------------------------------------------- */

static double shrinking_ends_at;

static bool same_kind(const char *a, const char *b)
{
    return strcspn(a, ":") == strcspn(b, ":") && !strncmp(a, b, strcspn(a, ":"));
}

/* Plays it in a process of its own; what was found is left in me->report. */
static bool fails_at_all(const struct program *p)
{
    int status;
    pid_t child;

    me = &shared->workers[JOBS_MAX];
    me->report[0] = '\0';
    child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        play_in_time(p);
        exit(0);
    }
    waitpid(child, &status, 0);
    return finding_of(me, status) != NULL;
}

static bool fails_alike(const struct program *p, void *kind)
{
    return now() < shrinking_ends_at && fails_at_all(p) && same_kind(me->report, kind);
}

static void show_finding(uint64_t seed, const char *report)
{
    static struct program p;
    static char kind[REPORT_BYTES];

    snprintf(kind, sizeof kind, "%s", report);
    printf("seed %llu: %s\n", (unsigned long long)seed, kind);
    program_generate(&p, seed);
    fflush(stdout);
    if (options.quick)
        return;
    if (fails_at_all(&p) && same_kind(me->report, kind)) {
        shrinking_ends_at = now() + options.seconds_shrinking;
        program_shrink(&p, fails_alike, kind);
        fails_at_all(&p);
        printf("the smallest program that does so (%d parts, %d steps): %s\n", p.part_count,
               program_steps(&p), me->report);
        program_show(&p, stdout);
    } else {
        printf("it does so only after the programs before it: tests/hunt --first %llu\n",
               (unsigned long long)(seed > 100 ? seed - 100 : 1));
    }
    printf("to play it again (SALUT_SIM_TRACE=FILE writes what happens):\n");
    say_replay(&p);
    fflush(stdout);
}

/* ---- Hunting ------------------------------------------------------------------------------- */

static pid_t begin_worker(unsigned i, uint64_t seed)
{
    pid_t child;

    fflush(NULL);
    child = fork();
    me = &shared->workers[i];
    if (child == 0)
        work(seed);
    if (child < 0) {
        perror("hunt: fork");
        exit(2);
    }
    return child;
}

static unsigned worker_of(const pid_t *workers, pid_t child)
{
    unsigned i = 0;

    while (i < options.jobs && workers[i] != child)
        i++;
    return i;
}

/* Waits for one, saying meanwhile how far all are. */
static pid_t wait_for_one(int *status)
{
    static double said_at;
    const struct timespec pause = {.tv_nsec = 20000000};
    pid_t child;

    while ((child = waitpid(-1, status, WNOHANG)) == 0) {
        nanosleep(&pause, NULL);
        if (now() - (said_at > 0 ? said_at : started_at) < PROGRESS_SECONDS)
            continue;
        said_at = now();
        say_progress(stderr, "hunt: ");
    }
    return child;
}

static int hunt(void)
{
    pid_t workers[JOBS_MAX];
    unsigned running = options.jobs;
    int findings = 0;

    for (unsigned i = 0; i < options.jobs; i++)
        workers[i] = begin_worker(i, options.first + i);
    while (running) {
        int status;
        pid_t child = wait_for_one(&status);
        unsigned i = worker_of(workers, child);
        struct worker *w = &shared->workers[i];
        if (i == options.jobs)
            continue;
        running--;
        if (!finding_of(w, status) || (findings && !options.keep_going))
            continue;
        findings++;
        shared->enough = !options.keep_going;
        show_finding(w->seed, w->report);
        w->report[0] = '\0';
        if (options.keep_going) {
            workers[i] = begin_worker(i, w->seed + options.jobs);
            running++;
        }
    }
    say_progress(stdout, findings ? "with findings: " : "nothing wrong: ");
    if (options.words)
        words_show(&shared->seen);
    return findings ? 1 : 0;
}

/* One program: the seed's, or the given one. */
static int play_one(void)
{
    static struct program p;

    program_generate(&p, options.first);
    if (options.program && !program_read(&p, options.program)) {
        fprintf(stderr, "hunt: that is no program\n");
        return 2;
    }
    p.seed = options.first;
    if (options.show) {
        program_show(&p, stdout);
        say_replay(&p);
        return 0;
    }
    if (!fails_at_all(&p)) {
        printf("nothing wrong\n");
        return 0;
    }
    printf("%s\n", me->report);
    return 1;
}

/* On many networks. */
static bool still_fails(struct program *p)
{
    for (p->seed = 1; p->seed <= SEEDS_EACH; p->seed++) {
        if (!fails_at_all(p))
            continue;
        printf("%s\n", me->report);
        say_replay(p);
        return true;
    }
    return false;
}

/* Programs that once went wrong: one a line, after lines that begin with # and say how. */
static int play_findings(void)
{
    static char text[4 * PROGRAM_TEXT_BYTES];
    static struct program p;
    FILE *file = fopen(options.findings, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    int wrong_ones = 0, played = 0;

    if (file)
        fclose(file);
    text[size] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] == '#')
            continue;
        if (!program_read(&p, line)) {
            fprintf(stderr, "hunt: that is no program: %s\n", line);
            return 2;
        }
        played++;
        wrong_ones += still_fails(&p);
    }
    printf("%d programs that once went wrong, %d that do now\n", played, wrong_ones);
    return wrong_ones || !played;
}

/* ---- The command line ---------------------------------------------------------------------- */

static const char usage[] =
    "usage: hunt [--seeds N] [--first N] [--jobs N] [--operations N] [--seconds N]\n"
    "            [--keep-going] [--quick] [--hashes] [--words]\n"
    "       hunt --findings FILE\n"
    "       hunt --seed N [--program 'TEXT'] [--show]\n"
    "Plays random programs on the simulated network, each against a model of what must be true.\n"
    "  --seeds N       so many programs, one for each seed (1000)\n"
    "  --first N       from this seed on (1)\n"
    "  --jobs N        in so many processes (1)\n"
    "  --operations N  or until so many operations have reached the network\n"
    "  --seconds N     or for so long\n"
    "  --keep-going    not only until the first finding\n"
    "  --quick         a finding is not made smaller\n"
    "  --findings FILE plays the programs of that file, each on many networks\n"
    "  --hashes        and say what hash each program's trace has\n"
    "  --words         and say which words were called, and how they failed\n"
    "  --seed N        plays that program alone, or with --program that one on this network;\n"
    "                  with --show only shows it\n";

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text && !*end)
        return value;
    fputs(usage, stderr);
    exit(2);
}

static bool read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"seeds", 1, 0, 'n'},      {"first", 1, 0, 'f'},    {"jobs", 1, 0, 'j'},
        {"operations", 1, 0, 'o'}, {"seconds", 1, 0, 't'},  {"keep-going", 0, 0, 'k'},
        {"quick", 0, 0, 'q'},      {"findings", 1, 0, 'F'}, {"words", 0, 0, 'w'},
        {"hashes", 0, 0, 'H'},     {"seed", 1, 0, 's'},     {"program", 1, 0, 'p'},
        {"show", 0, 0, 'S'},       {"help", 0, 0, 'h'},     {0, 0, 0, 0}};
    bool one = false;

    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) >= 0;) {
        switch (c) {
        case 'n':
            options.seeds = number(optarg);
            break;
        case 'f':
            options.first = number(optarg);
            break;
        case 'j':
            options.jobs = (unsigned)number(optarg);
            break;
        case 'o':
            options.operations = number(optarg);
            break;
        case 't':
            options.seconds = (unsigned)number(optarg);
            break;
        case 'k':
            options.keep_going = true;
            break;
        case 'q':
            options.quick = true;
            break;
        case 'F':
            options.findings = optarg;
            break;
        case 'H':
            options.hashes = true;
            break;
        case 'w':
            options.words = true;
            break;
        case 's':
            options.first = number(optarg);
            one = true;
            break;
        case 'p':
            options.program = optarg;
            one = true;
            break;
        case 'S':
            options.show = true;
            break;
        default:
            fputs(usage, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind < argc || options.jobs < 1 || options.jobs > JOBS_MAX) {
        fputs(usage, stderr);
        exit(2);
    }
    return one;
}

int main(int argc, char **argv)
{
    bool one = read_options(argc, argv);
    const char *problem = words_read(SALUT_HEADER);

    if (*problem) {
        fprintf(stderr, "hunt: %s: %s\n", SALUT_HEADER, problem);
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("hunt: mmap");
        return 2;
    }
    words_seen = &shared->seen;
    started_at = now();
    if (options.findings)
        return play_findings();
    return one ? play_one() : hunt();
}
