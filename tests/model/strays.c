/* strays.c: any word on any socket, in whatever state it is. What comes of it can't be foreseen,
 * but that it ends in time, and how it fails. */
#include "model/model.h"

#include "socket/socket.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, ROOM_BYTES = 70000 };

struct stray {
    struct player *player;
    salut_sock *slots[SLOTS];
    double timeouts[SLOTS];
    bool has_timeout[SLOTS];
    double timeout;
    salut_addr address;
    int last_failure; /* errno of this fiber's last failure; 0 */
    char sentence[1024];
};

static double patience(const struct stray *s, int slot)
{
    return s->slots[slot] && s->has_timeout[slot] ? s->timeouts[slot] : -1;
}

/* The word needs what an earlier step should have given: it may give that one's failure. */
static bool stands_on_failure(const salut_sock *handle, int number)
{
    const struct socket *s = handle_object(&scheduler_of_thread->sockets, handle);

    return s && s->failed_step != STEP_NONE && s->failure == number && *salut_error();
}

/* A word on NULL keeps the failure that there was. */
static void end(struct stray *s, const struct call *c, const salut_sock *socket, bool on_socket,
                bool failed)
{
    int number = errno;

    if (failed && on_socket && !socket) {
        if (number != (s->last_failure ? s->last_failure : EBADF))
            wrong("NULL's errno", "salut_%s(NULL): %s after %s", word_name(c->word),
                  strerrorname_np(number),
                  s->last_failure ? strerrorname_np(s->last_failure) : "nothing");
        if (s->last_failure && strcmp(s->sentence, salut_error()))
            wrong("NULL's sentence", "salut_%s(NULL): \"%s\" after \"%s\"", word_name(c->word),
                  salut_error(), s->sentence);
    } else if (failed && on_socket && stands_on_failure(socket, number)) {
        words_seen->failures[c->word][number]++;
    } else {
        errno = number;
        call_end(c, failed);
    }
    if (!failed)
        return;
    s->last_failure = number;
    snprintf(s->sentence, sizeof s->sentence, "%s", salut_error());
}

static void put(struct stray *s, int slot, salut_sock *socket)
{
    struct call c = call_begin(s->player, CLOSE, patience(s, slot));
    salut_sock *before = s->slots[slot];

    end(s, &c, before, true, salut_close(before) < 0);
    s->slots[slot] = socket;
    s->has_timeout[slot] = false;
    if (!socket)
        return;
    salut_settimeout(socket, s->timeout);
    s->timeouts[slot] = s->timeout;
    s->has_timeout[slot] = true;
}

static const char *some_host(int number)
{
    static const char *const hosts[] = {"localhost",  "h1",       "h2",           "10.0.0.2",
                                        "fd00::3",    "10.9.9.9", "no.such.name", "",
                                        "/run/stray", "@stray",   "/run/server0", "two words"};

    return hosts[within(number, 12)];
}

static int some_port(int number)
{
    static const int ports[] = {7000, 7001, 5000, 5001, 0, 65535, 70000, -1};

    return ports[within(number / 12, 8)];
}

static const char *some_address(int number)
{
    static const char *const addresses[] = {
        ":7000",           "localhost:7001", "h1:5000",   "[::1]:7000",
        "unix:/run/stray", "unix:@stray",    "udp::7000", "udp:h1:7000",
        "tls:h1:7000",     "nonsense",       "",          "h1:99999",
        "systemd:",        "[::1",           "unix:"};

    return addresses[within(number, 15)];
}

/* ---- The words ----------------------------------------------------------------------------- */

static void make(struct stray *s, char word, int slot, int number)
{
    struct call c;
    salut_sock *made, *other;

    switch (word) {
    case 'k':
        c = call_begin(s->player, SOCKET, 0);
        made = salut_socket((salut_kind)(SALUT_TCP + within(number, 5)));
        break;
    case 'S':
        c = call_begin(s->player, CREATE_SERVER, -1);
        made = salut_create_server(some_address(number));
        break;
    case 'C':
        c = call_begin(s->player, CREATE_CONNECTION, -1);
        made = salut_create_connection(some_address(number));
        break;
    case 'F':
        c = call_begin(s->player, FROM_FD, 0);
        made = salut_from_fd(-1 - number);
        break;
    case 'a':
        c = call_begin(s->player, ACCEPT, patience(s, slot));
        other = s->slots[slot];
        made = salut_accept(other, NULL);
        end(s, &c, other, true, !made);
        if (made)
            put(s, within(slot + 1, SLOTS), made);
        return;
    default:
        c = call_begin(s->player, PAIR, 0);
        salut_pair(&made, &other);
        if (made)
            put(s, within(slot + 1, SLOTS), other);
    }
    end(s, &c, NULL, false, !made);
    put(s, slot, made);
}

static void place(struct stray *s, char word, int slot, int number)
{
    salut_sock *socket = s->slots[slot];
    double timeout = patience(s, slot);
    struct call c;

    switch (word) {
    case 'b':
        c = call_begin(s->player, BIND, timeout);
        end(s, &c, socket, true, salut_bind(socket, some_host(number), some_port(number)) < 0);
        break;
    case 'l':
        c = call_begin(s->player, LISTEN, 0);
        end(s, &c, socket, true, salut_listen(socket, number) < 0);
        break;
    case 'c':
        c = call_begin(s->player, CONNECT, timeout);
        end(s, &c, socket, true, salut_connect(socket, some_host(number), some_port(number)) < 0);
        break;
    case 'h':
        c = call_begin(s->player, SHUTDOWN, timeout);
        end(s, &c, socket, true, salut_shutdown(socket, number % 4) < 0);
        break;
    case 'T':
        c = call_begin(s->player, STOP, 0);
        end(s, &c, socket, true, salut_stop(socket) < 0);
        break;
    case 'V':
        c = call_begin(s->player, SERVE, -1);
        end(s, &c, socket, true, salut_serve(socket, NULL, NULL, NULL) < 0);
        break;
    default:
        put(s, slot, NULL);
    }
}

static void transfer(struct stray *s, char word, int slot, size_t size)
{
    salut_sock *socket = s->slots[slot];
    unsigned char *bytes = player_scratch(s->player, ROOM_BYTES);
    double timeout = patience(s, slot);
    struct call c;

    if (word == 's' || word == 'u')
        memset(bytes, 'x', size);
    switch (word) {
    case 's':
        c = call_begin(s->player, SEND, timeout);
        end(s, &c, socket, true, salut_send(socket, bytes, size) < 0);
        break;
    case 'r':
        c = call_begin(s->player, RECV, timeout);
        end(s, &c, socket, true, salut_recv(socket, bytes, size) < 0);
        break;
    case 'e':
        c = call_begin(s->player, RECV_EXACTLY, timeout);
        end(s, &c, socket, true, salut_recv_exactly(socket, bytes, size) < 0);
        break;
    case 'n':
        c = call_begin(s->player, RECV_LINE, timeout);
        end(s, &c, socket, true, !salut_recv_line(socket, NULL) && errno);
        break;
    case 'm':
        c = call_begin(s->player, RECV_MESSAGE, timeout);
        end(s, &c, socket, true, !salut_recv_message(socket, NULL) && errno);
        break;
    case 'u':
        c = call_begin(s->player, SENDTO, timeout);
        end(s, &c, socket, true, salut_sendto(socket, bytes, size, &s->address) < 0);
        break;
    case 'N':
        c = call_begin(s->player, SEND_LINE, timeout);
        end(s, &c, socket, true, salut_send_line(socket, "a line") < 0);
        break;
    case 'w':
        c = call_begin(s->player, FLUSH, timeout);
        end(s, &c, socket, true, salut_flush(socket) < 0);
        break;
    default:
        c = call_begin(s->player, RECVFROM, timeout);
        end(s, &c, socket, true, salut_recvfrom(socket, bytes, size, &s->address) < 0);
    }
}

static void ask(struct stray *s, char word, int slot, int number)
{
    salut_sock *socket = s->slots[slot];
    double seconds = number % 7 == 3 ? NAN : number % 3 ? s->timeout : 0;
    struct call c;

    switch (word) {
    case 'o':
        c = call_begin(s->player, LOCAL, 0);
        end(s, &c, socket, true, salut_local(socket, &s->address) < 0);
        break;
    case 'p':
        c = call_begin(s->player, PEER, 0);
        end(s, &c, socket, true, salut_peer(socket, &s->address) < 0);
        break;
    case 'f':
        c = call_begin(s->player, FD, 0);
        end(s, &c, socket, true, salut_fd(socket) < 0);
        break;
    case 't':
        c = call_begin(s->player, SETTIMEOUT, 0);
        if (salut_settimeout(socket, seconds) == 0)
            s->timeouts[slot] = seconds;
        else
            end(s, &c, socket, true, true);
        break;
    case 'i':
        c = call_begin(s->player, SET_LIMIT, 0);
        end(s, &c, socket, true,
            salut_set_limit(socket, number % 3 ? (size_t)number : SIZE_MAX) < 0);
        break;
    default:
        c = call_begin(s->player, SET_BUFFER, patience(s, slot));
        end(s, &c, socket, true,
            salut_set_buffer(socket, number % 3 ? (size_t)number : SIZE_MAX) < 0);
    }
}

static void others(struct stray *s, char word, int number)
{
    struct call c;
    salut_channel *channel;
    char *text;

    switch (word) {
    case 'R':
        c = call_begin(s->player, RESOLVE, -1);
        end(s, &c, NULL, false,
            salut_resolve(&s->address, some_host(number), some_port(number)) < 0);
        break;
    case 'j':
        c = call_begin(s->player, number % 2 ? JOIN : CANCEL, 0);
        end(s, &c, NULL, false, (number % 2 ? salut_join(NULL) : salut_cancel(NULL)) < 0);
        break;
    case 'q':
        c = call_begin(s->player, CHANNEL_CREATE, 0);
        channel = salut_channel_create((size_t)number, (size_t)number % 2 ? 70000 : 8);
        end(s, &c, NULL, false, !channel);
        salut_channel_free(channel);
        break;
    case 'd':
        c = call_begin(s->player, DECODE, 0);
        text = salut_decode("caf\xc3\xa9 \xff", number % 8);
        end(s, &c, NULL, false, !text);
        free(text);
        break;
    case 'D':
        salut_clear_error();
        if (salut_failed() || *salut_error())
            wrong("clear_error", "the failure is still there: %s", salut_error());
        s->last_failure = 0;
        break;
    case 'Z':
        c = call_begin(s->player, SLEEP, 0);
        end(s, &c, NULL, false, salut_sleep(NAN) < 0);
        break;
    case 'G':
        c = call_begin(s->player, GO, 0);
        end(s, &c, NULL, false, !salut_go(NULL, NULL));
        break;
    case 'J':
        c = call_begin(s->player, JOIN, 0);
        end(s, &c, NULL, false, salut_join(s->player->fiber) < 0);
        break;
    default:
        player_sleep(s->player, number % 5 / 1000.0);
    }
}

static void step(struct stray *s, struct step what)
{
    int slot = within(what.number, SLOTS), number = within(what.number, 1000000) / SLOTS;

    if (strchr("kSCFaP", what.word))
        make(s, what.word, slot, number);
    else if (strchr("blchTVx", what.word))
        place(s, what.word, slot, number);
    else if (strchr("srenmuvNw", what.word))
        transfer(s, what.word, slot, (size_t)within(number * number, ROOM_BYTES));
    else if (strchr("opftig", what.word))
        ask(s, what.word, slot, number);
    else
        others(s, what.word, number);
}

void play_stray(struct player *p)
{
    struct stray s = {.player = p};
    const struct list *list = &p->part->lists[0];

    s.timeout = within(p->part->fields[STRAY_TIMEOUT_MS], 1000) / 1000.0;
    for (int i = 0; i < list->count; i++)
        step(&s, list->steps[i]);
    for (int slot = 0; slot < SLOTS; slot++)
        put(&s, slot, NULL);
}
