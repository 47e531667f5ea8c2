/* What is said when a fiber runs over its stack's end, and that handlers of the program's own are
 * left alone. Each fault is a child's. */
#include "support/fibers.h"

#include "fiber/overflow.h"
#include "fiber/scheduler.h"

#include <salut.h>
#include <salut/sim.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static const char SENTENCE[] = "salut: a fiber ran over the end of its stack";

static void assert_died_of_sigsegv(struct ending ending)
{
    if (!WIFSIGNALED(ending.status) || WTERMSIG(ending.status) != SIGSEGV)
        fail_msg("the child ended with status 0x%x and said: %s", ending.status, ending.said);
}

static void needs_our_handler(void)
{
    needs_no("AddressSanitizer", "its own handler reports the fault");
    needs_no("ThreadSanitizer", "its own handler reports the fault");
}

/* ---- Faults -------------------------------------------------------------------------------- */

static volatile int sink;

static __attribute__((noinline)) int go_deeper(int depth)
{
    volatile char bytes[512];

    bytes[0] = (char)depth;
    sink = bytes[0] + (depth < 0 ? 0 : go_deeper(depth + 1));
    return bytes[0];
}

static void overflow(void *unused)
{
    (void)unused;
    go_deeper(1);
}

static void *run_one_that_overflows(void *unused)
{
    (void)unused;
    salut_join(salut_go(overflow, NULL));
    return NULL;
}

static void overflow_on_main(void)
{
    run_one_that_overflows(NULL);
}

static void a_fiber_that_overflows_dies_of_sigsegv_with_a_sentence(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(overflow_on_main);
    assert_died_of_sigsegv(ending);
    assert_non_null(strstr(ending.said, SENTENCE));
}

static void overflow_on_a_second_thread(void)
{
    pthread_t thread;

    CHILD_ASSERT(pthread_create(&thread, NULL, run_one_that_overflows, NULL) == 0);
    pthread_join(thread, NULL);
}

static void so_does_one_on_another_thread(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(overflow_on_a_second_thread);
    assert_died_of_sigsegv(ending);
    assert_non_null(strstr(ending.said, SENTENCE));
}

static char *volatile nowhere = (char *)16;

static void write_nowhere(void *unused)
{
    (void)unused;
    *nowhere = 'x';
}

static void write_nowhere_in_a_fiber(void)
{
    salut_join(salut_go(write_nowhere, NULL));
}

static void another_fault_dies_of_sigsegv_without_the_sentence(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(write_nowhere_in_a_fiber);
    assert_died_of_sigsegv(ending);
    assert_null(strstr(ending.said, SENTENCE));
}

static void do_nothing(void *unused)
{
    (void)unused;
}

static void get_a_sigsegv_from_outside(void)
{
    salut_join(salut_go(do_nothing, NULL));
    kill(getpid(), SIGSEGV);
    fprintf(stderr, "still here\n");
}

static void a_sigsegv_that_somebody_sends_ends_the_program_too(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(get_a_sigsegv_from_outside);
    assert_died_of_sigsegv(ending);
    assert_null(strstr(ending.said, "still here"));
}

/* ---- Elsewhere than in a plain fiber -------------------------------------------------------- */

static char my_stack[1 << 16];

/* A thread whose program gave it a signal stack is watched as well. */
static void overflow_with_a_signal_stack_of_my_own(void)
{
    stack_t mine = {.ss_sp = my_stack, .ss_size = sizeof my_stack};

    CHILD_ASSERT(sigaltstack(&mine, NULL) == 0);
    overflow_on_main();
}

static void so_does_one_where_the_program_has_a_signal_stack(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(overflow_with_a_signal_stack_of_my_own);
    assert_died_of_sigsegv(ending);
    assert_non_null(strstr(ending.said, SENTENCE));
}

static pthread_t thread_of_main;

static void overflow_on_a_second_worker(salut_sock *client, void *unused)
{
    char byte;

    if (pthread_equal(pthread_self(), thread_of_main)) /* it stays, so that the next goes there */
        salut_recv(client, &byte, 1);
    else
        overflow(unused);
}

static void connect_twice(void *listener)
{
    salut_addr address;

    salut_local(listener, &address);
    for (int i = 0; i < 2; i++)
        salut_connect(salut_socket(SALUT_TCP), "127.0.0.1", salut_addr_port(&address));
}

static void serve_with_two_workers(void)
{
    salut_sock *listener = salut_create_server("127.0.0.1:0");

    thread_of_main = pthread_self();
    salut_go(connect_twice, listener);
    salut_serve(listener, overflow_on_a_second_worker, NULL, &(salut_serve_options){.workers = 2});
}

static void so_does_a_handler_on_a_servers_second_thread(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(serve_with_two_workers);
    assert_died_of_sigsegv(ending);
    assert_non_null(strstr(ending.said, SENTENCE));
}

static void simulate_an_overflow(void)
{
    salut_sim_run(1, overflow, NULL, NULL);
}

/* Its stack is larger than a fiber's, and guarded like one. */
static void so_does_a_simulated_program(void **state)
{
    struct ending ending;

    (void)state;
    needs_our_handler();
    ending = end_of_child(simulate_an_overflow);
    assert_died_of_sigsegv(ending);
    assert_non_null(strstr(ending.said, SENTENCE));
}

/* ---- Handlers ------------------------------------------------------------------------------ */

static void on_my_fault(int number)
{
    static const char said[] = "my own handler\n";
    ssize_t written = write(STDERR_FILENO, said, sizeof said - 1);

    (void)number;
    (void)written;
    _exit(3);
}

static void fault(void *unused)
{
    (void)unused;
    raise(SIGSEGV); /* a real one would be news to valgrind and the sanitizers */
}

static void fault_with_a_handler_of_my_own(void)
{
    struct sigaction action = {.sa_handler = on_my_fault};

    CHILD_ASSERT(sigaction(SIGSEGV, &action, NULL) == 0);
    salut_join(salut_go(fault, NULL));
}

static void a_handler_of_the_programs_own_is_kept(void **state)
{
    struct ending ending = end_of_child(fault_with_a_handler_of_my_own);

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 3);
    assert_string_equal(ending.said, "my own handler\n");
}

static void set_a_handler_later(void)
{
    struct sigaction action = {.sa_handler = on_my_fault};

    salut_join(salut_go(do_nothing, NULL));
    CHILD_ASSERT(sigaction(SIGSEGV, &action, NULL) == 0);
    salut_join(salut_go(do_nothing, NULL));
    salut_join(salut_go(fault, NULL));
}

static void so_is_one_that_is_set_after_the_first_fiber(void **state)
{
    struct ending ending = end_of_child(set_a_handler_later);

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 3);
}

static void compare_handlers(void)
{
    struct sigaction before, after;

    CHILD_ASSERT(sigaction(SIGSEGV, NULL, &before) == 0);
    CHILD_ASSERT(before.sa_handler != SIG_DFL);
    salut_join(salut_go(do_nothing, NULL));
    CHILD_ASSERT(sigaction(SIGSEGV, NULL, &after) == 0);
    CHILD_ASSERT(before.sa_sigaction == after.sa_sigaction);
}

static void the_handler_of_a_sanitizer_is_kept(void **state)
{
    (void)state;
    if (!UNDER_ASAN && !UNDER_TSAN) {
        printf("left out: this build has no sanitizer\n");
        skip();
    }
    assert_child_is_content(compare_handlers);
}

/* ---- The stack of handlers ----------------------------------------------------------------- */

static void *replace_the_signal_stack(void *unused)
{
    stack_t mine = {.ss_sp = my_stack, .ss_size = sizeof my_stack}, now;

    (void)unused;
    salut_join(salut_go(do_nothing, NULL));
    CHILD_ASSERT(sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE));
    CHILD_ASSERT(sigaltstack(&mine, NULL) == 0);
    overflow_unwatch();
    CHILD_ASSERT(sigaltstack(NULL, &now) == 0);
    CHILD_ASSERT(now.ss_sp == my_stack);
    return NULL;
}

static void *look_at_the_signal_stack(void *unused)
{
    stack_t now;

    salut_join(salut_go(do_nothing, NULL));
    CHILD_ASSERT(sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE));
    return unused;
}

static void start_fibers_with_a_handler_of_my_own(void)
{
    struct sigaction action = {.sa_handler = on_my_fault};
    pthread_t thread;

    CHILD_ASSERT(sigaction(SIGSEGV, &action, NULL) == 0);
    look_at_the_signal_stack(NULL);
    CHILD_ASSERT(pthread_create(&thread, NULL, look_at_the_signal_stack, NULL) == 0);
    pthread_join(thread, NULL);
}

static void every_thread_with_fibers_has_one(void **state)
{
    (void)state;
    assert_child_is_content(start_fibers_with_a_handler_of_my_own);
}

static void run_and_look(void)
{
    for (uint64_t seed = 1; seed <= 2; seed++)
        salut_sim_run(seed, do_nothing, NULL, NULL);
    look_at_the_signal_stack(NULL);
}

static void a_simulated_programs_end_takes_none_away(void **state)
{
    (void)state;
    assert_child_is_content(run_and_look);
}

static void replace_it_on_a_thread(void)
{
    pthread_t thread;

    CHILD_ASSERT(pthread_create(&thread, NULL, replace_the_signal_stack, NULL) == 0);
    pthread_join(thread, NULL);
}

static void a_signal_stack_of_the_programs_own_outlives_ours(void **state)
{
    (void)state;
    needs_our_handler();
    assert_child_is_content(replace_it_on_a_thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fiber_that_overflows_dies_of_sigsegv_with_a_sentence),
        cmocka_unit_test(so_does_one_on_another_thread),
        cmocka_unit_test(so_does_one_where_the_program_has_a_signal_stack),
        cmocka_unit_test(so_does_a_handler_on_a_servers_second_thread),
        cmocka_unit_test(so_does_a_simulated_program),
        cmocka_unit_test(another_fault_dies_of_sigsegv_without_the_sentence),
        cmocka_unit_test(a_sigsegv_that_somebody_sends_ends_the_program_too),
        cmocka_unit_test(a_handler_of_the_programs_own_is_kept),
        cmocka_unit_test(so_is_one_that_is_set_after_the_first_fiber),
        cmocka_unit_test(the_handler_of_a_sanitizer_is_kept),
        cmocka_unit_test(every_thread_with_fibers_has_one),
        cmocka_unit_test(a_simulated_programs_end_takes_none_away),
        cmocka_unit_test(a_signal_stack_of_the_programs_own_outlives_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
