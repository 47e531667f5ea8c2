/* test_fork.c: a program that forks after it has used the library. The child goes on with copies
 * of the sockets of the thread that forked, and with the one fiber that did. */
#include "support/sockets.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* What a child wants its parent to see. */
static struct {
    atomic_int turns, served[4];
    atomic_int port;
} * shared;

static pid_t in_child(void (*body)(void *argument), void *argument)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child)
        return child;
    body(argument);
    _exit(0);
}

static void assert_content(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail_msg("the child ended with status 0x%x", status);
}

/* ---- Connections --------------------------------------------------------------------------- */

struct ends {
    salut_sock *a, *b, *c, *d;
};

static void receive_later(void *end)
{
    char byte;

    salut_recv(end, &byte, 1);
}

/* Both ends of both pairs, enrolled with the parent's epoll: somebody has waited there. */
static struct ends waited_on(void)
{
    struct ends e;

    salut_pair(&e.a, &e.b);
    salut_pair(&e.c, &e.d);
    salut_go(receive_later, e.a);
    salut_go(receive_later, e.c);
    let_fibers_run();
    salut_send(e.b, "1", 1);
    salut_send(e.d, "1", 1);
    let_fibers_run();
    let_fibers_run();
    return e;
}

static void close_ends(struct ends *e)
{
    salut_close(e->a);
    salut_close(e->b);
    salut_close(e->c);
    salut_close(e->d);
}

/* The trap of a shared epoll: what the child enrolls and closes is the parent's too. */
static void talk_in_the_child(void *ends)
{
    struct ends *e = ends;
    salut_sock *own_a, *own_b;
    char byte = 0;

    CHILD_ASSERT(salut_pair(&own_a, &own_b) == 0);
    salut_settimeout(own_a, 0.001);
    CHILD_ASSERT(salut_recv(own_a, &byte, 1) == -1 && errno == ETIMEDOUT);
    CHILD_ASSERT(salut_close(e->c) == 0);
    CHILD_ASSERT(salut_close(e->d) == 0);
    CHILD_ASSERT(salut_send(e->a, "?", 1) == 1);
    CHILD_ASSERT(salut_recv(e->a, &byte, 1) == 1); /* waits: the parent answers later */
    CHILD_ASSERT(byte == '!');
}

static void answer(void *end)
{
    char byte;

    salut_recv(end, &byte, 1);
    salut_send(end, "!", 1);
}

static void parent_and_child_wait_each_for_their_own(void **state)
{
    struct ends e = waited_on();
    pid_t child = in_child(talk_in_the_child, &e);
    char byte;

    (void)state;
    answer(e.b);
    assert_content(child);
    salut_go(answer, e.d);
    assert_int_equal(salut_send(e.c, "?", 1), 1);
    assert_int_equal(salut_recv(e.c, &byte, 1), 1);
    assert_int_equal(byte, '!');
    close_ends(&e);
}

static void sleep_in_the_child(void *unused)
{
    int64_t before = clock_now();

    (void)unused;
    CHILD_ASSERT(salut_sleep(0.01) == 0);
    CHILD_ASSERT(clock_now() - before >= NANOSECONDS / 100);
}

static void a_child_sleeps(void **state)
{
    (void)state;
    assert_content(in_child(sleep_in_the_child, NULL));
}

static void fork_again(void *ends)
{
    int status = -1;
    pid_t child;

    sleep_in_the_child(NULL);
    child = in_child(talk_in_the_child, ends);
    CHILD_ASSERT(waitpid(child, &status, 0) == child && status == 0);
}

static void so_does_a_childs_child(void **state)
{
    struct ends e = waited_on();
    pid_t child = in_child(fork_again, &e);

    (void)state;
    answer(e.b);
    assert_content(child);
    close_ends(&e);
}

static void read_the_line_that_has_come(void *s)
{
    char *line = salut_recv_line(s, NULL);

    CHILD_ASSERT(line && !strcmp(line, "two"));
}

static void both_have_what_was_received_already(void **state)
{
    salut_sock *a, *b;
    char *line;

    (void)state;
    salut_pair(&a, &b);
    salut_send(b, "one\ntwo\n", 8);
    assert_string_equal(salut_recv_line(a, NULL), "one");
    assert_content(in_child(read_the_line_that_has_come, a));
    line = salut_recv_line(a, NULL);
    assert_string_equal(line, "two");
    salut_close(a);
    salut_close(b);
}

static void flush_in_the_child(void *s)
{
    CHILD_ASSERT(salut_flush(s) == 0);
    CHILD_ASSERT(salut_send(s, "child ", 6) == 6);
    CHILD_ASSERT(salut_close(s) == 0);
}

static void what_was_gathered_is_sent_once(void **state)
{
    salut_sock *a, *b;
    char buffer[64] = "";

    (void)state;
    salut_pair(&a, &b);
    salut_set_buffer(a, 1000);
    salut_send(a, "parent ", 7);
    assert_content(in_child(flush_in_the_child, a));
    assert_works(salut_close(a));
    assert_int_equal(salut_recv_exactly(b, buffer, 13), 13);
    assert_string_equal(buffer, "child parent ");
    assert_int_equal(salut_recv(b, buffer, 1), 0);
    salut_close(b);
}

/* ---- Fibers -------------------------------------------------------------------------------- */

static void count_turns(void *unused)
{
    (void)unused;
    for (;;) {
        atomic_fetch_add(&shared->turns, 1);
        if (salut_yield())
            return;
    }
}

static void look_for_others(void *other)
{
    int before = atomic_load(&shared->turns);

    for (int i = 0; i < 10; i++)
        salut_yield();
    salut_sleep(0.001);
    CHILD_ASSERT(atomic_load(&shared->turns) == before);
    CHILD_ASSERT(salut_join(other) == 0); /* it has ended */
    CHILD_ASSERT(salut_cancel(other) == 0);
}

static void only_the_fiber_that_forked_goes_on(void **state)
{
    salut_fiber *other = salut_go(count_turns, NULL);
    pid_t child;

    (void)state;
    salut_yield();
    child = in_child(look_for_others, other); /* which the parent waits for, without a turn */
    assert_content(child);
    salut_cancel(other);
    salut_join(other);
    salut_clear_error();
}

static void use_what_the_others_were_at(void *ends)
{
    static char much[4 * 1024 * 1024];
    struct ends *e = ends;
    char byte;

    salut_settimeout(e->a, 0.001);
    CHILD_ASSERT(salut_recv(e->a, &byte, 1) == -1 && errno == ETIMEDOUT);
    salut_settimeout(e->c, 0.001);
    CHILD_ASSERT(salut_send(e->c, much, sizeof much) == -1 && errno == ETIMEDOUT);
    CHILD_ASSERT(salut_close(e->a) == 0);
    CHILD_ASSERT(salut_close(e->c) == 0);
}

static void send_much(void *end)
{
    static char much[4 * 1024 * 1024];

    salut_send(end, much, sizeof much);
}

static void sockets_that_the_others_were_at_are_free(void **state)
{
    struct ends e;
    pid_t child;

    (void)state;
    salut_pair(&e.a, &e.b);
    salut_pair(&e.c, &e.d);
    salut_go(receive_later, e.a);
    salut_go(send_much, e.c);
    salut_go(send_much, e.c);
    let_fibers_run();
    child = in_child(use_what_the_others_were_at, &e);
    assert_content(child);
    close_ends(&e);
    let_fibers_run();
    salut_clear_error();
}

/* In the child it is nobody's; in the parent, whoever was at it frees it. */
static void one_that_was_closed_under_them_is_freed(void **state)
{
    salut_sock *a, *b;
    salut_fiber *waiting;
    pid_t child;

    (void)state;
    salut_pair(&a, &b);
    waiting = salut_go(receive_later, a);
    let_fibers_run();
    assert_works(salut_close(a));
    child = in_child(sleep_in_the_child, NULL); /* before the other has left its word */
    assert_content(child);
    salut_join(waiting);
    salut_close(b);
    salut_clear_error();
}

static void *fork_without_fibers(void *child)
{
    *(pid_t *)child = in_child(end_at_once, NULL);
    return NULL;
}

static void a_thread_without_fibers_forks(void **state)
{
    pthread_t thread;
    pid_t child = 0;

    (void)state;
    salut_yield(); /* this one has them */
    pthread_create(&thread, NULL, fork_without_fibers, &child);
    pthread_join(thread, NULL);
    assert_content(child);
}

/* Whether this process has the other end of it. */
static bool has_peer_of(int client)
{
    struct sockaddr_in own, peer;

    getsockname(client, (struct sockaddr *)&own, &(socklen_t){sizeof own});
    for (int fd = 0; fd < 1000; fd++) {
        if (!getpeername(fd, (struct sockaddr *)&peer, &(socklen_t){sizeof peer}) &&
            peer.sin_family == AF_INET && peer.sin_port == own.sin_port)
            return true;
    }
    return false;
}

static void look_for_its_peer(void *client)
{
    CHILD_ASSERT(!has_peer_of(*(int *)client));
}

/* It was accepted for a fiber that hadn't run since, and in the child won't. */
static void a_client_of_another_fiber_is_not_the_childs(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    salut_fiber *server;
    int client = unclaimed_client(listener, &server);

    (void)state;
    assert_true(has_peer_of(client));
    assert_content(in_child(look_for_its_peer, &client));
    salut_join(server);
    close(client);
    salut_close(listener);
}

static void note_that_it_ran(void *unused)
{
    (void)unused;
    salut_sleep(0.001);
    atomic_fetch_add(&shared->turns, 1);
}

static void fork_and_return(void *child)
{
    fflush(stdout);
    *(pid_t *)child = fork();
    if (*(pid_t *)child)
        return;
    for (int i = 0; i < 3; i++)
        CHILD_ASSERT(salut_go(note_that_it_ran, NULL));
}

static void a_child_of_a_fiber_ends_with_its_last_fiber(void **state)
{
    pid_t child = 0;

    (void)state;
    needs_no("AddressSanitizer", "at exit() it looks for pointers on the present stack only");
    atomic_store(&shared->turns, 0);
    salut_join(salut_go(fork_and_return, &child));
    assert_content(child);
    assert_int_equal(atomic_load(&shared->turns), 3);
}

static void pass_items_in_the_child(void *channel)
{
    int item = 7;

    CHILD_ASSERT(salut_channel_send(channel, &item) == 0);
    item = 0;
    CHILD_ASSERT(salut_channel_recv(channel, &item) == 1 && item == 7);
}

static void wait_for_an_item(void *channel)
{
    int item;

    salut_channel_recv(channel, &item);
}

static void a_channel_forgets_who_waited(void **state)
{
    salut_channel *channel = salut_channel_create(1, sizeof(int));
    salut_fiber *waiting = salut_go(wait_for_an_item, channel);

    (void)state;
    let_fibers_run();
    assert_content(in_child(pass_items_in_the_child, channel));
    salut_cancel(waiting);
    salut_join(waiting);
    salut_channel_free(channel);
    salut_clear_error();
}

/* ---- Names --------------------------------------------------------------------------------- */

static void look_up_in_the_child(void *unused)
{
    salut_addr address;

    (void)unused;
    CHILD_ASSERT(salut_resolve(&address, "localhost", 7) == 0);
    CHILD_ASSERT(salut_resolve(&address, "localhost", 7) == 0);
}

static void look_up_later(void *unused)
{
    salut_addr address;

    (void)unused;
    salut_resolve(&address, "localhost", 7);
}

static void a_child_looks_names_up(void **state)
{
    salut_fiber *others[3];

    (void)state;
    needs_no("ThreadSanitizer", "it lets no child of several threads start one");
    needs_no("AddressSanitizer", "a thread that holds its allocator's lock holds the child's too");
    for (int i = 0; i < 3; i++) /* lookups that are under way */
        others[i] = salut_go(look_up_later, NULL);
    let_fibers_run();
    assert_content(in_child(look_up_in_the_child, NULL));
    for (int i = 0; i < 3; i++)
        salut_join(others[i]);
}

/* ---- Servers ------------------------------------------------------------------------------- */

enum { CHILDREN = 3, CLIENTS = 30 };

/* Serves until a client says that it is over. */
static void serve_in_turn(salut_sock *listener, atomic_int *served)
{
    char byte = 0;

    while (byte != 'q') {
        salut_sock *client = salut_accept(listener, NULL);
        CHILD_ASSERT(client);
        CHILD_ASSERT(salut_recv(client, &byte, 1) == 1);
        CHILD_ASSERT(salut_send(client, "!", 1) == 1);
        CHILD_ASSERT(salut_close(client) == 0);
        atomic_fetch_add(served, 1);
    }
}

struct preforked {
    salut_sock *listener;
    int number;
};

static void serve_as_a_child(void *argument)
{
    struct preforked *p = argument;

    serve_in_turn(p->listener, &shared->served[p->number]);
}

static void ask(int port, const char *what)
{
    int descriptor = plain_connection(port);
    char byte = 0;

    assert_int_equal(write(descriptor, what, 1), 1);
    assert_int_equal(read(descriptor, &byte, 1), 1);
    assert_int_equal(byte, '!');
    close(descriptor);
}

static void children_share_their_parents_listener(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    int port = port_of(listener), served = 0;
    pid_t children[CHILDREN];

    (void)state;
    salut_settimeout(listener, 0.001);
    assert_null(salut_accept(listener, NULL)); /* it is enrolled */
    salut_clear_error();
    salut_settimeout(listener, -1);
    for (int i = 0; i < CHILDREN; i++) {
        struct preforked p = {.listener = listener, .number = i};
        children[i] = in_child(serve_as_a_child, &p);
    }
    for (int i = 0; i < CLIENTS; i++)
        ask(port, "?");
    for (int i = 0; i < CHILDREN; i++)
        ask(port, "q");
    for (int i = 0; i < CHILDREN; i++) {
        assert_content(children[i]);
        served += atomic_load(&shared->served[i]);
    }
    assert_int_equal(served, CLIENTS + CHILDREN);
    salut_close(listener);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_and_child_wait_each_for_their_own),
        cmocka_unit_test(a_child_sleeps),
        cmocka_unit_test(so_does_a_childs_child),
        cmocka_unit_test(both_have_what_was_received_already),
        cmocka_unit_test(what_was_gathered_is_sent_once),
        cmocka_unit_test(only_the_fiber_that_forked_goes_on),
        cmocka_unit_test(sockets_that_the_others_were_at_are_free),
        cmocka_unit_test(one_that_was_closed_under_them_is_freed),
        cmocka_unit_test(a_client_of_another_fiber_is_not_the_childs),
        cmocka_unit_test(a_thread_without_fibers_forks),
        cmocka_unit_test(a_child_of_a_fiber_ends_with_its_last_fiber),
        cmocka_unit_test(a_channel_forgets_who_waited),
        cmocka_unit_test(a_child_looks_names_up),
        cmocka_unit_test(children_share_their_parents_listener),
    };

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    return RUN_SOCKET_TESTS(tests);
}
