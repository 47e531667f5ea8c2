/* test_serve.c: salut_serve(): who is served, where, and what can't be. */
#include "serve/serving.h"

#include <alloca.h>
#include <dlfcn.h>
#include <math.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The library's threads come by here: after so many, no further one can be had; -1: all can. */
static atomic_int threads_to_be_had = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    static create *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (atomic_load(&threads_to_be_had) == 0)
        return EAGAIN;
    if (atomic_load(&threads_to_be_had) > 0)
        atomic_fetch_sub(&threads_to_be_had, 1);
    return real(thread, attributes, run, argument);
}

/* ---- Clients are served -------------------------------------------------------------------- */

static void each_number_of_workers_serves_many_clients_at_once(void **state)
{
    static const unsigned workers[] = {1, 2, 4};
    enum { CLIENTS = 40, ROUNDS = 5 };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct service service = {.handler = echo, .options.workers = workers[i]};
        int clients[CLIENTS];
        char text[64];
        start_service(&service);
        for (int k = 0; k < CLIENTS; k++)
            clients[k] = plain_connection(service.port);
        for (int round = 0; round < ROUNDS; round++) {
            for (int k = 0; k < CLIENTS; k++) {
                snprintf(text, sizeof text, "client %d, round %d", k, round);
                says(clients[k], text);
            }
            for (int k = CLIENTS - 1; k >= 0; k--) {
                snprintf(text, sizeof text, "client %d, round %d", k, round);
                hears(clients[k], text);
            }
        }
        for (int k = 0; k < CLIENTS; k++)
            close(clients[k]);
        end_service(&service);
    }
}

static void it_serves_by_default_on_as_many_threads_as_it_has_cores(void **state)
{
    struct service service = {.handler = echo};
    int threads = count_threads();
    cpu_set_t cores;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof cores, &cores), 0);
    start_service(&service);
    serve_one_echo(&service);
    assert_int_equal(threads_become(threads + CPU_COUNT(&cores)), threads + CPU_COUNT(&cores));
    end_service(&service);
    assert_int_equal(threads_become(threads), threads);
}

/* Says on which thread it is served, then waits for the end. */
static void say_thread(salut_sock *client, void *argument)
{
    char text[16];

    (void)argument;
    snprintf(text, sizeof text, "%015ld", syscall(SYS_gettid));
    salut_send(client, text, 15);
    salut_recv(client, text, 1);
}

static long hear_thread(int client)
{
    char text[16] = "";

    for (size_t got = 0; got < 15;) {
        ssize_t more = read(client, text + got, 15 - got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    return atol(text);
}

/* How many of the threads' clients the busiest one has, and how many threads there are. */
static int busiest(const long *threads, int count, int *different)
{
    int most = 0;

    *different = 0;
    for (int i = 0; i < count; i++) {
        int here = 0, before = 0;
        for (int k = 0; k < count; k++) {
            here += threads[k] == threads[i];
            before += k < i && threads[k] == threads[i];
        }
        most = here > most ? here : most;
        *different += before == 0;
    }
    return most;
}

static void clients_are_shared_out_evenly(void **state)
{
    enum { CLIENTS = 100, WORKERS = 4 };
    struct service service = {.handler = say_thread, .options.workers = WORKERS};
    int clients[CLIENTS], different;
    long threads[CLIENTS];

    (void)state;
    start_service(&service);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = plain_connection(service.port);
    for (int i = 0; i < CLIENTS; i++)
        threads[i] = hear_thread(clients[i]);
    assert_int_equal(busiest(threads, CLIENTS, &different), CLIENTS / WORKERS);
    assert_int_equal(different, WORKERS);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    end_service(&service);
}

/* New clients go where others have left: all of one worker's go, and as many come again. */
static void a_worker_whose_clients_left_gets_the_next_ones(void **state)
{
    enum { CLIENTS = 40, WORKERS = 2 };
    struct service service = {.handler = say_thread, .options.workers = WORKERS};
    int clients[CLIENTS], different;
    long threads[CLIENTS], first;

    (void)state;
    start_service(&service);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = plain_connection(service.port);
    for (int i = 0; i < CLIENTS; i++)
        threads[i] = hear_thread(clients[i]);
    first = threads[0];
    for (int i = 0; i < CLIENTS; i++) {
        if (threads[i] != first)
            continue;
        shutdown(clients[i], SHUT_WR);
        hears_the_end(clients[i]);
        clients[i] = -1;
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i] >= 0)
            continue;
        clients[i] = plain_connection(service.port);
        threads[i] = hear_thread(clients[i]);
    }
    /* The last of those who left may be counted for a moment yet, after its socket's end. */
    assert_true(busiest(threads, CLIENTS, &different) <= CLIENTS / WORKERS + 1);
    assert_int_equal(different, WORKERS);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    end_service(&service);
}

static void greet(salut_sock *client, void *argument)
{
    salut_send_line(client, argument);
}

static void the_socket_is_closed_when_the_handler_returns(void **state)
{
    struct service service = {.handler = greet, .argument = "bonjour", .options.workers = 2};

    (void)state;
    start_service(&service);
    for (int i = 0; i < 20; i++) {
        int client = plain_connection(service.port);
        hears(client, "bonjour\n");
        hears_the_end(client);
    }
    end_service(&service);
}

/* Then the system resets the connection, as close() with unread data does: nobody is harmed. */
static void a_handler_may_return_with_data_unread(void **state)
{
    struct service service = {.handler = greet, .argument = "go away", .options.workers = 2};
    char text[16];

    (void)state;
    start_service(&service);
    for (int i = 0; i < 20; i++) {
        int client = plain_connection(service.port);
        send(client, "a long story", 12, MSG_NOSIGNAL);
        while (read(client, text, sizeof text) > 0)
            ;
        close(client);
    }
    end_service(&service);
}

static atomic_int failures;

/* Runs when the handler that started it has returned. */
static void close_what_is_left(void *s)
{
    salut_yield();
    if (salut_close(s))
        atomic_fetch_add(&failures, 1);
}

/* The second socket may get the first one's slot: it must be left alone. */
static void close_early(salut_sock *client, void *argument)
{
    (void)argument;
    if (salut_send_line(client, "bye") != 3 || salut_close(client))
        atomic_fetch_add(&failures, 1);
    salut_go(close_what_is_left, salut_socket(SALUT_TCP));
}

static void a_handler_may_close_the_socket_itself(void **state)
{
    struct service service = {.handler = close_early, .options.workers = 2};

    (void)state;
    start_service(&service);
    for (int i = 0; i < 20; i++) {
        int client = plain_connection(service.port);
        hears(client, "bye\n");
        hears_the_end(client);
    }
    end_service(&service);
    assert_int_equal(failures, 0);
}

static void gather_and_return(salut_sock *client, void *argument)
{
    (void)argument;
    salut_set_buffer(client, 4096);
    for (int i = 0; i < 100; i++)
        salut_send(client, "salut ", 6);
}

static void what_a_handler_gathered_is_sent_when_it_returns(void **state)
{
    struct service service = {.handler = gather_and_return, .options.workers = 2};
    int client;

    (void)state;
    start_service(&service);
    client = plain_connection(service.port);
    for (int i = 0; i < 100; i++)
        hears(client, "salut ");
    hears_the_end(client);
    end_service(&service);
}

static void unix_clients_are_served_too(void **state)
{
    char address[160];
    struct service service = {.address = address, .handler = echo, .options.workers = 2};
    struct sockaddr_un path = {.sun_family = AF_UNIX};

    (void)state;
    snprintf(address, sizeof address, "unix:%s", own_path("door"));
    strcpy(path.sun_path, own_path("door"));
    start_service(&service);
    for (int i = 0; i < 10; i++) {
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&path, sizeof path), 0);
        says(client, "salut");
        hears(client, "salut");
        shutdown(client, SHUT_WR);
        hears_the_end(client);
    }
    end_service(&service);
    assert_int_equal(access(path.sun_path, F_OK), -1); /* the listener's close took it away */
}

static void say_peer(salut_sock *client, void *argument)
{
    salut_addr peer;
    char text[64];

    (void)argument;
    if (salut_peer(client, &peer))
        return;
    snprintf(text, sizeof text, "%s:%d", salut_addr_host(&peer), salut_addr_port(&peer));
    salut_send_line(client, text);
    salut_recv(client, text, 0);
    salut_send_line(client, salut_error()); /* "recv: the buffer has no room (size is 0)" */
    salut_clear_error();
    salut_recv_line(client, NULL);
    salut_send_line(client, salut_failed() ? salut_error() : "");
}

static void handlers_know_their_clients_on_every_worker(void **state)
{
    struct service service = {.handler = say_peer, .options.workers = 3};
    char expected[64];

    (void)state;
    start_service(&service);
    for (int i = 0; i < 6; i++) {
        int client = plain_connection(service.port);
        snprintf(expected, sizeof expected, "127.0.0.1:%d\n", plain_port(client));
        hears(client, expected);
        hears(client, "recv: the buffer has no room (size is 0)\n");
        says(client, "half a line");
        shutdown(client, SHUT_WR);
        snprintf(expected, sizeof expected, "recv_line from 127.0.0.1:%d: ", plain_port(client));
        hears(client, expected);
        hears(client, "the peer ended in the middle of a line, after 11 bytes of it\n");
        hears_the_end(client);
    }
    end_service(&service);
}

/* ---- Stacks -------------------------------------------------------------------------------- */

enum { DEEP = 300 * 1024 };

static void use_much_stack(salut_sock *client, void *argument)
{
    char *room = alloca(DEEP);

    (void)argument;
    memset(room, 'x', DEEP);
    salut_send(client, room + DEEP - 5, 5);
}

static void handlers_have_as_much_stack_as_was_asked_for(void **state)
{
    struct service service = {.handler = use_much_stack,
                              .options = {.workers = 2, .stack_bytes = DEEP + 64 * 1024}};

    (void)state;
    start_service(&service);
    for (int i = 0; i < 4; i++) {
        int client = plain_connection(service.port);
        hears(client, "xxxxx");
        hears_the_end(client);
    }
    end_service(&service);
}

static volatile int sink;

static __attribute__((noinline)) int go_deeper(int depth)
{
    volatile char bytes[512];

    bytes[0] = (char)depth;
    sink = bytes[0] + (depth < 0 ? 0 : go_deeper(depth + 1));
    return bytes[0];
}

static void overrun_when_told(salut_sock *client, void *argument)
{
    char word = '.';

    (void)argument;
    while (word != '!' && salut_recv(client, &word, 1) == 1)
        ;
    go_deeper(1);
}

/* The last client is the last worker's. */
static int victims;

static void serve_until_it_dies(void)
{
    struct service service = {.handler = overrun_when_told, .options.workers = (unsigned)victims};
    int client = -1;

    start_service(&service);
    for (int i = 0; i < victims; i++) {
        client = plain_connection(service.port);
        says(client, ".");
    }
    says(client, "!");
    join_service(&service);
}

static void a_handler_that_overruns_its_stack_dies_with_a_sentence(void **state)
{
    (void)state;
    needs_no("AddressSanitizer", "its own handler reports the fault");
    needs_no("ThreadSanitizer", "its own handler reports the fault");
    for (victims = 1; victims <= 2; victims++) {
        struct ending ending = end_of_child(serve_until_it_dies);
        if (!WIFSIGNALED(ending.status) || WTERMSIG(ending.status) != SIGSEGV)
            fail_msg("the child ended with status 0x%x and said: %s", ending.status, ending.said);
        assert_non_null(strstr(ending.said, "salut: a fiber ran over the end of its stack"));
    }
}

/* ---- Two servers --------------------------------------------------------------------------- */

static void a_listener_may_be_served_again_and_again(void **state)
{
    struct service service = {.handler = echo, .options.workers = 2};

    (void)state;
    for (int i = 0; i < 10; i++) {
        start_service(&service);
        serve_one_echo(&service);
        end_service(&service);
    }
}

static void two_servers_on_two_threads_are_stopped_each_by_itself(void **state)
{
    struct service one = {.handler = greet, .argument = "one", .options.workers = 2};
    struct service two = {.handler = greet, .argument = "two", .options.workers = 2};
    int client;

    (void)state;
    start_service(&one);
    start_service(&two);
    client = plain_connection(two.port);
    hears(client, "two\n");
    hears_the_end(client);
    end_service(&two);
    client = plain_connection(one.port);
    hears(client, "one\n");
    hears_the_end(client);
    end_service(&one);
}

/* A library socket's conversation with it, since this thread must not block. */
static void echoes(salut_sock *s)
{
    char text[5];

    assert_returns(salut_send(s, "salut", 5), 5);
    assert_returns(salut_recv_exactly(s, text, 5), 5);
    assert_memory_equal(text, "salut", 5);
}

static salut_sock *fiber_client(int port)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    assert_works(salut_connect(s, "127.0.0.1", port));
    return s;
}

static void two_servers_on_one_thread_take_turns(void **state)
{
    struct fiber_service one = {.handler = echo, .options.workers = 2};
    struct fiber_service two = {.handler = echo, .options.workers = 1};
    salut_sock *of_one, *of_two;

    (void)state;
    start_fiber_service(&one);
    start_fiber_service(&two);
    of_one = fiber_client(one.port);
    of_two = fiber_client(two.port);
    echoes(of_one);
    echoes(of_two);
    assert_works(salut_stop(one.listener));
    assert_works(salut_close(of_one));
    assert_ended_well(&one);
    echoes(of_two);
    assert_works(salut_close(of_two));
    assert_works(salut_stop(two.listener));
    assert_ended_well(&two);
    assert_works(salut_close(one.listener));
    assert_works(salut_close(two.listener));
}

static void two_servers_of_one_listener_are_one_too_many(void **state)
{
    struct fiber_service one = {.handler = echo, .options.workers = 1};

    (void)state;
    start_fiber_service(&one);
    assert_fails(salut_serve(one.listener, echo, NULL, NULL), EBUSY, "another fiber is accepting");
    assert_none(salut_accept(one.listener, NULL), EBUSY, "another fiber is accepting");
    assert_works(salut_stop(one.listener));
    assert_ended_well(&one);
    assert_works(salut_close(one.listener));
}

/* By a descriptor that is the program's too. Who is served meanwhile is served to the end. */
static void a_listener_that_is_ended_from_outside_ends_the_server(void **state)
{
    struct fiber_service one = {.handler = echo, .options.workers = 1};
    salut_sock *client;

    (void)state;
    start_fiber_service(&one);
    client = fiber_client(one.port);
    echoes(client);
    shutdown(salut_fd(one.listener), SHUT_RDWR);
    let_fibers_run();
    assert_false(one.outcome.done);
    echoes(client);
    assert_works(salut_close(client));
    assert_works(salut_join(one.fiber));
    assert_outcome(one.outcome, EINVAL, "serve on 127.0.0.1");
    assert_works(salut_close(one.listener));
}

/* ---- What can't be ------------------------------------------------------------------------- */

static void options_that_make_no_sense_are_refused_by_name(void **state)
{
    static const struct {
        salut_serve_options options;
        const char *name;
    } wrong[] = {
        {{.workers = 1025}, "workers"},
        {{.idle_seconds = -1}, "idle_seconds"},
        {{.idle_seconds = NAN}, "idle_seconds"},
        {{.request_seconds = -0.5}, "request_seconds"},
        {{.request_seconds = NAN}, "request_seconds"},
        {{.drain_seconds = -1}, "drain_seconds"},
        {{.drain_seconds = NAN}, "drain_seconds"},
        {{.stack_bytes = 100}, "stack_bytes"},
        {{.stack_bytes = ((size_t)1 << 30) + 1}, "stack_bytes"},
        {{.stack_bytes = SIZE_MAX}, "stack_bytes"},
        {{.stack_bytes = SIZE_MAX / 16}, "stack_bytes"},
    };
    salut_sock *listener = listening("127.0.0.1");

    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_fails(salut_serve(listener, echo, NULL, &wrong[i].options), EINVAL, wrong[i].name);
        assert_says("serve: the option");
    }
    assert_fails(salut_serve(listener, NULL, NULL, NULL), EINVAL, "the handler is NULL");
    assert_works(salut_close(listener));
}

static void only_listeners_can_be_served(void **state)
{
    salut_sock *fresh = salut_socket(SALUT_TCP), *a, *b;
    salut_addr address;
    salut_sock *datagrams = datagrams_at("127.0.0.1", &address);

    (void)state;
    connected(&a, &b);
    assert_fails(salut_serve(fresh, echo, NULL, NULL), EINVAL, "isn't listening");
    assert_fails(salut_serve(datagrams, echo, NULL, NULL), EINVAL, "isn't listening");
    assert_fails(salut_serve(a, echo, NULL, NULL), EINVAL, "isn't listening");
    assert_works(salut_close(fresh));
    assert_fails(salut_serve(fresh, echo, NULL, NULL), EBADF, "closed");
    salut_clear_error();
    assert_fails(salut_serve(NULL, echo, NULL, NULL), EBADF, "serve: the socket is NULL");
    assert_works(salut_close(datagrams));
    assert_works(salut_close(a));
    assert_works(salut_close(b));
}

/* ---- Threads that can't be had ------------------------------------------------------------- */

static void count_client(salut_sock *client, void *served)
{
    (void)client;
    atomic_fetch_add((atomic_int *)served, 1);
}

static void without_all_its_threads_it_serves_nobody(void **state)
{
    atomic_int served = 0;
    salut_serve_options options = {.workers = 4};
    salut_sock *listener = listening("127.0.0.1");
    int client = plain_connection(port_of(listener)), threads = count_threads();

    (void)state;
    for (int had = 0; had < 3; had++) {
        char part[64];
        atomic_store(&threads_to_be_had, had);
        snprintf(part, sizeof part, "only %d of 4 workers could be started", had + 1);
        assert_fails(salut_serve(listener, count_client, &served, &options), EAGAIN, part);
        assert_int_equal(threads_become(threads), threads);
        assert_fails(salut_stop(listener), EINVAL, "nobody is serving");
    }
    atomic_store(&threads_to_be_had, -1);
    assert_int_equal(served, 0);
    salut_clear_error();
    close(client);
    assert_works(salut_close(listener));
}

static void serve_canceled(void *argument)
{
    struct fiber_service *service = argument;

    salut_sleep(1000);
    run_fiber_service(service);
}

/* The one who calls may itself be asked to end: it still takes its threads with it. */
static void a_canceled_fiber_takes_its_threads_down_too(void **state)
{
    struct fiber_service service = {.handler = echo, .options.workers = 3};
    int threads = count_threads();

    (void)state;
    service.listener = listening("127.0.0.1");
    service.fiber = salut_go(serve_canceled, &service);
    let_fibers_run();
    atomic_store(&threads_to_be_had, 1);
    assert_works(salut_cancel(service.fiber));
    assert_works(salut_join(service.fiber));
    atomic_store(&threads_to_be_had, -1);
    assert_outcome(service.outcome, EAGAIN, "only 2 of 3 workers");
    assert_int_equal(service.next_wait.number, ECANCELED); /* it is still asked to end */
    assert_int_equal(threads_become(threads), threads);
    assert_works(salut_close(service.listener));
}

/* The rest needs a process that hasn't started the thread for signals yet. What a sanitizer starts
 * with the first thread is there before the threads are counted. */
static void *return_at_once(void *unused)
{
    return unused;
}

static salut_sock *begin_process(void)
{
    pthread_t thread;

    CHILD_ASSERT(pthread_create(&thread, NULL, return_at_once, NULL) == 0);
    CHILD_ASSERT(pthread_join(thread, NULL) == 0);
    return salut_create_server("127.0.0.1:0");
}

static void be_without_a_thread_for_signals(void)
{
    salut_serve_options options = {.workers = 2};
    salut_sock *listener = begin_process();
    int threads = count_threads();

    atomic_store(&threads_to_be_had, 1);
    CHILD_ASSERT(salut_serve(listener, echo, NULL, &options) == -1 && errno == EAGAIN);
    CHILD_ASSERT(strstr(salut_error(), "serve: the way to stop it could not be prepared"));
    CHILD_ASSERT(!strstr(salut_error(), "timeout")); /* EAGAIN means another thing here */
    CHILD_ASSERT(threads_become(threads) == threads);
    CHILD_ASSERT(salut_close(listener) == 0);
}

/* As nobody, who may have no more threads. */
static void be_without_threads(void)
{
    salut_serve_options options = {.workers = 2};
    struct rlimit none = {1, 1};
    salut_sock *listener = begin_process();

    CHILD_ASSERT(setrlimit(RLIMIT_NPROC, &none) == 0 && setresuid(65534, 65534, 65534) == 0);
    CHILD_ASSERT(salut_serve(listener, echo, NULL, &options) == -1 && errno == EAGAIN);
    CHILD_ASSERT(strstr(salut_error(), "serve: only 1 of 2 workers could be started: the system"));
    CHILD_ASSERT(salut_close(listener) == 0);
}

static void be_without_descriptors(void)
{
    salut_serve_options options = {.workers = 3};
    salut_sock *listener = begin_process();
    struct rlimit few = {(rlim_t)salut_fd(listener) + 2, (rlim_t)salut_fd(listener) + 2};

    CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &few) == 0);
    CHILD_ASSERT(salut_serve(listener, echo, NULL, &options) == -1 && errno == EAGAIN);
    CHILD_ASSERT(strstr(salut_error(), "serve: only 1 of 3 workers could be started: "));
    CHILD_ASSERT(strstr(salut_error(), "too many open descriptors"));
    CHILD_ASSERT(salut_close(listener) == 0);
}

static const struct life lives[] = {
    {"without-signals", be_without_a_thread_for_signals},
    {"without-threads", be_without_threads},
    {"without-descriptors", be_without_descriptors},
    {0},
};

static void without_a_thread_for_signals_it_serves_nobody(void **state)
{
    (void)state;
    assert_lives("without-signals");
}

static void the_systems_limit_of_threads_is_told(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        printf("left out: only root can become somebody who may have no more threads\n");
        skip();
    }
    needs_no("AddressSanitizer", "it needs a thread itself to look for leaks");
    assert_lives("without-threads");
}

static void the_systems_limit_of_descriptors_is_told(void **state)
{
    (void)state;
    needs_a_true_limit_of_descriptors();
    assert_lives("without-descriptors");
}

int main(int argc, char **argv)
{
    struct CMUnitTest serve[] = {
        cmocka_unit_test(each_number_of_workers_serves_many_clients_at_once),
        cmocka_unit_test(it_serves_by_default_on_as_many_threads_as_it_has_cores),
        cmocka_unit_test(clients_are_shared_out_evenly),
        cmocka_unit_test(a_worker_whose_clients_left_gets_the_next_ones),
        cmocka_unit_test(the_socket_is_closed_when_the_handler_returns),
        cmocka_unit_test(a_handler_may_return_with_data_unread),
        cmocka_unit_test(a_handler_may_close_the_socket_itself),
        cmocka_unit_test(what_a_handler_gathered_is_sent_when_it_returns),
        cmocka_unit_test(unix_clients_are_served_too),
        cmocka_unit_test(handlers_know_their_clients_on_every_worker),
        cmocka_unit_test(handlers_have_as_much_stack_as_was_asked_for),
        cmocka_unit_test(a_handler_that_overruns_its_stack_dies_with_a_sentence),
        cmocka_unit_test(a_listener_may_be_served_again_and_again),
        cmocka_unit_test(two_servers_on_two_threads_are_stopped_each_by_itself),
        cmocka_unit_test(two_servers_on_one_thread_take_turns),
        cmocka_unit_test(two_servers_of_one_listener_are_one_too_many),
        cmocka_unit_test(a_listener_that_is_ended_from_outside_ends_the_server),
        cmocka_unit_test(options_that_make_no_sense_are_refused_by_name),
        cmocka_unit_test(only_listeners_can_be_served),
        cmocka_unit_test(without_all_its_threads_it_serves_nobody),
        cmocka_unit_test(a_canceled_fiber_takes_its_threads_down_too),
        cmocka_unit_test(without_a_thread_for_signals_it_serves_nobody),
        cmocka_unit_test(the_systems_limit_of_threads_is_told),
        cmocka_unit_test(the_systems_limit_of_descriptors_is_told),
    };

    if (argc > 1)
        return live(lives, argv[1]);
    this_program = argv[0];
    return RUN_SERVICE_TESTS(serve);
}
