/* words.c: the documentation of failures, as a table. */
#include "model/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *name;
    bool on_socket, waits; /* which of the two lists at the header's top hold for it */
    const char *also;      /* other words that its comment names without "salut_" */
    const char *begins;    /* other beginnings of its sentences, separated by '|' */
    bool found;
    bool lists[ERRNO_MAX];
};

static struct entry entries[WORDS] = {
    [ACCEPT] = {.name = "accept", .on_socket = true, .waits = true, .begins = "bind|listen"},
    [BIND] = {.name = "bind", .on_socket = true, .waits = true},
    [CANCEL] = {.name = "cancel"},
    [CHANNEL_CLOSE] = {.name = "channel_close", .on_socket = true},
    [CHANNEL_CREATE] = {.name = "channel_create", .begins = "channel"},
    [CHANNEL_RECV] = {.name = "channel_recv", .on_socket = true},
    [CHANNEL_SEND] = {.name = "channel_send", .on_socket = true},
    [CHANNEL_TRY_SEND] = {.name = "channel_try_send", .on_socket = true, .also = "channel_send"},
    [CLOSE] = {.name = "close", .on_socket = true, .waits = true},
    [CONNECT] = {.name = "connect", .on_socket = true, .waits = true, .begins = "bind"},
    [CREATE_CONNECTION] = {.name = "create_connection",
                           .on_socket = true,
                           .waits = true,
                           .also = "socket connect",
                           .begins = "address|connect|socket"},
    [CREATE_SERVER] = {.name = "create_server",
                       .on_socket = true,
                       .waits = true,
                       .also = "socket bind listen",
                       .begins = "address|bind|listen|socket"},
    [DECODE] = {.name = "decode", .on_socket = true},
    [DECODER_DECODE] = {.name = "decoder_decode", .on_socket = true, .begins = "decode"},
    [FD] = {.name = "fd", .on_socket = true, .begins = "bind|connect"},
    [FLUSH] = {.name = "flush", .on_socket = true, .waits = true},
    [FROM_FD] = {.name = "from_fd", .on_socket = true},
    [GO] = {.name = "go", .on_socket = true},
    [JOIN] = {.name = "join"},
    [LISTEN] = {.name = "listen", .on_socket = true, .begins = "bind"},
    [LOCAL] = {.name = "local", .on_socket = true, .begins = "bind|listen|connect"},
    [PAIR] = {.name = "pair", .on_socket = true},
    [PEER] = {.name = "peer", .on_socket = true, .begins = "bind|listen|connect"},
    [RECV] = {.name = "recv", .on_socket = true, .waits = true, .begins = "bind|listen|connect"},
    [RECVFROM] = {.name = "recvfrom", .on_socket = true, .waits = true, .begins = "bind|connect"},
    [RECV_EXACTLY] = {.name = "recv_exactly",
                      .on_socket = true,
                      .waits = true,
                      .begins = "bind|listen|connect"},
    [RECV_LINE] = {.name = "recv_line",
                   .on_socket = true,
                   .waits = true,
                   .begins = "bind|listen|connect"},
    [RECV_MESSAGE] = {.name = "recv_message",
                      .on_socket = true,
                      .waits = true,
                      .begins = "bind|listen|connect"},
    [RESOLVE] = {.name = "resolve", .on_socket = true},
    [SEND] = {.name = "send", .on_socket = true, .waits = true, .begins = "bind|listen|connect"},
    [SENDTO] = {.name = "sendto", .on_socket = true, .waits = true, .begins = "send|bind|connect"},
    [SEND_LINE] = {.name = "send_line",
                   .on_socket = true,
                   .waits = true,
                   .begins = "bind|listen|connect"},
    [SEND_MESSAGE] = {.name = "send_message",
                      .on_socket = true,
                      .waits = true,
                      .begins = "bind|listen|connect"},
    [SERVE] = {.name = "serve", .on_socket = true, .begins = "bind|listen"},
    [SETTIMEOUT] = {.name = "settimeout", .on_socket = true},
    [SET_BUFFER] = {.name = "set_buffer", .on_socket = true, .waits = true},
    [SET_LIMIT] = {.name = "set_limit", .on_socket = true},
    [SHUTDOWN] = {.name = "shutdown",
                  .on_socket = true,
                  .waits = true,
                  .begins = "bind|listen|connect"},
    [SLEEP] = {.name = "sleep"},
    [SOCKET] = {.name = "socket", .on_socket = true},
    [STOP] = {.name = "stop"},
    [YIELD] = {.name = "yield"},
};

/* Words without a failure of their own, and one that can't be called in a test. */
static const char *const others[] = {"addr_host", "addr_port",   "channel_free", "check",
                                     "error",     "clear_error", "failed",       "version"};

static char problem[256];

static struct entry *entry_of(const char *name, size_t size)
{
    for (int w = 0; w < WORDS; w++) {
        if (strlen(entries[w].name) == size && !strncmp(entries[w].name, name, size))
            return &entries[w];
    }
    return NULL;
}

static bool is_other(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strlen(others[i]) == size && !strncmp(others[i], name, size))
            return true;
    }
    return false;
}

/* ---- One comment --------------------------------------------------------------------------- */

static void add_errnos(struct entry *e, const char *text, const char *end)
{
    for (const char *at = text; at < end; at++) {
        size_t size = 1;
        if (*at != 'E' || (at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '_')))
            continue;
        while (isupper((unsigned char)at[size]) || isdigit((unsigned char)at[size]))
            size++;
        for (int n = 1; n < ERRNO_MAX && size > 2; n++) {
            const char *name = strerrorname_np(n);
            if (name && strlen(name) == size && !strncmp(name, at, size))
                e->lists[n] = true;
        }
    }
}

static void add_all_of(struct entry *e, const struct entry *other)
{
    for (int n = 0; other && n < ERRNO_MAX; n++)
        e->lists[n] |= other->lists[n];
}

/* "salut_recv()'s errors", "as for salut_recv_line()". */
static void add_references(struct entry *e, const char *text, const char *end)
{
    for (const char *at = text; (at = strstr(at, "salut_")) && at < end; at++) {
        const char *name = at + strlen("salut_");
        size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz_");
        bool owns = !strncmp(name + size, "()'s", 4);
        bool as_for = at - text > 7 && !strncmp(at - 7, "as for ", 7);
        if (owns || as_for)
            add_all_of(e, entry_of(name, size));
    }
    for (const char *at = e->also; at && *at;) {
        size_t size = strcspn(at, " ");
        add_all_of(e, entry_of(at, size));
        at += size + (at[size] == ' ');
    }
}

/* ---- The header ---------------------------------------------------------------------------- */

/* The comment that ends right before this place, or before the word that stands there. */
static const char *comment_before(const char *text, const char *at, const char **end)
{
    const char *begin = NULL;

    *end = NULL;
    for (const char *c = text; (c = strstr(c, "*/")) && c < at; c++)
        *end = c;
    for (const char *c = text; *end && (c = strstr(c, "/*")) && c < *end; c++)
        begin = c;
    return begin;
}

static void read_word(const char *text, const char *declared)
{
    const char *name = strstr(declared, "salut_");
    const char *end, *begin = comment_before(text, declared, &end);
    size_t size;
    struct entry *e;

    while (
        name &&
        name[strlen("salut_") + strspn(name + strlen("salut_"), "abcdefghijklmnopqrstuvwxyz_")] !=
            '(')
        name = strstr(name + 1, "salut_");
    if (!name || !begin)
        return;
    name += strlen("salut_");
    size = strcspn(name, "(");
    e = entry_of(name, size);
    if (!e && !is_other(name, size))
        snprintf(problem, sizeof problem, "nobody plays salut_%.*s()", (int)size, name);
    if (!e)
        return;
    e->found = true;
    add_errnos(e, begin, end);
    add_references(e, begin, end);
}

static void read_common(const char *text)
{
    struct entry on_socket = {0}, waits = {0};
    const char *first = strstr(text, "Errors every word on a socket can give");
    const char *second = first ? strstr(first, "and every word that can wait") : NULL;
    const char *end = second ? strstr(second, "*/") : NULL;

    if (!end) {
        snprintf(problem, sizeof problem, "the errors that all words have aren't at its top");
        return;
    }
    add_errnos(&on_socket, first, second);
    add_errnos(&waits, second, end);
    for (int w = 0; w < WORDS; w++) {
        if (entries[w].on_socket)
            add_all_of(&entries[w], &on_socket);
        if (entries[w].waits)
            add_all_of(&entries[w], &waits);
    }
}

const char *words_read(const char *header)
{
    static char text[128 * 1024];
    FILE *file = fopen(header, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;

    text[size] = '\0';
    if (file)
        fclose(file);
    read_common(text);
    for (int round = 0; round < 2; round++) { /* some refer to words that come later */
        for (const char *at = text; (at = strstr(at, "\nSALUT_PUBLIC ")); at++)
            read_word(text, at + 1);
    }
    for (int w = 0; w < WORDS && !problem[0]; w++) {
        if (!entries[w].found)
            snprintf(problem, sizeof problem, "there is no salut_%s()", entries[w].name);
    }
    return problem;
}

/* ---- Questions ----------------------------------------------------------------------------- */

const char *word_name(enum word w)
{
    return entries[w].name;
}

bool word_lists(enum word w, int number)
{
    return number > 0 && number < ERRNO_MAX && entries[w].lists[number];
}

static bool begins_with(const char *sentence, const char *name, size_t size)
{
    return !strncmp(sentence, name, size) && strchr(": ", sentence[size]);
}

bool word_begins(enum word w, const char *sentence)
{
    if (begins_with(sentence, entries[w].name, strlen(entries[w].name)))
        return true;
    for (const char *at = entries[w].begins; at && *at;) {
        size_t size = strcspn(at, "|");
        if (begins_with(sentence, at, size))
            return true;
        at += size + (at[size] == '|');
    }
    return false;
}

void words_show(const struct words_seen *seen)
{
    for (int w = 0; w < WORDS; w++) {
        printf("%-18s %10llu ", entries[w].name, (unsigned long long)seen->calls[w]);
        for (int n = 1; n < ERRNO_MAX; n++) {
            if (seen->failures[w][n])
                printf(" %s %llu", strerrorname_np(n), (unsigned long long)seen->failures[w][n]);
        }
        printf("   (never:");
        for (int n = 1; n < ERRNO_MAX; n++) {
            if (entries[w].lists[n] && !seen->failures[w][n])
                printf(" %s", strerrorname_np(n));
        }
        printf(")\n");
    }
}
