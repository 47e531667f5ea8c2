/* load: the other end of every benchmark that has a server. Three kinds of work:
 *
 *     load echo  --port P [--connections N] [--size BYTES] [--rate R]   send, wait for the same
 *     load greet --port P [--connections N]           connect, read a greeting, see the close
 *     load hold  --port P                             read numbers, hold so many connections
 *
 * echo and greet measure a window of --seconds after --warmup and print one JSON object; --server
 * PID adds the CPU time that process used in the same window. Without --rate each connection
 * sends as soon as it was answered (a closed loop). With it, requests are due at fixed times
 * whatever the server does, and a latency counts from when the request was due (an open loop:
 * a stalled server can't hide the requests it delayed). One thread; see bench/README.md. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 100000,
    SIZE_MAX_BYTES = 16384,   /* always fits a fresh send buffer: a short send is an error */
    SILENCE_SECONDS_MAX = 10, /* no answer at all for so long: the server is stuck */
    EVENTS_MAX = 512,
    BUCKET_BITS = 7 /* a histogram's bucket is at most 1/128 of its value wide */
};

#define SECOND 1000000000ull

struct connection {
    int fd;
    int busy;          /* a request is out */
    uint32_t received; /* bytes of its answer so far */
    uint64_t since;    /* when it was sent (closed loop) or due (open loop), ns */
    uint64_t due;      /* open loop: when the next request is */
    uint64_t turn;     /* open loop: when the schedule comes by here again */
};

static struct {
    int port, connections, size, server;
    double seconds, warmup, rate;
} options = {.connections = 1, .size = 64, .seconds = 2, .warmup = 0.5};

static struct connection *connections;
static int poller;
static char payload[SIZE_MAX_BYTES];

static struct {
    uint64_t begin, end;     /* planned, ns */
    uint64_t opened, closed; /* as it happened; 0 is not yet */
    uint64_t server_cpu, load_cpu;
    uint64_t requests;
} window;

static uint64_t histogram[(64 - BUCKET_BITS + 1) << BUCKET_BITS];

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        fail("can't read a clock: %s (has the server ended?)", strerror(errno));
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- The histogram: buckets that double in width every 128, as HdrHistogram's do ------------- */

static size_t bucket_of(uint64_t value)
{
    if (value < 2u << BUCKET_BITS)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - BUCKET_BITS;
    return ((size_t)shift << BUCKET_BITS) + (size_t)(value >> shift);
}

static uint64_t bucket_top(size_t bucket)
{
    if (bucket < 2u << BUCKET_BITS)
        return bucket;
    unsigned shift = (unsigned)(bucket >> BUCKET_BITS) - 1;
    uint64_t mantissa = (bucket & ((1u << BUCKET_BITS) - 1)) | 1u << BUCKET_BITS;
    return ((mantissa + 1) << shift) - 1;
}

static void print_histogram(void)
{
    const char *comma = "";
    printf("\"histogram\": [");
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        if (!histogram[i])
            continue;
        printf("%s[%llu, %llu]", comma, (unsigned long long)bucket_top(i),
               (unsigned long long)histogram[i]);
        comma = ", ";
    }
    printf("]");
}

/* ---- The measured window --------------------------------------------------------------------- */

static uint64_t server_cpu_ns(void)
{
    clockid_t clock;
    if (!options.server)
        return 0;
    if (clock_getcpuclockid(options.server, &clock) != 0)
        fail("the server (process %d) has ended", options.server);
    return clock_ns(clock);
}

static void window_plan(uint64_t start)
{
    window.begin = start + (uint64_t)(options.warmup * SECOND);
    window.end = window.begin + (uint64_t)(options.seconds * SECOND);
}

/* Opens and closes the window when its time has come; 1 when it is over. */
static int window_look(uint64_t now)
{
    if (!window.opened && now >= window.begin) {
        window.server_cpu = server_cpu_ns();
        window.load_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        window.requests = 0;
        window.opened = now;
    } else if (window.opened && !window.closed && now >= window.end) {
        window.server_cpu = server_cpu_ns() - window.server_cpu;
        window.load_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - window.load_cpu;
        window.closed = now;
    }
    return window.closed != 0;
}

static void window_count(uint64_t since, uint64_t now)
{
    if (!window.closed)
        window.requests++;
    uint64_t recorded = options.rate > 0 ? since : now;
    if (recorded >= window.begin && recorded < window.end)
        histogram[bucket_of(now - since)]++;
}

static void window_print(void)
{
    printf("{\"requests\": %llu, \"seconds\": %.9f, \"server_cpu_ns\": %llu, "
           "\"load_cpu_ns\": %llu, ",
           (unsigned long long)window.requests, (double)(window.closed - window.opened) / SECOND,
           (unsigned long long)window.server_cpu, (unsigned long long)window.load_cpu);
    print_histogram();
    printf("}\n");
}

/* ---- Connections ----------------------------------------------------------------------------- */

static int open_connection(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("can't open a socket: %s (see ulimit -n)", strerror(errno));

    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)options.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = SILENCE_SECONDS_MAX};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
        fail("can't connect to port %d: %s", options.port, strerror(errno));
    return fd;
}

static void watch(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void send_request(struct connection *c, uint64_t since)
{
    c->busy = 1;
    c->received = 0;
    c->since = since;
    ssize_t sent = send(c->fd, payload, (size_t)options.size, MSG_NOSIGNAL);
    if (sent != options.size)
        fail("can't send a request: %s", sent < 0 ? strerror(errno) : "it was sent in part");
}

/* Receives what is there; 1 when the answer is complete. */
static int receive_answer(struct connection *c, int flags)
{
    char answer[SIZE_MAX_BYTES];
    ssize_t n = recv(c->fd, answer, sizeof answer, flags);
    if (n < 0)
        fail("can't receive an answer: %s", strerror(errno));
    if (n == 0)
        fail("the server closed a connection");
    if (!c->busy || (size_t)n > (size_t)options.size - c->received ||
        memcmp(answer, payload + c->received, (size_t)n) != 0)
        fail("the answer is not what was sent");
    c->received += (uint32_t)n;
    if (c->received < (uint32_t)options.size)
        return 0;
    c->busy = 0;
    return 1;
}

/* Opens connections up to `count`, and has one request answered on each: so each is accepted and
 * served when this returns, and no listen queue overflows. */
static void open_and_try(int from, int count)
{
    for (int i = from; i < count; i++) {
        struct connection *c = &connections[i];
        int on = 1;
        /* A reset at the end leaves no port behind in TIME_WAIT for the next round to trip on. */
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        c->fd = open_connection();
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        send_request(c, 0);
        while (!receive_answer(c, 0))
            ;
    }
}

static int wait_events(struct epoll_event *events, int timeout_ms)
{
    int n = epoll_wait(poller, events, EVENTS_MAX, timeout_ms);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    return n < 0 ? 0 : n;
}

/* ---- echo ------------------------------------------------------------------------------------ */

static void echo_closed(void)
{
    struct epoll_event events[EVENTS_MAX];
    for (int i = 0; i < options.connections; i++)
        send_request(&connections[i], now_ns());
    for (;;) {
        int n = wait_events(events, SILENCE_SECONDS_MAX * 1000);
        if (n == 0)
            fail("no answer for %d seconds", SILENCE_SECONDS_MAX);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive_answer(c, MSG_DONTWAIT))
                continue;
            uint64_t now = now_ns();
            if (window_look(now))
                return;
            window_count(c->since, now);
            send_request(c, now);
        }
    }
}

/* Requests are due every 1/rate, on the connections in turn. One that is due while its
 * connection waits for an answer follows as soon as that has come, late, and counts from when it
 * was due. This loop never sleeps, so that no wake-up of its own is in the figures. */
static void echo_open(uint64_t start)
{
    struct epoll_event events[EVENTS_MAX];
    double interval = SECOND / options.rate;
    uint64_t step = (uint64_t)(interval * options.connections), answered_at = start;
    int next = 0, out = 0;
    for (int i = 0; i < options.connections; i++)
        connections[i].due = connections[i].turn = start + (uint64_t)(i * interval);

    for (;;) {
        uint64_t now = now_ns();
        int over = window_look(now);
        if (over && out == 0)
            return;
        if (now - answered_at > SILENCE_SECONDS_MAX * SECOND && out > 0)
            fail("no answer for %d seconds", SILENCE_SECONDS_MAX);
        while (!over && connections[next].turn <= now) {
            struct connection *c = &connections[next];
            c->turn += step;
            next = (next + 1) % options.connections;
            if (c->busy || c->due > now)
                continue;
            send_request(c, c->due);
            out++;
        }
        int n = wait_events(events, 0);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive_answer(c, MSG_DONTWAIT))
                continue;
            answered_at = now_ns();
            window_count(c->since, answered_at);
            out--;
            c->due += step;
            if (c->due <= answered_at && c->due < window.end) {
                send_request(c, c->due);
                out++;
            }
        }
    }
}

static void run_echo(void)
{
    open_and_try(0, options.connections);
    for (int i = 0; i < options.connections; i++)
        watch(&connections[i]);
    uint64_t start = now_ns();
    window_plan(start);
    if (options.rate > 0)
        echo_open(start);
    else
        echo_closed();
    window_print();
}

/* ---- greet ----------------------------------------------------------------------------------- */

static const char greeting[] = "salut\n";

static void begin_greet(struct connection *c)
{
    c->received = 0;
    c->since = now_ns();
    c->fd = open_connection();
    watch(c);
}

/* Reads what is there; 1 when the server has closed. The latency is up to the first byte. */
static int read_greeting(struct connection *c)
{
    for (;;) {
        char bytes[sizeof greeting];
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            fail("can't receive a greeting: %s", strerror(errno));
        if (n == 0 && c->received != sizeof greeting - 1)
            fail("the server closed after %u bytes of greeting", c->received);
        if (n == 0)
            return 1;
        if ((size_t)n > sizeof greeting - 1 - c->received ||
            memcmp(bytes, greeting + c->received, (size_t)n) != 0)
            fail("the greeting is not \"salut\"");
        if (c->received == 0)
            window_count(c->since, now_ns());
        c->received += (uint32_t)n;
    }
}

static void run_greet(void)
{
    struct epoll_event events[EVENTS_MAX];
    window_plan(now_ns());
    for (int i = 0; i < options.connections; i++)
        begin_greet(&connections[i]);
    for (;;) {
        int n = wait_events(events, SILENCE_SECONDS_MAX * 1000);
        if (n == 0)
            fail("no greeting for %d seconds", SILENCE_SECONDS_MAX);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!read_greeting(c))
                continue;
            close(c->fd);
            if (window_look(now_ns())) {
                window_print();
                return;
            }
            begin_greet(c);
        }
    }
}

/* ---- hold ------------------------------------------------------------------------------------ */

/* Each line on standard input is a number; prints it when so many connections are open, each
 * having had one request answered. Ends with the input. */
static void run_hold(void)
{
    int open = 0, wanted;
    while (scanf("%d", &wanted) == 1) {
        if (wanted > CONNECTIONS_MAX)
            fail("%d connections are more than %d", wanted, CONNECTIONS_MAX);
        open_and_try(open, wanted);
        open = wanted > open ? wanted : open;
        printf("%d\n", open);
        fflush(stdout);
    }
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static void usage(const char *problem)
{
    fprintf(stderr,
            "load: %s\n"
            "usage: load echo|greet|hold --port P [--connections N] [--size BYTES] [--rate R]\n"
            "            [--seconds S] [--warmup S] [--server PID]\n",
            problem);
    exit(2);
}

static double number(const char *text, double low, double high)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= low && value <= high)) {
        fprintf(stderr, "load: \"%s\" is not a number from %g to %g\n", text, low, high);
        exit(2);
    }
    return value;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},    {"connections", required_argument, NULL, 'c'},
        {"size", required_argument, NULL, 'b'},    {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'}, {"warmup", required_argument, NULL, 'w'},
        {"server", required_argument, NULL, 'P'},  {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'p':
            options.port = (int)number(optarg, 1, 65535);
            break;
        case 'c':
            options.connections = (int)number(optarg, 1, CONNECTIONS_MAX);
            break;
        case 'b':
            options.size = (int)number(optarg, 1, SIZE_MAX_BYTES);
            break;
        case 'r':
            options.rate = number(optarg, 1, 1e8);
            break;
        case 's':
            options.seconds = number(optarg, 0.01, 3600);
            break;
        case 'w':
            options.warmup = number(optarg, 0, 3600);
            break;
        case 'P':
            options.server = (int)number(optarg, 1, 1 << 22);
            break;
        default:
            usage("an option it doesn't have");
        }
    }
    if (optind != argc - 1)
        usage("exactly one kind of work is needed");
    if (!options.port)
        usage("--port is needed");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    connections = calloc(CONNECTIONS_MAX, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || poller < 0)
        fail("can't begin: %s", strerror(errno));
    /* A line of text, so that the peers that speak lines are asked the same as the others. */
    for (int i = 0; i < options.size; i++)
        payload[i] = (char)('a' + i % 26);
    payload[options.size - 1] = '\n';

    if (strcmp(argv[optind], "echo") == 0)
        run_echo();
    else if (strcmp(argv[optind], "greet") == 0)
        run_greet();
    else if (strcmp(argv[optind], "hold") == 0)
        run_hold();
    else
        usage("the kinds of work are echo, greet and hold");
    return 0;
}
