/* show.c: escapes what people are shown. A terminal obeys control characters, and a peer may send
 * any: so those, what isn't UTF-8 and the characters that turn text around are written as C
 * would write them (\x1b, \xff, \u202e). This is display, not decoding: nothing is refused.
 *
 * Writing may block the thread, with all its fibers, while nobody reads: a terminal that is
 * stopped by Ctrl-S, a pipe that is full. Then nothing is lost and the peers wait, which is what
 * the person wants who has stopped the terminal. */
#include "cli/show.h"
#include "base/text.h"
#include "cli/cli.h"

#include <errno.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>

enum {
    /* A sentence of the library has at most 1024 bytes; ours around it are short. */
    LINE_BYTES = 2048,
};

static bool output_failed;

/* ---- One character ------------------------------------------------------------------------- */

static void put_escaped(FILE *out, unsigned char byte, uint32_t code)
{
    if (code == '\n')
        fputs("\\n", out);
    else if (code == '\r')
        fputs("\\r", out);
    else if (code < 0x80 || code == TEXT_NOT_UTF8)
        fprintf(out, "\\x%02x", byte);
    else
        fprintf(out, code > 0xffff ? "\\U%08x" : "\\u%04x", code);
}

/* ---- One line ------------------------------------------------------------------------------ */

/* To a terminal of another character set the bytes of UTF-8 may be controls. The C locale says
 * nothing about the terminal, and nearly all are UTF-8. */
static bool terminal_has_utf8(void)
{
    const char *codeset = nl_langinfo(CODESET);

    return !strcmp(codeset, "UTF-8") || !strcmp(codeset, "ANSI_X3.4-1968");
}

static void put_safely(FILE *out, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    const unsigned char *end = at + size;
    uint32_t code_max = terminal_has_utf8() ? TEXT_NOT_UTF8 - 1 : 0x7f;

    while (at < end && !ferror(out)) {
        uint32_t code;
        size_t length = text_read(at, (size_t)(end - at), &code);

        if (!length)
            length = 1; /* cut for good: as what isn't UTF-8 */
        if (code <= code_max && text_is_harmless(code))
            fwrite(at, 1, length, out);
        else
            put_escaped(out, at[0], code);
        at += length;
    }
}

static void put_line(const char *name, const unsigned char *bytes, size_t size)
{
    put_safely(stdout, name, strlen(name));
    fputs(": ", stdout);
    put_safely(stdout, bytes, size);
    putc('\n', stdout);
}

/* What was put goes out. After a failure it is thrown away, so that the end of the program
 * doesn't try once more. A signal that interrupts the writing ends the program: no complaint. */
static int deliver(void)
{
    if (!output_failed && !ferror(stdout) && !fflush(stdout))
        return 0;
    if (!output_failed && errno != EINTR)
        complain(_("can't write to standard output: %s"), strerror(errno));
    output_failed = true;
    __fpurge(stdout);
    return -1;
}

int say(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    put_safely(stdout, line, strlen(line));
    putc('\n', stdout);
    return deliver();
}

void complain(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fputs("salut: ", stderr);
    put_safely(stderr, line, strlen(line));
    putc('\n', stderr);
}

int print(const char *text)
{
    fputs(text, stdout);
    return deliver();
}

/* ---- What a client says -------------------------------------------------------------------- */

unsigned char *speech_room(struct speech *speech)
{
    return speech->bytes + speech->held;
}

/* How many bytes at the end may be the beginning of something. */
static size_t cut_tail(const unsigned char *at, const unsigned char *end)
{
    size_t size = (size_t)(end - at);
    uint32_t code;

    if (size && end[-1] == '\r')
        return 1;
    for (size_t tail = 1; tail <= HELD_BYTES_MAX && tail <= size; tail++) {
        if (text_read(end - tail, tail, &code) == 0)
            return tail;
    }
    return 0;
}

/* A newline that comes alone after its line only ends it. */
static const unsigned char *skip_late_newline(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *newline = at < end && *at == '\r' ? at + 1 : at;

    return newline < end && *newline == '\n' ? newline + 1 : at;
}

/* As far as the lines go. Result: where what must wait begins. */
static const unsigned char *put_lines(struct speech *speech, const char *name,
                                      const unsigned char *at, const unsigned char *end, bool last)
{
    while (at < end) {
        const unsigned char *newline = memchr(at, '\n', (size_t)(end - at));

        if (!newline) {
            const unsigned char *stop = last ? end : end - cut_tail(at, end);
            speech->unfinished |= stop > at;
            if (stop > at)
                put_line(name, at, (size_t)(stop - at));
            return stop;
        }
        put_line(name, at, (size_t)(newline - at) - (newline > at && newline[-1] == '\r'));
        speech->unfinished = false;
        at = newline + 1;
    }
    return at;
}

int show_piece(struct speech *speech, const char *name, size_t received)
{
    const unsigned char *at = speech->bytes;
    const unsigned char *end = at + speech->held + received;

    if (speech->unfinished) {
        at = skip_late_newline(at, end);
        speech->unfinished = at == speech->bytes;
    }
    at = put_lines(speech, name, at, end, received == 0);
    speech->held = (size_t)(end - at);
    memmove(speech->bytes, at, speech->held);
    return deliver();
}

int show_datagram(const char *name, const unsigned char *bytes, size_t size)
{
    if (size && bytes[size - 1] == '\n')
        size -= size > 1 && bytes[size - 2] == '\r' ? 2 : 1;
    put_line(name, bytes, size);
    return deliver();
}
