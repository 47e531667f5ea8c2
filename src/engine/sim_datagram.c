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

    if (size >
        (sim_address_is_ipv4(to) ? SIM_DATAGRAM_IPV4_BYTES_MAX : SIM_DATAGRAM_IPV6_BYTES_MAX))
        return -EMSGSIZE;
    if (!sim_address_port(to))
        return -EINVAL;
    failure = sim_address_check(s, to);
    if (!failure && !target)
        failure = -ENETUNREACH;
    if (!failure && !s->is_bound)
        failure = sim_bind_anywhere(s);
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

int sim_datagram_check(const struct sim_socket *s, const struct sim_socket *to)
{
    if (to->type != SOCK_DGRAM)
        return -EPROTOTYPE;
    return to->receiver && to->receiver != s ? -EPERM : 0;
}

/* Who has this path, or whom the socket is connected to, which is told once that it is gone. */
static int find_receiver(struct sim_socket *s, const salut_addr *to, struct sim_socket **receiver)
{
    struct sim_path *file;
    char path[108];

    if (!to) {
        *receiver = s->receiver;
        s->connected = s->receiver;
        return s->receiver ? 0 : -ECONNREFUSED;
    }
    sim_address_path(to, path);
    file = sim_path_find(s->host, path);
    if (!file)
        return path[0] == '@' ? -ECONNREFUSED : -ENOENT;
    *receiver = file->socket;
    return file->socket ? 0 : -ECONNREFUSED;
}

/* Delivered at once; -EAGAIN when the other's queue is full. to: NULL is whom it is connected to. */
static int64_t send_unix(struct sim_socket *s, const void *bytes, size_t size, const salut_addr *to)
{
    struct sim_datagram *d;
    struct sim_socket *receiver;
    int failure;

    if (size > SIM_BUFFER_BYTES)
        return -EMSGSIZE;
    failure = find_receiver(s, to, &receiver);
    if (!failure)
        failure = sim_datagram_check(s, receiver);
    if (!failure && receiver->shut_read)
        failure = -EPIPE;
    if (failure)
        return failure;
    if (!has_room(receiver, size))
        return -EAGAIN;
    d = make(s, bytes, size, &receiver->local);
    if (!d)
        return -ENOMEM;
    d->target = s->host;
    if (!s->is_bound)
        d->from.raw_size = 0;
    sim_record(s->host->world, SIM_DATAGRAM, s->host, s->host, size, NULL);
    queue(receiver, d);
    return (int64_t)size;
}

int64_t sim_datagram_send(struct sim_socket *s, const void *bytes, size_t size,
                          const salut_addr *to)
{
    int error = s->error;
    salut_addr meant;

    if (error) {
        s->error = 0;
        return -error;
    }
    if (s->shut_write)
        return -EPIPE;
    if (!to && !s->connected)
        return -ENOTCONN;
    if (sim_host_is_exhausted(s->host, ENOBUFS))
        return -ENOBUFS;
    if (s->family == AF_UNIX)
        return send_unix(s, bytes, size, to);
    meant = sim_address_meant(to ? to : &s->peer);
    return send_internet(s, bytes, size, &meant);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* A Unix socket's room is what its senders wait for. gone: also those who don't wait, and who are
 * connected to it. */
static void tell_senders(struct sim_socket *s, bool gone)
{
    struct sim_host *h = s->host;

    if (s->family != AF_UNIX || s->type != SOCK_DGRAM)
        return;
    for (uint32_t i = 0; i < h->socket_room; i++) {
        struct sim_socket *other = h->sockets[i];
        if (!other || other == s || other->family != AF_UNIX || other->type != SOCK_DGRAM)
            continue;
        if (gone && other->receiver == s)
            other->receiver = NULL;
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
    if (!d && !s->shut_read)
        return -EAGAIN;
    if (!d) {
        if (from)
            *from = (salut_addr){0};
        return 0;
    }
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
    tell_senders(s, false);
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
    tell_senders(s, true);
}
