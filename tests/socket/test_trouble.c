/* test_trouble.c: what befalls a program from outside: signals, peers that are killed, forks. */
#include "support/sockets.h"

#include <signal.h>
#include <sys/time.h>

/* ---- Signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

/* A signal every millisecond, whose handler lets no system call go on (no SA_RESTART). */
static void begin_storm(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval each = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};

    alarms = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &each, NULL), 0);
}

static void end_storm(void)
{
    struct itimerval never = {0};

    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
}

static size_t transfer_bytes; /* each way */

struct mover {
    salut_sock *s;
    unsigned char *bytes;
    ssize_t result;
    salut_fiber *fiber;
};

static unsigned char byte_at(size_t offset)
{
    return (unsigned char)(offset * 2654435761u >> 11);
}

static void send_all(void *argument)
{
    struct mover *m = argument;

    for (size_t i = 0; i < transfer_bytes; i++)
        m->bytes[i] = byte_at(i);
    m->result = salut_send(m->s, m->bytes, transfer_bytes);
}

static void receive_all(void *argument)
{
    struct mover *m = argument;

    m->result = salut_recv_exactly(m->s, m->bytes, transfer_bytes);
    for (size_t i = 0; i < transfer_bytes; i++) {
        if (m->bytes[i] != byte_at(i))
            m->result = -2;
    }
}

static void transfer_both_ways(void)
{
    struct mover movers[4];
    salut_sock *a, *b;

    connected(&a, &b);
    for (int i = 0; i < 4; i++) {
        movers[i] = (struct mover){.s = i < 2 ? a : b, .bytes = calloc(1, transfer_bytes)};
        movers[i].fiber = salut_go(i % 2 ? receive_all : send_all, &movers[i]);
    }
    for (int i = 0; i < 4; i++) {
        assert_works(salut_join(movers[i].fiber));
        assert_returns(movers[i].result, transfer_bytes);
        free(movers[i].bytes);
    }
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

static void a_storm_of_signals_harms_no_transfer(void **state)
{
    int wanted = sized(100, 20, "signals during the transfers");

    (void)state;
    transfer_bytes = (size_t)sized(4096, 64, "KiB each way at a time") * 1024;
    begin_storm();
    while (alarms < wanted)
        transfer_both_ways();
    end_storm();
    assert_false(salut_failed());
}

struct caller {
    int port;
    ssize_t received;
};

static void call_and_wait(void *argument)
{
    struct caller *c = argument;
    salut_sock *s = salut_socket(SALUT_TCP);
    char text[8];

    salut_connect(s, "127.0.0.1", c->port);
    c->received = salut_recv(s, text, sizeof text);
    salut_close(s);
}

static void a_storm_of_signals_ends_no_wait_early(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    int64_t begin;

    (void)state;
    begin_storm();
    for (int i = 0; i < 5; i++) {
        struct caller c = {.port = port_of(listener)};
        salut_fiber *fiber = salut_go(call_and_wait, &c);
        salut_sock *served = salut_accept(listener, NULL);
        assert_non_null(served);
        begin = clock_now();
        assert_works(salut_sleep(0.01));
        assert_true(clock_now() - begin >= NANOSECONDS / 100);
        begin = clock_now();
        assert_works(salut_settimeout(served, 0.01));
        assert_fails(salut_recv(served, (char[1]){0}, 1), ETIMEDOUT, "127.0.0.1");
        assert_true(clock_now() - begin >= NANOSECONDS / 100);
        assert_returns(salut_send(served, "salut", 5), 5);
        assert_works(salut_join(fiber));
        assert_returns(c.received, 5);
        assert_works(salut_close(served));
    }
    assert_true(alarms > 0);
    end_storm();
    assert_works(salut_close(listener));
}

/* ---- A peer that is killed ----------------------------------------------------------------- */

/* A child that connects, sends three bytes, and stays until it is killed. */
static pid_t calling_child(int port)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child)
        return child;
    for (;;) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHILD_ASSERT(connect(descriptor, (struct sockaddr *)&to, sizeof to) == 0);
        CHILD_ASSERT(write(descriptor, "abc", 3) == 3);
        pause();
    }
}

static void kill_child(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_peer_killed_in_the_middle_of_a_message_is_told(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    pid_t child = calling_child(port_of(listener));
    char text[10];

    (void)state;
    served = salut_accept(listener, NULL);
    assert_non_null(served);
    wait_for(salut_fd(served), POLLIN);
    kill_child(child);
    assert_fails(salut_recv_exactly(served, text, sizeof text), EPROTO, "3 of 10 bytes");
    assert_memory_equal(text, "abc", 3);
    assert_returns(salut_recv(served, text, sizeof text), 0);
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
}

static void a_peer_killed_with_bytes_unread_breaks_the_connection_off(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *served;
    pid_t child = calling_child(port_of(listener));
    char text[10];

    (void)state;
    served = salut_accept(listener, NULL);
    assert_non_null(served);
    assert_returns(salut_recv_exactly(served, text, 3), 3);
    assert_returns(salut_send(served, "unread", 6), 6);
    kill_child(child);
    assert_fails(salut_recv(served, text, sizeof text), ECONNRESET, "127.0.0.1");
    assert_fails(salut_recv(served, text, sizeof text), ECONNRESET, "127.0.0.1");
    assert_works(salut_close(served));
    assert_works(salut_close(listener));
}

/* ---- A fork that keeps the open files alive -------------------------------------------------- */

static const struct engine_calls *real_calls;
static int polls;

static bool poll_counted(struct engine *e, int64_t until)
{
    polls++;
    return real_calls->poll(e, until);
}

static void count_polls(void)
{
    static struct engine_calls counting;
    struct engine *e = scheduler_of_thread->engine;

    real_calls = e->calls;
    counting = *real_calls;
    counting.poll = poll_counted;
    e->calls = &counting;
    polls = 0;
}

static void stop_counting_polls(void)
{
    scheduler_of_thread->engine->calls = real_calls;
}

static pid_t child_that_only_stays(void)
{
    pid_t child = fork();

    assert_true(child >= 0);
    while (!child)
        pause();
    return child;
}

static void a_closed_socket_that_a_child_keeps_open_disturbs_nobody(void **state)
{
    int peer, next_peer;
    salut_sock *s = connected_to_plain(&peer), *next;
    int descriptor = salut_fd(s);
    char text[8];
    pid_t child;

    (void)state;
    assert_works(salut_settimeout(s, 0.001)); /* a wait, so that the kernel reports on it */
    assert_fails(salut_recv(s, text, sizeof text), ETIMEDOUT, "127.0.0.1");
    child = child_that_only_stays();
    assert_works(salut_close(s));
    next = connected_to_plain(&next_peer);
    assert_int_equal(salut_fd(next), descriptor); /* the number is the same, the file isn't */
    assert_works(salut_settimeout(next, 0.001));
    assert_fails(salut_recv(next, text, sizeof text), ETIMEDOUT, "127.0.0.1");

    assert_int_equal(write(peer, "ghost", 5), 5); /* an event for the one that was closed */
    count_polls();
    assert_works(salut_settimeout(next, 0.02));
    assert_fails(salut_recv(next, text, sizeof text), ETIMEDOUT, "127.0.0.1");
    stop_counting_polls();
    assert_in_range(polls, 1, 20); /* not a spin */
    assert_works(salut_settimeout(next, 60));
    assert_int_equal(write(next_peer, "real", 4), 4);
    assert_returns(salut_recv(next, text, sizeof text), 4);
    assert_memory_equal(text, "real", 4);

    assert_works(salut_close(next));
    kill_child(child);
    close(peer);
    close(next_peer);
}

static void shutdown_ends_a_conversation_that_a_child_keeps_open(void **state)
{
    int peer;
    salut_sock *s = connected_to_plain(&peer);
    pid_t child = child_that_only_stays();
    char letter;

    (void)state;
    assert_works(salut_shutdown(s, SHUT_RDWR));
    assert_works(salut_close(s));
    assert_int_equal(read(peer, &letter, 1), 0);
    kill_child(child);
    close(peer);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_of_signals_harms_no_transfer),
        cmocka_unit_test(a_storm_of_signals_ends_no_wait_early),
        cmocka_unit_test(a_peer_killed_in_the_middle_of_a_message_is_told),
        cmocka_unit_test(a_peer_killed_with_bytes_unread_breaks_the_connection_off),
        cmocka_unit_test(a_closed_socket_that_a_child_keeps_open_disturbs_nobody),
        cmocka_unit_test(shutdown_ends_a_conversation_that_a_child_keeps_open),
    };

    return RUN_SOCKET_TESTS(tests);
}
