/* talk.c: both ends of the conversations that a bad network lies under.
 *
 *     talk serve ADDRESS [SECONDS]  answers all of the following, until SIGTERM; a client may be
 *                                   idle for so long
 *     talk bulk ADDRESS BYTES       so many bytes there and, meanwhile, back
 *     talk lines ADDRESS COUNT      so many requests, each with its answer
 *     talk messages ADDRESS COUNT
 *     talk patient ADDRESS COUNT    lines; an answer that is late is waited for anew
 *     talk crowd ADDRESS COUNT      many clients that send so many lines each, side by side
 *     talk datagrams ADDRESS COUNT  until so many have arrived
 *     talk idle ADDRESS 1           asks once and then nothing; TCP looks whether the peer lives
 *
 * A client says "under way" after its first answer. Then it goes on until it has been told so by
 * SIGUSR1, and COUNT more, so that a fault strikes in the middle whatever the machine's speed. It
 * ends with a line "intact: ..." or, for each conversation that failed, with errno's name and
 * the sentence. A fifth argument is the seconds that connect may take, and each call after the
 * first answer. */
#include <salut.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_BYTES_MAX = 20000,
    REQUEST_BYTES_MAX = 3000,
    CROWD = 20,
    DATAGRAMS_MAX = 100000,
    DATAGRAM_BYTES_MAX = 65507,
    DATAGRAMS_IN_A_ROW = 10,
};

static bool told;
static double seconds = -1;
static bool failed, patient;

/* ---- What is said of it -------------------------------------------------------------------- */

/* SIGUSR1 waits until it is looked for: ThreadSanitizer keeps a handler's call for the fiber that
 * the signal met, which may never run again. */
static bool are_told(void)
{
    sigset_t pending;

    if (!told && !sigpending(&pending))
        told = sigismember(&pending, SIGUSR1) == 1;
    return told;
}

static void hold_sigusr1(void)
{
    sigset_t held;

    sigemptyset(&held);
    sigaddset(&held, SIGUSR1);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void say_under_way(void)
{
    static bool said;

    if (!said)
        say("under way");
    said = true;
}

/* errno 0: the peer was done, which no conversation here expects. */
static void say_failure(size_t answers)
{
    int number = errno;

    failed = true;
    if (number)
        say("%s %s", strerrorname_np(number), salut_error());
    else
        say("END the peer was done after %zu answers", answers);
}

static void say_wrong(const char *what, size_t where)
{
    failed = true;
    say("WRONG %s %zu", what, where);
}

/* ---- Bytes that look like no others --------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void fill(uint32_t *state, unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)next_random(state);
}

/* Where the bytes differ from those that fill() would make; size if nowhere. */
static size_t differs(uint32_t *state, const unsigned char *bytes, size_t size)
{
    size_t at = 0;

    while (at < size && bytes[at] == (unsigned char)next_random(state))
        at++;
    return at;
}

static void reverse(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        unsigned char byte = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = byte;
    }
}

/* ---- Bulk ---------------------------------------------------------------------------------- */

static void answer_bulk(salut_sock *s)
{
    unsigned char bytes[16 * 1024];
    ssize_t size;

    while ((size = salut_recv(s, bytes, sizeof bytes)) > 0) {
        if (salut_send(s, bytes, (size_t)size) < 0)
            break;
    }
}

struct bulk {
    salut_sock *sock;
    size_t count, sent, received;
};

static void send_bulk(void *argument)
{
    struct bulk *b = argument;
    unsigned char *piece = malloc(PIECE_BYTES_MAX);
    uint32_t bytes = 1, sizes = 2;
    size_t last = SIZE_MAX; /* known once we have been told */

    while (b->sent < last) {
        size_t size = 1 + next_random(&sizes) % PIECE_BYTES_MAX;
        fill(&bytes, piece, size);
        if (salut_send(b->sock, piece, size) < 0) {
            say_failure(b->sent);
            break;
        }
        b->sent += size;
        if (last == SIZE_MAX && are_told())
            last = b->sent + b->count;
    }
    salut_shutdown(b->sock, SHUT_WR);
    free(piece);
}

static void talk_bulk(salut_sock *s, size_t count)
{
    unsigned char bytes[16 * 1024];
    struct bulk b = {.sock = s, .count = count};
    uint32_t expected = 1;
    salut_fiber *sender;
    ssize_t size;

    salut_send_line(s, "bulk");
    sender = salut_go(send_bulk, &b);
    while ((size = salut_recv(s, bytes, sizeof bytes)) > 0) {
        size_t good = differs(&expected, bytes, (size_t)size);
        if (good < (size_t)size)
            say_wrong("byte", b.received + good);
        b.received += (size_t)size;
        say_under_way();
    }
    if (size < 0)
        say_failure(b.received);
    salut_join(sender);
    if (!failed && b.received < b.sent) {
        errno = 0;
        say_failure(b.received);
    }
    if (!failed)
        say("intact: %zu bytes", b.received);
}

/* ---- Requests and answers ------------------------------------------------------------------- */

struct language {
    const char *name;
    void *(*receive)(salut_sock *s, size_t *size);
    ssize_t (*send)(salut_sock *s, const void *data, size_t size);
};

static void *receive_line(salut_sock *s, size_t *size)
{
    return salut_recv_line(s, size);
}

static ssize_t send_line(salut_sock *s, const void *data, size_t size)
{
    (void)size;
    return salut_send_line(s, data);
}

static const struct language lines = {"lines", receive_line, send_line};
static const struct language messages = {"messages", salut_recv_message, salut_send_message};

static void answer_requests(salut_sock *s, const struct language *language)
{
    unsigned char answer[REQUEST_BYTES_MAX + 1];
    unsigned char *request;
    size_t size;

    while ((request = language->receive(s, &size)) && size <= REQUEST_BYTES_MAX) {
        memcpy(answer, request, size);
        answer[size] = '\0';
        reverse(answer, size);
        if (language->send(s, answer, size) < 0)
            return;
    }
}

struct talk {
    size_t answers, late; /* receives that timed out */
};

/* "number:padding", no two alike. */
static size_t make_request(char *request, size_t number, uint32_t *random)
{
    size_t size = (size_t)snprintf(request, REQUEST_BYTES_MAX, "%zu:", number);
    size_t padding = next_random(random) % (REQUEST_BYTES_MAX - size);

    for (size_t i = 0; i < padding; i++)
        request[size++] = (char)('a' + next_random(random) % 26);
    request[size] = '\0';
    return size;
}

static unsigned char *receive_patiently(salut_sock *s, const struct language *language,
                                        size_t *size, struct talk *t)
{
    unsigned char *answer;

    while (!(answer = language->receive(s, size)) && errno == ETIMEDOUT && patient) {
        if (!t->late++)
            say("late: %s", salut_error());
    }
    return answer;
}

static bool talk_requests(salut_sock *s, const struct language *language, size_t count,
                          struct talk *t)
{
    char request[REQUEST_BYTES_MAX + 1];
    uint32_t random = 63000;
    size_t last = SIZE_MAX;

    salut_send_line(s, language->name);
    for (; t->answers < last; t->answers++) {
        size_t size = make_request(request, t->answers, &random), answer_size;
        unsigned char *answer;
        if (language->send(s, request, size) < 0 ||
            !(answer = receive_patiently(s, language, &answer_size, t))) {
            say_failure(t->answers);
            return false;
        }
        reverse(answer, answer_size);
        if (answer_size != size || memcmp(answer, request, size)) {
            say_wrong("answer", t->answers);
            return false;
        }
        say_under_way();
        if (!t->answers)
            salut_settimeout(s, seconds);
        if (last == SIZE_MAX && are_told())
            last = t->answers + count;
    }
    return true;
}

static void talk_alone(salut_sock *s, const struct language *language, size_t count)
{
    struct talk t = {0};

    if (talk_requests(s, language, count, &t))
        say("intact: %zu answers, %zu late", t.answers, t.late);
}

/* ---- A crowd -------------------------------------------------------------------------------- */

static const char *address;
static size_t crowd_count, crowd_answers;

static void talk_in_crowd(void *unused)
{
    salut_sock *s = salut_create_connection(address);
    struct talk t = {0};

    (void)unused;
    talk_requests(s, &lines, crowd_count, &t);
    crowd_answers += t.answers;
    salut_close(s);
}

static void talk_crowd(size_t count)
{
    salut_fiber *fibers[CROWD];

    crowd_count = count;
    for (int i = 0; i < CROWD; i++)
        fibers[i] = salut_go(talk_in_crowd, NULL);
    for (int i = 0; i < CROWD; i++)
        salut_join(fibers[i]);
    if (!failed)
        say("intact: %zu answers", crowd_answers);
}

/* ---- Datagrams ------------------------------------------------------------------------------ */

/* A datagram is its number and bytes that follow from it, as many as follow from it. */

static const size_t datagram_sizes[] = {4, 10, 100, 500, 1000, 1400, 1473, 3000, 9000, 65507};

static size_t make_datagram(unsigned char *datagram, uint32_t number)
{
    size_t size = datagram_sizes[number % (sizeof datagram_sizes / sizeof *datagram_sizes)];
    uint32_t state = number + 1;

    memcpy(datagram, &number, sizeof number);
    fill(&state, datagram + sizeof number, size - sizeof number);
    return size;
}

static atomic_size_t arrived, repeated, overtaken, damaged;

static bool is_whole(const unsigned char *datagram, size_t size, uint32_t *number)
{
    static unsigned char whole[DATAGRAM_BYTES_MAX];

    if (size < sizeof *number)
        return false;
    memcpy(number, datagram, sizeof *number);
    return *number < DATAGRAMS_MAX && make_datagram(whole, *number) == size &&
           !memcmp(whole, datagram, size);
}

static void receive_datagrams(void *socket)
{
    static unsigned char datagram[DATAGRAM_BYTES_MAX];
    static bool seen[DATAGRAMS_MAX];
    uint32_t highest = 0;
    ssize_t size;

    while ((size = salut_recvfrom(socket, datagram, sizeof datagram, NULL)) >= 0) {
        uint32_t number = 0;
        if (!is_whole(datagram, (size_t)size, &number)) {
            damaged++;
            continue;
        }
        if (seen[number])
            repeated++;
        else
            arrived++;
        if (number < highest)
            overtaken++;
        else
            highest = number;
        seen[number] = true;
    }
}

static void answer_counts(salut_sock *s)
{
    char counts[100];

    while (salut_recv_line(s, NULL)) {
        snprintf(counts, sizeof counts, "%zu %zu %zu %zu", (size_t)arrived, (size_t)damaged,
                 (size_t)repeated, (size_t)overtaken);
        if (salut_send_line(s, counts) < 0)
            return;
    }
}

static bool send_datagrams(salut_sock *s, uint32_t *number)
{
    static unsigned char datagram[DATAGRAM_BYTES_MAX];

    for (int i = 0; i < DATAGRAMS_IN_A_ROW; i++) {
        size_t size = make_datagram(datagram, (*number)++);
        if (salut_send(s, datagram, size) < 0)
            return false;
    }
    return true;
}

/* How many have arrived, been damaged, repeated and overtaken. */
static bool ask_counts(salut_sock *s, size_t counts[4])
{
    char *answer = salut_send_line(s, "?") < 0 ? NULL : salut_recv_line(s, NULL);

    if (!answer) {
        say_failure(counts[0]);
        return false;
    }
    sscanf(answer, "%zu %zu %zu %zu", &counts[0], &counts[1], &counts[2], &counts[3]);
    return true;
}

/* Sends a row and gives it a moment to arrive, or we would only fill the receiver's queue. */
static bool send_row(salut_sock *s, salut_sock *sender, uint32_t *number, size_t counts[4])
{
    size_t before = counts[0];

    if (!send_datagrams(sender, number)) {
        say_failure(counts[0]);
        return false;
    }
    for (int moment = 0; moment < 10 && counts[0] == before; moment++) {
        if (!ask_counts(s, counts))
            return false;
        salut_sleep(counts[0] == before ? 0.01 : 0);
    }
    return true;
}

/* s counts, over TCP, what arrives at the same port of the same host. */
static void talk_datagrams(salut_sock *s, size_t count)
{
    salut_sock *sender = salut_socket(SALUT_UDP);
    size_t counts[4] = {0}, last = SIZE_MAX;
    uint32_t number = 0;
    salut_addr peer;

    salut_peer(s, &peer);
    salut_connect(sender, salut_addr_host(&peer), salut_addr_port(&peer));
    salut_send_line(s, "counts");
    while (counts[0] < last && send_row(s, sender, &number, counts)) {
        say_under_way();
        if (last == SIZE_MAX && are_told())
            last = counts[0] + count;
    }
    salut_close(sender);
    if (counts[1])
        say_wrong("datagrams", counts[1]);
    if (!failed)
        say("intact: %u datagrams sent, %zu arrived, %zu repeated, %zu overtaken", (unsigned)number,
            counts[0], counts[2], counts[3]);
}

/* ---- Saying nothing ------------------------------------------------------------------------- */

/* Two seconds without a word, and the system asks the peer whether it is there. */
static void talk_idle(salut_sock *s)
{
    static const int options[][2] = {{TCP_KEEPIDLE, 1}, {TCP_KEEPINTVL, 1}, {TCP_KEEPCNT, 2}};
    struct talk t = {0};

    setsockopt(salut_fd(s), SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(salut_fd(s), IPPROTO_TCP, options[i][0], &options[i][1], sizeof(int));
    told = true;
    if (!talk_requests(s, &lines, 1, &t))
        return;
    salut_recv_line(s, NULL);
    say_failure(t.answers);
}

/* ---- The server ----------------------------------------------------------------------------- */

static void answer(salut_sock *s, void *unused)
{
    char *wish = salut_recv_line(s, NULL);

    (void)unused;
    if (wish && !strcmp(wish, "bulk"))
        answer_bulk(s);
    else if (wish && !strcmp(wish, "lines"))
        answer_requests(s, &lines);
    else if (wish && !strcmp(wish, "messages"))
        answer_requests(s, &messages);
    else if (wish && !strcmp(wish, "counts"))
        answer_counts(s);
    if (salut_failed())
        say("lost a client: %s", salut_error());
}

static void serve(double idle_seconds)
{
    salut_serve_options options = {.workers = 2, .idle_seconds = idle_seconds};
    salut_sock *listener = salut_create_server(address);
    salut_sock *datagrams = salut_socket(SALUT_UDP);
    salut_addr here;

    salut_local(listener, &here);
    salut_bind(datagrams, salut_addr_host(&here), salut_addr_port(&here));
    salut_check();
    salut_go(receive_datagrams, datagrams);
    say("%d", salut_addr_port(&here));
    salut_serve(listener, answer, NULL, &options);
    salut_close(listener);
    salut_close(datagrams);
    salut_check();
}

/* ---- The client ----------------------------------------------------------------------------- */

static salut_sock *connected(void)
{
    const char *colon = strrchr(address, ':');
    char *host = strndup(address, (size_t)(colon - address));
    salut_sock *s = salut_socket(SALUT_TCP);

    salut_settimeout(s, seconds);
    if (salut_connect(s, host, atoi(colon + 1))) {
        say_failure(0);
        salut_close(s);
        s = NULL;
    }
    free(host);
    return s;
}

static void talk(const char *what, size_t count)
{
    salut_sock *s;

    if (!(s = connected()))
        return;
    salut_settimeout(s, -1);
    patient = !strcmp(what, "patient");
    if (!strcmp(what, "bulk"))
        talk_bulk(s, count);
    else if (!strcmp(what, "lines") || patient)
        talk_alone(s, &lines, count);
    else if (!strcmp(what, "messages"))
        talk_alone(s, &messages, count);
    else if (!strcmp(what, "datagrams"))
        talk_datagrams(s, count);
    else if (!strcmp(what, "idle"))
        talk_idle(s);
    salut_close(s);
}

int main(int argc, char **argv)
{
    size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

    if (argc < 3)
        return 2;
    hold_sigusr1();
    address = argv[2];
    if (argc > 4)
        seconds = atof(argv[4]);
    if (!strcmp(argv[1], "serve"))
        serve((double)count);
    else if (!strcmp(argv[1], "crowd"))
        talk_crowd(count);
    else
        talk(argv[1], count);
    return failed;
}
