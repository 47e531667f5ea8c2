/* Names are looked up on threads of their own. This program's getaddrinfo() takes the system's
 * place: some names take as long as a test wants them to. */
#include "support/fibers.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- The names there are ------------------------------------------------------------------- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int inside, inside_max; /* calls of getaddrinfo() under way */
static int slow_inside;        /* those that wait at the gate */
static int lookups;

enum { OF_THIS_PROGRAM = 0x40000000 }; /* in ai_flags */

static struct addrinfo *made(const char *numeric, struct addrinfo *next)
{
    struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in));
    struct sockaddr_in *address = (struct sockaddr_in *)(a + 1);

    address->sin_family = AF_INET;
    inet_pton(AF_INET, numeric, &address->sin_addr);
    a->ai_flags = OF_THIS_PROGRAM;
    a->ai_family = AF_INET;
    a->ai_addrlen = sizeof *address;
    a->ai_addr = (struct sockaddr *)address;
    a->ai_next = next;
    return a;
}

void freeaddrinfo(struct addrinfo *list)
{
    void (*of_the_system)(struct addrinfo *);

    if (!(list->ai_flags & OF_THIS_PROGRAM)) {
        *(void **)&of_the_system = dlsym(RTLD_NEXT, "freeaddrinfo");
        of_the_system(list);
        return;
    }
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static int answer(const char *name, struct addrinfo **list)
{
    *list = NULL;
    if (!strcmp(name, "nobody"))
        return EAI_NONAME;
    if (!strcmp(name, "again"))
        return EAI_AGAIN;
    if (!strcmp(name, "memory"))
        return EAI_MEMORY;
    if (!strcmp(name, "system")) {
        errno = EMFILE;
        return EAI_SYSTEM;
    }
    for (int i = 0; !strcmp(name, "twenty") && i < 19; i++)
        *list = made("192.0.2.7", *list);
    *list = made("192.0.2.1", *list);
    return 0;
}

static void wait_at_the_gate(void)
{
    slow_inside++;
    pthread_cond_broadcast(&gate_moved);
    while (!gate_open)
        pthread_cond_wait(&gate_moved, &gate);
    slow_inside--;
    pthread_cond_broadcast(&gate_moved);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
    int (*of_the_system)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (!strcmp(name, "localhost") || (hints->ai_flags & AI_NUMERICHOST)) {
        *(void **)&of_the_system = dlsym(RTLD_NEXT, "getaddrinfo");
        return of_the_system(name, service, hints, list);
    }
    pthread_mutex_lock(&gate);
    lookups++;
    inside++;
    if (inside > inside_max)
        inside_max = inside;
    if (!strncmp(name, "slow", 4))
        wait_at_the_gate();
    inside--;
    pthread_mutex_unlock(&gate);
    return answer(name, list);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate);
    gate_open = true;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

/* Behind those that it let through. */
static void close_gate(void)
{
    pthread_mutex_lock(&gate);
    while (slow_inside)
        pthread_cond_wait(&gate_moved, &gate);
    gate_open = false;
    pthread_mutex_unlock(&gate);
}

/* Until so many lookups wait at the gate. */
static void wait_for_slow(int count)
{
    pthread_mutex_lock(&gate);
    while (slow_inside != count)
        pthread_cond_wait(&gate_moved, &gate);
    pthread_mutex_unlock(&gate);
}

/* ---- By the engine alone ------------------------------------------------------------------- */

struct name {
    struct operation operation; /* first: an operation's address is its name's */
    struct address_list found;
    int done;
};

static void count(struct operation *operation)
{
    ((struct name *)operation)->done++;
}

static void look_up(struct engine *e, struct name *n, const char *host)
{
    memset(n, 0, sizeof *n);
    n->operation = (struct operation){
        .kind = OPERATION_RESOLVE, .host = host, .found = &n->found, .done = count};
    if (e->calls->start(e, &n->operation))
        fail_msg("looking up %s: %s", host, strerror((int)-n->operation.result));
}

/* Polls until it is done. What should come but never does ends the test after a minute. */
static void wait_for(struct engine *e, struct name *n)
{
    int64_t patience_ends = clock_now() + 60 * (int64_t)NANOSECONDS;

    while (!n->done && clock_now() < patience_ends)
        e->calls->poll(e, patience_ends);
    if (!n->done)
        fail_msg("%s is never answered", n->operation.host);
    assert_int_equal(n->done, 1);
}

/* The first test: there is no thread yet, so that the first name makes the only one. */
static void a_slow_name_does_not_hold_up_the_next(void **state)
{
    struct engine *e = engine_epoll_create();
    static struct name slow, quick[2];

    (void)state;
    close_gate();
    look_up(e, &quick[0], "quick");
    wait_for(e, &quick[0]);
    e->calls->poll(e, clock_now() + NANOSECONDS / 100); /* the thread is idle again, likely */
    look_up(e, &slow, "slow");
    look_up(e, &quick[1], "quick");
    wait_for(e, &quick[1]);
    assert_int_equal(slow.done, 0);
    open_gate();
    wait_for(e, &slow);
    assert_int_equal(slow.operation.result, 0);
    e->calls->destroy(e);
}

static void localhost_is_this_machine(void **state)
{
    struct engine *e = engine_epoll_create();
    static struct name n;
    bool loopback = false;

    (void)state;
    look_up(e, &n, "localhost");
    wait_for(e, &n);
    assert_int_equal(n.operation.result, 0);
    assert_in_range(n.found.count, 1, ADDRESSES_MAX);
    for (uint32_t i = 0; i < n.found.count; i++) {
        const salut_addr *a = &n.found.addresses[i];
        loopback =
            loopback ||
            (a->raw.any.sa_family == AF_INET &&
             a->raw.ipv4.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) ||
            (a->raw.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->raw.ipv6.sin6_addr));
    }
    assert_true(loopback);
    e->calls->destroy(e);
}

static void each_failure_has_its_errno(void **state)
{
    const struct {
        const char *name;
        int number;
    } failures[] = {
        {"nobody", ENOENT}, {"again", EHOSTUNREACH}, {"memory", ENOMEM}, {"system", EMFILE}};
    struct engine *e = engine_epoll_create();
    static struct name n;

    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        look_up(e, &n, failures[i].name);
        wait_for(e, &n);
        assert_int_equal(n.operation.result, -failures[i].number);
        assert_int_equal(n.found.count, 0);
    }
    e->calls->destroy(e);
}

static void of_more_addresses_than_the_limit_the_first_are_kept(void **state)
{
    struct engine *e = engine_epoll_create();
    static struct name n;
    char text[INET_ADDRSTRLEN];

    (void)state;
    look_up(e, &n, "twenty");
    wait_for(e, &n);
    assert_int_equal(n.found.count, ADDRESSES_MAX);
    inet_ntop(AF_INET, &n.found.addresses[0].raw.ipv4.sin_addr, text, sizeof text);
    assert_string_equal(text, "192.0.2.1");
    e->calls->destroy(e);
}

static void many_names_at_once_are_all_answered_by_few_threads(void **state)
{
    enum { NAMES = 100 };
    struct engine *e = engine_epoll_create();
    static struct name names[NAMES];

    (void)state;
    close_gate();
    for (int i = 0; i < NAMES; i++)
        look_up(e, &names[i], i % 2 ? "slow" : "quick");
    wait_for_slow(RESOLVER_THREADS_MAX);
    open_gate();
    for (int i = 0; i < NAMES; i++)
        wait_for(e, &names[i]);
    for (int i = 0; i < NAMES; i++)
        assert_int_equal(names[i].operation.result, 0);
    assert_int_equal(inside_max, RESOLVER_THREADS_MAX);
    e->calls->destroy(e);
}

static void a_lookup_cancelled_while_it_runs_is_never_done(void **state)
{
    struct engine *e = engine_epoll_create();
    static struct name slow, quick;

    (void)state;
    close_gate();
    look_up(e, &slow, "slow");
    wait_for_slow(1);
    e->calls->cancel(e, &slow.operation);
    memset(&slow.found, 0xff, sizeof slow.found);
    open_gate();
    wait_for_slow(0);
    look_up(e, &quick, "quick");
    wait_for(e, &quick);
    assert_int_equal(slow.done, 0);
    assert_int_equal(slow.found.count, UINT32_MAX); /* nobody wrote into it */
    e->calls->destroy(e);
}

/* As many slow ones as there are threads, then `queued`, which none has come to yet. */
static void look_up_behind_slow_ones(struct engine *e, struct name *slow, struct name *queued)
{
    close_gate();
    for (int i = 0; i < RESOLVER_THREADS_MAX; i++)
        look_up(e, &slow[i], "slow");
    wait_for_slow(RESOLVER_THREADS_MAX);
    look_up(e, queued, "quick");
}

static void a_lookup_cancelled_while_it_is_queued_never_begins(void **state)
{
    struct engine *e = engine_epoll_create();
    static struct name slow[RESOLVER_THREADS_MAX], queued;
    int before;

    (void)state;
    look_up_behind_slow_ones(e, slow, &queued);
    before = lookups;
    e->calls->cancel(e, &queued.operation);
    open_gate();
    for (int i = 0; i < RESOLVER_THREADS_MAX; i++)
        wait_for(e, &slow[i]);
    assert_int_equal(lookups, before);
    assert_int_equal(queued.done, 0);
    e->calls->destroy(e);
}

static void an_engine_may_end_while_its_names_are_looked_up(void **state)
{
    struct engine *e = engine_epoll_create(), *other = engine_epoll_create();
    static struct name slow[RESOLVER_THREADS_MAX], queued, last;
    int before;

    (void)state;
    look_up_behind_slow_ones(e, slow, &queued);
    before = lookups;
    e->calls->destroy(e);
    memset(slow, 0xff, sizeof slow); /* none of these is anybody's any more */
    memset(&queued, 0xff, sizeof queued);
    open_gate();
    look_up(other, &last, "quick");
    wait_for(other, &last);
    assert_int_equal(last.operation.result, 0);
    assert_int_equal(lookups, before + 1); /* the queued one was dropped */
    other->calls->destroy(other);
}

/* ---- By fibers ----------------------------------------------------------------------------- */

struct resolving {
    salut_addr address;
    int result, number;
    bool ended;
};

static void resolve_slow(void *argument)
{
    struct resolving *r = argument;

    r->result = salut_resolve(&r->address, "slow", 80);
    r->number = errno;
    r->ended = true;
}

static void other_fibers_run_while_a_name_is_looked_up(void **state)
{
    struct resolving r = {.result = -2};
    salut_fiber *fiber = salut_go(resolve_slow, &r);

    (void)state;
    close_gate();
    salut_yield();
    wait_for_slow(1);
    for (int i = 0; i < 200; i++)
        assert_int_equal(salut_yield(), 0);
    assert_false(r.ended);
    open_gate();
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(r.result, 0);
    assert_string_equal(salut_addr_host(&r.address), "192.0.2.1");
    assert_int_equal(salut_addr_port(&r.address), 80);
}

static void a_fiber_is_canceled_while_it_looks_a_name_up(void **state)
{
    struct resolving r = {.result = -2};
    salut_fiber *fiber = salut_go(resolve_slow, &r);

    (void)state;
    close_gate();
    salut_yield();
    wait_for_slow(1);
    salut_cancel(fiber);
    assert_int_equal(salut_join(fiber), 0);
    assert_int_equal(r.result, -1);
    assert_int_equal(r.number, ECANCELED);
    assert_int_equal(r.address.raw_size, 0);
    open_gate();
    wait_for_slow(0);
}

static void the_time_of_a_connect_covers_its_lookup(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    close_gate();
    salut_settimeout(s, 0.01);
    assert_int_equal(salut_connect(s, "slow", 80), -1);
    assert_int_equal(errno, ETIMEDOUT);
    salut_settimeout(s, 0);
    assert_int_equal(salut_connect(s, "slow", 80), -1);
    assert_int_equal(errno, EAGAIN);
    open_gate();
    wait_for_slow(0);
    salut_close(s);
}

static struct address_list never_found;
static bool went_on;

/* Without a word of floor 5, which would have memory of its own to free. */
static void perform_slow(void *unused)
{
    struct operation o = {.kind = OPERATION_RESOLVE, .host = "slow", .found = &never_found};

    (void)unused;
    fiber_perform(&o, NEVER);
    went_on = true;
}

static void *end_while_resolving(void *unused)
{
    salut_go(perform_slow, NULL);
    salut_yield();
    wait_for_slow(1);
    return unused;
}

static void a_thread_may_end_while_its_fiber_looks_a_name_up(void **state)
{
    pthread_t thread;

    (void)state;
    close_gate();
    assert_int_equal(pthread_create(&thread, NULL, end_while_resolving, NULL), 0);
    pthread_join(thread, NULL);
    open_gate();
    wait_for_slow(0);
    assert_false(went_on);
    assert_int_equal(never_found.count, 0);
}

static void *resolve_and_end(void *unused)
{
    struct resolving r;

    for (int i = 0; i < 20; i++) {
        salut_fiber *fiber = salut_go(resolve_slow, &r);
        salut_yield();
        if (i % 3)
            salut_cancel(fiber);
        salut_join(fiber);
    }
    return unused;
}

static void threads_resolve_cancel_and_end_at_the_same_time(void **state)
{
    pthread_t threads[6];

    (void)state;
    open_gate();
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_and_end, NULL), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Without threads ----------------------------------------------------------------------- */

static bool no_thread_can_be_had;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    static create *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return no_thread_can_be_had ? EAGAIN : real(thread, attributes, run, argument);
}

/* In a child process, which has none yet. */
static void look_up_without_threads(void)
{
    salut_addr address;

    no_thread_can_be_had = true;
    CHILD_ASSERT(salut_resolve(&address, "localhost", 80) == -1 && errno == ENOBUFS);
    CHILD_ASSERT(strstr(salut_error(), "resolve localhost:80: looking the name up: the system"));
    CHILD_ASSERT(!strstr(salut_error(), "timeout")); /* as EAGAIN would say */
    CHILD_ASSERT(salut_resolve(&address, "127.0.0.1", 80) == 0);
}

static void without_a_thread_a_name_is_not_looked_up_and_it_is_said(void **state)
{
    (void)state;
    assert_child_is_content(look_up_without_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_name_does_not_hold_up_the_next), /* stays the first */
        cmocka_unit_test(localhost_is_this_machine),
        cmocka_unit_test(each_failure_has_its_errno),
        cmocka_unit_test(of_more_addresses_than_the_limit_the_first_are_kept),
        cmocka_unit_test(many_names_at_once_are_all_answered_by_few_threads),
        cmocka_unit_test(a_lookup_cancelled_while_it_runs_is_never_done),
        cmocka_unit_test(a_lookup_cancelled_while_it_is_queued_never_begins),
        cmocka_unit_test(an_engine_may_end_while_its_names_are_looked_up),
        cmocka_unit_test(other_fibers_run_while_a_name_is_looked_up),
        cmocka_unit_test(a_fiber_is_canceled_while_it_looks_a_name_up),
        cmocka_unit_test(the_time_of_a_connect_covers_its_lookup),
        cmocka_unit_test(a_thread_may_end_while_its_fiber_looks_a_name_up),
        cmocka_unit_test(without_a_thread_a_name_is_not_looked_up_and_it_is_said),
        cmocka_unit_test(threads_resolve_cancel_and_end_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
