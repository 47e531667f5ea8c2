/* connect.c: to one address, or to the first of several that answers. */
#include "base/error.h"
#include "socket/address.h"
#include "socket/race.h"
#include "socket/resolve.h"
#include "socket/socket.h"
#include "transport/descriptor.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int connect_path(struct socket *s, const char *path)
{
    salut_addr address;
    int failure = address_from_path(&address, path);

    if (failure == -ENAMETOOLONG)
        return error_say(ENAMETOOLONG,
                         "connect to a Unix path: %zu bytes, and 107 is the most the system takes",
                         strlen(path));
    if (failure)
        return error_say(EINVAL, "connect: the path is empty");
    failure = socket_open(s, AF_UNIX);
    if (!failure)
        failure = (int)descriptor_connect(&s->endpoint, &address, socket_deadline(s));
    if (failure == -ENOENT)
        return error_say(ENOENT, "connect to %s: there is no such path (is the server running?)",
                         path);
    return failure ? error_set(-failure, "connect to %s", path) : 0;
}

/* This end's address, "none" (of family AF_UNSPEC) before there is a descriptor. */
static int find_own_address(struct socket *s, salut_addr *own)
{
    struct engine *e = scheduler_of_thread->engine;

    memset(own, 0, sizeof *own);
    return s->endpoint.descriptor >= 0 ? e->calls->name(e, &s->endpoint, false, own) : 0;
}

/* After a failure a descriptor that was opened for this address is of no more use. One that was
 * there before keeps what bind gave it; the system must be told to forget what it tried, and may
 * have given up a port of its own choice together with it. */
static void undo_attempt(struct socket *s, const salut_addr *own)
{
    struct engine *e = scheduler_of_thread->engine;

    if (!own->raw_size) {
        socket_reset(s);
    } else if (s->kind == SALUT_TCP) {
        descriptor_disconnect(&s->endpoint);
        e->calls->bind(e, &s->endpoint, own); /* EINVAL when it still has it */
    }
}

/* With one descriptor, which has an address already or is for datagrams: one after the other, as
 * far as they are of the descriptor's family. */
static int connect_in_turn(struct socket *s, const char *goal, struct address_list *list,
                           int64_t deadline, salut_addr *winner)
{
    salut_addr own;
    int failure = find_own_address(s, &own);

    if (failure)
        return error_set(-failure, "connect to %s", goal);
    failure = -EAFNOSUPPORT;
    for (uint32_t i = 0; i < list->count; i++) {
        salut_addr *address = &list->addresses[i];
        if (s->dual)
            address_map(address);
        if (own.raw_size && address_family(address) != address_family(&own))
            continue;
        failure = socket_open(s, address_family(address));
        if (!failure)
            failure = (int)descriptor_connect(&s->endpoint, address, deadline);
        if (!failure) {
            *winner = *address;
            return 0;
        }
        if (s->closed)
            break;
        undo_attempt(s, &own);
        if ((failure == -ETIMEDOUT && fiber_is_late(deadline)) || failure == -ECANCELED ||
            failure == -EAGAIN)
            break;
    }
    return error_set(-failure, "connect to %s", goal);
}

static int connect_internet(struct socket *s, const char *host, int port)
{
    char goal[HOST_NAME_BYTES_MAX + sizeof "[]:65535"];
    int64_t deadline = socket_deadline(s);
    struct address_list *list;
    salut_addr winner;
    int result;

    if (!host || !host[0])
        return error_say(EINVAL,
                         "connect: the host is empty (\"localhost\" is this computer itself)");
    if (resolve_check_port("connect to", host, port, 1))
        return -1;
    list = fiber_borrow(sizeof *list);
    if (!list)
        return error_set(ENOMEM, "connect to %s:%d", host, port);
    result = resolve("connect to", host, port, deadline, list);
    if (!result) {
        address_goal(host, port, goal, sizeof goal);
        if (s->kind == SALUT_UDP)
            resolve_put_first(list, AF_INET); /* where bind is, since no handshake would tell */
        if (s->kind == SALUT_UDP || s->endpoint.descriptor >= 0)
            result = connect_in_turn(s, goal, list, deadline, &winner);
        else
            result = race(goal, list, deadline, &s->endpoint, &winner);
    }
    fiber_give_back(list);
    if (!result)
        memcpy(&s->peer, &winner.raw, winner.raw_size);
    return result;
}

static int connect_entered(struct socket *s, const char *host, int port)
{
    bool datagrams_again = s->state == SOCKET_CONNECTED && !socket_is_stream(s);
    bool placed = s->endpoint.descriptor >= 0;
    int result, failure;

    if (socket_stands_on_failure(s, STEP_CONNECT, "connect"))
        return -1;
    if (s->state == SOCKET_LISTENING)
        return error_say(EOPNOTSUPP, "connect: the socket is a listener");
    if (s->stepper || (s->state == SOCKET_CONNECTED && !datagrams_again))
        return error_say(EISCONN, "connect: %s",
                         s->stepper ? "another fiber is binding or connecting the socket"
                                    : "the socket is connected already");
    socket_begin_step(s);
    result = socket_is_unix(s) ? connect_path(s, host) : connect_internet(s, host, port);
    failure = errno;
    socket_end_step(s);
    if (s->closed || (result && !placed))
        socket_reset(s);
    if (s->closed)
        return error_say(ECANCELED, "connect: another fiber closed the socket");
    errno = failure;
    if (result)
        return socket_step_failed(s, STEP_CONNECT);
    s->state = SOCKET_CONNECTED;
    socket_step_done(s, STEP_CONNECT);
    return 0;
}

int salut_connect(salut_sock *handle, const char *host, int port)
{
    struct socket *s = socket_enter(handle, "connect");
    int result;

    if (!s)
        return -1;
    result = connect_entered(s, host, port);
    socket_leave(s);
    return result;
}
