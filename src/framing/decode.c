/* decode.c: bytes to text. UTF-8 as RFC 3629 has it, and no NUL, since a C string ends there. */
#include "base/error.h"

#include <salut.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What a character's first byte says: how many bytes it has, and what the second may be (this is
 * where overlong forms, surrogates and what is above U+10FFFF are refused). size 0: no first. */
struct lead {
    unsigned size;
    unsigned char second_min, second_max;
};

static struct lead lead_of(unsigned char byte)
{
    if (byte >= 0x01 && byte <= 0x7f)
        return (struct lead){1, 0, 0};
    if (byte >= 0xc2 && byte <= 0xdf)
        return (struct lead){2, 0x80, 0xbf};
    if (byte >= 0xe0 && byte <= 0xef)
        return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
    if (byte >= 0xf0 && byte <= 0xf4)
        return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

/* How many of the size bytes are whole characters. What follows them is the beginning of one
 * that is cut by the end, or (*wrong_at is less than size) a byte that can't be there. */
static size_t whole_characters(const unsigned char *bytes, size_t size, size_t *wrong_at)
{
    size_t at = 0;

    *wrong_at = size;
    while (at < size) {
        struct lead lead;
        uint64_t eight;

        /* eight ASCII bytes at a time: none is 0, none has its high bit */
        while (size - at >= sizeof eight) {
            memcpy(&eight, bytes + at, sizeof eight);
            if ((eight | (eight - 0x0101010101010101u)) & 0x8080808080808080u)
                break;
            at += sizeof eight;
        }
        if (at == size)
            break;
        lead = lead_of(bytes[at]);
        if (lead.size == 0) {
            *wrong_at = at;
            return at;
        }
        for (size_t i = 1; i < lead.size; i++) {
            unsigned char min = i == 1 ? lead.second_min : 0x80;
            unsigned char max = i == 1 ? lead.second_max : 0xbf;
            if (at + i == size)
                return at;
            if (bytes[at + i] < min || bytes[at + i] > max) {
                *wrong_at = at + i;
                return at;
            }
        }
        at += lead.size;
    }
    return at;
}

static char *text_of(const char *word, const void *first, size_t first_size, const void *rest,
                     size_t rest_size)
{
    char *text = malloc(first_size + rest_size + 1);

    if (!text) {
        error_set(ENOMEM, "%s", word);
        return NULL;
    }
    if (first_size)
        memcpy(text, first, first_size);
    if (rest_size)
        memcpy(text + first_size, rest, rest_size);
    text[first_size + rest_size] = '\0';
    return text;
}

static void *refuse(unsigned char byte, uint64_t offset)
{
    if (byte == 0)
        error_say(EILSEQ, "decode: byte %llu is 0, which a C string can't hold",
                  (unsigned long long)offset);
    else
        error_say(EILSEQ, "decode: byte %llu (0x%02x) is not UTF-8 where it stands",
                  (unsigned long long)offset, byte);
    return NULL;
}

static void *refuse_cut(uint64_t offset)
{
    error_say(EILSEQ, "decode: the text ends inside the character that begins at byte %llu",
              (unsigned long long)offset);
    return NULL;
}

/* A receive that failed has said why. */
static bool keep_failure(ssize_t size)
{
    if (size >= 0)
        return false;
    if (salut_failed())
        error_keep("decode");
    else
        error_say(EINVAL, "decode: the size is negative");
    return true;
}

char *salut_decode(const void *bytes, ssize_t size)
{
    const unsigned char *all = bytes;
    size_t wrong_at, whole;

    if (keep_failure(size))
        return NULL;
    whole = whole_characters(all, (size_t)size, &wrong_at);
    if (wrong_at < (size_t)size)
        return refuse(all[wrong_at], wrong_at);
    if (whole < (size_t)size)
        return refuse_cut(whole);
    return text_of("decode", NULL, 0, bytes, whole);
}

/* ---- A piece at a time --------------------------------------------------------------------- */

/* Completes the character that was held, as far as the new bytes go. How many of them it took,
 * or -1 with the byte refused. Afterwards held is whole (*whole), or still a beginning. */
static ssize_t complete_held(salut_decoder *d, const unsigned char *bytes, size_t size, bool *whole)
{
    size_t taken = 0;

    *whole = false;
    while (d->held_size && taken < size && !*whole) {
        size_t wrong_at;
        d->held[d->held_size++] = bytes[taken++];
        *whole = whole_characters(d->held, d->held_size, &wrong_at) == d->held_size;
        if (wrong_at < d->held_size) {
            refuse(d->held[wrong_at], d->offset + wrong_at);
            return -1;
        }
    }
    return (ssize_t)taken;
}

static char *decode_piece(salut_decoder *d, const unsigned char *bytes, size_t size)
{
    bool completed;
    ssize_t taken = complete_held(d, bytes, size, &completed);
    size_t first_size = completed ? d->held_size : 0;
    size_t wrong_at, whole;
    char *text;

    if (taken < 0)
        return NULL;
    if (d->held_size && !completed)
        return text_of("decode", NULL, 0, NULL, 0);
    bytes += taken;
    size -= (size_t)taken;
    whole = whole_characters(bytes, size, &wrong_at);
    if (wrong_at < size)
        return refuse(bytes[wrong_at], d->offset + first_size + wrong_at);
    text = text_of("decode", d->held, first_size, bytes, whole);
    if (!text)
        return NULL;
    d->offset += first_size + whole;
    d->held_size = (uint32_t)(size - whole);
    memcpy(d->held, bytes + whole, size - whole);
    return text;
}

char *salut_decoder_decode(salut_decoder *d, const void *bytes, ssize_t size)
{
    salut_decoder before = *d;
    char *text;

    if (keep_failure(size))
        return NULL;
    if (size > 0)
        text = decode_piece(d, bytes, (size_t)size);
    else if (d->held_size)
        text = refuse_cut(d->offset);
    else
        text = text_of("decode", NULL, 0, NULL, 0);
    if (!text) /* without memory the piece may come again */
        *d = errno == EILSEQ ? (salut_decoder){0} : before;
    return text;
}
