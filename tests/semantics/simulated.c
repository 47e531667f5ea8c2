/* simulated.c: behaviours.c on the simulated network instead of Linux's.
 *
 *     behaviours_simulated FIRST LAST CALM [NAME...]      a line "seed: N" and all behaviours but
 *         those named, for each seed; CALM: 1 leaves only the links to chance (salut_sim_options)
 *
 * Where behaviours.c reaches around the words with a system call, its build calls the function
 * here that has the call's name after "simulated_" (tests/CMakeLists.txt). */
#include "sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int behaviours_main(int argc, char **argv);

int simulated_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int simulated_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int simulated_poll(struct pollfd *fds, nfds_t count, int timeout);
int simulated_socket(int family, int type, int protocol);
int simulated_bind(int fd, const struct sockaddr *address, socklen_t size);
int simulated_open(const char *path, int flags, ...);
int simulated_close(int fd);
int simulated_access(const char *path, int mode);
int simulated_unlink(const char *path);

static struct sim_host *host(void)
{
    return sim_host_of(scheduler_of_thread->engine);
}

/* What a system call makes of -errno. */
static int result_of(int failure)
{
    if (!failure)
        return 0;
    errno = -failure;
    return -1;
}

/* ---- A descriptor of salut's --------------------------------------------------------------- */

int simulated_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct sim_socket *s = sim_socket_find(host(), fd);
    const struct linger *linger = value;
    int number = name == SO_LINGER ? linger->l_onoff && !linger->l_linger : *(const int *)value;

    assert(s && size >= sizeof(int));
    return result_of(sim_calls.set_option(&host()->engine, s->endpoint, level, name, number));
}

int simulated_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    struct sim_socket *s = sim_socket_find(host(), fd);

    assert(s && *size == sizeof(int));
    return result_of(sim_calls.get_option(&host()->engine, s->endpoint, level, name, value));
}

/* What was on its way has come after a second, if it ever comes: the receive that follows tells. */
int simulated_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    assert(count == 1 && timeout > 1000 && sim_socket_find(host(), fds->fd));
    return salut_sleep(1) ? -1 : 1;
}

/* ---- The file system ----------------------------------------------------------------------- */

/* One at a time, and not for the words. */
static struct endpoint outsider = {.descriptor = -1};

int simulated_socket(int family, int type, int protocol)
{
    (void)protocol;
    assert(outsider.descriptor < 0);
    sim_calls.open(&host()->engine, &outsider, family, type & ~SOCK_CLOEXEC);
    return outsider.descriptor;
}

int simulated_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    salut_addr own = {.raw_size = size};

    assert(fd == outsider.descriptor);
    memcpy(&own.raw, address, size);
    return result_of(sim_calls.bind(&host()->engine, &outsider, &own));
}

/* To connect, any file is like a socket that nobody has. */
int simulated_open(const char *path, int flags, ...)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = simulated_socket(AF_UNIX, SOCK_STREAM, 0);

    (void)flags;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return simulated_bind(fd, (struct sockaddr *)&address, sizeof address) ? -1 : fd;
}

int simulated_close(int fd)
{
    assert(fd == outsider.descriptor);
    sim_calls.close(&host()->engine, &outsider);
    return 0;
}

int simulated_access(const char *path, int mode)
{
    (void)mode;
    return result_of(sim_path_find(host(), path) ? 0 : -ENOENT);
}

int simulated_unlink(const char *path)
{
    sim_path_remove(host(), path);
    return 0;
}

/* ---- All of them --------------------------------------------------------------------------- */

/* The words that are left are behaviours_main()'s; it doesn't look at the first. */
static void show(void *argv)
{
    behaviours_main(0, argv);
}

int main(int argc, char **argv)
{
    enum { OWN = 4 };
    salut_sim_options options = {.calm = argc >= OWN && argv[3][0] == '1'};

    if (argc < OWN)
        return 2;
    for (uint64_t seed = strtoull(argv[1], NULL, 10); seed <= strtoull(argv[2], NULL, 10); seed++) {
        printf("seed: %llu\n", (unsigned long long)seed);
        if (salut_sim_run(seed, show, argv + OWN - 1, &options))
            salut_check();
    }
    return 0;
}
