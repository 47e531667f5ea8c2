/* sockets.h: what the tests of sockets share: peers made of plain system calls, so that the
 * library isn't tested by itself alone; failures told by their errno and their sentence; and a
 * look at /proc/self/fd around each test, so that none leaves a descriptor behind.
 *
 * Each test file runs its tests by RUN_SOCKET_TESTS(tests). */
#ifndef TESTS_SUPPORT_SOCKETS_H
#define TESTS_SUPPORT_SOCKETS_H

#include "base/clock.h"
#include "fiber/scheduler.h"
#include "support/fibers.h"

#include <salut.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* ---- Unix paths ---------------------------------------------------------------------------- */

/* A directory of this process, made at the first call of own_path(), emptied before each test. */
static char own_directory[64];

static inline void empty_own_directory(void)
{
    DIR *directory = own_directory[0] ? opendir(own_directory) : NULL;
    struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
}

static inline void remove_own_directory(void)
{
    empty_own_directory();
    rmdir(own_directory);
}

/* A path in it. Good until the next call but three. */
static inline const char *own_path(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    if (!own_directory[0]) {
        strcpy(own_directory, "/tmp/salut-test-XXXXXX");
        assert_non_null(mkdtemp(own_directory));
        atexit(remove_own_directory);
    }
    snprintf(path, sizeof paths[0], "%s/%s", own_directory, name);
    return path;
}

static struct rlimit descriptors_allowed; /* while there is a limit of a test's own; else zeros */

/* ---- Around each test ---------------------------------------------------------------------- */

static char descriptors_before[16 * 1024]; /* "3 socket:[17]\n" and so on */

/* What each descriptor of this process is, one a line, in the order of their numbers. */
static inline void list_descriptors(char *list, size_t size)
{
    struct dirent **entries;
    int count = scandir("/proc/self/fd", &entries, NULL, versionsort);
    size_t used = 0;

    list[0] = '\0';
    for (int i = 0; i < count; i++) {
        char name[sizeof entries[i]->d_name + 16], target[256];
        ssize_t length;
        snprintf(name, sizeof name, "/proc/self/fd/%s", entries[i]->d_name);
        length = readlink(name, target, sizeof target - 1);
        if (length > 0 && used < size) { /* not "..", and not scandir's own */
            target[length] = '\0';
            used +=
                (size_t)snprintf(list + used, size - used, "%s %s\n", entries[i]->d_name, target);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static inline int begin_test(void **state)
{
    (void)state;
    salut_clear_error();
    empty_own_directory();
    if (descriptors_allowed.rlim_max) /* a test that failed had no time to do it */
        setrlimit(RLIMIT_NOFILE, &descriptors_allowed);
    list_descriptors(descriptors_before, sizeof descriptors_before);
    return 0;
}

static inline int end_test(void **state)
{
    static char after[sizeof descriptors_before];

    (void)state;
    list_descriptors(after, sizeof after);
    if (!strcmp(descriptors_before, after))
        return 0;
    print_error("descriptors before the test:\n%s", descriptors_before);
    print_error("and after it:\n%s", after);
    return -1;
}

static inline void end_at_once(void *unused)
{
    (void)unused;
}

/* The scheduler, the resolver's bell and its first thread, and the alarm of a thread that has had
 * many fibers, are there for good: before a test. */
static inline int warm_up(void **state)
{
    enum { MANY = 64 };
    salut_addr address;

    (void)state;
    for (int i = 0; i < MANY; i++)
        salut_go(end_at_once, NULL);
    salut_yield();
    salut_resolve(&address, "localhost", 0);
    salut_clear_error();
    return 0;
}

static inline int run_socket_tests(const char *name, struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = begin_test;
        tests[i].teardown_func = end_test;
    }
    return _cmocka_run_group_tests(name, tests, count, warm_up, NULL);
}

#define RUN_SOCKET_TESTS(tests) run_socket_tests(#tests, tests, sizeof(tests) / sizeof *(tests))

/* ---- Failures ------------------------------------------------------------------------------ */

static inline void failure_is(bool failed, int number, int expected, const char *part,
                              const char *file, int line)
{
    const char *said = salut_error();

    if (failed && number == expected && salut_failed() && said[0] && strstr(said, part))
        return;
    print_error("%s: expected errno %d (%s) and a sentence with \"%s\"\n"
                "got %s, errno %d (%s) and \"%s\"\n",
                failed ? "the wrong failure" : "no failure", expected, strerror(expected), part,
                failed ? "a failure" : "success", number, strerror(number), said);
    _fail(file, line);
}

/* The call returns -1, sets errno so, and its sentence holds `part`. */
#define assert_fails(call, expected, part)                                                         \
    do {                                                                                           \
        bool failed_ = (call) == -1;                                                               \
        int number_ = errno;                                                                       \
        failure_is(failed_, number_, expected, part, __FILE__, __LINE__);                          \
    } while (0)

/* The same for a call that returns a pointer: NULL. */
#define assert_none(call, expected, part)                                                          \
    do {                                                                                           \
        bool failed_ = (call) == NULL;                                                             \
        int number_ = errno;                                                                       \
        failure_is(failed_, number_, expected, part, __FILE__, __LINE__);                          \
    } while (0)

/* The call returns `expected`; if not, says what went wrong. */
#define assert_returns(call, expected)                                                             \
    do {                                                                                           \
        intmax_t result_ = (intmax_t)(call);                                                       \
        if (result_ != (intmax_t)(expected)) {                                                     \
            print_error("%s is %jd, not %jd: %s\n", #call, result_, (intmax_t)(expected),          \
                        salut_error());                                                            \
            _fail(__FILE__, __LINE__);                                                             \
        }                                                                                          \
    } while (0)

#define assert_works(call) assert_returns(call, 0)

#define assert_says(part)                                                                          \
    do {                                                                                           \
        if (!strstr(salut_error(), part)) {                                                        \
            print_error("no \"%s\" in \"%s\"\n", part, salut_error());                             \
            _fail(__FILE__, __LINE__);                                                             \
        }                                                                                          \
    } while (0)

/* What became of a call on another fiber, for the test function to look at. */
struct outcome {
    bool done;
    ssize_t result;
    int number; /* errno, when it failed */
    char sentence[1024];
};

static inline void note(struct outcome *outcome, ssize_t result)
{
    int number = errno;

    outcome->result = result;
    outcome->number = result == -1 ? number : 0;
    snprintf(outcome->sentence, sizeof outcome->sentence, "%s", salut_error());
    outcome->done = true;
}

#define assert_outcome(outcome, expected, part)                                                    \
    do {                                                                                           \
        if (!(outcome).done || (outcome).result != -1 || (outcome).number != (expected) ||         \
            !strstr((outcome).sentence, part)) {                                                   \
            print_error("expected errno %d and \"%s\"\ngot %s, result %zd, errno %d, \"%s\"\n",    \
                        expected, part, (outcome).done ? "an end" : "no end", (outcome).result,    \
                        (outcome).number, (outcome).sentence);                                     \
            _fail(__FILE__, __LINE__);                                                             \
        }                                                                                          \
    } while (0)

/* ---- The library's own ends ---------------------------------------------------------------- */

static inline int port_of(salut_sock *s)
{
    salut_addr local;

    assert_works(salut_local(s, &local));
    return salut_addr_port(&local);
}

/* "127.0.0.1:4711" of a port, as sentences show it. Good until the next call. */
static inline const char *at_loopback(int port)
{
    static char text[32];

    snprintf(text, sizeof text, "127.0.0.1:%d", port);
    return text;
}

static inline salut_sock *listening(const char *host)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    assert_non_null(s);
    assert_works(salut_bind(s, host, 0));
    assert_works(salut_listen(s, 0));
    return s;
}

/* Two ends of one TCP connection; `a` is the one that connected. */
static inline void connected(salut_sock **a, salut_sock **b)
{
    salut_sock *listener = listening("127.0.0.1");

    *a = salut_socket(SALUT_TCP);
    assert_works(salut_connect(*a, "127.0.0.1", port_of(listener)));
    *b = salut_accept(listener, NULL);
    assert_non_null(*b);
    assert_works(salut_close(listener));
}

/* A UDP socket at a port of 127.0.0.1, and its address. */
static inline salut_sock *datagrams_at(const char *host, salut_addr *address)
{
    salut_sock *s = salut_socket(SALUT_UDP);

    assert_works(salut_bind(s, host, 0));
    assert_works(salut_local(s, address));
    return s;
}

/* ---- Peers of plain system calls ----------------------------------------------------------- */

static inline struct sockaddr_in plain_address(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return address;
}

/* The port that an IPv4 or IPv6 descriptor is bound to. */
static inline int plain_port(int descriptor)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;

    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin6_port); /* sin_port lies at the same place */
}

/* Bound and, unless backlog is negative, listening. -1: the port is taken. */
static inline int plain_bound(int type, const char *host, int port, int backlog)
{
    struct sockaddr_in address = plain_address(host, port);
    int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(descriptor >= 0);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address)) {
        close(descriptor);
        return -1;
    }
    if (backlog >= 0)
        assert_int_equal(listen(descriptor, backlog), 0);
    return descriptor;
}

static inline int plain_listener(int *port)
{
    int descriptor = plain_bound(SOCK_STREAM, "127.0.0.1", 0, 128);

    assert_true(descriptor >= 0);
    *port = plain_port(descriptor);
    return descriptor;
}

/* Connected to 127.0.0.1, blocking. */
static inline int plain_connection(int port)
{
    struct sockaddr_in address = plain_address("127.0.0.1", port);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

/* One end is the library's, the other isn't. */
static inline salut_sock *connected_to_plain(int *descriptor)
{
    int port;
    int listener = plain_listener(&port);
    salut_sock *s = salut_socket(SALUT_TCP);

    assert_works(salut_connect(s, "127.0.0.1", port));
    *descriptor = accept(listener, NULL, NULL);
    assert_true(*descriptor >= 0);
    close(listener);
    return s;
}

/* Ends a connection as a crash of its machine would: the peer receives a reset. */
static inline void plain_reset(int descriptor)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(descriptor);
}

/* A port of `host` where nobody listens, and nobody can while the descriptor is open. */
static inline int refusing(const char *host, int *port)
{
    int descriptor = plain_bound(SOCK_STREAM, host, 0, -1);

    assert_true(descriptor >= 0);
    *port = plain_port(descriptor);
    return descriptor;
}

/* A listener that answers no more: its queue is full, so Linux drops what knocks. */
struct black_hole {
    int listener;
    int filler; /* the one connection that its queue of backlog 0 has room for */
};

/* At this port, 0: any. listener is -1 when it is taken. */
static inline struct black_hole dig_black_hole(const char *host, int port)
{
    struct black_hole hole = {.listener = plain_bound(SOCK_STREAM, host, port, 0)};
    struct sockaddr_in address;

    if (hole.listener < 0)
        return hole;
    address = plain_address(host, plain_port(hole.listener));
    hole.filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(hole.filler, (struct sockaddr *)&address, sizeof address), 0);
    return hole;
}

static inline void fill_in(struct black_hole hole)
{
    close(hole.filler);
    close(hole.listener);
}

/* Waits, blocking the thread, until the kernel has something for this descriptor. */
static inline void wait_for(int descriptor, short events)
{
    struct pollfd wanted = {.fd = descriptor, .events = events};

    while (poll(&wanted, 1, -1) < 0)
        assert_int_equal(errno, EINTR);
}

/* ---- Without descriptors --------------------------------------------------------------------- */

static inline void needs_a_true_limit_of_descriptors(void)
{
    needs_no("valgrind", "its own limit takes clients from the listener and drops them");
}

/* No descriptor above those in use; those stay good. */
static inline void allow_no_more_descriptors(void)
{
    struct rlimit none;
    int free_one = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(free_one >= 0);
    close(free_one);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptors_allowed), 0);
    none = descriptors_allowed;
    none.rlim_cur = (rlim_t)free_one;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static inline void allow_descriptors_again(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &descriptors_allowed), 0);
}

/* ---- Time and progress --------------------------------------------------------------------- */

/* Keeps the thread busy, with no fiber running, until the clock says so. */
static inline void hold_thread_until(int64_t when)
{
    while (clock_now() < when)
        ;
}

/* Lets all the fibers that can run do so, until none of them can. */
static inline void let_fibers_run(void)
{
    do
        salut_yield();
    while (scheduler_of_thread->ready.first);
}

static inline void accept_and_close(void *listener)
{
    salut_close(salut_accept(listener, NULL));
}

/* A client whom a fiber has accepted, without having run since. */
static inline int unclaimed_client(salut_sock *listener, salut_fiber **server)
{
    struct engine *e = scheduler_of_thread->engine;
    int client;

    *server = salut_go(accept_and_close, listener);
    let_fibers_run();
    client = plain_connection(port_of(listener));
    e->calls->poll(e, AT_ONCE);
    return client;
}

/* What a fiber of close_for() has done to it. */
struct closing {
    salut_sock *s;
    bool closed;
};

static inline void close_for(void *closing)
{
    struct closing *c = closing;

    c->closed = true;
    salut_close(c->s);
}

#endif
