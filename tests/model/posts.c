/* posts.c: datagrams: each comes as it was sent or not at all; Unix ones all come, in order. */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PORT_FIRST = 6000,
    HEAD_BYTES = 12,
    DATAGRAMS_MAX = STEPS_MAX,
    ROOM_BYTES = 100000,
};

static void write_number(unsigned char *at, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(number >> (24 - 8 * i));
}

static uint32_t read_number(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static unsigned char byte_of(const struct post *post, uint32_t n, size_t at)
{
    return (unsigned char)(at * 31 + n * 7 + (uint32_t)post->number * 13 + (at >> 8));
}

static void fill(const struct post *post, unsigned char *bytes, size_t size, uint32_t n)
{
    if (size < HEAD_BYTES)
        n = 0;
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_of(post, n, i);
    if (size < HEAD_BYTES)
        return;
    write_number(bytes, 0x706f7374u + (uint32_t)post->number);
    write_number(bytes + 4, n);
    write_number(bytes + 8, (uint32_t)size);
}

static int kind_of(const struct post *post)
{
    return within(post->part->fields[POST_KIND], POST_KINDS);
}

static void place_of(const struct post *post, char host[64])
{
    if (kind_of(post) == POST_UNIX)
        snprintf(host, 64, "/run/post%d", post->number);
    else if (kind_of(post) == POST_IPV4)
        snprintf(host, 64, "10.0.0.%d", post->to->number + 1);
    else
        snprintf(host, 64, "fd00::%d", post->to->number + 1);
}

static salut_sock *make_socket(struct player *p, const struct post *post)
{
    struct call c = call_begin(p, SOCKET, 0);
    salut_sock *s = salut_socket(kind_of(post) == POST_UNIX ? SALUT_UNIX_DATAGRAM : SALUT_UDP);

    call_end(&c, !s);
    return s;
}

static double timeout_of(const struct post *post)
{
    return within(post->part->fields[POST_TIMEOUT_MS], 10000) / 1000.0;
}

void open_post(struct player *p, struct post *post)
{
    struct call c;
    char host[64];

    place_of(post, host);
    post->receiver = make_socket(p, post);
    c = call_begin(p, BIND, -1);
    call_end(&c, salut_bind(post->receiver, host, PORT_FIRST + post->number) < 0);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static bool send_one(struct player *p, salut_sock *s, bool connected, const salut_addr *to,
                     size_t size)
{
    struct post *post = p->about;
    unsigned char *bytes = player_scratch(p, ROOM_BYTES);
    struct call c;
    ssize_t sent;

    fill(post, bytes, size, post->sent);
    c = call_begin(p, connected ? SEND : SENDTO, timeout_of(post) + 1);
    sent = connected ? salut_send(s, bytes, size) : salut_sendto(s, bytes, size, to);
    if (!call_end(&c, sent < 0)) {
        if ((size_t)sent != size)
            wrong("a send's result", "post %d: %zd of %zu bytes", post->number, sent, size);
        post->sent++;
        return true;
    }
    return errno != EBADF;
}

static bool find_receiver(struct player *p, const struct post *post, salut_addr *to)
{
    char host[64];

    place_of(post, host);
    if (kind_of(post) != POST_UNIX)
        return salut_resolve(to, host, PORT_FIRST + post->number) == 0;
    (void)p;
    *to = (salut_addr){0};
    to->raw.path.sun_family = AF_UNIX;
    snprintf(to->raw.path.sun_path, sizeof to->raw.path.sun_path, "%s", host);
    to->raw_size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + strlen(host) + 1);
    return true;
}

static void send_all(struct player *p, salut_sock *s)
{
    struct post *post = p->about;
    const struct list *list = &post->part->lists[0];
    bool connected = within(post->part->fields[POST_CONNECTED], 2);
    char host[64];
    salut_addr to;

    place_of(post, host);
    salut_settimeout(s, timeout_of(post) + 1);
    if (connected) {
        struct call c = call_begin(p, CONNECT, timeout_of(post) + 1);
        if (call_end(&c, salut_connect(s, host, PORT_FIRST + post->number) < 0))
            return;
    } else if (!find_receiver(p, post, &to)) {
        return;
    }
    for (int i = 0; i < list->count; i++) {
        if (list->steps[i].word == 'z')
            player_sleep(p, within(list->steps[i].number, 1000) / 1000.0);
        else if (!send_one(p, s, connected, &to, (size_t)within(list->steps[i].number, ROOM_BYTES)))
            return;
    }
}

void send_post(struct player *p)
{
    struct post *post = p->about;
    salut_sock *s = make_socket(p, post);
    struct call c;

    send_all(p, s);
    c = call_begin(p, CLOSE, 0);
    call_end(&c, salut_close(s) < 0);
    post->sender_ended = true;
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void check_datagram(struct post *post, const unsigned char *bytes, size_t size,
                           salut_addr *from)
{
    uint32_t n = size >= HEAD_BYTES ? read_number(bytes + 4) : 0;
    unsigned char *expected = malloc(size + 1);
    bool lossless = kind_of(post) == POST_UNIX;
    int duplication = the->program->parts[0].fields[WORLD_DUPLICATION];

    if (!expected)
        abort();
    fill(post, expected, size, n);
    if (memcmp(bytes, expected, size))
        wrong("a datagram's bytes", "post %d: one of %zu bytes isn't as it was sent", post->number,
              size);
    free(expected);
    if (from && kind_of(post) != POST_UNIX && !salut_addr_port(from))
        wrong("a datagram's sender", "post %d: it has no port", post->number);
    if (size < HEAD_BYTES)
        return;
    if (n >= DATAGRAMS_MAX || n > post->sent)
        wrong("a datagram nobody sent", "post %d: number %u", post->number, n);
    if (++post->seen[n] > 1 + (duplication && !lossless))
        wrong("a repeated datagram", "post %d: number %u came %d times", post->number, n,
              post->seen[n]);
    for (uint32_t later = n + 1; lossless && later < DATAGRAMS_MAX; later++) {
        if (post->seen[later])
            wrong("datagrams in disorder", "post %d: number %u came after %u", post->number, n,
                  later);
    }
}

/* false: nothing came in time. */
static bool receive_one(struct player *p, size_t room, double timeout)
{
    struct post *post = p->about;
    unsigned char *bytes = player_scratch(p, room);
    struct call c = call_begin(p, RECVFROM, timeout);
    salut_addr from;
    ssize_t got = salut_recvfrom(post->receiver, bytes, room, &from);

    if (!call_end(&c, got < 0)) {
        if ((size_t)got > room)
            wrong("a receive's result", "post %d: %zd of at most %zu", post->number, got, room);
        check_datagram(post, bytes, (size_t)got, &from);
        post->received++;
        return true;
    }
    if (from.raw_size)
        wrong("an address after a failure", "post %d: salut_recvfrom() left one", post->number);
    if (errno == EMSGSIZE)
        post->received++;
    return errno == EMSGSIZE;
}

void receive_post(struct player *p)
{
    struct post *post = p->about;
    const struct list *list = &post->part->lists[1];
    double timeout = 1 + timeout_of(post);
    struct call c;
    bool came = true;

    salut_settimeout(post->receiver, timeout);
    for (int i = 0; came || !(post->sender_ended || post->from->dead); i++) {
        struct step step = list->count ? list->steps[i % list->count] : (struct step){'r', 65535};
        if (step.word == 'z')
            player_sleep(p, within(step.number, 1000) / 1000.0);
        if (step.word != 'z' || i % 2)
            came = receive_one(p, 1 + (size_t)within(step.number, ROOM_BYTES), timeout);
    }
    c = call_begin(p, CLOSE, 0);
    call_end(&c, salut_close(post->receiver) < 0);
    post->receiver = NULL;
}

void check_posts(void)
{
    for (int i = 0; i < the->post_count; i++) {
        const struct post *post = &the->posts[i];
        if (kind_of(post) == POST_UNIX && !the->harm.faults && post->received != post->sent)
            wrong("lost datagrams", "post %d: %u of %u Unix datagrams came", post->number,
                  post->received, post->sent);
    }
}
