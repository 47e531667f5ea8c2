/* epoll.c: the engine over Linux's epoll.
 *
 * Try first, wait second: an operation is tried at once, and only when the kernel says EAGAIN is
 * the descriptor registered, once and for all, edge-triggered for both directions. From then on
 * the endpoint's `readable` and `writable` remember what the kernel last said, so that a call
 * known to fail is not made: a TCP receive that came back short has emptied the socket, and what
 * comes after it is a new edge. (Not so at an end, an error or urgent data, where no further edge
 * may come: `alert` then keeps the endpoint readable for good.)
 *
 * An event names its descriptor and the generation of that descriptor's slot, not a pointer: a
 * late event for a socket that was closed finds another generation and is dropped. So closing
 * needs no epoll_ctl(DEL), even when a fork() keeps the open file alive.
 *
 * A child process would share its parent's epoll: each would hear of what the other waits for. So
 * the child's engine makes an epoll of its own, at the first wait, and enrolls its descriptors
 * anew. Engines are on a list, so that none is in the middle of taking a letter when it is copied.
 */
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/resolver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

struct slot {
    struct endpoint *endpoint; /* NULL when closed */
    uint32_t generation;
};

struct epoll_engine {
    struct engine engine; /* first: an engine's address is its epoll_engine's */
    int epoll;
    int bell;  /* an eventfd that other threads ring; -1 until a letter may come */
    int alarm; /* a timerfd; -1 until the first alarm */
    struct letter *alarm_letter;
    struct slot *slots; /* by descriptor */
    uint32_t slot_count;
    struct epoll_engine *next, *before; /* of the process's */
    pthread_t owner;
    bool expects_letters;
    bool copied; /* this is a child process, and the epoll is still its parent's */
    pthread_mutex_t letters_lock;
    bool gone;                   /* this is a child process, where its thread is no more */
    struct letter *letters;      /* newest first */
    int event_next, event_count; /* those of events that were not heard yet */
    struct epoll_event events[ENGINE_EVENTS_MAX];
};

/* The events that name no descriptor. */
static const uint64_t BELL = UINT64_MAX;
static const uint64_t ALARM = UINT64_MAX - 1;

static const uint32_t EVERYTHING = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

static struct epoll_engine *of(struct engine *e)
{
    return (struct epoll_engine *)e;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static int grow_slots(struct epoll_engine *e, uint32_t descriptor)
{
    uint32_t count = e->slot_count ? e->slot_count : 64;
    struct slot *slots;

    while (count <= descriptor)
        count *= 2;
    slots = realloc(e->slots, count * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    memset(slots + e->slot_count, 0, (count - e->slot_count) * sizeof *slots);
    e->slots = slots;
    e->slot_count = count;
    return 0;
}

static int epoll_adopt(struct engine *engine, struct endpoint *ep, int descriptor, bool stream)
{
    struct epoll_engine *e = of(engine);

    if ((uint32_t)descriptor >= e->slot_count && grow_slots(e, (uint32_t)descriptor) < 0)
        return -ENOMEM;
    e->slots[descriptor].endpoint = ep;
    *ep = (struct endpoint){
        .descriptor = descriptor, .stream = stream, .readable = true, .writable = true};
    return 0;
}

static void epoll_close(struct engine *engine, struct endpoint *ep);

static int epoll_open(struct engine *e, struct endpoint *ep, int family, int type)
{
    int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool tcp = type == SOCK_STREAM && family != AF_UNIX;
    int failure;

    if (descriptor < 0)
        return -errno;
    failure = epoll_adopt(e, ep, descriptor, tcp);
    if (failure) {
        close(descriptor);
        return failure;
    }
    /* Accepted sockets inherit it. */
    if (tcp && setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int))) {
        failure = -errno;
        epoll_close(e, ep);
    }
    return failure;
}

static int epoll_open_pair(struct engine *e, struct endpoint *a, struct endpoint *b)
{
    int both[2];
    int failure;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) < 0)
        return -errno;
    failure = epoll_adopt(e, a, both[0], false);
    if (failure)
        goto close_both;
    failure = epoll_adopt(e, b, both[1], false);
    if (failure)
        goto close_first;
    return 0;

close_first:
    epoll_close(e, a);
    close(both[1]);
    return failure;
close_both:
    close(both[0]);
    close(both[1]);
    return failure;
}

static void complete(struct operation **pending, int64_t result)
{
    struct operation *operation = *pending;

    *pending = NULL;
    operation->result = result;
    operation->done(operation);
}

static void epoll_close(struct engine *engine, struct endpoint *ep)
{
    struct slot *slot;

    if (ep->descriptor < 0)
        return;
    slot = &of(engine)->slots[ep->descriptor];
    slot->endpoint = NULL;
    slot->generation++;
    close(ep->descriptor);
    ep->descriptor = -1;
    if (ep->receiving)
        complete(&ep->receiving, -ECANCELED);
    if (ep->sending)
        complete(&ep->sending, -ECANCELED);
}

static int epoll_claim(struct engine *e, int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);

    (void)e;
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) ||
        fcntl(descriptor, F_SETFD, FD_CLOEXEC))
        return -errno;
    return 0;
}

static void epoll_drop(struct engine *e, int descriptor)
{
    (void)e;
    close(descriptor);
}

static void epoll_move(struct engine *e, struct endpoint *from, struct endpoint *to)
{
    assert(!from->receiving && !from->sending);
    *to = *from;
    of(e)->slots[to->descriptor].endpoint = to;
    from->descriptor = -1;
}

static int epoll_bind(struct engine *e, struct endpoint *ep, const salut_addr *address)
{
    (void)e;
    return bind(ep->descriptor, &address->raw.any, address->raw_size) ? -errno : 0;
}

static int epoll_identify(struct engine *e, const char *path, struct file_identity *file)
{
    struct stat found;

    (void)e;
    if (lstat(path, &found))
        return -errno;
    *file = (struct file_identity){
        .device = found.st_dev, .inode = found.st_ino, .is_socket = S_ISSOCK(found.st_mode)};
    return 0;
}

static int epoll_unlink(struct engine *e, const char *path)
{
    (void)e;
    return unlink(path) ? -errno : 0;
}

static int epoll_listen(struct engine *e, struct endpoint *ep, int backlog)
{
    (void)e;
    return listen(ep->descriptor, backlog) ? -errno : 0;
}

static int epoll_shutdown(struct engine *e, struct endpoint *ep, int how)
{
    (void)e;
    if (shutdown(ep->descriptor, how))
        return -errno;
    ep->readable = true; /* a receive must now see the end */
    ep->alert = true;
    ep->shut_read |= how != SHUT_WR;
    return 0;
}

static int epoll_set_option(struct engine *e, struct endpoint *ep, int level, int name, int value)
{
    (void)e;
    return setsockopt(ep->descriptor, level, name, &value, sizeof value) ? -errno : 0;
}

static int epoll_get_option(struct engine *e, struct endpoint *ep, int level, int name, int *value)
{
    socklen_t size = sizeof *value;

    (void)e;
    return getsockopt(ep->descriptor, level, name, value, &size) ? -errno : 0;
}

/* After a path that fills all its room the kernel counts a NUL of its own, which it would not take
 * back. */
static uint32_t address_size(socklen_t size)
{
    return size > sizeof(struct sockaddr_un) ? sizeof(struct sockaddr_un) : size;
}

static int epoll_name(struct engine *e, struct endpoint *ep, bool peer, salut_addr *address)
{
    struct sockaddr *raw = &address->raw.any;
    socklen_t size = sizeof address->raw;

    (void)e;
    if (peer ? getpeername(ep->descriptor, raw, &size) : getsockname(ep->descriptor, raw, &size))
        return -errno;
    address->raw_size = address_size(size);
    address->text[0] = '\0';
    return 0;
}

/* ---- Trying -------------------------------------------------------------------------------- */

/* Each try makes its system call until it is done (true: see result) or would wait (false). */

static bool would_wait(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

static bool try_receive(struct endpoint *ep, struct operation *o)
{
    ssize_t size;

    do
        size = recv(ep->descriptor, o->into, o->size, 0);
    while (size < 0 && errno == EINTR);
    if (size < 0 && would_wait())
        return ep->readable = false;
    if (ep->stream && size > 0 && (size_t)size < o->size)
        ep->readable = ep->alert;
    o->result = size < 0 ? -errno : size;
    return true;
}

/* The address's size goes in as room and comes back as use; text is made anew. */
static socklen_t address_room(salut_addr *address)
{
    address->text[0] = '\0';
    return sizeof address->raw;
}

static bool try_receive_from(struct endpoint *ep, struct operation *o)
{
    socklen_t room = o->address ? address_room(o->address) : 0;
    struct sockaddr *raw = o->address ? &o->address->raw.any : NULL;
    ssize_t size;

    do
        size = recvfrom(ep->descriptor, o->into, o->size, MSG_TRUNC, raw, raw ? &room : NULL);
    while (size < 0 && errno == EINTR);
    if (size < 0 && would_wait()) {
        if (!ep->shut_read)
            return ep->readable = false;
        size = 0; /* as Linux tells who is in the call and waits */
        room = 0;
    }
    if (size >= 0 && o->address)
        o->address->raw_size = address_size(room);
    o->result = size < 0 ? -errno : size;
    return true;
}

static bool try_accept(struct endpoint *ep, struct operation *o)
{
    socklen_t room = address_room(o->address);
    int descriptor;

    do
        descriptor =
            accept4(ep->descriptor, &o->address->raw.any, &room, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0 && would_wait())
        return ep->readable = false;
    if (descriptor >= 0)
        o->address->raw_size = address_size(room);
    o->result = descriptor < 0 ? -errno : descriptor;
    return true;
}

static ssize_t send_both(struct endpoint *ep, struct operation *o)
{
    struct iovec pieces[2] = {
        {.iov_base = (char *)o->head + o->moved, .iov_len = o->head_size - o->moved},
        {.iov_base = (void *)o->from, .iov_len = o->size},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};

    return sendmsg(ep->descriptor, &message, MSG_NOSIGNAL);
}

static ssize_t send_rest(struct endpoint *ep, struct operation *o)
{
    size_t sent = o->moved - o->head_size;

    return send(ep->descriptor, (const char *)o->from + sent, o->size - sent, MSG_NOSIGNAL);
}

/* A stream takes part of the data when its buffer is nearly full; the rest is tried until the
 * kernel says EAGAIN, since only then does it promise to tell when there is room again. */
static bool try_send(struct endpoint *ep, struct operation *o)
{
    size_t all = o->head_size + o->size;

    while (o->moved < all) {
        ssize_t size = o->moved < o->head_size ? send_both(ep, o) : send_rest(ep, o);
        if (size >= 0)
            o->moved += (size_t)size;
        else if (would_wait())
            return ep->writable = false;
        else if (errno != EINTR) {
            o->result = -errno;
            return true;
        }
    }
    o->result = (int64_t)all;
    return true;
}

static bool try_send_to(struct endpoint *ep, struct operation *o)
{
    const struct sockaddr *raw = o->address ? &o->address->raw.any : NULL;
    ssize_t size;

    do
        size = sendto(ep->descriptor, o->from, o->size, MSG_NOSIGNAL, raw,
                      raw ? o->address->raw_size : 0);
    while (size < 0 && errno == EINTR);
    if (size < 0 && would_wait())
        return ep->writable = false;
    o->result = size < 0 ? -errno : size;
    return true;
}

/* TCP's connect that an interruption cut short goes on like any other (POSIX); the others' are done
 * at once or not begun. A Unix socket whose listener's backlog is full says EAGAIN and gives
 * nothing to wait for: that is a result here. */
static bool begin_connect(struct endpoint *ep, struct operation *o)
{
    int failure;

    do
        failure = connect(ep->descriptor, &o->address->raw.any, o->address->raw_size);
    while (failure && errno == EINTR && !ep->stream);
    if (!failure || (errno == EISCONN && !ep->stream)) /* the interrupted one had done it */
        o->result = 0;
    else if (errno == EINPROGRESS || errno == EINTR)
        return ep->writable = false;
    else
        o->result = -errno;
    return true;
}

static bool end_connect(struct endpoint *ep, struct operation *o)
{
    int failure = 0;

    if (getsockopt(ep->descriptor, SOL_SOCKET, SO_ERROR, &failure, &(socklen_t){sizeof failure}))
        failure = errno;
    if (!failure && getpeername(ep->descriptor, &(struct sockaddr){0}, &(socklen_t){0}))
        failure = errno;
    if (failure == ENOTCONN)
        return ep->writable = false; /* a late event of an earlier attempt */
    o->result = -failure;
    return true;
}

static bool try_again(struct endpoint *ep, struct operation *o)
{
    switch (o->kind) {
    case OPERATION_RECEIVE:
        return try_receive(ep, o);
    case OPERATION_RECEIVE_FROM:
        return try_receive_from(ep, o);
    case OPERATION_ACCEPT:
        return try_accept(ep, o);
    case OPERATION_SEND:
        return try_send(ep, o);
    case OPERATION_SEND_TO:
        return try_send_to(ep, o);
    case OPERATION_CONNECT:
        return end_connect(ep, o);
    case OPERATION_RESOLVE:
        break;
    }
    assert(0 && "an endpoint never holds this operation");
    return false;
}

/* ---- Starting and cancelling --------------------------------------------------------------- */

static int leave_the_parents_epoll(struct epoll_engine *e);

static int enroll(struct epoll_engine *e, struct endpoint *ep)
{
    uint32_t descriptor = (uint32_t)ep->descriptor;
    struct epoll_event event = {
        .events = EVERYTHING,
        .data.u64 = (uint64_t)e->slots[descriptor].generation << 32 | descriptor,
    };
    int failure = e->copied ? leave_the_parents_epoll(e) : 0;

    if (failure)
        return failure;
    /* EEXIST: the same open file was here before, under this number, and somebody kept it. */
    if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, ep->descriptor, &event) &&
        (errno != EEXIST || epoll_ctl(e->epoll, EPOLL_CTL_MOD, ep->descriptor, &event)))
        return errno == ENOSPC ? -ENOBUFS : -errno; /* fs.epoll.max_user_watches; no disk is full */
    ep->registered = true;
    return 0;
}

/* Leaves the operation pending: false. When even that fails, it is done with that failure. */
static bool pend(struct epoll_engine *e, struct operation **place, struct operation *o)
{
    assert(!*place);
    if (!o->endpoint->registered) {
        int failure = enroll(e, o->endpoint);
        if (failure) {
            o->result = failure;
            return true;
        }
    }
    *place = o;
    return false;
}

static bool start_resolve(struct epoll_engine *e, struct operation *o);

static bool epoll_start(struct engine *engine, struct operation *o)
{
    struct epoll_engine *e = of(engine);
    struct endpoint *ep = o->endpoint;

    switch (o->kind) {
    case OPERATION_RECEIVE:
        return (ep->readable && try_receive(ep, o)) || pend(e, &ep->receiving, o);
    case OPERATION_SEND:
        return (ep->writable && try_send(ep, o)) || pend(e, &ep->sending, o);
    case OPERATION_RECEIVE_FROM:
    case OPERATION_ACCEPT:
        return (ep->readable && try_again(ep, o)) || pend(e, &ep->receiving, o);
    case OPERATION_SEND_TO:
        return (ep->writable && try_again(ep, o)) || pend(e, &ep->sending, o);
    case OPERATION_CONNECT:
        return begin_connect(ep, o) || pend(e, &ep->sending, o);
    case OPERATION_RESOLVE:
        return start_resolve(e, o);
    }
    return true;
}

static void epoll_cancel(struct engine *e, struct operation *o)
{
    (void)e;
    if (o->kind == OPERATION_RESOLVE)
        resolver_cancel(o);
    else if (o->endpoint->receiving == o)
        o->endpoint->receiving = NULL;
    else if (o->endpoint->sending == o)
        o->endpoint->sending = NULL;
}

/* ---- Letters from other threads ------------------------------------------------------------ */

/* Has the descriptor, just opened, report by this event. Closes it when that fails. */
static int listen_to(struct epoll_engine *e, int *descriptor, uint64_t name)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = name};
    int failure;

    if (*descriptor < 0)
        return -errno;
    if (!epoll_ctl(e->epoll, EPOLL_CTL_ADD, *descriptor, &event))
        return 0;
    failure = errno == ENOSPC ? -ENOBUFS : -errno; /* as in enroll() */
    close(*descriptor);
    *descriptor = -1;
    return failure;
}

static int hang_bell(struct epoll_engine *e)
{
    e->expects_letters = true;
    e->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return listen_to(e, &e->bell, BELL);
}

static int epoll_expect_letters(struct engine *engine)
{
    struct epoll_engine *e = of(engine);
    int failure = e->copied ? leave_the_parents_epoll(e) : 0;

    return failure || e->bell >= 0 ? failure : hang_bell(e);
}

static void ring(struct epoll_engine *e)
{
    ssize_t written = write(e->bell, &(uint64_t){1}, sizeof(uint64_t));

    (void)written; /* EAGAIN only when it has rung 2^64 times unheard */
}

static void epoll_post(struct engine *engine, struct letter *letter)
{
    struct epoll_engine *e = of(engine);

    pthread_mutex_lock(&e->letters_lock);
    letter->next = e->letters;
    e->letters = letter;
    if (!letter->next && !e->gone)
        ring(e);
    pthread_mutex_unlock(&e->letters_lock);
}

static void open_letters(struct epoll_engine *e)
{
    struct letter *letters, *oldest_first = NULL;

    pthread_mutex_lock(&e->letters_lock);
    letters = e->letters;
    e->letters = NULL;
    pthread_mutex_unlock(&e->letters_lock);
    while (letters) {
        struct letter *next = letters->next;
        letters->next = oldest_first;
        oldest_first = letters;
        letters = next;
    }
    while (oldest_first) {
        struct letter *next = oldest_first->next;
        oldest_first->open(oldest_first);
        oldest_first = next;
    }
}

static int epoll_alarm(struct engine *engine, int64_t at, struct letter *letter)
{
    struct epoll_engine *e = of(engine);
    struct itimerspec when = {
        .it_value = {.tv_sec = at / NANOSECONDS, .tv_nsec = at % NANOSECONDS}};
    int failure = e->copied ? leave_the_parents_epoll(e) : 0;

    if (!failure && e->alarm < 0) {
        e->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        failure = listen_to(e, &e->alarm, ALARM);
    }
    if (failure)
        return failure;
    e->alarm_letter = letter;
    return timerfd_settime(e->alarm, TFD_TIMER_ABSTIME, &when, NULL) ? -errno : 0;
}

static bool start_resolve(struct epoll_engine *e, struct operation *o)
{
    int failure = epoll_expect_letters(&e->engine);

    if (!failure)
        failure = resolver_start(&e->engine, o);
    o->result = failure;
    return failure != 0;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

/* Begins to bring into the cache what comes after the system call that is about to be made: the
 * frames of the fiber that waits, around its operation. With hundreds of connections these are
 * the cost that a plain loop has not; so they are fetched while the kernel works. */
static void fetch_around(const struct operation *o)
{
    enum { LINES_BELOW = 6, LINES_ABOVE = 5 };

    for (int line = -LINES_BELOW; line <= LINES_ABOVE; line++)
        __builtin_prefetch((const char *)o + line * CACHE_LINE_BYTES);
}

/* Whether an operation was completed. */
static bool hear_endpoint(struct epoll_engine *e, const struct epoll_event *event)
{
    uint32_t descriptor = (uint32_t)event->data.u64;
    struct slot *slot = &e->slots[descriptor];
    struct endpoint *ep = slot->endpoint;
    bool completed = false;

    if (!ep || slot->generation != event->data.u64 >> 32)
        return false;
    if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        ep->alert = true;
    if (event->events & ~(uint32_t)EPOLLOUT) {
        ep->readable = true;
        if (ep->receiving)
            fetch_around(ep->receiving);
        if (ep->receiving && try_again(ep, ep->receiving)) {
            complete(&ep->receiving, ep->receiving->result);
            completed = true;
        }
    }
    if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        ep->writable = true;
        if (ep->sending && try_again(ep, ep->sending)) {
            complete(&ep->sending, ep->sending->result);
            completed = true;
        }
    }
    return completed;
}

static bool hear(struct epoll_engine *e, const struct epoll_event *event)
{
    uint64_t rings;
    ssize_t size;

    if (event->data.u64 == ALARM) {
        e->alarm_letter->open(e->alarm_letter);
        return false;
    }
    if (event->data.u64 != BELL)
        return hear_endpoint(e, event);
    size = read(e->bell, &rings, sizeof rings);
    (void)size;
    open_letters(e);
    return true;
}

/* Waits to the nanosecond where the kernel can (5.11), else to the next millisecond. */
static int wait_until(struct epoll_engine *e, int64_t until)
{
    static bool coarse;
    int64_t left;

    if (until == NEVER || until == AT_ONCE)
        return epoll_wait(e->epoll, e->events, ENGINE_EVENTS_MAX, until == NEVER ? -1 : 0);
    left = until - clock_now();
    if (left <= 0)
        return epoll_wait(e->epoll, e->events, ENGINE_EVENTS_MAX, 0);
#ifdef SYS_epoll_pwait2
    if (!__atomic_load_n(&coarse, __ATOMIC_RELAXED)) {
        struct timespec span = {.tv_sec = left / NANOSECONDS, .tv_nsec = left % NANOSECONDS};
        long count = syscall(SYS_epoll_pwait2, e->epoll, e->events, ENGINE_EVENTS_MAX, &span, NULL,
                             (size_t)0);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) /* EPERM: of some sandboxes */
            return (int)count;
        __atomic_store_n(&coarse, true, __ATOMIC_RELAXED);
    }
#endif
    left = (left + 999999) / 1000000;
    return epoll_wait(e->epoll, e->events, ENGINE_EVENTS_MAX,
                      left > INT32_MAX ? INT32_MAX : (int)left);
}

/* The epoll can't be had just now: a moment passes instead. */
static void wait_blindly(int64_t until)
{
    static const int64_t moment = NANOSECONDS / 100;
    int64_t left = until == AT_ONCE ? 0 : until == NEVER ? moment : until - clock_now();

    if (left > 0)
        nanosleep(&(struct timespec){.tv_nsec = left < moment ? left : moment}, NULL);
}

static void ask_kernel(struct epoll_engine *e, int64_t until)
{
    int count;

    if (e->copied && leave_the_parents_epoll(e)) {
        wait_blindly(until);
        return;
    }
    count = wait_until(e, until);
    assert(count >= 0 || errno == EINTR);
    e->event_count = count > 0 ? count : 0;
    e->event_next = 0;
}

/* Events are kept until they are heard. Whoever has nothing else to do hears them up to the first
 * that completes something, so that a fiber answers while the kernel's records of its socket, and
 * what it has just received, are still in the processor's cache; whoever looks in between hears
 * them all. */
static bool epoll_poll(struct engine *engine, int64_t until)
{
    struct epoll_engine *e = of(engine);
    bool asked = false;

    if (until == AT_ONCE) {
        while (e->event_next < e->event_count)
            hear(e, &e->events[e->event_next++]);
    }
    if (e->event_next == e->event_count) {
        ask_kernel(e, until);
        asked = true;
    }
    while (e->event_next < e->event_count) {
        const struct epoll_event *event = &e->events[e->event_next++];
        if (hear(e, event) && until != AT_ONCE)
            break;
    }
    return asked;
}

static int64_t epoll_now(struct engine *e)
{
    (void)e;
    return clock_now();
}

/* ---- In a child process -------------------------------------------------------------------- */

static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;
static struct epoll_engine *engines;

static void before_fork(void)
{
    pthread_mutex_lock(&engines_lock);
    for (struct epoll_engine *e = engines; e; e = e->next)
        pthread_mutex_lock(&e->letters_lock);
}

static void after_fork(void)
{
    for (struct epoll_engine *e = engines; e; e = e->next)
        pthread_mutex_unlock(&e->letters_lock);
    pthread_mutex_unlock(&engines_lock);
}

/* Whoever waited is no more, and nothing is enrolled. */
static void begin_anew(struct epoll_engine *e)
{
    e->copied = true;
    e->event_next = e->event_count = 0;
    for (uint32_t i = 0; i < e->slot_count; i++) {
        struct endpoint *ep = e->slots[i].endpoint;
        if (!ep)
            continue;
        ep->receiving = ep->sending = NULL;
        ep->registered = false;
        ep->readable = ep->writable = true;
    }
}

static void in_child(void)
{
    for (struct epoll_engine *e = engines; e; e = e->next) {
        e->gone = e->gone || !pthread_equal(e->owner, pthread_self());
        if (!e->gone)
            begin_anew(e);
    }
    after_fork();
}

static int unwatched; /* errno: why a child would share its parent's epoll */

static void watch_forks(void)
{
    unwatched = pthread_atfork(before_fork, after_fork, in_child);
}

/* Not at once: most children only want to run another program. */
static int leave_the_parents_epoll(struct epoll_engine *e)
{
    int failure = 0;

    close(e->epoll);
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll < 0)
        return -errno;
    if (e->alarm >= 0)
        close(e->alarm);
    e->alarm = -1;
    pthread_mutex_lock(&e->letters_lock);
    if (e->bell >= 0)
        close(e->bell);
    e->bell = -1;
    if (e->expects_letters)
        failure = hang_bell(e);
    if (!failure && e->letters)
        ring(e);
    pthread_mutex_unlock(&e->letters_lock);
    e->copied = failure != 0;
    return failure;
}

static void enlist(struct epoll_engine *e)
{
    e->owner = pthread_self();
    pthread_mutex_lock(&engines_lock);
    e->next = engines;
    if (e->next)
        e->next->before = e;
    engines = e;
    pthread_mutex_unlock(&engines_lock);
}

static void delist(struct epoll_engine *e)
{
    pthread_mutex_lock(&engines_lock);
    if (e->next)
        e->next->before = e->before;
    if (e->before)
        e->before->next = e->next;
    else
        engines = e->next;
    pthread_mutex_unlock(&engines_lock);
}

/* ---- Beginning and end --------------------------------------------------------------------- */

static void epoll_destroy(struct engine *engine)
{
    struct epoll_engine *e = of(engine);

    resolver_forget(engine);
    delist(e);
    for (uint32_t i = 0; i < e->slot_count; i++) {
        if (e->slots[i].endpoint) /* of a fiber that didn't come to close it */
            close((int)i);
    }
    if (e->bell >= 0) {
        open_letters(e);
        close(e->bell);
    }
    if (e->alarm >= 0)
        close(e->alarm);
    close(e->epoll);
    pthread_mutex_destroy(&e->letters_lock);
    free(e->slots);
    free(e);
}

static const struct engine_calls epoll_calls = {
    .open = epoll_open,
    .open_pair = epoll_open_pair,
    .adopt = epoll_adopt,
    .claim = epoll_claim,
    .drop = epoll_drop,
    .move = epoll_move,
    .bind = epoll_bind,
    .identify = epoll_identify,
    .unlink = epoll_unlink,
    .listen = epoll_listen,
    .shutdown = epoll_shutdown,
    .set_option = epoll_set_option,
    .get_option = epoll_get_option,
    .name = epoll_name,
    .close = epoll_close,
    .start = epoll_start,
    .cancel = epoll_cancel,
    .poll = epoll_poll,
    .now = epoll_now,
    .expect_letters = epoll_expect_letters,
    .post = epoll_post,
    .alarm = epoll_alarm,
    .destroy = epoll_destroy,
};

struct engine *engine_epoll_create(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct epoll_engine *e;

    pthread_once(&once, watch_forks);
    if (unwatched) {
        errno = unwatched;
        return NULL;
    }
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->engine.calls = &epoll_calls;
    e->bell = -1;
    e->alarm = -1;
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll < 0) {
        free(e);
        return NULL;
    }
    pthread_mutex_init(&e->letters_lock, NULL);
    enlist(e);
    return &e->engine;
}
