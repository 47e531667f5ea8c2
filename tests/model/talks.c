/* talks.c: conversations on streams. One side connects (or makes a pair), the other is accepted by
 * a server; each has an owner, fibers that send and one that receives. The first bytes of a
 * connection say which talk it is. */
#include "model/model.h"

#include "socket/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRIES_IN_VAIN_MAX = 4, /* of a call in a network that may have gone */
    TRIES_MAX = 20000,     /* in one that hasn't */
    CONNECTS_MAX = 3,
    PIECE_BYTES_MAX = 300000,
    PORT_FIRST = 5000,
    GIVING_UP_MS = 10000,
};

static int tries_max(void)
{
    return the->harm.faults || the->harm.resets ? TRIES_IN_VAIN_MAX : TRIES_MAX;
}

/* A side's timeout as its part has it; none only where every wait ends by itself. */
static double timeout_of(int ms)
{
    if (ms >= 0)
        return ms / 1000.0;
    return the->harm.cuts || the->harm.crashes ? 100 : -1;
}

/* What a call on the side's socket may take. */
static double patience(const struct side *s)
{
    double left = s->over_at - salut_sim_now();

    if (s->over_at < 0)
        return s->timeout;
    if (left < 0)
        left = 0;
    return s->timeout >= 0 && s->timeout < left ? s->timeout : left;
}

/* The server's request_seconds are over: nothing can be done any more. */
static bool is_over(const struct side *s)
{
    return s->over_at >= 0 && salut_sim_now() >= s->over_at;
}

static bool is_again(int number)
{
    return number == ETIMEDOUT || number == EAGAIN || number == ENOBUFS || number == ENOMEM;
}

static void settimeout(struct player *p, int ms)
{
    struct side *s = p->side;
    struct call c = call_begin(p, SETTIMEOUT, 0);

    if (!call_end(&c, salut_settimeout(s->socket, timeout_of(ms)) < 0))
        s->timeout = timeout_of(ms);
}

static void set_limit(struct player *p, int bytes)
{
    struct side *s = p->side;
    struct call c = call_begin(p, SET_LIMIT, 0);
    size_t limit = bytes > 0 ? (size_t)bytes : 0;

    if (!call_end(&c, salut_set_limit(s->socket, limit) < 0))
        s->limit = limit;
}

/* Everything up to here that was gathered has been sent. */
static void confirm(struct flow *f, size_t settled)
{
    if (settled > f->confirmed && !f->dead)
        f->confirmed = settled;
}

/* ---- The end ------------------------------------------------------------------------------- */

static void close_side(struct player *p)
{
    struct side *s = p->side;
    struct call c;
    size_t settled;

    if (s->closing || !s->socket)
        return;
    c = call_begin(p, CLOSE, patience(s));
    settled = flow_settled(s->out);
    s->closing = true;
    s->out->ended = true;
    if (call_end(&c, salut_close(s->socket) < 0))
        s->talk->disturbed = true;
    else if (!s->out->open)
        confirm(s->out, settled);
    s->closed = true;
    s->closed_at = salut_sim_now();
}

/* It can't go on: whoever waits at the other end must hear of it. Two that closed with gathered
 * bytes, neither of which reads, would wait for each other for ever: they have a timeout. */
static void give_up(struct player *p)
{
    p->side->talk->disturbed = true;
    if (p->side->timeout < 0 && !p->side->closing && p->side->socket)
        settimeout(p, GIVING_UP_MS);
    close_side(p);
}

/* ---- Sending ------------------------------------------------------------------------------- */

/* What a send's failure means for the bytes that it was to send: were some of them sent? */
static bool is_whole(const struct side *s)
{
    const struct socket *socket = handle_object(&scheduler_of_thread->sockets, s->socket);

    return socket && !socket->send_failure;
}

/* A word that sends what is gathered failed. */
static void note_break(struct side *s)
{
    if (is_whole(s))
        return;
    s->out->dead = true;
    s->talk->disturbed = true;
}

static void set_buffer(struct player *p, int bytes)
{
    struct side *s = p->side;
    struct call c = call_begin(p, SET_BUFFER, patience(s));
    size_t settled = flow_settled(s->out);
    size_t size = bytes > 0 ? (size_t)bytes : 0;

    if (!call_end(&c, salut_set_buffer(s->socket, size) < 0)) {
        s->buffer = size;
        confirm(s->out, settled);
    } else {
        note_break(s);
    }
}

struct sending {
    char word;
    unsigned char *wire;  /* with what is around the content */
    unsigned char *bytes; /* the content */
    size_t size, wire_size;
};

static ssize_t call_send(struct player *p, const struct sending *what, struct call *c)
{
    salut_sock *socket = p->side->socket;

    if (what->word == 'm') {
        *c = call_begin(p, SEND_MESSAGE, patience(p->side));
        return salut_send_message(socket, what->bytes, what->size);
    }
    if (what->word == 's') {
        *c = call_begin(p, SEND, patience(p->side));
        return salut_send(socket, what->bytes, what->size);
    }
    *c = call_begin(p, SEND_LINE, patience(p->side));
    return salut_send_line(socket, (const char *)what->bytes);
}

/* A line is sent from a string: its newline is not yet in it. */
static struct sending prepare(struct player *p, char word, size_t size)
{
    unsigned char *room = player_scratch(p, 2 * size + 16);
    struct sending what = {.word = word, .bytes = room, .size = size};

    flow_content(p->side->out, word, room, size);
    room[size] = '\0';
    what.wire = room + size + 1;
    memcpy(what.wire + 4, room, size);
    if (word == 'm') {
        for (int i = 0; i < 4; i++)
            what.wire[i] = (unsigned char)(size >> (24 - 8 * i));
        what.wire_size = size + 4;
    } else {
        what.wire += 4;
        what.wire_size = size;
        if (word != 's')
            what.wire[what.wire_size++] = '\n';
    }
    return what;
}

/* Once. 1: sent; 0: nothing was sent, and it may be tried again; -1: it broke. */
static int try_send(struct player *p, const struct sending *what)
{
    struct side *s = p->side;
    bool gathers = s->buffer;
    struct unit unit;
    struct call c;
    ssize_t sent;
    int failure;

    flow_open(s->out, &unit, what->wire, what->wire_size);
    sent = call_send(p, what, &c);
    failure = errno;
    flow_close(s->out, &unit);
    if (sent >= 0 && (size_t)sent != what->size)
        wrong("a send's result", "%zu bytes were to be sent, and it said %zd", what->size, sent);
    if (sent >= 0) {
        if (!gathers && !s->buffer && unit.size) /* nothing is sent at once, before all others */
            confirm(s->out, unit.start + unit.size);
        errno = 0;
        call_end(&c, false);
        return 1;
    }
    if (is_whole(s))
        flow_withdraw(s->out, &unit);
    else
        s->out->dead = true;
    if (s->closing && unit.start < s->out->known)
        s->out->known = unit.start;
    if (s->out->dead)
        s->talk->disturbed = true;
    errno = failure;
    call_end(&c, true);
    return s->out->dead || !is_again(failure) || is_over(s) ? -1 : 0;
}

/* A broken stream says so to every send. */
static void check_that_it_is_broken(struct player *p)
{
    struct side *s = p->side;
    struct call c;
    ssize_t sent;

    if (p->cancelled || s->closing || s->over_at >= 0 || !s->out->dead)
        return;
    c = call_begin(p, SEND, patience(s));
    sent = salut_send(s->socket, "!", 1);
    if (sent >= 0)
        wrong("mended stream", "talk %d: a send succeeded after one that had broken the stream",
              p->number);
    if (!call_end(&c, true) || p->cancelled || s->closing)
        return;
    if (errno != EPIPE && !is_again(errno))
        wrong("broken stream", "talk %d: %s instead of EPIPE after a send that broke the stream",
              p->number, strerrorname_np(errno));
}

static bool send_unit(struct player *p, char word, int number)
{
    struct side *s = p->side;
    size_t size = (size_t)within(number, PIECE_BYTES_MAX);
    struct sending what;
    int result = 0;

    if (word == 'm' && s->limit && size > s->limit)
        size = s->limit;
    if (word == 'c' && !size)
        size = 1;
    what = prepare(p, word, size);
    for (int i = 0; i < tries_max() && !result; i++) {
        result = try_send(p, &what);
        if (!result)
            player_sleep(p, i < 10 ? 0.001 * (1 << i) : 1);
    }
    if (result <= 0)
        check_that_it_is_broken(p);
    return result > 0;
}

/* A word that must refuse and send nothing. */
static void send_nonsense(struct player *p, char word)
{
    struct side *s = p->side;
    struct call c;
    ssize_t sent;

    if (word == 'x') {
        c = call_begin(p, SEND_LINE, patience(s));
        sent = salut_send_line(s->socket, "one\ntwo");
    } else {
        c = call_begin(p, SEND_MESSAGE, patience(s));
        sent = salut_send_message(s->socket, "", (size_t)1 << 31);
    }
    if (sent >= 0)
        wrong("nonsense", "talk %d: %s was sent", p->number,
              word == 'x' ? "a line with a newline" : "a message of 2 GiB");
    call_end(&c, true);
}

static bool flush(struct player *p)
{
    struct side *s = p->side;

    for (int i = 0; i < tries_max(); i++) {
        struct call c = call_begin(p, FLUSH, patience(s));
        size_t settled = flow_settled(s->out);
        if (!call_end(&c, salut_flush(s->socket) < 0)) {
            confirm(s->out, settled);
            return true;
        }
        if (!is_again(errno) || !is_whole(s) || is_over(s)) {
            note_break(s);
            return false;
        }
        player_sleep(p, i < 10 ? 0.001 * (1 << i) : 1);
    }
    return false;
}

/* false: no more can be sent. */
static bool send_step(struct player *p, struct step step)
{
    switch (step.word) {
    case 's':
    case 'l':
    case 'c':
    case 'm':
        return send_unit(p, step.word, step.number);
    case 'f':
        return flush(p);
    case 'b':
        set_buffer(p, within(step.number, PIECE_BYTES_MAX));
        break;
    case 't':
        settimeout(p, step.number);
        break;
    case 'z':
        player_sleep(p, within(step.number, 10000) / 1000.0);
        break;
    case 'x':
    case 'X':
        send_nonsense(p, step.word);
        break;
    default:
        player_yield(p);
    }
    return !p->cancelled && !p->side->closing;
}

/* Nothing more will be sent: the last sender says so. */
static bool shut_down(struct player *p)
{
    struct side *s = p->side;

    for (int i = 0; i < tries_max(); i++) {
        struct call c = call_begin(p, SHUTDOWN, patience(s));
        size_t settled = flow_settled(s->out);
        s->out->ended = true;
        if (!call_end(&c, salut_shutdown(s->socket, SHUT_WR) < 0)) {
            confirm(s->out, settled);
            return true;
        }
        if (!is_again(errno) || !is_whole(s) || is_over(s)) {
            note_break(s);
            return false;
        }
        player_sleep(p, i < 10 ? 0.001 * (1 << i) : 1);
    }
    return false;
}

static int end_of(const struct side *s)
{
    int end = within(s->talk->part->fields[TALK_END + s->which], TALK_ENDS);
    int other = within(s->talk->part->fields[TALK_END + !s->which], TALK_ENDS);

    return end == ENDS_AFTER_THE_PEER && other == end && s->which == 0 ? SHUTS_DOWN : end;
}

static void send_all(struct player *p)
{
    struct side *s = p->side;
    const struct list *list = &s->talk->part->lists[2 * s->which];
    bool good = true;

    for (int i = 0; i < list->count && good; i++)
        good = send_step(p, list->steps[i]);
    s->senders_left--;
    if (!good || (!s->senders_left && end_of(s) == CLOSES_AT_ONCE))
        give_up(p);
    else if (!s->senders_left && end_of(s) == SHUTS_DOWN && !shut_down(p))
        give_up(p);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

enum outcome { RECEIVED, NOTHING_YET, REFUSED, ENDED, BROKEN };

/* What a failed receive means. EMSGSIZE and EPROTO have been judged already. */
static enum outcome outcome_of(struct player *p, int number)
{
    if (number == EMSGSIZE || number == EPROTO)
        return REFUSED;
    return is_again(number) && !p->cancelled && !p->side->closing && !is_over(p->side) ? NOTHING_YET
                                                                                       : BROKEN;
}

/* A receive ended in vain, though there was something, for long enough, before it began. */
static void check_patience(struct player *p, const struct call *c, size_t there, int number)
{
    const int *w = the->program->parts[0].fields;
    double travel = 4 * (w[WORLD_LATENCY_US] + w[WORLD_JITTER_US]) / 1e6 + SLACK_SECONDS;

    if (number != ETIMEDOUT || the->harm.faults || the->harm.loss || w[WORLD_KBYTES] ||
        p->side->over_at >= 0 || c->timeout < travel)
        return;
    if (there)
        wrong("overlooked bytes",
              "talk %d: a receive waited %.6f s in vain, and %zu bytes were there", p->number,
              c->timeout, there);
}

static enum outcome receive_some(struct player *p, size_t size, unsigned char *into, ssize_t *got)
{
    struct side *s = p->side;
    struct call c = call_begin(p, RECV, patience(s));
    size_t there = s->in->confirmed > s->in->received ? s->in->confirmed - s->in->received : 0;
    ssize_t received = salut_recv(s->socket, into, size);
    int failure = errno;

    *got = received;
    errno = failure;
    if (call_end(&c, received < 0)) {
        check_patience(p, &c, there, failure);
        return outcome_of(p, failure);
    }
    if ((size_t)received > size)
        wrong("a receive's result", "talk %d: %zd of at most %zu", p->number, received, size);
    flow_take(p, s->in, into, (size_t)received);
    if (received)
        return RECEIVED;
    flow_end(p, s->in);
    return ENDED;
}

static enum outcome receive_exactly(struct player *p, size_t size)
{
    struct side *s = p->side;
    unsigned char *into = player_scratch(p, size);
    struct call c = call_begin(p, RECV_EXACTLY, patience(s));
    ssize_t received = salut_recv_exactly(s->socket, into, size);
    unsigned long have = 0;

    if (!call_end(&c, received < 0)) {
        if (received && (size_t)received != size)
            wrong("a receive's result", "talk %d: %zd of exactly %zu", p->number, received, size);
        flow_take(p, s->in, into, (size_t)received);
        if (received)
            return RECEIVED;
        flow_end(p, s->in);
        return ENDED;
    }
    if (errno == EPROTO) {
        const char *count = strstr(salut_error(), "after ");
        if (!count || sscanf(count, "after %lu of", &have) != 1)
            wrong("sentence", "recv_exactly doesn't say how many came: %s", salut_error());
        flow_take(p, s->in, into, have);
        flow_end(p, s->in);
        if (have >= size)
            wrong("a receive's result", "EPROTO after %lu of %zu bytes", have, size);
        return REFUSED;
    }
    return outcome_of(p, errno);
}

/* Where the next line's newline is, seen from its beginning; -1: not sent yet. */
static ssize_t newline_at(const struct flow *f)
{
    const unsigned char *line = f->bytes + f->received;
    const unsigned char *newline =
        f->size > f->received ? memchr(line, '\n', f->size - f->received) : NULL;

    return newline ? newline - line : -1;
}

static size_t limit_of(const struct side *s, size_t usual)
{
    return s->limit ? s->limit : usual;
}

/* The line, or what came of it, is longer than the limit. */
static bool is_long_line(const struct side *s)
{
    const struct flow *f = s->in;
    const unsigned char *line = f->bytes + f->received;
    ssize_t length = newline_at(f);
    size_t there = length >= 0 ? (size_t)length : f->size - f->received;

    if (there && line[there - 1] == '\r')
        there--;
    return there > limit_of(s, 65536);
}

static void check_line(struct player *p, const char *line, size_t size)
{
    struct flow *f = p->side->in;
    ssize_t length = newline_at(f);
    size_t wire;

    if (f->untracked || (length >= 0 && f->received + (size_t)length >= f->known)) {
        f->untracked = true;
        return;
    }
    if (length < 0)
        wrong("a line nobody sent", "talk %d: %zu bytes", p->number, size);
    wire = (size_t)length + 1;
    if (length && f->bytes[f->received + (size_t)length - 1] == '\r')
        length--;
    if (size != (size_t)length || line[size])
        wrong("a line's size", "talk %d: %zu bytes, and it has %zd", p->number, size, length);
    if (size > limit_of(p->side, 65536))
        wrong("a line's limit", "talk %d: %zu bytes, over the limit of %zu", p->number, size,
              limit_of(p->side, 65536));
    flow_take(p, f, line, size);
    f->received += wire - size;
}

static enum outcome receive_line(struct player *p)
{
    struct side *s = p->side;
    struct call c = call_begin(p, RECV_LINE, patience(s));
    size_t size = 77;
    char *line = salut_recv_line(s->socket, &size);

    if (line) {
        call_end(&c, false);
        check_line(p, line, size);
        return RECEIVED;
    }
    if (size)
        wrong("a line's size", "no line, and its size is %zu", size);
    if (errno == 0) {
        call_end(&c, false);
        flow_end(p, s->in);
        return ENDED;
    }
    call_end(&c, true);
    if (s->in->untracked || s->in->size > s->in->known)
        return outcome_of(p, errno);
    if (errno == EMSGSIZE && !is_long_line(s))
        wrong("a line's limit", "talk %d: a line within the limit of %zu was refused (\"%s\")",
              p->number, limit_of(s, 65536), salut_error());
    if (errno == EPROTO) {
        if (newline_at(s->in) >= 0 &&
            s->in->received + (size_t)newline_at(s->in) < s->in->confirmed)
            wrong("a cut line", "talk %d: the end came in a line that was sent whole", p->number);
        if (!s->in->ended)
            wrong("an end nobody sent", "talk %d: the end came in a line", p->number);
    }
    return outcome_of(p, errno);
}

/* What the next message's header says; -1: it hasn't been sent yet. */
static int64_t announced(const struct flow *f)
{
    const unsigned char *h = f->bytes + f->received;

    if (f->size - f->received < 4)
        return -1;
    return (int64_t)h[0] << 24 | h[1] << 16 | h[2] << 8 | h[3];
}

static enum outcome receive_message(struct player *p)
{
    struct side *s = p->side;
    struct call c = call_begin(p, RECV_MESSAGE, patience(s));
    size_t size = 77;
    const void *message = salut_recv_message(s->socket, &size);
    int64_t length = announced(s->in);

    if (s->in->untracked || s->in->size > s->in->known) {
        s->in->untracked |= message != NULL;
        if (call_end(&c, !message && errno))
            return outcome_of(p, errno);
        return message ? RECEIVED : ENDED;
    }
    if (message) {
        call_end(&c, false);
        if (length != (int64_t)size)
            wrong("a message's size", "talk %d: %zu bytes, and %lld were announced", p->number,
                  size, (long long)length);
        if (size > limit_of(s, 16 << 20))
            wrong("a message's limit", "talk %d: %zu bytes", p->number, size);
        s->in->received += 4;
        flow_take(p, s->in, message, size);
        return RECEIVED;
    }
    if (errno == 0) {
        call_end(&c, false);
        flow_end(p, s->in);
        return ENDED;
    }
    call_end(&c, true);
    if (errno == EMSGSIZE && length <= (int64_t)limit_of(s, 16 << 20))
        wrong("a message's limit", "talk %d: one of %lld bytes was refused, the limit is %zu",
              p->number, (long long)length, limit_of(s, 16 << 20));
    if (errno == EPROTO &&
        (!s->in->ended ||
         (length >= 0 && (int64_t)(s->in->confirmed - s->in->received) >= length + 4)))
        wrong("a cut message", "talk %d: the end came in a message that was sent whole", p->number);
    return outcome_of(p, errno);
}

/* ---- Text ---------------------------------------------------------------------------------- */

/* The size of the character at the beginning of these bytes; 0: it is cut by their end; -1: there
 * can be none. By code points, unlike the library, which goes by bytes. */
static int character(const unsigned char *bytes, size_t size)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    int length = bytes[0] < 0x80       ? 1
                 : bytes[0] >> 5 == 6  ? 2
                 : bytes[0] >> 4 == 14 ? 3
                 : bytes[0] >> 3 == 30 ? 4
                                       : 0;
    uint32_t low = bytes[0] & (length == 1 ? 0x7fu : 0xffu >> (length + 1)), high = low;

    if (!length)
        return -1;
    for (int i = 1; i < length; i++) {
        bool here = (size_t)i < size;
        if (here && bytes[i] >> 6 != 2)
            return -1;
        low = low << 6 | (here ? bytes[i] & 0x3fu : 0);
        high = high << 6 | (here ? bytes[i] & 0x3fu : 0x3f);
    }
    if (high < least[length] || low > 0x10ffff || (low >= 0xd800 && high <= 0xdfff))
        return -1;
    if (length == 1 && !bytes[0])
        return -1;
    return (size_t)length <= size ? length : 0;
}

/* How many of the bytes are whole characters. *wrong: what follows can't be one. */
static size_t characters(const unsigned char *bytes, size_t size, bool *bad)
{
    size_t at = 0;

    *bad = false;
    while (at < size) {
        int length = character(bytes + at, size - at);
        *bad = length < 0;
        if (length <= 0)
            break;
        at += (size_t)length;
    }
    return at;
}

static void check_text(struct player *p, enum word word, const char *text,
                       const unsigned char *expected, size_t size, bool bad)
{
    if (!!text == bad)
        wrong("text", "talk %d: salut_%s() %s (\"%s\")", p->number, word_name(word),
              bad ? "took what is no UTF-8" : "refused good UTF-8", bad ? "" : salut_error());
    if (text && (strlen(text) != size || memcmp(text, expected, size)))
        wrong("text", "talk %d: salut_%s() gave another text than came", p->number,
              word_name(word));
}

static enum outcome receive_and_decode(struct player *p, size_t size)
{
    unsigned char *into = player_scratch(p, size);
    ssize_t got;
    enum outcome outcome = receive_some(p, size, into, &got);
    struct call c = call_begin(p, DECODE, -1);
    size_t whole;
    char *text;
    bool bad;

    if (outcome != RECEIVED)
        return outcome;
    whole = characters(into, (size_t)got, &bad);
    text = salut_decode(into, got);
    call_end(&c, !text);
    check_text(p, DECODE, text, into, whole, bad || whole < (size_t)got);
    free(text);
    return outcome;
}

/* The decoder goes on where it stopped, if nobody else has received since. */
static enum outcome receive_and_decode_on(struct player *p, size_t size)
{
    struct side *s = p->side;
    size_t before = s->in->received;
    unsigned char *into = player_scratch(p, size);
    ssize_t got;
    enum outcome outcome = receive_some(p, size, into, &got);
    struct call c = call_begin(p, DECODER_DECODE, -1);
    size_t shown, whole;
    char *text;
    bool bad;

    if (outcome != RECEIVED || s->in->untracked)
        return outcome;
    if (s->decoder_at != before) {
        s->decoder = (salut_decoder){0};
        s->decoder_begin = before;
    }
    shown = characters(s->in->bytes + s->decoder_begin, before - s->decoder_begin, &bad);
    whole = characters(s->in->bytes + s->decoder_begin, s->in->received - s->decoder_begin, &bad);
    text = salut_decoder_decode(&s->decoder, into, got);
    call_end(&c, !text);
    check_text(p, DECODER_DECODE, text, s->in->bytes + s->decoder_begin + shown, whole - shown,
               bad);
    s->decoder_at = s->in->received;
    s->decoder_begin += whole;
    if (!text)
        s->decoder_begin = s->decoder_at;
    free(text);
    return outcome;
}

/* ---- A receiver's life --------------------------------------------------------------------- */

static enum outcome receive_step(struct player *p, struct step step)
{
    size_t size = 1 + (size_t)within(step.number, PIECE_BYTES_MAX);
    ssize_t got;

    errno = 0;
    switch (step.word) {
    case 'e':
        return receive_exactly(p, size);
    case 'l':
        return receive_line(p);
    case 'm':
        return receive_message(p);
    case 'd':
        return receive_and_decode_on(p, size);
    case 'D':
        return receive_and_decode(p, size);
    case 't':
        settimeout(p, step.number);
        return REFUSED;
    case 'L':
        set_limit(p, step.number);
        return REFUSED;
    case 'z':
        player_sleep(p, within(step.number, 10000) / 1000.0);
        return REFUSED;
    case 'y':
        player_yield(p);
        return REFUSED;
    default:
        return receive_some(p, size, player_scratch(p, size), &got);
    }
}

static enum outcome receive_plainly(struct player *p)
{
    return receive_step(p, (struct step){'r', 4095});
}

/* The peer broke off: every later receive says so too. */
static void check_that_it_stays_broken(struct player *p, int number)
{
    struct side *s = p->side;
    const struct socket *socket = handle_object(&scheduler_of_thread->sockets, s->socket);
    unsigned char byte;
    struct call c;

    if (number != ECONNRESET || p->cancelled || s->closing || !socket || s->over_at >= 0)
        return;
    c = call_begin(p, RECV, patience(s));
    call_end(&c, salut_recv(s->socket, &byte, 1) < 0);
    if (errno != ECONNRESET && !p->cancelled && !s->closing)
        wrong("forgotten reset", "talk %d: after ECONNRESET a receive said %s", p->number,
              strerrorname_np(errno));
}

/* Goes through its steps over and over, and receives plainly when they bring nothing any more. */
static void receive_all(struct player *p)
{
    struct side *s = p->side;
    const struct list *list = &s->talk->part->lists[2 * s->which + 1];
    enum outcome outcome = REFUSED;
    size_t before = s->in->received;
    int vain = 0;

    for (int i = 0; outcome != ENDED; i++) {
        bool again = list->count && i && i % list->count == 0;
        if (again && s->in->received == before)
            outcome = receive_plainly(p);
        else
            outcome =
                list->count ? receive_step(p, list->steps[i % list->count]) : receive_plainly(p);
        if (outcome == REFUSED && errno == EMSGSIZE) /* else it would be for ever */
            outcome = receive_plainly(p);
        if (again)
            before = s->in->received;
        if (outcome == BROKEN)
            check_that_it_stays_broken(p, errno);
        vain = outcome == NOTHING_YET ? vain + 1 : outcome == RECEIVED ? 0 : vain;
        if (outcome == BROKEN || vain > tries_max() || p->cancelled || s->closing) {
            give_up(p);
            return;
        }
        if (outcome == NOTHING_YET && s->timeout >= 0 && s->timeout < 0.001)
            player_sleep(p, vain < 10 ? 0.001 * (1 << vain) : 1);
    }
    s->saw_end = true;
}

/* ---- A side's life ------------------------------------------------------------------------- */

static struct player *start_helper(struct player *owner, const char *role,
                                   void (*work)(struct player *p), int nth)
{
    struct side *s = owner->side;
    struct player *p = start_player(s->host, role, work, s, s->talk->number, nth);

    if (p) {
        p->side = s;
        p->serves = owner->serves;
    }
    return p;
}

static void join(struct player *p, struct player *other)
{
    struct call c;

    if (!other)
        return;
    c = call_begin(p, JOIN, -1);
    if (!call_end(&c, salut_join(other->fiber) < 0) && !other->ended)
        wrong("join", "%s %d was joined before it ended", other->role, other->number);
}

/* From when the socket is connected until it is closed. */
static void converse(struct player *p)
{
    struct side *s = p->side;
    const int *f = s->talk->part->fields;
    int senders = 1 + within(f[TALK_SENDERS + s->which] - 1, SENDERS_MAX);

    s->owner = p;
    set_limit(p, within(f[TALK_LIMIT + s->which], 1 << 20));
    set_buffer(p, within(f[TALK_BUFFER + s->which], 1 << 20));
    s->senders_left = senders;
    for (int i = 0; i < senders && !s->closing; i++) {
        s->senders[i] = start_helper(p, "sender", send_all, i);
        if (!s->senders[i])
            s->senders_left--;
    }
    s->receiver = start_helper(p, "receiver", receive_all, 0);
    for (int i = 0; i < senders; i++)
        join(p, s->senders[i]);
    join(p, s->receiver);
    if (p->cancelled || !s->saw_end)
        s->talk->disturbed = true;
    close_side(p);
}

/* ---- The side that connects ---------------------------------------------------------------- */

static void server_address(const struct talk *t, char host[64], int *port)
{
    const struct server *server = t->server;
    int way = within(t->part->fields[TALK_WAY], TALK_WAYS);
    bool here = t->sides[0].host == server->host;

    *port = PORT_FIRST + server->number;
    if (way == BY_IPV4)
        snprintf(host, 64, "10.0.0.%d", server->host->number + 1);
    else if (way == BY_IPV6)
        snprintf(host, 64, "fd00::%d", server->host->number + 1);
    else
        snprintf(host, 64, "%s", here ? "localhost" : server->host->name);
}

static const char *path_of(const struct server *s, char path[64])
{
    int kind = within(s->part->fields[SERVER_KIND], 3);

    snprintf(path, 64, "%sserver%d", kind == 2 ? "@" : "/run/", s->number);
    return kind ? path : NULL;
}

static salut_sock *connect_by_text(struct player *p, const struct talk *t)
{
    char path[64], host[64], text[160];
    struct call c = call_begin(p, CREATE_CONNECTION, -1);
    salut_sock *s;
    int port;

    server_address(t, host, &port);
    if (path_of(t->server, path))
        snprintf(text, sizeof text, "unix:%s", path);
    else
        snprintf(text, sizeof text, "%s:%d", host, port);
    s = salut_create_connection(text);
    call_end(&c, !s);
    return s;
}

static salut_sock *connect_by_words(struct player *p, const struct talk *t)
{
    char path[64], host[64];
    bool is_path = path_of(t->server, path);
    struct call c = call_begin(p, SOCKET, 0);
    salut_sock *s = salut_socket(is_path ? SALUT_UNIX : SALUT_TCP);
    double timeout = timeout_of(t->part->fields[TALK_TIMEOUT_MS]);
    int port, result = -1;

    if (call_end(&c, !s))
        return NULL;
    server_address(t, host, &port);
    salut_settimeout(s, timeout);
    if (within(t->part->fields[TALK_WAY], TALK_WAYS) == FROM_A_PORT && !is_path) {
        c = call_begin(p, BIND, timeout);
        call_end(&c, salut_bind(s, NULL, 0) < 0);
    }
    for (int i = 0; i < CONNECTS_MAX && result && !p->cancelled; i++) {
        c = call_begin(p, CONNECT, timeout);
        result = salut_connect(s, is_path ? path : host, port);
        call_end(&c, result < 0);
    }
    if (!result)
        return s;
    c = call_begin(p, CLOSE, timeout);
    call_end(&c, salut_close(s) < 0);
    return NULL;
}

/* No more wait in a backlog than it holds: one more than was asked for, as on Linux, and one that
 * has just been taken. */
static void check_backlog(struct server *s)
{
    int backlog = s->part->fields[SERVER_BACKLOG];
    int waiting = ++s->connected - s->accepted;

    if (backlog > 0 && !s->host->dead && waiting > backlog + 2)
        wrong("backlog", "server %d: %d clients wait, and the backlog is %d", s->number, waiting,
              backlog);
}

static bool make_pair(struct player *p, struct talk *t)
{
    salut_sock *a, *b;
    struct call c = call_begin(p, PAIR, 0);

    if (call_end(&c, salut_pair(&a, &b) < 0))
        return false;
    t->sides[0].socket = a;
    t->sides[1].socket = b;
    return true;
}

static bool send_hello(struct player *p)
{
    struct side *s = p->side;
    unsigned char hello[HELLO_BYTES] = {0xff, 'h', 'e',  'l',
                                        'l',  'o', 0xff, (unsigned char)s->talk->number};
    struct sending what = {
        .word = 's', .bytes = hello, .wire = hello, .size = HELLO_BYTES, .wire_size = HELLO_BYTES};
    int result = 0;

    for (int i = 0; i < tries_max() && !result; i++) {
        result = try_send(p, &what);
        if (!result)
            player_sleep(p, i < 10 ? 0.001 * (1 << i) : 1);
    }
    return result > 0;
}

static void play_other_end(struct player *p)
{
    struct talk *t = p->about;

    p->side = &t->sides[1];
    settimeout(p, t->part->fields[TALK_TIMEOUT_MS_B]);
    converse(p);
}

void play_talk(struct player *p)
{
    struct talk *t = p->about;
    struct side *s = &t->sides[0];
    int way = within(t->part->fields[TALK_WAY], TALK_WAYS);

    s->owner = p;
    player_sleep(p, within(t->part->fields[TALK_AT_MS], 100000) / 1000.0);
    if (!t->server && make_pair(p, t)) {
        if (!start_player(s->host, "owner", play_other_end, t, t->number, 1))
            salut_close(t->sides[1].socket);
    } else if (t->server) {
        s->socket = way == BY_ADDRESS_TEXT ? connect_by_text(p, t) : connect_by_words(p, t);
        if (s->socket)
            check_backlog(t->server);
    }
    if (!s->socket) {
        t->disturbed = true;
        return;
    }
    p->side = s;
    settimeout(p, t->part->fields[TALK_TIMEOUT_MS]);
    if (t->server && !send_hello(p))
        give_up(p);
    else
        converse(p);
}

/* ---- The side that is accepted ------------------------------------------------------------- */

/* Which talk a connection is; NULL: it ended before it said so. */
static struct talk *receive_hello(struct player *p, salut_sock *client, double idle, double over_at)
{
    unsigned char hello[HELLO_BYTES];
    struct talk *t;
    int tries = 0;
    ssize_t got;

    do {
        double left = over_at - salut_sim_now();
        struct call c = call_begin(p, RECV_EXACTLY, idle);
        if (over_at >= 0 && (idle < 0 || left < idle))
            c.timeout = left > 0 ? left : 1e-9;
        got = salut_recv_exactly(client, hello, sizeof hello);
        call_end(&c, got < 0);
        if (got < 0 && errno == EAGAIN)
            player_sleep(p, 0.05);
    } while (got < 0 && is_again(errno) && ++tries < tries_max() &&
             (over_at < 0 || salut_sim_now() < over_at));
    if (got <= 0)
        return NULL;
    if (hello[0] == 'x' || hello[0] == 'a') /* a stray's */
        return NULL;
    if (memcmp(hello, "\xffhello\xff", 7) || hello[7] >= the->talk_count)
        wrong("wrong bytes", "a server's client doesn't begin with its talk's number");
    t = &the->talks[hello[7]];
    if (t->taken)
        wrong("a talk taken twice", "talk %d", t->number);
    t->taken = true;
    t->sides[1].in->received = HELLO_BYTES;
    return t;
}

/* One of those who have not been heard yet will be told that the conversation is over. */
static void refuse_somebody(const struct server *s)
{
    for (int i = 0; i < the->talk_count; i++) {
        struct talk *t = &the->talks[i];
        if (t->server != s || t->taken)
            continue;
        t->disturbed = true;
        t->sides[1].out->ended = true;
    }
}

/* From accept to close; the library closes it itself when it serves. */
static void serve_client(struct player *p, struct server *server, salut_sock *client)
{
    const int *f = server->part->fields;
    bool serves = p->serves;
    double began = salut_sim_now();
    double idle = serves && f[SERVER_IDLE_MS] > 0 ? f[SERVER_IDLE_MS] / 1000.0 : timeout_of(-1);
    double over_at =
        serves && f[SERVER_REQUEST_MS] > 0 ? began + f[SERVER_REQUEST_MS] / 1000.0 : -1;
    struct talk *t;

    if (serves && idle >= 0 && f[SERVER_IDLE_MS] <= 0)
        salut_settimeout(client, idle);
    t = receive_hello(p, client, idle, over_at);
    if (!t) {
        struct call c = call_begin(p, CLOSE, idle);
        refuse_somebody(server);
        call_end(&c, salut_close(client) < 0);
        return;
    }
    p->side = &t->sides[1];
    p->number = t->number;
    p->side->socket = client;
    p->side->timeout = idle;
    p->side->over_at = over_at;
    if (over_at >= 0)
        t->disturbed = true;
    if (!serves || f[SERVER_IDLE_MS] <= 0)
        settimeout(p, t->part->fields[TALK_TIMEOUT_MS_B]);
    converse(p);
}

struct accepted {
    struct server *server;
    salut_sock *client;
};

static void play_client(struct player *p)
{
    struct accepted *a = p->about;
    struct accepted taken = *a;

    free(a);
    salut_settimeout(taken.client, timeout_of(-1));
    serve_client(p, taken.server, taken.client);
}

static void accept_clients(struct player *p, struct server *s)
{
    double timeout = timeout_of(s->part->fields[SERVER_TIMEOUT_MS]);
    int vain = 0;

    if (s->part->fields[SERVER_TIMEOUT_MS] >= 0)
        salut_settimeout(s->listener, timeout);
    else
        timeout = -1;
    while (!p->cancelled && !p->host->stopping) {
        struct call c;
        struct accepted *a;
        salut_sock *client;
        player_sleep(p, within(s->part->fields[SERVER_SLOW_MS], 10000) / 1000.0);
        if (p->host->stopping)
            break;
        c = call_begin(p, ACCEPT, timeout);
        client = salut_accept(s->listener, NULL);
        if (call_end(&c, !client)) {
            player_sleep(p, vain++ < 10 ? 0.001 * (1 << vain) : 1);
            continue;
        }
        vain = 0;
        s->accepted++;
        a = malloc(sizeof *a);
        if (!a)
            abort();
        *a = (struct accepted){s, client};
        if (!start_player(p->host, "handler", play_client, a, s->number, s->accepted)) {
            salut_close(client);
            free(a);
        }
    }
}

/* ---- Served by the library ----------------------------------------------------------------- */

static void handle(salut_sock *client, void *about)
{
    struct server *s = about;
    struct player *p = &the->players[the->player_count];
    int most = s->part->fields[SERVER_CLIENTS_MAX];

    if (the->player_count == PLAYERS_MAX)
        return;
    the->player_count++;
    *p = (struct player){.role = "handler", .number = s->number, .host = s->host, .serves = true};
    p->fiber = fiber_current()->handle;
    s->accepted++;
    s->handlers++;
    if (most > 0 && s->handlers > most)
        wrong("connections_max", "server %d: %d handlers, and %d is the most", s->number,
              s->handlers, most);
    if (s->ended)
        wrong("a late handler", "server %d: one began after salut_serve() had ended", s->number);
    serve_client(p, s, client);
    s->handlers--;
    p->ended = true;
}

static void serve(struct player *p, struct server *s)
{
    const int *f = s->part->fields;
    salut_serve_options options = {
        .connections_max = (unsigned)(f[SERVER_CLIENTS_MAX] > 0 ? f[SERVER_CLIENTS_MAX] : 0),
        .idle_seconds = within(f[SERVER_IDLE_MS], 1000000) / 1000.0,
        .request_seconds = within(f[SERVER_REQUEST_MS], 1000000) / 1000.0,
        .drain_seconds = within(f[SERVER_DRAIN_MS], 100000) / 1000.0};
    struct call c = call_begin(p, SERVE, -1);
    int result = salut_serve(s->listener, handle, s, &options);

    call_end(&c, result < 0);
    s->ended = true;
    if (!result && s->handlers)
        wrong("serve's result", "server %d: 0, and %d handlers are at work", s->number,
              s->handlers);
}

/* ---- A server's life ----------------------------------------------------------------------- */

void open_server(struct player *p, struct server *s)
{
    char path[64], text[96];
    struct call c = call_begin(p, CREATE_SERVER, -1);

    if (path_of(s, path))
        snprintf(text, sizeof text, "unix:%s", path);
    else
        snprintf(text, sizeof text, ":%d", PORT_FIRST + s->number);
    if (s->part->fields[SERVER_BACKLOG] > 0) {
        c.word = BIND;
        s->listener = salut_socket(path_of(s, path) ? SALUT_UNIX : SALUT_TCP);
        if (!call_end(&c, salut_bind(s->listener, path_of(s, path) ? path : NULL,
                                     PORT_FIRST + s->number) < 0)) {
            c = call_begin(p, LISTEN, 0);
            s->open = !call_end(&c, salut_listen(s->listener, s->part->fields[SERVER_BACKLOG]) < 0);
        }
        return;
    }
    s->listener = salut_create_server(text);
    s->open = !call_end(&c, !s->listener);
}

void serve_clients(struct player *p)
{
    struct server *s = p->about;

    s->acceptor = p;
    if (!s->open)
        return;
    if (within(s->part->fields[SERVER_STYLE], SERVER_STYLES) == SERVES)
        serve(p, s);
    else
        accept_clients(p, s);
}

void stop_server(struct player *p, struct server *s)
{
    struct player *acceptor = s->acceptor;
    struct call c;

    switch (within(s->part->fields[SERVER_STYLE], SERVER_STYLES)) {
    case SERVES:
        while (s->open && !s->ended) { /* it may not have begun yet */
            c = call_begin(p, STOP, 0);
            if (!call_end(&c, salut_stop(s->listener) < 0))
                return;
            player_sleep(p, 0.01);
        }
        break;
    case ACCEPT_AND_CLOSE:
        c = call_begin(p, CLOSE, 0);
        call_end(&c, salut_close(s->listener) < 0);
        s->listener = NULL;
        break;
    default:
        if (!acceptor || acceptor->ended)
            return;
        c = call_begin(p, CANCEL, 0);
        acceptor->cancelled = true;
        acceptor->cancelled_at = salut_sim_now();
        call_end(&c, salut_cancel(acceptor->fiber) < 0);
    }
}

/* ---- Meddlers ------------------------------------------------------------------------------ */

static void cancel(struct player *p, struct player *victim)
{
    struct call c = call_begin(p, CANCEL, 0);

    if (!victim || victim->ended || victim->cancelled)
        return;
    victim->cancelled = true;
    victim->cancelled_at = salut_sim_now();
    call_end(&c, salut_cancel(victim->fiber) < 0);
}

/* The first who is still there: on this host, where alone a fiber can be canceled. */
static void cancel_at_a_queue(struct player *p)
{
    for (int i = 0; i < the->player_count; i++) {
        struct player *other = &the->players[i];
        if (other->host != p->host || other->ended || other->cancelled ||
            (other->play != send_queue && other->play != receive_queue))
            continue;
        ((struct queue *)other->about)->disturbed = true;
        cancel(p, other);
        return;
    }
}

static void meddle(struct player *p, struct side *s)
{
    s->talk->disturbed = true;
    switch (within(p->part->fields[MEDDLE_HOW], MEDDLE_HOWS)) {
    case CANCEL_A_SENDER:
        cancel(p, s->senders[0]);
        break;
    case CANCEL_THE_RECEIVER:
        cancel(p, s->receiver);
        break;
    case CANCEL_THE_OWNER:
        cancel(p, s->owner);
        break;
    default:
        if (s->socket && s->owner && s->owner->side == s) {
            p->side = s;
            close_side(p);
        }
    }
}

void play_meddle(struct player *p)
{
    player_sleep(p, within(p->part->fields[MEDDLE_AT_MS], 100000) / 1000.0);
    if (within(p->part->fields[MEDDLE_HOW], MEDDLE_HOWS) == CANCEL_AT_A_QUEUE)
        cancel_at_a_queue(p);
    else
        meddle(p, p->about);
}

/* ---- Afterwards ---------------------------------------------------------------------------- */

static void check_flow(const struct talk *t, int i)
{
    const struct flow *f = &t->flows[i];

    if (f->received != f->size || f->confirmed != f->size)
        wrong("unfinished talk",
              "talk %d went in order, and of the %zu bytes from its %s side %zu were received",
              t->number, f->size, i ? "accepting" : "connecting", f->received);
}

void check_talks(void)
{
    for (int n = 0; n < the->talk_count; n++) {
        struct talk *t = &the->talks[n];
        if (!is_orderly(t))
            continue;
        for (int i = 0; i < 2; i++) {
            if (t->sides[i].closed)
                check_flow(t, i);
            else
                wrong("unfinished talk", "talk %d: a side never ended", t->number);
        }
    }
}
