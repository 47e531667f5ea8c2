/* race.c: Happy Eyeballs (RFC 8305).
 *
 * The addresses are put in turn by family, so that a network where one family is broken costs
 * one step and not half the list. Attempts begin 250 ms apart, or at once when the one before
 * has failed; the first that connects wins and the others are closed. All run as operations of
 * the one fiber that called, which sleeps until one of them is done.
 */
#include "socket/race.h"
#include "base/clock.h"
#include "base/error.h"
#include "fiber/scheduler.h"
#include "socket/address.h"
#include "socket/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 8305, section 5: "Connection Attempt Delay", recommended. */
static const int64_t ATTEMPT_DELAY = NANOSECONDS / 4;

enum attempt_state { WAITING, RUNNING, FAILED, WON };

struct attempt {
    struct race *race;
    struct endpoint endpoint;
    struct operation operation;
    enum attempt_state state;
};

struct race {
    struct engine *engine;
    struct fiber *fiber;
    struct address_list *list;
    uint32_t order[ADDRESSES_MAX]; /* the nth attempt's address */
    uint32_t begun;
    uint32_t running;
    int64_t next_at; /* when the next attempt may begin */
    struct attempt *winner;
    struct attempt attempts[ADDRESSES_MAX];
};

/* Section 4: the system's order within a family is kept, and its first family is the first. */
static void put_in_turn(struct race *r)
{
    uint32_t place[2] = {0, 0}; /* how far each family has been taken: the first's, the other's */
    int first_family = address_family(&r->list->addresses[0]);
    uint32_t turn = 0;

    for (uint32_t n = 0; n < r->list->count; turn = !turn) {
        uint32_t *at = &place[turn];
        while (*at < r->list->count &&
               (address_family(&r->list->addresses[*at]) != first_family) != (turn == 1))
            ++*at;
        if (*at < r->list->count)
            r->order[n++] = (*at)++;
    }
}

static void attempt_ended(struct attempt *a)
{
    a->race->running--;
    a->state = a->operation.result ? FAILED : WON;
    if (a->state == WON)
        a->race->winner = a;
    else
        a->race->next_at = AT_ONCE;
}

static void on_done(struct operation *o)
{
    struct attempt *a = o->owner;

    attempt_ended(a);
    fiber_wake(a->race->fiber);
}

static void begin_attempt(struct race *r)
{
    struct attempt *a = &r->attempts[r->begun];
    salut_addr *address = &r->list->addresses[r->order[r->begun]];
    struct engine *e = r->engine;
    int failure;

    r->begun++;
    r->running++;
    r->next_at = deadline_after(fiber_now(), ATTEMPT_DELAY);
    a->race = r;
    a->state = RUNNING;
    a->operation = (struct operation){.kind = OPERATION_CONNECT,
                                      .endpoint = &a->endpoint,
                                      .address = address,
                                      .done = on_done,
                                      .owner = a};
    failure = e->calls->open(e, &a->endpoint, address_family(address), SOCK_STREAM);
    if (failure) {
        a->endpoint.descriptor = -1;
        a->operation.result = failure;
        attempt_ended(a);
    } else if (e->calls->start(e, &a->operation)) {
        attempt_ended(a);
    }
}

/* Until then at most. What it waits for is told by the newest attempt. */
static int wait_for_attempts(struct race *r, int64_t until)
{
    uint32_t newest = r->begun - 1;
    int reason;

    while (r->attempts[newest].state != RUNNING)
        newest--;
    r->fiber->operation = &r->attempts[newest].operation;
    reason = fiber_park(until, NULL);
    r->fiber->operation = NULL;
    return reason;
}

/* 0 when somebody won or everybody lost; else why it ended early. */
static int run(struct race *r, int64_t deadline)
{
    for (;;) {
        bool more = r->begun < r->list->count;
        int64_t until = deadline;
        int reason;

        if (r->winner || (!more && !r->running))
            return 0;
        if (more && (!r->running || fiber_now() >= r->next_at)) {
            begin_attempt(r);
            continue;
        }
        if (more && deadline != AT_ONCE && r->next_at < deadline)
            until = r->next_at;
        reason = wait_for_attempts(r, until);
        if (reason && (reason != ETIMEDOUT || until == deadline))
            return reason;
    }
}

static void close_losers(struct race *r)
{
    struct engine *e = r->engine;

    for (uint32_t i = 0; i < r->begun; i++) {
        struct attempt *a = &r->attempts[i];
        if (a->state == RUNNING)
            e->calls->cancel(e, &a->operation);
        if (a != r->winner)
            e->calls->close(e, &a->endpoint);
    }
}

/* Why the nth attempt came to nothing; `early` is why the race ended before all had failed. */
static int attempt_failure(const struct race *r, uint32_t n, int early)
{
    const struct attempt *a = &r->attempts[n];

    return a->state == FAILED ? (int)-a->operation.result : early;
}

/* "goal (address): reason" for one address; else the list of them all, in which those that failed for the
 * same reason one after the other share it, so that sixteen have room. Always -1. */
static int report(struct race *r, const char *goal, int early)
{
    char text[SENTENCE_BYTES], name[SOCKET_NAME_BYTES];
    size_t used = 0;
    int last = early ? early : attempt_failure(r, r->begun - 1, 0);

    text[0] = '\0';
    for (uint32_t i = 0; i < r->begun && used < sizeof text; i++) {
        int number = attempt_failure(r, i, early);
        bool shares = i + 1 < r->begun && attempt_failure(r, i + 1, early) == number;
        address_text(r->attempts[i].operation.address, name, sizeof name);
        if (r->list->count == 1 && !strcmp(name, goal))
            return error_set(number, "connect to %s", goal);
        if (r->list->count == 1)
            return error_set(number, "connect to %s (%s)", goal, name);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s", name,
                                 shares ? ", " : ": ", shares ? "" : error_reason(number));
        if (!shares && i + 1 < r->begun && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "; ");
    }
    return error_say(last, "connect to %s: no address answered: %s", goal, text);
}

int race(const char *goal, struct address_list *list, int64_t deadline, struct endpoint *endpoint,
         salut_addr *winner)
{
    struct race *r = fiber_borrow(sizeof *r);
    int reason;

    if (!r)
        return error_set(ENOMEM, "connect to %s", goal);
    r->engine = scheduler_of_thread->engine;
    r->fiber = fiber_current();
    r->list = list;
    put_in_turn(r);
    reason = run(r, deadline);
    close_losers(r);
    if (reason)
        fiber_count_call(); /* it may not have waited at all */
    if (r->winner) {
        r->engine->calls->move(r->engine, &r->winner->endpoint, endpoint);
        *winner = *r->winner->operation.address;
    } else {
        report(r, goal, reason);
    }
    reason = r->winner ? 0 : -1;
    fiber_give_back(r);
    return reason;
}
