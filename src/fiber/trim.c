/* trim.c: a fiber that waits for long gives back what its stack no longer needs.
 *
 * What a fiber has touched once (printf() takes pages, a look-up, a parser) its stack keeps, though
 * it may then wait for hours at a depth of a few hundred bytes. With thousands of clients that is
 * most of a server's memory. So a thread with many fibers looks at them about once a second. Who was
 * waiting at the last look too, and has not run between, is left no more than the page it stands on.
 *
 * It costs a switch nothing: a look leaves its mark in `parked`, which every wait sets anew. Nor do
 * the waits cost more: an alarm of the engine begins a look, where an end to each wait would make
 * the kernel set and take back a timer every time. A look goes in slices, with the network's turn
 * between them. There are no more looks when none is left to be trimmed, until a fiber has run.
 */
#include "base/limits.h"
#include "fiber/scheduler.h"

enum {
    /* With fewer there is little to be gained: 15 pages each. */
    TRIM_FIBERS_MIN = 64,
    /* At once: at 10 us for each that was deep, other clients wait for less than a millisecond. */
    TRIM_SLICE = 64,
};

/* Long beside what it costs to touch the pages again, short beside a client's silence. */
static const int64_t TRIM_PERIOD = NANOSECONDS;

/* Between two slices of a look, so that a thousand fibers are looked at in a fiftieth of a second. */
static const int64_t TRIM_PAUSE = NANOSECONDS / 1000;

/* true: the next look should see it again. */
static bool look_at(struct scheduler *s, struct fiber *f)
{
    if (!f || f == s->current || !f->stack)
        return false;
    if (f->parked == PARKED_BEFORE) {
        stack_trim(f->stack, context_lowest(&f->context));
        f->parked = PARKED_TRIMMED;
    } else if (f->parked == PARKED) {
        f->parked = PARKED_BEFORE;
        return true;
    }
    return false;
}

/* false: there are more. */
static bool look_at_slice(struct scheduler *s)
{
    struct trimmer *t = &s->trimmer;
    uint32_t end = t->slot + TRIM_SLICE;

    for (; t->slot < s->fibers.used && t->slot < end; t->slot++)
        t->again |= look_at(s, s->fibers.slots[t->slot].object);
    return t->slot == s->fibers.used;
}

/* When it fails, for want of a descriptor, this thread's stacks stay as they are. */
static void set_alarm(struct scheduler *s, int64_t pause)
{
    s->engine->calls->alarm(s->engine, fiber_now() + pause, &s->trimmer.alarm);
}

static void on_alarm(struct letter *letter)
{
    struct trimmer *t = (struct trimmer *)letter;
    struct scheduler *s = (struct scheduler *)((char *)t - offsetof(struct scheduler, trimmer));

    if (!look_at_slice(s)) {
        set_alarm(s, TRIM_PAUSE);
        return;
    }
    t->slot = 0;
    t->looks = t->again;
    t->again = false;
    if (t->looks)
        set_alarm(s, TRIM_PERIOD);
}

void trim_begin(struct scheduler *s)
{
    if (s->fibers.used < TRIM_FIBERS_MIN)
        return;
    s->trimmer.alarm.open = on_alarm;
    s->trimmer.looks = true;
    set_alarm(s, TRIM_PERIOD);
}
