/* The simulated network: hosts, links and time, all inside this process and all drawn from one
 * seed. Each host is an engine, and so a world for one scheduler. Whoever runs the hosts' programs
 * (src/sim/) lets them take turns and moves the clock when all of them wait.
 *
 *     sim_world.c     the clock, chance, events, hosts, links
 *     sim_names.c     addresses, ports and paths: who is meant
 *     sim_connect.c   how a connection begins
 *     sim_stream.c    connections, TCP's and Unix's
 *     sim_datagram.c  UDP and Unix datagrams
 *     sim_socket.c    a host's descriptors, and the engine's calls on them
 *
 * What is simulated is what a program can see through the words. Packets have no headers and
 * acknowledgements take no time; segments of a stream are never reordered, and a lost one is late
 * by what its repetition takes.
 */
#ifndef SALUT_ENGINE_SIM_H
#define SALUT_ENGINE_SIM_H

#include "base/heap.h"
#include "engine/engine.h"

enum {
    SIM_HOSTS_MAX = 1000,                /* each has a link to every other one */
    SIM_NAME_BYTES = 64,                 /* of a host, as Linux's */
    SIM_DESCRIPTOR_FIRST = 1 << 20,      /* no real descriptor is like it: a real call says EBADF */
    SIM_DESCRIPTORS_MAX = 20000,         /* of a host, unless it is given less: a common limit */
    SIM_BUFFER_BYTES = 128 * 1024,       /* of a socket, each way, unless drawn or given */
    SIM_BACKLOG_MAX = 4096,              /* as Linux's somaxconn */
    SIM_DATAGRAM_IPV4_BYTES_MAX = 65507, /* 65,535 less the headers of UDP and IPv4 */
    SIM_DATAGRAM_IPV6_BYTES_MAX = 65527, /* IPv6 doesn't count its own */
    SIM_UNIX_DATAGRAMS_MAX = 10,         /* net.unix.max_dgram_qlen */
    SIM_MILLION = 1000000,               /* chances are in millionths */
};

struct sim_world;
struct sim_host;
struct sim_socket;
struct sim_connection;

/* ---- The world ----------------------------------------------------------------------------- */

struct sim_event {
    struct timer timer;
    void (*happen)(struct sim_event *event);
};

/* What the way between two hosts is like, both ways. */
struct sim_link {
    int64_t latency, jitter;   /* nanoseconds; the jitter is drawn from 0 to so much and added */
    uint64_t bytes_per_second; /* 0: no limit */
    uint32_t loss, duplication, reordering, resets; /* millionths of the packets */
    bool cut;
    int64_t busy_until[2];  /* each way, with what was sent already */
    int64_t datagram_at[2]; /* each way, when the last one arrives: only reordering overtakes it */
};

/* What happened, for the trace. */
enum sim_what {
    SIM_STARTED, /* a host's program */
    SIM_ENDED,   /* by itself; number: its status */
    SIM_KILLED,  /* its sockets are closed by the system */
    SIM_CRASHED, /* without a word to anybody */
    SIM_BOOTED,
    SIM_STOPPED,
    SIM_CONTINUED,
    SIM_CUT,
    SIM_HEALED,
    SIM_SAID,  /* text: what a program wants in the trace */
    SIM_ASKED, /* connect; number: the port */
    SIM_CONNECTED,
    SIM_REFUSED,
    SIM_BYTES, /* of a stream have arrived; number: how many */
    SIM_DONE,  /* a stream's end has arrived */
    SIM_RESET,
    SIM_GAVE_UP,   /* a sender, for want of an answer */
    SIM_DATAGRAM,  /* has arrived; number: its size */
    SIM_LOST,      /* a datagram */
    SIM_LOOKED_UP, /* text: the name; number: the addresses found */
    SIM_FAULT,     /* a call was made to fail; number: errno */
};

struct sim_record {
    int64_t at;
    enum sim_what what;
    const struct sim_host *from, *to; /* to: NULL when it is about one host alone */
    uint64_t number;
    const char *text; /* NULL if none */
};

struct sim_world {
    int64_t now;     /* nanoseconds since its beginning */
    uint64_t chance; /* the generator's state */
    struct heap events;
    struct sim_host **hosts; /* in the order they were added */
    uint32_t host_count;
    struct sim_connection *connections;
    struct sim_link link; /* of hosts that are added */
    bool
        calm; /* streams are cut where they were sent, buffers are large, nothing is early or late */
    int failure;         /* errno: the simulation itself ran out of memory */
    uint64_t operations; /* that were started, for who counts */
    uint64_t hash;       /* of all records so far */
    void (*record)(struct sim_world *w, const struct sim_record *record); /* NULL: only the hash */
    /* This host has nothing to do until host->until, or before if it is awake: comes back then. */
    void (*wait)(struct sim_host *host);
    void *runner; /* who runs the programs */
};

void sim_world_begin(struct sim_world *w, uint64_t seed);
void sim_world_end(struct sim_world *w);

/* Drawn: a number, one below `limit` (which is not 0), whether something happens. */
uint64_t sim_draw(struct sim_world *w);
uint64_t sim_draw_below(struct sim_world *w, uint64_t limit);
static inline bool sim_happens(struct sim_world *w, uint32_t millionths)
{
    return millionths && sim_draw_below(w, SIM_MILLION) < millionths;
}

/* Has the event happen then; when there is no memory for it, the world fails. */
void sim_schedule(struct sim_world *w, struct sim_event *event, int64_t at);
void sim_unschedule(struct sim_world *w, struct sim_event *event);

/* All events that are due. */
void sim_happen(struct sim_world *w);

void sim_record(struct sim_world *w, enum sim_what what, const struct sim_host *from,
                const struct sim_host *to, uint64_t number, const char *text);

/* ---- Hosts and links ----------------------------------------------------------------------- */

/* A name that was given to an address. */
struct sim_name {
    struct sim_name *next;
    salut_addr address;
    char name[HOST_NAME_BYTES_MAX + 1];
};

struct sim_host {
    struct engine engine; /* first: an engine's address is its host's */
    struct sim_world *world;
    uint32_t number; /* its place in world->hosts */
    char name[SIM_NAME_BYTES];
    salut_addr ipv4, ipv6;
    struct sim_name *names; /* of this host, beside its own */
    struct sim_link *links; /* to the hosts 0 to number; the last is its loopback */

    /* Its system: */
    bool up;
    struct sim_socket **sockets; /* by descriptor - SIM_DESCRIPTOR_FIRST */
    uint32_t socket_room, open_count, lowest_free;
    struct sim_socket *bound; /* those with an address of their own */
    struct sim_path *paths;   /* socket files */
    uint64_t next_inode;
    uint16_t next_port;
    int64_t clock_ahead; /* nanoseconds that its clock was ahead of the world's */
    int64_t drift_since; /* then; and what it has gained since, */
    int32_t clock_drift; /* in millionths */

    /* Its limits; 0 is the default of each: */
    uint32_t descriptors_max;
    size_t send_bytes, receive_bytes, read_bytes_max;
    uint32_t exhaustion; /* millionths of the calls that need memory */
    bool names_unknown;  /* nothing can be looked up */

    /* Its program: */
    bool awake;    /* it has something to do */
    bool stopped;  /* it doesn't do it */
    int64_t until; /* of the world's clock: when it wants to go on anyway */
    struct sim_socket *marked_first, *marked_last; /* something is new for what pends there */
    struct sim_lookup *lookups;                    /* pending ones and found ones */
    struct letter *letters_first, *letters_last;
    void *program; /* the runner's */
};

/* A new host, up, with both addresses; NULL and errno ENOMEM, ENOSPC (SIM_HOSTS_MAX). */
struct sim_host *sim_host_add(struct sim_world *w, const char *name);

/* Whose host an engine is. */
static inline struct sim_host *sim_host_of(struct engine *e)
{
    return (struct sim_host *)e;
}

struct sim_link *sim_link_between(struct sim_host *a, struct sim_host *b);

/* How long a packet of so many bytes, sent now, is on its way; *lost counts the times that it
 * goes under first. */
int64_t sim_travel(struct sim_host *from, struct sim_host *to, size_t bytes, uint32_t *lost);

/* Nothing gets from one to the other just now. */
bool sim_is_unreachable(struct sim_host *from, struct sim_host *to);

/* The program's end, of whatever kind: the system closes its sockets. */
void sim_host_close_all(struct sim_host *h);

/* The power is gone, or comes back. Nobody is told. */
void sim_host_crash(struct sim_host *h);
void sim_host_boot(struct sim_host *h);

/* The host's clock, and the world's time when that will show so much (NEVER, AT_ONCE stay). */
int64_t sim_host_time(const struct sim_host *h);
int64_t sim_host_when(const struct sim_host *h, int64_t time);

/* The program has to be told something. */
static inline void sim_host_awake(struct sim_host *h)
{
    h->awake = true;
}

/* A call that needs memory of the system's fails now, because the host is to run out of it. */
bool sim_host_is_exhausted(struct sim_host *h, int number);

/* ---- Sockets ------------------------------------------------------------------------------- */

struct sim_datagram {
    struct sim_event arrival;
    struct sim_datagram *next;
    struct sim_host *source, *target;
    salut_addr from, to;
    size_t size;
    unsigned char bytes[];
};

enum sim_connect_state { SIM_CONNECT_NONE, SIM_CONNECT_ASKING, SIM_CONNECT_ANSWERED };

struct sim_socket {
    struct sim_host *host;
    int descriptor;            /* -1: waits to be accepted */
    struct endpoint *endpoint; /* NULL: not adopted yet */
    int family, type;
    bool reuse, only_ipv6, lingers_not, shut_read, shut_write;
    bool is_bound, listening, connected;
    int error; /* SO_ERROR: told once */
    salut_addr local, peer;
    char path[108]; /* of the file that its bind made; "" */
    struct sim_socket *next_bound;
    size_t send_bytes, receive_bytes;
    bool marked;
    struct sim_socket *next_marked;

    /* A listener's, and those who wait there: */
    struct sim_socket *queue_first, *queue_last, *next_in_queue, *listener;
    uint32_t queue_count, backlog;

    /* A stream's: */
    struct sim_connection *connection;
    int end; /* 0 or 1: which of the connection's */
    bool broken;
    enum sim_connect_state connecting;
    int connect_result;
    uint32_t attempts;
    struct sim_event answer; /* of a connect: the question arrives, or the answer */
    struct sim_host *target;

    /* Datagrams': */
    struct sim_socket *receiver; /* Unix: whom it is connected to; NULL: nobody, or it is closed */
    struct sim_datagram *first, *last;
    size_t queued_bytes, queued_count;
};

/* A socket without a descriptor; NULL when out of memory. */
struct sim_socket *sim_socket_create(struct sim_host *h, int family, int type);

/* The socket of a descriptor; NULL if there is none. */
struct sim_socket *sim_socket_find(struct sim_host *h, int descriptor);

/* Its process is done with it. */
void sim_socket_close(struct sim_socket *s);

/* Something may be possible now that was not: its pending operations are tried at the next poll. */
void sim_socket_mark(struct sim_socket *s);

/* ---- sim_names.c --------------------------------------------------------------------------- */

struct sim_path {
    struct sim_path *next;
    struct sim_socket *socket; /* NULL: the file is a leftover */
    uint64_t inode;
    char path[108]; /* "@name" for the abstract ones */
};

int sim_address_port(const salut_addr *a);

bool sim_address_is_ipv4(const salut_addr *a); /* also in IPv6's form */

/* The address that sending to this one is sending to: "any" is one's own. */
salut_addr sim_address_meant(const salut_addr *a);

/* Whether the socket may send to this address: -errno. */
int sim_address_check(const struct sim_socket *s, const salut_addr *to);

/* The host that an address means from here; NULL for nobody. */
struct sim_host *sim_address_host(struct sim_host *h, const salut_addr *a);

/* The socket of this host that a packet to this address is for, from there if that is known. */
struct sim_socket *sim_address_listener(struct sim_host *h, const salut_addr *to);
struct sim_socket *sim_address_datagrams(struct sim_host *h, const salut_addr *to,
                                         const salut_addr *from);

/* The same address in the form that a socket of this family shows. */
salut_addr sim_address_for(const struct sim_socket *s, const salut_addr *a);

/* The address's path; "" when it has none. */
void sim_address_path(const salut_addr *a, char path[108]);
struct sim_path *sim_path_find(struct sim_host *h, const char *path);
void sim_path_remove(struct sim_host *h, const char *path);

/* bind; -errno. */
int sim_bind(struct sim_socket *s, const salut_addr *a);
/* Gives it an address if it has none yet, fit for talking to that one. */
int sim_bind_for(struct sim_socket *s, const salut_addr *to);
/* At a port of all its host's addresses. */
int sim_bind_anywhere(struct sim_socket *s);
void sim_unbind(struct sim_socket *s);

/* The addresses of a name, as RESOLVE finds them. -errno. */
int sim_look_up(struct sim_host *h, const char *name, struct address_list *found);

/* ---- sim_connect.c ------------------------------------------------------------------------- */

/* Of streams and datagrams: -errno; -EAGAIN, and connecting until the answer comes. */
int sim_connect(struct sim_socket *s, const salut_addr *to);

/* ---- sim_stream.c -------------------------------------------------------------------------- */

/* A connection between the two, of which neither need know yet. -ENOMEM. */
int sim_stream_join(struct sim_socket *a, struct sim_socket *b);
/* Nothing that the other end sends comes before then. */
void sim_stream_hold(struct sim_socket *s, int64_t at);

/* Each gives what the system's call gives, -EAGAIN when it would wait. */
int64_t sim_stream_receive(struct sim_socket *s, void *into, size_t size);
/* What it takes of the bytes, from 1 to all. */
int64_t sim_stream_send(struct sim_socket *s, const void *bytes, size_t size);
int sim_stream_shutdown(struct sim_socket *s, int how);
/* Broken, or ended both ways: its system has forgotten the peer. */
bool sim_stream_is_over(const struct sim_socket *s);

/* Lets go of the connection, and of a connect that is under way. */
void sim_stream_close(struct sim_socket *s);

/* The host's ends of all connections are forgotten: nobody is told. */
void sim_stream_forget(struct sim_host *h);

/* ---- sim_datagram.c ------------------------------------------------------------------------ */

int64_t sim_datagram_send(struct sim_socket *s, const void *bytes, size_t size,
                          const salut_addr *to);
/* Its true size. */
int64_t sim_datagram_receive(struct sim_socket *s, void *into, size_t size, salut_addr *from);
/* Whether one may send to the other, of one host: -errno. */
int sim_datagram_check(const struct sim_socket *s, const struct sim_socket *to);
void sim_datagram_close(struct sim_socket *s);

/* ---- sim_socket.c -------------------------------------------------------------------------- */

extern const struct engine_calls sim_calls;

#endif
