/* calls.c: what holds for every call: it ends in time, and when it fails, it fails as its
 * documentation says, for a reason that there is, and with a sentence. */
#include "model/model.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct words_seen *words_seen;

/* Linux, and the simulator, give a connection up after so long, whatever the caller's patience. */
static const double CONNECT_GIVES_UP = 60;

_Noreturn void wrong(const char *kind, const char *format, ...)
{
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "%s: ", kind);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + used, sizeof text - used, format, arguments);
    va_end(arguments);
    report_wrong(text);
}

/* ---- Before and after ---------------------------------------------------------------------- */

struct call call_begin(struct player *p, enum word word, double timeout)
{
    words_seen->calls[word]++;
    return (struct call){.player = p,
                         .word = word,
                         .began = salut_sim_now(),
                         .stopped = p->host->stopped,
                         .skewed = p->host->skewed,
                         .timeout = timeout,
                         .was_cancelled = p->cancelled};
}

static _Noreturn void wrong_call(const struct call *c, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static _Noreturn void wrong_call(const struct call *c, const char *kind, const char *format, ...)
{
    char text[2048], full_kind[64];
    const struct player *p = c->player;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(full_kind, sizeof full_kind, "%s of %s", kind, word_name(c->word));
    wrong(full_kind, "%s %d.%d%s on %s, salut_%s(), began at %.6f s, ended at %.6f s: %s", p->role,
          p->number, p->nth, p->side ? p->side->which ? " (accepting)" : " (connecting)" : "",
          p->host->name, word_name(c->word), c->began, salut_sim_now(), text);
}

static bool is_closing(const struct player *p)
{
    return p->side && (p->side->closing || p->side->closed);
}

/* Seconds of the host's own work since then, or since the call began if that is later. */
static double span_since(const struct call *c, double then)
{
    double begin = then > c->began ? then : c->began;

    return salut_sim_now() - begin - (c->player->host->stopped - c->stopped);
}

static void check_time(const struct call *c)
{
    const struct player *p = c->player;
    double span = span_since(c, c->began);

    if (c->timeout >= 0 && span > c->timeout + SLACK_SECONDS)
        wrong_call(c, "lateness", "it took %.6f s, and its timeout is %.6f s", span, c->timeout);
    if (p->cancelled && span_since(c, p->cancelled_at) > SLACK_SECONDS)
        wrong_call(c, "deafness", "it went on for %.6f s after salut_cancel()",
                   span_since(c, p->cancelled_at));
    if (p->side && p->side->closed && c->word != CLOSE && c->word != SLEEP && c->word != JOIN &&
        span_since(c, p->side->closed_at) > SLACK_SECONDS)
        wrong_call(c, "deafness", "it went on for %.6f s after salut_close()",
                   span_since(c, p->side->closed_at));
}

/* ---- Reasons ------------------------------------------------------------------------------- */

static bool connects(enum word w)
{
    return w == CONNECT || w == CREATE_CONNECTION;
}

/* The system's own patience with a peer that doesn't answer. */
static bool system_may_give_up(const struct call *c)
{
    const struct harm *h = &the->harm;

    return h->cuts || h->crashes || h->loss ||
           (connects(c->word) && salut_sim_now() - c->began >= CONNECT_GIVES_UP);
}

static bool may_time_out(const struct call *c)
{
    const struct player *p = c->player;
    double own_clock = salut_sim_now() - c->began + (p->host->skewed - c->skewed);

    if (system_may_give_up(c) || (p->side && p->side->over_at >= 0) || c->word == SERVE)
        return true;
    return c->timeout > 0 && own_clock >= c->timeout - 1e-6;
}

static bool may_be_cancelled(const struct call *c)
{
    const struct player *p = c->player;

    return p->cancelled || is_closing(p) || (p->serves && p->host->stopping) ||
           (p->about && c->word == ACCEPT && p->host->stopping);
}

/* There is a reason for this errno; true also for those that have many. */
static bool has_reason(const struct call *c, int number)
{
    switch (number) {
    case EAGAIN:
        return c->timeout == 0 || c->word == CHANNEL_TRY_SEND;
    case ETIMEDOUT:
        return may_time_out(c);
    case ECANCELED:
        return may_be_cancelled(c);
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return c->player->host->limited;
    case EPERM:
        return false; /* no second thread, and permission for all */
    default:
        return true;
    }
}

bool is_orderly(const struct talk *t)
{
    return !t->disturbed && !the->harm.faults && !the->harm.resets;
}

/* In an orderly talk only its own timeouts and limits can make a call fail. */
static bool fails_in_order(const struct call *c, int number)
{
    const struct player *p = c->player;

    if (!p->side || !is_orderly(p->side->talk))
        return true;
    switch (number) {
    case ECANCELED: /* its server stops, and doesn't wait any longer */
        p->side->talk->disturbed |= p->serves && p->host->stopping;
        return p->serves && p->host->stopping;
    case EAGAIN:
    case ETIMEDOUT:
    case EMSGSIZE:
    case EPROTO: /* whether rightly is seen by who receives */
    case EILSEQ:
        return true;
    case EINVAL: /* a line with a newline in it */
        return c->word == SEND_LINE;
    case EBUSY: /* others send */
        return c->word == SET_BUFFER;
    default:
        return false;
    }
}

static void check_failure(const struct call *c, int number)
{
    const char *sentence = salut_error();
    const char *name = strerrorname_np(number) ? strerrorname_np(number) : "no errno";

    if (!word_lists(c->word, number))
        wrong_call(c, "undocumented errno", "%s, which salut.h doesn't list (\"%s\")", name,
                   sentence);
    if (!salut_failed() || !*sentence)
        wrong_call(c, "silence", "%s without a sentence", name);
    if (!word_begins(c->word, sentence))
        wrong_call(c, "sentence", "%s, and the sentence doesn't say what was being done: \"%s\"",
                   name, sentence);
    if (!has_reason(c, number))
        wrong_call(c, "unfounded errno", "%s, for which there was no reason (\"%s\")", name,
                   sentence);
    if (!fails_in_order(c, number))
        wrong_call(c, "failure", "%s in a talk that nothing disturbed (\"%s\")", name, sentence);
}

bool call_end(const struct call *c, bool failed)
{
    int number = errno;

    check_time(c);
    if (!failed)
        return false;
    if (number > 0 && number < ERRNO_MAX)
        words_seen->failures[c->word][number]++;
    check_failure(c, number);
    errno = number;
    return true;
}

/* ---- What all players do ------------------------------------------------------------------- */

void player_sleep(struct player *p, double seconds)
{
    struct call c = call_begin(p, SLEEP, seconds);
    double own_clock;

    if (call_end(&c, salut_sleep(seconds) < 0))
        return;
    own_clock = salut_sim_now() - c.began + (p->host->skewed - c.skewed);
    if (own_clock < seconds - 1e-6)
        wrong_call(&c, "haste", "a sleep of %.6f s took %.6f s", seconds, own_clock);
}

void player_yield(struct player *p)
{
    struct call c = call_begin(p, YIELD, -1);

    call_end(&c, salut_yield() < 0);
}

unsigned char *player_scratch(struct player *p, size_t size)
{
    if (size > p->scratch_room) {
        free(p->scratch);
        p->scratch_room = 2 * size;
        p->scratch = malloc(p->scratch_room);
        if (!p->scratch)
            abort();
    }
    return p->scratch;
}
