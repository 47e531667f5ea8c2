/* test_line.c: recv_line and send_line. */
#include "support/python.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

enum { LIMIT = 64 * 1024 }; /* unless set */

/* The library's system calls come by here on their way to the kernel. */
static int receives_asked, sends_asked;

ssize_t recv(int descriptor, void *into, size_t size, int flags)
{
    receives_asked++;
    return syscall(SYS_recvfrom, descriptor, into, size, flags, NULL, NULL);
}

ssize_t send(int descriptor, const void *data, size_t size, int flags)
{
    sends_asked++;
    return syscall(SYS_sendto, descriptor, data, size, flags, NULL, 0);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    sends_asked++;
    return syscall(SYS_sendmsg, descriptor, message, flags);
}

static void peer_says_bytes(int peer, const void *bytes, size_t size)
{
    assert_int_equal(write(peer, bytes, size), size);
}

static void peer_says(int peer, const char *text)
{
    peer_says_bytes(peer, text, strlen(text));
}

/* A new text of so many letters, and `end`. */
static char *long_line(size_t letters, const char *end)
{
    char *text = malloc(letters + strlen(end) + 1);

    assert_non_null(text);
    for (size_t i = 0; i < letters; i++)
        text[i] = (char)('a' + i % 26);
    strcpy(text + letters, end);
    return text;
}

static void line_is(const char *line, size_t size, const char *expected, const char *file,
                    int number)
{
    if (!line)
        print_error("no line: %s\n", salut_error());
    if (!line || size != strlen(expected) || memcmp(line, expected, size + 1)) {
        print_error("expected the line \"%.60s\", got \"%.60s\" of %zu bytes\n", expected,
                    line ? line : "", size);
        _fail(file, number);
    }
}

#define assert_line(s, expected)                                                                   \
    do {                                                                                           \
        size_t size_ = 99;                                                                         \
        char *line_ = salut_recv_line(s, &size_);                                                  \
        line_is(line_, size_, expected, __FILE__, __LINE__);                                       \
    } while (0)

#define assert_no_line(s, expected, part)                                                          \
    do {                                                                                           \
        size_t size_ = 99;                                                                         \
        assert_none(salut_recv_line(s, &size_), expected, part);                                   \
        assert_int_equal(size_, 0);                                                                \
    } while (0)

/* The peer is done after a whole line: that is no failure. */
static void assert_clean_end(salut_sock *s)
{
    size_t size = 99;

    salut_clear_error();
    errno = EIO;
    assert_null(salut_recv_line(s, &size));
    assert_int_equal(errno, 0);
    assert_int_equal(size, 0);
    assert_false(salut_failed());
}

static void assert_received(salut_sock *s, const char *expected)
{
    char text[256];
    ssize_t size = salut_recv(s, text, sizeof text);

    assert_returns(size, strlen(expected));
    assert_memory_equal(text, expected, strlen(expected));
}

/* ---- What a line is ------------------------------------------------------------------------ */

static void a_line_comes_without_its_newline(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "salut\n");
    assert_line(s, "salut");
    peer_says(peer, "le serveur !\n");
    assert_string_equal(salut_recv_line(s, NULL), "le serveur !");
    assert_works(salut_close(s));
    close(peer);
}

static void a_carriage_return_before_the_newline_goes_with_it(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "salut\r\n");
    assert_line(s, "salut");
    peer_says(peer, "one goes\r\r\n");
    assert_line(s, "one goes\r");
    peer_says(peer, "no\rend\n");
    assert_line(s, "no\rend");
    assert_works(salut_close(s));
    close(peer);
}

static void an_empty_line_is_a_line(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "\n\r\n\n");
    assert_line(s, "");
    assert_line(s, "");
    assert_line(s, "");
    close(peer);
    assert_clean_end(s);
    assert_works(salut_close(s));
}

static void a_line_can_hold_a_zero_byte(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    size_t size;
    char *line;

    (void)state;
    peer_says_bytes(peer, "a\0b\0\r\nnext\n", 11);
    line = salut_recv_line(s, &size);
    assert_non_null(line);
    assert_int_equal(size, 4);
    assert_memory_equal(line, "a\0b\0", 5); /* and its end */
    assert_line(s, "next");
    assert_works(salut_close(s));
    close(peer);
}

/* ---- How it may come ----------------------------------------------------------------------- */

struct liner {
    salut_sock *s;
    struct outcome outcome;
    char line[256];
    salut_fiber *fiber;
};

static void receive_line(void *argument)
{
    struct liner *l = argument;
    char *line = salut_recv_line(l->s, NULL);

    snprintf(l->line, sizeof l->line, "%s", line ? line : "");
    note(&l->outcome, line ? 0 : -1);
}

/* Starts to receive on a fiber, which waits when this returns. */
static void start(struct liner *l)
{
    l->outcome = (struct outcome){0};
    l->fiber = salut_go(receive_line, l);
    assert_non_null(l->fiber);
    let_fibers_run();
    assert_false(l->outcome.done);
}

static void assert_joined_line(struct liner *l, const char *expected)
{
    assert_works(salut_join(l->fiber));
    assert_returns(l->outcome.result, 0);
    assert_string_equal(l->line, expected);
}

static void a_line_end_split_between_two_packets_is_one_end(void **state)
{
    int peer;
    struct liner l = {.s = connected_to_plain(&peer)};

    (void)state;
    peer_says(peer, "salut\r");
    start(&l);
    peer_says(peer, "\nnext");
    assert_joined_line(&l, "salut");
    start(&l);
    peer_says(peer, "\n");
    assert_joined_line(&l, "next");
    assert_works(salut_close(l.s));
    close(peer);
}

static void a_line_may_come_byte_by_byte(void **state)
{
    static const char text[] = "byte by byte\r\n\r\nand the next\n";
    static const char *const lines[] = {"byte by byte", "", "and the next"};
    int peer, line = 0;
    struct liner l = {.s = connected_to_plain(&peer)};

    (void)state;
    start(&l);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        peer_says_bytes(peer, text + i, 1);
        wait_for(salut_fd(l.s), POLLIN);
        let_fibers_run();
        assert_int_equal(l.outcome.done, text[i] == '\n');
        if (!l.outcome.done)
            continue;
        assert_joined_line(&l, lines[line++]);
        if (line < 3)
            start(&l);
    }
    assert_int_equal(line, 3);
    assert_works(salut_close(l.s));
    close(peer);
}

static void many_lines_in_one_packet_are_received_from_the_system_once(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[4001], line[16];

    (void)state;
    for (int i = 0; i < 800; i++)
        snprintf(text + 5 * i, sizeof text - 5 * (size_t)i, "%04d\n", i);
    peer_says_bytes(peer, text, 4000);
    for (int available = 0; available < 4000;)
        assert_int_equal(ioctl(salut_fd(s), FIONREAD, &available), 0);
    receives_asked = 0;
    for (int i = 0; i < 800; i++) {
        snprintf(line, sizeof line, "%04d", i);
        assert_line(s, line);
    }
    assert_int_equal(receives_asked, 1);
    assert_works(salut_close(s));
    close(peer);
}

/* Writes lines of all lengths to its end, as somebody else's program would. */
enum { LENGTHS = 3000 };

static void *write_lines_of_all_lengths(void *descriptor)
{
    int peer = *(int *)descriptor;
    char *text = malloc(LENGTHS * (LENGTHS + 2));
    size_t used = 0, done = 0;

    for (size_t length = 0; length < LENGTHS && text; length++) {
        memset(text + used, 'a' + (int)(length % 26), length);
        used += length;
        text[used++] = '\n';
    }
    while (done < used) {
        ssize_t size = write(peer, text + done, used - done < 7001 ? used - done : 7001);
        if (size <= 0)
            break;
        done += (size_t)size;
    }
    close(peer);
    free(text);
    return NULL;
}

static void lines_of_all_lengths_arrive_in_order(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    pthread_t writer;

    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_lines_of_all_lengths, &peer), 0);
    for (size_t length = 0; length < LENGTHS; length++) {
        size_t size;
        char *line = salut_recv_line(s, &size);
        assert_non_null(line);
        assert_int_equal(size, length);
        for (size_t i = 0; i < size; i++) {
            if (line[i] != (char)('a' + length % 26))
                fail_msg("the line of %zu bytes is wrong at %zu", length, i);
        }
        assert_int_equal(line[size], '\0');
    }
    assert_clean_end(s);
    pthread_join(writer, NULL);
    assert_works(salut_close(s));
}

static void a_line_stays_good_until_the_next_receive(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char *line, *rest = long_line(40000, "\n");

    (void)state;
    peer_says(peer, "here to stay\nnext\n");
    line = salut_recv_line(s, NULL);
    assert_non_null(line);
    peer_says_bytes(peer, rest, strlen(rest));
    assert_returns(salut_send_line(s, "meanwhile"), 9);
    assert_works(salut_set_limit(s, 50000));
    assert_works(salut_yield());
    assert_string_equal(line, "here to stay");
    assert_line(s, "next");
    rest[40000] = '\0';
    assert_line(s, rest);
    free(rest);
    assert_works(salut_close(s));
    close(peer);
}

/* ---- Its end ------------------------------------------------------------------------------- */

static void the_end_after_a_whole_line_is_no_failure(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "last\n");
    close(peer);
    assert_line(s, "last");
    assert_clean_end(s);
    assert_clean_end(s); /* each time after too */
    assert_returns(salut_recv(s, (char[1]){0}, 1), 0);
    assert_works(salut_close(s));
}

static void the_end_in_the_middle_of_a_line_is_told_and_loses_nothing(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "whole\nhal");
    close(peer);
    assert_line(s, "whole");
    assert_no_line(s, EPROTO, "in the middle of a line, after 3 bytes");
    assert_says("127.0.0.1");
    assert_no_line(s, EPROTO, "after 3 bytes");
    assert_received(s, "hal");
    assert_returns(salut_recv(s, (char[1]){0}, 1), 0);
    assert_clean_end(s);
    assert_works(salut_close(s));
}

static void a_carriage_return_alone_is_no_whole_line(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "\r");
    close(peer);
    assert_no_line(s, EPROTO, "after 1 bytes");
    assert_works(salut_close(s));
}

static void what_came_before_a_reset_is_not_lost(void **state)
{
    int peer;
    struct liner l = {.s = connected_to_plain(&peer)};

    (void)state;
    peer_says(peer, "begun");
    start(&l);
    plain_reset(peer);
    assert_works(salut_join(l.fiber));
    assert_outcome(l.outcome, ECONNRESET, "127.0.0.1");
    assert_no_line(l.s, ECONNRESET, "127.0.0.1");
    assert_received(l.s, "begun");
    assert_fails(salut_recv(l.s, (char[1]){0}, 1), ECONNRESET, "127.0.0.1");
    assert_works(salut_close(l.s));
}

/* ---- How long it may be -------------------------------------------------------------------- */

/* Writes to its end and closes it, however long that takes. */
struct writing {
    int peer;
    char *text;
    pthread_t thread;
};

static void *write_all(void *argument)
{
    struct writing *w = argument;
    size_t size = strlen(w->text), done = 0;

    while (done < size) {
        ssize_t written = write(w->peer, w->text + done, size - done);
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    close(w->peer);
    return NULL;
}

static void start_writing(struct writing *w, char *text)
{
    w->text = text;
    assert_int_equal(pthread_create(&w->thread, NULL, write_all, w), 0);
}

static void end_writing(struct writing *w)
{
    pthread_join(w->thread, NULL);
    free(w->text);
}

static void a_line_of_exactly_the_limit_is_received_whatever_its_end(void **state)
{
    static const char *const ends[] = {"\n", "\r\n"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct writing w;
        salut_sock *s = connected_to_plain(&w.peer);
        char *expected = long_line(LIMIT, "");

        start_writing(&w, long_line(LIMIT, ends[i]));
        assert_line(s, expected);
        assert_clean_end(s);
        end_writing(&w);
        free(expected);
        assert_works(salut_close(s));
    }
}

static void a_line_of_one_byte_more_is_refused_and_nothing_of_it_is_lost(void **state)
{
    static const char *const ends[] = {"\n", "\r\n"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct writing w;
        salut_sock *s = connected_to_plain(&w.peer);
        char *expected = long_line(LIMIT + 1, ends[i]), *got = malloc(LIMIT + 16);

        start_writing(&w, long_line(LIMIT + 1, ends[i]));
        assert_no_line(s, EMSGSIZE, "a line is longer than 65536 bytes (salut_set_limit)");
        assert_no_line(s, EMSGSIZE, "127.0.0.1");
        assert_returns(salut_recv_exactly(s, got, strlen(expected)), strlen(expected));
        assert_memory_equal(got, expected, strlen(expected));
        assert_returns(salut_recv(s, got, 1), 0);
        end_writing(&w);
        free(got);
        free(expected);
        assert_works(salut_close(s));
    }
}

static void a_line_over_the_limit_is_refused_before_its_end_has_come(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    assert_works(salut_set_limit(s, 5));
    peer_says(peer, "123456");
    assert_no_line(s, EMSGSIZE, "longer than 5 bytes");
    peer_says(peer, "\n12345\r");
    assert_received(s, "123456");
    assert_line(s, "");
    assert_works(salut_settimeout(s, 0));
    assert_no_line(s, EAGAIN, "timeout is 0"); /* a newline may follow */
    peer_says(peer, "\n");
    wait_for(salut_fd(s), POLLIN);
    assert_line(s, "12345");
    peer_says(peer, "12345\r6");
    wait_for(salut_fd(s), POLLIN);
    assert_no_line(s, EMSGSIZE, "longer than 5 bytes");
    assert_works(salut_close(s));
    close(peer);
}

static void a_refused_line_is_received_once_the_limit_allows_it(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    assert_works(salut_set_limit(s, 3));
    peer_says(peer, "1234\nnext\n");
    assert_no_line(s, EMSGSIZE, "longer than 3");
    assert_works(salut_set_limit(s, 4));
    assert_line(s, "1234");
    assert_works(salut_set_limit(s, 0)); /* the default again */
    assert_line(s, "next");
    assert_works(salut_close(s));
    close(peer);
}

static void a_limit_can_be_raised_to_a_gigabyte_and_no_further(void **state)
{
    enum { LONG = 3 * 1024 * 1024 };
    struct writing w;
    salut_sock *s = connected_to_plain(&w.peer);
    char *expected = long_line(LONG, "");

    (void)state;
    assert_fails(salut_set_limit(s, ((size_t)1 << 30) + 1), EINVAL, "1073741825");
    assert_works(salut_set_limit(s, (size_t)1 << 30));
    start_writing(&w, long_line(LONG, "\n"));
    assert_line(s, expected);
    free(expected);
    end_writing(&w);
    assert_works(salut_close(s));
}

/* ---- Beside the other words ---------------------------------------------------------------- */

static void recv_gives_what_came_behind_the_line_first(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[16];

    (void)state;
    peer_says(peer, "head\nand the body");
    assert_line(s, "head");
    assert_returns(salut_recv(s, text, 4), 4);
    assert_memory_equal(text, "and ", 4);
    peer_says(peer, " grows");
    assert_returns(salut_recv_exactly(s, text, 14), 14);
    assert_memory_equal(text, "the body grows", 14);
    peer_says(peer, "a line again\n");
    assert_line(s, "a line again");
    assert_works(salut_close(s));
    close(peer);
}

static void a_timeout_in_the_middle_of_a_line_loses_nothing(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says(peer, "first ");
    assert_works(salut_settimeout(s, 0.01));
    assert_no_line(s, ETIMEDOUT, "127.0.0.1");
    assert_works(salut_settimeout(s, 0));
    assert_no_line(s, EAGAIN, "127.0.0.1");
    peer_says(peer, "second\n");
    wait_for(salut_fd(s), POLLIN);
    assert_line(s, "first second");
    assert_works(salut_close(s));
    close(peer);
}

static void a_timeout_covers_the_whole_line_however_it_drips(void **state)
{
    int peer;
    struct liner l = {.s = connected_to_plain(&peer)};
    int drops = 0;

    (void)state;
    assert_works(salut_settimeout(l.s, 0.05));
    l.fiber = salut_go(receive_line, &l);
    while (!l.outcome.done) { /* each drop comes in time, the line never does */
        peer_says(peer, ".");
        drops++;
        assert_works(salut_sleep(0.001));
    }
    assert_outcome(l.outcome, ETIMEDOUT, "127.0.0.1");
    assert_true(drops > 1);
    assert_works(salut_close(l.s));
    close(peer);
}

static void a_canceled_wait_loses_nothing(void **state)
{
    int peer;
    struct liner l = {.s = connected_to_plain(&peer)};

    (void)state;
    peer_says(peer, "first ");
    start(&l);
    assert_works(salut_cancel(l.fiber));
    assert_works(salut_join(l.fiber));
    assert_outcome(l.outcome, ECANCELED, "canceled");
    peer_says(peer, "second\n");
    assert_line(l.s, "first second");
    assert_works(salut_close(l.s));
    close(peer);
}

static void a_second_receiver_is_told_that_there_is_one(void **state)
{
    int peer;
    struct liner l = {.s = connected_to_plain(&peer)};

    (void)state;
    peer_says(peer, "begun");
    start(&l);
    assert_no_line(l.s, EBUSY, "another fiber is receiving");
    assert_fails(salut_recv(l.s, (char[1]){0}, 1), EBUSY, "another fiber is receiving");
    assert_none(salut_recv_message(l.s, NULL), EBUSY, "another fiber is receiving");
    peer_says(peer, ", done\n");
    assert_joined_line(&l, "begun, done");
    assert_works(salut_close(l.s));
    close(peer);
}

static void close_wakes_who_waits_for_a_line(void **state)
{
    int peer;
    struct liner l = {.s = connected_to_plain(&peer)};

    (void)state;
    peer_says(peer, "begun");
    start(&l);
    assert_works(salut_close(l.s));
    assert_works(salut_join(l.fiber));
    assert_outcome(l.outcome, ECANCELED, "another fiber closed the socket");
    close(peer);
}

static void lines_need_a_connected_stream(void **state)
{
    salut_addr address;
    salut_sock *datagrams = datagrams_at("127.0.0.1", &address);
    salut_sock *listener = listening("127.0.0.1"), *fresh = salut_socket(SALUT_TCP);

    (void)state;
    assert_no_line(datagrams, EOPNOTSUPP, "datagrams");
    assert_fails(salut_send_line(datagrams, "text"), EOPNOTSUPP, "datagrams");
    assert_no_line(listener, ENOTCONN, "listener");
    assert_no_line(fresh, ENOTCONN, "connect first");
    assert_fails(salut_send_line(fresh, "text"), ENOTCONN, "connect first");
    assert_works(salut_close(datagrams));
    assert_works(salut_close(listener));
    assert_works(salut_close(fresh));
    assert_no_line(fresh, EBADF, "closed");
    assert_fails(salut_send_line(fresh, "text"), EBADF, "closed");
    assert_fails(salut_set_limit(fresh, 1), EBADF, "closed");
    salut_clear_error();
    assert_no_line(NULL, EBADF, "recv_line");
    salut_clear_error();
    assert_fails(salut_send_line(NULL, "text"), EBADF, "send_line");
}

/* ---- send_line ----------------------------------------------------------------------------- */

static void send_line_sends_the_text_and_a_newline_as_one(void **state)
{
    static const char *const texts[] = {"salut", "", "for the web\r"};
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(texts[i]);
        char text[64];
        sends_asked = 0;
        assert_returns(salut_send_line(s, texts[i]), length);
        assert_int_equal(sends_asked, 1);
        assert_int_equal(read(peer, text, sizeof text), length + 1);
        assert_memory_equal(text, texts[i], length);
        assert_int_equal(text[length], '\n');
    }
    assert_works(salut_close(s));
    close(peer);
}

static void send_line_refuses_what_would_be_two_lines_or_none(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[8];

    (void)state;
    assert_fails(salut_send_line(s, "one\ntwo"), EINVAL, "two lines");
    assert_fails(salut_send_line(s, "one\n"), EINVAL, "two lines");
    assert_fails(salut_send_line(s, NULL), EINVAL, "NULL");
    assert_works(salut_close(s)); /* nothing was sent */
    assert_int_equal(read(peer, text, sizeof text), 0);
    close(peer);
}

static void send_line_to_nobody_fails(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    plain_reset(peer);
    wait_for(salut_fd(s), POLLHUP);
    assert_int_equal(salut_send_line(s, "is anybody there?"), -1);
    assert_true(errno == ECONNRESET || errno == EPIPE);
    assert_says("send_line to 127.0.0.1");
    assert_fails(salut_send_line(s, "hello?"), EPIPE, "earlier send");
    assert_works(salut_close(s));
}

/* ---- With others --------------------------------------------------------------------------- */

static void lines_cross_to_python_and_back(void **state)
{
    struct python python =
        python_runs("file = peer.makefile('rw', encoding='utf-8', newline='\\n')\n"
                    "for line in iter(file.readline, ''):\n"
                    "    file.write(line[::-1].strip() + '\\r\\n')\n"
                    "    file.flush()\n");
    char *long_text = long_line(LIMIT, ""), *turned = malloc(LIMIT + 1);

    (void)state;
    for (size_t i = 0; i < LIMIT; i++)
        turned[i] = long_text[LIMIT - 1 - i];
    turned[LIMIT] = '\0';
    assert_returns(salut_send_line(python.s, "salut"), 5);
    assert_line(python.s, "tulas");
    assert_returns(salut_send_line(python.s, ""), 0);
    assert_line(python.s, "");
    assert_returns(salut_send_line(python.s, "Ça va ?"), 8);
    assert_line(python.s, "? av aÇ");
    assert_returns(salut_send_line(python.s, long_text), LIMIT);
    assert_line(python.s, turned);
    assert_works(salut_shutdown(python.s, SHUT_WR));
    assert_clean_end(python.s);
    free(turned);
    free(long_text);
    python_is_content(&python);
}

/* A fiber that has made 64 calls lets the others run, and one of them closes the socket. */
static void a_line_of_a_socket_that_is_closed_meanwhile_is_none(void **state)
{
    struct closing c;
    salut_sock *other;
    char byte = 0;
    bool was_closed = false;

    (void)state;
    for (int calls = 0; calls < 70; calls++) {
        c = (struct closing){0};
        assert_works(salut_pair(&c.s, &other));
        assert_returns(salut_send_line(other, "hello"), 5);
        salut_yield();
        for (int i = 0; i < calls; i++) {
            assert_works(salut_settimeout(other, 0));
            assert_fails(salut_recv(other, &byte, 1), EAGAIN, "recv");
        }
        salut_fiber *closer = salut_go(close_for, &c);
        const char *got = salut_recv_line(c.s, NULL);
        was_closed |= c.closed;
        if (c.closed)
            assert_true(!got && errno == ECANCELED);
        else
            assert_memory_equal(got, "hello", 5);
        assert_works(salut_join(closer));
        assert_works(salut_close(other));
    }
    assert_true(was_closed);
}

int main(void)
{
    struct CMUnitTest line[] = {
        cmocka_unit_test(a_line_of_a_socket_that_is_closed_meanwhile_is_none),
        cmocka_unit_test(a_line_comes_without_its_newline),
        cmocka_unit_test(a_carriage_return_before_the_newline_goes_with_it),
        cmocka_unit_test(an_empty_line_is_a_line),
        cmocka_unit_test(a_line_can_hold_a_zero_byte),
        cmocka_unit_test(a_line_end_split_between_two_packets_is_one_end),
        cmocka_unit_test(a_line_may_come_byte_by_byte),
        cmocka_unit_test(many_lines_in_one_packet_are_received_from_the_system_once),
        cmocka_unit_test(lines_of_all_lengths_arrive_in_order),
        cmocka_unit_test(a_line_stays_good_until_the_next_receive),
        cmocka_unit_test(the_end_after_a_whole_line_is_no_failure),
        cmocka_unit_test(the_end_in_the_middle_of_a_line_is_told_and_loses_nothing),
        cmocka_unit_test(a_carriage_return_alone_is_no_whole_line),
        cmocka_unit_test(what_came_before_a_reset_is_not_lost),
        cmocka_unit_test(a_line_of_exactly_the_limit_is_received_whatever_its_end),
        cmocka_unit_test(a_line_of_one_byte_more_is_refused_and_nothing_of_it_is_lost),
        cmocka_unit_test(a_line_over_the_limit_is_refused_before_its_end_has_come),
        cmocka_unit_test(a_refused_line_is_received_once_the_limit_allows_it),
        cmocka_unit_test(a_limit_can_be_raised_to_a_gigabyte_and_no_further),
        cmocka_unit_test(recv_gives_what_came_behind_the_line_first),
        cmocka_unit_test(a_timeout_in_the_middle_of_a_line_loses_nothing),
        cmocka_unit_test(a_timeout_covers_the_whole_line_however_it_drips),
        cmocka_unit_test(a_canceled_wait_loses_nothing),
        cmocka_unit_test(a_second_receiver_is_told_that_there_is_one),
        cmocka_unit_test(close_wakes_who_waits_for_a_line),
        cmocka_unit_test(lines_need_a_connected_stream),
        cmocka_unit_test(send_line_sends_the_text_and_a_newline_as_one),
        cmocka_unit_test(send_line_refuses_what_would_be_two_lines_or_none),
        cmocka_unit_test(send_line_to_nobody_fails),
        cmocka_unit_test(lines_cross_to_python_and_back),
    };

    return RUN_SOCKET_TESTS(line);
}
