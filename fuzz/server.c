/* server.c: salut_serve() with a handler for bytes, lines or messages, attacked by up to four
 * clients over a simulated network that may fail. Each client gets back the beginning of what it
 * sent and nothing else; when the attack is over a well-behaved client is served; and the server
 * stops when it is told to. A run, done again, is the same.
 *
 * How, in pairs of a letter and a number n:
 *     H  the handler: n % 3 is bytes, lines, messages    S  the seed, and the network isn't calm
 *     D  the server may have n descriptors               X  n in 1000 of its calls lack memory
 *     I  idle_seconds is n / 10    P  request_seconds is n / 10    M  connections_max is n
 *     F  n in 1000 packets break a connection            B  at most n bytes a read
 *     T  run it twice              G  the handler's sends gather in 8 n bytes
 *     C  the next client           c  it sends n + 1 bytes      p  it waits n / 100 seconds
 *     r  it receives n + 1 bytes   d  it says that it's done    q  it closes, and connects again
 *     k  its host loses power      z  its cable is cut, or put back
 * What is sent is the matter, piece after piece. */
#include "fuzz/fuzz.h"

#include <salut/sim.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 4, STEPS_MAX = 64, CLIENT_BYTES_MAX = 8192, LIMIT = 100, PORT = 63000 };

static const double PATIENCE_SECONDS = 2; /* of a client, for each call */

enum kind { BYTES, LINES, MESSAGES };

struct client_step {
    char letter;
    unsigned number;
    const uint8_t *bytes; /* what is sent */
    size_t size;
};

struct client {
    struct attack *attack;
    salut_sim_host *host;
    bool cut; /* its cable */
    unsigned step_count;
    struct client_step steps[STEPS_MAX];
    salut_sock *sock;
    bool broken;       /* this connection */
    size_t sent, come; /* on it: what has to come back, and what has */
    uint8_t expected[CLIENT_BYTES_MAX];
};

struct attack {
    enum kind kind;
    uint64_t seed;
    bool wild, twice;
    size_t gathered_max;
    salut_sim_limits limits;
    double resets;
    salut_serve_options serve;
    unsigned client_count;
    struct client clients[CLIENTS_MAX];
    bool vanish; /* some may, without a word: the server can't know it */
    bool listens;
};

/* ---- Reading the script -------------------------------------------------------------------- */

static void set_world(struct attack *a, const struct step *step)
{
    unsigned n = step->number;

    switch (step->letter) {
    case 'H':
        a->kind = (enum kind)(n % 3);
        break;
    case 'S':
        a->seed = n;
        a->wild = true;
        break;
    case 'T':
        a->twice = true;
        break;
    case 'G':
        a->gathered_max = 8 * n;
        break;
    case 'D':
        a->limits.descriptors_max = n + 1;
        break;
    case 'X':
        a->limits.exhaustion = n / 1000.0;
        break;
    case 'F':
        a->resets = n / 1000.0;
        break;
    case 'B':
        a->limits.read_bytes_max = n;
        break;
    case 'I':
        a->serve.idle_seconds = n / 10.0;
        break;
    case 'P':
        a->serve.request_seconds = n / 10.0;
        break;
    case 'M':
        a->serve.connections_max = n;
        break;
    }
}

static void add_step(struct attack *a, struct script *rest, const struct step *step)
{
    struct client *c = &a->clients[a->client_count - 1];
    struct client_step *s;
    size_t size = step->number + 1u < rest->size ? step->number + 1u : rest->size;

    if (c->step_count == STEPS_MAX)
        return;
    a->vanish |= step->letter == 'k' || step->letter == 'z';
    s = &c->steps[c->step_count++];
    *s = (struct client_step){step->letter, step->number, rest->bytes, size};
    if (step->letter == 'c') {
        rest->bytes += size;
        rest->size -= size;
    }
}

static void read_script(struct attack *a, struct script rest)
{
    struct step step;

    a->client_count = 1;
    while (fuzz_next_step(&rest, "HSTGDXFBIPMCcprdqkz", &step)) {
        if (step.letter == 'C')
            a->client_count += a->client_count < CLIENTS_MAX;
        else if (strchr("cprdqkz", step.letter))
            add_step(a, &rest, &step);
        else
            set_world(a, &step);
    }
    add_step(a, &rest, &(struct step){'c', UINT16_MAX});
    for (unsigned i = 0; i < a->client_count; i++)
        a->clients[i].attack = a;
}

/* ---- The server ---------------------------------------------------------------------------- */

static void require_documented(const char *word, int number)
{
    static const int documented[] = {EPROTO, EMSGSIZE, ECONNRESET, EPIPE,  ETIMEDOUT, ECANCELED,
                                     ENOMEM, ENOBUFS,  EMFILE,     ENFILE, 0};

    if (number)
        fuzz_require_failure(word, number, documented);
}

static void echo(salut_sock *client)
{
    char buffer[64];
    ssize_t size;

    while ((size = salut_recv(client, buffer, sizeof buffer)) > 0) {
        if (salut_send(client, buffer, (size_t)size) < 0)
            break;
    }
    require_documented("recv", size ? errno : 0);
}

static void echo_lines(salut_sock *client)
{
    size_t size;
    char *line;
    bool well = true;

    while (well && (line = salut_recv_line(client, &size)) != NULL) {
        fuzz_require(size <= LIMIT && !memchr(line, '\n', size), "a line, not too long");
        line[size] = '\n'; /* in the place of its NUL */
        well = salut_send(client, line, size + 1) >= 0;
    }
    require_documented("recv_line", errno);
}

static void echo_messages(salut_sock *client)
{
    size_t size;
    void *message;
    bool well = true;

    while (well && (message = salut_recv_message(client, &size)) != NULL) {
        fuzz_require(size <= LIMIT, "a message, not too long");
        well = salut_send_message(client, message, size) >= 0;
    }
    require_documented("recv_message", errno);
}

static void handle(salut_sock *client, void *argument)
{
    struct attack *a = argument;

    salut_set_limit(client, LIMIT);
    salut_set_buffer(client, a->gathered_max);
    if (a->kind == BYTES)
        echo(client);
    else if (a->kind == LINES)
        echo_lines(client);
    else
        echo_messages(client);
}

static void serve(void *argument)
{
    struct attack *a = argument;
    salut_sock *listener = salut_socket(SALUT_TCP);

    while (salut_bind(listener, NULL, PORT) || salut_listen(listener, 0)) {
        require_documented("listen", errno);
        salut_sleep(0.1); /* until there is memory again */
    }
    a->listens = true;
    if (salut_serve(listener, handle, a, &a->serve))
        fuzz_require(errno == ETIMEDOUT && a->vanish, "serving ends well: %s", salut_error());
    salut_close(listener);
}

/* ---- A client ------------------------------------------------------------------------------ */

/* A line comes back without the CR before its newline. */
static void expect(struct client *c, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (c->attack->kind == LINES && bytes[i] == '\n' && c->sent &&
            c->expected[c->sent - 1] == '\r')
            c->sent--;
        c->expected[c->sent++] = bytes[i];
    }
}

/* After a failure what was sent can't be known. */
static void send_some(struct client *c, const uint8_t *bytes, size_t size)
{
    if (size > sizeof c->expected - c->sent)
        size = sizeof c->expected - c->sent;
    if (c->broken)
        return;
    expect(c, bytes, size);
    c->broken = salut_send(c->sock, bytes, size) < 0;
}

static void receive(struct client *c, size_t size)
{
    uint8_t buffer[256];
    ssize_t received = salut_recv(c->sock, buffer, size);

    for (ssize_t i = 0; i < received; i++) {
        fuzz_require(c->come < c->sent && buffer[i] == c->expected[c->come],
                     "byte %zu that comes back is what was sent", c->come);
        c->come++;
    }
}

static void connect_again(struct client *c)
{
    salut_close(c->sock);
    c->sent = c->come = 0;
    c->sock = salut_socket(SALUT_TCP);
    salut_settimeout(c->sock, PATIENCE_SECONDS);
    c->broken = salut_connect(c->sock, "server", PORT) != 0;
}

static void pull_the_cable(struct client *c)
{
    if (c->cut)
        salut_sim_heal(c->host, NULL);
    else
        salut_sim_cut(c->host, NULL);
    c->cut = !c->cut;
}

static void do_step(struct client *c, const struct client_step *s)
{
    switch (s->letter) {
    case 'c':
        send_some(c, s->bytes, s->size);
        break;
    case 'p':
        salut_sleep(s->number / 100.0);
        break;
    case 'r':
        receive(c, s->number + 1u);
        break;
    case 'd':
        salut_shutdown(c->sock, SHUT_WR);
        break;
    case 'q':
        connect_again(c);
        break;
    case 'z':
        pull_the_cable(c);
        break;
    case 'k':
        salut_sim_crash(c->host); /* and doesn't return */
        break;
    }
}

static void attack_as(void *argument)
{
    struct client *c = argument;

    connect_again(c);
    for (unsigned i = 0; i < c->step_count; i++)
        do_step(c, &c->steps[i]);
    salut_close(c->sock);
}

/* ---- The run ------------------------------------------------------------------------------- */

static void set_links(double jitter, double resets)
{
    salut_sim_link link = {.latency_seconds = 0.001, .jitter_seconds = jitter, .resets = resets};

    fuzz_require(!salut_sim_set_link(NULL, NULL, &link), "%s", salut_error());
}

static void attack(struct attack *a)
{
    static const char *const names[CLIENTS_MAX] = {"client-0", "client-1", "client-2", "client-3"};

    for (unsigned i = 0; i < a->client_count; i++)
        a->clients[i].host = salut_sim_add_host(names[i]);
    set_links(a->wild ? 0.001 : 0, a->resets);
    for (unsigned i = 0; i < a->client_count; i++)
        salut_sim_start(a->clients[i].host, attack_as, &a->clients[i]);
    for (unsigned i = 0; i < a->client_count; i++)
        salut_sim_join(a->clients[i].host);
    salut_sim_heal(NULL, NULL);
    set_links(0, 0);
}

/* In all three ways of speaking it comes back as it is. */
static void require_service(void)
{
    static const char said[] = "\0\0\0\4abc\n";
    char heard[sizeof said];
    salut_sock *sock;

    salut_clear_error();
    sock = salut_create_connection("server:63000");
    salut_send(sock, said, sizeof said - 1);
    fuzz_require(salut_recv_exactly(sock, heard, sizeof said - 1) == sizeof said - 1,
                 "who behaves is served: %s", salut_error());
    fuzz_require(!memcmp(heard, said, sizeof said - 1), "and gets the answer");
    salut_close(sock);
}

static void run(void *argument)
{
    struct attack *a = argument;
    salut_sim_host *server = salut_sim_add_host("server");

    salut_sim_limit(server, &a->limits);
    salut_sim_start(server, serve, a);
    while (!a->listens)
        salut_sleep(0.01);
    attack(a);
    salut_sim_limit(server, NULL);
    if (!a->serve.connections_max || !a->vanish) /* or they may have all the places */
        require_service();
    salut_sim_interrupt(server);
    fuzz_require(!salut_sim_join(server), "the server stops: %s", salut_sim_last_words(server));
}

static uint64_t run_once(const struct script *script, bool *twice)
{
    struct attack *a = calloc(1, sizeof *a);
    salut_sim_options options;

    read_script(a, *script);
    *twice = a->twice;
    options = (salut_sim_options){.calm = !a->wild};
    fuzz_require(!salut_sim_run(a->seed, run, a, &options), "%s", salut_error());
    salut_clear_error();
    free(a);
    return salut_sim_last().trace_hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct script script = fuzz_script(bytes, size);
    bool twice;
    uint64_t hash = run_once(&script, &twice);

    fuzz_require(!twice || run_once(&script, &twice) == hash, "one seed, one run");
    return 0;
}
