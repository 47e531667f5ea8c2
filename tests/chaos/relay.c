/* relay.c: a bad cable between two network namespaces, for kernels that have no netem.
 *
 *     relay NAMESPACE SEED [FAULT NUMBER]...
 *
 * A fault is delay or jitter, in milliseconds, or loss, duplicate or reorder, in percent.
 *
 * Makes a TUN device "chaos" in the namespace where it runs and one in NAMESPACE (a path), says
 * "ready", and carries packets from each to the other until it is killed. Each packet waits for
 * delay +- jitter; so packets overtake one another wherever there is jitter, and those that
 * `reorder` picks don't wait at all. The same seed does the same to the same packets. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    PACKET_BYTES_MAX = 65536, /* of IPv4 */
    QUEUE_MAX = 4096,         /* packets under way; further ones are lost, as in any router */
};

struct packet {
    int64_t due; /* nanoseconds of the clock */
    uint64_t turn;
    int to;
    size_t size;
    unsigned char *bytes;
};

static struct {
    const char *name;
    long value;
} faults[] = {{"delay", 0}, {"jitter", 0}, {"loss", 0}, {"duplicate", 0}, {"reorder", 0}};

enum { DELAY, JITTER, LOSS, DUPLICATE, REORDER, FAULTS };

static struct packet queue[QUEUE_MAX]; /* a heap: the first is due first */
static size_t queued;
static uint64_t turns;
static uint64_t random_state;

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* xorshift64*: below `limit`, evenly enough. */
static long below(long limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (long)((random_state * 0x2545f4914f6cdd1dULL >> 33) % (uint64_t)limit);
}

static bool strikes(int fault)
{
    return below(100) < faults[fault].value;
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- Packets under way --------------------------------------------------------------------- */

static bool before(const struct packet *a, const struct packet *b)
{
    return a->due != b->due ? a->due < b->due : a->turn < b->turn;
}

static void swap(size_t a, size_t b)
{
    struct packet kept = queue[a];

    queue[a] = queue[b];
    queue[b] = kept;
}

static void put(struct packet p)
{
    size_t at = queued++;

    for (queue[at] = p; at && before(&queue[at], &queue[(at - 1) / 2]); at = (at - 1) / 2)
        swap(at, (at - 1) / 2);
}

static struct packet take(void)
{
    struct packet first = queue[0];
    size_t at = 0;

    queue[0] = queue[--queued];
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < queued; child++) {
            if (before(&queue[child], &queue[least]))
                least = child;
        }
        if (least == at)
            return first;
        swap(at, least);
        at = least;
    }
}

static void send_off(int to, const unsigned char *bytes, size_t size)
{
    long wait = faults[DELAY].value * 1000; /* microseconds */
    struct packet p = {.due = now(), .turn = turns++, .to = to, .size = size};

    if (faults[JITTER].value)
        wait += below(2 * faults[JITTER].value * 1000 + 1) - faults[JITTER].value * 1000;
    if (queued == QUEUE_MAX || !(p.bytes = malloc(size)))
        return;
    memcpy(p.bytes, bytes, size);
    if (!strikes(REORDER) && wait > 0)
        p.due += wait * 1000;
    put(p);
}

static void receive(int from, int to)
{
    static unsigned char bytes[PACKET_BYTES_MAX];
    ssize_t size;

    while ((size = read(from, bytes, sizeof bytes)) > 0) {
        if (strikes(LOSS))
            continue;
        send_off(to, bytes, (size_t)size);
        if (strikes(DUPLICATE))
            send_off(to, bytes, (size_t)size);
    }
}

/* A device that can't take it just now loses it. */
static void deliver_what_is_due(void)
{
    while (queued && queue[0].due <= now()) {
        struct packet p = take();
        ssize_t written = write(p.to, p.bytes, p.size);
        (void)written;
        free(p.bytes);
    }
}

static void relay(int one, int other)
{
    struct pollfd ends[2] = {{.fd = one, .events = POLLIN}, {.fd = other, .events = POLLIN}};

    for (;;) {
        int64_t left = queued ? queue[0].due - now() : 0;
        struct timespec span = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        if (left >= 0 && ppoll(ends, 2, queued ? &span : NULL, NULL) < 0 && errno != EINTR)
            die("poll");
        receive(one, other);
        receive(other, one);
        deliver_what_is_due();
    }
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static int open_device(void)
{
    struct ifreq wish = {.ifr_name = "chaos", .ifr_flags = IFF_TUN | IFF_NO_PI};
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (device < 0)
        die("/dev/net/tun");
    if (ioctl(device, TUNSETIFF, &wish))
        die("TUNSETIFF");
    return device;
}

static void enter(const char *namespace)
{
    int there = open(namespace, O_RDONLY | O_CLOEXEC);

    if (there < 0 || setns(there, CLONE_NEWNET))
        die(namespace);
    close(there);
}

static bool set_fault(const char *name, const char *value)
{
    for (int i = 0; i < FAULTS; i++) {
        if (!strcmp(faults[i].name, name)) {
            faults[i].value = atol(value);
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    int here, there;

    if (argc < 3 || argc % 2 == 0)
        return 2;
    random_state = strtoull(argv[2], NULL, 10) | 1ULL << 63; /* never 0 */
    for (int i = 3; i < argc; i += 2) {
        if (!set_fault(argv[i], argv[i + 1]))
            return 2;
    }
    here = open_device();
    enter(argv[1]);
    there = open_device();
    puts("ready");
    fflush(stdout);
    relay(here, there);
    return 0;
}
