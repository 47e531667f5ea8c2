/* test_many.c: as many clients at once as one machine's loopback and the limit on descriptors
 * allow, each with a fiber of its own, on one thread. The clients are a second process, made
 * before the library's first word here. */
#include "support/sockets.h"

#include <sys/resource.h>

enum {
    CLIENTS = 15000,
    ROUNDS = 3,
    DESCRIPTORS_BESIDE = 200, /* of this process, that are not a client's */
};

static int clients;      /* how many there will be */
static int port_pipe[2]; /* tells them where */
static pid_t client_process;

/* ---- The clients' process ------------------------------------------------------------------ */

struct token {
    int client, round;
};

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHILD_ASSERT(descriptor >= 0);
    CHILD_ASSERT(connect(descriptor, (struct sockaddr *)&to, sizeof to) == 0);
    return descriptor;
}

static void exchange(const int *descriptors, int round)
{
    for (int i = 0; i < clients; i++) {
        struct token t = {i, round};
        CHILD_ASSERT(send(descriptors[i], &t, sizeof t, MSG_NOSIGNAL) == sizeof t);
    }
    for (int i = 0; i < clients; i++) {
        struct token t;
        CHILD_ASSERT(recv(descriptors[i], &t, sizeof t, MSG_WAITALL) == sizeof t);
        CHILD_ASSERT(t.client == i && t.round == round);
    }
}

static void be_the_clients(void)
{
    int *descriptors = calloc((size_t)clients, sizeof *descriptors);
    int port;

    close(port_pipe[1]);
    if (read(port_pipe[0], &port, sizeof port) != sizeof port)
        _exit(0); /* there is no server, which is not for the clients to say */
    for (int i = 0; i < clients; i++)
        descriptors[i] = connect_to(port);
    for (int round = 0; round < ROUNDS; round++)
        exchange(descriptors, round);
    free(descriptors);
    _exit(0); /* closes them all */
}

/* ---- The server ---------------------------------------------------------------------------- */

static int served, served_max;
static int64_t echoed;
static int unclean; /* conversations that ended in a failure */

static void echo(void *argument)
{
    salut_sock *client = argument;
    char buffer[sizeof(struct token)];
    ssize_t size;

    served++;
    if (served > served_max)
        served_max = served;
    while ((size = salut_recv(client, buffer, sizeof buffer)) > 0) {
        if (salut_send(client, buffer, (size_t)size) != size)
            break;
        echoed += size;
    }
    unclean += size != 0;
    salut_close(client);
    served--;
}

static void many_clients_are_served_at_once_by_one_thread(void **state)
{
    salut_fiber **fibers = calloc((size_t)clients, sizeof *fibers);
    salut_sock *listener = salut_socket(SALUT_TCP);
    int status, port;

    (void)state;
    assert_works(salut_bind(listener, "127.0.0.1", 0));
    assert_works(salut_listen(listener, 0));
    port = port_of(listener);
    assert_int_equal(write(port_pipe[1], &port, sizeof port), sizeof port);
    for (int i = 0; i < clients; i++) {
        salut_sock *client = salut_accept(listener, NULL);
        if (!client)
            fail_msg("client %d: %s", i, salut_error());
        fibers[i] = salut_go(echo, client);
        if (!fibers[i])
            fail_msg("fiber %d: %s", i, salut_error());
    }
    for (int i = 0; i < clients; i++)
        assert_works(salut_join(fibers[i]));
    assert_int_equal(waitpid(client_process, &status, 0), client_process);
    assert_int_equal(status, 0);
    assert_int_equal(served_max, clients);
    assert_int_equal(unclean, 0);
    assert_int_equal(echoed, (int64_t)clients * ROUNDS * (int64_t)sizeof(struct token));
    assert_works(salut_close(listener));
    free(fibers);
    print_message("%d clients at once, %d echoes each\n", clients, ROUNDS);
}

/* As many as asked for, or as few as the limit on descriptors allows, which is said aloud. */
static int clients_allowed(int wanted)
{
    struct rlimit limit;
    int room;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    room = limit.rlim_max > 1000000 ? 1000000 : (int)limit.rlim_max - DESCRIPTORS_BESIDE;
    if (room >= wanted)
        return wanted;
    printf("RLIMIT_NOFILE of %d: %d clients instead of %d\n", (int)limit.rlim_max, room, wanted);
    return room;
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(many_clients_are_served_at_once_by_one_thread),
    };

    clients = clients_allowed(sized(CLIENTS, 500, "clients"));
    if (pipe(port_pipe))
        return 1;
    fflush(stdout);
    client_process = fork();
    if (client_process == 0)
        be_the_clients();
    close(port_pipe[0]);
    return RUN_SOCKET_TESTS(tests);
}
