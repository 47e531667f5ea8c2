/* socket.c: a socket's record, its handle, and the two words at the ends of its life. */
#include "socket/socket.h"
#include "base/error.h"
#include "socket/address.h"
#include "socket/input.h"
#include "socket/output.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The thread's records ------------------------------------------------------------------ */

/* The thread ends, and no fiber will come back to its sockets. */
static void end_sockets(struct scheduler *scheduler, bool close)
{
    struct socket *next;

    for (struct socket *s = scheduler->socket_records; s; s = next) {
        next = s->next;
        if (close)
            socket_reset(s);
        else
            socket_free(s);
    }
}

/* In a child process: whoever was in a word is no more there. What was gathered is the parent's to
 * send, or it would be sent twice. */
static void forget_waits(struct scheduler *scheduler)
{
    struct socket *next;

    scheduler->gathered = NULL;
    for (struct socket *s = scheduler->socket_records; s; s = next) {
        next = s->next;
        s->users = 0;
        s->sending = false;
        s->receiving = false;
        s->stepper = NULL;
        s->senders = (struct fiber_queue){0};
        if (s->output)
            output_forget(s->output);
        if (s->closed)
            socket_free(s);
    }
}

static void enlist(struct socket *s)
{
    struct scheduler *scheduler = scheduler_of_thread;

    s->next = scheduler->socket_records;
    if (s->next)
        s->next->before = s;
    scheduler->socket_records = s;
    scheduler->end_sockets = end_sockets;
    scheduler->forget_waits = forget_waits;
}

static void delist(struct socket *s)
{
    if (s->next)
        s->next->before = s->before;
    if (s->before)
        s->before->next = s->next;
    else
        scheduler_of_thread->socket_records = s->next;
}

/* ---- The two ends of its life -------------------------------------------------------------- */

struct socket *socket_create(int kind)
{
    struct scheduler *scheduler = scheduler_get();
    struct socket *s;

    if (!scheduler)
        return NULL;
    s = aligned_alloc(CACHE_LINE_BYTES, sizeof *s);
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->kind = (uint8_t)kind;
    s->timeout = NEVER;
    s->end_at = NEVER;
    s->endpoint.descriptor = -1;
    s->handle = handle_open(&scheduler->sockets, s);
    if (!s->handle) {
        free(s);
        return NULL;
    }
    enlist(s);
    return s;
}

salut_sock *salut_socket(salut_kind kind)
{
    struct socket *s;

    if (kind < SALUT_TCP || kind > SALUT_UNIX_DATAGRAM) {
        error_say(EINVAL, "socket: %d is not a kind of socket", (int)kind);
        return NULL;
    }
    s = socket_create((int)kind);
    if (!s && errno == EAGAIN)
        error_say(EAGAIN, "socket: this thread has %d sockets, the most it can", HANDLE_SLOTS_MAX);
    else if (!s)
        error_set(errno, "socket");
    return s ? s->handle : NULL;
}

struct socket *socket_refuse_handle(const salut_sock *handle, const char *word)
{
    if (!handle)
        error_keep(word);
    else if (!handle_thread_lives(handle_thread(handle)))
        error_say(EBADF, "%.*s: the socket was closed when its thread ended", error_word_size(word),
                  word);
    else if (!scheduler_of_thread || handle_thread(handle) != scheduler_of_thread->sockets.thread)
        error_say(EPERM, "%.*s: the socket belongs to another thread", error_word_size(word), word);
    else
        error_say(EBADF, "%.*s: the socket was closed", error_word_size(word), word);
    return NULL;
}

int socket_open(struct socket *s, int family)
{
    struct engine *e = scheduler_of_thread->engine;

    if (s->endpoint.descriptor >= 0)
        return 0;
    return e->calls->open(e, &s->endpoint, family, socket_is_stream(s) ? SOCK_STREAM : SOCK_DGRAM);
}

/* Only the file that this socket made: another program may have put its own there since. -errno
 * when it is left. */
static int unlink_path(struct socket *s)
{
    struct engine *e = scheduler_of_thread->engine;
    struct file_identity now;
    int failure = 0;

    if (!s->path)
        return 0;
    failure = e->calls->identify(e, s->path, &now);
    if (!failure && now.device == s->path_file.device && now.inode == s->path_file.inode)
        failure = e->calls->unlink(e, s->path);
    free(s->path);
    s->path = NULL;
    return failure == -ENOENT ? 0 : failure;
}

void socket_reset(struct socket *s)
{
    struct engine *e = scheduler_of_thread->engine;

    unlink_path(s);
    e->calls->close(e, &s->endpoint);
    s->state = SOCKET_NEW;
    s->bound = false;
    s->dual = false;
    s->peer.any.sa_family = AF_UNSPEC;
}

void socket_free(struct socket *s)
{
    delist(s);
    free(s->path);
    input_free(s->input);
    output_free(s->output);
    free(s);
}

void socket_discard(struct socket *s)
{
    handle_close(&scheduler_of_thread->sockets, s->handle);
    socket_reset(s);
    socket_free(s);
}

/* What was gathered goes first: at once, or waiting for it as the timeout allows. */
static int send_the_rest(struct socket *s)
{
    output_push(s->output);
    if (s->output->size || s->output->unsaid)
        return output_flush(s, "close");
    return 0;
}

/* A path that is left would be in the next program's way. */
static int unlink_aloud(struct socket *s, int result)
{
    char path[sizeof(struct sockaddr_un)];
    int failure;

    if (!s->path)
        return result;
    snprintf(path, sizeof path, "%s", s->path);
    failure = unlink_path(s);
    return failure ? error_set(-failure, "close: %s can't be unlinked", path) : result;
}

int salut_close(salut_sock *handle)
{
    struct socket *s = handle ? socket_enter(handle, "close") : NULL;
    int result = 0;

    if (!s)
        return handle ? -1 : 0;
    handle_close(&scheduler_of_thread->sockets, handle);
    if (s->output)
        result = send_the_rest(s);
    s->closed = true;
    if (s->stepper)
        fiber_interrupt(s->stepper);
    result = unlink_aloud(s, result);
    socket_reset(s);
    fiber_wake_all(&s->senders);
    socket_leave(s);
    return result;
}

/* ---- Turns -------------------------------------------------------------------------------- */

int socket_take_turn(struct socket *s, int64_t deadline)
{
    int reason;

    if (!s->sending) {
        s->sending = true;
        return 0;
    }
    reason = fiber_park_in(&s->senders, deadline, "its turn to send");
    if (reason)
        fiber_count_call(); /* it may not have waited at all */
    return reason || !s->closed ? reason : ECANCELED;
}

void socket_pass_turn(struct socket *s)
{
    if (s->senders.first)
        fiber_wake_first(&s->senders);
    else
        s->sending = false;
}

/* ---- What the words say when they can't ---------------------------------------------------- */

int socket_step_failed(struct socket *s, enum socket_step step)
{
    s->failure = errno;
    s->nth_failure = error_current->nth;
    s->failed_step = (uint8_t)step;
    return -1;
}

void socket_step_done(struct socket *s, enum socket_step step)
{
    if (s->failed_step == step) {
        s->failure = 0;
        s->failed_step = STEP_NONE;
    }
}

bool socket_stands_on_failure(const struct socket *s, enum socket_step step, const char *word)
{
    if (!s->failure || s->failed_step == STEP_NONE || s->failed_step >= step)
        return false;
    if (error_current->failed && error_current->nth == s->nth_failure)
        errno = s->failure;
    else
        error_set(s->failure, "%.*s: an earlier step of this socket failed", error_word_size(word),
                  word);
    return true;
}

int socket_not_connected(const struct socket *s, const char *word)
{
    if (socket_stands_on_failure(s, STEP_CONNECT + 1, word))
        return -1;
    if (s->state == SOCKET_LISTENING)
        return error_say(ENOTCONN, "%.*s: the socket is a listener; talk on what accept returns",
                         error_word_size(word), word);
    return error_say(ENOTCONN, "%.*s: the socket isn't connected: connect first",
                     error_word_size(word), word);
}

const char *socket_name(struct socket *s, char *text, size_t size)
{
    struct engine *e = scheduler_of_thread->engine;
    salut_addr address = {0};

    text[0] = '\0';
    if (s->peer.any.sa_family == AF_INET || s->peer.any.sa_family == AF_INET6) {
        memcpy(&address.raw, &s->peer, sizeof s->peer);
        address.raw_size =
            s->peer.any.sa_family == AF_INET ? sizeof s->peer.ipv4 : sizeof s->peer.ipv6;
        address_unmap(&address);
    } else if (s->endpoint.descriptor >= 0) {
        if (e->calls->name(e, &s->endpoint, true, &address) || address.raw_size <= 2)
            e->calls->name(e, &s->endpoint, false, &address);
    }
    return address.raw_size ? address_text(&address, text, size) : text;
}

int socket_failed(struct socket *s, const char *word, int number)
{
    char name[SOCKET_NAME_BYTES];

    if (s->closed)
        return error_say(ECANCELED, "%.*s: another fiber closed the socket", error_word_size(word),
                         word);
    socket_name(s, name, sizeof name);
    return error_set(number, "%s%s%s", word, name[0] ? " " : "", name);
}

bool socket_size_fits(const char *word, size_t size, size_t least)
{
    if (size <= SSIZE_MAX && size >= least)
        return true;
    if (size < least)
        error_say(EINVAL, "%.*s: the buffer has no room (size is 0)", error_word_size(word), word);
    else
        error_say(EINVAL, "%.*s: the size %zu is more than can be", error_word_size(word), word,
                  size);
    return false;
}
