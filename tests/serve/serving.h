/* serving.h: what the tests of salut_serve() share: a server on a thread of its own, while the
 * test function's thread is its clients, of plain system calls. */
#ifndef TESTS_SERVE_SERVING_H
#define TESTS_SERVE_SERVING_H

#include "support/sockets.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

struct service {
    const char *address; /* NULL: a port of 127.0.0.1 that the system chooses */
    void (*handler)(salut_sock *client, void *argument);
    void *argument;
    salut_serve_options options;

    pthread_t thread;
    sem_t listens;
    salut_sock *listener;
    int port;
    atomic_bool ended;
    struct outcome outcome;
};

static inline void *run_service(void *argument)
{
    struct service *service = argument;
    salut_addr local;

    service->listener = salut_create_server(service->address ? service->address : "127.0.0.1:0");
    if (!salut_local(service->listener, &local))
        service->port = salut_addr_port(&local);
    sem_post(&service->listens);
    note(&service->outcome,
         salut_serve(service->listener, service->handler, service->argument, &service->options));
    atomic_store(&service->ended, true);
    salut_close(service->listener);
    return NULL;
}

/* Clients may connect from now on; they are served as soon as it has come so far. */
static inline void start_service(struct service *service)
{
    sem_init(&service->listens, 0, 0);
    assert_int_equal(pthread_create(&service->thread, NULL, run_service, service), 0);
    while (sem_wait(&service->listens))
        ;
    assert_non_null(service->listener);
}

static inline void join_service(struct service *service)
{
    pthread_join(service->thread, NULL);
    sem_destroy(&service->listens);
}

/* salut_stop(), as soon as it serves. */
static inline void stop_service(struct service *service)
{
    while (salut_stop(service->listener) && !atomic_load(&service->ended))
        sched_yield();
    salut_clear_error();
}

/* Stops it, and all conversations have ended by themselves. */
static inline void end_service(struct service *service)
{
    stop_service(service);
    join_service(service);
    if (service->outcome.result)
        fail_msg("salut_serve: %s", service->outcome.sentence);
}

/* ---- On a fiber ---------------------------------------------------------------------------- */

/* A server on a fiber of the test function's own thread. */
struct fiber_service {
    salut_sock *listener;
    int port;
    void (*handler)(salut_sock *client, void *argument);
    void *argument;
    salut_serve_options options;
    salut_fiber *fiber;
    struct outcome outcome, next_wait;
};

static inline void run_fiber_service(void *argument)
{
    struct fiber_service *service = argument;

    note(&service->outcome,
         salut_serve(service->listener, service->handler, service->argument, &service->options));
    salut_clear_error();
    note(&service->next_wait, salut_sleep(0.001));
}

static inline void start_fiber_service(struct fiber_service *service)
{
    service->listener = listening("127.0.0.1");
    service->port = port_of(service->listener);
    service->fiber = salut_go(run_fiber_service, service);
    let_fibers_run();
    assert_false(service->outcome.done);
}

/* Its end was as it should be, and left no trace on its fiber. */
static inline void assert_ended_well(struct fiber_service *service)
{
    assert_works(salut_join(service->fiber));
    if (service->outcome.result)
        fail_msg("salut_serve: %s", service->outcome.sentence);
    if (service->next_wait.result)
        fail_msg("the wait after it: %s", service->next_wait.sentence);
}

/* ---- Clients ------------------------------------------------------------------------------- */

static inline void says(int client, const char *text)
{
    ssize_t size = (ssize_t)strlen(text);

    assert_int_equal(send(client, text, (size_t)size, MSG_NOSIGNAL), size);
}

/* Reads exactly this; it is waited for. */
static inline void hears(int client, const char *text)
{
    size_t size = strlen(text), got = 0;
    char heard[256];

    while (got < size) {
        ssize_t more = read(client, heard + got, size - got);
        if (more <= 0)
            fail_msg("the client heard %zd after \"%.*s\": %s", more, (int)got, heard,
                     strerror(errno));
        got += (size_t)more;
    }
    assert_memory_equal(heard, text, size);
}

static inline void hears_the_end(int client)
{
    char byte;

    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
}

/* ---- Handlers ------------------------------------------------------------------------------ */

static inline void echo(salut_sock *client, void *argument)
{
    char text[1024];
    ssize_t size;

    (void)argument;
    while ((size = salut_recv(client, text, sizeof text)) > 0 &&
           salut_send(client, text, (size_t)size) > 0)
        ;
}

static inline void serve_one_echo(struct service *service)
{
    int client = plain_connection(service->port);

    says(client, "salut");
    hears(client, "salut");
    shutdown(client, SHUT_WR);
    hears_the_end(client);
}

/* ---- A process of its own ------------------------------------------------------------------ */

/* What a test can't do in its own process: the program starts itself with the name of a life,
 * which main() lives, with CHILD_ASSERT(). */
struct life {
    const char *name;
    void (*be)(void);
};

static const char *this_program; /* argv[0] */

static inline int live(const struct life *lives, const char *name)
{
    for (; lives->name; lives++) {
        if (!strcmp(name, lives->name)) {
            lives->be();
            return 0;
        }
    }
    return 2;
}

static inline void assert_lives(const char *name)
{
    const char *emulator = getenv("SALUT_EMULATOR");
    char command[1024];

    snprintf(command, sizeof command, "exec %s '%s' %s", emulator ? emulator : "", this_program,
             name);
    assert_int_equal(system(command), 0);
}

/* ---- The suite ----------------------------------------------------------------------------- */

/* How many threads this process has. */
static inline int count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    while (directory && (entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return count;
}

/* A thread that was joined may be listed for a moment yet: waits for so many, within reason. How
 * many there are at the end. */
static inline int threads_become(int expected)
{
    time_t patience = time(NULL) + 10;

    while (count_threads() != expected && time(NULL) < patience)
        sched_yield();
    return count_threads();
}

/* The thread that waits for signals is there for good: before a test. */
static inline int warm_up_service(void **state)
{
    struct service service = {.handler = echo, .options.workers = 1};

    warm_up(state);
    start_service(&service);
    end_service(&service);
    return 0;
}

static inline int run_service_tests(const char *name, struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = begin_test;
        tests[i].teardown_func = end_test;
    }
    return _cmocka_run_group_tests(name, tests, count, warm_up_service, NULL);
}

#define RUN_SERVICE_TESTS(tests) run_service_tests(#tests, tests, sizeof(tests) / sizeof *(tests))

#endif
