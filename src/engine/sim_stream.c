/* sim_stream.c: connections on a simulated network.
 *
 * A connection is two pipes, one each way. A pipe is a ring of bytes with three marks: what was
 * sent lies below `end`, what has arrived below `arrived`, what was received below `begin`. What is
 * between `arrived` and `end` is on its way, as segments, each with the time of its arrival; the
 * first one's is an event. A segment that finds the link cut or the other host without power is
 * tried again later and later, as TCP does, until the sender gives up.
 *
 * An end belongs to a socket until its process closes it; the pipe that leaves it then still
 * delivers what it holds. A host that crashed knows nothing any more: who talks to it is told off
 * (a reset) once it is up again, and waits until then.
 */
#include "base/clock.h"
#include "engine/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As Linux: the first repetition after 0.2 s, each next one after twice as long, but for 2 minutes
 * at most; and in all for about so long. */
static const int64_t REPEAT_MIN = NANOSECONDS / 5;
static const int64_t REPEAT_MAX = 120 * (int64_t)NANOSECONDS;
static const int64_t GIVE_UP = 924 * (int64_t)NANOSECONDS;

enum {
    RING_BYTES_MIN = 256,
    SEGMENT_BYTES_MAX = 64 * 1024,
    SEGMENTS_MIN = 4,
};

struct segment {
    int64_t at;
    uint32_t size;
    bool end; /* and no more */
};

struct pipe {
    struct sim_event arrival; /* of the first segment */
    struct sim_connection *connection;
    int from; /* the end that sends into it */
    unsigned char *bytes;
    size_t room; /* a power of two, so that the marks needn't be wrapped */
    size_t begin, arrived, end;
    struct segment *segments;
    uint32_t segment_room, first, count;
    int64_t last_at;   /* when the last one arrives: none comes before another */
    uint32_t attempts; /* of the first, in vain */
    int64_t since;
    bool ending; /* its end is among the segments, or has arrived */
    bool ended;
    bool blocked; /* the first waits for the receiver to make room */
};

struct end {
    struct sim_event reset; /* is on its way to this end */
    struct sim_connection *connection;
    struct sim_host *host;
    struct sim_socket *socket; /* NULL: closed, or gone */
    bool gone;                 /* the host crashed and knows nothing of it */
};

struct sim_connection {
    struct sim_connection *next, *before; /* in the world */
    bool local;                           /* Unix's: everything is there at once */
    struct end ends[2];
    struct pipe pipes[2]; /* pipes[i] leaves ends[i] */
};

static struct pipe *out_of(const struct sim_socket *s)
{
    return &s->connection->pipes[s->end];
}

static struct pipe *into_of(const struct sim_socket *s)
{
    return &s->connection->pipes[!s->end];
}

static struct sim_world *world_of(const struct sim_connection *c)
{
    return c->ends[0].host->world;
}

/* ---- A connection's life ------------------------------------------------------------------- */

static void reset_arrives(struct sim_event *event);
static void segments_arrive(struct sim_event *event);

static void attach(struct sim_connection *c, int end, struct sim_socket *s)
{
    c->ends[end] =
        (struct end){.reset.happen = reset_arrives, .connection = c, .host = s->host, .socket = s};
    c->pipes[end] = (struct pipe){.arrival.happen = segments_arrive, .connection = c, .from = end};
    s->connection = c;
    s->end = end;
}

int sim_stream_join(struct sim_socket *a, struct sim_socket *b)
{
    struct sim_connection *c = calloc(1, sizeof *c);

    if (!c)
        return -ENOMEM;
    attach(c, 0, a);
    attach(c, 1, b);
    c->local = a->family == AF_UNIX;
    c->next = world_of(c)->connections;
    if (c->next)
        c->next->before = c;
    world_of(c)->connections = c;
    return 0;
}

void sim_stream_hold(struct sim_socket *s, int64_t at)
{
    into_of(s)->last_at = at;
}

static void drop_segments(struct pipe *p)
{
    sim_unschedule(world_of(p->connection), &p->arrival);
    p->count = 0;
    p->end = p->arrived;
    p->blocked = false;
}

/* Nobody is left to see anything of it. */
static void free_if_closed(struct sim_connection *c)
{
    if (c->ends[0].socket || c->ends[1].socket)
        return;
    for (int i = 0; i < 2; i++) {
        drop_segments(&c->pipes[i]);
        sim_unschedule(world_of(c), &c->ends[i].reset);
        free(c->pipes[i].bytes);
        free(c->pipes[i].segments);
    }
    if (c->next)
        c->next->before = c->before;
    if (c->before)
        c->before->next = c->next;
    else
        world_of(c)->connections = c->next;
    free(c);
}

/* ---- Resets -------------------------------------------------------------------------------- */

static void break_socket(struct sim_socket *s, int error)
{
    s->error = error;
    s->broken = true;
    drop_segments(out_of(s));
    drop_segments(into_of(s));
    sim_socket_mark(s);
}

/* After the peer's end a reset is about what was sent to it. */
static void be_reset(struct end *end)
{
    struct sim_socket *s = end->socket;

    if (s && !s->broken)
        break_socket(s, into_of(s)->ended && !end->connection->local ? EPIPE : ECONNRESET);
}

static void reset_arrives(struct sim_event *event)
{
    struct end *end = (struct end *)event;
    struct end *other = &end->connection->ends[end == end->connection->ends];

    if (end->gone || sim_is_unreachable(other->host, end->host))
        return;
    sim_record(end->host->world, SIM_RESET, other->host, end->host, 0, NULL);
    be_reset(end);
}

/* The other end's system says that the connection is no more. */
static void send_reset(struct sim_connection *c, int to)
{
    struct end *end = &c->ends[to];
    struct sim_world *w = world_of(c);
    uint32_t lost;
    int64_t span;

    if (!end->socket)
        return;
    span = c->local ? 0 : sim_travel(c->ends[!to].host, end->host, 0, &lost);
    if (span)
        sim_schedule(w, &end->reset, w->now + span);
    else
        reset_arrives(&end->reset);
}

/* ---- Segments ------------------------------------------------------------------------------ */

static bool grow_segments(struct pipe *p)
{
    uint32_t room = p->segment_room ? 2 * p->segment_room : SEGMENTS_MIN;
    struct segment *segments = malloc(room * sizeof *segments);

    if (!segments)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        segments[i] = p->segments[(p->first + i) % p->segment_room];
    free(p->segments);
    p->segments = segments;
    p->segment_room = room;
    p->first = 0;
    return true;
}

/* Sends so many of the pipe's last bytes, or its end, on their way. */
static void launch(struct pipe *p, uint32_t size, bool end)
{
    struct sim_connection *c = p->connection;
    struct sim_host *from = c->ends[p->from].host, *to = c->ends[!p->from].host;
    struct sim_world *w = world_of(c);
    uint32_t lost;
    int64_t at = w->now;

    if (p->count == p->segment_room && !grow_segments(p)) {
        w->failure = ENOMEM;
        return;
    }
    if (!c->local)
        at += sim_travel(from, to, size, &lost);
    if (at < p->last_at)
        at = p->last_at;
    p->last_at = at;
    p->segments[(p->first + p->count++) % p->segment_room] =
        (struct segment){.at = at, .size = size, .end = end};
    if (at <= w->now && p->count == 1)
        segments_arrive(&p->arrival);
    else if (p->count == 1)
        sim_schedule(w, &p->arrival, at);
    if (!c->local && size && sim_happens(w, sim_link_between(from, to)->resets)) {
        send_reset(c, 0);
        send_reset(c, 1);
    }
}

/* Later and later, until the sender gives up. */
static void try_later(struct pipe *p)
{
    struct sim_connection *c = p->connection;
    struct end *sender = &c->ends[p->from];
    struct sim_world *w = world_of(c);
    int64_t pause = REPEAT_MIN << (p->attempts < 16 ? p->attempts : 16);

    if (!p->attempts++)
        p->since = w->now;
    if (w->now - p->since >= GIVE_UP) {
        sim_record(w, SIM_GAVE_UP, sender->host, c->ends[!p->from].host, 0, NULL);
        if (sender->socket)
            break_socket(sender->socket, ETIMEDOUT);
        else
            drop_segments(p);
        return;
    }
    sim_schedule(w, &p->arrival, w->now + (pause < REPEAT_MAX ? pause : REPEAT_MAX));
}

/* How much of the first segment the receiver has room for. */
static uint32_t admitted(const struct pipe *p, const struct sim_socket *receiver)
{
    size_t unread = p->arrived - p->begin;
    size_t room = receiver->receive_bytes > unread ? receiver->receive_bytes - unread : 0;
    uint32_t size = p->segments[p->first].size;

    if (p->connection->local)
        return size;
    return size < room ? size : (uint32_t)room;
}

/* The first segment arrives, as far as there is room. false: it has to wait, or is nobody's. */
static bool one_arrives(struct pipe *p)
{
    struct sim_connection *c = p->connection;
    struct end *sender = &c->ends[p->from], *receiver = &c->ends[!p->from];
    struct segment *segment = &p->segments[p->first];
    struct sim_world *w = world_of(c);
    uint32_t size;

    if (receiver->gone || !receiver->socket || receiver->socket->broken) {
        if (receiver->gone || segment->size)
            send_reset(c, p->from);
        drop_segments(p);
        return false;
    }
    size = admitted(p, receiver->socket);
    if (size)
        sim_record(w, SIM_BYTES, sender->host, receiver->host, size, NULL);
    p->arrived += size;
    segment->size -= size;
    p->attempts = 0;
    if (segment->size) {
        p->blocked = true;
    } else {
        if (segment->end) {
            p->ended = true;
            sim_record(w, SIM_DONE, sender->host, receiver->host, 0, NULL);
        }
        p->first = (p->first + 1) % p->segment_room;
        p->count--;
    }
    sim_socket_mark(receiver->socket);
    if (sender->socket)
        sim_socket_mark(sender->socket);
    return !p->blocked;
}

static void segments_arrive(struct sim_event *event)
{
    struct pipe *p = (struct pipe *)event;
    struct sim_connection *c = p->connection;
    struct sim_world *w = world_of(c);

    if (sim_is_unreachable(c->ends[p->from].host, c->ends[!p->from].host)) {
        try_later(p);
        return;
    }
    while (p->count && p->segments[p->first].at <= w->now) {
        if (!one_arrives(p))
            return;
    }
    if (p->count)
        sim_schedule(w, &p->arrival, p->segments[p->first].at);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static bool grow_ring(struct pipe *p, size_t need)
{
    size_t room = p->room ? p->room : RING_BYTES_MIN;
    unsigned char *bytes;

    while (room < need)
        room *= 2;
    if (room == p->room)
        return true;
    bytes = malloc(room);
    if (!bytes)
        return false;
    for (size_t at = p->begin; at < p->end;) {
        size_t old = at & (p->room - 1), new = at &(room - 1);
        size_t size = p->end - at;
        if (size > p->room - old) /* where the old ring ends, the new one may */
            size = p->room - old;
        memcpy(bytes + new, p->bytes + old, size);
        at += size;
    }
    free(p->bytes);
    p->bytes = bytes;
    p->room = room;
    return true;
}

/* Between a ring and plain memory, at most two pieces. */
static void put(struct pipe *p, const unsigned char *bytes, size_t size)
{
    size_t at = p->end & (p->room - 1);
    size_t one = size < p->room - at ? size : p->room - at;

    memcpy(p->bytes + at, bytes, one);
    memcpy(p->bytes, bytes + one, size - one);
    p->end += size;
}

static void take(struct pipe *p, unsigned char *into, size_t size)
{
    size_t at = p->begin & (p->room - 1);
    size_t one = size < p->room - at ? size : p->room - at;

    memcpy(into, p->bytes + at, one);
    memcpy(into + one, p->bytes, size - one);
    p->begin += size;
}

/* How much more the sender's system holds. A Unix socket's bytes are its until they are read. */
static size_t room_to_send(const struct sim_socket *s)
{
    const struct pipe *p = out_of(s);
    size_t held = p->end - (p->connection->local ? p->begin : p->arrived);

    return s->send_bytes > held ? s->send_bytes - held : 0;
}

/* Where a piece that is sent ends its first segment. */
static size_t cut(struct sim_world *w, const struct sim_connection *c, size_t size)
{
    if (size > SEGMENT_BYTES_MAX)
        size = SEGMENT_BYTES_MAX;
    if (c->local || w->calm || size < 2 || sim_draw(w) & 1)
        return size;
    return 1 + sim_draw_below(w, size);
}

/* A Unix socket's peer, which is seen at once. */
static bool hears_no_more(const struct sim_socket *s)
{
    const struct sim_socket *peer = s->connection->ends[!s->end].socket;

    return !peer || peer->shut_read;
}

static int why_no_send(struct sim_socket *s)
{
    int error = s->error;

    if (s->shut_write || (s->connection->local && hears_no_more(s)))
        return EPIPE;
    s->error = 0;
    if (error)
        return error;
    return s->broken ? EPIPE : 0;
}

int64_t sim_stream_send(struct sim_socket *s, const void *bytes, size_t size)
{
    struct sim_world *w = s->host->world;
    int failure = why_no_send(s);
    struct pipe *p;
    size_t room, sent = 0;

    if (failure)
        return -failure;
    p = out_of(s);
    room = room_to_send(s);
    if (!room)
        return -EAGAIN;
    if (size > room)
        size = room;
    if (!grow_ring(p, p->end - p->begin + size))
        return -ENOMEM;
    while (sent < size && !s->broken) {
        size_t piece = cut(w, s->connection, size - sent);
        put(p, (const unsigned char *)bytes + sent, piece);
        launch(p, (uint32_t)piece, false);
        sent += piece;
    }
    return (int64_t)size;
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static size_t some_of(struct sim_socket *s, size_t size)
{
    struct sim_world *w = s->host->world;

    if (s->host->read_bytes_max && size > s->host->read_bytes_max)
        size = s->host->read_bytes_max;
    if (!w->calm && size > 1 && (sim_draw(w) & 3) == 0)
        size = 1 + sim_draw_below(w, size);
    return size;
}

/* The receiver has made room. */
static void unblock(struct pipe *p)
{
    struct sim_connection *c = p->connection;
    struct sim_world *w = world_of(c);
    uint32_t lost;

    if (p->blocked) {
        p->blocked = false;
        sim_schedule(w, &p->arrival,
                     w->now + sim_travel(c->ends[!p->from].host, c->ends[p->from].host, 0, &lost));
    }
    if (c->local && c->ends[p->from].socket)
        sim_socket_mark(c->ends[p->from].socket);
}

int64_t sim_stream_receive(struct sim_socket *s, void *into, size_t size)
{
    struct pipe *p = into_of(s);
    int error = s->error;

    if (p->arrived > p->begin) {
        size_t there = p->arrived - p->begin;
        size = some_of(s, size < there ? size : there);
        take(p, into, size);
        unblock(p);
        return (int64_t)size;
    }
    if (p->ended)
        return 0;
    s->error = 0;
    if (error)
        return -error;
    return s->broken || s->shut_read ? 0 : -EAGAIN;
}

/* ---- The ends ------------------------------------------------------------------------------ */

bool sim_stream_is_over(const struct sim_socket *s)
{
    if (!s->connection || s->connection->local)
        return false;
    return s->broken || (into_of(s)->ended && out_of(s)->ended);
}

static void end_pipe(struct pipe *p)
{
    if (p->ending)
        return;
    p->ending = true;
    launch(p, 0, true);
}

int sim_stream_shutdown(struct sim_socket *s, int how)
{
    if (!s->connection || sim_stream_is_over(s))
        return -ENOTCONN;
    if (how == SHUT_RD || how == SHUT_RDWR)
        s->shut_read = true;
    if (how == SHUT_WR || how == SHUT_RDWR) {
        s->shut_write = true;
        if (!s->broken)
            end_pipe(out_of(s));
    }
    sim_socket_mark(s);
    if (s->connection->local && s->connection->ends[!s->end].socket)
        sim_socket_mark(s->connection->ends[!s->end].socket);
    return 0;
}

/* What a close means for the peer: an end, or that something was lost. */
static void say_goodbye(struct sim_socket *s)
{
    struct sim_connection *c = s->connection;
    struct pipe *out = out_of(s), *in = into_of(s);

    if (s->lingers_not || in->arrived > in->begin) {
        drop_segments(out);
        send_reset(c, !s->end);
    } else {
        end_pipe(out);
    }
    if (c->local && c->ends[!s->end].socket)
        sim_socket_mark(c->ends[!s->end].socket);
}

void sim_stream_close(struct sim_socket *s)
{
    struct sim_connection *c = s->connection;

    sim_unschedule(s->host->world, &s->answer);
    if (!c)
        return;
    if (!s->broken && !c->ends[s->end].gone)
        say_goodbye(s);
    c->ends[s->end].socket = NULL;
    s->connection = NULL;
    free_if_closed(c);
}

void sim_stream_forget(struct sim_host *h)
{
    for (struct sim_connection *c = h->world->connections; c; c = c->next) {
        for (int i = 0; i < 2; i++) {
            if (c->ends[i].host == h) {
                drop_segments(&c->pipes[i]);
                c->ends[i].gone = true;
            }
        }
    }
}
