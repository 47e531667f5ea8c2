/* receive.c: recv, recv_exactly, recv_line and recv_message, mixed, against a plain model: however
 * what the peer sends is cut into reads, and whatever was asked for in between, each gives the
 * bytes that come next, or fails as documented and takes none.
 *
 * How, in pairs of a letter and a number n:
 *     c  the peer's next piece has n + 1 bytes; the last holds the rest
 *     p  the peer pauses before its next piece
 *     w  the simulator, with n for a seed, cuts pieces as it likes, too
 *     l  receive a line    m  a message    x  exactly n + 1 bytes    r  at most n + 1 bytes
 *     L  the limit is n    t  the timeout is n milliseconds (255: none)
 * The last two lines' are done over and over, until the end. */
#include "fuzz/fuzz.h"

#include <salut/sim.h>

#include <errno.h>
#include <string.h>

enum { CALLS_MAX = 64, LINE_LIMIT = 64 * 1024, MESSAGE_LIMIT = 16 * 1024 * 1024, NO_TIMEOUT = 255 };

static const double PAUSE_SECONDS = 0.01;

/* ---- The peer ------------------------------------------------------------------------------ */

struct peer {
    struct script script;
    salut_sock *sock;
};

static void send_pieces(void *argument)
{
    struct peer *peer = argument;
    struct script rest = peer->script;
    struct step step;
    bool well = true;

    while (well && rest.size && fuzz_next_step(&rest, "cp", &step)) {
        size_t size = step.number + 1u < rest.size ? step.number + 1u : rest.size;
        if (step.letter == 'p') {
            salut_sleep(PAUSE_SECONDS);
            continue;
        }
        well = salut_send(peer->sock, rest.bytes, size) == (ssize_t)size;
        rest.bytes += size;
        rest.size -= size;
        salut_sleep(PAUSE_SECONDS / 16);
    }
    if (well && rest.size)
        salut_send(peer->sock, rest.bytes, rest.size);
    salut_close(peer->sock);
}

/* ---- The model ----------------------------------------------------------------------------- */

/* All the bytes that the peer sends, and how many of them have been received. */
struct model {
    const uint8_t *bytes;
    size_t size, at;
    size_t limit; /* 0: each word's own */
    bool timed;
};

/* What a word has to give: `size` bytes from `from` on, and `taken` in all; or (size 0, taken 0) the
 * end when number is 0, else this failure. */
struct outcome {
    int number;
    size_t from, size, taken;
    bool ends;
};

static struct outcome failure(int number, size_t taken)
{
    return (struct outcome){.number = number, .taken = taken, .ends = true};
}

static struct outcome expect_line(const struct model *m)
{
    size_t limit = m->limit ? m->limit : LINE_LIMIT;
    size_t rest = m->size - m->at;
    const uint8_t *begin = m->bytes + m->at;
    const uint8_t *newline = rest ? memchr(begin, '\n', rest) : NULL;
    size_t size = newline ? (size_t)(newline - begin) : rest;
    bool with_cr = size && begin[size - 1] == '\r';

    if (size - with_cr > limit)
        return failure(EMSGSIZE, 0);
    if (!newline)
        return failure(rest ? EPROTO : 0, 0);
    return (struct outcome){.from = m->at, .size = size - with_cr, .taken = size + 1};
}

static struct outcome expect_message(const struct model *m)
{
    size_t limit = m->limit ? m->limit : MESSAGE_LIMIT;
    size_t rest = m->size - m->at, size = 0;

    for (size_t i = 0; i < 4 && rest >= 4; i++)
        size = size << 8 | m->bytes[m->at + i];
    if (rest >= 4 && size > limit)
        return failure(EMSGSIZE, 0);
    if (rest < 4 || rest - 4 < size)
        return failure(rest ? EPROTO : 0, 0);
    return (struct outcome){.from = m->at + 4, .size = size, .taken = 4 + size};
}

static struct outcome expect_exactly(const struct model *m, size_t size)
{
    size_t rest = m->size - m->at;

    if (rest < size)
        return failure(rest ? EPROTO : 0, rest);
    return (struct outcome){.from = m->at, .size = size, .taken = size};
}

/* recv gives what it likes of what is there. */
static struct outcome expect_some(const struct model *m, size_t size, ssize_t given)
{
    size_t rest = m->size - m->at;
    size_t most = rest < size ? rest : size;

    if (!rest)
        return failure(0, 0);
    fuzz_require(given < 0 || (given > 0 && (size_t)given <= most), "recv gives 1 to %zu, not %zd",
                 most, given);
    return expect_exactly(m, given > 0 ? (size_t)given : 1);
}

/* ---- The words ----------------------------------------------------------------------------- */

static bool has_timed_out(const struct model *m, int number)
{
    return m->timed && (number == EAGAIN || number == ETIMEDOUT);
}

/* given: what came, NULL when nothing did, with errno `number`. */
static void compare(struct model *m, const char *word, const struct outcome *expected,
                    const void *given, size_t size, int number)
{
    static const int late[] = {EAGAIN, ETIMEDOUT, 0};

    if (!given && has_timed_out(m, number)) {
        fuzz_require_failure(word, number, late);
        salut_clear_error();
        salut_sleep(PAUSE_SECONDS);
        return;
    }
    if (expected->ends) {
        fuzz_require(!given, "at byte %zu %s gives nothing", m->at, word);
        fuzz_require(number == expected->number, "at byte %zu %s fails with %d, not %d", m->at,
                     word, expected->number, number);
        if (number)
            fuzz_require_failure(word, number, &(const int[]){expected->number, 0}[0]);
        else
            fuzz_require(!salut_failed(), "a clean end is no failure: %s", salut_error());
        salut_clear_error();
    } else {
        fuzz_require(given != NULL, "at byte %zu %s gives something: %s", m->at, word,
                     salut_error());
        fuzz_require(size == expected->size, "at byte %zu %s gives %zu bytes, not %zu", m->at, word,
                     expected->size, size);
        fuzz_require(!memcmp(given, m->bytes + expected->from, size),
                     "at byte %zu %s gives what was sent", m->at, word);
    }
    m->at += expected->taken;
}

static void receive(struct model *m, salut_sock *sock, const struct step *step)
{
    char buffer[256];
    size_t wanted = step->number + 1u, size = 0;
    struct outcome expected;
    const void *given = NULL;
    ssize_t received;
    int number;

    errno = 0;
    switch (step->letter) {
    case 'l':
        given = salut_recv_line(sock, &size);
        number = errno;
        expected = expect_line(m);
        fuzz_require(!given || !((const char *)given)[size], "a line ends with a NUL");
        compare(m, "recv_line", &expected, given, size, number);
        return;
    case 'm':
        given = salut_recv_message(sock, &size);
        number = errno;
        expected = expect_message(m);
        compare(m, "recv_message", &expected, given, size, number);
        return;
    case 'x':
        received = salut_recv_exactly(sock, buffer, wanted);
        number = errno;
        expected = expect_exactly(m, wanted);
        break;
    default:
        received = salut_recv(sock, buffer, wanted);
        number = errno;
        expected = expect_some(m, wanted, received);
    }
    compare(m, "recv", &expected, received > 0 ? buffer : NULL, received > 0 ? (size_t)received : 0,
            received < 0 ? number : 0);
}

static void set(struct model *m, salut_sock *sock, const struct step *step)
{
    if (step->letter == 'L') {
        m->limit = step->number;
        salut_set_limit(sock, m->limit);
    } else {
        m->timed = step->number != NO_TIMEOUT;
        salut_settimeout(sock, m->timed ? step->number / 1000.0 : -1);
    }
}

static void do_step(struct model *m, salut_sock *sock, const struct step *step)
{
    if (step->letter == 'L' || step->letter == 't')
        set(m, sock, step);
    else
        receive(m, sock, step);
}

/* Every word gives it, as often as it is asked. */
static void require_the_end(struct model *m, salut_sock *sock)
{
    do_step(m, sock, &(struct step){'t', NO_TIMEOUT});
    for (const char *letter = "lmxrrxml"; *letter; letter++)
        do_step(m, sock, &(struct step){*letter, 0});
}

static void converse(void *argument)
{
    const struct script *script = argument;
    struct peer peer = {.script = *script};
    struct model m = {.bytes = script->bytes, .size = script->size};
    struct script rest = {0};
    salut_fiber *sender;
    salut_sock *sock;

    if (salut_pair(&sock, &peer.sock))
        return;
    sender = salut_go(send_pieces, &peer);
    for (unsigned i = 0; i < CALLS_MAX && m.at < m.size; i++) {
        struct step step = {.letter = 'l'};
        if (!fuzz_next_step(&rest, "lmxrLt", &step)) {
            rest = *script;
            fuzz_next_step(&rest, "lmxrLt", &step);
        }
        do_step(&m, sock, &step);
    }
    if (m.at == m.size)
        require_the_end(&m, sock);
    salut_close(sock);
    salut_join(sender);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct script script = fuzz_script(bytes, size);
    struct script rest = script;
    salut_sim_options options = {.calm = 1};
    uint64_t seed = 0;
    struct step step;

    while (fuzz_next_step(&rest, "w", &step)) {
        options.calm = 0;
        seed = step.number;
    }
    fuzz_require(!salut_sim_run(seed, converse, &script, &options), "%s", salut_error());
    salut_clear_error();
    return 0;
}
