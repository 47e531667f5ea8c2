/* error.c: the failure of a fiber. The record is the fiber's; this file only knows which one is
 * current on this thread. A sentence is allocated at the first failure, because most fibers
 * never have one. */
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

#include <salut.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct error thread_error; /* before a thread has fibers */
static _Thread_local unsigned failures;
_Thread_local struct error *error_current;
_Thread_local void (*error_exit)(int status);

static struct error *the_error(void)
{
    return error_current ? error_current : &thread_error;
}

void error_adopt(struct error *e)
{
    *e = thread_error;
    thread_error = (struct error){0};
    error_current = e;
}

void error_free(struct error *e)
{
    free(e->sentence);
    *e = (struct error){0};
}

/* A thread may end without ever having had fibers: its own failure goes with it. */

static pthread_key_t thread_end;
static bool thread_ends_are_told;

static void free_thread_error(void *e)
{
    error_free(e);
}

static void make_thread_end(void)
{
    thread_ends_are_told = !pthread_key_create(&thread_end, free_thread_error);
}

static void free_at_thread_end(struct error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_thread_end);
    if (thread_ends_are_told)
        pthread_setspecific(thread_end, e);
}

const char *error_reason(int number)
{
    switch (number) {
    case EADDRINUSE:
        return "the address is in use (is the same program still running? try another port)";
    case EADDRNOTAVAIL:
        return "this machine has no such address, or no free port is left for it";
    case EACCES:
        return "permission denied (ports under 1024 need the administrator's right; a path "
               "needs write access to its directory)";
    case EAFNOSUPPORT:
        return "the socket and the address are of different families (IPv4, IPv6, Unix path)";
    case EAGAIN:
        return "it would have to wait, and the timeout is 0";
    case EBUSY:
        return "another fiber is receiving on this socket";
    case ECANCELED:
        return "canceled";
    case ECONNREFUSED:
        return "connection refused (nothing is listening there: is the server running?)";
    case ECONNRESET:
        return "the peer broke the connection off";
    case EFAULT:
        return "the buffer isn't memory of this program (on a fiber's stack of 64 KiB, is it too "
               "large?)";
    case EHOSTUNREACH:
        return "no route to that host";
    case EMFILE:
        return "this process has too many open descriptors (see ulimit -n)";
    case ENOBUFS:
        return "the system has no room for it just now (memory, threads or the like)";
    case ENOENT:
        return "there is no such file or directory";
    case ENOTSOCK:
        return "the descriptor is not a socket";
    case EMSGSIZE:
        return "the datagram is too long";
    case ENETUNREACH:
        return "no route to that network";
    case ENOTCONN:
        return "the socket isn't connected";
    case EPIPE:
        return "the peer is gone";
    case ETIMEDOUT:
        return "no answer in time";
    default:
        return strerrordesc_np(number) ? strerrordesc_np(number) : "unknown error";
    }
}

/* Allocates the sentence's room; without memory a failure is still counted. */
static char *error_room(struct error *e)
{
    if (!e->sentence) {
        e->sentence = malloc(SENTENCE_BYTES);
        if (e->sentence)
            e->sentence[0] = '\0';
        if (e == &thread_error)
            free_at_thread_end(e);
    }
    return e->sentence;
}

/* One that is too long loses its middle: what was being done is at its beginning, why it failed at
 * its end. */
static void write_cut(char *sentence, size_t room, size_t size, const char *format,
                      va_list arguments)
{
    static const char gap[] = " ... ";
    size_t end_bytes = room / 2, begin_bytes = room - end_bytes - (sizeof gap - 1);
    char *whole = malloc(size + 1);

    if (!whole)
        return;
    vsnprintf(whole, size + 1, format, arguments);
    memcpy(sentence + begin_bytes, gap, sizeof gap - 1);
    memcpy(sentence + room - end_bytes, whole + size + 1 - end_bytes, end_bytes);
    free(whole);
}

/* reason: NULL when the sentence has its own. */
static void record(int number, const char *reason, const char *format, va_list arguments)
{
    struct error *e = the_error();
    size_t room = SENTENCE_BYTES - (reason ? strlen(": ") + strlen(reason) : 0);
    va_list again;
    int size;

    e->number = number;
    e->failed = true;
    e->nth = ++failures;
    if (error_room(e)) {
        va_copy(again, arguments);
        size = vsnprintf(e->sentence, room, format, arguments);
        if (size > 0 && (size_t)size >= room)
            write_cut(e->sentence, room, (size_t)size, format, again);
        va_end(again);
        text_tame(e->sentence); /* names and paths come from anywhere */
        if (reason) {
            strcat(e->sentence, ": ");
            strcat(e->sentence, reason);
        }
    }
    errno = number;
}

int error_set(int number, const char *doing, ...)
{
    va_list arguments;

    va_start(arguments, doing);
    record(number, error_reason(number), doing, arguments);
    va_end(arguments);
    return -1;
}

int error_say(int number, const char *sentence, ...)
{
    va_list arguments;

    va_start(arguments, sentence);
    record(number, NULL, sentence, arguments);
    va_end(arguments);
    return -1;
}

int error_keep(const char *word)
{
    struct error *e = the_error();

    if (!e->failed)
        return error_say(EBADF, "%.*s: the socket is NULL", error_word_size(word), word);
    errno = e->number;
    return -1;
}

const char *salut_error(void)
{
    struct error *e = the_error();

    if (!e->failed)
        return "";
    return e->sentence ? e->sentence : "out of memory, even for the sentence that would say why";
}

int salut_failed(void)
{
    return the_error()->failed;
}

void salut_clear_error(void)
{
    struct error *e = the_error();

    e->failed = false;
    e->number = 0;
}

void salut_check(void)
{
    if (!the_error()->failed)
        return;
    if (error_exit)
        error_exit(EXIT_FAILURE);
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, salut_error());
    exit(EXIT_FAILURE);
}
