/* test_message.c: recv_message and send_message. */
#include "socket/input.h"
#include "socket/socket.h"
#include "support/python.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { LIMIT = 16 * 1024 * 1024 }; /* unless set */

/* The library's system calls come by here on their way to the kernel. */
static int sends_asked;

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    sends_asked++;
    return syscall(SYS_sendmsg, descriptor, message, flags);
}

/* ---- Messages ------------------------------------------------------------------------------ */

/* Bytes that tell their place and their message. */
static unsigned char *new_message(size_t size, unsigned seed)
{
    unsigned char *message = malloc(size + 1);

    assert_non_null(message);
    for (size_t i = 0; i < size; i++)
        message[i] = (unsigned char)(seed + i * 7 + (i >> 8));
    return message;
}

/* The first byte of received that is not as new_message() made it; -1: all are. */
static ssize_t first_wrong_byte(const unsigned char *received, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) {
        if (received[i] != (unsigned char)(seed + i * 7 + (i >> 8)))
            return (ssize_t)i;
    }
    return -1;
}

static void message_is(const void *message, size_t size, const void *expected, size_t expected_size,
                       const char *file, int number)
{
    if (message && size == expected_size && !memcmp(message, expected, size))
        return;
    print_error("expected a message of %zu bytes, got %s of %zu: %s\n", expected_size,
                message ? "one" : "none", size, salut_error());
    _fail(file, number);
}

#define assert_message(s, text)                                                                    \
    do {                                                                                           \
        size_t size_ = 99;                                                                         \
        void *message_ = salut_recv_message(s, &size_);                                            \
        message_is(message_, size_, text, strlen(text), __FILE__, __LINE__);                       \
    } while (0)

#define assert_no_message(s, expected, part)                                                       \
    do {                                                                                           \
        size_t size_ = 99;                                                                         \
        assert_none(salut_recv_message(s, &size_), expected, part);                                \
        assert_int_equal(size_, 0);                                                                \
    } while (0)

static void assert_clean_end(salut_sock *s)
{
    size_t size = 99;

    salut_clear_error();
    errno = EIO;
    assert_null(salut_recv_message(s, &size));
    assert_int_equal(errno, 0);
    assert_int_equal(size, 0);
    assert_false(salut_failed());
}

static void peer_says_bytes(int peer, const void *bytes, size_t size)
{
    assert_int_equal(write(peer, bytes, size), size);
}

static void peer_announces(int peer, uint32_t size)
{
    uint32_t header = htonl(size);

    peer_says_bytes(peer, &header, sizeof header);
}

static void peer_says_message(int peer, const char *text)
{
    peer_announces(peer, (uint32_t)strlen(text));
    peer_says_bytes(peer, text, strlen(text));
}

/* ---- There and back ------------------------------------------------------------------------ */

static void a_message_is_its_length_in_four_bytes_and_then_the_bytes(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    unsigned char bytes[16];

    (void)state;
    assert_returns(salut_send_message(s, "salut", 5), 5);
    assert_int_equal(read(peer, bytes, sizeof bytes), 9);
    assert_memory_equal(bytes, "\0\0\0\5salut", 9);
    peer_says_bytes(peer, "\0\0\0\3oui\0\0\0\0", 11);
    assert_message(s, "oui");
    assert_message(s, "");
    assert_works(salut_close(s));
    close(peer);
}

static void a_message_is_sent_as_one(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    sends_asked = 0;
    assert_returns(salut_send_message(s, "salut", 5), 5);
    assert_int_equal(sends_asked, 1);
    assert_works(salut_close(s));
    close(peer);
}

struct sender {
    salut_sock *s;
    const size_t *sizes;
    int count;
    int failed;
    salut_fiber *fiber;
};

static void send_messages(void *argument)
{
    struct sender *sender = argument;

    for (int i = 0; i < sender->count; i++) {
        size_t size = sender->sizes[i];
        unsigned char *message = malloc(size + 1);
        if (!message) {
            sender->failed++;
            continue;
        }
        for (size_t k = 0; k < size; k++)
            message[k] = (unsigned char)((unsigned)i + k * 7 + (k >> 8));
        if (salut_send_message(sender->s, message, size) != (ssize_t)size)
            sender->failed++;
        free(message);
    }
    if (salut_shutdown(sender->s, SHUT_WR))
        sender->failed++;
}

static void messages_of_every_size_arrive_whole_and_in_order(void **state)
{
    static const size_t sizes[] = {0,    1,    64,    4091,  4092,    4093,      4096,
                                   4097, 0,    65535, 70000, 1 << 20, LIMIT - 1, LIMIT,
                                   3,    8188, 0,     12,    300000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    struct sender sender = {.sizes = sizes, .count = COUNT};
    salut_sock *receiver;

    (void)state;
    connected(&sender.s, &receiver);
    sender.fiber = salut_go(send_messages, &sender);
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = 99;
        unsigned char *message = salut_recv_message(receiver, &size);
        if (!message)
            fail_msg("message %u: %s", i, salut_error());
        assert_int_equal(size, sizes[i]);
        assert_int_equal(first_wrong_byte(message, size, i), -1);
    }
    assert_clean_end(receiver);
    assert_works(salut_join(sender.fiber));
    assert_int_equal(sender.failed, 0);
    assert_works(salut_close(sender.s));
    assert_works(salut_close(receiver));
}

static void a_message_may_come_byte_by_byte(void **state)
{
    static const char bytes[] = "\0\0\0\5salut\0\0\0\0\0\0\0\2oh";
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    int count = 0;

    (void)state;
    assert_works(salut_settimeout(s, 0));
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        size_t size;
        void *message;
        peer_says_bytes(peer, bytes + i, 1);
        wait_for(salut_fd(s), POLLIN);
        message = salut_recv_message(s, &size);
        assert_true(message || errno == EAGAIN);
        if (message) {
            static const char *const expected[] = {"salut", "", "oh"};
            assert_int_equal(size, strlen(expected[count]));
            assert_memory_equal(message, expected[count], size);
            count++;
        }
    }
    assert_int_equal(count, 3);
    assert_works(salut_close(s));
    close(peer);
}

static void a_message_stays_good_until_the_next_receive(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    unsigned char *big = new_message(30000, 1);
    void *message;
    size_t size;

    (void)state;
    peer_says_message(peer, "here to stay");
    peer_says_message(peer, "next");
    wait_for(salut_fd(s), POLLIN);
    message = salut_recv_message(s, &size);
    assert_non_null(message);
    peer_announces(peer, 30000);
    peer_says_bytes(peer, big, 30000);
    assert_returns(salut_send_message(s, "meanwhile", 9), 9);
    assert_works(salut_yield());
    assert_int_equal(size, 12);
    assert_memory_equal(message, "here to stay", 12);
    assert_message(s, "next");
    message = salut_recv_message(s, &size);
    message_is(message, size, big, 30000, __FILE__, __LINE__);
    free(big);
    assert_works(salut_close(s));
    close(peer);
}

static void recv_gives_what_came_behind_the_message_first(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char text[16];

    (void)state;
    peer_says_bytes(peer, "\0\0\0\4headand a line\nand more", 27);
    assert_message(s, "head");
    assert_string_equal(salut_recv_line(s, NULL), "and a line");
    assert_returns(salut_recv(s, text, sizeof text), 8);
    assert_memory_equal(text, "and more", 8);
    assert_works(salut_close(s));
    close(peer);
}

/* ---- A million ----------------------------------------------------------------------------- */

/* Random numbers that both ends can have (xorshift). */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t random_size(uint64_t *seed)
{
    uint64_t number = next_random(seed);

    if (number % 1000 == 0)
        return (number >> 20) % 100000;
    return (number >> 20) % (number % 10 ? 100 : 2000);
}

enum { PATTERN_BYTES = 100000 + 251 };

struct flood {
    salut_sock *s;
    int count;
    int failed;
    unsigned char *pattern; /* byte i is i % 251: message n begins at n % 251 */
};

/* Each message as random as its gathering: none, smaller than a message, large; flushed now and
 * then, or left to leave by itself. */
static void send_flood(void *argument)
{
    struct flood *flood = argument;
    uint64_t sizes = 42, whims = 7;

    for (int i = 0; i < flood->count; i++) {
        size_t size = random_size(&sizes);
        uint64_t whim = next_random(&whims);
        if (whim % 500 == 0 && salut_set_buffer(flood->s, (whim >> 20) % 3 * 1777 * (whim >> 60)))
            flood->failed++;
        if (whim % 300 == 1 && salut_flush(flood->s))
            flood->failed++;
        if (whim % 200 == 2)
            salut_yield();
        if (salut_send_message(flood->s, flood->pattern + i % 251, size) != (ssize_t)size)
            flood->failed++;
    }
    if (salut_close(flood->s))
        flood->failed++;
}

static void a_million_messages_of_random_sizes_arrive_through_random_gathering(void **state)
{
    struct flood flood = {.count = sized(1000000, 100000, "messages")};
    unsigned char *pattern = malloc(PATTERN_BYTES);
    salut_sock *receiver;
    salut_fiber *fiber;
    uint64_t sizes = 42;

    (void)state;
    assert_non_null(pattern);
    for (int i = 0; i < PATTERN_BYTES; i++)
        pattern[i] = (unsigned char)(i % 251);
    flood.pattern = pattern;
    connected(&flood.s, &receiver);
    fiber = salut_go(send_flood, &flood);
    for (int i = 0; i < flood.count; i++) {
        size_t expected = random_size(&sizes), size = 0;
        unsigned char *message = salut_recv_message(receiver, &size);
        if (!message)
            fail_msg("message %d: %s", i, salut_error());
        if (size != expected || memcmp(message, pattern + i % 251, size))
            fail_msg("message %d is another: %zu bytes, not %zu", i, size, expected);
    }
    assert_clean_end(receiver);
    assert_works(salut_join(fiber));
    assert_int_equal(flood.failed, 0);
    free(pattern);
    assert_works(salut_close(receiver));
}

/* ---- Its end ------------------------------------------------------------------------------- */

static void the_end_between_messages_is_no_failure(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    peer_says_message(peer, "last");
    close(peer);
    assert_message(s, "last");
    assert_clean_end(s);
    assert_clean_end(s);
    assert_works(salut_close(s));
}

static void a_length_cut_in_half_is_told_and_not_lost(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char bytes[8];

    (void)state;
    peer_says_bytes(peer, "\0\0", 2);
    close(peer);
    assert_no_message(s, EPROTO, "in the middle of a message, after 2 bytes");
    assert_says("127.0.0.1");
    assert_no_message(s, EPROTO, "after 2 bytes");
    assert_returns(salut_recv(s, bytes, sizeof bytes), 2);
    assert_clean_end(s);
    assert_works(salut_close(s));
}

static void a_message_cut_short_is_told_and_not_lost(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char bytes[16];

    (void)state;
    peer_announces(peer, 10);
    peer_says_bytes(peer, "nine byte", 9);
    close(peer);
    assert_no_message(s, EPROTO, "after 13 bytes");
    assert_returns(salut_recv_exactly(s, bytes, 13), 13);
    assert_memory_equal(bytes + 4, "nine byte", 9);
    assert_works(salut_close(s));
}

static void a_timeout_in_the_middle_loses_nothing(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    assert_works(salut_settimeout(s, 0.01));
    peer_says_bytes(peer, "\0\0\0", 3);
    assert_no_message(s, ETIMEDOUT, "127.0.0.1");
    peer_says_bytes(peer, "\5sa", 3);
    assert_no_message(s, ETIMEDOUT, "127.0.0.1");
    peer_says_bytes(peer, "lut", 3);
    assert_works(salut_settimeout(s, -1));
    assert_message(s, "salut");
    assert_works(salut_close(s));
    close(peer);
}

/* ---- How long it may be -------------------------------------------------------------------- */

static void a_message_over_the_limit_is_not_sent(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    char byte;

    (void)state;
    assert_fails(salut_send_message(s, "", (size_t)LIMIT + 1), EMSGSIZE, "16777217 bytes");
    assert_fails(salut_send_message(s, "", SIZE_MAX), EMSGSIZE, "16777216 is the most");
    assert_works(salut_set_limit(s, 4));
    assert_fails(salut_send_message(s, "salut", 5), EMSGSIZE, "4 is the most (salut_set_limit)");
    assert_works(salut_close(s));
    assert_int_equal(read(peer, &byte, 1), 0); /* nothing of them */
    close(peer);
}

static void a_message_announced_over_the_limit_is_refused_before_it_comes(void **state)
{
    static const uint32_t sizes[] = {LIMIT + 1, 0x7fffffff, 0x80000000, 0xffffffff};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int peer;
        salut_sock *s = connected_to_plain(&peer);
        char number[16];
        uint32_t header;
        snprintf(number, sizeof number, "%u", sizes[i]);
        peer_announces(peer, sizes[i]);
        assert_no_message(s, EMSGSIZE, number);
        assert_says("127.0.0.1");
        assert_no_message(s, EMSGSIZE, "16777216 is the most (salut_set_limit)");
        assert_returns(salut_recv_exactly(s, &header, 4), 4); /* it is still there */
        assert_int_equal(ntohl(header), sizes[i]);
        assert_works(salut_close(s));
        close(peer);
    }
}

static void a_refused_message_is_received_once_the_limit_allows_it(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);

    (void)state;
    assert_works(salut_set_limit(s, 4));
    peer_says_message(peer, "salut");
    assert_no_message(s, EMSGSIZE, "5 bytes is announced, and 4 is the most");
    assert_works(salut_set_limit(s, 5));
    assert_message(s, "salut");
    assert_works(salut_close(s));
    close(peer);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static struct socket *record_of(salut_sock *s)
{
    return handle_object(&scheduler_of_thread->sockets, s);
}

/* Each announces 16 MiB and sends ten bytes: the room for that is one page each, not 3 GB. */
static void memory_grows_with_what_arrives_and_not_with_what_is_announced(void **state)
{
    enum { CLIENTS = 200, ROOM = 4096 };
    salut_sock *s[CLIENTS];
    int peers[CLIENTS];
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, after;

    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        s[i] = connected_to_plain(&peers[i]);
        assert_works(salut_settimeout(s[i], 0));
        peer_announces(peers[i], LIMIT);
        peer_says_bytes(peers[i], "0123456789", 10);
        wait_for(salut_fd(s[i]), POLLIN);
        assert_no_message(s[i], EAGAIN, "timeout is 0");
        assert_int_equal(input_size(record_of(s[i])), 14);
        assert_true(record_of(s[i])->input->capacity <= ROOM);
    }
    after = mallinfo2().uordblks + mallinfo2().hblkhd;
    if (!watcher()) /* they bring an allocator of their own, which isn't counted */
        assert_true(after - before <= (size_t)CLIENTS * (ROOM + 1024));
    for (int i = 0; i < CLIENTS; i++) {
        assert_works(salut_close(s[i]));
        close(peers[i]);
    }
}

/* Room for a message that does arrive is at most twice what has arrived, and never more than
 * what one receive more may fill. */
static void memory_is_at_most_twice_what_has_arrived(void **state)
{
    enum { STEP = 100000, STEPS = 50 };
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    unsigned char *bytes = new_message(STEP, 0);

    (void)state;
    assert_works(salut_settimeout(s, 0));
    peer_announces(peer, LIMIT);
    for (size_t i = 1; i <= STEPS; i++) {
        struct input *in;
        peer_says_bytes(peer, bytes, STEP);
        do {
            wait_for(salut_fd(s), POLLIN);
            assert_no_message(s, EAGAIN, "timeout is 0");
            in = record_of(s)->input;
        } while (in->end - in->begin < 4 + i * STEP);
        assert_true(in->capacity <= 2 * (in->end - in->begin) + 256 * 1024);
    }
    free(bytes);
    assert_works(salut_close(s));
    close(peer);
}

/* ---- Beside the other words ---------------------------------------------------------------- */

static void messages_need_a_connected_stream(void **state)
{
    salut_addr address;
    salut_sock *datagrams = datagrams_at("127.0.0.1", &address);
    salut_sock *listener = listening("127.0.0.1"), *fresh = salut_socket(SALUT_TCP);

    (void)state;
    assert_no_message(datagrams, EOPNOTSUPP, "datagrams");
    assert_fails(salut_send_message(datagrams, "x", 1), EOPNOTSUPP, "datagrams");
    assert_no_message(listener, ENOTCONN, "listener");
    assert_fails(salut_send_message(listener, "x", 1), ENOTCONN, "listener");
    assert_no_message(fresh, ENOTCONN, "connect first");
    assert_works(salut_close(datagrams));
    assert_works(salut_close(listener));
    assert_works(salut_close(fresh));
    assert_no_message(fresh, EBADF, "closed");
    assert_fails(salut_send_message(fresh, "x", 1), EBADF, "closed");
    salut_clear_error();
    assert_no_message(NULL, EBADF, "recv_message");
}

static void an_empty_message_needs_no_data(void **state)
{
    salut_sock *a, *b;

    (void)state;
    assert_works(salut_pair(&a, &b));
    assert_returns(salut_send_message(a, NULL, 0), 0);
    assert_works(salut_set_buffer(a, 100));
    assert_returns(salut_send_message(a, NULL, 0), 0);
    assert_works(salut_flush(a));
    assert_message(b, "");
    assert_message(b, "");
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void a_message_of_nothing_that_claims_to_be_something_is_refused(void **state)
{
    salut_sock *a, *b;

    (void)state;
    assert_works(salut_pair(&a, &b));
    for (int gathering = 0; gathering < 2; gathering++) {
        assert_fails(salut_send_message(a, NULL, 5), EINVAL, "NULL");
        assert_returns(salut_send_message(a, "whole", 5), 5); /* the stream isn't broken by it */
        assert_works(salut_flush(a));
        assert_message(b, "whole");
        assert_works(salut_set_buffer(a, 100));
    }
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

/* ---- With others --------------------------------------------------------------------------- */

static void messages_cross_to_python_and_back(void **state)
{
    struct python python = python_runs("file = peer.makefile('rwb')\n"
                                       "while header := file.read(4):\n"
                                       "    size, = struct.unpack('>I', header)\n"
                                       "    body = file.read(size)\n"
                                       "    assert len(body) == size\n"
                                       "    file.write(struct.pack('>I', size) + body[::-1])\n"
                                       "    file.flush()\n");
    static const size_t sizes[] = {0, 1, 64, 5000, 0, LIMIT};

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *message = new_message(sizes[i], i), *turned;
        size_t size = 99;
        assert_returns(salut_send_message(python.s, message, sizes[i]), sizes[i]);
        turned = salut_recv_message(python.s, &size);
        assert_non_null(turned);
        assert_int_equal(size, sizes[i]);
        for (size_t k = 0; k < size; k++) {
            if (turned[k] != message[size - 1 - k])
                fail_msg("byte %zu of %zu is wrong", k, size);
        }
        free(message);
    }
    assert_works(salut_shutdown(python.s, SHUT_WR));
    assert_clean_end(python.s);
    python_is_content(&python);
}

/* A fiber that has made 64 calls lets the others run, and one of them closes the socket. */
static void a_message_of_a_socket_that_is_closed_meanwhile_is_none(void **state)
{
    struct closing c;
    salut_sock *other;
    char byte = 0;
    bool was_closed = false;

    (void)state;
    for (int calls = 0; calls < 70; calls++) {
        c = (struct closing){0};
        assert_works(salut_pair(&c.s, &other));
        assert_returns(salut_send_message(other, "hello", 5), 5);
        salut_yield();
        for (int i = 0; i < calls; i++) {
            assert_works(salut_settimeout(other, 0));
            assert_fails(salut_recv(other, &byte, 1), EAGAIN, "recv");
        }
        salut_fiber *closer = salut_go(close_for, &c);
        const void *got = salut_recv_message(c.s, NULL);
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
    struct CMUnitTest message[] = {
        cmocka_unit_test(a_message_of_a_socket_that_is_closed_meanwhile_is_none),
        cmocka_unit_test(a_message_is_its_length_in_four_bytes_and_then_the_bytes),
        cmocka_unit_test(a_message_is_sent_as_one),
        cmocka_unit_test(messages_of_every_size_arrive_whole_and_in_order),
        cmocka_unit_test(a_message_may_come_byte_by_byte),
        cmocka_unit_test(a_message_stays_good_until_the_next_receive),
        cmocka_unit_test(recv_gives_what_came_behind_the_message_first),
        cmocka_unit_test(a_million_messages_of_random_sizes_arrive_through_random_gathering),
        cmocka_unit_test(the_end_between_messages_is_no_failure),
        cmocka_unit_test(a_length_cut_in_half_is_told_and_not_lost),
        cmocka_unit_test(a_message_cut_short_is_told_and_not_lost),
        cmocka_unit_test(a_timeout_in_the_middle_loses_nothing),
        cmocka_unit_test(a_message_over_the_limit_is_not_sent),
        cmocka_unit_test(a_message_announced_over_the_limit_is_refused_before_it_comes),
        cmocka_unit_test(a_refused_message_is_received_once_the_limit_allows_it),
        cmocka_unit_test(memory_grows_with_what_arrives_and_not_with_what_is_announced),
        cmocka_unit_test(memory_is_at_most_twice_what_has_arrived),
        cmocka_unit_test(messages_need_a_connected_stream),
        cmocka_unit_test(an_empty_message_needs_no_data),
        cmocka_unit_test(a_message_of_nothing_that_claims_to_be_something_is_refused),
        cmocka_unit_test(messages_cross_to_python_and_back),
    };

    return RUN_SOCKET_TESTS(message);
}
