/* test_stream.c: send and recv on a stream: what they take, what they give, whose turn it is. */
#include "support/sockets.h"

#include <limits.h>
#include <sys/mman.h>

struct talker {
    salut_sock *s;
    char *bytes;
    size_t size;
    int rounds;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void receive_once(void *argument)
{
    struct talker *t = argument;

    note(&t->outcome, salut_recv(t->s, t->bytes, t->size));
}

static void send_once(void *argument)
{
    struct talker *t = argument;

    note(&t->outcome, salut_send(t->s, t->bytes, t->size));
}

/* Starts function on a fiber, which waits when this returns. */
static void start(struct talker *t, void (*function)(void *))
{
    t->fiber = salut_go(function, t);
    assert_non_null(t->fiber);
    let_fibers_run();
    assert_false(t->outcome.done);
}

static void join(struct talker *t)
{
    assert_works(salut_join(t->fiber));
}

/* Fills what the kernel holds between the two ends of a Unix pair: how many bytes that took. */
static size_t fill_pipe(salut_sock *s)
{
    static char nothing[64 * 1024];
    size_t filled = 0;
    ssize_t size;

    while ((size = send(salut_fd(s), nothing, sizeof nothing, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        filled += (size_t)size;
    assert_int_equal(errno, EAGAIN);
    return filled;
}

static void plain_read_all(int descriptor, size_t size)
{
    static char sink[64 * 1024];

    while (size) {
        ssize_t got = read(descriptor, sink, size < sizeof sink ? size : sizeof sink);
        assert_true(got > 0);
        size -= (size_t)got;
    }
}

/* ---- What recv gives ----------------------------------------------------------------------- */

static void recv_returns_what_is_there(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[64];

    (void)state;
    assert_int_equal(write(peer, "salut", 5), 5);
    assert_returns(salut_recv(s, text, sizeof text), 5);
    assert_memory_equal(text, "salut", 5);
    assert_int_equal(write(peer, "au revoir", 9), 9);
    assert_returns(salut_recv(s, text, 2), 2);
    assert_memory_equal(text, "au", 2);
    assert_returns(salut_recv(s, text, sizeof text), 7);
    assert_memory_equal(text, " revoir", 7);
    assert_works(salut_close(s));
    close(peer);
}

static void recv_waits_if_nothing_is_there(void **state)
{
    int peer;
    struct talker t = {.s = connected_to_plain(&peer), .bytes = (char[4]){0}, .size = 4};

    (void)state;
    for (int i = 0; i < 3; i++) {
        t.outcome.done = false;
        start(&t, receive_once);
        assert_int_equal(write(peer, "ho", 2), 2);
        join(&t);
        assert_returns(t.outcome.result, 2);
        assert_memory_equal(t.bytes, "ho", 2);
    }
    assert_works(salut_close(t.s));
    close(peer);
}

static void recv_returns_zero_when_the_peer_is_done_and_each_time_after(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[8];

    (void)state;
    assert_int_equal(write(peer, "fin", 3), 3);
    close(peer);
    assert_returns(salut_recv(s, text, sizeof text), 3);
    for (int i = 0; i < 3; i++)
        assert_returns(salut_recv(s, text, sizeof text), 0);
    assert_false(salut_failed());
    assert_works(salut_close(s));
}

static void recv_that_waits_hears_of_the_end(void **state)
{
    int peer;
    struct talker t = {.s = connected_to_plain(&peer), .bytes = (char[4]){0}, .size = 4};

    (void)state;
    start(&t, receive_once);
    close(peer);
    join(&t);
    assert_returns(t.outcome.result, 0);
    assert_works(salut_close(t.s));
}

static void a_short_receive_hides_nothing_that_comes_after_it(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[64];

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_recv(s, text, sizeof text), EAGAIN, "127.0.0.1");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(write(peer, "salut", 5), 5);
        wait_for(salut_fd(s), POLLIN);
        assert_returns(salut_recv(s, text, sizeof text), 5);
        assert_fails(salut_recv(s, text, sizeof text), EAGAIN, "127.0.0.1");
    }
    assert_int_equal(write(peer, "fin", 3), 3);
    close(peer);
    wait_for(salut_fd(s), POLLRDHUP);
    assert_returns(salut_recv(s, text, sizeof text), 3);
    assert_returns(salut_recv(s, text, sizeof text), 0);
    assert_works(salut_close(s));
}

static void urgent_data_stops_no_receive(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[64];
    size_t size = 0;

    (void)state;
    assert_int_equal(send(peer, "ab", 2, 0), 2);
    assert_int_equal(send(peer, "!", 1, MSG_OOB), 1); /* not part of the stream */
    assert_int_equal(send(peer, "cd", 2, 0), 2);
    while (size < 4) {
        ssize_t got = salut_recv(s, text + size, sizeof text - size);
        assert_true(got > 0);
        size += (size_t)got;
    }
    assert_memory_equal(text, "abcd", 4);
    close(peer);
    assert_returns(salut_recv(s, text, sizeof text), 0);
    assert_works(salut_close(s));
}

/* ---- What can't be ------------------------------------------------------------------------- */

static void sizes_that_can_not_be_are_refused(void **state)
{
    salut_sock *a, *b;
    char letter;

    (void)state;
    connected(&a, &b);
    assert_fails(salut_recv(a, &letter, 0), EINVAL, "size is 0");
    assert_fails(salut_recv(a, &letter, (size_t)SSIZE_MAX + 1), EINVAL, "9223372036854775808");
    assert_fails(salut_send(a, &letter, (size_t)SSIZE_MAX + 1), EINVAL, "9223372036854775808");
    assert_fails(salut_send(a, &letter, SIZE_MAX), EINVAL, "18446744073709551615");
    assert_returns(salut_send(a, "x", 1), 1); /* none the worse for it */
    assert_returns(salut_recv(b, &letter, 1), 1);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void send_of_nothing_sends_nothing(void **state)
{
    salut_sock *a, *b;

    (void)state;
    connected(&a, &b);
    assert_returns(salut_send(a, "", 0), 0);
    assert_returns(salut_send(a, NULL, 0), 0);
    assert_works(salut_settimeout(b, 0));
    assert_fails(salut_recv(b, (char[1]){0}, 1), EAGAIN, "127.0.0.1");
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void data_at_null_is_refused(void **state)
{
    salut_sock *a, *b;

    (void)state;
    connected(&a, &b);
    assert_fails(salut_send(a, NULL, 1), EINVAL, "the data is NULL");
    assert_returns(salut_send(a, "x", 1), 1);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void before_connect_there_is_nobody_to_talk_to(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP), *listener = listening("127.0.0.1");
    char letter;

    (void)state;
    assert_fails(salut_recv(s, &letter, 1), ENOTCONN, "isn't connected");
    assert_fails(salut_send(s, "x", 1), ENOTCONN, "isn't connected");
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_fails(salut_recv(s, &letter, 1), ENOTCONN, "isn't connected");
    assert_fails(salut_send(s, "x", 1), ENOTCONN, "isn't connected");
    assert_fails(salut_recv(listener, &letter, 1), ENOTCONN, "listener");
    assert_fails(salut_send(listener, "x", 1), ENOTCONN, "listener");
    assert_works(salut_close(s));
    assert_works(salut_close(listener));
}

static void a_buffer_outside_the_program_s_memory_is_told_and_costs_nothing(void **state)
{
    salut_sock *a, *b;
    char letter = 0;
    char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    needs_no("valgrind", "it complains of just what is tested here");
    assert_true(nowhere != MAP_FAILED);
    connected(&a, &b);
    assert_returns(salut_send(a, "x", 1), 1);
    assert_fails(salut_recv(b, nowhere, 1), EFAULT, "127.0.0.1");
    assert_returns(salut_recv(b, &letter, 1), 1);
    assert_int_equal(letter, 'x');
    assert_fails(salut_send(a, nowhere, 1), EFAULT, "127.0.0.1");
    assert_returns(salut_send(a, "y", 1), 1);
    assert_returns(salut_recv(b, &letter, 1), 1);
    assert_int_equal(letter, 'y');
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    munmap(nowhere, 4096);
}

/* ---- Time ---------------------------------------------------------------------------------- */

static void recv_gives_up_when_its_time_is_over_and_the_connection_stays_whole(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    int64_t begin = clock_now();
    char letter;

    (void)state;
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_recv(s, &letter, 1), ETIMEDOUT, at_loopback(plain_port(peer)));
    assert_true(clock_now() - begin >= NANOSECONDS / 100);
    assert_works(salut_settimeout(s, -1));
    assert_int_equal(write(peer, "x", 1), 1);
    assert_returns(salut_recv(s, &letter, 1), 1);
    assert_returns(salut_send(s, "y", 1), 1);
    assert_works(salut_close(s));
    close(peer);
}

static void recv_with_timeout_0_sees_what_has_come_though_nobody_ever_waits(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char letter;
    int64_t begin = clock_now();
    ssize_t got = -1;

    (void)state;
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_recv(s, &letter, 1), EAGAIN, at_loopback(plain_port(peer)));
    assert_fails(salut_recv(s, &letter, 1), EAGAIN, at_loopback(plain_port(peer)));
    assert_int_equal(write(peer, "x", 1), 1);
    while (got < 0 && clock_now() - begin < 60 * (int64_t)NANOSECONDS)
        got = salut_recv(s, &letter, 1);
    assert_returns(got, 1);
    assert_works(salut_close(s));
    close(peer);
}

static void waste_time_with_timeout_0(void *argument)
{
    struct talker *t = argument;

    while (!t->outcome.done && salut_recv(t->s, t->bytes, t->size) < 0 && errno == EAGAIN)
        t->rounds++;
}

static void a_fiber_that_asks_again_and_again_lets_the_others_run(void **state)
{
    salut_sock *a, *b;
    struct talker t = {.bytes = (char[1]){0}, .size = 1};

    (void)state;
    connected(&a, &b);
    t.s = a;
    assert_works(salut_settimeout(a, 0));
    t.fiber = salut_go(waste_time_with_timeout_0, &t);
    for (int i = 0; i < 10; i++) /* comes back each time, or the test would never end */
        salut_yield();
    assert_true(t.rounds > 0);
    assert_returns(salut_send(b, "x", 1), 1);
    join(&t);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void ask_for_a_turn_with_timeout_0(void *argument)
{
    struct talker *t = argument;

    while (!t->outcome.done && salut_send(t->s, "x", 1) < 0 && errno == EAGAIN)
        t->rounds++;
}

static void a_fiber_that_asks_for_its_turn_again_and_again_lets_the_others_run(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size = 64 * 1024 * 1024;
    struct talker holder = {.s = s, .bytes = calloc(1, size), .size = size}, t = {.s = s};

    (void)state;
    start(&holder, send_once);
    assert_works(salut_settimeout(s, 0));
    t.fiber = salut_go(ask_for_a_turn_with_timeout_0, &t);
    for (int i = 0; i < 10; i++) /* comes back each time, or the test would never end */
        salut_yield();
    assert_true(t.rounds > 0);
    t.outcome.done = true;
    join(&t);
    assert_works(salut_close(s));
    join(&holder);
    close(peer);
    free(holder.bytes);
}

static void send_with_timeout_0_before_the_first_byte_leaves_the_connection_whole(void **state)
{
    int ends[2];
    salut_sock *s;
    size_t filled;
    char text[6];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    s = salut_from_fd(ends[0]);
    assert_non_null(s);
    filled = fill_pipe(s);
    assert_works(salut_settimeout(s, 0));
    for (int i = 0; i < 3; i++)
        assert_fails(salut_send(s, "salut", 5), EAGAIN, "the timeout is 0");
    plain_read_all(ends[1], filled);
    assert_works(salut_settimeout(s, -1));
    assert_returns(salut_send(s, "salut", 5), 5);
    assert_int_equal(recv(ends[1], text, sizeof text, 0), 5);
    assert_memory_equal(text, "salut", 5);
    assert_works(salut_close(s));
    close(ends[1]);
}

static void send_that_stopped_in_the_middle_breaks_the_connection_for_good(void **state)
{
    size_t size = 64 * 1024 * 1024;
    char *bytes = calloc(1, size);
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    const char *name = at_loopback(plain_port(peer));
    char letter;

    (void)state;
    assert_works(salut_settimeout(s, 0.02));
    assert_fails(salut_send(s, bytes, size), ETIMEDOUT, name);
    assert_works(salut_settimeout(s, -1));
    for (int i = 0; i < 2; i++) {
        assert_fails(salut_send(s, "x", 1), EPIPE, name);
        assert_says("broke in an earlier send");
    }
    assert_int_equal(write(peer, "x", 1), 1); /* the other direction is not concerned */
    assert_returns(salut_recv(s, &letter, 1), 1);
    assert_works(salut_close(s));
    close(peer);
    free(bytes);
}

static void dribble(void *argument)
{
    struct talker *t = argument;

    while (!t->outcome.done && salut_send(t->s, "x", 1) == 1 && salut_sleep(0.005) == 0)
        t->rounds++;
}

static void a_timeout_covers_the_whole_call_however_many_pieces_come(void **state)
{
    salut_sock *a, *b;
    struct talker t = {0};
    char *bytes = malloc(2000);

    (void)state;
    connected(&a, &b);
    t.s = b;
    t.fiber = salut_go(dribble, &t);
    assert_works(salut_settimeout(a, 0.05)); /* room for ten pieces, not for two thousand */
    assert_fails(salut_recv_exactly(a, bytes, 2000), ETIMEDOUT, "no answer in time");
    t.outcome.done = true;
    join(&t);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    free(bytes);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static unsigned char letter_at(size_t offset)
{
    return (unsigned char)(offset * 2654435761u >> 7);
}

static void send_counted(void *argument)
{
    struct talker *t = argument;

    for (size_t i = 0; i < t->size; i++)
        t->bytes[i] = (char)letter_at(i);
    note(&t->outcome, salut_send(t->s, t->bytes, t->size));
}

/* Receives t->size bytes, at most t->rounds at once: the result is how many were the right ones. */
static void receive_counted(void *argument)
{
    struct talker *t = argument;
    size_t seen = 0, right = 0;
    ssize_t got;

    while (seen < t->size && (got = salut_recv(t->s, t->bytes, (size_t)t->rounds)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            right += (unsigned char)t->bytes[i] == letter_at(seen++);
        salut_yield();
    }
    note(&t->outcome, (ssize_t)right);
}

static void send_sends_all_to_a_slow_reader(void **state)
{
    salut_sock *a, *b;
    size_t size = (size_t)sized(16, 2, "MiB to send") * 1024 * 1024;
    struct talker sender = {.size = size, .bytes = malloc(size)};
    struct talker reader = {.size = size, .bytes = malloc(10007), .rounds = 10007};

    (void)state;
    connected(&a, &b);
    sender.s = a;
    reader.s = b;
    sender.fiber = salut_go(send_counted, &sender);
    reader.fiber = salut_go(receive_counted, &reader);
    join(&sender);
    join(&reader);
    assert_returns(sender.outcome.result, size);
    assert_returns(reader.outcome.result, size);
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    free(sender.bytes);
    free(reader.bytes);
}

static void a_socket_sends_and_receives_at_the_same_time(void **state)
{
    enum { ROOM = 4096 };
    salut_sock *ends[2];
    size_t size = (size_t)sized(8, 1, "MiB each way") * 1024 * 1024;
    struct talker senders[2], readers[2];

    (void)state;
    connected(&ends[0], &ends[1]);
    for (int i = 0; i < 2; i++) {
        senders[i] = (struct talker){.s = ends[i], .size = size, .bytes = malloc(size)};
        readers[i] =
            (struct talker){.s = ends[i], .size = size, .bytes = malloc(ROOM), .rounds = ROOM};
        senders[i].fiber = salut_go(send_counted, &senders[i]);
        readers[i].fiber = salut_go(receive_counted, &readers[i]);
    }
    for (int i = 0; i < 2; i++) {
        join(&senders[i]);
        join(&readers[i]);
        assert_returns(senders[i].outcome.result, size);
        assert_returns(readers[i].outcome.result, size);
        free(senders[i].bytes);
        free(readers[i].bytes);
        assert_works(salut_close(ends[i]));
    }
}

/* ---- Turns --------------------------------------------------------------------------------- */

static void two_fibers_can_not_receive_on_one_socket(void **state)
{
    int peer;
    struct talker t = {.s = connected_to_plain(&peer), .bytes = (char[4]){0}, .size = 4};
    char letter;

    (void)state;
    start(&t, receive_once);
    assert_fails(salut_recv(t.s, &letter, 1), EBUSY, at_loopback(plain_port(peer)));
    assert_fails(salut_recv_exactly(t.s, &letter, 1), EBUSY, "another fiber is receiving");
    assert_false(t.outcome.done);
    assert_int_equal(write(peer, "x", 1), 1);
    join(&t);
    assert_returns(t.outcome.result, 1);
    assert_works(salut_close(t.s));
    close(peer);
}

enum { MESSAGE_BYTES = 300 * 1024 }; /* more than the kernel takes at once, and than a slice */

static void send_messages_of_one_letter(void *argument)
{
    struct talker *t = argument;
    char *message = malloc(MESSAGE_BYTES);
    ssize_t sent = 0;

    memset(message, t->bytes[0], MESSAGE_BYTES);
    for (int i = 0; i < t->rounds && sent >= 0; i++)
        sent = salut_send(t->s, message, MESSAGE_BYTES);
    note(&t->outcome, sent);
    free(message);
}

static void senders_take_turns_a_whole_message_each(void **state)
{
    enum { SENDERS = 20 };
    salut_sock *a, *b;
    struct talker senders[SENDERS];
    char letters[SENDERS];
    char *message = malloc(MESSAGE_BYTES);
    int rounds = sized(8, 2, "messages of each sender");
    int seen[SENDERS] = {0};

    (void)state;
    connected(&a, &b);
    for (int i = 0; i < SENDERS; i++) {
        letters[i] = (char)('a' + i);
        senders[i] = (struct talker){.s = a, .bytes = &letters[i], .rounds = rounds};
        senders[i].fiber = salut_go(send_messages_of_one_letter, &senders[i]);
    }
    for (int i = 0; i < SENDERS * rounds; i++) {
        assert_returns(salut_recv_exactly(b, message, MESSAGE_BYTES), MESSAGE_BYTES);
        assert_in_range(message[0], 'a', 'a' + SENDERS - 1);
        for (int j = 1; j < MESSAGE_BYTES; j++) {
            if (message[j] != message[0])
                fail_msg("'%c' in the middle of a message of '%c'", message[j], message[0]);
        }
        seen[message[0] - 'a']++;
    }
    for (int i = 0; i < SENDERS; i++) {
        join(&senders[i]);
        assert_returns(senders[i].outcome.result, MESSAGE_BYTES);
        assert_int_equal(seen[i], rounds);
    }
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    free(message);
}

static void a_sender_that_gives_up_waiting_for_its_turn_has_sent_nothing(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size = 16 * 1024 * 1024;
    struct talker first = {.s = s, .bytes = calloc(1, size), .size = size};
    struct talker canceled = {.s = s, .bytes = (char[]){"no"}, .size = 2};
    char text[8];

    (void)state;
    start(&first, send_once);
    start(&canceled, send_once);
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_send(s, "no", 2), EAGAIN, at_loopback(plain_port(peer)));
    assert_works(salut_settimeout(s, 0.005));
    assert_fails(salut_send(s, "no", 2), ETIMEDOUT, at_loopback(plain_port(peer)));
    assert_works(salut_cancel(canceled.fiber));
    join(&canceled);
    assert_outcome(canceled.outcome, ECANCELED, at_loopback(plain_port(peer)));
    assert_works(salut_settimeout(s, -1));
    for (size_t read_so_far = 0; read_so_far < size; read_so_far += 1024 * 1024) {
        plain_read_all(peer, 1024 * 1024);
        let_fibers_run();
    }
    join(&first);
    assert_returns(first.outcome.result, size);
    assert_returns(salut_send(s, "oui", 3), 3);
    assert_int_equal(recv(peer, text, sizeof text, 0), 3);
    assert_memory_equal(text, "oui", 3);
    assert_works(salut_close(s));
    close(peer);
    free(first.bytes);
}

/* ---- The end of the peer ------------------------------------------------------------------- */

static void recv_after_a_reset_says_so_for_good(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    int port = plain_port(peer);
    char letter;

    (void)state;
    plain_reset(peer);
    for (int i = 0; i < 3; i++)
        assert_fails(salut_recv(s, &letter, 1), ECONNRESET, at_loopback(port));
    assert_fails(salut_send(s, "x", 1), EPIPE, at_loopback(port));
    assert_works(salut_close(s));
}

static void recv_that_waits_hears_of_a_reset(void **state)
{
    int peer;
    struct talker t = {.s = connected_to_plain(&peer), .bytes = (char[4]){0}, .size = 4};

    (void)state;
    start(&t, receive_once);
    plain_reset(peer);
    join(&t);
    assert_outcome(t.outcome, ECONNRESET, "127.0.0.1");
    assert_works(salut_close(t.s));
}

static void a_reset_that_send_hears_of_first_is_no_clean_end_for_recv(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[8];

    (void)state;
    assert_int_equal(write(peer, "abc", 3), 3);
    wait_for(salut_fd(s), POLLIN);
    plain_reset(peer);
    wait_for(salut_fd(s), POLLHUP);
    assert_fails(salut_send(s, "x", 1), ECONNRESET, "127.0.0.1");
    assert_returns(salut_recv(s, text, sizeof text), 3); /* what had come before it is there */
    for (int i = 0; i < 3; i++)
        assert_fails(salut_recv(s, text, sizeof text), ECONNRESET, "127.0.0.1");
    assert_works(salut_close(s));
}

/* As with a machine that has lost its power: the system gives the peer up. */
static void a_peer_given_up_that_send_hears_of_first_is_no_clean_end_for_recv(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size = 64 * 1024 * 1024; /* more than the peer has room for */
    struct talker t = {.s = s, .bytes = calloc(1, size), .size = size};
    unsigned patience = 1; /* milliseconds */
    char letter;

    (void)state;
    assert_int_equal(
        setsockopt(salut_fd(s), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience), 0);
    start(&t, send_once);
    join(&t);
    assert_outcome(t.outcome, ETIMEDOUT, at_loopback(plain_port(peer)));
    for (int i = 0; i < 3; i++)
        assert_fails(salut_recv(s, &letter, 1), ETIMEDOUT, at_loopback(plain_port(peer)));
    assert_works(salut_close(s));
    close(peer);
    free(t.bytes);
}

static void send_to_a_peer_that_closed_is_epipe_and_no_signal(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    int port = plain_port(peer);

    (void)state;
    close(peer);
    assert_returns(salut_send(s, "x", 1), 1); /* the system took it; its peer answers: reset */
    wait_for(salut_fd(s), POLLHUP);
    for (int i = 0; i < 3; i++)
        assert_fails(salut_send(s, "x", 1), EPIPE, at_loopback(port));
    assert_works(salut_close(s));
}

static void send_that_waits_hears_of_the_end(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size = 64 * 1024 * 1024;
    struct talker t = {.s = s, .bytes = calloc(1, size), .size = size};

    (void)state;
    start(&t, send_once);
    plain_reset(peer);
    join(&t);
    assert_true(t.outcome.number == ECONNRESET || t.outcome.number == EPIPE);
    assert_non_null(strstr(t.outcome.sentence, "127.0.0.1"));
    assert_fails(salut_send(s, "x", 1), EPIPE, "127.0.0.1");
    assert_works(salut_close(s));
    free(t.bytes);
}

/* ---- Close and cancel ---------------------------------------------------------------------- */

static void close_ends_another_fiber_s_recv(void **state)
{
    int peer;
    struct talker t = {.s = connected_to_plain(&peer), .bytes = (char[4]){0}, .size = 4};

    (void)state;
    start(&t, receive_once);
    assert_works(salut_close(t.s));
    join(&t);
    assert_outcome(t.outcome, ECANCELED, "closed the socket");
    close(peer);
}

static void close_ends_every_fiber_s_send(void **state)
{
    enum { SENDERS = 5 };
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size = 16 * 1024 * 1024;
    char *bytes = calloc(1, size);
    struct talker senders[SENDERS];

    (void)state;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct talker){.s = s, .bytes = bytes, .size = size};
        start(&senders[i], send_once);
    }
    assert_works(salut_close(s));
    for (int i = 0; i < SENDERS; i++) {
        join(&senders[i]);
        assert_outcome(senders[i].outcome, ECANCELED, "closed the socket");
    }
    close(peer);
    free(bytes);
}

static void cancel_ends_recv_and_the_connection_stays_whole(void **state)
{
    int peer;
    struct talker t = {.s = connected_to_plain(&peer), .bytes = (char[4]){0}, .size = 4};

    (void)state;
    start(&t, receive_once);
    assert_works(salut_cancel(t.fiber));
    join(&t);
    assert_outcome(t.outcome, ECANCELED, at_loopback(plain_port(peer)));
    assert_int_equal(write(peer, "x", 1), 1);
    assert_returns(salut_recv(t.s, t.bytes, t.size), 1);
    assert_returns(salut_send(t.s, "x", 1), 1);
    assert_works(salut_close(t.s));
    close(peer);
}

static void cancel_in_the_middle_of_send_breaks_the_connection(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size = 64 * 1024 * 1024;
    struct talker t = {.s = s, .bytes = calloc(1, size), .size = size};

    (void)state;
    start(&t, send_once);
    assert_works(salut_cancel(t.fiber));
    join(&t);
    assert_outcome(t.outcome, ECANCELED, "127.0.0.1");
    assert_fails(salut_send(s, "x", 1), EPIPE, "earlier send");
    assert_works(salut_close(s));
    close(peer);
    free(t.bytes);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(recv_returns_what_is_there),
        cmocka_unit_test(recv_waits_if_nothing_is_there),
        cmocka_unit_test(recv_returns_zero_when_the_peer_is_done_and_each_time_after),
        cmocka_unit_test(recv_that_waits_hears_of_the_end),
        cmocka_unit_test(a_short_receive_hides_nothing_that_comes_after_it),
        cmocka_unit_test(urgent_data_stops_no_receive),
        cmocka_unit_test(sizes_that_can_not_be_are_refused),
        cmocka_unit_test(send_of_nothing_sends_nothing),
        cmocka_unit_test(data_at_null_is_refused),
        cmocka_unit_test(before_connect_there_is_nobody_to_talk_to),
        cmocka_unit_test(a_buffer_outside_the_program_s_memory_is_told_and_costs_nothing),
        cmocka_unit_test(recv_gives_up_when_its_time_is_over_and_the_connection_stays_whole),
        cmocka_unit_test(recv_with_timeout_0_sees_what_has_come_though_nobody_ever_waits),
        cmocka_unit_test(a_fiber_that_asks_again_and_again_lets_the_others_run),
        cmocka_unit_test(a_fiber_that_asks_for_its_turn_again_and_again_lets_the_others_run),
        cmocka_unit_test(send_with_timeout_0_before_the_first_byte_leaves_the_connection_whole),
        cmocka_unit_test(send_that_stopped_in_the_middle_breaks_the_connection_for_good),
        cmocka_unit_test(a_timeout_covers_the_whole_call_however_many_pieces_come),
        cmocka_unit_test(send_sends_all_to_a_slow_reader),
        cmocka_unit_test(a_socket_sends_and_receives_at_the_same_time),
        cmocka_unit_test(two_fibers_can_not_receive_on_one_socket),
        cmocka_unit_test(senders_take_turns_a_whole_message_each),
        cmocka_unit_test(a_sender_that_gives_up_waiting_for_its_turn_has_sent_nothing),
        cmocka_unit_test(recv_after_a_reset_says_so_for_good),
        cmocka_unit_test(recv_that_waits_hears_of_a_reset),
        cmocka_unit_test(a_reset_that_send_hears_of_first_is_no_clean_end_for_recv),
        cmocka_unit_test(a_peer_given_up_that_send_hears_of_first_is_no_clean_end_for_recv),
        cmocka_unit_test(send_to_a_peer_that_closed_is_epipe_and_no_signal),
        cmocka_unit_test(send_that_waits_hears_of_the_end),
        cmocka_unit_test(close_ends_another_fiber_s_recv),
        cmocka_unit_test(close_ends_every_fiber_s_send),
        cmocka_unit_test(cancel_ends_recv_and_the_connection_stays_whole),
        cmocka_unit_test(cancel_in_the_middle_of_send_breaks_the_connection),
    };

    return RUN_SOCKET_TESTS(tests);
}
