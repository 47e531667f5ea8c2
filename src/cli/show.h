/* show.h: all that the command says, on standard output or standard error, goes through here.
 * Whatever the text, its lines are whole and no byte in it can steer a terminal. */
#ifndef SALUT_CLI_SHOW_H
#define SALUT_CLI_SHOW_H

#include <stdbool.h>
#include <stddef.h>

/* One line on standard output, there at once even in a pipe. Result: 0, or -1 when standard
 * output has failed, which has then been complained of; later lines are not tried. */
int say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "salut: ", a sentence and the line's end on standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text of several lines, ours alone, on standard output. Result: as say(). */
int print(const char *text);

enum {
    /* A piece is at most what one receive gives. 16 KiB is more than people say at a time, and
     * little enough for each of thousands of clients. */
    PIECE_BYTES = 16 * 1024,

    /* The beginning of a character, all but its last byte. */
    HELD_BYTES_MAX = 3,
};

/* What one client says on its stream, a piece at a time. It begins as zeros. */
struct speech {
    bool unfinished; /* the last line shown had no newline yet */
    size_t held;     /* bytes at the beginning of bytes that wait for their rest */
    unsigned char bytes[HELD_BYTES_MAX + PIECE_BYTES];
};

/* Where the next piece, of at most PIECE_BYTES, is to be received. */
unsigned char *speech_room(struct speech *speech);

/* Shows the piece that was received into the room: a line for each of its lines, each after
 * name. What a piece ends in without a newline is shown at once; only a character that is cut,
 * or a CR whose LF may follow, waits for the next piece. received: its bytes, 0 at the end.
 * Result: as say(). */
int show_piece(struct speech *speech, const char *name, size_t received);

/* Shows a datagram: always one line. Result: as say(). */
int show_datagram(const char *name, const unsigned char *bytes, size_t size);

#endif
