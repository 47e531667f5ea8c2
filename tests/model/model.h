/* A program being played on the simulated network, and what must be true of it. Everything lies in
 * one process, so the model sees both ends of each conversation, and what happened to the hosts. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "model/program.h"
#include "model/words.h"

#include <salut.h>
#include <salut/sim.h>

enum {
    HOSTS_MAX = 5, /* the first conducts, the others play */
    PLAYERS_MAX = 512,
    SENDERS_MAX = 4,
    HELLO_BYTES = 8,
};

/* Turns of fibers and looks at the network take a little of the network's time. */
#define SLACK_SECONDS 0.02

struct host {
    int number;
    salut_sim_host *sim;
    char name[8];
    bool dead;    /* killed or crashed */
    bool crashed; /* without a word to its peers */
    bool limited; /* something of it ran out, or may have */
    bool done;    /* all that isn't a server's has ended */
    bool stopping;
    int stops;            /* SIGSTOPs that are on it */
    double stopped_since; /* the first of them */
    double stopped;       /* seconds, in all */
    double skewed;
    salut_channel *stop;
};

/* One fiber of the program. */
struct player {
    const char *role;
    int number; /* of its part */
    struct host *host;
    const struct part *part;
    void (*play)(struct player *p);
    void *about; /* its part's: a side, a server, ... */
    int nth;     /* of several with that role */
    struct side *side;
    salut_fiber *fiber;
    bool ended, cancelled, serves;
    double cancelled_at;
    unsigned char *scratch;
    size_t scratch_room;
};

/* A send that is under way; the flow's bytes [start, start + size). */
struct unit {
    struct unit *next;
    size_t start, size;
};

/* One direction of a conversation: all bytes that sends were called with, in the order of the
 * calls, but for those that failed before their first byte. */
struct flow {
    unsigned char *bytes;
    size_t size, room;
    size_t received;   /* by calls that returned */
    size_t confirmed;  /* the system has taken so many: they arrive, or the receiver is told */
    struct unit *open; /* oldest last */
    uint32_t made;     /* units, for their contents */
    uint32_t key;
    bool ended;     /* a shutdown or a close has begun, or the sender's program was killed */
    bool dead;      /* a send broke it */
    size_t known;   /* what came from here on can't be known: a send failed while its socket was */
    bool untracked; /* being closed; and the receiver is there */
};

struct side {
    struct talk *talk;
    int which; /* 0 connects, 1 accepts */
    struct host *host;
    salut_sock *socket;
    struct flow *out, *in;
    struct player *owner, *receiver, *senders[SENDERS_MAX];
    int senders_left;
    double timeout; /* seconds; below 0: none */
    double over_at; /* the whole conversation, by the server's request_seconds; below 0: never */
    size_t limit, buffer;
    bool closing, closed;
    double closed_at;
    bool saw_end;
    salut_decoder decoder;
    size_t decoder_at, decoder_begin;
};

struct talk {
    int number;
    const struct part *part;
    struct server *server; /* NULL: a pair */
    struct side sides[2];
    struct flow flows[2]; /* flows[i] leaves sides[i] */
    bool disturbed;       /* it may fail in ways that are nobody's fault */
    bool taken;           /* by its server */
    bool limit_error;     /* a line or message was over the limit, as the model foresaw */
};

struct server {
    int number;
    const struct part *part;
    struct host *host;
    salut_sock *listener;
    struct player *acceptor;
    bool open, ended;
    int connected, accepted, handlers;
};

struct post {
    int number;
    const struct part *part;
    struct host *from, *to;
    salut_sock *receiver;
    salut_addr sender_address;
    unsigned sent, received;
    bool sender_ended;
    unsigned char *seen; /* how often each came */
};

struct queue {
    int number;
    const struct part *part;
    struct host *from, *to;
    salut_channel *channel;
    int senders_left, item_bytes, capacity;
    unsigned sent, begun, received, receiving;
    unsigned sent_of[8];
    unsigned char *seen[8];
    bool disturbed;
};

/* What may happen in this program beside what its own steps do. */
struct harm {
    bool resets, cuts, deaths, crashes, exhaustion, names, loss, faults;
};

struct model {
    const struct program *program;
    struct harm harm;
    int host_count;
    struct host hosts[HOSTS_MAX];
    int server_count, talk_count, post_count, queue_count, player_count;
    struct server servers[PARTS_MAX];
    struct talk talks[PARTS_MAX];
    struct post posts[PARTS_MAX];
    struct queue queues[PARTS_MAX];
    struct player players[PLAYERS_MAX];
    salut_channel *news, *go;
    bool over;
};

extern struct model *the;

/* What was found. Ends the process. kind: one or two words, the same for the same kind. */
_Noreturn void wrong(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Set by who runs the model: takes what was found. */
_Noreturn void report_wrong(const char *text);
extern struct words_seen *words_seen;

/* ---- Calls: each word goes by here (calls.c) ----------------------------------------------- */

struct call {
    struct player *player;
    enum word word;
    double began, stopped, skewed, timeout;
    bool was_cancelled;
};

/* timeout: seconds that the call may take; below 0: for ever. */
struct call call_begin(struct player *p, enum word word, double timeout);

/* failed: what the word said; errno is as it left it. Result: failed. */
bool call_end(const struct call *c, bool failed);

/* The talk that the player is in must go without failures. */
bool is_orderly(const struct talk *t);

/* ---- Players ------------------------------------------------------------------------------- */

struct player *start_player(struct host *h, const char *role, void (*play)(struct player *p),
                            void *about, int number, int nth);

void player_sleep(struct player *p, double seconds);
void player_yield(struct player *p);
unsigned char *player_scratch(struct player *p, size_t size);

/* ---- talks.c, flows.c, posts.c, queues.c, strays.c ----------------------------------------- */

void open_server(struct player *p, struct server *s);
void serve_clients(struct player *p);
void stop_server(struct player *p, struct server *s);
void play_talk(struct player *p);
void play_meddle(struct player *p);
void check_talks(void);

void flow_content(struct flow *f, char word, unsigned char *into, size_t size);
void flow_open(struct flow *f, struct unit *u, const unsigned char *bytes, size_t size);
void flow_close(struct flow *f, struct unit *u);
void flow_withdraw(struct flow *f, struct unit *u);
size_t flow_settled(const struct flow *f);
void flow_take(struct player *p, struct flow *f, const void *bytes, size_t size);
void flow_end(struct player *p, struct flow *f);

void open_post(struct player *p, struct post *post);
void send_post(struct player *p);
void receive_post(struct player *p);
void check_posts(void);

void send_queue(struct player *p);
void receive_queue(struct player *p);
void check_queues(void);

void play_stray(struct player *p);

/* ---- play.c -------------------------------------------------------------------------------- */

/* Plays the program, and says wrong() when something is. */
void play(const struct program *program);

#endif
