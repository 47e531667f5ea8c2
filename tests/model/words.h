/* What salut.h says about each word's failures, read from the header itself: the errnos in the
 * comment above the word, those of the words that the comment refers to, and those that every word
 * on a socket can give. Each call of the model goes by here. */
#ifndef MODEL_WORDS_H
#define MODEL_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum { ERRNO_MAX = 134 };

/* The public words, as salut.h has them, without "salut_". */
enum word {
    ACCEPT,
    BIND,
    CANCEL,
    CHANNEL_CLOSE,
    CHANNEL_CREATE,
    CHANNEL_RECV,
    CHANNEL_SEND,
    CHANNEL_TRY_SEND,
    CLOSE,
    CONNECT,
    CREATE_CONNECTION,
    CREATE_SERVER,
    DECODE,
    DECODER_DECODE,
    FD,
    FLUSH,
    FROM_FD,
    GO,
    JOIN,
    LISTEN,
    LOCAL,
    PAIR,
    PEER,
    RECV,
    RECVFROM,
    RECV_EXACTLY,
    RECV_LINE,
    RECV_MESSAGE,
    RESOLVE,
    SEND,
    SENDTO,
    SEND_LINE,
    SEND_MESSAGE,
    SERVE,
    SETTIMEOUT,
    SET_BUFFER,
    SET_LIMIT,
    SHUTDOWN,
    SLEEP,
    SOCKET,
    STOP,
    YIELD,
    WORDS
};

/* Reads the header; "" or what is wrong with it: a word that nobody plays, one that isn't there. */
const char *words_read(const char *header);

const char *word_name(enum word w);

/* Its documentation lists this errno. */
bool word_lists(enum word w, int number);

/* The sentence begins with what was being done. */
bool word_begins(enum word w, const char *sentence);

/* What was called, and how it failed, for who counts; shared by all processes of a hunt. */
struct words_seen {
    uint64_t calls[WORDS];
    uint64_t failures[WORDS][ERRNO_MAX];
};
void words_show(const struct words_seen *seen);

#endif
