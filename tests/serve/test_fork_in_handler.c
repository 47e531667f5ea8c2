/* test_fork_in_handler.c: a handler that forks. The server goes on in the parent alone. */
#include "serve/serving.h"

#include <sys/wait.h>

/* ---- What children do ---------------------------------------------------------------------- */

/* SIGTERM would be a request to stop, if the child were a server. */
static void get_a_sigterm(void)
{
    kill(getpid(), SIGTERM);
    salut_sleep(1e8);
}

static void stop_at_the_first_client(salut_sock *client, void *listener)
{
    salut_send(client, "hello", 5);
    salut_stop(listener);
}

static void connect_once(void *listener)
{
    char buffer[5];
    salut_addr address;
    salut_sock *s = salut_socket(SALUT_TCP);

    CHILD_ASSERT(salut_local(listener, &address) == 0);
    CHILD_ASSERT(salut_connect(s, "127.0.0.1", salut_addr_port(&address)) == 0);
    CHILD_ASSERT(salut_recv_exactly(s, buffer, 5) == 5);
    CHILD_ASSERT(salut_close(s) == 0);
}

static void serve_anew(void)
{
    salut_sock *listener = salut_create_server("127.0.0.1:0");

    salut_go(connect_once, listener);
    CHILD_ASSERT(salut_serve(listener, stop_at_the_first_client, listener,
                             &(salut_serve_options){.workers = 2}) == 0);
    _exit(0);
}

/* Asked for by one letter; the answer is the child's status. 'r': it returns from the handler. */
static void fork_as_asked(salut_sock *client, void *unused)
{
    char what = 0, answer[32];
    int status = -1;
    pid_t child;

    (void)unused;
    salut_recv(client, &what, 1);
    child = fork();
    if (child == 0) {
        if (what == 't')
            get_a_sigterm();
        if (what == 's')
            serve_anew();
        return;
    }
    waitpid(child, &status, 0);
    snprintf(answer, sizeof answer, "%d", status);
    salut_send_line(client, answer);
}

/* ---- What their parent sees ---------------------------------------------------------------- */

static int status_of(struct service *service, const char *what)
{
    int descriptor = plain_connection(service->port);
    char answer[32] = "";
    size_t size = 0;
    ssize_t more;

    assert_int_equal(write(descriptor, what, 1), 1);
    while ((more = read(descriptor, answer + size, sizeof answer - 1 - size)) > 0)
        size += (size_t)more;
    assert_int_equal(more, 0);
    assert_true(size > 0);
    close(descriptor);
    return atoi(answer);
}

static struct service started(unsigned workers)
{
    struct service service = {.handler = fork_as_asked, .options = {.workers = workers}};

    return service;
}

/* On the acceptor's thread, or on another one. */
static void each_way(int status, const char *what)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct service service = started(workers);
        int hold;

        start_service(&service);
        hold = plain_connection(service.port); /* the next client goes to the other worker */
        assert_int_equal(status_of(&service, what), status);
        assert_int_equal(status_of(&service, what), status); /* the server is none the worse */
        close(hold);
        end_service(&service);
    }
}

static void a_child_that_returns_from_the_handler_ends(void **state)
{
    (void)state;
    needs_no("AddressSanitizer", "at exit() it looks for pointers on the present stack only");
    each_way(0, "r");
}

static void a_childs_signals_do_what_they_did_before(void **state)
{
    (void)state;
    each_way(SIGTERM, "t");
}

static void a_child_may_serve_clients_of_its_own(void **state)
{
    (void)state;
    needs_no("ThreadSanitizer", "it lets no child of several threads start one");
    each_way(0, "s");
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_that_returns_from_the_handler_ends),
        cmocka_unit_test(a_childs_signals_do_what_they_did_before),
        cmocka_unit_test(a_child_may_serve_clients_of_its_own),
    };

    return RUN_SERVICE_TESTS(tests);
}
