/* A random program as data: parts (who talks with whom, what befalls them), each with numbers and
 * with lists of steps. It can be made from a seed, written as text and read back, shown to people,
 * and made smaller. Any number is allowed anywhere: who plays a part brings it into bounds. */
#ifndef MODEL_PROGRAM_H
#define MODEL_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    FIELDS_MAX = 14,
    LISTS_MAX = 4,
    STEPS_MAX = 40,
    PARTS_MAX = 48,
    PROGRAM_TEXT_BYTES = 64 * 1024,
};

enum part_kind { WORLD, SERVER, TALK, POST, QUEUE, STRAY, MEDDLE, FAULT, PART_KINDS };

enum world_field {
    WORLD_HOSTS,
    WORLD_CALM,
    WORLD_LATENCY_US,
    WORLD_JITTER_US,
    WORLD_KBYTES, /* a second; 0: no limit */
    WORLD_LOSS,   /* these are millionths */
    WORLD_DUPLICATION,
    WORLD_REORDERING,
    WORLD_RESETS,
    WORLD_BUFFER, /* bytes that a socket's system holds; 0: drawn */
    WORLD_FIELDS
};

enum server_field {
    SERVER_HOST,
    SERVER_KIND, /* TCP on every interface, a path, an abstract name */
    SERVER_STYLE,
    SERVER_BACKLOG,
    SERVER_SLOW_MS, /* before each accept */
    SERVER_TIMEOUT_MS,
    SERVER_CLIENTS_MAX,
    SERVER_IDLE_MS,
    SERVER_REQUEST_MS,
    SERVER_DRAIN_MS,
    SERVER_FIELDS
};
enum server_style { ACCEPT_AND_CANCEL, ACCEPT_AND_CLOSE, SERVES, SERVER_STYLES };

enum talk_field {
    TALK_FROM,
    TALK_SERVER, /* below 0: a pair */
    TALK_WAY,
    TALK_AT_MS,
    TALK_TIMEOUT_MS, /* of the connecting side; that of the accepting one is next, and so on */
    TALK_TIMEOUT_MS_B,
    TALK_BUFFER,
    TALK_BUFFER_B,
    TALK_LIMIT,
    TALK_LIMIT_B,
    TALK_SENDERS,
    TALK_SENDERS_B,
    TALK_END,
    TALK_END_B,
    TALK_FIELDS
};
enum talk_way { BY_ADDRESS_TEXT, BY_NAME, BY_IPV4, BY_IPV6, FROM_A_PORT, TALK_WAYS };
enum talk_end { SHUTS_DOWN, ENDS_AFTER_THE_PEER, CLOSES_AT_ONCE, TALK_ENDS };

enum post_field { POST_FROM, POST_TO, POST_KIND, POST_CONNECTED, POST_TIMEOUT_MS, POST_FIELDS };
enum post_kind { POST_IPV4, POST_IPV6, POST_UNIX, POST_KINDS };

enum queue_field {
    QUEUE_CAPACITY,
    QUEUE_ITEM_BYTES,
    QUEUE_SENDERS,
    QUEUE_RECEIVERS,
    QUEUE_FROM,
    QUEUE_TO,
    QUEUE_FIELDS
};

enum stray_field { STRAY_HOST, STRAY_TIMEOUT_MS, STRAY_FIELDS };

enum meddle_field { MEDDLE_TALK, MEDDLE_SIDE, MEDDLE_HOW, MEDDLE_AT_MS, MEDDLE_FIELDS };
enum meddle_how {
    CANCEL_A_SENDER,
    CANCEL_THE_RECEIVER,
    CANCEL_THE_OWNER,
    CLOSE_IT,
    CANCEL_AT_A_QUEUE,
    MEDDLE_HOWS
};

enum fault_field {
    FAULT_KIND,
    FAULT_A,
    FAULT_B,
    FAULT_AT_MS,
    FAULT_FOR_MS,
    FAULT_AMOUNT,
    FAULT_FIELDS
};
enum fault_kind {
    FAULT_CUT,
    FAULT_SPLIT,
    FAULT_KILL,
    FAULT_CRASH,
    FAULT_STOP,
    FAULT_DESCRIPTORS,
    FAULT_EXHAUSTION,
    FAULT_DRIP,
    FAULT_NAMES,
    FAULT_SKEW,
    FAULT_SLOW,
    FAULT_KINDS
};

struct step {
    char word;
    int number;
};

struct list {
    int count;
    struct step steps[STEPS_MAX];
};

struct part {
    enum part_kind kind;
    int fields[FIELDS_MAX];
    struct list lists[LISTS_MAX];
};

struct program {
    uint64_t seed; /* of the network that it runs on */
    int part_count;
    struct part parts[PARTS_MAX]; /* the first is the world */
};

/* What a kind of part is called, and its numbers and lists. */
struct shape {
    const char *name;
    int fields;
    const char *field_names[FIELDS_MAX];
    int lists;
    const char *list_names[LISTS_MAX];
};
extern const struct shape shapes[PART_KINDS];

/* generate.c */
void program_generate(struct program *p, uint64_t seed);

/* program.c */
void program_write(const struct program *p, char text[PROGRAM_TEXT_BYTES]);
bool program_read(struct program *p, const char *text);
void program_show(const struct program *p, FILE *out);
int program_steps(const struct program *p);

/* Makes the program smaller as long as fails(p, context) says that it still fails. */
void program_shrink(struct program *p, bool (*fails)(const struct program *p, void *context),
                    void *context);

/* A number that a program may hold, brought into 0 to limit - 1. */
static inline int within(int number, int limit)
{
    return limit > 0 ? (int)((unsigned)number % (unsigned)limit) : 0;
}

#endif
