/* UTF-8, strictly: what is text becomes a string, and everything else is refused with the byte and
 * its place.
 *
 * Called as `test_decode oracle`, it answers for test_decode_oracle.py instead: each line of its
 * input is bytes in hexadecimal, and each line of its output is "+" or the offset refused. */
#include "support/fibers.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>

static int forget(void **state)
{
    (void)state;
    salut_clear_error();
    errno = 0;
    return 0;
}

static void assert_text(const void *bytes, size_t size)
{
    char *text = salut_decode(bytes, (ssize_t)size);

    if (!text)
        fail_msg("%zu bytes were refused: %s", size, salut_error());
    assert_int_equal(strlen(text), size);
    assert_memory_equal(text, bytes, size);
    free(text);
}

/* Refused, and for the byte at this offset. */
static void assert_refused(const void *bytes, size_t size, size_t offset)
{
    char *text, said[64];

    salut_clear_error();
    errno = 0;
    text = salut_decode(bytes, (ssize_t)size);
    if (text)
        fail_msg("%zu bytes that are not text were taken for \"%s\"", size, text);
    assert_int_equal(errno, EILSEQ);
    snprintf(said, sizeof said, "byte %zu", offset);
    if (!strstr(salut_error(), said))
        fail_msg("expected \"%s\" in: %s", said, salut_error());
}

/* ---- What is text -------------------------------------------------------------------------- */

static void ascii_is_text(void **state)
{
    char ascii[127];

    (void)state;
    for (int i = 0; i < 127; i++)
        ascii[i] = (char)(i + 1);
    assert_text(ascii, sizeof ascii);
}

static void nothing_is_the_empty_text(void **state)
{
    char *text;

    (void)state;
    assert_text("", 0);
    text = salut_decode(NULL, 0);
    assert_string_equal(text, "");
    free(text);
}

static void text_with_accents_is_text(void **state)
{
    const char *salut = "Salut le serveur ! Déjà reçu, où ça ? 你好 Привет 👋🏽";

    (void)state;
    assert_text(salut, strlen(salut));
}

static size_t spell(unsigned character, unsigned char *bytes)
{
    size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = size; i > 1; i--) {
        bytes[i - 1] = (unsigned char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    bytes[0] = (unsigned char)(leads[size] | character);
    return size;
}

static void every_character_there_is_is_text(void **state)
{
    unsigned step = (unsigned)sized(1, 7, "as the step through all characters");

    (void)state;
    for (unsigned character = 1; character <= 0x10ffff; character += step) {
        unsigned char bytes[4];
        size_t size = spell(character, bytes);
        char *text;
        if (character >= 0xd800 && character <= 0xdfff)
            continue;
        text = salut_decode(bytes, (ssize_t)size);
        if (!text || memcmp(text, bytes, size) || text[size])
            fail_msg("U+%04X: %s", character, salut_error());
        free(text);
    }
}

static void the_borders_of_each_length_are_text(void **state)
{
    const unsigned borders[] = {0x01,   0x7f,   0x80,   0x7ff,   0x800,   0xd7ff,
                                0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff};

    (void)state;
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++) {
        unsigned char bytes[4];
        assert_text(bytes, spell(borders[i], bytes));
    }
}

/* Eight bytes at a time are looked at: a character may begin at any of them. */
static void a_character_at_every_place_is_text(void **state)
{
    (void)state;
    for (size_t before = 0; before < 40; before++)
        for (size_t after = 0; after < 20; after++) {
            char bytes[80];
            memset(bytes, 'a', sizeof bytes);
            memcpy(bytes + before, "\xf0\x9f\x91\x8b", 4);
            assert_text(bytes, before + 4 + after);
        }
}

/* ---- What is not --------------------------------------------------------------------------- */

static void each_kind_of_wrong_byte_is_refused_where_it_stands(void **state)
{
    const struct {
        const char *what, *bytes;
        size_t size, offset;
    } wrong[] = {
        {"a continuation alone", "\x80", 1, 0},
        {"a continuation alone", "abc\xbf", 4, 3},
        {"a continuation too many", "\xc3\xa9\xa9", 3, 2},
        {"overlong in two bytes", "\xc0\x80", 2, 0},
        {"overlong in two bytes", "\xc1\xbf", 2, 0},
        {"overlong in three bytes", "\xe0\x80\x80", 3, 1},
        {"overlong in three bytes", "\xe0\x9f\xbf", 3, 1},
        {"overlong in four bytes", "\xf0\x80\x80\x80", 4, 1},
        {"overlong in four bytes", "\xf0\x8f\xbf\xbf", 4, 1},
        {"the first surrogate", "\xed\xa0\x80", 3, 1},
        {"the last surrogate", "\xed\xbf\xbf", 3, 1},
        {"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80", 6, 1},
        {"above U+10FFFF", "\xf4\x90\x80\x80", 4, 1},
        {"above U+10FFFF", "\xf5\x80\x80\x80", 4, 0},
        {"five bytes", "\xf8\x88\x80\x80\x80", 5, 0},
        {"six bytes", "\xfc\x84\x80\x80\x80\x80", 6, 0},
        {"0xfe", "\xfe", 1, 0},
        {"0xff", "a\xff", 2, 1},
        {"Latin-1", "caf\xe9 noir", 9, 4},
        {"a lead after a lead", "\xc3\xc3\xa9", 3, 1},
        {"the second byte", "\xe2\x28\xa1", 3, 1},
        {"the third byte", "\xe2\x82\x28", 3, 2},
        {"the fourth byte", "\xf0\x9f\x91\x28", 4, 3},
        {"a NUL", "\0", 1, 0},
        {"a NUL", "abcdefgh\0", 9, 8},
        {"a NUL among eight", "abc\0efgh", 8, 3},
        {"a NUL in a character", "\xe2\0\xa1", 3, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(wrong[i].bytes, wrong[i].size, wrong[i].offset);
}

static void the_sentence_tells_a_nul_from_a_wrong_byte(void **state)
{
    (void)state;
    assert_null(salut_decode("ab\0c", 4));
    assert_string_equal(salut_error(), "decode: byte 2 is 0, which a C string can't hold");
    assert_null(salut_decode("ab\xffq", 4));
    assert_string_equal(salut_error(), "decode: byte 2 (0xff) is not UTF-8 where it stands");
    assert_null(salut_decode("ab\xc3", 3));
    assert_string_equal(salut_error(),
                        "decode: the text ends inside the character that begins at byte 2");
}

static void a_wrong_byte_at_every_place_is_found(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40; size++)
        for (size_t at = 0; at < size; at++) {
            char bytes[40];
            memset(bytes, 'a', sizeof bytes);
            bytes[at] = (char)0xff;
            assert_refused(bytes, size, at);
            bytes[at] = 0;
            assert_refused(bytes, size, at);
        }
}

static void a_character_cut_at_every_place_is_refused(void **state)
{
    const char *characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x91\x8b"};

    (void)state;
    for (size_t before = 0; before < 20; before++)
        for (size_t i = 0; i < 3; i++)
            for (size_t cut = 1; cut < strlen(characters[i]); cut++) {
                char bytes[40];
                memset(bytes, 'a', sizeof bytes);
                memcpy(bytes + before, characters[i], cut);
                assert_refused(bytes, before + cut, before);
            }
}

/* ---- After a failure ----------------------------------------------------------------------- */

static void decoding_a_failed_receive_keeps_its_failure(void **state)
{
    char buffer[10], sentence[200];
    ssize_t size = salut_recv(NULL, buffer, sizeof buffer);

    (void)state;
    assert_int_equal(size, -1);
    snprintf(sentence, sizeof sentence, "%s", salut_error());
    errno = ENOTTY; /* as of a printf() in between */
    assert_null(salut_decode(buffer, size));
    assert_int_equal(errno, EBADF);
    assert_string_equal(salut_error(), sentence);
}

static void a_negative_size_without_a_failure_says_so(void **state)
{
    (void)state;
    assert_null(salut_decode("abc", -1));
    assert_int_equal(errno, EINVAL);
    assert_string_equal(salut_error(), "decode: the size is negative");
}

/* ---- For the oracle ------------------------------------------------------------------------ */

static size_t bytes_of_hexadecimal(const char *line, unsigned char *bytes)
{
    size_t size = 0;
    unsigned byte;

    while (sscanf(line + 2 * size, "%2x", &byte) == 1)
        bytes[size++] = (unsigned char)byte;
    return size;
}

static int answer_oracle(void)
{
    static char line[4096];
    static unsigned char bytes[sizeof line / 2];

    while (fgets(line, sizeof line, stdin)) {
        size_t size = bytes_of_hexadecimal(line, bytes);
        char *text = salut_decode(bytes, (ssize_t)size);
        unsigned long offset;
        if (text)
            puts(strlen(text) == size && !memcmp(text, bytes, size) ? "+" : "other text");
        else if (sscanf(strstr(salut_error(), "byte "), "byte %lu", &offset) == 1)
            printf("%lu\n", offset);
        else
            puts(salut_error());
        free(text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ascii_is_text, forget),
        cmocka_unit_test_setup(nothing_is_the_empty_text, forget),
        cmocka_unit_test_setup(text_with_accents_is_text, forget),
        cmocka_unit_test_setup(every_character_there_is_is_text, forget),
        cmocka_unit_test_setup(the_borders_of_each_length_are_text, forget),
        cmocka_unit_test_setup(a_character_at_every_place_is_text, forget),
        cmocka_unit_test_setup(each_kind_of_wrong_byte_is_refused_where_it_stands, forget),
        cmocka_unit_test_setup(the_sentence_tells_a_nul_from_a_wrong_byte, forget),
        cmocka_unit_test_setup(a_wrong_byte_at_every_place_is_found, forget),
        cmocka_unit_test_setup(a_character_cut_at_every_place_is_refused, forget),
        cmocka_unit_test_setup(decoding_a_failed_receive_keeps_its_failure, forget),
        cmocka_unit_test_setup(a_negative_size_without_a_failure_says_so, forget),
    };

    if (argc == 2 && !strcmp(argv[1], "oracle"))
        return answer_oracle();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
