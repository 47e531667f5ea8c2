/* test_stop_under_load.c: SIGTERM in the middle of the rush, a hundred times.
 *
 * What can be promised? A conversation that the server has accepted is carried through. So is one
 * that waits in the listener's backlog when the signal is heard: the server empties it. A client
 * is in the backlog for certain once the server's system has acknowledged its first bytes (its
 * connect() returns a little earlier, before its last packet of the handshake has arrived). Who
 * comes after the backlog was found empty is in nobody's hands: the kernel goes on completing
 * handshakes until the listener is closed, and resets these when it is. They are counted here,
 * and said; that is what a second look at the connection is for in any client.
 *
 * The server is a process of its own; this one is its clients, without any thread. */
#include "support/fibers.h"
#include "support/signals.h"

#include <salut.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/sockios.h>

enum {
    CLIENTS = 24,   /* at a time */
    QUESTIONS = 3,  /* at most, of each */
    RUSH_MIN = 30,  /* conversations before the signal, */
    RUSH_MORE = 100 /* up to so many more */
};

/* Between the server and us. */
static struct {
    atomic_int port;
    atomic_int begun, answered, failed; /* conversations; answered: to their clients' end */
} * shared;

/* ---- The server ---------------------------------------------------------------------------- */

static void answer(salut_sock *client, void *argument)
{
    char *question;
    bool failed = false;

    (void)argument;
    atomic_fetch_add(&shared->begun, 1);
    while ((question = salut_recv_line(client, NULL)))
        failed = salut_send_line(client, question) < 0 || failed;
    if (salut_failed() || failed)
        atomic_fetch_add(&shared->failed, 1);
    else
        atomic_fetch_add(&shared->answered, 1);
}

static void serve_as_a_child(unsigned workers)
{
    salut_serve_options options = {.workers = workers, .drain_seconds = 100};
    salut_sock *listener = salut_create_server("127.0.0.1:0");
    salut_addr here;

    keep_signals_from_fibers();
    salut_local(listener, &here);
    atomic_store(&shared->port, salut_addr_port(&here));
    salut_serve(listener, answer, NULL, &options);
    salut_close(listener);
    salut_check();
    exit(0);
}

static pid_t start_server(unsigned workers)
{
    pid_t child;

    atomic_store(&shared->port, 0);
    atomic_store(&shared->begun, 0);
    atomic_store(&shared->answered, 0);
    atomic_store(&shared->failed, 0);
    fflush(stdout);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        serve_as_a_child(workers);
    while (!atomic_load(&shared->port))
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    return child;
}

/* ---- Its clients --------------------------------------------------------------------------- */

struct client {
    int descriptor; /* -1: none */
    bool connecting;
    bool promised; /* its first question had arrived when the signal was sent */
    int questions; /* it will ask */
    int answers;   /* it has heard */
    char heard[64];
    size_t heard_size;
};

struct rush {
    struct client clients[CLIENTS];
    struct pollfd polled[CLIENTS];
    int started, satisfied;
    int too_late; /* reset, or never answered, and not promised anything */
    int broken;   /* the same, but promised */
    int refused;
    bool over; /* nobody is listening any more */
    bool signaled;
};

static void start_client(struct rush *rush, struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atomic_load(&shared->port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *client = (struct client){.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
    assert_true(client->descriptor >= 0);
    client->questions = 1 + rush->started++ % QUESTIONS;
    if (connect(client->descriptor, (struct sockaddr *)&address, sizeof address))
        assert_int_equal(errno, EINPROGRESS);
    client->connecting = true;
}

static void end_client(struct client *client)
{
    close(client->descriptor);
    client->descriptor = -1;
}

static void lose_client(struct rush *rush, struct client *client)
{
    if (client->promised || client->answers)
        rush->broken++;
    else
        rush->too_late++;
    end_client(client);
}

static void ask(struct rush *rush, struct client *client)
{
    char question[32];
    int size = snprintf(question, sizeof question, "question %d\n", client->answers);

    if (send(client->descriptor, question, (size_t)size, MSG_NOSIGNAL) != size)
        lose_client(rush, client);
}

/* 0 when it is there, or errno. */
static int how_connect_ended(const struct client *client)
{
    int failure = 0;

    getsockopt(client->descriptor, SOL_SOCKET, SO_ERROR, &failure, &(socklen_t){sizeof failure});
    return failure;
}

static void begin_conversation(struct rush *rush, struct client *client)
{
    int failure = how_connect_ended(client);

    client->connecting = false;
    if (!failure) {
        ask(rush, client);
    } else if (failure == ECONNREFUSED) {
        rush->refused++;
        rush->over = true;
        end_client(client);
    } else {
        lose_client(rush, client);
    }
}

/* An answer is its question. After the last one the client says that it is done, and hears the
 * same. */
static void hear_answer(struct rush *rush, struct client *client)
{
    char expected[32];

    snprintf(expected, sizeof expected, "question %d\n", client->answers);
    if (client->heard_size < strlen(expected))
        return;
    assert_memory_equal(client->heard, expected, client->heard_size);
    client->heard_size = 0;
    client->answers++;
    if (client->answers < client->questions)
        ask(rush, client);
    else
        shutdown(client->descriptor, SHUT_WR);
}

static void hear(struct rush *rush, struct client *client)
{
    ssize_t size = read(client->descriptor, client->heard + client->heard_size,
                        sizeof client->heard - client->heard_size);

    if (size > 0) {
        client->heard_size += (size_t)size;
        hear_answer(rush, client);
    } else if (size == 0 && client->answers == client->questions) {
        rush->satisfied++;
        end_client(client);
    } else if (size == 0 || errno != EAGAIN) {
        lose_client(rush, client);
    }
}

/* What the system of the server has acknowledged, the server can accept. */
static void send_signal(struct rush *rush, pid_t server)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &rush->clients[i];
        int unacknowledged = 0;
        if (client->descriptor < 0 || client->connecting)
            continue;
        assert_int_equal(ioctl(client->descriptor, SIOCOUTQ, &unacknowledged), 0);
        client->promised = unacknowledged == 0 || client->answers;
    }
    assert_int_equal(kill(server, SIGTERM), 0);
    rush->signaled = true;
}

static void wait_for_news(struct rush *rush)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &rush->clients[i];
        rush->polled[i].fd = client->descriptor;
        rush->polled[i].events = client->connecting ? POLLOUT : POLLIN;
    }
    while (poll(rush->polled, CLIENTS, -1) < 0)
        assert_int_equal(errno, EINTR);
}

static bool nobody_is_left(const struct rush *rush)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (rush->clients[i].descriptor >= 0)
            return false;
    }
    return true;
}

/* The rush goes on after the signal, until somebody is refused or has waited in vain. */
static void run_rush(struct rush *rush, pid_t server, int conversations)
{
    for (int i = 0; i < CLIENTS; i++)
        rush->clients[i].descriptor = -1;
    for (;;) {
        rush->over = rush->over || rush->too_late || rush->broken;
        for (int i = 0; i < CLIENTS && !rush->over; i++) {
            if (rush->clients[i].descriptor < 0)
                start_client(rush, &rush->clients[i]);
        }
        if (nobody_is_left(rush))
            return;
        wait_for_news(rush);
        for (int i = 0; i < CLIENTS; i++) {
            struct client *client = &rush->clients[i];
            if (client->descriptor < 0 || !rush->polled[i].revents)
                continue;
            if (client->connecting)
                begin_conversation(rush, client);
            else
                hear(rush, client);
        }
        if (!rush->signaled && rush->satisfied >= conversations)
            send_signal(rush, server);
    }
}

/* ---- The test ------------------------------------------------------------------------------ */

static void sigterm_in_the_rush_leaves_no_accepted_client_unanswered(void **state)
{
    int rounds = sized(100, 10, "signals"), too_late = 0, all = 0;

    (void)state;
    for (int round = 0; round < rounds; round++) {
        struct rush rush = {0};
        pid_t server = start_server(1 + (unsigned)round % 3);
        int status = -1;

        run_rush(&rush, server, RUSH_MIN + round * 37 % RUSH_MORE);
        assert_int_equal(waitpid(server, &status, 0), server);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0); /* nobody was canceled */
        assert_true(rush.signaled);
        assert_int_equal(rush.broken, 0);
        assert_int_equal(shared->failed, 0);
        assert_int_equal(shared->begun, shared->answered);
        assert_int_equal(shared->answered, rush.satisfied);
        too_late += rush.too_late;
        all += rush.satisfied;
    }
    printf("%d clients were answered in %d rushes; %d came when the backlog had been emptied\n",
           all, rounds, too_late);
}

int main(void)
{
    const struct CMUnitTest stop_under_load[] = {
        cmocka_unit_test(sigterm_in_the_rush_leaves_no_accepted_client_unanswered),
    };

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(stop_under_load, NULL, NULL);
}
