/* server.c: bind, listen and accept. */
#include "socket/server.h"
#include "base/error.h"
#include "socket/address.h"
#include "socket/resolve.h"
#include "socket/socket.h"
#include "transport/descriptor.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As Go's: short enough to notice a free descriptor soon, long enough not to spin. */
static const int64_t ACCEPT_PAUSE_MIN = 5 * (NANOSECONDS / 1000);
static const int64_t ACCEPT_PAUSE_MAX = NANOSECONDS;

/* ---- bind ---------------------------------------------------------------------------------- */

static int open_and_bind(struct socket *s, const salut_addr *address)
{
    struct engine *e = scheduler_of_thread->engine;
    int family = address_family(address);
    int failure = socket_open(s, family);

    if (failure)
        return failure;
    if (s->kind == SALUT_TCP)
        failure = e->calls->set_option(e, &s->endpoint, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!failure && family == AF_INET6)
        failure = e->calls->set_option(e, &s->endpoint, IPPROTO_IPV6, IPV6_V6ONLY, !s->dual);
    return failure ? failure : e->calls->bind(e, &s->endpoint, address);
}

/* Every interface: IPv6 and IPv4 by one socket, or IPv4 alone where there is no IPv6. */
static int bind_everywhere(struct socket *s, int port)
{
    salut_addr any;
    int failure;

    address_any(&any, AF_INET6);
    address_set_port(&any, port);
    s->dual = true;
    failure = open_and_bind(s, &any);
    if (failure != -EAFNOSUPPORT && failure != -EADDRNOTAVAIL)
        return failure;
    socket_reset(s);
    address_any(&any, AF_INET);
    address_set_port(&any, port);
    return open_and_bind(s, &any);
}

static int bind_internet(struct socket *s, const char *host, int port)
{
    struct address_list *list;
    int result = -1;

    if (resolve_check_port("bind", host, port, 0))
        return -1;
    if (!host || !host[0]) {
        int failure = bind_everywhere(s, port);
        return failure ? error_set(-failure, "bind to every interface, port %d", port) : 0;
    }
    list = fiber_borrow(sizeof *list);
    if (!list)
        return error_set(ENOMEM, "bind to %s:%d", host, port);
    if (!resolve("bind to", host, port, socket_deadline(s), list)) {
        char name[SOCKET_NAME_BYTES];
        salut_addr *address = &list->addresses[0];
        int failure;
        resolve_put_first(list, AF_INET);
        failure = open_and_bind(s, address);
        result = failure
                     ? error_set(-failure, "bind to %s", address_text(address, name, sizeof name))
                     : 0;
    }
    fiber_give_back(list);
    return result;
}

/* The path is taken: by a program that runs, by the leftover of one that doesn't, or by a file
 * that is something else. */
static int path_in_use(struct socket *s, const char *path, salut_addr *address)
{
    struct endpoint probe;
    struct engine *e = scheduler_of_thread->engine;
    struct file_identity file;
    bool stale = false;

    if (!e->calls->identify(e, path, &file) && !file.is_socket)
        return error_say(EADDRINUSE, "bind to %s: there is a file with that name already", path);
    if (!e->calls->open(e, &probe, AF_UNIX, socket_is_stream(s) ? SOCK_STREAM : SOCK_DGRAM)) {
        stale = descriptor_connect(&probe, address, AT_ONCE) == -ECONNREFUSED;
        e->calls->close(e, &probe);
    }
    if (stale)
        return error_say(EADDRINUSE,
                         "bind to %s: a program that has ended left its socket file there: "
                         "delete the file",
                         path);
    return error_say(EADDRINUSE, "bind to %s: another program is using that path", path);
}

/* The file that bind has made is the socket's to unlink, or is unlinked now. */
static int remember_path(struct socket *s, const char *path)
{
    struct engine *e = scheduler_of_thread->engine;
    int failure;

    if (path[0] == '@')
        return 0;
    failure = e->calls->identify(e, path, &s->path_file);
    if (failure == -ENOENT) /* somebody has unlinked it already */
        return 0;
    if (!failure)
        s->path = strdup(path);
    if (!failure && !s->path)
        failure = -ENOMEM;
    if (failure)
        e->calls->unlink(e, path);
    return failure;
}

static int bind_path(struct socket *s, const char *path)
{
    salut_addr address;
    int failure = address_from_path(&address, path);

    if (failure == -ENAMETOOLONG)
        return error_say(ENAMETOOLONG,
                         "bind to a Unix path: %zu bytes, and 107 is the most the system takes",
                         strlen(path));
    if (failure)
        return error_say(EINVAL, "bind: the path is empty");
    failure = open_and_bind(s, &address);
    if (failure == -EADDRINUSE && path[0] != '@')
        return path_in_use(s, path, &address);
    if (!failure)
        failure = remember_path(s, path);
    return failure ? error_set(-failure, "bind to %s", path) : 0;
}

static int bind_entered(struct socket *s, const char *host, int port)
{
    int result, failure;

    if (s->bound || s->state != SOCKET_NEW || s->endpoint.descriptor >= 0)
        return error_say(EINVAL, "bind: the socket has an address already");
    if (s->stepper)
        return error_say(EINVAL, "bind: another fiber is binding or connecting the socket");
    socket_begin_step(s);
    result = socket_is_unix(s) ? bind_path(s, host) : bind_internet(s, host, port);
    failure = errno;
    socket_end_step(s);
    if (result || s->closed)
        socket_reset(s);
    if (s->closed)
        return error_say(ECANCELED, "bind: another fiber closed the socket");
    if (result) {
        errno = failure;
        return socket_step_failed(s, STEP_BIND);
    }
    s->bound = true;
    socket_step_done(s, STEP_BIND);
    return 0;
}

int salut_bind(salut_sock *handle, const char *host, int port)
{
    struct socket *s = socket_enter(handle, "bind");
    int result;

    if (!s)
        return -1;
    result = bind_entered(s, host, port);
    socket_leave(s);
    return result;
}

/* ---- listen -------------------------------------------------------------------------------- */

/* A listener that was not given an address is this machine's own business. */
static int bind_loopback(struct socket *s)
{
    salut_addr loopback;

    address_loopback(&loopback);
    return open_and_bind(s, &loopback);
}

static int listen_entered(struct socket *s, int backlog)
{
    struct engine *e = scheduler_of_thread->engine;
    int failure = 0;

    if (socket_stands_on_failure(s, STEP_LISTEN, "listen"))
        return -1;
    if (!socket_is_stream(s))
        return error_say(EOPNOTSUPP, "listen: datagrams need no listener: bind, then recvfrom");
    if (s->state == SOCKET_CONNECTED)
        return error_say(EINVAL, "listen: the socket is connected");
    if (s->state == SOCKET_NEW && s->stepper)
        return error_say(EINVAL, "listen: another fiber is binding or connecting the socket");
    if (!s->bound && socket_is_unix(s))
        return error_say(EINVAL, "listen: bind the socket to a path first");
    if (!s->bound)
        failure = bind_loopback(s);
    if (!failure)
        failure = e->calls->listen(e, &s->endpoint, backlog > 0 ? backlog : SOMAXCONN);
    if (failure) {
        socket_failed(s, "listen", -failure);
        return socket_step_failed(s, STEP_LISTEN);
    }
    s->bound = true;
    s->state = SOCKET_LISTENING;
    socket_step_done(s, STEP_LISTEN);
    return 0;
}

int salut_listen(salut_sock *handle, int backlog)
{
    struct socket *s = socket_enter(handle, "listen");
    int result;

    if (!s)
        return -1;
    result = listen_entered(s, backlog);
    socket_leave(s);
    return result;
}

/* ---- accept -------------------------------------------------------------------------------- */

/* One client that went away while it waited, or a trouble of its network, which Linux reports
 * here: not the listener's. */
static bool is_the_clients(int number)
{
    switch (number) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM: /* a firewall's word about this one */
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
        return true;
    default:
        return false;
    }
}

static bool is_exhaustion(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

int server_check(const struct socket *s, const char *word)
{
    if (s->state == SOCKET_LISTENING)
        return s->receiving ? error_say(EBUSY, "%.*s: another fiber is accepting on this socket",
                                        error_word_size(word), word)
                            : 0;
    if (socket_stands_on_failure(s, STEP_CONNECT, word))
        return -1;
    return error_say(EINVAL, "%.*s: the socket isn't listening: bind and listen first",
                     error_word_size(word), word);
}

/* One client, or why there is none; waits for descriptors when there are none for it. */
static int64_t accept_patiently(struct socket *s, salut_addr *peer, int64_t deadline)
{
    int64_t pause = ACCEPT_PAUSE_MIN;

    for (;;) {
        int64_t descriptor = descriptor_accept(&s->endpoint, peer, deadline);
        int64_t until;
        int reason;

        if (descriptor >= 0 || s->closed)
            return descriptor;
        if (is_the_clients((int)-descriptor))
            continue;
        if (!is_exhaustion((int)-descriptor) || deadline == AT_ONCE)
            return descriptor;
        until = deadline_after(fiber_now(), pause);
        if (until >= deadline)
            return descriptor; /* says what is missing, better than ETIMEDOUT would */
        socket_begin_step(s);
        reason = fiber_park(until, "a descriptor for a client");
        socket_end_step(s);
        if (reason != ETIMEDOUT)
            return -reason;
        if (s->closed)
            return -ECANCELED;
        pause = 2 * pause < ACCEPT_PAUSE_MAX ? 2 * pause : ACCEPT_PAUSE_MAX;
    }
}

/* The fiber of the client before goes first: its socket is still in the caches, here and in the
 * system. Among many others it has to wait for its turn, or so would whoever waits to be let in. */
int64_t server_accept(struct socket *s, salut_addr *peer, int64_t deadline)
{
    int64_t descriptor;

    s->receiving = true;
    fiber_give_way();
    descriptor = s->closed ? -ECANCELED : accept_patiently(s, peer, deadline);
    s->receiving = false;
    if (descriptor >= 0 && s->dual)
        address_unmap(peer);
    return descriptor;
}

int server_settle(struct socket *client, int descriptor, const salut_addr *peer)
{
    struct engine *e = scheduler_of_thread->engine;
    int failure = e->calls->adopt(e, &client->endpoint, descriptor, client->kind == SALUT_TCP);
    int family = address_family(peer);

    if (failure)
        return failure;
    client->state = SOCKET_CONNECTED;
    if (family == AF_INET || family == AF_INET6)
        memcpy(&client->peer, &peer->raw, peer->raw_size);
    return 0;
}

/* The record comes first: a client that was taken from the kernel must not be lost for want of
 * memory. */
static struct socket *accept_entered(struct socket *s, salut_addr *peer)
{
    struct socket *client;
    int64_t descriptor;
    int failure;

    if (server_check(s, "accept"))
        return NULL;
    client = socket_create(s->kind);
    if (!client) {
        socket_failed(s, "accept on", errno);
        return NULL;
    }
    descriptor = server_accept(s, peer, socket_deadline(s));
    failure = descriptor < 0 ? (int)descriptor : server_settle(client, (int)descriptor, peer);
    if (!failure)
        return client;
    if (descriptor >= 0)
        scheduler_of_thread->engine->calls->drop(scheduler_of_thread->engine, (int)descriptor);
    socket_discard(client);
    socket_failed(s, "accept on", -failure);
    return NULL;
}

salut_sock *salut_accept(salut_sock *handle, salut_addr *peer)
{
    struct socket *s = socket_enter(handle, "accept");
    struct socket *client;
    salut_addr unwanted;

    if (!peer)
        peer = &unwanted;
    peer->raw_size = 0;
    client = s ? accept_entered(s, peer) : NULL;
    if (!client)
        memset(peer, 0, sizeof *peer);
    if (s)
        socket_leave(s);
    return client ? client->handle : NULL;
}
