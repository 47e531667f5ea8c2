/* test_stop.c: how salut_serve() ends: by salut_stop(), by signals, by being canceled, by its
 * listener's end; and what becomes of the conversations. */
#include "serve/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const double FOR_EVER = 1e6; /* seconds to drain: a test that needs them fails */

/* ---- Handlers ------------------------------------------------------------------------------ */

/* What the handlers of a test came to. */
struct fates {
    atomic_int begun, ended, canceled;
};

/* Greets, and waits for the client's end. */
static void greet_and_wait(salut_sock *client, void *argument)
{
    struct fates *fates = argument;
    char byte;

    atomic_fetch_add(&fates->begun, 1);
    salut_send_line(client, "salut");
    if (salut_recv(client, &byte, 1) < 0 && errno == ECANCELED)
        atomic_fetch_add(&fates->canceled, 1);
    atomic_fetch_add(&fates->ended, 1);
}

static void all_end(int *clients, int count)
{
    for (int i = 0; i < count; i++) {
        shutdown(clients[i], SHUT_WR);
        hears_the_end(clients[i]);
    }
}

static void greeted(struct service *service, int *clients, int count)
{
    for (int i = 0; i < count; i++)
        clients[i] = plain_connection(service->port);
    for (int i = 0; i < count; i++)
        hears(clients[i], "salut\n");
}

/* ---- salut_stop ---------------------------------------------------------------------------- */

static void conversations_go_on_until_they_end_by_themselves(void **state)
{
    struct service service = {.handler = echo,
                              .options = {.workers = 2, .drain_seconds = FOR_EVER}};
    int clients[6];

    (void)state;
    start_service(&service);
    for (int i = 0; i < 6; i++) {
        clients[i] = plain_connection(service.port);
        says(clients[i], "before");
        hears(clients[i], "before");
    }
    stop_service(&service);
    for (int i = 0; i < 6; i++) {
        says(clients[i], "after");
        hears(clients[i], "after");
    }
    all_end(clients, 6);
    join_service(&service);
    assert_returns(service.outcome.result, 0);
}

static void stop_on_handlers_thread(salut_sock *client, void *argument)
{
    struct service *service = argument;
    char text[16];

    salut_recv_line(client, NULL); /* when both have come */
    snprintf(text, sizeof text, "%d", salut_stop(service->listener));
    salut_send_line(client, text);
}

static void a_handler_may_stop_its_server(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct service service = {.handler = stop_on_handlers_thread,
                                  .argument = &service,
                                  .options = {.workers = workers, .drain_seconds = FOR_EVER}};
        int clients[2];
        start_service(&service);
        for (int i = 0; i < 2; i++)
            clients[i] = plain_connection(service.port);
        for (int i = 0; i < 2; i++)
            says(clients[i], "stop\n");
        hears(clients[0], "0\n");
        hears(clients[1], "0\n");
        all_end(clients, 2);
        join_service(&service);
        /* A second request hurries: it may have come before the other handler's end. */
        assert_true(service.outcome.result == 0 || service.outcome.number == ETIMEDOUT);
    }
}

static void who_is_not_serving_can_not_be_stopped(void **state)
{
    struct service service = {.handler = echo, .options.workers = 1};
    salut_sock *idle = listening("127.0.0.1");

    (void)state;
    assert_fails(salut_stop(idle), EINVAL, "nobody is serving that listener");
    assert_works(salut_close(idle));
    assert_fails(salut_stop(idle), EINVAL, "nobody is serving that listener");
    start_service(&service);
    end_service(&service);
    assert_fails(salut_stop(service.listener), EINVAL, "nobody is serving that listener");
    salut_clear_error();
    assert_fails(salut_stop(NULL), EBADF, "stop");
}

static void a_full_server_stops_as_well(void **state)
{
    struct fates fates = {0};
    struct service service = {
        .handler = greet_and_wait,
        .argument = &fates,
        .options = {.workers = 2, .connections_max = 2, .drain_seconds = FOR_EVER}};
    int clients[2];

    (void)state;
    start_service(&service);
    greeted(&service, clients, 2);
    stop_service(&service);
    all_end(clients, 2);
    join_service(&service);
    assert_returns(service.outcome.result, 0);
}

/* ---- Conversations that don't end ---------------------------------------------------------- */

static void what_does_not_end_in_time_is_canceled_and_counted(void **state)
{
    static const unsigned workers[] = {1, 2, 4};
    enum { CLIENTS = 6 };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct fates fates = {0};
        struct service service = {.handler = greet_and_wait,
                                  .argument = &fates,
                                  .options = {.workers = workers[i], .drain_seconds = 0.02}};
        int clients[CLIENTS];
        start_service(&service);
        greeted(&service, clients, CLIENTS);
        stop_service(&service);
        join_service(&service);
        assert_outcome(service.outcome, ETIMEDOUT,
                       "serve: 6 conversations did not end in time and were canceled");
        assert_int_equal(fates.canceled, CLIENTS);
        for (int k = 0; k < CLIENTS; k++)
            hears_the_end(clients[k]);
    }
}

/* The first worker has nobody, and waits for the others all the same. */
static void a_worker_has_all_the_time_that_was_promised(void **state)
{
    struct fates fates = {0};
    struct service service = {.handler = greet_and_wait,
                              .argument = &fates,
                              .options = {.workers = 2, .drain_seconds = FOR_EVER}};
    int clients[2];

    (void)state;
    start_service(&service);
    greeted(&service, clients, 2);
    all_end(clients, 1);
    stop_service(&service);
    assert_works(salut_sleep(3.5)); /* more than any grace after the time to drain */
    assert_false(atomic_load(&service.ended));
    all_end(clients + 1, 1);
    join_service(&service);
    if (service.outcome.result)
        fail_msg("salut_serve: %s", service.outcome.sentence);
    assert_int_equal(fates.canceled, 0);
}

static void a_second_stop_does_not_wait(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct fates fates = {0};
        struct service service = {.handler = greet_and_wait,
                                  .argument = &fates,
                                  .options = {.workers = workers, .drain_seconds = FOR_EVER}};
        int clients[4];
        start_service(&service);
        greeted(&service, clients, 4);
        stop_service(&service);
        assert_works(salut_stop(service.listener));
        salut_stop(service.listener); /* a third is no harm, if there is still one to stop */
        join_service(&service);
        assert_outcome(service.outcome, ETIMEDOUT, "4 conversations");
        assert_int_equal(fates.canceled, 4);
        for (int i = 0; i < 4; i++)
            hears_the_end(clients[i]);
    }
}

/* It reaches every thread, also when they have begun to drain. */
static void a_second_stop_ends_a_drain(void **state)
{
    struct fates fates = {0};
    struct fiber_service service = {.handler = greet_and_wait,
                                    .argument = &fates,
                                    .options = {.workers = 3, .drain_seconds = FOR_EVER}};
    salut_sock *clients[6];

    (void)state;
    start_fiber_service(&service);
    for (int i = 0; i < 6; i++) {
        clients[i] = salut_create_connection(at_loopback(service.port));
        assert_string_equal(salut_recv_line(clients[i], NULL), "salut");
    }
    assert_works(salut_stop(service.listener));
    let_fibers_run();
    assert_false(service.outcome.done);
    assert_works(salut_stop(service.listener));
    assert_works(salut_join(service.fiber));
    assert_outcome(service.outcome, ETIMEDOUT, "6 conversations");
    assert_int_equal(fates.canceled, 6);
    for (int i = 0; i < 6; i++)
        assert_works(salut_close(clients[i]));
    assert_works(salut_close(service.listener));
}

static void close_the_listener(salut_sock *client, void *argument)
{
    struct fiber_service *service = argument;

    (void)client;
    salut_close(service->listener);
}

/* Also by the first handler's first word, before the next client is waited for. */
static void a_handler_may_close_the_listener_at_once(void **state)
{
    struct fiber_service service = {.handler = close_the_listener,
                                    .options = {.workers = 1, .drain_seconds = FOR_EVER}};
    int client;

    (void)state;
    service.argument = &service;
    start_fiber_service(&service);
    client = plain_connection(service.port);
    assert_ended_well(&service);
    hears_the_end(client);
}

/* Those too whose handlers haven't run yet when everything is canceled. */
static void who_has_only_just_come_is_canceled_as_well(void **state)
{
    struct fates fates = {0};
    struct fiber_service service = {.handler = greet_and_wait,
                                    .argument = &fates,
                                    .options = {.workers = 1, .drain_seconds = FOR_EVER}};
    int client;

    (void)state;
    start_fiber_service(&service);
    client = plain_connection(service.port);
    wait_for(salut_fd(service.listener), POLLIN);
    assert_works(salut_stop(service.listener)); /* before its thread has looked at anything, */
    assert_works(salut_stop(service.listener));
    assert_works(salut_yield()); /* which it now does: it hears of all three at once */
    assert_works(salut_join(service.fiber));
    assert_outcome(service.outcome, ETIMEDOUT, "1 conversation did not end in time and was");
    assert_int_equal(fates.canceled, 1);
    assert_int_equal(fates.ended, 1);
    assert_returns(service.next_wait.result, 0);
    assert_works(salut_close(service.listener));
    close(client);
}

/* ---- Those in the backlog ------------------------------------------------------------------ */

/* Connected, and with their word said, before the server's thread could look. */
static void clients_wait_in_line(struct fiber_service *service, int *clients, int count)
{
    for (int i = 0; i < count; i++) {
        clients[i] = plain_connection(service->port);
        shutdown(clients[i], SHUT_WR);
    }
}

static void line_was_served(struct fiber_service *service, int *clients, int count)
{
    assert_ended_well(service);
    for (int i = 0; i < count; i++) {
        hears(clients[i], "salut\n");
        hears_the_end(clients[i]);
    }
}

static void those_who_wait_in_the_backlog_are_still_served(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct fates fates = {0};
        struct fiber_service service = {.handler = greet_and_wait,
                                        .argument = &fates,
                                        .options = {.workers = workers, .drain_seconds = FOR_EVER}};
        int clients[50];
        start_fiber_service(&service);
        clients_wait_in_line(&service, clients, 50);
        assert_works(salut_stop(service.listener));
        line_was_served(&service, clients, 50);
        assert_works(salut_close(service.listener));
    }
}

static void also_when_only_a_few_are_let_in_at_a_time(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct fates fates = {0};
        struct fiber_service service = {
            .handler = greet_and_wait,
            .argument = &fates,
            .options = {.workers = workers, .connections_max = 3, .drain_seconds = FOR_EVER}};
        int clients[50];
        start_fiber_service(&service);
        clients_wait_in_line(&service, clients, 50);
        assert_works(salut_stop(service.listener));
        line_was_served(&service, clients, 50);
        assert_works(salut_close(service.listener));
    }
}

/* Uses up all descriptors that a process may have but for so many; the limit that was. */
static struct rlimit leave_descriptors(int count)
{
    struct rlimit before, few;
    int next = dup(STDIN_FILENO);

    assert_true(next >= 0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)(next + count);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    return before;
}

static void also_when_descriptors_come_back_only_as_others_leave(void **state)
{
    struct fates fates = {0};
    struct fiber_service service = {.handler = greet_and_wait,
                                    .argument = &fates,
                                    .options = {.workers = 1, .drain_seconds = FOR_EVER}};
    int first, clients[10];
    struct rlimit limit;

    (void)state;
    needs_a_true_limit_of_descriptors();
    start_fiber_service(&service);
    first = plain_connection(service.port);
    wait_for(salut_fd(service.listener), POLLIN);
    let_fibers_run();
    assert_int_equal(fates.begun, 1);
    clients_wait_in_line(&service, clients, 10);
    limit = leave_descriptors(0);
    assert_works(salut_stop(service.listener));
    let_fibers_run();
    assert_int_equal(fates.begun, 1);
    shutdown(first, SHUT_WR);
    line_was_served(&service, clients, 10);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_works(salut_close(service.listener));
    close(first);
}

static void a_server_that_waits_for_descriptors_stops_as_well(void **state)
{
    struct fates fates = {0};
    struct fiber_service service = {.handler = greet_and_wait,
                                    .argument = &fates,
                                    .options = {.workers = 1, .drain_seconds = FOR_EVER}};
    struct rlimit limit;
    int client;

    (void)state;
    needs_a_true_limit_of_descriptors();
    start_fiber_service(&service);
    client = plain_connection(service.port);
    limit = leave_descriptors(0);
    let_fibers_run();
    assert_works(salut_stop(service.listener));
    assert_ended_well(&service); /* nobody would ever give one back */
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(fates.begun, 0);
    assert_works(salut_close(service.listener));
    close(client);
}

/* ---- The caller is canceled, the listener closed ------------------------------------------- */

static void a_canceled_server_drains(void **state)
{
    struct fates fates = {0};
    struct fiber_service service = {.handler = greet_and_wait,
                                    .argument = &fates,
                                    .options = {.workers = 2, .drain_seconds = FOR_EVER}};
    int clients[2];

    (void)state;
    start_fiber_service(&service);
    for (int i = 0; i < 2; i++)
        clients[i] = plain_connection(service.port);
    wait_for(salut_fd(service.listener), POLLIN);
    assert_works(salut_cancel(service.fiber));
    for (int i = 0; i < 2; i++)
        shutdown(clients[i], SHUT_WR);
    assert_works(salut_join(service.fiber));
    assert_returns(service.outcome.result, 0);
    assert_outcome(service.next_wait, ECANCELED, "canceled"); /* it is still asked to end */
    for (int i = 0; i < 2; i++) {
        hears(clients[i], "salut\n");
        hears_the_end(clients[i]);
    }
    assert_works(salut_close(service.listener));
}

static void a_server_that_is_canceled_while_it_drains_goes_on_draining(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct fates fates = {0};
        struct fiber_service service = {.handler = greet_and_wait,
                                        .argument = &fates,
                                        .options = {.workers = workers, .drain_seconds = FOR_EVER}};
        int clients[2];
        start_fiber_service(&service);
        for (int i = 0; i < 2; i++)
            clients[i] = plain_connection(service.port);
        assert_works(salut_stop(service.listener));
        while (fates.begun < 2)
            assert_works(salut_yield());
        let_fibers_run();
        assert_works(salut_cancel(service.fiber));
        assert_works(salut_cancel(service.fiber)); /* as often as they like */
        let_fibers_run();
        for (int i = 0; i < 2; i++)
            shutdown(clients[i], SHUT_WR);
        assert_works(salut_join(service.fiber));
        if (service.outcome.result)
            fail_msg("salut_serve: %s", service.outcome.sentence);
        assert_outcome(service.next_wait, ECANCELED, "canceled");
        assert_int_equal(fates.canceled, 0);
        for (int i = 0; i < 2; i++) {
            hears(clients[i], "salut\n");
            hears_the_end(clients[i]);
        }
        assert_works(salut_close(service.listener));
    }
}

static void a_server_whose_listener_is_closed_drains(void **state)
{
    struct fates fates = {0};
    struct fiber_service service = {.handler = greet_and_wait,
                                    .argument = &fates,
                                    .options = {.workers = 2, .drain_seconds = FOR_EVER}};
    int clients[2];

    (void)state;
    start_fiber_service(&service);
    for (int i = 0; i < 2; i++)
        clients[i] = plain_connection(service.port);
    while (fates.begun < 2)
        assert_works(salut_yield());
    assert_works(salut_close(service.listener));
    let_fibers_run();
    assert_false(service.outcome.done);
    for (int i = 0; i < 2; i++)
        shutdown(clients[i], SHUT_WR);
    assert_ended_well(&service);
    for (int i = 0; i < 2; i++) {
        hears(clients[i], "salut\n");
        hears_the_end(clients[i]);
    }
}

/* The request comes when the server is ending for another reason. */
static void a_stop_that_comes_too_late_cancels_nothing_later(void **state)
{
    struct fiber_service service = {.handler = echo, .options.workers = 1};

    (void)state;
    start_fiber_service(&service);
    assert_works(salut_close(service.listener));
    assert_works(salut_stop(service.listener));
    assert_ended_well(&service);
}

/* ---- Signals ------------------------------------------------------------------------------- */

static atomic_int own_signals;

static void on_own_signal(int number)
{
    (void)number;
    atomic_fetch_add(&own_signals, 1);
}

/* What becomes of SIGTERM is this function's, as before any server. */
static void own_handler_of_sigterm(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    assert_int_equal(sigaction(SIGTERM, &action, NULL), 0);
    atomic_store(&own_signals, 0);
}

static void a_signal_drains(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fates fates = {0};
        struct service service = {.handler = greet_and_wait,
                                  .argument = &fates,
                                  .options = {.workers = 2, .drain_seconds = FOR_EVER}};
        struct sigaction after;
        int clients[3];
        start_service(&service);
        greeted(&service, clients, 3);
        assert_int_equal(kill(getpid(), numbers[i]), 0);
        all_end(clients, 3);
        join_service(&service);
        if (service.outcome.result)
            fail_msg("salut_serve: %s", service.outcome.sentence);
        assert_int_equal(fates.canceled, 0);
        assert_int_equal(sigaction(numbers[i], NULL, &after), 0);
        assert_ptr_equal(after.sa_handler, SIG_DFL); /* as it was */
    }
}

static void a_second_signal_does_not_wait(void **state)
{
    static const int seconds[] = {SIGTERM, SIGINT};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fates fates = {0};
        struct service service = {.handler = greet_and_wait,
                                  .argument = &fates,
                                  .options = {.workers = 2, .drain_seconds = FOR_EVER}};
        int clients[3];
        start_service(&service);
        greeted(&service, clients, 3);
        assert_int_equal(kill(getpid(), SIGTERM), 0);
        assert_int_equal(kill(getpid(), seconds[i]), 0);
        join_service(&service);
        assert_outcome(service.outcome, ETIMEDOUT, "3 conversations");
        assert_int_equal(fates.canceled, 3);
        for (int k = 0; k < 3; k++)
            hears_the_end(clients[k]);
    }
}

static void a_signal_stops_every_server_of_the_process(void **state)
{
    struct service one = {.handler = echo, .options.workers = 1};
    struct service two = {.handler = echo, .options.workers = 2};

    (void)state;
    start_service(&one);
    start_service(&two);
    serve_one_echo(&one);
    serve_one_echo(&two);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    join_service(&one);
    join_service(&two);
    assert_returns(one.outcome.result, 0);
    assert_returns(two.outcome.result, 0);
}

static void signals_are_left_alone_when_asked_for(void **state)
{
    struct service service = {.handler = echo, .options = {.workers = 2, .leave_signals = 1}};

    (void)state;
    own_handler_of_sigterm(on_own_signal);
    start_service(&service);
    serve_one_echo(&service);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    serve_one_echo(&service); /* it goes on */
    assert_int_equal(own_signals, 1);
    assert_false(atomic_load(&service.ended));
    end_service(&service);
    own_handler_of_sigterm(SIG_DFL);
}

static void signals_do_afterwards_what_they_did_before(void **state)
{
    struct service one = {.handler = echo, .options.workers = 1};
    struct service two = {.handler = echo, .options.workers = 1};

    (void)state;
    own_handler_of_sigterm(on_own_signal);
    start_service(&one);
    start_service(&two);
    serve_one_echo(&one);
    serve_one_echo(&two);
    end_service(&one);
    serve_one_echo(&two);
    assert_int_equal(kill(getpid(), SIGTERM), 0); /* it is still the other's */
    join_service(&two);
    assert_returns(two.outcome.result, 0);
    assert_int_equal(own_signals, 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(own_signals, 1);
    own_handler_of_sigterm(SIG_DFL);
}

/* ---- A handler that can't be stopped ------------------------------------------------------- */

/* Waits for a word; one means never to wait again. */
static void obey(salut_sock *client, void *argument)
{
    atomic_bool *spins = argument;
    char word = '.';

    while (salut_recv(client, &word, 1) == 1) {
        salut_send(client, &word, 1);
        atomic_store(spins, word == '!');
        while (word == '!')
            ;
    }
}

/* The second client is the second worker's, whose thread then never looks at its letters again.
 * The process ends with it. */
static void live_with_a_handler_that_never_waits(void)
{
    atomic_bool spins = false;
    struct service service = {
        .handler = obey, .argument = &spins, .options = {.workers = 2, .drain_seconds = 0.01}};
    int clients[2];

    start_service(&service);
    for (int i = 0; i < 2; i++) {
        clients[i] = plain_connection(service.port);
        says(clients[i], ".");
        hears(clients[i], ".");
    }
    close(clients[0]);
    says(clients[1], "!");
    hears(clients[1], "!");
    while (!atomic_load(&spins))
        sched_yield();
    stop_service(&service);
    join_service(&service);
    CHILD_ASSERT(service.outcome.result == -1 && service.outcome.number == ETIMEDOUT);
    CHILD_ASSERT(
        !strcmp(service.outcome.sentence, "serve: a handler never waits, so it can't be stopped"));
    _exit(0);
}

static void a_handler_that_never_waits_is_left_behind_and_told(void **state)
{
    (void)state;
    assert_lives("with-a-handler-that-never-waits");
}

int main(int argc, char **argv)
{
    static const struct life lives[] = {
        {"with-a-handler-that-never-waits", live_with_a_handler_that_never_waits},
        {0},
    };
    struct CMUnitTest stop[] = {
        cmocka_unit_test(conversations_go_on_until_they_end_by_themselves),
        cmocka_unit_test(a_handler_may_stop_its_server),
        cmocka_unit_test(who_is_not_serving_can_not_be_stopped),
        cmocka_unit_test(a_full_server_stops_as_well),
        cmocka_unit_test(what_does_not_end_in_time_is_canceled_and_counted),
        cmocka_unit_test(a_worker_has_all_the_time_that_was_promised),
        cmocka_unit_test(a_second_stop_does_not_wait),
        cmocka_unit_test(a_second_stop_ends_a_drain),
        cmocka_unit_test(a_handler_may_close_the_listener_at_once),
        cmocka_unit_test(who_has_only_just_come_is_canceled_as_well),
        cmocka_unit_test(those_who_wait_in_the_backlog_are_still_served),
        cmocka_unit_test(also_when_only_a_few_are_let_in_at_a_time),
        cmocka_unit_test(also_when_descriptors_come_back_only_as_others_leave),
        cmocka_unit_test(a_server_that_waits_for_descriptors_stops_as_well),
        cmocka_unit_test(a_canceled_server_drains),
        cmocka_unit_test(a_server_that_is_canceled_while_it_drains_goes_on_draining),
        cmocka_unit_test(a_server_whose_listener_is_closed_drains),
        cmocka_unit_test(a_stop_that_comes_too_late_cancels_nothing_later),
        cmocka_unit_test(a_signal_drains),
        cmocka_unit_test(a_second_signal_does_not_wait),
        cmocka_unit_test(a_signal_stops_every_server_of_the_process),
        cmocka_unit_test(signals_are_left_alone_when_asked_for),
        cmocka_unit_test(signals_do_afterwards_what_they_did_before),
        cmocka_unit_test(a_handler_that_never_waits_is_left_behind_and_told),
    };

    if (argc > 1)
        return live(lives, argv[1]);
    this_program = argv[0];
    return RUN_SERVICE_TESTS(stop);
}
