/* test_descriptor.c: operations through descriptors: slices, what was moved, what is asked again,
 * and what comes at the very moment when a wait ends. */
#include "base/clock.h"
#include "support/sockets.h"
#include "transport/descriptor.h"

/* ---- A look over the engine's shoulder ------------------------------------------------------- */

static const struct engine_calls *real_calls;
static struct engine_calls watched_calls;
static int started[OPERATION_RESOLVE + 1]; /* operations of each kind */
static size_t largest;                     /* bytes in one of them */

static bool start_watched(struct engine *e, struct operation *o)
{
    started[o->kind]++;
    if (o->size > largest)
        largest = o->size;
    return real_calls->start(e, o);
}

static void watch(void)
{
    struct engine *e = scheduler_of_thread->engine;

    if (!real_calls)
        real_calls = e->calls;
    watched_calls = *real_calls;
    watched_calls.start = start_watched;
    e->calls = &watched_calls;
    memset(started, 0, sizeof started);
    largest = 0;
}

/* An endpoint of the library's and a descriptor of ours, connected. */
static int unix_pair(struct endpoint *ep)
{
    struct engine *e = scheduler_of_thread->engine;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(e->calls->adopt(e, ep, ends[0], false), 0);
    return ends[1];
}

static void close_endpoint(struct endpoint *ep)
{
    struct engine *e = scheduler_of_thread->engine;

    e->calls->close(e, ep);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static void make_room(struct endpoint *ep, int peer)
{
    int room = 1024 * 1024;

    setsockopt(ep->descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    setsockopt(peer, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
}

static void head_and_data_go_as_one(void **state)
{
    struct endpoint ep;
    int peer = unix_pair(&ep);
    char text[16];
    size_t moved;

    (void)state;
    watch();
    assert_returns(descriptor_send(&ep, "head", 4, " and data", 9, NEVER, &moved), 13);
    assert_int_equal(moved, 13);
    assert_int_equal(started[OPERATION_SEND], 1);
    assert_int_equal(recv(peer, text, sizeof text, 0), 13);
    assert_memory_equal(text, "head and data", 13);
    assert_returns(descriptor_send(&ep, "head", 4, NULL, 0, NEVER, &moved), 4);
    assert_int_equal(recv(peer, text, sizeof text, 0), 4);
    close_endpoint(&ep);
    close(peer);
}

struct drain {
    int descriptor;
    size_t size;
    size_t right;
};

static void drain(void *argument)
{
    static unsigned char bytes[32 * 1024];
    struct drain *d = argument;
    size_t seen = 0;

    while (seen < d->size) {
        ssize_t got = recv(d->descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
        for (ssize_t i = 0; i < got; i++)
            d->right += bytes[i] == (unsigned char)(seen++ / 251);
        if (salut_yield())
            return;
    }
}

static void a_long_send_goes_in_slices(void **state)
{
    struct endpoint ep;
    struct drain d = {.descriptor = unix_pair(&ep), .size = 3 * 1024 * 1024 + 17};
    unsigned char *bytes = malloc(d.size);
    salut_fiber *fiber = salut_go(drain, &d);
    size_t moved;

    (void)state;
    make_room(&ep, d.descriptor);
    for (size_t i = 0; i < d.size; i++)
        bytes[i] = (unsigned char)(i / 251);
    watch();
    assert_returns(descriptor_send(&ep, NULL, 0, bytes, d.size, NEVER, &moved), d.size);
    assert_int_equal(moved, d.size);
    assert_int_equal(largest, 256 * 1024);
    assert_int_equal(started[OPERATION_SEND], 13);
    assert_works(salut_join(fiber));
    assert_int_equal(d.right, d.size);
    close_endpoint(&ep);
    close(d.descriptor);
    free(bytes);
}

static void a_send_that_gave_up_tells_how_much_has_gone(void **state)
{
    static char sink[64 * 1024];
    static const int64_t spans[] = {AT_ONCE, NANOSECONDS / 100};
    static const int reasons[] = {-EAGAIN, -ETIMEDOUT};
    size_t size = 32 * 1024 * 1024;
    char *bytes = calloc(1, size);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct endpoint ep;
        int peer = unix_pair(&ep);
        size_t moved, arrived = 0;
        int64_t deadline = spans[i] == AT_ONCE ? AT_ONCE : fiber_now() + spans[i];
        ssize_t got;
        assert_int_equal(descriptor_send(&ep, "head", 4, bytes, size, deadline, &moved),
                         reasons[i]);
        assert_true(moved > 0);
        while ((got = recv(peer, sink, sizeof sink, MSG_DONTWAIT)) > 0)
            arrived += (size_t)got;
        assert_int_equal(arrived, moved);
        close_endpoint(&ep);
        close(peer);
    }
    free(bytes);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void a_datagram_s_true_size_is_told(void **state)
{
    struct engine *e = scheduler_of_thread->engine;
    struct sockaddr_in to;
    struct endpoint ep;
    int receiver = plain_bound(SOCK_DGRAM | SOCK_NONBLOCK, "127.0.0.1", 0, -1);
    int sender = plain_bound(SOCK_DGRAM, "127.0.0.1", 0, -1);
    char text[4];
    salut_addr from = {0};

    (void)state;
    to = plain_address("127.0.0.1", plain_port(receiver));
    assert_int_equal(e->calls->adopt(e, &ep, receiver, false), 0);
    assert_int_equal(sendto(sender, "salut", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
    assert_returns(descriptor_receive_from(&ep, text, sizeof text, &from, NEVER), 5);
    assert_int_equal(salut_addr_port(&from), plain_port(sender));
    assert_int_equal(descriptor_receive_from(&ep, text, sizeof text, &from, AT_ONCE), -EAGAIN);
    close_endpoint(&ep);
    close(sender);
}

/* ---- Asked again, and not too often --------------------------------------------------------- */

struct late {
    struct endpoint *ep;
    salut_addr *to;
    int64_t result;
    bool done;
};

static void send_late(void *argument)
{
    struct late *l = argument;

    l->result = descriptor_send_to(l->ep, "late", 4, l->to, NEVER);
    l->done = true;
}

static void a_full_unix_queue_is_asked_again_with_growing_pauses(void **state)
{
    struct engine *e = scheduler_of_thread->engine;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    salut_addr to = {.raw_size = sizeof path};
    struct endpoint ep;
    struct late l = {.ep = &ep, .to = &to};
    salut_fiber *fiber;
    int64_t begin;
    double span;
    char text[8];

    (void)state;
    strcpy(path.sun_path, own_path("queue"));
    assert_int_equal(bind(receiver, (struct sockaddr *)&path, sizeof path), 0);
    memcpy(&to.raw.path, &path, sizeof path);
    assert_int_equal(e->calls->open(e, &ep, AF_UNIX, SOCK_DGRAM), 0);
    while (descriptor_send_to(&ep, "x", 1, &to, AT_ONCE) == 1)
        ;
    watch();
    begin = clock_now();
    fiber = salut_go(send_late, &l);
    salut_sleep(0.06);
    assert_false(l.done);
    /* Pauses of 1, 2, 4 ms and so on, up to 50: what they took can't be more than what passed. */
    span = (double)(clock_now() - begin) / 1e6;
    assert_true(started[OPERATION_SEND_TO] >= 2);
    for (int i = 1, pause = 1; i < started[OPERATION_SEND_TO]; i++) {
        span -= pause;
        pause = 2 * pause < 50 ? 2 * pause : 50;
    }
    assert_true(span >= 0);
    assert_int_equal(recv(receiver, text, sizeof text, 0), 1);
    assert_works(salut_join(fiber));
    assert_returns(l.result, 4);
    close_endpoint(&ep);
    close(receiver);
}

/* ---- What comes when a wait ends ------------------------------------------------------------- */

/* A fiber waits to receive; its time is over, or it is cancelled; and before it runs again, another
 * one makes the thread look at the network, where its byte has come. */

struct waiter {
    struct endpoint *ep;
    int64_t deadline;
    int64_t result;
    char letter;
    bool done;
};

static void wait_for_a_letter(void *argument)
{
    struct waiter *w = argument;

    w->result = descriptor_receive(w->ep, &w->letter, 1, w->deadline);
    w->done = true;
}

struct postman {
    int letter_box;
    struct endpoint *busy;
};

/* More calls than a fiber may make before the network is looked at. */
static void make_calls(struct endpoint *ep)
{
    size_t moved;

    for (int i = 0; i <= FIBER_CALLS_MAX; i++)
        descriptor_send(ep, NULL, 0, "x", 1, NEVER, &moved);
}

static void deliver_and_be_busy(void *argument)
{
    struct postman *p = argument;
    ssize_t written = write(p->letter_box, "!", 1);

    (void)written;
    make_calls(p->busy);
}

static void assert_letter_is_not_lost(struct waiter *w, int reason)
{
    if (w->result == 1) {
        assert_int_equal(w->letter, '!');
    } else { /* then it must still be there */
        assert_int_equal(w->result, reason);
        assert_int_equal(descriptor_receive(w->ep, &w->letter, 1, AT_ONCE), 1);
    }
}

static void what_comes_with_the_end_of_the_time_is_not_lost(void **state)
{
    struct endpoint ep, busy;
    int peer = unix_pair(&ep), other = unix_pair(&busy);
    struct waiter w = {.ep = &ep, .deadline = fiber_now() + NANOSECONDS / 1000};
    struct postman p = {.letter_box = peer, .busy = &busy};
    salut_fiber *waiter = salut_go(wait_for_a_letter, &w), *postman;

    (void)state;
    salut_yield();
    hold_thread_until(clock_now() + NANOSECONDS / 500);
    postman = salut_go(deliver_and_be_busy, &p);
    make_calls(&busy); /* the thread looks: the waiter's time is over, its turn after the postman */
    assert_works(salut_join(waiter));
    assert_works(salut_join(postman));
    assert_letter_is_not_lost(&w, -ETIMEDOUT);
    close_endpoint(&ep);
    close_endpoint(&busy);
    close(peer);
    close(other);
}

static void what_comes_with_a_cancel_is_not_lost(void **state)
{
    struct endpoint ep, busy;
    int peer = unix_pair(&ep), other = unix_pair(&busy);
    struct waiter w = {.ep = &ep, .deadline = NEVER};
    struct postman p = {.letter_box = peer, .busy = &busy};
    salut_fiber *waiter = salut_go(wait_for_a_letter, &w), *postman;

    (void)state;
    salut_yield();
    postman = salut_go(deliver_and_be_busy, &p);
    assert_works(salut_cancel(waiter));
    assert_works(salut_join(waiter));
    assert_works(salut_join(postman));
    assert_letter_is_not_lost(&w, -ECANCELED);
    close_endpoint(&ep);
    close_endpoint(&busy);
    close(peer);
    close(other);
}

/* ---- Connecting ---------------------------------------------------------------------------- */

static void disconnect_lets_a_descriptor_connect_again(void **state)
{
    struct engine *e = scheduler_of_thread->engine;
    struct endpoint ep;
    salut_addr to = {.raw_size = sizeof to.raw.ipv4};
    int port, listening_port;
    int silent = refusing("127.0.0.1", &port), listener = plain_listener(&listening_port);

    (void)state;
    assert_int_equal(e->calls->open(e, &ep, AF_INET, SOCK_STREAM), 0);
    descriptor_disconnect(&ep); /* nothing was begun, and nothing is harmed */
    to.raw.ipv4 = plain_address("127.0.0.1", port);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(descriptor_connect(&ep, &to, NEVER), -ECONNREFUSED);
        descriptor_disconnect(&ep);
    }
    to.raw.ipv4 = plain_address("127.0.0.1", listening_port);
    assert_int_equal(descriptor_connect(&ep, &to, NEVER), 0);
    close_endpoint(&ep);
    close(silent);
    close(listener);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(head_and_data_go_as_one),
        cmocka_unit_test(a_long_send_goes_in_slices),
        cmocka_unit_test(a_send_that_gave_up_tells_how_much_has_gone),
        cmocka_unit_test(a_datagram_s_true_size_is_told),
        cmocka_unit_test(a_full_unix_queue_is_asked_again_with_growing_pauses),
        cmocka_unit_test(what_comes_with_the_end_of_the_time_is_not_lost),
        cmocka_unit_test(what_comes_with_a_cancel_is_not_lost),
        cmocka_unit_test(disconnect_lets_a_descriptor_connect_again),
    };

    return RUN_SOCKET_TESTS(tests);
}
