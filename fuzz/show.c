/* show.c: what the command shows of a peer's bytes. Whatever they are and however they are cut,
 * each byte of the output is harmless to a terminal, and the lines hold the same.
 * How: each byte of the line is the size of a piece; the last holds the rest. */
#include "cli/show.h"
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char name[] = "peer";

/* ---- Standard output, caught ---------------------------------------------------------------- */

struct caught {
    FILE *before;
    char *text;
    size_t size;
};

static void catch (FILE **stream, struct caught *caught)
{
    caught->before = *stream;
    *stream = open_memstream(&caught->text, &caught->size);
}

static void release(FILE **stream, struct caught *caught)
{
    fclose(*stream);
    *stream = caught->before;
}

/* ---- What was shown ------------------------------------------------------------------------ */

/* Whole lines of harmless characters, each after `prefix`; what they hold is moved together. */
static void check_lines(struct caught *caught, const char *prefix)
{
    char *at = caught->text, *end = at + caught->size;
    char *to = at;
    size_t prefix_size = strlen(prefix);

    while (at < end) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        fuzz_require(newline != NULL, "the last line is whole: %s", at);
        fuzz_require((size_t)(newline - at) >= prefix_size && !memcmp(at, prefix, prefix_size),
                     "a line begins with \"%s\": %s", prefix, at);
        at += prefix_size;
        for (char *tab = at; tab < newline; tab++)
            *tab = *tab == '\t' ? ' ' : *tab; /* the one control that is shown as it is */
        fuzz_require(fuzz_is_harmless(at, (size_t)(newline - at)), "a line is harmless: %s", at);
        memmove(to, at, (size_t)(newline - at));
        to += newline - at;
        at = newline + 1;
    }
    caught->size = (size_t)(to - caught->text);
}

static struct caught show_in_pieces(const struct script *script, bool cut)
{
    struct speech *speech = calloc(1, sizeof *speech);
    struct caught caught;
    size_t taken = 0;

    catch (&stdout, &caught);
    for (size_t i = 0; taken < script->size; i++) {
        size_t size = cut && i < script->how_size ? script->how[i] + 1u : PIECE_BYTES;
        if (size > script->size - taken)
            size = script->size - taken;
        memcpy(speech_room(speech), script->bytes + taken, size);
        show_piece(speech, name, size);
        taken += size;
    }
    show_piece(speech, name, 0);
    fuzz_require(speech->held == 0, "at the end nothing is held back");
    free(speech);
    release(&stdout, &caught);
    check_lines(&caught, "peer: ");
    return caught;
}

static void check_pieces(const struct script *script)
{
    struct caught pieces = show_in_pieces(script, true);
    struct caught whole = show_in_pieces(script, false);

    fuzz_require(pieces.size == whole.size && !memcmp(pieces.text, whole.text, whole.size),
                 "cuts change nothing: %.*s, and %.*s", (int)pieces.size, pieces.text,
                 (int)whole.size, whole.text);
    free(pieces.text);
    free(whole.text);
}

static void check_datagram(const struct script *script)
{
    struct caught caught;

    catch (&stdout, &caught);
    show_datagram(name, script->bytes, script->size);
    release(&stdout, &caught);
    fuzz_require(memchr(caught.text, '\n', caught.size) == caught.text + caught.size - 1,
                 "a datagram is one line");
    check_lines(&caught, "peer: ");
    free(caught.text);
}

/* Names and sentences hold what came from elsewhere, too. */
static void check_sentence(const struct script *script)
{
    struct caught caught;
    char *text = calloc(1, script->size + 1);

    memcpy(text, script->bytes, script->size);
    catch (&stderr, &caught);
    complain("%s", text);
    release(&stderr, &caught);
    check_lines(&caught, "salut: ");
    free(caught.text);

    catch (&stdout, &caught);
    say("%s", text);
    release(&stdout, &caught);
    check_lines(&caught, "");
    free(caught.text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct script script = fuzz_script(bytes, size);

    check_pieces(&script);
    check_datagram(&script);
    check_sentence(&script);
    return 0;
}
