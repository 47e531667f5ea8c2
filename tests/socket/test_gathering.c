/* test_gathering.c: sends that gather: when they leave, in what order, and what happens to those
 * that can't. */
#include "support/sockets.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The library's system calls come by here on their way to the kernel. */
static int sends_asked;

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    sends_asked++;
    return syscall(SYS_sendmsg, descriptor, message, flags);
}

ssize_t send(int descriptor, const void *data, size_t size, int flags)
{
    sends_asked++;
    return syscall(SYS_sendto, descriptor, data, size, flags, NULL, 0);
}

/* ---- Two ends ------------------------------------------------------------------------------ */

/* One that gathers so many bytes, and a plain one. */
static salut_sock *gathering(size_t bytes, int *peer)
{
    salut_sock *s = connected_to_plain(peer);

    assert_works(salut_set_buffer(s, bytes));
    sends_asked = 0;
    return s;
}

static void assert_nothing_has_come(int peer)
{
    char byte;

    assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
    assert_int_equal(errno, EAGAIN);
}

/* This comes next; it is waited for. */
static void assert_comes(int peer, const char *expected)
{
    size_t size = strlen(expected), got = 0;
    char text[1024];

    while (got < size) {
        ssize_t more = read(peer, text + got, size - got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    assert_memory_equal(text, expected, size);
}

/* This has come, and no more. */
static void assert_has_come(int peer, const char *expected)
{
    assert_comes(peer, expected);
    assert_nothing_has_come(peer);
}

static void assert_sent(salut_sock *s, const char *text)
{
    assert_returns(salut_send(s, text, strlen(text)), strlen(text));
}

/* Bytes that tell their place. */
static unsigned char *new_bytes(size_t size)
{
    unsigned char *bytes = malloc(size);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + (i >> 8));
    return bytes;
}

/* Two ends of a Unix pair that hold little between them. */
static salut_sock *narrow(salut_sock **other)
{
    salut_sock *s;
    int least = 1;

    assert_works(salut_pair(&s, other));
    assert_int_equal(setsockopt(salut_fd(s), SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    return s;
}

/* ---- When it leaves ------------------------------------------------------------------------ */

static void nothing_leaves_while_the_fiber_goes_on(void **state)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_sent(s, "salut ");
    assert_returns(salut_send_line(s, "a line"), 6);
    assert_returns(salut_send_message(s, "a message", 9), 9);
    assert_int_equal(sends_asked, 0);
    assert_nothing_has_come(peer);
    assert_works(salut_close(s));
    close(peer);
}

static void it_leaves_at_flush_as_one(void **state)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_sent(s, "ho");
    assert_works(salut_flush(s));
    assert_int_equal(sends_asked, 1);
    assert_has_come(peer, "hohohohohohohohohoho");
    assert_works(salut_flush(s)); /* of nothing */
    assert_int_equal(sends_asked, 1);
    assert_works(salut_close(s));
    close(peer);
}

static void it_leaves_when_the_fiber_waits(void **state)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);

    (void)state;
    assert_sent(s, "before a ");
    assert_sent(s, "rest");
    assert_works(salut_sleep(0.001));
    assert_int_equal(sends_asked, 1);
    assert_has_come(peer, "before a rest");
    assert_works(salut_close(s));
    close(peer);
}

static void answer(void *argument)
{
    salut_sock *s = argument;
    char text[64];
    ssize_t size;

    while ((size = salut_recv(s, text, sizeof text)) > 0)
        salut_send(s, text, (size_t)size);
    salut_close(s);
}

/* Neither end ever says flush, and each waits for the other. */
static void question_and_answer_need_no_flush(void **state)
{
    salut_sock *a, *b;
    salut_fiber *fiber;
    char text[8];

    (void)state;
    connected(&a, &b);
    assert_works(salut_set_buffer(a, 4096));
    assert_works(salut_set_buffer(b, 4096));
    fiber = salut_go(answer, b);
    for (int i = 0; i < 50; i++) {
        assert_sent(a, "ques");
        assert_sent(a, "tion");
        assert_returns(salut_recv_exactly(a, text, 8), 8);
        assert_memory_equal(text, "question", 8);
    }
    assert_works(salut_close(a));
    assert_works(salut_join(fiber));
}

static void it_leaves_when_the_buffer_is_full(void **state)
{
    int peer;
    salut_sock *s = gathering(10, &peer);

    (void)state;
    assert_sent(s, "12345");
    assert_sent(s, "67890"); /* it just fits */
    assert_nothing_has_come(peer);
    assert_sent(s, "a");
    assert_has_come(peer, "1234567890");
    assert_works(salut_flush(s));
    assert_has_come(peer, "a");
    assert_works(salut_close(s));
    close(peer);
}

static void it_leaves_at_close(void **state)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);
    char byte;

    (void)state;
    assert_sent(s, "farewell");
    assert_works(salut_close(s));
    assert_comes(peer, "farewell");
    assert_int_equal(read(peer, &byte, 1), 0);
    close(peer);
}

static void it_leaves_at_shutdown(void **state)
{
    static const int hows[] = {SHUT_WR, SHUT_RDWR};
    char byte;

    (void)state;
    for (int i = 0; i < 2; i++) {
        int peer;
        salut_sock *s = gathering(1000, &peer);
        assert_sent(s, "I'm done");
        assert_works(salut_shutdown(s, hows[i]));
        assert_int_equal(read(peer, (char[16]){0}, 16), 8);
        assert_int_equal(read(peer, &byte, 1), 0);
        assert_works(salut_close(s));
        close(peer);
    }
}

static void it_stays_at_the_shutdown_of_the_other_direction(void **state)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);

    (void)state;
    assert_sent(s, "still here");
    assert_works(salut_shutdown(s, SHUT_RD));
    assert_nothing_has_come(peer);
    assert_works(salut_close(s));
    assert_int_equal(read(peer, (char[16]){0}, 16), 10);
    close(peer);
}

static void each_socket_of_a_thread_sends_its_own(void **state)
{
    enum { SOCKETS = 20 };
    salut_sock *s[SOCKETS];
    int peers[SOCKETS];
    char text[16];

    (void)state;
    for (int i = 0; i < SOCKETS; i++) {
        s[i] = gathering(100, &peers[i]);
        snprintf(text, sizeof text, "for %d", i);
        assert_sent(s[i], text);
    }
    assert_works(salut_close(s[7])); /* one of the others' middle */
    assert_works(salut_sleep(0.001));
    for (int i = 0; i < SOCKETS; i++) {
        snprintf(text, sizeof text, "for %d", i);
        if (i != 7) {
            assert_has_come(peers[i], text);
            assert_works(salut_close(s[i]));
        }
        close(peers[i]);
    }
}

/* ---- In what order ------------------------------------------------------------------------- */

static void what_is_too_big_to_gather_goes_behind_what_is_gathered(void **state)
{
    int peer;
    salut_sock *s = gathering(10, &peer);

    (void)state;
    assert_sent(s, "small, ");
    assert_sent(s, "and then one that is bigger, ");
    assert_sent(s, "then ");
    assert_sent(s, "small");
    assert_returns(salut_send_line(s, ", and a line that is bigger as well"), 35);
    assert_sent(s, ".");
    assert_works(salut_flush(s));
    assert_has_come(peer, "small, and then one that is bigger, then small"
                          ", and a line that is bigger as well\n.");
    assert_works(salut_close(s));
    close(peer);
}

enum { TALKERS = 8, WORDS = 400, WORD_MAX = 300 };

struct talker {
    salut_sock *s;
    unsigned number;
    int failed;
};

/* Messages that say who and how many, some larger than the buffer. */
static void talk(void *argument)
{
    struct talker *t = argument;
    unsigned char word[WORD_MAX];

    for (unsigned i = 0; i < WORDS; i++) {
        size_t size = 3 + (i * 37 + t->number * 11) % (WORD_MAX - 3);
        memset(word, (int)t->number, size);
        word[1] = (unsigned char)(i >> 8);
        word[2] = (unsigned char)i;
        if (salut_send_message(t->s, word, size) != (ssize_t)size)
            t->failed++;
        if ((i + t->number) % 5 == 0)
            salut_yield();
    }
}

static void many_fibers_gather_on_one_socket_a_whole_call_each(void **state)
{
    struct talker talkers[TALKERS];
    unsigned next[TALKERS] = {0};
    salut_sock *other, *s = narrow(&other);

    (void)state;
    assert_works(salut_set_buffer(s, 128));
    for (unsigned i = 0; i < TALKERS; i++) {
        talkers[i] = (struct talker){.s = s, .number = i};
        assert_non_null(salut_go(talk, &talkers[i]));
    }
    for (int i = 0; i < TALKERS * WORDS; i++) {
        size_t size;
        unsigned char *word = salut_recv_message(other, &size);
        if (!word)
            fail_msg("word %d: %s", i, salut_error());
        assert_true(word[0] < TALKERS);
        assert_int_equal(word[1] << 8 | word[2], next[word[0]]);
        next[word[0]]++;
        for (size_t k = 3; k < size; k++)
            assert_int_equal(word[k], word[0]);
    }
    for (unsigned i = 0; i < TALKERS; i++)
        assert_int_equal(talkers[i].failed, 0);
    assert_works(salut_close(s));
    assert_works(salut_close(other));
}

/* While the system takes no more, the rest leaves in the background, and what is sent meanwhile
 * gathers behind it. */
static void sends_go_on_gathering_behind_what_is_leaving(void **state)
{
    enum { SIZE = 1 << 20, PIECE = 1000 };
    salut_sock *other, *s = narrow(&other);
    unsigned char *bytes = new_bytes(SIZE), *got = malloc(SIZE);
    size_t sent = 0;

    (void)state;
    assert_works(salut_set_buffer(s, SIZE));
    while (sent + PIECE <= SIZE) {
        assert_returns(salut_send(s, bytes + sent, PIECE), PIECE);
        sent += PIECE;
        if (sent % (100 * PIECE) == 0)
            assert_works(salut_sleep(0.0001)); /* nobody reads, and nobody has to */
    }
    assert_returns(salut_recv_exactly(other, got, sent), sent);
    assert_memory_equal(got, bytes, sent);
    free(got);
    free(bytes);
    assert_works(salut_close(s));
    assert_works(salut_close(other));
}

/* ---- A peer that doesn't read -------------------------------------------------------------- */

struct sending {
    salut_sock *s;
    const void *data;
    size_t size;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void send_once(void *argument)
{
    struct sending *sending = argument;

    note(&sending->outcome, salut_send(sending->s, sending->data, sending->size));
}

static void flush_once(void *argument)
{
    struct sending *sending = argument;

    note(&sending->outcome, salut_flush(sending->s));
}

static void close_once(void *argument)
{
    struct sending *sending = argument;

    note(&sending->outcome, salut_close(sending->s));
}

/* Starts function on a fiber, which waits when this returns. */
static void start(struct sending *sending, void (*function)(void *))
{
    sending->outcome.done = false;
    sending->fiber = salut_go(function, sending);
    assert_non_null(sending->fiber);
    let_fibers_run();
    assert_false(sending->outcome.done);
}

static void join(struct sending *sending)
{
    assert_works(salut_join(sending->fiber));
}

enum { MUCH = 1 << 20 };

/* A narrow pair whose first end has gathered MUCH, all but `left` bytes of its room. */
static salut_sock *brimful(salut_sock **other, const unsigned char *bytes, size_t left)
{
    salut_sock *s = narrow(other);

    assert_works(salut_set_buffer(s, MUCH));
    assert_returns(salut_send(s, bytes, MUCH - left), MUCH - left);
    return s;
}

static void assert_arrives(salut_sock *s, const unsigned char *bytes, size_t size)
{
    unsigned char *got = malloc(size);

    assert_returns(salut_recv_exactly(s, got, size), size);
    assert_memory_equal(got, bytes, size);
    free(got);
}

static void a_flush_that_times_out_keeps_the_rest(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other, *s = brimful(&other, bytes, 0);

    (void)state;
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_flush(s), ETIMEDOUT, "flush to");
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_flush(s), EAGAIN, "flush to");
    assert_arrives(other, bytes, MUCH);
    assert_works(salut_settimeout(s, -1));
    assert_works(salut_flush(s));
    free(bytes);
    assert_works(salut_close(s));
    assert_works(salut_close(other));
}

static void flush_tells_that_an_earlier_send_broke_the_stream(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other, *s;

    (void)state;
    assert_works(salut_pair(&s, &other));
    assert_works(salut_set_buffer(s, 100));
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_send(s, bytes, MUCH), ETIMEDOUT, "send to");
    assert_fails(salut_flush(s), EPIPE, "earlier send");
    assert_fails(salut_shutdown(s, SHUT_WR), EPIPE, "earlier send");
    free(bytes);
    assert_works(salut_close(s));
    assert_works(salut_close(other));
}

static void a_send_that_times_out_is_not_gathered_and_what_was_stays(void **state)
{
    unsigned char *bytes = new_bytes(MUCH + 1000);
    salut_sock *other, *s = brimful(&other, bytes, 100);

    (void)state;
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_send(s, bytes, 200000), ETIMEDOUT, "send to");
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_send(s, bytes, 200000), EAGAIN, "send to");
    assert_arrives(other, bytes, MUCH - 100);
    assert_works(salut_settimeout(s, -1));
    assert_returns(salut_send(s, bytes + MUCH - 100, 1100), 1100);
    assert_works(salut_flush(s));
    assert_arrives(other, bytes + MUCH - 100, 1100); /* and nothing between */
    free(bytes);
    assert_works(salut_close(s));
    assert_works(salut_close(other));
}

static void a_canceled_flush_keeps_the_rest(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending sending = {.s = brimful(&other, bytes, 0)};

    (void)state;
    start(&sending, flush_once);
    assert_works(salut_cancel(sending.fiber));
    join(&sending);
    assert_outcome(sending.outcome, ECANCELED, "flush to");
    assert_arrives(other, bytes, MUCH);
    free(bytes);
    assert_works(salut_close(sending.s));
    assert_works(salut_close(other));
}

static void a_canceled_send_is_not_gathered_and_what_was_stays(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending sending = {.s = brimful(&other, bytes, 10), .data = "too late", .size = 11};

    (void)state;
    start(&sending, send_once);
    assert_works(salut_cancel(sending.fiber));
    join(&sending);
    assert_outcome(sending.outcome, ECANCELED, "send to");
    assert_arrives(other, bytes, MUCH - 10);
    assert_sent(sending.s, "in time");
    assert_works(salut_close(sending.s));
    assert_arrives(other, (const unsigned char *)"in time", 7);
    assert_returns(salut_recv(other, bytes, 1), 0);
    free(bytes);
    assert_works(salut_close(other));
}

static void close_waits_until_the_system_has_all(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending sending = {.s = brimful(&other, bytes, 0)};

    (void)state;
    start(&sending, close_once);
    assert_arrives(other, bytes, MUCH);
    join(&sending);
    assert_returns(sending.outcome.result, 0);
    assert_returns(salut_recv(other, bytes, 1), 0);
    free(bytes);
    assert_works(salut_close(other));
}

static void close_that_may_not_wait_says_what_could_not_be_sent(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other, *s = brimful(&other, bytes, 0);

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_close(s), EAGAIN, "close");
    assert_fails(salut_send(s, "x", 1), EBADF, "closed"); /* it is, all the same */
    free(bytes);
    assert_works(salut_close(other));
}

static void a_canceled_fiber_closes_at_once(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending sending = {.s = brimful(&other, bytes, 0)};
    char byte;

    (void)state;
    start(&sending, close_once);
    assert_works(salut_cancel(sending.fiber));
    join(&sending);
    assert_outcome(sending.outcome, ECANCELED, "close");
    while (salut_recv(other, &byte, 1) == 1)
        ;
    assert_false(salut_failed()); /* its end came */
    free(bytes);
    assert_works(salut_close(other));
}

static unsigned long resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

struct broadcast {
    salut_sock *s;
    unsigned long sent;
    int number; /* errno of the end */
};

static void send_for_ever(void *argument)
{
    static const char news[1000];
    struct broadcast *b = argument;

    while (salut_send(b->s, news, sizeof news) > 0)
        b->sent++;
    b->number = errno;
    salut_close(b->s);
}

/* A thousand peers that don't read: each costs its buffer of 4 KiB, a record of less than 1 KiB,
 * and the pages of its fiber's stack that were touched, three at most; and nobody waits for them
 * but the fibers that send to them. */
static void a_thousand_peers_that_do_not_read_cost_their_buffers_and_delay_nobody(void **state)
{
    enum { ROOM = 4096, HEAP_EACH = ROOM + 1024, RESIDENT_EACH = 20 * 1024 };
    int count = sized(1000, 100, "peers");
    struct broadcast *slow = calloc((size_t)count, sizeof *slow);
    salut_sock **others = calloc((size_t)count, sizeof(salut_sock *));
    salut_sock *a, *b;
    size_t heap, heap_before;
    unsigned long resident, resident_before;
    salut_fiber *echo;

    (void)state;
    assert_non_null(slow);
    assert_non_null(others);
    connected(&a, &b);
    echo = salut_go(answer, b);
    for (int i = 0; i < count; i++)
        slow[i].s = narrow(&others[i]);
    heap_before = mallinfo2().uordblks;
    resident_before = resident_bytes();
    for (int i = 0; i < count; i++) {
        assert_works(salut_set_buffer(slow[i].s, ROOM));
        assert_non_null(salut_go(send_for_ever, &slow[i]));
    }
    for (int i = 0; i < 100; i++) {
        assert_sent(a, "served");
        assert_returns(salut_recv_exactly(a, (char[6]){0}, 6), 6);
    }
    let_fibers_run();
    heap = mallinfo2().uordblks;
    resident = resident_bytes();
    if (!watcher()) {
        assert_true(heap - heap_before <= (size_t)count * HEAP_EACH);
        assert_true(resident <= resident_before + (unsigned long)count * RESIDENT_EACH);
    }
    for (int i = 0; i < count; i++) {
        assert_true(slow[i].sent > ROOM / 1000);
        assert_true(slow[i].sent < 1000); /* it waits */
        assert_works(salut_close(others[i]));
    }
    let_fibers_run();
    for (int i = 0; i < count; i++)
        assert_int_equal(slow[i].number, EPIPE);
    assert_works(salut_close(a));
    assert_works(salut_join(echo));
    free(slow);
    free(others);
}

/* ---- A peer that is gone ------------------------------------------------------------------- */

/* One that gathers, whose peer is gone for good. */
static salut_sock *forsaken(void)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);

    plain_reset(peer);
    wait_for(salut_fd(s), POLLHUP);
    assert_sent(s, "is anybody there?");
    return s;
}

static void assert_broken(int number)
{
    assert_true(number == EPIPE || number == ECONNRESET);
}

static void flush_tells_that_the_peer_is_gone(void **state)
{
    salut_sock *s = forsaken();

    (void)state;
    assert_int_equal(salut_flush(s), -1);
    assert_broken(errno);
    assert_says("flush to 127.0.0.1");
    assert_int_equal(salut_flush(s), -1); /* each time */
    assert_broken(errno);
    assert_fails(salut_send(s, "hello?", 6), EPIPE, "earlier send");
    assert_works(salut_close(s)); /* it has been said */
}

static void the_next_send_tells_that_the_peer_is_gone(void **state)
{
    salut_sock *s = forsaken();

    (void)state;
    assert_works(salut_sleep(0.001)); /* it leaves, and can't */
    assert_false(salut_failed());
    assert_fails(salut_send(s, "hello?", 6), EPIPE, "earlier send");
    assert_works(salut_close(s));
}

static void close_tells_that_the_peer_is_gone(void **state)
{
    salut_sock *s = forsaken();

    (void)state;
    assert_int_equal(salut_close(s), -1);
    assert_broken(errno);
    assert_says("close 127.0.0.1");
    s = forsaken();
    assert_works(salut_sleep(0.001));
    assert_int_equal(salut_close(s), -1); /* also what went wrong while nobody looked */
    assert_broken(errno);
    assert_says("close 127.0.0.1");
}

static void a_big_send_behind_what_could_not_leave_tells_too(void **state)
{
    salut_sock *s = forsaken();
    unsigned char *bytes = new_bytes(MUCH);

    (void)state;
    assert_fails(salut_send(s, bytes, MUCH), EPIPE, "earlier send");
    free(bytes);
    assert_works(salut_close(s));
}

static void senders_that_wait_hear_that_the_peer_is_gone(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending first = {.s = brimful(&other, bytes, 0), .data = "one", .size = 3};
    struct sending second = {.s = first.s, .data = "two", .size = 3};

    (void)state;
    start(&first, send_once);
    start(&second, send_once);
    assert_works(salut_close(other));
    join(&first);
    join(&second);
    assert_outcome(first.outcome, EPIPE, "send to");
    assert_outcome(second.outcome, EPIPE, "earlier send");
    free(bytes);
    assert_works(salut_close(first.s));
}

static void senders_that_wait_hear_of_a_close(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending first = {.s = brimful(&other, bytes, 0), .data = "one", .size = 3};
    struct sending second = {.s = first.s, .data = "two", .size = 3};

    (void)state;
    start(&first, send_once);
    start(&second, send_once);
    assert_works(salut_settimeout(first.s, 0));
    assert_fails(salut_close(first.s), EAGAIN, "close");
    join(&first);
    join(&second);
    assert_outcome(first.outcome, ECANCELED, "another fiber closed the socket");
    assert_outcome(second.outcome, ECANCELED, "another fiber closed the socket");
    free(bytes);
    assert_works(salut_close(other));
}

/* ---- The buffer ---------------------------------------------------------------------------- */

static void a_new_buffer_sends_what_is_in_the_old_one(void **state)
{
    int peer;
    salut_sock *s = gathering(1000, &peer);

    (void)state;
    assert_sent(s, "much room");
    assert_works(salut_set_buffer(s, 4));
    assert_has_come(peer, "much room");
    assert_sent(s, "less");
    assert_nothing_has_come(peer);
    assert_sent(s, "room");
    assert_has_come(peer, "less");
    assert_works(salut_set_buffer(s, 0));
    assert_has_come(peer, "room");
    assert_sent(s, "none");
    assert_has_come(peer, "none");
    assert_works(salut_flush(s));
    assert_works(salut_close(s));
    close(peer);
}

static void a_buffer_can_be_set_before_there_is_a_peer(void **state)
{
    int port, peer, listener = plain_listener(&port);
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    assert_works(salut_set_buffer(s, 100));
    assert_fails(salut_send(s, "x", 1), ENOTCONN, "connect first");
    assert_works(salut_flush(s));
    assert_works(salut_connect(s, "127.0.0.1", port));
    peer = accept(listener, NULL, NULL);
    assert_sent(s, "salut");
    assert_nothing_has_come(peer);
    assert_works(salut_close(s));
    assert_comes(peer, "salut");
    close(peer);
    close(listener);
}

static void buffers_that_can_not_be_are_refused(void **state)
{
    int peer;
    salut_sock *s = gathering(100, &peer);
    salut_addr address;
    salut_sock *datagrams = datagrams_at("127.0.0.1", &address);

    (void)state;
    assert_sent(s, "kept");
    assert_fails(salut_set_buffer(s, 16 * 1024 * 1024 + 1), EINVAL, "16777217");
    assert_fails(salut_set_buffer(s, SIZE_MAX), EINVAL, "16777216 is the most");
    assert_nothing_has_come(peer);
    assert_works(salut_set_buffer(s, 16 * 1024 * 1024));
    assert_has_come(peer, "kept");
    assert_fails(salut_set_buffer(datagrams, 100), EOPNOTSUPP, "datagrams");
    assert_works(salut_close(datagrams));
    assert_works(salut_close(s));
    close(peer);
}

static void a_buffer_whose_bytes_can_not_leave_yet_stays(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other, *s = brimful(&other, bytes, 0);

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_set_buffer(s, 0), EAGAIN, "set_buffer");
    assert_arrives(other, bytes, MUCH);
    assert_works(salut_set_buffer(s, 0));
    free(bytes);
    assert_works(salut_close(s));
    assert_works(salut_close(other));
}

static void a_buffer_that_another_fiber_uses_is_not_taken_from_it(void **state)
{
    unsigned char *bytes = new_bytes(MUCH);
    salut_sock *other;
    struct sending first = {.s = brimful(&other, bytes, 0), .data = bytes, .size = MUCH};
    struct sending second = {.s = first.s, .data = bytes, .size = MUCH};
    unsigned char *got = malloc(3 * (size_t)MUCH);

    (void)state;
    start(&first, send_once);
    start(&second, send_once);
    assert_works(salut_settimeout(first.s, 0));
    assert_fails(salut_set_buffer(first.s, 100), EAGAIN, "set_buffer");
    assert_returns(salut_recv_exactly(other, got, 3 * (size_t)MUCH), 3 * (size_t)MUCH);
    join(&first);
    join(&second);
    assert_returns(first.outcome.result, MUCH);
    assert_returns(second.outcome.result, MUCH);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(got + i * MUCH, bytes, MUCH);
    free(got);
    free(bytes);
    assert_works(salut_close(first.s));
    assert_works(salut_close(other));
}

/* Each is taken from among those that wait to leave: the first, the middle one, the last. */
static void several_that_gather_leave_in_any_order(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}};
    static const char *const texts[] = {"one", "two", "three"};

    (void)state;
    for (int n = 0; n < 3; n++) {
        salut_sock *sockets[3];
        int peers[3];
        for (int i = 0; i < 3; i++)
            sockets[i] = gathering(100, &peers[i]);
        for (int i = 0; i < 3; i++)
            assert_sent(sockets[i], texts[i]);
        for (int i = 0; i < 3; i++) {
            int which = orders[n][i];
            assert_nothing_has_come(peers[which]);
            assert_works(salut_flush(sockets[which]));
            assert_has_come(peers[which], texts[which]);
        }
        for (int i = 0; i < 3; i++) {
            assert_works(salut_close(sockets[i]));
            close(peers[i]);
        }
    }
}

int main(void)
{
    struct CMUnitTest gathered[] = {
        cmocka_unit_test(nothing_leaves_while_the_fiber_goes_on),
        cmocka_unit_test(it_leaves_at_flush_as_one),
        cmocka_unit_test(several_that_gather_leave_in_any_order),
        cmocka_unit_test(it_leaves_when_the_fiber_waits),
        cmocka_unit_test(question_and_answer_need_no_flush),
        cmocka_unit_test(it_leaves_when_the_buffer_is_full),
        cmocka_unit_test(it_leaves_at_close),
        cmocka_unit_test(it_leaves_at_shutdown),
        cmocka_unit_test(it_stays_at_the_shutdown_of_the_other_direction),
        cmocka_unit_test(each_socket_of_a_thread_sends_its_own),
        cmocka_unit_test(what_is_too_big_to_gather_goes_behind_what_is_gathered),
        cmocka_unit_test(many_fibers_gather_on_one_socket_a_whole_call_each),
        cmocka_unit_test(sends_go_on_gathering_behind_what_is_leaving),
        cmocka_unit_test(a_flush_that_times_out_keeps_the_rest),
        cmocka_unit_test(flush_tells_that_an_earlier_send_broke_the_stream),
        cmocka_unit_test(a_send_that_times_out_is_not_gathered_and_what_was_stays),
        cmocka_unit_test(a_canceled_flush_keeps_the_rest),
        cmocka_unit_test(a_canceled_send_is_not_gathered_and_what_was_stays),
        cmocka_unit_test(close_waits_until_the_system_has_all),
        cmocka_unit_test(close_that_may_not_wait_says_what_could_not_be_sent),
        cmocka_unit_test(a_canceled_fiber_closes_at_once),
        cmocka_unit_test(a_thousand_peers_that_do_not_read_cost_their_buffers_and_delay_nobody),
        cmocka_unit_test(flush_tells_that_the_peer_is_gone),
        cmocka_unit_test(the_next_send_tells_that_the_peer_is_gone),
        cmocka_unit_test(close_tells_that_the_peer_is_gone),
        cmocka_unit_test(a_big_send_behind_what_could_not_leave_tells_too),
        cmocka_unit_test(senders_that_wait_hear_that_the_peer_is_gone),
        cmocka_unit_test(senders_that_wait_hear_of_a_close),
        cmocka_unit_test(a_new_buffer_sends_what_is_in_the_old_one),
        cmocka_unit_test(a_buffer_can_be_set_before_there_is_a_peer),
        cmocka_unit_test(buffers_that_can_not_be_are_refused),
        cmocka_unit_test(a_buffer_whose_bytes_can_not_leave_yet_stays),
        cmocka_unit_test(a_buffer_that_another_fiber_uses_is_not_taken_from_it),
    };
    struct rlimit descriptors;

    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    return RUN_SOCKET_TESTS(gathered);
}
