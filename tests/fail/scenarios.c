/* scenarios.c: each scenario uses many words at once, server and client in one process, and is
 * strict about what it gets: it can't tell a failure from a success that is none.
 *
 *     scenarios             their names
 *     scenarios NAME        status 0: all was as it should be
 *                           status 1: a word failed, and standard error says which and why
 *                           status 3: a lie or a leak, which is never right
 *
 * A scenario's parts are fibers. One that meets a failure says so and has the others canceled, so
 * that nobody waits for it; nothing is then expected of the results but that what came is what
 * was sent. All runs on a thread of its own, which must leave nothing behind. */
#include "fail/shim.h"

#include <salut.h>
#include <salut/sim.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- What all of them need ----------------------------------------------------------------- */

enum { PARTS_MAX = 64 };

static _Thread_local salut_fiber *parts[PARTS_MAX];
static _Thread_local unsigned parts_count;
static atomic_bool trouble; /* a word has failed, and that was said */
static atomic_bool lied;
static const char *_Atomic unmet; /* what was expected in vain */

static void lie(const char *what)
{
    fprintf(stderr, "scenarios: a lie: %s\n", what);
    atomic_store(&lied, true);
}

/* Whatever failed. */
static void must(bool truth, const char *what)
{
    if (!truth)
        lie(what);
}

/* Unless something has failed, or fails later. */
static void expect(bool truth, const char *what)
{
    if (!truth)
        atomic_store(&unmet, what);
}

static bool simulating; /* the parts are of another world */

static void give_up(const char *sentence)
{
    fprintf(stderr, "scenarios: %s\n", sentence);
    atomic_store(&trouble, true);
    for (unsigned i = 0; i < parts_count && !simulating; i++)
        salut_cancel(parts[i]);
}

/* No word has failed on this fiber. */
static bool well(void)
{
    char sentence[1024];

    if (!salut_failed())
        return true;
    must(salut_error()[0] != '\0', "a failure has no sentence");
    snprintf(sentence, sizeof sentence, "%s", salut_error());
    salut_clear_error();
    give_up(sentence);
    return false;
}

/* The word on this fiber that has just failed was to fail so. */
static bool failed_as_it_should(int number)
{
    if (errno != number)
        return well();
    must(salut_failed() && salut_error()[0], "an expected failure is not told");
    salut_clear_error();
    return true;
}

static salut_fiber *begin_part(void (*function)(void *), void *argument)
{
    salut_fiber *f = salut_go(function, argument);

    if (!well())
        return NULL;
    must(f != NULL, "go gives nothing and says nothing");
    parts[parts_count++] = f;
    return f;
}

/* ---- Names, and a conversation ------------------------------------------------------------- */

static char address[64];

static void make_address(const char *host, const salut_addr *here)
{
    snprintf(address, sizeof address, "%s:%d", host, salut_addr_port(here));
}

static void greet(void *unused)
{
    salut_sock *s = salut_create_connection(address);
    char answer[8] = "";
    ssize_t size;

    (void)unused;
    salut_send(s, "Salut le serveur !", 18);
    salut_shutdown(s, SHUT_WR);
    if (well()) {
        size = salut_recv_exactly(s, answer, 7);
        must(size < 1 || (size == 7 && !memcmp(answer, "Salut !", 7)), "another answer came");
        expect(size == 7, "the answer came");
    }
    salut_close(s);
    well();
}

/* Until the other end is done. */
static size_t hear_all(salut_sock *s, char *buffer, size_t room)
{
    size_t have = 0;
    ssize_t size;

    while (have < room && (size = salut_recv(s, buffer + have, room - have)) > 0)
        have += (size_t)size;
    return have;
}

static void answer_greeting(salut_sock *server)
{
    char buffer[64];
    salut_addr peer;
    salut_sock *client = salut_accept(server, &peer);
    size_t size = hear_all(client, buffer, sizeof buffer);
    char *text = well() ? salut_decode(buffer, (ssize_t)size) : NULL;

    must(size <= 18 && !memcmp(buffer, "Salut le serveur !", size), "other words came");
    expect(text && !strcmp(text, "Salut le serveur !"), "the greeting came whole");
    must(client || !salut_addr_host(&peer)[0], "nobody came, and has an address");
    free(text);
    salut_send(client, "Salut !", 7);
    salut_close(client);
    well();
}

static void greet_by_name(void *unused)
{
    salut_sock *server = salut_create_server("localhost:0");
    salut_addr here;

    (void)unused;
    salut_local(server, &here);
    make_address("localhost", &here);
    if (well() && begin_part(greet, NULL))
        answer_greeting(server);
    salut_close(server);
    well();
}

static void greet_everywhere(void *unused)
{
    salut_sock *server = salut_create_server(":0");
    salut_addr here;

    (void)unused;
    salut_local(server, &here);
    make_address("127.0.0.1", &here);
    if (well() && begin_part(greet, NULL))
        answer_greeting(server);
    make_address("[::1]", &here);
    if (well() && here.raw.any.sa_family == AF_INET6 && begin_part(greet, NULL))
        answer_greeting(server);
    salut_close(server);
    well();
}

/* ---- Lines, gathered ----------------------------------------------------------------------- */

enum { LINES = 200 };

static void say_lines(void *socket)
{
    salut_sock *s = socket;
    char line[64];

    salut_set_buffer(s, 1024);
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof line, "line %d of so many that it has to be sent on", i);
        salut_send_line(s, line);
        if (i % 50 == 49)
            salut_flush(s);
    }
    salut_set_buffer(s, 0);
    salut_close(s);
    well();
}

static void hear_lines(void *socket)
{
    salut_sock *s = socket;
    char line[64];
    size_t size;
    char *came;
    int i = 0;

    salut_set_limit(s, 64);
    while ((came = salut_recv_line(s, &size))) {
        snprintf(line, sizeof line, "line %d of so many that it has to be sent on", i++);
        must(!strcmp(came, line) && size == strlen(line), "another line came");
    }
    must(i <= LINES, "more lines came than were sent");
    expect(i == LINES, "all lines came");
    salut_close(s);
    well();
}

static void lines(void *unused)
{
    salut_sock *a, *b;

    (void)unused;
    if (salut_pair(&a, &b))
        must(!a && !b, "a pair that failed is there");
    if (!well() || !begin_part(say_lines, a))
        salut_close(a);
    else if (begin_part(hear_lines, b))
        return;
    salut_close(b);
    well();
}

/* ---- Messages, both ways, larger than any buffer -------------------------------------------- */

enum { MESSAGE_BYTES = 1000000 };

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 31 + at / 256);
}

static void say_message(void *socket)
{
    unsigned char *message = malloc(MESSAGE_BYTES);

    if (!message) {
        give_up("no memory for the message: Cannot allocate memory");
        return;
    }
    for (size_t i = 0; i < MESSAGE_BYTES; i++)
        message[i] = pattern(i);
    salut_send_message(socket, message, MESSAGE_BYTES);
    salut_send_message(socket, NULL, 0);
    salut_shutdown(socket, SHUT_WR);
    free(message);
    well();
}

static void hear_message(void *socket)
{
    size_t size;
    unsigned char *message = salut_recv_message(socket, &size);

    must(!message || size == MESSAGE_BYTES, "a message of another size came");
    for (size_t i = 0; i < size; i++) {
        if (message[i] != pattern(i)) {
            lie("another message came");
            break;
        }
    }
    if (message) {
        message = salut_recv_message(socket, &size);
        must(!message || !size, "the empty message isn't empty");
    }
    if (message)
        must(!salut_recv_message(socket, &size), "a third message came");
    expect(message, "both messages came");
    well();
}

/* Both at once, and the one that came second closes. */
static void messages_at(void *socket)
{
    salut_fiber *says = begin_part(say_message, socket);

    if (says)
        hear_message(socket);
    salut_join(says);
    salut_clear_error();
    salut_close(socket);
    well();
}

static void messages(void *unused)
{
    salut_addr here;
    salut_sock *server = salut_create_server("127.0.0.1:0");
    salut_sock *client = salut_socket(SALUT_TCP), *end;

    (void)unused;
    salut_local(server, &here);
    if (well())
        salut_connect(client, "127.0.0.1", salut_addr_port(&here));
    end = well() ? salut_accept(server, NULL) : NULL;
    salut_close(server);
    if (!well() || !begin_part(messages_at, end))
        salut_close(end);
    else if (begin_part(messages_at, client))
        return;
    salut_close(client);
    well();
}

/* ---- Exactly so many ----------------------------------------------------------------------- */

/* What a failed call has taken, the next one must give again, or nobody may get the rest. */
static void exactly(void *unused)
{
    char buffer[11] = "";
    salut_sock *a, *b;
    ssize_t size;

    (void)unused;
    salut_pair(&a, &b);
    salut_send(a, "012", 3);
    salut_settimeout(b, 0);
    if (well()) {
        size = salut_recv_exactly(b, buffer, 10);
        must(size < 0, "3 bytes are said to be 10");
        failed_as_it_should(EAGAIN);
        salut_send(a, "3456789", 7);
        salut_shutdown(a, SHUT_WR);
        well();
        size = salut_recv_exactly(b, buffer, 10);
        must(size < 0 || (size == 10 && !strcmp(buffer, "0123456789")), "bytes were lost");
        expect(size == 10, "all ten bytes came");
        if (size == 10)
            must(salut_recv(b, buffer, 10) <= 0, "an eleventh byte came");
    }
    salut_close(a);
    salut_close(b);
    well();
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

static void answer_datagrams(void *socket)
{
    char text[32];
    salut_addr from;
    ssize_t size;

    for (int i = 0; i < 3 && !salut_failed(); i++) {
        size = salut_recvfrom(socket, text, sizeof text, &from);
        must(size >= 0 || !salut_addr_host(&from)[0], "nothing came, and has a sender");
        if (size >= 0)
            salut_sendto(socket, text, (size_t)size, &from);
    }
    well();
}

static void ask_datagrams(salut_sock *s, const salut_addr *to)
{
    char answer[32];
    ssize_t size = salut_sendto(s, "one", 3, to);

    if (size >= 0)
        size = salut_recv(s, answer, sizeof answer);
    must(size < 0 || (size == 3 && !memcmp(answer, "one", 3)), "another datagram came");
    if (!well())
        return;
    salut_connect(s, "127.0.0.1", salut_addr_port(to));
    size = salut_send(s, "", 0);
    if (!salut_failed())
        size = salut_recv(s, answer, sizeof answer);
    must(size <= 0, "the empty datagram isn't empty");
    if (!well())
        return;
    salut_send(s, "too long", 8);
    if (!well())
        return;
    size = salut_recv(s, answer, 3);
    must(size < 0, "a datagram was cut");
    failed_as_it_should(EMSGSIZE);
}

static void datagrams(void *unused)
{
    salut_sock *server = salut_create_server("udp:localhost:0");
    salut_sock *client = salut_socket(SALUT_UDP);
    salut_addr there;

    (void)unused;
    if (!salut_local(server, &there) && salut_resolve(&there, "localhost", salut_addr_port(&there)))
        must(!salut_addr_host(&there)[0], "no address was found, and there is one");
    if (well() && begin_part(answer_datagrams, server))
        ask_datagrams(client, &there);
    salut_close(client);
    if (parts_count > 1)
        salut_join(parts[1]);
    salut_close(server);
    well();
}

/* ---- Paths --------------------------------------------------------------------------------- */

static void visit(void *unused)
{
    salut_sock *s = salut_socket(SALUT_UNIX);
    char answer[8] = "";
    ssize_t size;

    (void)unused;
    salut_connect(s, "door", 0);
    salut_send(s, "knock", 5);
    if (well()) {
        size = salut_recv_exactly(s, answer, 7);
        must(size < 1 || !strcmp(answer, "come in"), "another answer came");
        expect(size == 7, "the answer came");
    }
    salut_close(s);
    well();
}

static void let_in(salut_sock *door)
{
    salut_sock *visitor = salut_accept(door, NULL);
    char buffer[8];
    ssize_t size = salut_recv_exactly(visitor, buffer, 5);

    must(size < 1 || !memcmp(buffer, "knock", 5), "another visitor came");
    salut_send(visitor, "come in", 7);
    salut_close(visitor);
    if (!well())
        return;
    /* This asks whether somebody is there, and is never accepted. */
    must(!salut_create_server("unix:door"), "one path, and two listeners");
    failed_as_it_should(EADDRINUSE);
}

/* To itself. */
static void send_a_letter(void)
{
    salut_sock *letters = salut_socket(SALUT_UNIX_DATAGRAM);
    char buffer[8];

    salut_bind(letters, "letters", 0);
    salut_connect(letters, "letters", 0);
    salut_send(letters, "salut", 5);
    if (well())
        must(salut_recv(letters, buffer, sizeof buffer) < 1 || !memcmp(buffer, "salut", 5),
             "another datagram came");
    salut_close(letters);
    must(!well() || access("letters", F_OK), "all is well, and a path is left");
}

static void paths(void *unused)
{
    salut_sock *door = salut_create_server("unix:door");

    (void)unused;
    if (well() && begin_part(visit, NULL))
        let_in(door);
    salut_close(door);
    must(!well() || access("door", F_OK), "all is well, and a path is left");
    send_a_letter();
}

/* ---- Descriptors from elsewhere ------------------------------------------------------------ */

static int listening_descriptor(struct sockaddr_in *here)
{
    socklen_t size = sizeof *here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *here = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd >= 0 && (bind(fd, (struct sockaddr *)here, size) || listen(fd, 1) ||
                    getsockname(fd, (struct sockaddr *)here, &size))) {
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        char sentence[128];
        snprintf(sentence, sizeof sentence, "no listener: %s", strerror(errno));
        give_up(sentence);
    }
    return fd;
}

static void descriptors(void *unused)
{
    struct sockaddr_in here;
    int fd = listening_descriptor(&here);
    salut_sock *server = fd < 0 ? NULL : salut_from_fd(fd);
    salut_sock *client, *end, *again;
    salut_addr peer;
    char byte = 0;

    (void)unused;
    if (!server && fd >= 0)
        close(fd);
    if (!server) {
        well();
        return;
    }
    client = salut_socket(SALUT_TCP);
    salut_connect(client, "127.0.0.1", ntohs(here.sin_port));
    end = well() ? salut_accept(server, NULL) : NULL;
    if (end) {
        fd = fcntl(salut_fd(end), F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            give_up(strerror(errno));
        salut_close(end);
        again = salut_from_fd(fd);
        if (!again && fd >= 0)
            close(fd);
        salut_send(again, "x", 1);
        must(salut_peer(again, &peer) || !strcmp(salut_addr_host(&peer), "127.0.0.1"),
             "the peer is somebody else");
        salut_close(again);
        if (well()) {
            salut_recv(client, &byte, 1);
            expect(byte == 'x', "the byte came");
        }
    }
    salut_close(client);
    salut_close(server);
    well();
}

/* ---- Fibers -------------------------------------------------------------------------------- */

enum { SLEEPERS = 40 };

static unsigned slept;

static void sleep_a_little(void *number)
{
    salut_yield();
    salut_sleep((double)*(int *)number / 10000);
    slept += !salut_failed();
    well();
}

static void sleep_for_ever(void *unused)
{
    (void)unused;
    must(salut_sleep(1e6) < 0, "a million seconds have passed");
    failed_as_it_should(ECANCELED);
}

static void fibers(void *unused)
{
    static int numbers[SLEEPERS];
    salut_fiber *for_ever = begin_part(sleep_for_ever, NULL);
    unsigned first = parts_count;

    (void)unused;
    for (int i = 0; i < SLEEPERS; i++) {
        numbers[i] = i;
        if (!begin_part(sleep_a_little, &numbers[i]))
            break;
    }
    for (unsigned i = first; i < parts_count; i++)
        salut_join(parts[i]);
    if (for_ever)
        salut_cancel(for_ever);
    expect(slept == SLEEPERS, "all have slept");
    well();
}

/* ---- A child process ------------------------------------------------------------------------- */

static void hear_a_word(void *socket)
{
    char word[8];

    salut_recv(socket, word, sizeof word);
    salut_close(socket);
    well();
}

static void say_a_word(void *socket)
{
    salut_send(socket, "salut", 5);
    salut_shutdown(socket, SHUT_WR);
    well();
}

/* The part that hears is no more here: another may hear where it did. Status: as the program's. */
static int in_child(salut_sock *a, salut_sock *b)
{
    char word[8];
    ssize_t size = 0;

    parts_count = 0;
    if (begin_part(say_a_word, a))
        size = salut_recv(b, word, sizeof word);
    well();
    expect(size == 5, "the word came in the child process");
    return atomic_load(&trouble) ? 1 : atomic_load(&lied) || atomic_load(&unmet) ? 3 : 0;
}

static void wait_for_child(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
        lie("the child process neither ended well nor said why not");
    else if (WEXITSTATUS(status))
        give_up("the child process failed");
}

static void child_process(void *unused)
{
    salut_sock *a, *b;
    pid_t child;

    (void)unused;
    salut_pair(&a, &b);
    if (well() && begin_part(hear_a_word, b)) {
        salut_yield(); /* now it waits */
        child = well() ? fork() : -1;
        if (child == 0)
            _exit(in_child(a, b));
        if (child > 0)
            wait_for_child(child);
    } else {
        salut_close(b);
    }
    salut_close(a);
    well();
}

/* ---- Channels, between fibers and threads -------------------------------------------------- */

enum { ITEMS = 100, CAPACITY = 4 };

/* Sends 0, 1, 2 ... and no more. */
static void produce(void *channel)
{
    for (int i = 0; i < ITEMS; i++) {
        if (salut_channel_send(channel, &i))
            break;
    }
    salut_channel_close(channel);
    well();
}

static void *produce_elsewhere(void *channel)
{
    produce(channel);
    return NULL;
}

static void consume(void *channel)
{
    int item, next = 0;

    while (salut_channel_recv(channel, &item) == 1)
        must(item == next++, "another item came");
    must(next <= ITEMS, "more items came than were sent");
    expect(next == ITEMS, "all items came");
    well();
    salut_channel_close(channel); /* so that nobody sends in vain */
    salut_clear_error();
}

static salut_channel *near, *far; /* freed when all parts have ended */

static void channels(void *unused)
{
    pthread_t thread;
    int failure;

    (void)unused;
    near = salut_channel_create(CAPACITY, sizeof(int));
    far = salut_channel_create(CAPACITY, sizeof(int));
    if (well() && begin_part(produce, near)) {
        consume(near);
        salut_join(parts[1]);
        salut_clear_error();
    }
    if (far && !atomic_load(&trouble)) {
        failure = pthread_create(&thread, NULL, produce_elsewhere, far);
        if (failure) {
            give_up("no thread: Resource temporarily unavailable");
        } else {
            consume(far);
            pthread_join(thread, NULL);
        }
    }
}

/* ---- A server for many --------------------------------------------------------------------- */

enum { CLIENTS = 4 };

static salut_sock *served;
static atomic_int clients_left;

static void echo_lines(salut_sock *client, void *unused)
{
    char *line;

    (void)unused;
    while ((line = salut_recv_line(client, NULL)) && salut_send_line(client, line) >= 0)
        continue;
    well();
}

static void be_served(void *number)
{
    salut_sock *s = salut_create_connection(address);
    char said[16];
    char *heard;

    for (int i = 0; i < 3 && !salut_failed(); i++) {
        snprintf(said, sizeof said, "%d: %d", *(int *)number, i);
        if (salut_send_line(s, said) < 0)
            break;
        heard = salut_recv_line(s, NULL);
        must(!heard || !strcmp(heard, said), "another line came");
        expect(heard, "each line came back");
    }
    salut_close(s);
    well();
    if (atomic_fetch_sub(&clients_left, 1) == 1) {
        salut_stop(served);
        salut_clear_error(); /* EINVAL when serve has failed, which has said why */
    }
}

static void serve_many(void *unused)
{
    static int numbers[CLIENTS];
    salut_serve_options options = {.workers = 2,
                                   .connections_max = 3,
                                   .idle_seconds = 30,
                                   .leave_signals = 0,
                                   .drain_seconds = 20};
    salut_addr here;

    (void)unused;
    served = salut_create_server("127.0.0.1:0");
    salut_local(served, &here);
    make_address("127.0.0.1", &here);
    atomic_store(&clients_left, CLIENTS);
    for (int i = 0; i < CLIENTS && well(); i++) {
        numbers[i] = i;
        begin_part(be_served, &numbers[i]);
    }
    if (well() && !atomic_load(&trouble))
        salut_serve(served, echo_lines, NULL, &options);
    salut_close(served);
    well();
}

/* ---- Text ---------------------------------------------------------------------------------- */

static void text(void *unused)
{
    static const char whole[] = "Ça va, là-bas ? \xf0\x9f\x91\x8b";
    salut_decoder d = {0};
    char together[sizeof whole] = "";
    char *piece;

    (void)unused;
    for (size_t i = 0; i < strlen(whole);) {
        piece = salut_decoder_decode(&d, whole + i, 1);
        if (!piece) { /* the piece may come again, when there is memory */
            if (errno != ENOMEM || !well())
                return;
            continue;
        }
        strcat(together, piece);
        free(piece);
        i++;
    }
    must(!strcmp(together, whole), "the pieces make another text");
    piece = salut_decode(whole, (ssize_t)strlen(whole));
    must(!piece || !strcmp(piece, whole), "it is another text");
    free(piece);
    if (well()) {
        must(!salut_decode("\xff", 1), "a byte that isn't text is");
        failed_as_it_should(EILSEQ);
    }
}

/* ---- A simulated network ------------------------------------------------------------------- */

static void simulated_server(void *unused)
{
    salut_sock *server = salut_create_server(":63000");

    (void)unused;
    salut_serve(server, echo_lines, NULL, NULL);
    salut_close(server);
    salut_check();
}

static void simulated_main(void *came)
{
    salut_sim_host *server = salut_sim_add_host("server");
    salut_sock *s;
    char *line;

    salut_check();
    salut_sim_add_name(server, "printer", NULL);
    salut_sim_start(server, simulated_server, NULL);
    salut_sleep(0.01);
    if (salut_sim_last_words(server)[0])
        give_up(salut_sim_last_words(server));
    salut_check();
    s = salut_create_connection("printer:63000");
    salut_send_line(s, "Salut !");
    salut_check();
    line = salut_recv_line(s, NULL);
    must(!line || !strcmp(line, "Salut !"), "another line came");
    *(bool *)came = line != NULL;
    salut_close(s);
    salut_sim_interrupt(server);
    expect(salut_sim_join(server) == 0, "the server ended well");
    if (salut_sim_last_words(server)[0])
        give_up(salut_sim_last_words(server));
    salut_check();
}

static void simulated(void *unused)
{
    salut_sim_options options = {.trace = "trace", .diagram = "diagram", .seconds_max = 1000};
    bool came = false;

    (void)unused;
    simulating = true;
    if (!salut_sim_run(1, simulated_main, &came, &options))
        expect(came, "the line came back");
    simulating = false;
    well();
}

/* ---- All of them --------------------------------------------------------------------------- */

static const struct scenario {
    const char *name;
    void (*run)(void *unused);
} scenarios[] = {
    {"greet_by_name", greet_by_name},
    {"greet_everywhere", greet_everywhere},
    {"lines", lines},
    {"messages", messages},
    {"exactly", exactly},
    {"datagrams", datagrams},
    {"paths", paths},
    {"descriptors", descriptors},
    {"fibers", fibers},
    {"child_process", child_process},
    {"channels", channels},
    {"serve_many", serve_many},
    {"text", text},
    {"simulated", simulated},
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static void *run(void *argument)
{
    const struct scenario *scenario = argument;

    begin_part(scenario->run, NULL);
    for (unsigned i = 0; i < parts_count; i++)
        salut_join(parts[i]);
    salut_channel_free(near);
    salut_channel_free(far);
    well();
    must(shim_holdings().sockets == 0, "all sockets are closed, and descriptors are open");
    return NULL;
}

/* A name that nobody waits for any more is looked up all the same, and then forgotten. */
static bool nothing_is_held(void)
{
    for (int tries = 0; tries < 3000; tries++) {
        struct shim_holdings left = shim_holdings();
        if (!left.blocks && !left.maps && !left.descriptors && !left.sockets)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

static int report(void)
{
    struct shim_holdings left;

    if (!nothing_is_held()) {
        left = shim_holdings();
        fprintf(stderr,
                "scenarios: a leak: %lld blocks, %lld maps, %lld descriptors (%lld of sockets)\n",
                (long long)left.blocks, (long long)left.maps, (long long)left.descriptors,
                (long long)left.sockets);
        return 3;
    }
    if (!atomic_load(&trouble) && atomic_load(&unmet))
        lie(atomic_load(&unmet));
    if (atomic_load(&lied))
        return 3;
    return atomic_load(&trouble) ? 1 : 0;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int failure;

    for (size_t i = 0; i < SCENARIOS; i++) {
        if (argc == 1)
            puts(scenarios[i].name);
        else if (!strcmp(argv[1], scenarios[i].name)) {
            failure = pthread_create(&thread, NULL, run, (void *)&scenarios[i]);
            if (failure) {
                fprintf(stderr, "scenarios: no thread: %s\n", strerror(failure));
                return 1;
            }
            pthread_join(thread, NULL);
            return report();
        }
    }
    return argc == 1 ? 0 : 2;
}
