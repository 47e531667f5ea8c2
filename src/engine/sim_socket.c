/* sim_socket.c: a simulated host's descriptors, and the engine's calls on them. Each try is what
 * the system call would be: done, or -EAGAIN and pending until something is marked. */
#include "base/clock.h"
#include "engine/sim.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

struct sim_lookup {
    struct sim_event event;
    struct sim_host *host;
    struct sim_lookup *next;
    struct operation *operation;
    bool found;
};

/* A name server answers from next door, or from far away. */
static const int64_t LOOKUP_MIN = NANOSECONDS / 5000;
static const int64_t LOOKUP_MAX = NANOSECONDS / 20;

/* What a look at the network costs. */
static const int64_t LOOK = 1000;

/* ---- Sockets and descriptors --------------------------------------------------------------- */

/* From what a message's half needs to what Linux gives. */
static size_t draw_buffer(struct sim_host *h, size_t given)
{
    struct sim_world *w = h->world;

    if (given)
        return given;
    if (w->calm)
        return SIM_BUFFER_BYTES;
    return (size_t)4096 << sim_draw_below(w, 6);
}

struct sim_socket *sim_socket_create(struct sim_host *h, int family, int type)
{
    struct sim_socket *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->host = h;
    s->descriptor = -1;
    s->family = family;
    s->type = type;
    s->send_bytes = draw_buffer(h, h->send_bytes);
    s->receive_bytes = draw_buffer(h, h->receive_bytes);
    s->local.raw.any.sa_family = s->peer.raw.any.sa_family = (sa_family_t)family;
    return s;
}

static int grow_table(struct sim_host *h)
{
    uint32_t room = h->socket_room ? 2 * h->socket_room : 16;
    struct sim_socket **sockets = realloc(h->sockets, room * sizeof *sockets);

    if (!sockets)
        return -ENOMEM;
    memset(sockets + h->socket_room, 0, (room - h->socket_room) * sizeof *sockets);
    h->sockets = sockets;
    h->socket_room = room;
    return 0;
}

/* The lowest free one, as POSIX wants it. -errno. */
static int give_descriptor(struct sim_socket *s)
{
    struct sim_host *h = s->host;

    if (h->open_count >= (h->descriptors_max ? h->descriptors_max : SIM_DESCRIPTORS_MAX))
        return -EMFILE;
    if (h->open_count == h->socket_room && grow_table(h))
        return -ENOMEM;
    while (h->sockets[h->lowest_free])
        h->lowest_free++;
    s->descriptor = SIM_DESCRIPTOR_FIRST + (int)h->lowest_free;
    h->sockets[h->lowest_free] = s;
    h->open_count++;
    return s->descriptor;
}

static void take_descriptor(struct sim_socket *s)
{
    struct sim_host *h = s->host;
    uint32_t place = (uint32_t)(s->descriptor - SIM_DESCRIPTOR_FIRST);

    if (s->descriptor < 0)
        return;
    h->sockets[place] = NULL;
    h->open_count--;
    if (place < h->lowest_free)
        h->lowest_free = place;
}

struct sim_socket *sim_socket_find(struct sim_host *h, int descriptor)
{
    uint32_t place = (uint32_t)(descriptor - SIM_DESCRIPTOR_FIRST);

    return descriptor >= SIM_DESCRIPTOR_FIRST && place < h->socket_room ? h->sockets[place] : NULL;
}

static struct sim_socket *socket_of(struct engine *e, const struct endpoint *ep)
{
    return sim_socket_find(sim_host_of(e), ep->descriptor);
}

/* ---- What is new --------------------------------------------------------------------------- */

/* In front or behind: who is served first is nobody's right. */
void sim_socket_mark(struct sim_socket *s)
{
    struct sim_host *h = s->host;

    if (s->marked || !s->endpoint || (!s->endpoint->receiving && !s->endpoint->sending))
        return;
    s->marked = true;
    s->next_marked = NULL;
    if (!h->marked_first) {
        h->marked_first = h->marked_last = s;
    } else if (!h->world->calm && (sim_draw(h->world) & 1)) {
        s->next_marked = h->marked_first;
        h->marked_first = s;
    } else {
        h->marked_last->next_marked = s;
        h->marked_last = s;
    }
    h->awake = true;
}

static void unmark(struct sim_socket *s)
{
    struct sim_host *h = s->host;
    struct sim_socket *before = NULL;

    if (!s->marked)
        return;
    for (struct sim_socket *at = h->marked_first; at != s; at = at->next_marked)
        before = at;
    if (before)
        before->next_marked = s->next_marked;
    else
        h->marked_first = s->next_marked;
    if (h->marked_last == s)
        h->marked_last = before;
    s->marked = false;
}

/* ---- Closing ------------------------------------------------------------------------------- */

/* The first of those who wait: nobody leaves from further behind. */
static void leave_queue(struct sim_socket *s)
{
    struct sim_socket *listener = s->listener;

    if (!listener)
        return;
    assert(listener->queue_first == s);
    listener->queue_first = s->next_in_queue;
    if (!listener->queue_first)
        listener->queue_last = NULL;
    listener->queue_count--;
    s->listener = NULL;
}

void sim_socket_close(struct sim_socket *s)
{
    struct sim_path *file = s->path[0] ? sim_path_find(s->host, s->path) : NULL;

    while (s->queue_first) {
        s->queue_first->lingers_not = true; /* they were never anybody's: told off */
        sim_socket_close(s->queue_first);
    }
    leave_queue(s);
    s->endpoint = NULL;
    unmark(s);
    if (s->type == SOCK_STREAM)
        sim_stream_close(s);
    sim_datagram_close(s);
    sim_unbind(s);
    if (file && file->socket == s) {
        file->socket = NULL;
        if (s->path[0] == '@') /* an abstract name goes with its socket */
            sim_path_remove(s->host, s->path);
    }
    take_descriptor(s);
    free(s);
}

static void complete(struct operation **pending, int64_t result)
{
    struct operation *operation = *pending;

    *pending = NULL;
    operation->result = result;
    operation->done(operation);
}

static void sim_close(struct engine *e, struct endpoint *ep)
{
    struct sim_socket *s;

    if (ep->descriptor < 0)
        return;
    s = socket_of(e, ep);
    if (s) /* the host may have crashed under it */
        sim_socket_close(s);
    ep->descriptor = -1;
    if (ep->receiving)
        complete(&ep->receiving, -ECANCELED);
    if (ep->sending)
        complete(&ep->sending, -ECANCELED);
}

static void sim_drop(struct engine *e, int descriptor)
{
    sim_socket_close(sim_socket_find(sim_host_of(e), descriptor));
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int sim_adopt(struct engine *e, struct endpoint *ep, int descriptor, bool stream)
{
    struct sim_socket *s = sim_socket_find(sim_host_of(e), descriptor);

    if (!s)
        return -EBADF;
    *ep = (struct endpoint){
        .descriptor = descriptor, .stream = stream, .readable = true, .writable = true};
    s->endpoint = ep;
    return 0;
}

static int sim_claim(struct engine *e, int descriptor)
{
    return sim_socket_find(sim_host_of(e), descriptor) ? 0 : -EBADF;
}

/* A new socket with a descriptor; NULL and *failure. */
static struct sim_socket *create(struct sim_host *h, int family, int type, int *failure)
{
    struct sim_socket *s = sim_socket_create(h, family, type);

    *failure = s ? give_descriptor(s) : -ENOMEM;
    if (*failure >= 0)
        return s;
    if (s)
        sim_socket_close(s);
    return NULL;
}

static int sim_open(struct engine *e, struct endpoint *ep, int family, int type)
{
    struct sim_host *h = sim_host_of(e);
    struct sim_socket *s;
    int failure;

    if (sim_host_is_exhausted(h, ENOBUFS))
        return -ENOBUFS;
    s = create(h, family, type, &failure);
    if (!s)
        return failure;
    return sim_adopt(e, ep, s->descriptor, type == SOCK_STREAM && family != AF_UNIX);
}

static int sim_open_pair(struct engine *e, struct endpoint *a, struct endpoint *b)
{
    struct sim_host *h = sim_host_of(e);
    int failure;
    struct sim_socket *one = create(h, AF_UNIX, SOCK_STREAM, &failure);
    struct sim_socket *other = one ? create(h, AF_UNIX, SOCK_STREAM, &failure) : NULL;

    if (other)
        failure = sim_stream_join(one, other);
    if (other && !failure) {
        one->connected = other->connected = true;
        sim_adopt(e, a, one->descriptor, false);
        sim_adopt(e, b, other->descriptor, false);
        return 0;
    }
    if (other)
        sim_socket_close(other);
    if (one)
        sim_socket_close(one);
    return failure;
}

static void sim_move(struct engine *e, struct endpoint *from, struct endpoint *to)
{
    assert(!from->receiving && !from->sending);
    *to = *from;
    socket_of(e, to)->endpoint = to;
    from->descriptor = -1;
}

/* ---- What completes at once ---------------------------------------------------------------- */

static int sim_bind_endpoint(struct engine *e, struct endpoint *ep, const salut_addr *address)
{
    return sim_bind(socket_of(e, ep), address);
}

static int sim_identify(struct engine *e, const char *path, struct file_identity *file)
{
    struct sim_path *found = sim_path_find(sim_host_of(e), path);

    if (!found)
        return -ENOENT;
    *file = (struct file_identity){.inode = found->inode, .is_socket = true};
    return 0;
}

static int sim_unlink(struct engine *e, const char *path)
{
    sim_path_remove(sim_host_of(e), path);
    return 0;
}

static int sim_listen(struct engine *e, struct endpoint *ep, int backlog)
{
    struct sim_socket *s = socket_of(e, ep);

    if (!s->listening && s->family != AF_UNIX && sim_address_listener(s->host, &s->local))
        return -EADDRINUSE;
    s->listening = true;
    s->backlog = backlog < SIM_BACKLOG_MAX ? (uint32_t)backlog : SIM_BACKLOG_MAX;
    return 0;
}

static int sim_shutdown(struct engine *e, struct endpoint *ep, int how)
{
    struct sim_socket *s = socket_of(e, ep);

    if (s->type == SOCK_STREAM)
        return sim_stream_shutdown(s, how);
    s->shut_read |= how != SHUT_WR;
    s->shut_write |= how != SHUT_RD;
    sim_socket_mark(s);
    return 0;
}

static void set_socket_option(struct sim_socket *s, int name, int value)
{
    switch (name) {
    case SO_REUSEADDR:
        s->reuse = value;
        break;
    case SO_SNDBUF:
        s->send_bytes = (size_t)value;
        break;
    case SO_RCVBUF:
        s->receive_bytes = (size_t)value;
        break;
    case SO_LINGER: /* 0 seconds, the one case that a close shows */
        s->lingers_not = value;
        break;
    }
}

static int sim_set_option(struct engine *e, struct endpoint *ep, int level, int name, int value)
{
    struct sim_socket *s = socket_of(e, ep);

    if (level == SOL_SOCKET)
        set_socket_option(s, name, value);
    else if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        s->only_ipv6 = value;
    return 0;
}

static int get_socket_option(struct sim_socket *s, int name, int *value)
{
    switch (name) {
    case SO_DOMAIN:
        *value = s->family;
        break;
    case SO_TYPE:
        *value = s->type;
        break;
    case SO_PROTOCOL:
        *value = s->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
        if (s->family == AF_UNIX)
            *value = 0;
        break;
    case SO_ACCEPTCONN:
        *value = s->listening;
        break;
    case SO_REUSEADDR:
        *value = s->reuse;
        break;
    default:
        return -ENOPROTOOPT;
    }
    return 0;
}

static int sim_get_option(struct engine *e, struct endpoint *ep, int level, int name, int *value)
{
    struct sim_socket *s = socket_of(e, ep);

    if (!s)
        return -EBADF;
    if (level == SOL_SOCKET)
        return get_socket_option(s, name, value);
    *value = level == IPPROTO_IPV6 ? s->only_ipv6 : 1; /* TCP_NODELAY: nothing is ever delayed */
    return 0;
}

static int sim_name(struct engine *e, struct endpoint *ep, bool peer, salut_addr *address)
{
    struct sim_socket *s = socket_of(e, ep);

    if (peer && (!s->connected || sim_stream_is_over(s)))
        return -ENOTCONN;
    *address = peer ? s->peer : s->local;
    address->text[0] = '\0';
    if (!address->raw_size) /* none yet: the family alone is known */
        address->raw_size = s->family == AF_UNIX   ? sizeof(sa_family_t)
                            : s->family == AF_INET ? sizeof(struct sockaddr_in)
                                                   : sizeof(struct sockaddr_in6);
    return 0;
}

/* ---- Trying -------------------------------------------------------------------------------- */

static bool done(struct operation *o, int64_t result)
{
    if (result == -EAGAIN)
        return false;
    o->result = result;
    return true;
}

static bool try_accept(struct sim_socket *s, struct operation *o)
{
    struct sim_socket *client = s->queue_first;
    int descriptor;

    if (!client)
        return false;
    if (sim_host_is_exhausted(s->host, ENFILE))
        return done(o, -ENFILE);
    descriptor = give_descriptor(client);
    if (descriptor >= 0) {
        leave_queue(client);
        *o->address = client->peer;
        o->address->text[0] = '\0';
        if (!o->address->raw_size) {
            o->address->raw.any.sa_family = AF_UNIX;
            o->address->raw_size = sizeof(sa_family_t);
        }
    }
    return done(o, descriptor);
}

/* Like the kernel's, it goes on until it has to wait. */
static bool try_send(struct sim_socket *s, struct operation *o)
{
    size_t all = o->head_size + o->size;

    if (sim_host_is_exhausted(s->host, ENOBUFS))
        return done(o, -ENOBUFS);
    while (o->moved < all) {
        bool head = o->moved < o->head_size;
        const char *from = head ? o->head : o->from;
        size_t at = head ? o->moved : o->moved - o->head_size;
        int64_t sent = sim_stream_send(s, from + at, (head ? o->head_size : o->size) - at);
        if (sent < 0)
            return done(o, sent);
        o->moved += (size_t)sent;
    }
    return done(o, (int64_t)all);
}

static bool try_connect(struct sim_socket *s, struct operation *o)
{
    if (s->connecting != SIM_CONNECT_ANSWERED)
        return false;
    s->connecting = SIM_CONNECT_NONE;
    return done(o, s->connect_result);
}

/* A Unix listener whose backlog is full says EAGAIN for good: that is a result here. */
static bool begin_connect(struct sim_socket *s, struct operation *o)
{
    int result = sim_connect(s, o->address);

    if (s->connecting == SIM_CONNECT_ASKING)
        return false;
    o->result = result;
    return true;
}

static bool try_again(struct sim_socket *s, struct operation *o)
{
    switch (o->kind) {
    case OPERATION_RECEIVE:
        return done(o, sim_stream_receive(s, o->into, o->size));
    case OPERATION_RECEIVE_FROM:
        return done(o, sim_datagram_receive(s, o->into, o->size, o->address));
    case OPERATION_ACCEPT:
        return try_accept(s, o);
    case OPERATION_SEND:
        return try_send(s, o);
    case OPERATION_SEND_TO:
        return done(o, sim_datagram_send(s, o->from, o->size, o->address));
    case OPERATION_CONNECT:
        return try_connect(s, o);
    case OPERATION_RESOLVE:
        break;
    }
    assert(0 && "a socket never holds this operation");
    return false;
}

/* ---- Names --------------------------------------------------------------------------------- */

static void lookup_answered(struct sim_event *event)
{
    struct sim_lookup *l = (struct sim_lookup *)event;

    l->found = true;
    sim_host_awake(l->host);
}

static bool start_lookup(struct sim_host *h, struct operation *o)
{
    struct sim_lookup *l = calloc(1, sizeof *l);
    struct sim_world *w = h->world;

    if (!l || sim_host_is_exhausted(h, ENOMEM)) {
        free(l);
        return done(o, -ENOMEM);
    }
    l->event.happen = lookup_answered;
    l->host = h;
    l->operation = o;
    l->next = h->lookups;
    h->lookups = l;
    o->lookup = l;
    sim_schedule(w, &l->event,
                 w->now + LOOKUP_MIN +
                     (w->calm ? 0 : (int64_t)sim_draw_below(w, (uint64_t)LOOKUP_MAX)));
    return false;
}

static void drop_lookup(struct sim_lookup *l)
{
    struct sim_lookup **at = &l->host->lookups;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    sim_unschedule(l->host->world, &l->event);
    free(l);
}

static void answer_lookups(struct sim_host *h)
{
    struct sim_lookup *next;

    for (struct sim_lookup *l = h->lookups; l; l = next) {
        struct operation *o = l->operation;
        next = l->next;
        if (!l->found)
            continue;
        o->result = sim_look_up(h, o->host, o->found);
        o->lookup = NULL;
        sim_record(h->world, SIM_LOOKED_UP, h, NULL, o->found->count, o->host);
        drop_lookup(l);
        o->done(o);
    }
}

/* ---- Starting and cancelling --------------------------------------------------------------- */

static bool pend(struct operation **place, struct operation *o)
{
    assert(!*place);
    *place = o;
    return false;
}

static bool sim_start(struct engine *e, struct operation *o)
{
    struct sim_host *h = sim_host_of(e);
    struct sim_socket *s;

    h->world->operations++;
    if (o->kind == OPERATION_RESOLVE)
        return start_lookup(h, o);
    s = socket_of(e, o->endpoint);
    switch (o->kind) {
    case OPERATION_RECEIVE:
    case OPERATION_RECEIVE_FROM:
    case OPERATION_ACCEPT:
        return try_again(s, o) || pend(&o->endpoint->receiving, o);
    case OPERATION_CONNECT:
        return begin_connect(s, o) || pend(&o->endpoint->sending, o);
    default:
        return try_again(s, o) || pend(&o->endpoint->sending, o);
    }
}

static void sim_cancel(struct engine *e, struct operation *o)
{
    (void)e;
    if (o->kind == OPERATION_RESOLVE) {
        if (o->lookup)
            drop_lookup(o->lookup);
    } else if (o->endpoint->receiving == o) {
        o->endpoint->receiving = NULL;
    } else if (o->endpoint->sending == o) {
        o->endpoint->sending = NULL;
    }
}

/* ---- Letters ------------------------------------------------------------------------------- */

static int sim_expect_letters(struct engine *e)
{
    (void)e;
    return 0;
}

static void sim_post(struct engine *e, struct letter *letter)
{
    struct sim_host *h = sim_host_of(e);

    letter->next = NULL;
    if (h->letters_last)
        h->letters_last->next = letter;
    else
        h->letters_first = letter;
    h->letters_last = letter;
    h->awake = true;
}

/* It is for what has no part in a simulation: memory, say. */
static int sim_alarm(struct engine *e, int64_t at, struct letter *letter)
{
    (void)e, (void)at, (void)letter;
    return -EOPNOTSUPP;
}

static void open_letters(struct sim_host *h)
{
    while (h->letters_first) {
        struct letter *letter = h->letters_first;
        h->letters_first = letter->next;
        if (!h->letters_first)
            h->letters_last = NULL;
        letter->open(letter);
    }
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static void serve_marked(struct sim_socket *s)
{
    struct endpoint *ep = s->endpoint;

    if (ep->receiving && try_again(s, ep->receiving))
        complete(&ep->receiving, ep->receiving->result);
    if (ep->sending && try_again(s, ep->sending))
        complete(&ep->sending, ep->sending->result);
}

static bool sim_poll(struct engine *e, int64_t until)
{
    struct sim_host *h = sim_host_of(e);

    h->until = sim_host_when(h, until);
    if (until == AT_ONCE) { /* also a program that only looks must see time go on */
        h->awake = true;
        h->world->now += LOOK;
    }
    h->world->wait(h);
    open_letters(h);
    answer_lookups(h);
    while (h->marked_first) {
        struct sim_socket *s = h->marked_first;
        h->marked_first = s->next_marked;
        if (!h->marked_first)
            h->marked_last = NULL;
        s->marked = false;
        serve_marked(s);
    }
    return true;
}

static int64_t sim_now(struct engine *e)
{
    return sim_host_time(sim_host_of(e));
}

/* The program's end. The host goes on. */
static void sim_destroy(struct engine *e)
{
    struct sim_host *h = sim_host_of(e);

    open_letters(h);
    while (h->lookups)
        drop_lookup(h->lookups);
    sim_host_close_all(h);
}

const struct engine_calls sim_calls = {
    .open = sim_open,
    .open_pair = sim_open_pair,
    .adopt = sim_adopt,
    .claim = sim_claim,
    .drop = sim_drop,
    .move = sim_move,
    .bind = sim_bind_endpoint,
    .identify = sim_identify,
    .unlink = sim_unlink,
    .listen = sim_listen,
    .shutdown = sim_shutdown,
    .set_option = sim_set_option,
    .get_option = sim_get_option,
    .name = sim_name,
    .close = sim_close,
    .start = sim_start,
    .cancel = sim_cancel,
    .poll = sim_poll,
    .now = sim_now,
    .expect_letters = sim_expect_letters,
    .post = sim_post,
    .alarm = sim_alarm,
    .destroy = sim_destroy,
};
