/* sim_connect.c: how a simulated connection begins: a question, and a listener's answer. */
#include "base/clock.h"
#include "engine/sim.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

/* As Linux: the question's first repetition after 1 s, each next one after twice as long. */
enum { REPETITIONS_MAX = 6 };

/* Nobody has that address: as long as Linux asks around for it. */
static const int64_t NOBODY = 3 * (int64_t)NANOSECONDS;

static void queue_client(struct sim_socket *listener, struct sim_socket *client)
{
    client->listener = listener;
    client->next_in_queue = NULL;
    if (listener->queue_last)
        listener->queue_last->next_in_queue = client;
    else
        listener->queue_first = client;
    listener->queue_last = client;
    listener->queue_count++;
    sim_socket_mark(listener);
}

/* The listener's end of a new connection, waiting to be accepted. -errno. */
static int add_client(struct sim_socket *listener, struct sim_socket *s)
{
    struct sim_socket *client = sim_socket_create(listener->host, listener->family, SOCK_STREAM);

    if (!client)
        return -ENOMEM;
    if (sim_stream_join(s, client)) {
        sim_socket_close(client);
        return -ENOMEM;
    }
    client->local = sim_address_for(client, s->family == AF_UNIX ? &listener->local : &s->peer);
    client->peer = sim_address_for(client, &s->local);
    client->connected = true;
    queue_client(listener, client);
    return 0;
}

static void answer(struct sim_socket *s, int result)
{
    s->connecting = SIM_CONNECT_ANSWERED;
    s->connect_result = result;
    s->connected = !result;
    if (!result)
        sim_record(s->host->world, SIM_CONNECTED, s->target, s->host, 0, NULL);
    sim_socket_mark(s);
}

static struct sim_socket *socket_of_answer(struct sim_event *event)
{
    return (struct sim_socket *)((char *)event - offsetof(struct sim_socket, answer));
}

static void refusal_arrives(struct sim_event *event)
{
    struct sim_socket *s = socket_of_answer(event);

    if (s->target)
        sim_record(s->host->world, SIM_REFUSED, s->target, s->host, 0, NULL);
    answer(s, s->target ? -ECONNREFUSED : -EHOSTUNREACH);
}

/* The question or its answer was lost, or nobody has room for one more: it comes again. */
static void try_connect_later(struct sim_socket *s, void (*happen)(struct sim_event *event))
{
    struct sim_world *w = s->host->world;

    if (s->attempts == REPETITIONS_MAX) {
        sim_record(w, SIM_GAVE_UP, s->host, s->target, 0, NULL);
        answer(s, -ETIMEDOUT);
        return;
    }
    s->answer.happen = happen;
    sim_schedule(w, &s->answer, w->now + ((int64_t)NANOSECONDS << s->attempts++));
}

static void acceptance_arrives(struct sim_event *event)
{
    struct sim_socket *s = socket_of_answer(event);

    if (sim_is_unreachable(s->target, s->host))
        try_connect_later(s, acceptance_arrives);
    else
        answer(s, 0);
}

/* What the listener sends can't arrive before its acceptance has. */
static void accept_question(struct sim_socket *s, int64_t at)
{
    sim_stream_hold(s, at);
    s->answer.happen = acceptance_arrives;
    sim_schedule(s->host->world, &s->answer, at);
}

static void question_arrives(struct sim_event *event)
{
    struct sim_socket *s = socket_of_answer(event), *listener;
    struct sim_world *w = s->host->world;
    uint32_t lost;
    int64_t at;

    if (sim_is_unreachable(s->host, s->target)) {
        try_connect_later(s, question_arrives);
        return;
    }
    at = w->now + sim_travel(s->target, s->host, 0, &lost) + 1;
    listener = sim_address_listener(s->target, &s->peer);
    if (!listener) {
        s->answer.happen = refusal_arrives;
        sim_schedule(w, &s->answer, at);
    } else if (listener->queue_count > listener->backlog || add_client(listener, s)) {
        try_connect_later(s, question_arrives);
    } else {
        accept_question(s, at);
    }
}

/* At once: it is the same system's. */
static int connect_path(struct sim_socket *s, const salut_addr *to)
{
    char path[108];
    struct sim_path *file;
    int failure;

    sim_address_path(to, path);
    file = sim_path_find(s->host, path);
    if (!file)
        return path[0] == '@' ? -ECONNREFUSED : -ENOENT;
    if (!file->socket || (file->socket->type == SOCK_STREAM && !file->socket->listening))
        return -ECONNREFUSED;
    if (file->socket->type != s->type)
        return -EPROTOTYPE;
    if (s->type == SOCK_STREAM) {
        if (file->socket->queue_count > file->socket->backlog)
            return -EAGAIN;
        failure = add_client(file->socket, s);
        if (failure)
            return failure;
    } else {
        failure = sim_datagram_check(s, file->socket);
        if (failure)
            return failure;
        s->receiver = file->socket;
    }
    s->peer = *to;
    s->connected = true;
    return 0;
}

static int connect_datagrams(struct sim_socket *s, const salut_addr *to)
{
    int failure = sim_address_check(s, to);

    if (!failure && !sim_address_host(s->host, to))
        failure = -ENETUNREACH;
    if (!failure)
        failure = sim_bind_for(s, to);
    if (failure)
        return failure;
    s->peer = sim_address_for(s, to);
    s->connected = true;
    return 0;
}

/* AF_UNSPEC: what was tried is forgotten. A bind of the program's own stays. */
static int disconnect(struct sim_socket *s)
{
    sim_stream_close(s);
    s->connected = s->broken = false;
    s->connecting = SIM_CONNECT_NONE;
    s->error = 0;
    s->peer = (salut_addr){0};
    s->receiver = NULL;
    return 0;
}

int sim_connect(struct sim_socket *s, const salut_addr *to)
{
    struct sim_world *w = s->host->world;
    salut_addr meant;
    uint32_t lost;
    int failure;

    if (to->raw.any.sa_family == AF_UNSPEC)
        return disconnect(s);
    assert(s->type == SOCK_DGRAM || (!s->connected && s->connecting != SIM_CONNECT_ASKING));
    if (s->family == AF_UNIX)
        return connect_path(s, to);
    meant = sim_address_meant(to);
    if (s->type == SOCK_DGRAM)
        return connect_datagrams(s, &meant);
    failure = sim_address_check(s, &meant);
    if (failure)
        return failure == -EACCES ? -ENETUNREACH : failure;
    failure = sim_bind_for(s, &meant);
    if (failure)
        return failure == -EADDRINUSE ? -EADDRNOTAVAIL : failure;
    s->peer = meant;
    s->target = sim_address_host(s->host, &meant);
    s->attempts = 0;
    s->connecting = SIM_CONNECT_ASKING;
    sim_record(w, SIM_ASKED, s->host, s->target, (uint64_t)sim_address_port(to), NULL);
    s->answer.happen = s->target ? question_arrives : refusal_arrives;
    sim_schedule(w, &s->answer,
                 w->now + (s->target ? sim_travel(s->host, s->target, 0, &lost) + 1 : NOBODY));
    return -EAGAIN;
}
