/* sim_datagram.c: datagrams, UDP's and Unix's, on a simulated network. */
#include "base/clock.h"
#include "engine/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arriving ------------------------------------------------------------------------------ */

static bool has_room(const struct sim_socket *s, size_t size)
{
    if (s->family == AF_UNIX)
        return s->queued_count <= SIM_UNIX_DATAGRAMS_MAX;
    return s->queued_bytes + size <= s->receive_bytes || !s->first;
}

static void queue(struct sim_socket *s, struct sim_datagram *d)
{
    d->next = NULL;
    if (s->last)
        s->last->next = d;
    else
        s->first = d;
    s->last = d;
    s->queued_bytes += d->size;
    s->queued_count++;
    sim_socket_mark(s);
}

/* ICMP's word for it: told to a socket that is connected to that address. */
static void tell_that_nobody_is_there(struct sim_datagram *d)
{
    struct sim_socket *sender = sim_address_datagrams(d->source, &d->from, &d->to);

    if (!sender || !sender->connected || sim_is_unreachable(d->target, d->source))
        return;
    sender->error = ECONNREFUSED;
    sim_socket_mark(sender);
}

static void arrive(struct sim_event *event)
{
    struct sim_datagram *d = (struct sim_datagram *)event;
    struct sim_world *w = d->source->world;
    struct sim_socket *s;

    if (sim_is_unreachable(d->source, d->target)) {
        sim_record(w, SIM_LOST, d->source, d->target, d->size, NULL);
        free(d);
        return;
    }
    s = sim_address_datagrams(d->target, &d->to, &d->from);
    if (s && has_room(s, d->size)) {
        sim_record(w, SIM_DATAGRAM, d->source, d->target, d->size, NULL);
        queue(s, d);
        return;
    }
    sim_record(w, s ? SIM_LOST : SIM_REFUSED, d->source, d->target, d->size, NULL);
    if (!s)
        tell_that_nobody_is_there(d);
    free(d);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static struct sim_datagram *make(struct sim_socket *s, const void *bytes, size_t size,
                                 const salut_addr *to)
{
    struct sim_datagram *d = calloc(1, sizeof *d + size);

    if (!d)
        return NULL;
    d->arrival.happen = arrive;
    d->source = s->host;
    d->from = s->local;
    d->to = *to;
    d->size = size;
    if (size)
        memcpy(d->bytes, bytes, size);
    return d;
}

static void launch(struct sim_datagram *d)
{
    struct sim_world *w = d->source->world;
    struct sim_link *link = sim_link_between(d->source, d->target);
    int64_t *last_at = &link->datagram_at[d->source->number > d->target->number];
    uint32_t lost;
    int64_t at = w->now + sim_travel(d->source, d->target, d->size, &lost);

    if (lost) {
        sim_record(w, SIM_LOST, d->source, d->target, d->size, NULL);
        free(d);
        return;
    }
    if (sim_happens(w, link->reordering)) {
        at += (int64_t)sim_draw_below(w, (uint64_t)(4 * (link->latency + link->jitter) + 1));
    } else {
        if (at <= *last_at && *last_at > w->now)
            at = *last_at + 1;
        *last_at = at;
    }
    if (at > w->now)
        sim_schedule(w, &d->arrival, at);
    else
        arrive(&d->arrival);
}

static int64_t send_internet(struct sim_socket *s, const void *bytes, size_t size,
                             const salut_addr *to)
{
    struct sim_world *w = s->host->world;
    struct sim_host *target = sim_address_host(s->host, to);
    int failure;

    if (size > SIM_DATAGRAM_BYTES_MAX)
        return -EMSGSIZE;
    if (!sim_address_port(to))
        return -EINVAL;
    failure = sim_address_check(s, to);
    if (!failure && !target)
        failure = -ENETUNREACH;
    if (!failure && !s->is_bound)
        failure = sim_bind_for(s, to);
    if (failure)
        return failure;
    for (int copies = 1 + sim_happens(w, sim_link_between(s->host, target)->duplication); copies;
         copies--) {
        struct sim_datagram *d = make(s, bytes, size, to);
        if (!d)
            return -ENOMEM;
        d->target = target;
        if (!s->connected) { /* what it shows as its own address depends on the way */
            struct sim_socket face = *s;
            sim_bind_for(&face, to);
            d->from = face.local;
        }
        launch(d);
    }
    return (int64_t)size;
}

/* Delivered at once; -EAGAIN when the other's queue is full. */
static int64_t send_unix(struct sim_socket *s, const void *bytes, size_t size, const salut_addr *to)
{
    struct sim_datagram *d;
    struct sim_path *file;
    char path[108];

    if (size > SIM_BUFFER_BYTES)
        return -EMSGSIZE;
    sim_address_path(to, path);
    file = sim_path_find(s->host, path);
    if (!file)
        return path[0] == '@' ? -ECONNREFUSED : -ENOENT;
    if (!file->socket)
        return -ECONNREFUSED;
    if (file->socket->type != SOCK_DGRAM)
        return -EPROTOTYPE;
    if (file->socket->connected) {
        char theirs[108];
        sim_address_path(&file->socket->peer, theirs);
        if (strcmp(theirs, s->path))
            return -EPERM;
    }
    if (!has_room(file->socket, size))
        return -EAGAIN;
    d = make(s, bytes, size, to);
    if (!d)
        return -ENOMEM;
    d->target = s->host;
    if (!s->is_bound)
        d->from.raw_size = 0;
    sim_record(s->host->world, SIM_DATAGRAM, s->host, s->host, size, NULL);
    queue(file->socket, d);
    return (int64_t)size;
}

int64_t sim_datagram_send(struct sim_socket *s, const void *bytes, size_t size,
                          const salut_addr *to)
{
    int error = s->error;

    if (error) {
        s->error = 0;
        return -error;
    }
    if (!to && !s->connected)
        return -ENOTCONN;
    if (sim_host_is_exhausted(s->host, ENOBUFS))
        return -ENOBUFS;
    to = to ? to : &s->peer;
    return s->family == AF_UNIX ? send_unix(s, bytes, size, to) : send_internet(s, bytes, size, to);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* A Unix socket's room is what its senders wait for: those who are connected to it. */
static void tell_senders(struct sim_socket *s)
{
    struct sim_host *h = s->host;

    if (s->family != AF_UNIX)
        return;
    for (uint32_t i = 0; i < h->socket_room; i++) {
        struct sim_socket *other = h->sockets[i];
        if (other && other->connected && other->family == AF_UNIX && other->type == SOCK_DGRAM)
            sim_socket_mark(other);
    }
}

int64_t sim_datagram_receive(struct sim_socket *s, void *into, size_t size, salut_addr *from)
{
    struct sim_datagram *d = s->first;
    int64_t result;

    if (s->error) {
        int error = s->error;
        s->error = 0;
        return -error;
    }
    if (!d)
        return s->shut_read ? 0 : -EAGAIN;
    s->first = d->next;
    if (!s->first)
        s->last = NULL;
    s->queued_bytes -= d->size;
    s->queued_count--;
    memcpy(into, d->bytes, d->size < size ? d->size : size);
    if (from) {
        *from = sim_address_for(s, &d->from);
        from->text[0] = '\0';
    }
    result = (int64_t)d->size;
    free(d);
    tell_senders(s);
    return result;
}

void sim_datagram_close(struct sim_socket *s)
{
    while (s->first) {
        struct sim_datagram *d = s->first;
        s->first = d->next;
        free(d);
    }
    s->last = NULL;
    s->queued_bytes = s->queued_count = 0;
}
