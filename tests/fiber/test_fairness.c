/* Nobody is kept waiting by others that could go on for ever. Calls and switches are counted; the
 * clock is not looked at. */
#include "support/fibers.h"

#include "base/limits.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>

/* ---- One fiber whose data is always there -------------------------------------------------- */

struct talker {
    salut_sock *out, *in;
    int calls, calls_max;
    bool ended;
};

static void talk_to_itself(void *argument)
{
    struct talker *t = argument;
    char byte;

    while (t->calls < t->calls_max) {
        if (salut_send(t->out, "x", 1) != 1)
            break;
        t->calls++;
        if (salut_recv(t->in, &byte, 1) != 1)
            break;
        t->calls++;
    }
    t->ended = true;
}

static void calls_that_never_wait_let_the_others_run(void **state)
{
    struct talker t = {.calls_max = 10000};
    int longest = 0, turns = 0;
    salut_fiber *fiber;

    (void)state;
    assert_int_equal(salut_pair(&t.out, &t.in), 0);
    fiber = salut_go(talk_to_itself, &t);
    while (!t.ended) {
        int before = t.calls;
        salut_yield();
        if (t.calls - before > longest)
            longest = t.calls - before;
        turns++;
    }
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(t.calls, t.calls_max);
    assert_in_range(longest, 1, FIBER_CALLS_MAX);
    assert_in_range(turns, t.calls_max / FIBER_CALLS_MAX, t.calls_max);
    salut_close(t.out);
    salut_close(t.in);
}

/* ---- Fibers that keep yielding ------------------------------------------------------------- */

struct spinners {
    long switches; /* of both together */
    bool stop;
};

static void spin(void *argument)
{
    struct spinners *s = argument;

    while (!s->stop) {
        s->switches++;
        salut_yield();
    }
}

struct waiter {
    struct spinners *spinners;
    salut_sock *socket;
    bool waits, woke;
    long begun, ended; /* in the spinners' switches */
};

static void sleep_shortly(void *argument)
{
    struct waiter *w = argument;

    w->begun = w->spinners->switches;
    salut_sleep(1e-9);
    w->ended = w->spinners->switches;
    w->woke = true;
}

static void receive_one(void *argument)
{
    struct waiter *w = argument;
    char byte;

    w->waits = true;
    w->woke = salut_recv(w->socket, &byte, 1) == 1;
    w->ended = w->spinners->switches;
}

/* Two spinners run; each switch between them counts. The others that are ready may run first. */
enum { SWITCHES_BOUND = FIBER_SWITCHES_MAX + 4 };

static void yielding_for_ever_does_not_hold_up_a_timer(void **state)
{
    struct spinners s = {0};
    struct waiter w = {.spinners = &s};
    salut_fiber *fibers[3];

    (void)state;
    fibers[0] = salut_go(spin, &s);
    fibers[1] = salut_go(spin, &s);
    fibers[2] = salut_go(sleep_shortly, &w);
    for (int i = 0; i < 1000 && !w.woke; i++)
        salut_yield();
    s.stop = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    assert_true(w.woke);
    assert_in_range(w.ended - w.begun, 0, SWITCHES_BOUND);
}

static void yielding_for_ever_does_not_hold_up_the_network(void **state)
{
    struct spinners s = {0};
    struct waiter w = {.spinners = &s};
    salut_sock *peer;
    salut_fiber *fibers[3];

    (void)state;
    assert_int_equal(salut_pair(&w.socket, &peer), 0);
    fibers[0] = salut_go(spin, &s);
    fibers[1] = salut_go(spin, &s);
    fibers[2] = salut_go(receive_one, &w);
    while (!w.waits)
        salut_yield();
    w.begun = s.switches;
    assert_int_equal(write(salut_fd(peer), "x", 1), 1);
    for (int i = 0; i < 1000 && !w.woke; i++)
        salut_yield();
    s.stop = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    assert_true(w.woke);
    assert_in_range(w.ended - w.begun, 0, SWITCHES_BOUND);
    salut_close(w.socket);
    salut_close(peer);
}

/* ---- Descriptors that are ready together --------------------------------------------------- */

enum { TOGETHER = 200 };

struct crowd {
    salut_sock *near[TOGETHER], *far[TOGETHER];
    int entered, received;
    struct fiber *sleeper;
    int64_t due;
    int received_late; /* since the sleeper's time was over, until it was found out */
};

static void receive_in_the_crowd(void *argument)
{
    struct crowd *c = argument;
    char byte;

    salut_recv(c->near[c->entered++], &byte, 1);
    while (fiber_now() <= c->due) /* the first makes sure that the sleeper's time is over */
        ;
    c->received++;
    c->received_late += c->sleeper->parked;
}

static void sleep_in_the_crowd(void *argument)
{
    struct crowd *c = argument;

    c->due = fiber_now() + NANOSECONDS / 50;
    fiber_park(c->due, "its time");
}

/* All of them are told by one look at the network, before the sleeper's time has come. */
static void descriptors_that_are_ready_together_do_not_hold_up_a_timer(void **state)
{
    static struct crowd c;
    salut_fiber *fibers[TOGETHER], *sleeper;

    (void)state;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < TOGETHER; i++) {
        assert_int_equal(salut_pair(&c.near[i], &c.far[i]), 0);
        fibers[i] = salut_go(receive_in_the_crowd, &c);
    }
    salut_yield();
    for (int i = 0; i < TOGETHER; i++)
        assert_int_equal(write(salut_fd(c.far[i]), "x", 1), 1);
    sleeper = salut_go(sleep_in_the_crowd, &c);
    c.sleeper = handle_object(&scheduler_of_thread->fibers, sleeper);
    assert_int_equal(salut_join(sleeper), 0);
    for (int i = 0; i < TOGETHER; i++) {
        assert_int_equal(salut_join(fibers[i]), 0);
        salut_close(c.near[i]);
        salut_close(c.far[i]);
    }
    assert_int_equal(c.received, TOGETHER);
    assert_in_range(c.received_late, 0, FIBER_SWITCHES_MAX);
}

/* ---- Fibers that make new ones ------------------------------------------------------------- */

static void make_another(void *argument)
{
    struct spinners *s = argument;

    s->switches++;
    if (!s->stop)
        salut_go(make_another, s);
}

static void fibers_that_replace_each_other_do_not_hold_up_a_timer(void **state)
{
    struct spinners s = {0};
    struct waiter w = {.spinners = &s};
    salut_fiber *fiber;

    (void)state;
    salut_go(make_another, &s);
    fiber = salut_go(sleep_shortly, &w);
    for (int i = 0; i < 1000 && !w.woke; i++)
        salut_yield();
    s.stop = true;
    assert_int_equal(salut_join(fiber), 0);
    assert_true(w.woke);
    assert_in_range(w.ended - w.begun, 0, SWITCHES_BOUND);
    salut_yield();
}

/* ---- Many at once -------------------------------------------------------------------------- */

struct echo {
    salut_sock *near, *far;
    int rounds;
};

static void answer(void *argument)
{
    struct echo *e = argument;
    char byte;

    while (salut_recv(e->far, &byte, 1) == 1)
        salut_send(e->far, &byte, 1);
}

static void ask(void *argument)
{
    struct echo *e = argument;
    char byte = 'x';

    while (e->rounds > 0 && salut_send(e->near, &byte, 1) == 1 &&
           salut_recv(e->near, &byte, 1) == 1)
        e->rounds--;
    salut_shutdown(e->near, SHUT_WR);
}

/* More conversations than the engine takes events at once. */
static void more_descriptors_than_are_heard_at_once_all_have_their_turn(void **state)
{
    static struct echo echoes[400];
    static salut_fiber *fibers[800];
    int count = sized(400, 150, "conversations");

    (void)state;
    for (int i = 0; i < count; i++) {
        echoes[i].rounds = 20;
        assert_int_equal(salut_pair(&echoes[i].near, &echoes[i].far), 0);
        fibers[2 * i] = salut_go(answer, &echoes[i]);
        fibers[2 * i + 1] = salut_go(ask, &echoes[i]);
    }
    for (int i = 0; i < 2 * count; i++)
        assert_int_equal(salut_join(fibers[i]), 0);
    for (int i = 0; i < count; i++) {
        assert_int_equal(echoes[i].rounds, 0);
        salut_close(echoes[i].near);
        salut_close(echoes[i].far);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_never_wait_let_the_others_run),
        cmocka_unit_test(yielding_for_ever_does_not_hold_up_a_timer),
        cmocka_unit_test(yielding_for_ever_does_not_hold_up_the_network),
        cmocka_unit_test(descriptors_that_are_ready_together_do_not_hold_up_a_timer),
        cmocka_unit_test(fibers_that_replace_each_other_do_not_hold_up_a_timer),
        cmocka_unit_test(more_descriptors_than_are_heard_at_once_all_have_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
