/* The engine by itself, without fibers: operations start, complete once, are cancelled. */
#include "support/fibers.h"

#include "base/clock.h"
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct engine *engine;

static int begin(void **state)
{
    (void)state;
    engine = engine_epoll_create();
    return engine ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    engine->calls->destroy(engine);
    return 0;
}

/* An operation that counts how often it was done. */
struct counted {
    struct operation operation; /* first: an operation's address is its counted's */
    int done;
};

static void count(struct operation *operation)
{
    ((struct counted *)operation)->done++;
}

static struct counted receive_op(struct endpoint *ep, void *into, size_t size)
{
    return (struct counted){
        .operation = {
            .kind = OPERATION_RECEIVE, .endpoint = ep, .into = into, .size = size, .done = count}};
}

static struct counted send_op(struct endpoint *ep, const void *from, size_t size)
{
    return (struct counted){
        .operation = {
            .kind = OPERATION_SEND, .endpoint = ep, .from = from, .size = size, .done = count}};
}

static bool start(struct counted *c)
{
    return engine->calls->start(engine, &c->operation);
}

/* Polls until it is done; hangs when it never is, which the test's time limit ends. */
static void wait_for(struct counted *c)
{
    while (!c->done)
        engine->calls->poll(engine, NEVER);
}

/* Everything that has happened by now is seen. (The kernel reports a ready descriptor once.) */
static void see_everything(void)
{
    for (int i = 0; i < 3; i++)
        engine->calls->poll(engine, AT_ONCE);
}

static void close_both(struct endpoint *a, struct endpoint *b)
{
    engine->calls->close(engine, a);
    engine->calls->close(engine, b);
}

static void open_pair(struct endpoint *a, struct endpoint *b)
{
    assert_int_equal(engine->calls->open_pair(engine, a, b), 0);
}

/* Two ends of a TCP connection over the loopback. */
static void open_tcp(struct endpoint *near, struct endpoint *far)
{
    struct endpoint listener;
    salut_addr address = {
        .raw.ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .raw_size = sizeof(struct sockaddr_in)};
    salut_addr peer;
    struct counted accepted = {
        .operation = {
            .kind = OPERATION_ACCEPT, .endpoint = &listener, .address = &peer, .done = count}};
    struct counted connected = {
        .operation = {
            .kind = OPERATION_CONNECT, .endpoint = near, .address = &address, .done = count}};

    assert_int_equal(engine->calls->open(engine, &listener, AF_INET, SOCK_STREAM), 0);
    assert_int_equal(engine->calls->bind(engine, &listener, &address), 0);
    assert_int_equal(engine->calls->listen(engine, &listener, 1), 0);
    assert_int_equal(engine->calls->name(engine, &listener, false, &address), 0);
    assert_int_equal(engine->calls->open(engine, near, AF_INET, SOCK_STREAM), 0);
    assert_false(start(&accepted));
    if (!start(&connected))
        wait_for(&connected);
    assert_int_equal(connected.operation.result, 0);
    wait_for(&accepted);
    assert_true(accepted.operation.result >= 0);
    assert_int_equal(
        engine->calls->adopt(engine, far, (int)accepted.operation.result, near->stream), 0);
    engine->calls->close(engine, &listener);
}

/* ---- Completing ---------------------------------------------------------------------------- */

static void what_is_there_is_received_at_once(void **state)
{
    struct endpoint a, b;
    char bytes[10];
    struct counted r;

    (void)state;
    open_pair(&a, &b);
    assert_int_equal(write(b.descriptor, "hello", 5), 5);
    r = receive_op(&a, bytes, sizeof bytes);
    assert_true(start(&r));
    assert_int_equal(r.operation.result, 5);
    see_everything();
    assert_int_equal(r.done, 0);
    close_both(&a, &b);
}

static void what_comes_later_is_received_once(void **state)
{
    struct endpoint a, b;
    char bytes[10];
    struct counted r;

    (void)state;
    open_pair(&a, &b);
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r));
    see_everything();
    assert_int_equal(r.done, 0);
    assert_int_equal(write(b.descriptor, "hello", 5), 5);
    wait_for(&r);
    assert_int_equal(r.operation.result, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(write(b.descriptor, "more", 4), 4);
    see_everything();
    assert_int_equal(r.done, 1);
    close_both(&a, &b);
}

static void receiving_and_sending_wait_side_by_side(void **state)
{
    static char much[1 << 20], into[1 << 20];
    struct endpoint a, b;
    char bytes[10];
    struct counted r, s;
    size_t arrived = 0;
    ssize_t size;

    (void)state;
    open_pair(&a, &b);
    r = receive_op(&a, bytes, sizeof bytes);
    s = send_op(&a, much, sizeof much);
    assert_false(start(&r));
    assert_false(start(&s));
    assert_true(s.operation.moved < sizeof much);
    while (!s.done) {
        while ((size = read(b.descriptor, into, sizeof into)) > 0)
            arrived += (size_t)size;
        engine->calls->poll(engine, NEVER);
    }
    while ((size = read(b.descriptor, into, sizeof into)) > 0)
        arrived += (size_t)size;
    assert_int_equal(s.operation.result, sizeof much);
    assert_int_equal(arrived, sizeof much);
    assert_int_equal(r.done, 0);
    assert_int_equal(write(b.descriptor, "x", 1), 1);
    wait_for(&r);
    assert_int_equal(r.operation.result, 1);
    close_both(&a, &b);
}

static void a_send_whose_peer_goes_away_says_how_much_was_taken(void **state)
{
    static char much[1 << 24];
    struct endpoint a, b;
    struct counted s;

    (void)state;
    open_pair(&a, &b);
    s = send_op(&a, much, sizeof much);
    assert_false(start(&s));
    assert_in_range(s.operation.moved, 1, sizeof much - 1);
    engine->calls->close(engine, &b);
    wait_for(&s);
    assert_true(s.operation.result == -EPIPE || s.operation.result == -ECONNRESET);
    engine->calls->close(engine, &a);
}

static void tcp_connects_and_carries(void **state)
{
    struct endpoint near, far;
    char bytes[10];
    struct counted s, r;

    (void)state;
    open_tcp(&near, &far);
    s = send_op(&near, "hello", 5);
    r = receive_op(&far, bytes, sizeof bytes);
    assert_true(start(&s));
    if (!start(&r))
        wait_for(&r);
    assert_int_equal(r.operation.result, 5);
    close_both(&near, &far);
}

static void connecting_where_nobody_listens_is_refused(void **state)
{
    struct endpoint bound, ep;
    salut_addr address = {
        .raw.ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .raw_size = sizeof(struct sockaddr_in)};
    struct counted c = {
        .operation = {
            .kind = OPERATION_CONNECT, .endpoint = &ep, .address = &address, .done = count}};

    (void)state;
    assert_int_equal(engine->calls->open(engine, &bound, AF_INET, SOCK_STREAM), 0);
    assert_int_equal(engine->calls->bind(engine, &bound, &address), 0);
    assert_int_equal(engine->calls->name(engine, &bound, false, &address), 0);
    assert_int_equal(engine->calls->open(engine, &ep, AF_INET, SOCK_STREAM), 0);
    if (!start(&c))
        wait_for(&c);
    assert_int_equal(c.operation.result, -ECONNREFUSED);
    close_both(&bound, &ep);
}

static void a_head_goes_before_the_rest(void **state)
{
    static char much[1 << 20];
    struct endpoint a, b;
    char bytes[8], *into = malloc(sizeof much);
    struct counted s;
    size_t arrived = 0;
    ssize_t size;

    (void)state;
    open_pair(&a, &b);
    s = send_op(&a, "rest", 4);
    s.operation.head = "head";
    s.operation.head_size = 4;
    assert_true(start(&s));
    assert_int_equal(s.operation.result, 8);
    assert_int_equal(read(b.descriptor, bytes, 8), 8);
    assert_memory_equal(bytes, "headrest", 8);
    s = send_op(&a, much, sizeof much);
    s.operation.head = much; /* as long as what follows: cut in the middle */
    s.operation.head_size = sizeof much;
    assert_false(start(&s));
    while (!s.done) {
        while ((size = read(b.descriptor, into, sizeof much)) > 0)
            arrived += (size_t)size;
        engine->calls->poll(engine, NEVER);
    }
    while ((size = read(b.descriptor, into, sizeof much)) > 0)
        arrived += (size_t)size;
    assert_int_equal(arrived, 2 * sizeof much);
    assert_int_equal(s.operation.result, 2 * sizeof much);
    free(into);
    close_both(&a, &b);
}

/* ---- Taking back --------------------------------------------------------------------------- */

static void a_cancelled_receive_is_never_done_and_takes_nothing(void **state)
{
    struct endpoint a, b;
    char bytes[10];
    struct counted r, again;

    (void)state;
    open_pair(&a, &b);
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r));
    engine->calls->cancel(engine, &r.operation);
    assert_int_equal(write(b.descriptor, "hello", 5), 5);
    see_everything();
    assert_int_equal(r.done, 0);
    again = receive_op(&a, bytes, sizeof bytes);
    assert_true(start(&again));
    assert_int_equal(again.operation.result, 5);
    close_both(&a, &b);
}

static void closing_completes_what_waits_with_ecanceled(void **state)
{
    static char much[1 << 24];
    struct endpoint a, b;
    char bytes[10];
    struct counted r, s;

    (void)state;
    open_pair(&a, &b);
    r = receive_op(&a, bytes, sizeof bytes);
    s = send_op(&a, much, sizeof much);
    assert_false(start(&r));
    assert_false(start(&s));
    engine->calls->close(engine, &a);
    assert_int_equal(r.done, 1);
    assert_int_equal(s.done, 1);
    assert_int_equal(r.operation.result, -ECANCELED);
    assert_int_equal(s.operation.result, -ECANCELED);
    assert_int_equal(a.descriptor, -1);
    engine->calls->close(engine, &a); /* again: nothing happens */
    see_everything();
    assert_int_equal(r.done, 1);
    engine->calls->close(engine, &b);
}

static void a_moved_endpoint_goes_on_elsewhere(void **state)
{
    struct endpoint a, b, moved;
    char bytes[10];
    struct counted r;

    (void)state;
    open_pair(&a, &b);
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r)); /* it is registered with the kernel now */
    engine->calls->cancel(engine, &r.operation);
    engine->calls->move(engine, &a, &moved);
    assert_int_equal(a.descriptor, -1);
    memset(&a, 0xff, sizeof a);
    r = receive_op(&moved, bytes, sizeof bytes);
    assert_false(start(&r));
    assert_int_equal(write(b.descriptor, "x", 1), 1);
    wait_for(&r);
    assert_int_equal(r.operation.result, 1);
    close_both(&moved, &b);
}

/* ---- Late events --------------------------------------------------------------------------- */

/* The open file lives on though its descriptor is closed, so the kernel still tells of it; the
 * next socket has the descriptor's number. */
static void assert_late_events_are_dropped(int (*keep)(int), void (*let_go)(int))
{
    struct endpoint a, b, c, d;
    char bytes[10];
    struct counted r, fresh;
    int kept, number;

    open_pair(&a, &b);
    number = a.descriptor;
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r));
    engine->calls->cancel(engine, &r.operation);
    kept = keep(number);
    engine->calls->close(engine, &a);
    open_pair(&c, &d);
    assert_true(c.descriptor == number || d.descriptor == number);
    if (d.descriptor == number) {
        struct endpoint swap;
        engine->calls->move(engine, &c, &swap);
        engine->calls->move(engine, &d, &c);
        engine->calls->move(engine, &swap, &d);
    }
    fresh = receive_op(&c, bytes, sizeof bytes);
    assert_false(start(&fresh));
    see_everything();
    c.writable = false;
    assert_int_equal(write(b.descriptor, "late", 4), 4); /* for the old open file */
    see_everything();
    assert_int_equal(fresh.done, 0);
    assert_false(c.readable);
    assert_int_equal(write(d.descriptor, "new", 3), 3);
    wait_for(&fresh);
    assert_int_equal(fresh.operation.result, 3);
    assert_memory_equal(bytes, "new", 3);
    let_go(kept);
    engine->calls->close(engine, &b);
    close_both(&c, &d);
}

static int keep_by_dup(int descriptor)
{
    return fcntl(descriptor, F_DUPFD_CLOEXEC, 100);
}

static void let_go_of_dup(int descriptor)
{
    close(descriptor);
}

static void late_events_are_dropped_when_a_dup_keeps_the_file_open(void **state)
{
    (void)state;
    assert_late_events_are_dropped(keep_by_dup, let_go_of_dup);
}

static int keep_by_fork(int descriptor)
{
    pid_t child = fork();

    (void)descriptor;
    if (child == 0) {
        pause();
        _exit(0);
    }
    return child;
}

static void let_go_of_fork(int child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void late_events_are_dropped_when_a_child_keeps_the_file_open(void **state)
{
    (void)state;
    assert_late_events_are_dropped(keep_by_fork, let_go_of_fork);
}

/* The kernel has told of both; the engine may have kept what it heard of the second. */
static void an_event_that_is_known_but_not_yet_heard_is_dropped_with_its_socket(void **state)
{
    struct endpoint a[2], b[2], c, d, *unheard;
    char bytes[10];
    struct counted r[2], fresh;
    int number;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_pair(&a[i], &b[i]);
        r[i] = receive_op(&a[i], bytes, sizeof bytes);
        assert_false(start(&r[i]));
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(write(b[i].descriptor, "x", 1), 1);
    engine->calls->poll(engine, NEVER);
    assert_in_range(r[0].done + r[1].done, 1, 2);
    unheard = r[0].done ? &a[1] : &a[0];
    number = unheard->descriptor;
    engine->calls->close(engine, unheard);
    assert_int_equal(r[0].done + r[1].done, 2);
    open_pair(&c, &d);
    if (d.descriptor == number) {
        struct endpoint swap;
        engine->calls->move(engine, &c, &swap);
        engine->calls->move(engine, &d, &c);
        engine->calls->move(engine, &swap, &d);
    }
    assert_int_equal(c.descriptor, number);
    fresh = receive_op(&c, bytes, sizeof bytes);
    assert_false(start(&fresh));
    see_everything();
    assert_int_equal(fresh.done, 0);
    assert_false(c.readable);
    assert_int_equal(write(d.descriptor, "new", 3), 3);
    wait_for(&fresh);
    assert_int_equal(fresh.operation.result, 3);
    close_both(&c, &d);
    for (int i = 0; i < 2; i++)
        close_both(&a[i], &b[i]);
}

/* As when a descriptor that was closed comes back over a Unix socket, at its old number. */
static void an_open_file_that_returns_under_its_old_number_is_heard(void **state)
{
    struct endpoint a, b;
    char bytes[10];
    struct counted r;
    int kept, number;

    (void)state;
    open_pair(&a, &b);
    number = a.descriptor;
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r));
    kept = keep_by_dup(number);
    engine->calls->close(engine, &a);
    assert_int_equal(dup2(kept, number), number);
    assert_int_equal(engine->calls->adopt(engine, &a, number, false), 0);
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r));
    assert_int_equal(write(b.descriptor, "hello", 5), 5);
    wait_for(&r);
    assert_int_equal(r.operation.result, 5);
    close(kept);
    close_both(&a, &b);
}

/* ---- A TCP stream's end -------------------------------------------------------------------- */

/* All that is received until the end, in receives of `room` bytes. */
static size_t receive_to_the_end(struct endpoint *ep, size_t room)
{
    char bytes[100];
    size_t all = 0;

    for (;;) {
        struct counted r = receive_op(ep, bytes, room);
        if (!start(&r))
            wait_for(&r);
        if (r.operation.result <= 0) {
            assert_int_equal(r.operation.result, 0);
            return all;
        }
        all += (size_t)r.operation.result;
    }
}

enum { NOT_YET_HEARD, HEARD_BEFORE, WAITS };

/* The peer sends 3 bytes and ends, before or after the engine has heard of the connection. */
static void assert_the_end_is_seen(int heard, bool end_apart, bool read_between)
{
    struct endpoint near, far;
    char bytes[100];
    struct counted r;
    size_t all = 0;

    open_tcp(&near, &far);
    r = receive_op(&far, bytes, sizeof bytes);
    if (heard != NOT_YET_HEARD)
        assert_false(start(&r));
    if (heard == HEARD_BEFORE)
        engine->calls->cancel(engine, &r.operation);
    assert_int_equal(write(near.descriptor, "abc", 3), 3);
    if (end_apart)
        see_everything();
    if (read_between && heard != WAITS) {
        if (!start(&r))
            wait_for(&r);
        all = (size_t)r.operation.result;
    }
    engine->calls->close(engine, &near);
    if (heard == WAITS) {
        wait_for(&r);
        all = (size_t)r.operation.result;
    }
    all += receive_to_the_end(&far, sizeof bytes);
    assert_int_equal(all, 3);
    assert_int_equal(receive_to_the_end(&far, sizeof bytes), 0); /* and again */
    engine->calls->close(engine, &far);
}

static void an_end_right_behind_a_short_receive_is_seen(void **state)
{
    (void)state;
    for (int heard = NOT_YET_HEARD; heard <= WAITS; heard++)
        for (int how = 0; how < 4; how++)
            assert_the_end_is_seen(heard, how & 1, how & 2);
}

static void an_end_after_shutdown_of_the_reading_side_is_seen(void **state)
{
    struct endpoint near, far;
    char bytes[10];
    struct counted r;

    (void)state;
    open_tcp(&near, &far);
    r = receive_op(&far, bytes, sizeof bytes);
    assert_false(start(&r));
    assert_int_equal(engine->calls->shutdown(engine, &far, SHUT_RD), 0);
    wait_for(&r);
    assert_int_equal(r.operation.result, 0);
    close_both(&near, &far);
}

static void bytes_around_urgent_data_all_arrive(void **state)
{
    (void)state;
    for (size_t room = 1; room <= 10; room += 3) {
        struct endpoint near, far;
        char bytes[10];
        struct counted r;
        size_t all = 0;
        open_tcp(&near, &far);
        r = receive_op(&far, bytes, room);
        assert_false(start(&r));
        assert_int_equal(send(near.descriptor, "ab", 2, 0), 2);
        assert_int_equal(send(near.descriptor, "!", 1, MSG_OOB), 1);
        assert_int_equal(send(near.descriptor, "cd", 2, 0), 2);
        wait_for(&r);
        all = (size_t)r.operation.result;
        while (all < 4) {
            r = receive_op(&far, bytes, room);
            if (!start(&r))
                wait_for(&r);
            all += (size_t)r.operation.result;
        }
        engine->calls->close(engine, &near);
        assert_int_equal(receive_to_the_end(&far, room), 0);
        engine->calls->close(engine, &far);
    }
}

/* Bytes come in at every moment between the engine's steps; each one arrives. */
static void short_receives_miss_nothing(void **state)
{
    struct endpoint near, far;
    char bytes[4];
    size_t sent = 0, all = 0;
    uint32_t chance = 1;

    (void)state;
    open_tcp(&near, &far);
    while (all < 20000) {
        struct counted r = receive_op(&far, bytes, sizeof bytes);
        if (all == sent || chance >> 28 & 1)
            sent += (size_t)write(near.descriptor, "abcdefg", 1 + (chance >> 25) % 7);
        chance = chance * 1664525 + 1013904223;
        if (chance >> 30 == 0)
            see_everything();
        if (!start(&r))
            wait_for(&r);
        all += (size_t)r.operation.result;
    }
    engine->calls->close(engine, &near);
    all += receive_to_the_end(&far, sizeof bytes);
    assert_int_equal(all, sent);
    engine->calls->close(engine, &far);
}

/* ---- Time ---------------------------------------------------------------------------------- */

static void a_poll_with_nothing_to_do_lasts_until_its_time(void **state)
{
    int64_t until = engine->calls->now(engine) + 5 * (NANOSECONDS / 1000);

    (void)state;
    while (engine->calls->now(engine) < until)
        engine->calls->poll(engine, until);
    engine->calls->poll(engine, until); /* it has passed: returns */
    engine->calls->poll(engine, AT_ONCE);
}

static void a_poll_ends_when_something_completes(void **state)
{
    struct endpoint a, b;
    char bytes[10];
    struct counted r;

    (void)state;
    open_pair(&a, &b);
    r = receive_op(&a, bytes, sizeof bytes);
    assert_false(start(&r));
    assert_int_equal(write(b.descriptor, "x", 1), 1);
    engine->calls->poll(engine, NEVER);
    assert_int_equal(r.done, 1);
    close_both(&a, &b);
}

/* ---- Letters ------------------------------------------------------------------------------- */

enum { WRITERS = 4, LETTERS = 5000 };

struct numbered {
    struct letter letter; /* first */
    int writer, number;
};

static int letters_opened[WRITERS];
static bool out_of_order;

static void open_numbered(struct letter *letter)
{
    struct numbered *n = (struct numbered *)letter;

    if (letters_opened[n->writer]++ != n->number)
        out_of_order = true;
    free(n);
}

struct writer {
    pthread_t thread;
    int index, letters;
};

static void *write_letters(void *argument)
{
    struct writer *w = argument;

    for (int i = 0; i < w->letters; i++) {
        struct numbered *n = malloc(sizeof *n);
        *n = (struct numbered){.letter.open = open_numbered, .writer = w->index, .number = i};
        engine->calls->post(engine, &n->letter);
    }
    return NULL;
}

static void letters_of_many_threads_all_arrive_in_each_ones_order(void **state)
{
    struct writer writers[WRITERS];
    int letters = sized(LETTERS, LETTERS / 10, "letters of each thread"), opened = 0;

    (void)state;
    memset(letters_opened, 0, sizeof letters_opened);
    out_of_order = false;
    assert_int_equal(engine->calls->expect_letters(engine), 0);
    assert_int_equal(engine->calls->expect_letters(engine), 0); /* again: nothing happens */
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.index = i, .letters = letters};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_letters, &writers[i]), 0);
    }
    while (opened < WRITERS * letters) {
        engine->calls->poll(engine, NEVER);
        opened = 0;
        for (int i = 0; i < WRITERS; i++)
            opened += letters_opened[i];
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    assert_int_equal(opened, WRITERS * letters);
    assert_false(out_of_order);
}

static void letters_that_nobody_waited_for_are_opened_at_the_end(void **state)
{
    struct writer writer = {.index = 0, .letters = 10};
    struct engine *of_test = engine;

    (void)state;
    memset(letters_opened, 0, sizeof letters_opened);
    engine = engine_epoll_create();
    assert_int_equal(engine->calls->expect_letters(engine), 0);
    write_letters(&writer);
    engine->calls->destroy(engine);
    engine = of_test;
    assert_int_equal(letters_opened[0], 10);
}

/* ---- The alarm ----------------------------------------------------------------------------- */

struct ring {
    struct letter letter; /* first */
    int rung;
};

static void ring(struct letter *letter)
{
    ((struct ring *)letter)->rung++;
}

static void an_alarm_ends_even_a_poll_that_waits_for_ever(void **state)
{
    struct ring alarm = {.letter.open = ring};
    int64_t at = clock_now() + NANOSECONDS / 50;

    (void)state;
    assert_int_equal(engine->calls->alarm(engine, at, &alarm.letter), 0);
    while (!alarm.rung)
        engine->calls->poll(engine, NEVER);
    assert_true(clock_now() >= at);
    engine->calls->poll(engine, clock_now() + NANOSECONDS / 50);
    assert_int_equal(alarm.rung, 1);
    assert_int_equal(engine->calls->alarm(engine, clock_now(), &alarm.letter), 0); /* and again */
    while (alarm.rung == 1)
        engine->calls->poll(engine, NEVER);
}

static void a_new_alarm_takes_the_place_of_the_last(void **state)
{
    struct ring first = {.letter.open = ring}, second = {.letter.open = ring};
    int64_t now = clock_now();

    (void)state;
    assert_int_equal(engine->calls->alarm(engine, now + 1000 * (int64_t)NANOSECONDS, &first.letter),
                     0);
    assert_int_equal(engine->calls->alarm(engine, now + NANOSECONDS / 100, &second.letter), 0);
    while (!second.rung)
        engine->calls->poll(engine, NEVER);
    assert_int_equal(first.rung, 0);
}

/* ---- Running out --------------------------------------------------------------------------- */

static void without_descriptors_opening_says_emfile(void **state)
{
    struct rlimit limit, low;
    struct endpoint ep, other;
    int next = dup(STDERR_FILENO); /* the lowest that is free */

    (void)state;
    needs_no("valgrind", "it keeps descriptors and limits of its own");
    needs_no("qemu", "it keeps descriptors and limits of its own");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)next; /* and the one before `next` is the last */
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(engine->calls->open(engine, &ep, AF_INET, SOCK_STREAM), -EMFILE);
    assert_int_equal(engine->calls->open_pair(engine, &ep, &other), -EMFILE);
    assert_int_equal(engine->calls->expect_letters(engine), -EMFILE);
    assert_int_equal(engine->calls->alarm(engine, clock_now(), NULL), -EMFILE);
    errno = 0;
    assert_null(engine_epoll_create());
    assert_int_equal(errno, EMFILE);
    low.rlim_cur++;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(engine->calls->open_pair(engine, &ep, &other), -EMFILE);
    assert_int_equal(engine->calls->expect_letters(engine), 0); /* one was left */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_received_at_once, begin, end),
        cmocka_unit_test_setup_teardown(what_comes_later_is_received_once, begin, end),
        cmocka_unit_test_setup_teardown(receiving_and_sending_wait_side_by_side, begin, end),
        cmocka_unit_test_setup_teardown(a_send_whose_peer_goes_away_says_how_much_was_taken, begin,
                                        end),
        cmocka_unit_test_setup_teardown(tcp_connects_and_carries, begin, end),
        cmocka_unit_test_setup_teardown(connecting_where_nobody_listens_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_head_goes_before_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(a_cancelled_receive_is_never_done_and_takes_nothing, begin,
                                        end),
        cmocka_unit_test_setup_teardown(closing_completes_what_waits_with_ecanceled, begin, end),
        cmocka_unit_test_setup_teardown(a_moved_endpoint_goes_on_elsewhere, begin, end),
        cmocka_unit_test_setup_teardown(late_events_are_dropped_when_a_dup_keeps_the_file_open,
                                        begin, end),
        cmocka_unit_test_setup_teardown(late_events_are_dropped_when_a_child_keeps_the_file_open,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            an_event_that_is_known_but_not_yet_heard_is_dropped_with_its_socket, begin, end),
        cmocka_unit_test_setup_teardown(an_open_file_that_returns_under_its_old_number_is_heard,
                                        begin, end),
        cmocka_unit_test_setup_teardown(an_end_right_behind_a_short_receive_is_seen, begin, end),
        cmocka_unit_test_setup_teardown(an_end_after_shutdown_of_the_reading_side_is_seen, begin,
                                        end),
        cmocka_unit_test_setup_teardown(bytes_around_urgent_data_all_arrive, begin, end),
        cmocka_unit_test_setup_teardown(short_receives_miss_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_poll_with_nothing_to_do_lasts_until_its_time, begin, end),
        cmocka_unit_test_setup_teardown(a_poll_ends_when_something_completes, begin, end),
        cmocka_unit_test_setup_teardown(letters_of_many_threads_all_arrive_in_each_ones_order,
                                        begin, end),
        cmocka_unit_test_setup_teardown(letters_that_nobody_waited_for_are_opened_at_the_end, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_alarm_ends_even_a_poll_that_waits_for_ever, begin, end),
        cmocka_unit_test_setup_teardown(a_new_alarm_takes_the_place_of_the_last, begin, end),
        cmocka_unit_test_setup_teardown(without_descriptors_opening_says_emfile, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
