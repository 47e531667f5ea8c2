/* shim.c: refuses one call to the system, the Nth of its kind, as the environment says.
 *
 *     SALUT_FAIL=recv:3:ECONNRESET     the third recv() fails so; nothing else does
 *     SALUT_FAIL_REPORT=FILE           how many calls of each kind were met, and what is held, as
 *                                      int64_t: one for each line of calls.def, whether any was
 *                                      refused, then struct shim_holdings
 *
 * The build has turned the calls of the library's objects (and of some programs') to these
 * functions by renaming the symbol, recv to fail_recv. So a call that the C library or a sanitizer
 * makes for itself is neither counted nor refused, as it would be by LD_PRELOAD; and the shim is
 * an ordinary caller of the real function, under every sanitizer, valgrind and emulator.
 *
 * The report is a shared mapping, so that it tells the truth however the program ends. */
#include "fail/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum call {
#define CALL(function, ...) CALL_##function,
#define TRACK(function) CALL_##function,
#include "fail/calls.def"
#undef CALL
#undef TRACK
    CALLS
};

static const struct {
    const char *name;
    int failures[8]; /* 0 ends them */
} calls[] = {
#define CALL(function, ...) {#function, {__VA_ARGS__}},
#define TRACK(function) {#function, {0}},
#include "fail/calls.def"
#undef CALL
#undef TRACK
};

enum { DESCRIPTORS_MAX = 1024 }; /* those beyond are not told apart */

struct report {
    _Atomic int64_t met[CALLS];
    _Atomic int64_t refused;
    _Atomic int64_t blocks, maps, descriptors, sockets;
};

static struct report unwanted;
static struct report *report = &unwanted;
static struct report *held = &unwanted; /* where what this process holds is counted */
static atomic_bool is_socket[DESCRIPTORS_MAX];

static enum call target = CALLS; /* none */
static int64_t target_number;
static int target_failure;

/* ---- What is asked for --------------------------------------------------------------------- */

static void wrong(const char *text)
{
    fprintf(stderr, "SALUT_FAIL=%s makes no sense\n", text);
    _exit(2);
}

static const char *failure_name(enum call call, int failure)
{
    if (call != CALL_getaddrinfo)
        return strerrorname_np(failure);
    switch (failure) {
    case EAI_AGAIN:
        return "EAI_AGAIN";
    case EAI_MEMORY:
        return "EAI_MEMORY";
    case EAI_NONAME:
        return "EAI_NONAME";
    case EAI_FAIL:
        return "EAI_FAIL";
    default:
        return "EAI_SYSTEM";
    }
}

static void read_wish(const char *text)
{
    char name[32], failure[32];
    enum call call = 0;

    if (sscanf(text, "%31[^:]:%ld:%31s", name, &target_number, failure) != 3 || target_number < 1)
        wrong(text);
    while (call < CALLS && strcmp(calls[call].name, name) != 0)
        call++;
    if (call == CALLS)
        wrong(text);
    for (int i = 0; calls[call].failures[i] && !target_failure; i++) {
        if (!strcmp(failure_name(call, calls[call].failures[i]), failure))
            target_failure = calls[call].failures[i];
    }
    if (!target_failure)
        wrong(text);
    target = call;
}

static void open_report(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *place = MAP_FAILED;

    if (fd >= 0 && !ftruncate(fd, sizeof *report))
        place = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place == MAP_FAILED) {
        perror(path);
        _exit(2);
    }
    close(fd);
    report = held = place;
}

/* What a child process gives back is its copy. */
static void in_child(void)
{
    held = &unwanted;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SALUT_FAIL_REPORT");
    const char *wish = getenv("SALUT_FAIL");

    pthread_atfork(NULL, NULL, in_child);
    if (path && *path)
        open_report(path);
    if (wish && *wish)
        read_wish(wish);
}

struct shim_holdings shim_holdings(void)
{
    return (struct shim_holdings){
        .blocks = atomic_load(&held->blocks),
        .maps = atomic_load(&held->maps),
        .descriptors = atomic_load(&held->descriptors),
        .sockets = atomic_load(&held->sockets),
    };
}

/* ---- Refusing ------------------------------------------------------------------------------ */

/* A place for a debugger: the caller's caller is whose call fails. */
static __attribute__((noinline)) void refusing(void)
{
    atomic_store(&report->refused, 1);
}

/* The failure that this call is to have, which errno then is; 0 for none. */
static int refuse(enum call call)
{
    if (atomic_fetch_add(&report->met[call], 1) + 1 != target_number || call != target)
        return 0;
    refusing();
    errno = target_failure;
    return target_failure;
}

/* ---- What is held -------------------------------------------------------------------------- */

static void *block(void *memory)
{
    if (memory)
        atomic_fetch_add(&held->blocks, 1);
    return memory;
}

static int descriptor(int fd, bool socket)
{
    if (fd < 0)
        return fd;
    atomic_fetch_add(&held->descriptors, 1);
    if (socket && fd < DESCRIPTORS_MAX) {
        atomic_store(&is_socket[fd], true);
        atomic_fetch_add(&held->sockets, 1);
    }
    return fd;
}

/* ---- Memory -------------------------------------------------------------------------------- */

/* These declarations are for the linker's names: nobody else calls them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

void *fail_malloc(size_t size)
{
    return refuse(CALL_malloc) ? NULL : block(malloc(size));
}

void *fail_calloc(size_t count, size_t size)
{
    return refuse(CALL_calloc) ? NULL : block(calloc(count, size));
}

void *fail_realloc(void *old, size_t size)
{
    void *memory;

    if (refuse(CALL_realloc))
        return NULL;
    memory = realloc(old, size);
    return old ? memory : block(memory);
}

void *fail_aligned_alloc(size_t alignment, size_t size)
{
    return refuse(CALL_aligned_alloc) ? NULL : block(aligned_alloc(alignment, size));
}

char *fail_strdup(const char *text)
{
    return refuse(CALL_strdup) ? NULL : block(strdup(text));
}

void fail_free(void *memory)
{
    if (memory)
        atomic_fetch_sub(&held->blocks, 1);
    free(memory);
}

void *fail_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *map = refuse(CALL_mmap) ? MAP_FAILED : mmap(at, size, protection, flags, fd, offset);

    if (map != MAP_FAILED)
        atomic_fetch_add(&held->maps, 1);
    return map;
}

int fail_munmap(void *at, size_t size)
{
    atomic_fetch_sub(&held->maps, 1);
    return munmap(at, size);
}

int fail_mprotect(void *at, size_t size, int protection)
{
    return refuse(CALL_mprotect) ? -1 : mprotect(at, size, protection);
}

int fail_madvise(void *at, size_t size, int advice)
{
    return refuse(CALL_madvise) ? -1 : madvise(at, size, advice);
}

/* ---- Threads, signals, files --------------------------------------------------------------- */

int fail_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                        void *(*function)(void *), void *argument)
{
    int failure = refuse(CALL_pthread_create);

    return failure ? failure : pthread_create(thread, attributes, function, argument);
}

int fail_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    int failure = refuse(CALL_pthread_atfork);

    return failure ? failure : pthread_atfork(before, parent, child);
}

int fail_sigaltstack(const stack_t *stack, stack_t *before)
{
    return refuse(CALL_sigaltstack) ? -1 : sigaltstack(stack, before);
}

int fail_sched_getaffinity(pid_t process, size_t size, cpu_set_t *set)
{
    return refuse(CALL_sched_getaffinity) ? -1 : sched_getaffinity(process, size, set);
}

int fail_lstat(const char *path, struct stat *found)
{
    return refuse(CALL_lstat) ? -1 : lstat(path, found);
}

int fail_unlink(const char *path)
{
    return refuse(CALL_unlink) ? -1 : unlink(path);
}

FILE *fail_fopen(const char *path, const char *mode)
{
    return refuse(CALL_fopen) ? NULL : fopen(path, mode);
}

/* Closed it is all the same. */
int fail_fclose(FILE *file)
{
    int result = fclose(file);

    return refuse(CALL_fclose) ? EOF : result;
}

/* ---- Descriptors --------------------------------------------------------------------------- */

int fail_socket(int family, int type, int protocol)
{
    return refuse(CALL_socket) ? -1 : descriptor(socket(family, type, protocol), true);
}

int fail_socketpair(int family, int type, int protocol, int both[2])
{
    if (refuse(CALL_socketpair) || socketpair(family, type, protocol, both))
        return -1;
    descriptor(both[0], true);
    descriptor(both[1], true);
    return 0;
}

int fail_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return refuse(CALL_accept4) ? -1 : descriptor(accept4(fd, address, size, flags), true);
}

int fail_epoll_create1(int flags)
{
    return refuse(CALL_epoll_create1) ? -1 : descriptor(epoll_create1(flags), false);
}

int fail_eventfd(unsigned count, int flags)
{
    return refuse(CALL_eventfd) ? -1 : descriptor(eventfd(count, flags), false);
}

int fail_timerfd_create(int clock, int flags)
{
    return refuse(CALL_timerfd_create) ? -1 : descriptor(timerfd_create(clock, flags), false);
}

int fail_nanosleep(const struct timespec *span, struct timespec *left)
{
    return refuse(CALL_nanosleep) ? -1 : nanosleep(span, left);
}

/* Linux has closed it even when it says that it was interrupted. */
int fail_close(int fd)
{
    int result;

    atomic_fetch_sub(&held->descriptors, 1);
    if (fd >= 0 && fd < DESCRIPTORS_MAX && atomic_exchange(&is_socket[fd], false))
        atomic_fetch_sub(&held->sockets, 1);
    result = close(fd);
    return refuse(CALL_close) ? -1 : result;
}

int fail_fcntl(int fd, int command, ...)
{
    va_list arguments;
    int argument;

    va_start(arguments, command);
    argument = command == F_GETFL || command == F_GETFD ? 0 : va_arg(arguments, int);
    va_end(arguments);
    if (refuse(CALL_fcntl))
        return -1;
    if (command == F_DUPFD_CLOEXEC)
        return descriptor(fcntl(fd, command, argument), true);
    return fcntl(fd, command, argument);
}

ssize_t fail_read(int fd, void *buffer, size_t size)
{
    return refuse(CALL_read) ? -1 : read(fd, buffer, size);
}

/* ---- Sockets ------------------------------------------------------------------------------- */

int fail_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return refuse(CALL_bind) ? -1 : bind(fd, address, size);
}

int fail_listen(int fd, int backlog)
{
    return refuse(CALL_listen) ? -1 : listen(fd, backlog);
}

/* One that was interrupted goes on by itself. */
int fail_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int failure = refuse(CALL_connect);

    if (failure && failure != EINTR)
        return -1;
    if (!failure)
        return connect(fd, address, size);
    if (connect(fd, address, size) && errno != EINPROGRESS)
        return -1;
    errno = EINTR;
    return -1;
}

ssize_t fail_recv(int fd, void *buffer, size_t size, int flags)
{
    return refuse(CALL_recv) ? -1 : recv(fd, buffer, size, flags);
}

ssize_t fail_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                      socklen_t *room)
{
    return refuse(CALL_recvfrom) ? -1 : recvfrom(fd, buffer, size, flags, address, room);
}

ssize_t fail_send(int fd, const void *data, size_t size, int flags)
{
    return refuse(CALL_send) ? -1 : send(fd, data, size, flags);
}

ssize_t fail_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return refuse(CALL_sendmsg) ? -1 : sendmsg(fd, message, flags);
}

ssize_t fail_sendto(int fd, const void *data, size_t size, int flags,
                    const struct sockaddr *address, socklen_t room)
{
    return refuse(CALL_sendto) ? -1 : sendto(fd, data, size, flags, address, room);
}

int fail_shutdown(int fd, int how)
{
    return refuse(CALL_shutdown) ? -1 : shutdown(fd, how);
}

int fail_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return refuse(CALL_setsockopt) ? -1 : setsockopt(fd, level, name, value, size);
}

int fail_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    return refuse(CALL_getsockopt) ? -1 : getsockopt(fd, level, name, value, size);
}

int fail_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    return refuse(CALL_getsockname) ? -1 : getsockname(fd, address, size);
}

int fail_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    return refuse(CALL_getpeername) ? -1 : getpeername(fd, address, size);
}

int fail_epoll_ctl(int epoll, int command, int fd, struct epoll_event *event)
{
    return refuse(CALL_epoll_ctl) ? -1 : epoll_ctl(epoll, command, fd, event);
}

int fail_epoll_wait(int epoll, struct epoll_event *events, int count, int milliseconds)
{
    return refuse(CALL_epoll_wait) ? -1 : epoll_wait(epoll, events, count, milliseconds);
}

long fail_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    return refuse(CALL_syscall) ? -1 : syscall(number, a, b, c, d, e, f);
}

int fail_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                     struct addrinfo **found)
{
    int failure = refuse(CALL_getaddrinfo);

    if (!failure)
        return getaddrinfo(host, service, hints, found);
    errno = failure == EAI_SYSTEM ? EMFILE : errno;
    return failure;
}
