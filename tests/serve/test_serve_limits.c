/* test_serve_limits.c: a server and those who want too much of it: too many at once, the silent,
 * the slow, those who don't read; and a process that runs out of descriptors. */
#include "serve/serving.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

/* A thousand, as far as this process may have descriptors for both ends of each. */
static int crowd(void)
{
    enum { WANTED = 1000, FEWER = 100 };
    struct rlimit descriptors;
    int count = sized(WANTED, FEWER, "clients");

    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    if (descriptors.rlim_cur >= 2 * (rlim_t)count + 100)
        return count;
    count = (int)(descriptors.rlim_cur - 100) / 2;
    printf("only %d clients: this process may have %lu descriptors (ulimit -n)\n", count,
           (unsigned long)descriptors.rlim_cur);
    return count;
}

static int *new_crowd(const struct service *service, int count)
{
    int *clients = calloc((size_t)count, sizeof *clients);

    assert_non_null(clients);
    for (int i = 0; i < count; i++)
        clients[i] = plain_connection(service->port);
    return clients;
}

/* ---- Too many at once ---------------------------------------------------------------------- */

struct house {
    atomic_int inside, most, served;
};

static void stay_until_told(salut_sock *client, void *argument)
{
    struct house *house = argument;
    int inside = atomic_fetch_add(&house->inside, 1) + 1;
    int most = atomic_load(&house->most);
    char byte;

    while (inside > most && !atomic_compare_exchange_weak(&house->most, &most, inside))
        ;
    salut_send_line(client, "welcome");
    salut_recv(client, &byte, 1);
    atomic_fetch_sub(&house->inside, 1);
    atomic_fetch_add(&house->served, 1);
}

static bool has_heard(int client)
{
    char byte;

    return recv(client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

static void wait_until_it_has_heard(int client)
{
    struct pollfd p = {.fd = client, .events = POLLIN};

    assert_int_equal(poll(&p, 1, -1), 1);
}

static bool nobody_else_hears(const int *clients, int from, int count)
{
    for (int i = from; i < count; i++) {
        if (has_heard(clients[i]))
            return false;
    }
    return true;
}

static void no_more_than_so_many_are_let_in_and_the_others_wait(void **state)
{
    static const unsigned workers[] = {1, 2, 4};
    enum { ROOM = 5, CLIENTS = 40 };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct house house = {0};
        struct service service = {.handler = stay_until_told,
                                  .argument = &house,
                                  .options = {.workers = workers[i], .connections_max = ROOM}};
        int *clients;
        start_service(&service);
        clients = new_crowd(&service, CLIENTS);
        for (int k = 0; k < CLIENTS; k++) {
            hears(clients[k], "welcome\n"); /* in the order they came */
            for (int next = k + 1; next < k + ROOM && next < CLIENTS; next++)
                wait_until_it_has_heard(clients[next]);
            if (k + ROOM < CLIENTS)
                assert_true(nobody_else_hears(clients, k + ROOM, CLIENTS));
            close(clients[k]);
        }
        end_service(&service);
        assert_int_equal(house.most, ROOM);
        assert_int_equal(house.served, CLIENTS);
        free(clients);
    }
}

/* ---- The silent and the slow --------------------------------------------------------------- */

struct patience {
    atomic_int timed_out, otherwise;
};

static void wait_for_much(salut_sock *client, void *argument)
{
    enum { MUCH = 1024 };
    struct patience *patience = argument;
    char text[MUCH];

    if (salut_recv_exactly(client, text, MUCH) == -1 && errno == ETIMEDOUT)
        atomic_fetch_add(&patience->timed_out, 1);
    else
        atomic_fetch_add(&patience->otherwise, 1);
}

static void a_thousand_silent_clients_are_sent_away_after_idle_seconds(void **state)
{
    struct patience patience = {0};
    struct service service = {.handler = wait_for_much,
                              .argument = &patience,
                              .options = {.workers = 2, .idle_seconds = 0.2}};
    int count = crowd();
    int *clients;

    (void)state;
    start_service(&service);
    clients = new_crowd(&service, count);
    for (int i = 0; i < count; i++)
        hears_the_end(clients[i]);
    end_service(&service);
    assert_int_equal(patience.timed_out, count);
    assert_int_equal(patience.otherwise, 0);
    free(clients);
}

/* Each sends a byte whenever it is looked at, long before it would be idle. */
static int drip(int *clients, int count)
{
    int left = 0;

    for (int i = 0; i < count; i++) {
        char byte;
        if (clients[i] < 0)
            continue;
        if (send(clients[i], ".", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 &&
            recv(clients[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
            left++;
            continue;
        }
        close(clients[i]);
        clients[i] = -1;
    }
    return left;
}

static void a_thousand_dripping_clients_are_sent_away_after_request_seconds(void **state)
{
    struct patience patience = {0};
    struct service service = {
        .handler = wait_for_much,
        .argument = &patience,
        .options = {.workers = 2, .idle_seconds = 1000, .request_seconds = 0.5}};
    int count = crowd();
    int *clients;

    (void)state;
    start_service(&service);
    clients = new_crowd(&service, count);
    while (drip(clients, count))
        assert_works(salut_sleep(0.02)); /* the pace of their drops: nowhere near 1024 of them */
    end_service(&service);
    assert_int_equal(patience.timed_out, count);
    assert_int_equal(patience.otherwise, 0);
    free(clients);
}

/* Little at a time, so that no send ever has to wait. */
static void send_drops(salut_sock *client, void *argument)
{
    struct patience *patience = argument;

    while (salut_send(client, ".", 1) == 1)
        salut_sleep(0.005);
    if (errno == ETIMEDOUT)
        atomic_fetch_add(&patience->timed_out, 1);
    else
        atomic_fetch_add(&patience->otherwise, 1);
}

/* One who comes late to what has come in time. */
static void receive_too_late(salut_sock *client, void *argument)
{
    struct patience *patience = argument;
    char byte;

    salut_sleep(0.11);
    if (salut_recv(client, &byte, 1) == -1 && errno == ETIMEDOUT)
        atomic_fetch_add(&patience->timed_out, 1);
    else
        atomic_fetch_add(&patience->otherwise, 1);
}

static void read_to_the_end(int client)
{
    char byte;

    while (read(client, &byte, 1) > 0)
        ;
    close(client);
}

static void request_seconds_are_over_for_a_client_that_reads_well_too(void **state)
{
    struct patience patience = {0};
    struct service service = {.handler = send_drops,
                              .argument = &patience,
                              .options = {.workers = 1, .request_seconds = 0.1}};

    (void)state;
    start_service(&service);
    read_to_the_end(plain_connection(service.port));
    end_service(&service);
    assert_int_equal(patience.timed_out, 1);
}

static void request_seconds_are_over_even_for_what_has_come(void **state)
{
    struct patience patience = {0};
    struct service service = {.handler = receive_too_late,
                              .argument = &patience,
                              .options = {.workers = 1, .request_seconds = 0.1}};
    int client;

    (void)state;
    start_service(&service);
    client = plain_connection(service.port);
    assert_int_equal(write(client, "?", 1), 1);
    read_to_the_end(client);
    end_service(&service);
    assert_int_equal(patience.timed_out, 1);
}

static void gather_drops(salut_sock *client, void *argument)
{
    salut_set_buffer(client, 64 * 1024);
    send_drops(client, argument);
}

static void also_when_its_answers_are_gathered(void **state)
{
    struct patience patience = {0};
    struct service service = {.handler = gather_drops,
                              .argument = &patience,
                              .options = {.workers = 1, .request_seconds = 0.1}};

    (void)state;
    start_service(&service);
    read_to_the_end(plain_connection(service.port));
    end_service(&service);
    assert_int_equal(patience.timed_out, 1);
}

/* ---- Those who don't read ------------------------------------------------------------------ */

/* "e" asks for an echo; "n" for news without end, which are never read. */
static void echo_or_news(salut_sock *client, void *argument)
{
    static const char news[1000];
    int *room = argument, least = 1;
    char word;

    setsockopt(salut_fd(client), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    if (salut_recv(client, &word, 1) != 1)
        return;
    if (word == 'e') {
        echo(client, NULL);
        return;
    }
    salut_set_buffer(client, (size_t)*room);
    while (salut_send(client, news, sizeof news) > 0)
        ;
}

/* A client whose system holds little for it. */
static int narrow_connection(int port)
{
    struct sockaddr_in address = plain_address("127.0.0.1", port);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), least = 1;

    assert_true(descriptor >= 0);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

static unsigned long resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

/* Each costs its buffer, a record, and the pages of its fiber's stack that were touched: 32 KiB
 * with all that goes with them. The other clients are served as if they were alone. */
static void a_thousand_clients_that_do_not_read_delay_nobody_and_cost_little(void **state)
{
    enum { RESIDENT_EACH = 32 * 1024, OTHERS = 10, ROUNDS = 100 };
    int room = 4096, count = crowd(), others[OTHERS];
    struct service service = {.handler = echo_or_news,
                              .argument = &room,
                              .options = {.workers = 2, .drain_seconds = 0.01}};
    int *clients = calloc((size_t)count, sizeof *clients);
    unsigned long before = resident_bytes(), after;
    char part[64];

    (void)state;
    assert_non_null(clients);
    start_service(&service);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = plain_connection(service.port);
        says(others[i], "e");
    }
    for (int i = 0; i < count; i++) {
        clients[i] = narrow_connection(service.port);
        says(clients[i], "n");
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OTHERS; i++) {
            says(others[i], "salut");
            hears(others[i], "salut");
        }
    }
    for (int i = 0; i < count; i++)
        wait_for(clients[i], POLLIN); /* every handler is at it */
    after = resident_bytes();
    if (!watcher() && after > before + (unsigned long)count * RESIDENT_EACH)
        fail_msg("%lu bytes for each", (after - before) / (unsigned long)count);
    for (int i = 0; i < OTHERS; i++) {
        shutdown(others[i], SHUT_WR);
        hears_the_end(others[i]);
    }
    stop_service(&service);
    join_service(&service);
    snprintf(part, sizeof part, "serve: %d conversations did not end in time", count);
    assert_outcome(service.outcome, ETIMEDOUT, part);
    for (int i = 0; i < count; i++)
        close(clients[i]);
    free(clients);
}

/* ---- Without descriptors ------------------------------------------------------------------- */

/* The clients are there first; then the process may have only a few descriptors more, for a few
 * of them at a time. Each who leaves gives one back. */
static void who_finds_no_descriptor_waits_until_there_is_one(void **state)
{
    enum { CLIENTS = 30, FEW = 4 };
    struct house house = {0};
    struct fiber_service service = {
        .handler = stay_until_told, .argument = &house, .options.workers = 1};
    struct rlimit before, few;
    int clients[CLIENTS];

    (void)state;
    needs_a_true_limit_of_descriptors();
    start_fiber_service(&service);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = plain_connection(service.port);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)clients[CLIENTS - 1] + 1 + FEW;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < CLIENTS; i++) {
        while (!has_heard(clients[i]))
            assert_works(salut_sleep(0.001));
        assert_true(house.inside <= FEW);
        shutdown(clients[i], SHUT_WR); /* it stays open here: only the server's end is given back */
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_works(salut_stop(service.listener));
    assert_ended_well(&service);
    assert_int_equal(house.most, FEW);
    assert_int_equal(house.served, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        hears(clients[i], "welcome\n");
        hears_the_end(clients[i]);
    }
    assert_works(salut_close(service.listener));
}

int main(void)
{
    struct CMUnitTest serve_limits[] = {
        cmocka_unit_test(no_more_than_so_many_are_let_in_and_the_others_wait),
        cmocka_unit_test(a_thousand_silent_clients_are_sent_away_after_idle_seconds),
        cmocka_unit_test(a_thousand_dripping_clients_are_sent_away_after_request_seconds),
        cmocka_unit_test(request_seconds_are_over_for_a_client_that_reads_well_too),
        cmocka_unit_test(request_seconds_are_over_even_for_what_has_come),
        cmocka_unit_test(also_when_its_answers_are_gathered),
        cmocka_unit_test(a_thousand_clients_that_do_not_read_delay_nobody_and_cost_little),
        cmocka_unit_test(who_finds_no_descriptor_waits_until_there_is_one),
    };

    return RUN_SERVICE_TESTS(serve_limits);
}
