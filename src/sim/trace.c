/* trace.c: what happened on a simulated network, as text and as a sequence diagram. */
#include "base/clock.h"
#include "sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More arrows than this nobody follows, and few programs draw. */
enum { DIAGRAM_LINES_MAX = 2000 };

struct trace {
    FILE *text;
    FILE *diagram;
    unsigned drawn;
};

/* ---- What is said of each ------------------------------------------------------------------ */

static void describe(const struct sim_record *r, char *text, size_t size)
{
    unsigned long long n = r->number;

    switch (r->what) {
    case SIM_STARTED:
        snprintf(text, size, "its program starts");
        break;
    case SIM_ENDED:
        snprintf(text, size, "its program ends (%llu)", n);
        break;
    case SIM_KILLED:
        snprintf(text, size, "killed");
        break;
    case SIM_CRASHED:
        snprintf(text, size, "the power fails");
        break;
    case SIM_BOOTED:
        snprintf(text, size, "boots");
        break;
    case SIM_STOPPED:
        snprintf(text, size, "stopped");
        break;
    case SIM_CONTINUED:
        snprintf(text, size, "continued");
        break;
    case SIM_CUT:
        snprintf(text, size, "the link is cut");
        break;
    case SIM_HEALED:
        snprintf(text, size, "the link is healed");
        break;
    case SIM_SAID:
        snprintf(text, size, "%s", r->text);
        break;
    case SIM_ASKED:
        snprintf(text, size, "connect to port %llu", n);
        break;
    case SIM_CONNECTED:
        snprintf(text, size, "connected");
        break;
    case SIM_REFUSED:
        snprintf(text, size, "refused");
        break;
    case SIM_BYTES:
        snprintf(text, size, "%llu byte%s", n, n == 1 ? "" : "s");
        break;
    case SIM_DONE:
        snprintf(text, size, "end");
        break;
    case SIM_RESET:
        snprintf(text, size, "reset");
        break;
    case SIM_GAVE_UP:
        snprintf(text, size, "gives up: no answer");
        break;
    case SIM_DATAGRAM:
        snprintf(text, size, "datagram of %llu", n);
        break;
    case SIM_LOST:
        snprintf(text, size, "datagram of %llu, lost", n);
        break;
    case SIM_LOOKED_UP:
        snprintf(text, size, "looks %s up: %llu found", r->text, n);
        break;
    case SIM_FAULT:
        snprintf(text, size, "a call fails: %s", strerrorname_np((int)n));
        break;
    }
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* In a diagram's line some characters have a meaning. */
static void draw_text(FILE *f, const char *text)
{
    for (; *text; text++)
        fputc(*text == ';' || *text == '#' || *text == ':' ? ',' : *text, f);
    fputc('\n', f);
}

static void draw(struct trace *t, const struct sim_record *r, const char *text)
{
    const char *arrow = r->what == SIM_LOST ? "--x" : r->what == SIM_RESET ? "-x" : "->>";

    if (t->drawn == DIAGRAM_LINES_MAX)
        fprintf(t->diagram, "    Note over h%u: and so on\n", r->from->number);
    if (t->drawn++ >= DIAGRAM_LINES_MAX)
        return;
    if (r->what == SIM_STARTED)
        fprintf(t->diagram, "    participant h%u as %s\n", r->from->number, r->from->name);
    if (r->to && r->to != r->from)
        fprintf(t->diagram, "    h%u%sh%u: ", r->from->number, arrow, r->to->number);
    else
        fprintf(t->diagram, "    Note over h%u: ", r->from->number);
    draw_text(t->diagram, text);
}

static void record(struct sim_world *w, const struct sim_record *r)
{
    struct trace *t = ((struct run *)w->runner)->trace;
    char text[SENTENCE_BYTES];

    describe(r, text, sizeof text);
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '.'; /* a terminal may show it */
    }
    if (t->text)
        fprintf(t->text, "%5lld.%09lld %s%s%s: %s\n", (long long)(r->at / NANOSECONDS),
                (long long)(r->at % NANOSECONDS), r->from->name, r->to ? " > " : "",
                r->to ? r->to->name : "", text);
    if (t->diagram)
        draw(t, r, text);
}

int trace_open(struct run *r, const char *text, const char *diagram)
{
    struct trace *t;

    if (!text && !diagram)
        return 0;
    t = calloc(1, sizeof *t);
    if (!t)
        return error_set(ENOMEM, "sim_run");
    r->trace = t;
    if (text && !(t->text = fopen(text, "we")))
        return error_set(errno, "sim_run: the trace %s", text);
    if (diagram && !(t->diagram = fopen(diagram, "we")))
        return error_set(errno, "sim_run: the diagram %s", diagram);
    if (t->text)
        fprintf(t->text, "seed %llu\n", (unsigned long long)r->summary.seed);
    if (t->diagram)
        fprintf(t->diagram, "sequenceDiagram\n");
    r->world.record = record;
    return 0;
}

static int end(FILE *f)
{
    int failed;

    if (!f)
        return 0;
    failed = ferror(f);
    errno = 0;
    if (fclose(f) || failed)
        return errno ? errno : EIO;
    return 0;
}

int trace_close(struct run *r)
{
    struct trace *t = r->trace;
    int failure, other;

    if (!t)
        return 0;
    if (t->text)
        fprintf(t->text, "hash %016llx\n", (unsigned long long)r->world.hash);
    failure = end(t->text);
    other = end(t->diagram);
    free(t);
    r->trace = NULL;
    r->world.record = NULL;
    return failure ? failure : other;
}
