/* fuzz.c: what the targets share. */
#include "fuzz/fuzz.h"
#include "base/limits.h"

#include <salut.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Inputs -------------------------------------------------------------------------------- */

struct script fuzz_script(const uint8_t *input, size_t size)
{
    const uint8_t *newline = size ? memchr(input, '\n', size) : NULL;
    size_t how_size = newline ? (size_t)(newline - input) : 0;
    size_t skipped = newline ? how_size + 1 : 0;

    return (struct script){input, how_size, input + skipped, size - skipped};
}

bool fuzz_next_step(struct script *script, const char *letters, struct step *step)
{
    while (script->how_size >= 2) {
        step->letter = (char)script->how[0];
        step->number = script->how[1];
        script->how += 2;
        script->how_size -= 2;
        if (step->letter && strchr(letters, step->letter))
            return true;
    }
    return false;
}

/* ---- Properties ---------------------------------------------------------------------------- */

void fuzz_require(bool holds, const char *format, ...)
{
    va_list arguments;

    if (holds)
        return;
    fputs("does not hold: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

static bool is_among(int number, const int *allowed)
{
    for (; *allowed; allowed++) {
        if (*allowed == number)
            return true;
    }
    return false;
}

void fuzz_require_failure(const char *word, int number, const int *allowed)
{
    const char *sentence = salut_error();
    size_t size = strlen(sentence);

    fuzz_require(is_among(number, allowed), "%s fails as documented, not with %s: %s", word,
                 strerrorname_np(number), sentence);
    fuzz_require(salut_failed(), "%s has failed and salut_failed() says so", word);
    fuzz_require(size > 0 && size < SENTENCE_BYTES, "the sentence has a size: %zu", size);
    fuzz_require(fuzz_is_harmless(sentence, size), "the sentence is harmless: %s", sentence);
    fuzz_require(strstr(sentence, ": ") != NULL, "the sentence says why: %s", sentence);
}

/* ---- Text ---------------------------------------------------------------------------------- */

/* The character's number and its bytes; 0 bytes when it is none. */
static size_t decode_one(const uint8_t *at, size_t size, uint32_t *number)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* that needs so many bytes */
    size_t length = 1;

    if (at[0] < 0x80) {
        *number = at[0];
        return 1;
    }
    while (length < 5 && at[0] << length & 0x80)
        length++;
    if (length < 2 || length > 4 || length > size)
        return 0;
    *number = at[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        *number = *number * 64 + at[i] % 64;
    }
    if (*number < least[length] || *number > 0x10ffff || *number >> 11 == 0xd800 >> 11)
        return 0;
    return length;
}

size_t fuzz_utf8_size(const uint8_t *bytes, size_t size)
{
    size_t at = 0, length;
    uint32_t number;

    while (at < size && (length = decode_one(bytes + at, size - at, &number)))
        at += length;
    return at;
}

bool fuzz_is_harmless(const char *text, size_t size)
{
    const uint8_t *at = (const uint8_t *)text;

    while (size) {
        uint32_t number;
        size_t length = decode_one(at, size, &number);

        if (!length || number < 0x20 || (number >= 0x7f && number < 0xa0))
            return false;
        at += length;
        size -= length;
    }
    return true;
}
