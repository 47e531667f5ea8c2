/* about.c: what can be asked of a socket and set on it, and sockets from elsewhere. */
#include "base/error.h"
#include "socket/address.h"
#include "socket/output.h"
#include "socket/socket.h"

#include <salut.h>

#include <errno.h>
#include <math.h>
#include <string.h>

static int ask_name(struct socket *s, const char *word, bool peer, salut_addr *addr)
{
    struct engine *e = scheduler_of_thread->engine;
    int failure;

    if (s->endpoint.descriptor < 0) {
        if (socket_stands_on_failure(s, STEP_CONNECT + 1, word))
            return -1;
        return error_say(peer ? ENOTCONN : EINVAL, "%.*s: the socket has no %s yet",
                         error_word_size(word), word, peer ? "peer" : "address");
    }
    failure = e->calls->name(e, &s->endpoint, peer, addr);
    if (failure == -ENOTCONN)
        return error_say(ENOTCONN, "%s: the socket isn't connected", word);
    if (failure)
        return socket_failed(s, word, -failure);
    address_unmap(addr);
    return 0;
}

static int name_of(salut_sock *handle, const char *word, bool peer, salut_addr *addr)
{
    struct socket *s = socket_enter(handle, word);
    int result;

    memset(addr, 0, sizeof *addr);
    if (!s)
        return -1;
    result = ask_name(s, word, peer, addr);
    if (result)
        memset(addr, 0, sizeof *addr);
    socket_leave(s);
    return result;
}

int salut_local(salut_sock *handle, salut_addr *addr)
{
    return name_of(handle, "local", false, addr);
}

int salut_peer(salut_sock *handle, salut_addr *addr)
{
    return name_of(handle, "peer", true, addr);
}

int salut_fd(salut_sock *handle)
{
    struct socket *s = socket_enter(handle, "fd");
    int descriptor = -1;

    if (!s)
        return -1;
    if (s->endpoint.descriptor >= 0)
        descriptor = s->endpoint.descriptor;
    else if (!socket_stands_on_failure(s, STEP_CONNECT + 1, "fd"))
        error_say(EBADF, "fd: the socket has no descriptor before bind or connect");
    socket_leave(s);
    return descriptor;
}

int salut_settimeout(salut_sock *handle, double seconds)
{
    struct socket *s = socket_enter(handle, "settimeout");

    if (!s)
        return -1;
    if (isnan(seconds)) {
        socket_leave(s);
        return error_say(EINVAL, "settimeout: the seconds are not a number");
    }
    s->timeout = seconds < 0 ? NEVER : nanoseconds(seconds);
    if (seconds > 0 && s->timeout == 0)
        s->timeout = 1; /* less than a nanosecond is short, but it isn't 0 */
    socket_leave(s);
    return 0;
}

int salut_shutdown(salut_sock *handle, int how)
{
    struct socket *s = socket_enter(handle, "shutdown");
    struct engine *e = scheduler_of_thread ? scheduler_of_thread->engine : NULL;
    int failure = 0;

    if (!s)
        return -1;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        failure = error_say(EINVAL, "shutdown: %d is not SHUT_RD, SHUT_WR or SHUT_RDWR", how);
    else if (s->state != SOCKET_CONNECTED)
        failure = socket_not_connected(s, "shutdown");
    else if (s->output && how != SHUT_RD && output_flush(s, "shutdown"))
        failure = -1;
    else if ((failure = e->calls->shutdown(e, &s->endpoint, how)))
        failure = socket_failed(s, "shutdown", -failure);
    socket_leave(s);
    return failure;
}

/* ---- From elsewhere ------------------------------------------------------------------------ */

/* SALUT_TCP and so on, 0 for none of them, -errno. */
static int kind_of(struct engine *e, struct endpoint *ep, int *listening)
{
    int family, type, protocol;
    int failure = e->calls->get_option(e, ep, SOL_SOCKET, SO_DOMAIN, &family);

    if (!failure)
        failure = e->calls->get_option(e, ep, SOL_SOCKET, SO_TYPE, &type);
    if (!failure)
        failure = e->calls->get_option(e, ep, SOL_SOCKET, SO_PROTOCOL, &protocol);
    if (!failure)
        failure = e->calls->get_option(e, ep, SOL_SOCKET, SO_ACCEPTCONN, listening);
    if (failure)
        return failure;
    if (family == AF_UNIX && type == SOCK_STREAM)
        return SALUT_UNIX;
    if (family == AF_UNIX && type == SOCK_DGRAM)
        return SALUT_UNIX_DATAGRAM;
    if (family != AF_INET && family != AF_INET6)
        return 0;
    if (protocol == IPPROTO_TCP)
        return SALUT_TCP;
    return protocol == IPPROTO_UDP ? SALUT_UDP : 0;
}

/* Where it stands: what state, what peer, whether it speaks both families. */
static int find_place(struct socket *s, struct endpoint *ep, bool listening)
{
    struct engine *e = scheduler_of_thread->engine;
    salut_addr address = {0};
    int only_ipv6 = 1;
    int failure = e->calls->name(e, ep, false, &address);

    s->state = listening ? SOCKET_LISTENING : SOCKET_NEW;
    s->bound = address_family(&address) == AF_UNIX || salut_addr_port(&address) != 0;
    if (!failure && address_family(&address) == AF_INET6)
        failure = e->calls->get_option(e, ep, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6);
    s->dual = !only_ipv6;
    if (failure || listening)
        return failure;
    failure = e->calls->name(e, ep, true, &address);
    if (failure)
        return failure == -ENOTCONN ? 0 : failure;
    s->state = SOCKET_CONNECTED;
    if (!socket_is_unix(s) && address.raw_size <= sizeof s->peer)
        memcpy(&s->peer, &address.raw, address.raw_size);
    return 0;
}

/* The descriptor is the caller's until all has gone well, so nothing of it is changed before. */
static int adopt(struct socket *s, int fd)
{
    struct engine *e = scheduler_of_thread->engine;
    struct endpoint probe = {.descriptor = fd};
    int listening = 0;
    int kind = kind_of(e, &probe, &listening);
    int failure;

    if (kind < 0)
        return error_set(-kind, "from_fd %d", fd);
    if (kind == 0)
        return error_say(EPROTONOSUPPORT, "from_fd %d: a kind of socket that salut doesn't know",
                         fd);
    s->kind = (uint8_t)kind;
    failure = find_place(s, &probe, listening);
    if (!failure)
        failure = e->calls->claim(e, fd);
    if (!failure)
        failure = e->calls->adopt(e, &s->endpoint, fd, kind == SALUT_TCP);
    return failure ? error_set(-failure, "from_fd %d", fd) : 0;
}

salut_sock *salut_from_fd(int fd)
{
    struct socket *s = socket_create(SALUT_TCP);

    if (!s) {
        error_set(errno, "from_fd %d", fd);
        return NULL;
    }
    if (adopt(s, fd)) {
        int failure = errno;
        socket_discard(s);
        errno = failure;
        return NULL;
    }
    return s->handle;
}

int salut_pair(salut_sock **a, salut_sock **b)
{
    struct socket *one = socket_create(SALUT_UNIX);
    struct socket *other = one ? socket_create(SALUT_UNIX) : NULL;
    struct engine *e = scheduler_of_thread ? scheduler_of_thread->engine : NULL;
    int failure = -errno;

    *a = *b = NULL;
    if (other)
        failure = e->calls->open_pair(e, &one->endpoint, &other->endpoint);
    if (!failure) {
        one->state = other->state = SOCKET_CONNECTED;
        *a = one->handle;
        *b = other->handle;
        return 0;
    }
    if (other)
        socket_discard(other);
    if (one)
        socket_discard(one);
    return error_set(-failure, "pair");
}
