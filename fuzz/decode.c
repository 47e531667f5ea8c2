/* decode.c: salut_decode() and salut_decoder_decode() against each other and against a decoder of
 * another make. How: each byte of the line is the size of a piece; the last holds the rest. */
#include "fuzz/fuzz.h"

#include <salut.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int not_utf8[] = {EILSEQ, 0};

/* How many bytes make a C string of characters: up to the first that is none, or to a NUL. */
static size_t good_size(const uint8_t *bytes, size_t size)
{
    const uint8_t *nul = size ? memchr(bytes, 0, size) : NULL;

    return fuzz_utf8_size(bytes, nul ? (size_t)(nul - bytes) : size);
}

static void require_text(char *text, const uint8_t *bytes, size_t size)
{
    fuzz_require(text != NULL, "these %zu bytes are text: %s", size, salut_error());
    fuzz_require(strlen(text) == size && (!size || !memcmp(text, bytes, size)),
                 "the text is these %zu bytes", size);
    free(text);
}

/* The sentence of the failure, or "" if it is text. */
static void decode_at_once(const uint8_t *bytes, size_t size, char *sentence, size_t room)
{
    size_t good = good_size(bytes, size);
    char *text = salut_decode(bytes, (ssize_t)size);

    sentence[0] = '\0';
    if (good == size) {
        require_text(text, bytes, size);
        return;
    }
    fuzz_require(!text, "byte %zu can't be decoded", good);
    fuzz_require_failure("decode", errno, not_utf8);
    snprintf(sentence, room, "%s", salut_error());
}

static void require_same_failure(const salut_decoder *decoder, const char *sentence)
{
    static const salut_decoder afresh;

    fuzz_require_failure("decode", errno, not_utf8);
    fuzz_require(!strcmp(salut_error(), sentence), "decoder and decode say the same: %s, and %s",
                 salut_error(), sentence);
    fuzz_require(!memcmp(decoder, &afresh, sizeof afresh), "the decoder starts afresh");
}

/* The texts of the pieces are, together, the beginning of what they hold, and no character in them
 * is late: one that is whole has come. */
static void decode_in_pieces(const struct script *script, const char *sentence)
{
    salut_decoder decoder = {0};
    size_t good = good_size(script->bytes, script->size);
    size_t taken = 0, told = 0;

    for (size_t i = 0; taken < script->size; i++) {
        size_t rest = script->size - taken;
        size_t size = i < script->how_size ? script->how[i] + 1u : rest;
        char *text;

        if (size > rest)
            size = rest;
        text = salut_decoder_decode(&decoder, script->bytes + taken, (ssize_t)size);
        taken += size;
        if (!text) {
            require_same_failure(&decoder, sentence);
            return;
        }
        size = good_size(script->bytes, taken);
        require_text(text, script->bytes + told, size - told);
        told = size;
    }
    if (good == script->size) {
        require_text(salut_decoder_decode(&decoder, NULL, 0), NULL, 0);
        return;
    }
    fuzz_require(!salut_decoder_decode(&decoder, NULL, 0), "a character is cut by the end");
    require_same_failure(&decoder, sentence);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct script script = fuzz_script(bytes, size);
    char sentence[1024];

    salut_clear_error();
    decode_at_once(script.bytes, script.size, sentence, sizeof sentence);
    decode_in_pieces(&script, sentence);
    salut_clear_error();
    return 0;
}
