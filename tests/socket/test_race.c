/* test_race.c: names, and the addresses behind them: connect's race (RFC 8305), and what else
 * waits for a name. The names are this file's own: the library's calls of getaddrinfo() come
 * here. */
#include "support/sockets.h"

#include <assert.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>

/* ---- Names of our own ---------------------------------------------------------------------- */

/* What a name stands for; guarded by names_lock, since the resolver's threads look here. */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static char name_hosts[64][INET6_ADDRSTRLEN];
static int name_count;
static int name_failure; /* EAI_..., 0 for none */
static bool name_waits;  /* a look-up lasts until let_the_lookups_end() */
static pthread_cond_t names_changed = PTHREAD_COND_INITIALIZER;
static int lookups;
static sem_t lookup_begun; /* posted for each of "several.example" */

static void name_is(int count, const char *const hosts[])
{
    pthread_mutex_lock(&names_lock);
    for (int i = 0; i < count; i++)
        snprintf(name_hosts[i], sizeof name_hosts[i], "%s", hosts[i]);
    name_count = count;
    name_failure = 0;
    pthread_mutex_unlock(&names_lock);
}

#define NAME_IS(...)                                                                               \
    name_is(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),                     \
            (const char *const[]){__VA_ARGS__})

static void name_fails(int failure)
{
    pthread_mutex_lock(&names_lock);
    name_failure = failure;
    pthread_mutex_unlock(&names_lock);
}

static void name_takes_its_time(void)
{
    pthread_mutex_lock(&names_lock);
    name_waits = true;
    pthread_mutex_unlock(&names_lock);
}

static void let_the_lookups_end(void)
{
    pthread_mutex_lock(&names_lock);
    name_waits = false;
    pthread_cond_broadcast(&names_changed);
    pthread_mutex_unlock(&names_lock);
}

struct answer {
    struct addrinfo info;
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address;
};

/* Prepends an address; false if host isn't one. */
static bool add_answer(struct addrinfo **list, const char *host)
{
    struct answer *a = calloc(1, sizeof *a);
    bool six = strchr(host, ':');

    assert(a);
    if (inet_pton(six ? AF_INET6 : AF_INET, host,
                  six ? (void *)&a->address.ipv6.sin6_addr : &a->address.ipv4.sin_addr) != 1) {
        free(a);
        return false;
    }
    a->address.any.sa_family = six ? AF_INET6 : AF_INET;
    a->info = (struct addrinfo){.ai_family = six ? AF_INET6 : AF_INET,
                                .ai_addr = &a->address.any,
                                .ai_addrlen = six ? sizeof a->address.ipv6 : sizeof a->address.ipv4,
                                .ai_next = *list};
    *list = &a->info;
    return true;
}

int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    int failure;

    (void)service;
    *found = NULL;
    if (add_answer(found, host))
        return 0;
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    pthread_mutex_lock(&names_lock);
    lookups++;
    failure = name_failure;
    if (!failure) {
        for (int i = name_count; i-- > 0;)
            add_answer(found, name_hosts[i]);
    }
    if (!strcmp(host, "several.example"))
        sem_post(&lookup_begun);
    while (name_waits && strcmp(host, "other.example"))
        pthread_cond_wait(&names_changed, &names_lock);
    pthread_mutex_unlock(&names_lock);
    return failure;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list); /* the answer's first member */
        list = next;
    }
}

static int lookups_so_far(void)
{
    int count;

    pthread_mutex_lock(&names_lock);
    count = lookups;
    pthread_mutex_unlock(&names_lock);
    return count;
}

/* ---- Ports that several addresses share ---------------------------------------------------- */

enum role { REFUSES, LISTENS, SWALLOWS };

struct place {
    const char *host; /* IPv4 */
    enum role role;
    struct black_hole hole;
    int descriptor;
};

static void clear(struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (places[i].role == SWALLOWS)
            fill_in(places[i].hole);
        else
            close(places[i].descriptor);
    }
}

static bool occupy(struct place *p, int port)
{
    if (p->role == SWALLOWS) {
        p->hole = dig_black_hole(p->host, port);
        return p->hole.listener >= 0;
    }
    p->descriptor = plain_bound(SOCK_STREAM, p->host, port, p->role == LISTENS ? 5 : -1);
    return p->descriptor >= 0;
}

/* Gives each its role at one port, which is the result. */
static int take_places(struct place *places, size_t count)
{
    for (;;) {
        size_t taken = 1;
        int port;
        assert_true(occupy(&places[0], 0));
        port =
            plain_port(places[0].role == SWALLOWS ? places[0].hole.listener : places[0].descriptor);
        while (taken < count && occupy(&places[taken], port))
            taken++;
        if (taken == count)
            return port;
        clear(places, taken); /* somebody else has that port there */
    }
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_connected_to(salut_sock *s, const char *host)
{
    salut_addr peer;

    assert_works(salut_peer(s, &peer));
    assert_string_equal(salut_addr_host(&peer), host);
}

struct connector {
    salut_sock *s;
    int port;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void connect_it(void *argument)
{
    struct connector *c = argument;

    note(&c->outcome, salut_connect(c->s, "several.example", c->port));
}

static void start_connecting(struct connector *c, int port)
{
    *c = (struct connector){.s = salut_socket(SALUT_TCP), .port = port};
    c->fiber = salut_go(connect_it, c);
    assert_non_null(c->fiber);
}

/* ---- The race ------------------------------------------------------------------------------ */

static void when_the_first_address_refuses_the_second_is_tried_at_once(void **state)
{
    struct place places[] = {{"127.0.0.2", REFUSES, {0}, 0}, {"127.0.0.3", LISTENS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    assert_works(salut_settimeout(s, 60));
    assert_works(salut_connect(s, "several.example", port));
    assert_connected_to(s, "127.0.0.3");
    assert_false(salut_failed());
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void the_second_address_is_not_tried_while_the_first_may_answer(void **state)
{
    struct place places[] = {{"127.0.0.2", LISTENS, {0}, 0}, {"127.0.0.3", LISTENS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    assert_works(salut_connect(s, "several.example", port));
    assert_connected_to(s, "127.0.0.2");
    assert_int_equal(fcntl(places[1].descriptor, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(accept(places[1].descriptor, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void when_the_first_address_is_silent_the_second_wins_after_the_stagger(void **state)
{
    struct place places[] = {{"127.0.0.2", SWALLOWS, {0}, 0}, {"127.0.0.3", LISTENS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);
    int64_t begin = clock_now();

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    assert_works(salut_connect(s, "several.example", port));
    assert_true(clock_now() - begin >= NANOSECONDS / 4);
    assert_connected_to(s, "127.0.0.3");
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void when_all_refuse_the_sentence_lists_each_address_and_why(void **state)
{
    struct place places[] = {{"127.0.0.2", REFUSES, {0}, 0}, {"127.0.0.3", REFUSES, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);
    char part[64];

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    snprintf(part, sizeof part, "connect to several.example:%d: ", port);
    assert_fails(salut_connect(s, "several.example", port), ECONNREFUSED, part);
    snprintf(part, sizeof part, "127.0.0.2:%d", port);
    assert_says(part);
    snprintf(part, sizeof part, "127.0.0.3:%d", port);
    assert_says(part);
    assert_says("connection refused");
    assert_fails(salut_send(s, "x", 1), ECONNREFUSED, part); /* the list is kept */
    assert_fails(salut_recv(s, (char[1]){0}, 1), ECONNREFUSED, part);
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void different_reasons_are_all_told(void **state)
{
    struct place places[] = {{"127.0.0.2", REFUSES, {0}, 0}, {"127.0.0.3", SWALLOWS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);
    char part[128];

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    assert_works(salut_settimeout(s, 0.02));
    snprintf(part, sizeof part, "127.0.0.2:%d: connection refused", port);
    assert_fails(salut_connect(s, "several.example", port), ETIMEDOUT, part);
    snprintf(part, sizeof part, "127.0.0.3:%d: no answer in time", port);
    assert_says(part);
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void families_alternate(void **state)
{
    struct place places[] = {{"127.0.0.2", REFUSES, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);
    static const char *const order[] = {"127.0.0.2", "[::1]", "127.0.0.3", "127.0.0.4"};
    const char *at;

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3", "127.0.0.4", "::1");
    assert_fails(salut_connect(s, "several.example", port), ECONNREFUSED, "127.0.0.2");
    at = salut_error();
    for (size_t i = 0; i < COUNT(order); i++) {
        at = strstr(at, order[i]);
        if (!at)
            fail_msg("no %s at its place in: %s", order[i], salut_error());
    }
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void of_more_than_16_addresses_the_first_16_are_tried_and_told(void **state)
{
    struct place places[16];
    char hosts[16][24], part[64];
    salut_sock *s = salut_socket(SALUT_TCP);
    int port;

    (void)state;
    for (int i = 0; i < 16; i++) {
        snprintf(hosts[i], sizeof hosts[i], "127.0.0.%d", 100 + i);
        places[i] = (struct place){.host = hosts[i], .role = REFUSES};
    }
    NAME_IS("127.0.0.100", "127.0.0.101", "127.0.0.102", "127.0.0.103", "127.0.0.104",
            "127.0.0.105", "127.0.0.106", "127.0.0.107", "127.0.0.108", "127.0.0.109",
            "127.0.0.110", "127.0.0.111", "127.0.0.112", "127.0.0.113", "127.0.0.114",
            "127.0.0.115", "127.0.0.116", "127.0.0.117", "127.0.0.118", "127.0.0.119");
    port = take_places(places, 16);
    assert_fails(salut_connect(s, "several.example", port), ECONNREFUSED, "127.0.0.100");
    for (int i = 0; i < 16; i++) {
        snprintf(part, sizeof part, "%.23s:%d", hosts[i], port);
        assert_says(part);
    }
    assert_null(strstr(salut_error(), "127.0.0.116"));
    assert_works(salut_close(s));
    clear(places, 16);
}

static void a_race_that_nobody_wins_in_time_leaves_nothing_behind(void **state)
{
    struct place places[] = {{"127.0.0.2", SWALLOWS, {0}, 0}, {"127.0.0.3", SWALLOWS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);
    char part[64];

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    snprintf(part, sizeof part, "127.0.0.3:%d", port);
    /* The second has begun by then, unless looking the name up took its time. */
    for (double seconds = 0.26; seconds < 60; seconds *= 2) {
        assert_works(salut_settimeout(s, seconds));
        assert_fails(salut_connect(s, "several.example", port), ETIMEDOUT, "127.0.0.2");
        if (strstr(salut_error(), part))
            break;
    }
    assert_says(part);
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void cancel_ends_a_race(void **state)
{
    struct place places[] = {{"127.0.0.2", SWALLOWS, {0}, 0}, {"127.0.0.3", SWALLOWS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    struct connector c;

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    start_connecting(&c, port);
    salut_sleep(0.27); /* both are under way, most likely; the test holds in any case */
    assert_works(salut_cancel(c.fiber));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, "several.example");
    assert_works(salut_close(c.s));
    clear(places, COUNT(places));
}

static void close_ends_a_race(void **state)
{
    struct place places[] = {{"127.0.0.2", SWALLOWS, {0}, 0}, {"127.0.0.3", SWALLOWS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    struct connector c;

    (void)state;
    NAME_IS("127.0.0.2", "127.0.0.3");
    start_connecting(&c, port);
    salut_sleep(0.27);
    assert_works(salut_close(c.s));
    assert_works(salut_join(c.fiber));
    assert_outcome(c.outcome, ECANCELED, "closed the socket");
    clear(places, COUNT(places));
}

/* ---- In turn: a socket that has an address, or is for datagrams ------------------------------ */

static void a_bound_socket_tries_the_addresses_of_its_family_in_turn(void **state)
{
    struct place places[] = {{"127.0.0.2", REFUSES, {0}, 0}, {"127.0.0.3", LISTENS, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    NAME_IS("::1", "127.0.0.2", "127.0.0.3", "::1");
    assert_works(salut_bind(s, "127.0.0.1", 0));
    assert_works(salut_connect(s, "several.example", port));
    assert_connected_to(s, "127.0.0.3");
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void a_bound_socket_tells_why_its_own_family_failed(void **state)
{
    struct place places[] = {{"127.0.0.2", REFUSES, {0}, 0}};
    int port = take_places(places, COUNT(places));
    salut_sock *s = salut_socket(SALUT_TCP);
    char part[64];

    (void)state;
    NAME_IS("127.0.0.2", "::1");
    assert_works(salut_bind(s, "127.0.0.1", 0));
    snprintf(part, sizeof part, "several.example:%d", port);
    assert_fails(salut_connect(s, "several.example", port), ECONNREFUSED, part);
    NAME_IS("::1");
    assert_fails(salut_connect(s, "several.example", port), EAFNOSUPPORT, part);
    assert_works(salut_close(s));
    clear(places, COUNT(places));
}

static void a_bound_datagram_server_and_its_client_meet_by_the_same_name(void **state)
{
    salut_sock *server = salut_socket(SALUT_UDP), *client = salut_socket(SALUT_UDP);

    (void)state;
    NAME_IS("::1", "127.0.0.1"); /* as getaddrinfo() sorts them */
    assert_works(salut_bind(server, "several.example", 0));
    assert_works(salut_connect(client, "several.example", port_of(server)));
    assert_connected_to(client, "127.0.0.1"); /* where bind is, and what resolve says */
    assert_works(salut_close(server));
    assert_works(salut_close(client));
}

/* ---- Names --------------------------------------------------------------------------------- */

static void a_name_is_bound_at_its_ipv4_address_first(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    salut_addr address;

    (void)state;
    NAME_IS("::1", "127.0.0.5");
    assert_works(salut_bind(s, "several.example", 0));
    assert_works(salut_local(s, &address));
    assert_string_equal(salut_addr_host(&address), "127.0.0.5");
    assert_works(salut_resolve(&address, "several.example", 4711));
    assert_string_equal(salut_addr_host(&address), "127.0.0.5");
    assert_int_equal(salut_addr_port(&address), 4711);
    NAME_IS("::1");
    assert_works(salut_resolve(&address, "several.example", 0));
    assert_string_equal(salut_addr_host(&address), "::1");
    assert_works(salut_close(s));
}

static void a_name_that_nobody_has_is_told(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP), *fresh = salut_socket(SALUT_TCP);
    salut_addr address, zeros = {0};

    (void)state;
    name_fails(EAI_NONAME);
    assert_fails(salut_connect(s, "several.example", 80), ENOENT, "several.example:80: no host");
    assert_fails(salut_send(s, "x", 1), ENOENT, "several.example:80");
    assert_fails(salut_bind(fresh, "several.example", 80), ENOENT, "several.example:80: no host");
    assert_fails(salut_listen(fresh, 1), ENOENT, "several.example:80");
    memset(&address, 'x', sizeof address);
    assert_fails(salut_resolve(&address, "several.example", 80), ENOENT, "several.example:80");
    assert_memory_equal(&address, &zeros, sizeof zeros);
    assert_works(salut_close(s));
    assert_works(salut_close(fresh));
}

static void resolve_needs_a_host_and_a_port(void **state)
{
    salut_addr address, zeros = {0};
    char host[301];

    (void)state;
    memset(host, 'a', 300);
    host[300] = '\0';
    memset(&address, 'x', sizeof address);
    assert_fails(salut_resolve(&address, NULL, 80), EINVAL, "host is empty");
    assert_memory_equal(&address, &zeros, sizeof zeros);
    assert_fails(salut_resolve(&address, "", 80), EINVAL, "host is empty");
    assert_fails(salut_resolve(&address, host, 80), EINVAL, "300 bytes");
    assert_fails(salut_resolve(&address, "several.example", -1), EINVAL, "several.example: -1");
    assert_fails(salut_resolve(&address, "127.0.0.1", 65536), EINVAL, "65536 is not a port");
    assert_memory_equal(&address, &zeros, sizeof zeros);
}

static void names_that_can_not_be_looked_up_just_now_are_told(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    name_fails(EAI_AGAIN);
    assert_fails(salut_connect(s, "several.example", 80), EHOSTUNREACH, "several.example:80");
    assert_says("name server");
    name_fails(EAI_FAIL);
    assert_fails(salut_connect(s, "several.example", 80), EHOSTUNREACH, "several.example:80");
    name_fails(EAI_MEMORY);
    assert_fails(salut_connect(s, "several.example", 80), ENOMEM, "several.example:80");
    NAME_IS("127.0.0.1");
    assert_works(salut_close(s));
}

static void numbers_are_looked_up_by_nobody(void **state)
{
    salut_sock *s = listening("127.0.0.1"), *client = salut_socket(SALUT_TCP);
    int before = lookups_so_far();

    (void)state;
    assert_works(salut_connect(client, "127.0.0.1", port_of(s)));
    assert_int_equal(lookups_so_far(), before);
    assert_works(salut_close(client));
    assert_works(salut_close(s));
}

/* ---- While a name is looked up ------------------------------------------------------------- */

struct placer {
    salut_sock *s;
    int (*place)(salut_sock *s, const char *host, int port);
    int port;
    struct outcome outcome;
    salut_fiber *fiber;
};

static void place_it(void *argument)
{
    struct placer *p = argument;

    note(&p->outcome, p->place(p->s, "several.example", p->port));
}

/* A fiber whose bind or connect waits for its name when this returns. */
static void start_looking_up(struct placer *p, salut_sock *s,
                             int (*place)(salut_sock *, const char *, int), int port)
{
    *p = (struct placer){.s = s, .place = place, .port = port};
    name_takes_its_time();
    while (sem_trywait(&lookup_begun) == 0)
        ;
    p->fiber = salut_go(place_it, p);
    assert_non_null(p->fiber);
    let_fibers_run();
    while (sem_wait(&lookup_begun))
        ;
}

static void others_run_while_a_name_is_looked_up(void **state)
{
    salut_sock *listener = listening("127.0.0.1"), *a, *b;
    struct placer p;

    (void)state;
    NAME_IS("127.0.0.1");
    start_looking_up(&p, salut_socket(SALUT_TCP), salut_connect, port_of(listener));
    connected(&a, &b);
    assert_returns(salut_send(a, "x", 1), 1);
    assert_returns(salut_recv(b, (char[1]){0}, 1), 1);
    assert_false(p.outcome.done);
    let_the_lookups_end();
    assert_works(salut_join(p.fiber));
    assert_returns(p.outcome.result, 0);
    assert_works(salut_close(p.s));
    assert_works(salut_close(a));
    assert_works(salut_close(b));
    assert_works(salut_close(listener));
}

static void a_slow_name_holds_up_no_other_name(void **state)
{
    salut_sock *listener = listening("127.0.0.1");
    struct placer slow[3];
    salut_addr address;

    (void)state;
    NAME_IS("127.0.0.1");
    assert_works(salut_resolve(&address, "several.example", 0)); /* a thread is there, idle */
    for (int i = 0; i < 3; i++)
        start_looking_up(&slow[i], salut_socket(SALUT_TCP), salut_connect, port_of(listener));
    assert_works(salut_resolve(&address, "other.example", 0)); /* they still wait */
    for (int i = 0; i < 3; i++)
        assert_false(slow[i].outcome.done);
    let_the_lookups_end();
    for (int i = 0; i < 3; i++) {
        assert_works(salut_join(slow[i].fiber));
        assert_returns(slow[i].outcome.result, 0);
        assert_works(salut_close(slow[i].s));
    }
    assert_works(salut_close(listener));
}

static void names_asked_for_in_one_breath_hold_up_each_other_no_more(void **state)
{
    enum { NAMES = 6 };
    salut_sock *listener = listening("127.0.0.1");
    struct connector c[NAMES];
    salut_addr address;

    (void)state;
    NAME_IS("127.0.0.1");
    assert_works(salut_resolve(&address, "other.example", 0));
    salut_sleep(0.02); /* its thread is idle by now, most likely; the test holds in any case */
    name_takes_its_time();
    for (int i = 0; i < NAMES; i++)
        start_connecting(&c[i], port_of(listener));
    let_fibers_run();
    for (int i = 0; i < NAMES; i++) /* all are in getaddrinfo(), though none may leave it yet */
        while (sem_wait(&lookup_begun))
            ;
    let_the_lookups_end();
    for (int i = 0; i < NAMES; i++) {
        assert_works(salut_join(c[i].fiber));
        assert_returns(c[i].outcome.result, 0);
        assert_works(salut_close(c[i].s));
    }
    assert_works(salut_close(listener));
}

static void a_lookup_takes_its_share_of_connect_s_time(void **state)
{
    struct black_hole hole = dig_black_hole("127.0.0.1", 0);
    salut_sock *s = salut_socket(SALUT_TCP);
    struct placer p;
    int64_t deadline;
    struct fiber *f;

    (void)state;
    NAME_IS("127.0.0.1");
    assert_works(salut_settimeout(s, 0.05));
    start_looking_up(&p, s, salut_connect, plain_port(hole.listener));
    f = handle_object(&scheduler_of_thread->fibers, p.fiber);
    assert_non_null(f);
    deadline = f->timer.due;
    let_the_lookups_end();
    while (!p.outcome.done) {
        assert_int_equal(f->timer.due, deadline); /* one for the name and for the connection */
        salut_yield();
    }
    assert_outcome(p.outcome, ETIMEDOUT, "several.example");
    assert_works(salut_close(s));
    fill_in(hole);
}

static void a_lookup_ends_when_connect_s_time_is_over(void **state)
{
    salut_sock *s = salut_socket(SALUT_TCP);

    (void)state;
    NAME_IS("127.0.0.1");
    name_takes_its_time();
    assert_works(salut_settimeout(s, 0.01));
    assert_fails(salut_connect(s, "slow.example", 80), ETIMEDOUT, "slow.example:80");
    assert_works(salut_settimeout(s, 0));
    assert_fails(salut_connect(s, "slow.example", 80), EAGAIN, "slow.example:80");
    let_the_lookups_end();
    assert_works(salut_close(s));
}

static void cancel_ends_the_wait_for_a_name(void **state)
{
    struct placer p;

    (void)state;
    NAME_IS("127.0.0.1");
    start_looking_up(&p, salut_socket(SALUT_TCP), salut_connect, 80);
    assert_works(salut_cancel(p.fiber));
    assert_works(salut_join(p.fiber));
    assert_outcome(p.outcome, ECANCELED, "several.example:80");
    let_the_lookups_end();
    assert_works(salut_close(p.s));
}

static void close_ends_the_wait_for_a_name(void **state)
{
    static int (*const words[])(salut_sock *, const char *, int) = {salut_connect, salut_bind};

    (void)state;
    for (size_t i = 0; i < COUNT(words); i++) {
        struct placer p;
        NAME_IS("127.0.0.1");
        start_looking_up(&p, salut_socket(SALUT_TCP), words[i], 4711);
        assert_works(salut_close(p.s));
        let_the_lookups_end();
        assert_works(salut_join(p.fiber));
        assert_outcome(p.outcome, ECANCELED, "closed the socket");
    }
}

static void while_one_fiber_binds_others_can_not_place_the_socket(void **state)
{
    struct placer p;
    salut_addr local;

    (void)state;
    NAME_IS("127.0.0.1");
    start_looking_up(&p, salut_socket(SALUT_TCP), salut_bind, 0);
    assert_fails(salut_bind(p.s, "127.0.0.2", 0), EINVAL, "another fiber");
    assert_fails(salut_listen(p.s, 1), EINVAL, "another fiber");
    assert_fails(salut_connect(p.s, "127.0.0.1", 80), EISCONN, "another fiber");
    let_the_lookups_end();
    assert_works(salut_join(p.fiber));
    assert_returns(p.outcome.result, 0);
    assert_works(salut_listen(p.s, 1));
    assert_works(salut_local(p.s, &local));
    assert_string_equal(salut_addr_host(&local), "127.0.0.1");
    assert_works(salut_close(p.s));
}

/* ---- A thread that ends before its lookup ---------------------------------------------------- */

static sem_t letter_posted;
static const struct engine_calls *real_calls;

static void post_and_tell(struct engine *e, struct letter *letter)
{
    real_calls->post(e, letter);
    sem_post(&letter_posted);
}

/* Owns nothing outside its stack, since it never comes to give it back. */
static void look_up_for_ever(void *unused)
{
    static struct address_list found;
    struct operation o = {.kind = OPERATION_RESOLVE, .host = "several.example", .found = &found};

    (void)unused;
    fiber_perform(&o, NEVER);
}

static void *leave_before_the_letter_is_opened(void *unused)
{
    static struct engine_calls calls;
    struct engine *e;

    (void)unused;
    salut_yield();
    e = scheduler_of_thread->engine;
    real_calls = e->calls;
    calls = *real_calls;
    calls.post = post_and_tell;
    e->calls = &calls;
    salut_go(look_up_for_ever, NULL);
    salut_yield();
    while (sem_wait(&letter_posted))
        ;
    return NULL;
}

static void a_thread_may_end_with_an_answer_unread(void **state)
{
    pthread_t thread;

    (void)state;
    NAME_IS("127.0.0.1");
    assert_int_equal(pthread_create(&thread, NULL, leave_before_the_letter_is_opened, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        /* first, while the resolver has one thread */
        cmocka_unit_test(names_asked_for_in_one_breath_hold_up_each_other_no_more),
        cmocka_unit_test(when_the_first_address_refuses_the_second_is_tried_at_once),
        cmocka_unit_test(the_second_address_is_not_tried_while_the_first_may_answer),
        cmocka_unit_test(when_the_first_address_is_silent_the_second_wins_after_the_stagger),
        cmocka_unit_test(when_all_refuse_the_sentence_lists_each_address_and_why),
        cmocka_unit_test(different_reasons_are_all_told),
        cmocka_unit_test(families_alternate),
        cmocka_unit_test(of_more_than_16_addresses_the_first_16_are_tried_and_told),
        cmocka_unit_test(a_race_that_nobody_wins_in_time_leaves_nothing_behind),
        cmocka_unit_test(cancel_ends_a_race),
        cmocka_unit_test(close_ends_a_race),
        cmocka_unit_test(a_bound_socket_tries_the_addresses_of_its_family_in_turn),
        cmocka_unit_test(a_bound_socket_tells_why_its_own_family_failed),
        cmocka_unit_test(a_bound_datagram_server_and_its_client_meet_by_the_same_name),
        cmocka_unit_test(a_name_is_bound_at_its_ipv4_address_first),
        cmocka_unit_test(a_name_that_nobody_has_is_told),
        cmocka_unit_test(resolve_needs_a_host_and_a_port),
        cmocka_unit_test(names_that_can_not_be_looked_up_just_now_are_told),
        cmocka_unit_test(numbers_are_looked_up_by_nobody),
        cmocka_unit_test(others_run_while_a_name_is_looked_up),
        cmocka_unit_test(a_slow_name_holds_up_no_other_name),
        cmocka_unit_test(a_lookup_takes_its_share_of_connect_s_time),
        cmocka_unit_test(a_lookup_ends_when_connect_s_time_is_over),
        cmocka_unit_test(cancel_ends_the_wait_for_a_name),
        cmocka_unit_test(close_ends_the_wait_for_a_name),
        cmocka_unit_test(while_one_fiber_binds_others_can_not_place_the_socket),
        cmocka_unit_test(a_thread_may_end_with_an_answer_unread),
    };

    sem_init(&lookup_begun, 0, 0);
    sem_init(&letter_posted, 0, 0);
    NAME_IS("127.0.0.1");
    return RUN_SOCKET_TESTS(tests);
}
