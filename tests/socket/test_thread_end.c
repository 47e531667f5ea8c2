/* A thread that ends takes its sockets with it. That no memory is left is for LeakSanitizer and
 * valgrind to say; that no descriptor is, for the look around each test. */
#include "support/sockets.h"

#include <pthread.h>
#include <semaphore.h>

static void in_a_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, body, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- Sockets of every kind, left open ------------------------------------------------------ */

static void *leave_all_kinds_open(void *path)
{
    salut_sock *a, *b, *lines, *listener = salut_create_server("localhost:0");
    salut_addr address;

    salut_socket(SALUT_TCP); /* without a descriptor */
    salut_bind(salut_socket(SALUT_UNIX), path, 0);
    salut_bind(salut_socket(SALUT_UDP), "localhost", 0);
    salut_bind(salut_socket(SALUT_UNIX_DATAGRAM), "@", 0);
    salut_local(listener, &address);
    salut_connect(salut_socket(SALUT_TCP), "localhost", salut_addr_port(&address));
    salut_accept(listener, NULL);
    salut_pair(&a, &b);
    salut_set_buffer(a, 1000);
    salut_send(a, "gathered, and lost", 18);
    salut_pair(&lines, &b);
    salut_send(b, "one\ntwo\n", 8);
    salut_recv_line(lines, NULL); /* leaves the second in its buffer */
    return NULL;
}

static void what_a_thread_left_open_is_closed_and_freed(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s", own_path("left"));
    in_a_thread(leave_all_kinds_open, path);
    assert_int_equal(access(path, F_OK), -1); /* as salut_close() does */
}

/* ---- The peer ------------------------------------------------------------------------------ */

static void *keep_the_other_end(void *descriptor)
{
    salut_sock *a, *b;

    salut_pair(&a, &b);
    *(int *)descriptor = dup(salut_fd(b));
    return NULL;
}

static void the_peer_is_told(void **state)
{
    char byte;
    int descriptor;

    (void)state;
    in_a_thread(keep_the_other_end, &descriptor);
    assert_int_equal(read(descriptor, &byte, 1), 0);
    close(descriptor);
}

static void *leave_a_client_unclaimed(void *client)
{
    salut_fiber *server;

    *(int *)client = unclaimed_client(listening("127.0.0.1"), &server);
    return NULL;
}

static void a_client_whom_nobody_serves_is_told(void **state)
{
    int client;
    char byte;

    (void)state;
    in_a_thread(leave_a_client_unclaimed, &client);
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
    close(client);
}

/* ---- Handles ------------------------------------------------------------------------------- */

static void *leave_one_open(void *handle)
{
    *(salut_sock **)handle = salut_socket(SALUT_TCP);
    return NULL;
}

static void its_handle_says_ebadf(void **state)
{
    salut_sock *s = NULL;

    (void)state;
    in_a_thread(leave_one_open, &s);
    assert_non_null(s);
    assert_fails(salut_send(s, "x", 1), EBADF, "the socket was closed when its thread ended");
    assert_fails(salut_close(s), EBADF, "close: the socket was closed");
}

struct visitor {
    salut_sock *socket;
    sem_t there, leave;
};

static void *stay(void *argument)
{
    struct visitor *v = argument;

    v->socket = salut_socket(SALUT_TCP);
    sem_post(&v->there);
    while (sem_wait(&v->leave))
        continue;
    return NULL;
}

static void while_the_thread_lives_it_says_eperm(void **state)
{
    struct visitor v = {.socket = NULL};
    pthread_t thread;

    (void)state;
    sem_init(&v.there, 0, 0);
    sem_init(&v.leave, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, stay, &v), 0);
    while (sem_wait(&v.there))
        continue;
    assert_fails(salut_close(v.socket), EPERM, "another thread");
    sem_post(&v.leave);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_fails(salut_close(v.socket), EBADF, "closed");
}

/* ---- Fibers in the middle of a word -------------------------------------------------------- */

static salut_sock *end_a, *end_b, *full, *waiting_listener;

static void receive(void *s)
{
    char byte;

    salut_recv(*(salut_sock **)s, &byte, 1);
}

static void send_much(void *s)
{
    static char much[8 * 1024 * 1024];

    salut_send(*(salut_sock **)s, much, sizeof much);
}

static void accept_one(void *unused)
{
    (void)unused;
    salut_accept(waiting_listener, NULL);
}

/* Two addresses of a network that is kept for documents: no answer, or no way there at all. */
static void connect_to_nobody(void *unused)
{
    (void)unused;
    salut_connect(salut_socket(SALUT_TCP), "192.0.2.1", 9);
}

static void look_a_name_up(void *unused)
{
    (void)unused;
    salut_connect(salut_socket(SALUT_TCP), "localhost", 9);
}

static void bind_by_name(void *unused)
{
    (void)unused;
    salut_bind(salut_socket(SALUT_UDP), "localhost", 0);
}

static void resolve_only(void *unused)
{
    salut_addr address;

    (void)unused;
    salut_resolve(&address, "localhost", 0);
}

static void gather_much(void *s)
{
    salut_set_buffer(*(salut_sock **)s, 1000);
    send_much(s);
}

static void *leave_fibers_in_words(void *unused)
{
    salut_sock *gathering, *other;

    salut_pair(&end_a, &end_b);
    salut_pair(&full, &other);
    salut_pair(&gathering, &other);
    waiting_listener = salut_create_server("localhost:0");
    salut_go(receive, &end_a);
    salut_go(send_much, &full);
    salut_go(send_much, &full); /* waits for its turn */
    salut_go(gather_much, &gathering);
    salut_go(accept_one, NULL);
    salut_go(connect_to_nobody, NULL);
    salut_go(look_a_name_up, NULL);
    salut_go(bind_by_name, NULL);
    salut_go(resolve_only, NULL);
    salut_yield(); /* now all of them wait */
    return unused;
}

static void fibers_that_wait_in_a_word_leave_nothing(void **state)
{
    (void)state;
    in_a_thread(leave_fibers_in_words, NULL);
}

/* The record of a closed socket stays until the last fiber in a word on it has left it; here none
 * does. */
static void *close_under_a_fiber(void *unused)
{
    salut_pair(&end_a, &end_b);
    salut_go(receive, &end_a);
    salut_yield();
    salut_close(end_a);
    return unused;
}

static void a_socket_closed_under_a_fiber_that_never_runs_again_is_freed(void **state)
{
    (void)state;
    in_a_thread(close_under_a_fiber, NULL);
}

/* ---- In a destructor of the thread --------------------------------------------------------- */

static pthread_key_t later;
static int late_result, late_errno;

static void close_late(void *socket)
{
    late_result = salut_close(socket);
    late_errno = errno;
}

static void *end_with_a_destructor(void *unused)
{
    pthread_setspecific(later, salut_socket(SALUT_TCP));
    return unused;
}

static void a_destructor_that_comes_later_finds_it_closed(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&later, close_late), 0); /* the library's key is older */
    in_a_thread(end_with_a_destructor, NULL);
    assert_int_equal(late_result, -1);
    assert_int_equal(late_errno, EBADF);
    pthread_key_delete(later);
}

/* ---- A thread that ends on a fiber's stack ------------------------------------------------- */

static void end_the_thread(void *unused)
{
    salut_socket(SALUT_TCP);
    salut_create_server("localhost:0");
    pthread_exit(unused);
}

static void *end_within_a_fiber(void *unused)
{
    (void)unused;
    salut_join(salut_go(end_the_thread, NULL));
    return NULL;
}

static void a_thread_that_ends_within_a_fiber_leaves_no_descriptor(void **state)
{
    (void)state;
    needs_no("ThreadSanitizer", "it can't end a thread within a fiber");
    needs_no("AddressSanitizer", "it can't end a thread within a fiber");
    in_a_thread(end_within_a_fiber, NULL);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_thread_left_open_is_closed_and_freed),
        cmocka_unit_test(the_peer_is_told),
        cmocka_unit_test(a_client_whom_nobody_serves_is_told),
        cmocka_unit_test(its_handle_says_ebadf),
        cmocka_unit_test(while_the_thread_lives_it_says_eperm),
        cmocka_unit_test(fibers_that_wait_in_a_word_leave_nothing),
        cmocka_unit_test(a_socket_closed_under_a_fiber_that_never_runs_again_is_freed),
        cmocka_unit_test(a_destructor_that_comes_later_finds_it_closed),
        cmocka_unit_test(a_thread_that_ends_within_a_fiber_leaves_no_descriptor),
    };

    return RUN_SOCKET_TESTS(tests);
}
