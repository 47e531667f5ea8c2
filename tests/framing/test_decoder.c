/* Text that comes in pieces: however it is cut, what comes out is what went in. */
#include "support/fibers.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static int forget(void **state)
{
    (void)state;
    salut_clear_error();
    errno = 0;
    return 0;
}

/* Decodes one piece and adds the text to `all`. false: refused. */
static bool decode_piece(salut_decoder *d, const void *bytes, size_t size, char *all)
{
    char *text = salut_decoder_decode(d, bytes, (ssize_t)size);

    if (!text)
        return false;
    strcat(all, text);
    free(text);
    return true;
}

/* Everything that a decoder can meet, good and bad. */
static const struct {
    const char *bytes;
    size_t size;
} corpus[] = {
    {"", 0},
    {"Salut le serveur !", 18},
    {"d\xc3\xa9j\xc3\xa0", 6},
    {"\xe2\x82\xac\xe2\x82\xac", 6},
    {"\xf0\x9f\x91\x8b\xf0\x9f\x8f\xbd!", 9},
    {"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x91\x8bz", 11},
    {"abcdefgh\xf0\x9f\x91\x8b", 12},
    {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10},
    {"ab\xff", 3},
    {"ab\xe2\x82", 4},
    {"a\xf0\x9f\x91", 4},
    {"\xe2\x28\xa1", 3},
    {"\xf0\x9f\x91\x28", 4},
    {"\xe0\x9f\xbf", 3},
    {"\xed\xa0\x80", 3},
    {"\xf4\x90\x80\x80", 4},
    {"\xc3\xc3\xa9", 3},
    {"\xc3\xa9\xa9", 3},
    {"ab\0c", 4},
    {"\xe2\x82\0", 3},
};

/* Cut in three at every two places, with the end told: the same text, or the same failure. */
static void every_cut_in_three_gives_what_the_whole_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        const char *bytes = corpus[i].bytes;
        size_t size = corpus[i].size;
        char *whole, said[200];
        salut_clear_error();
        whole = salut_decode(bytes, (ssize_t)size);
        snprintf(said, sizeof said, "%s", salut_error());
        for (size_t first = 0; first <= size; first++)
            for (size_t second = first; second <= size; second++) {
                salut_decoder d = {0};
                char all[32] = "";
                bool good;
                salut_clear_error();
                good = (!first || decode_piece(&d, bytes, first, all)) &&
                       (second == first || decode_piece(&d, bytes + first, second - first, all)) &&
                       (second == size || decode_piece(&d, bytes + second, size - second, all)) &&
                       decode_piece(&d, "", 0, all);
                if (good != (whole != NULL) || (good && strcmp(all, whole)) ||
                    strcmp(salut_error(), said))
                    fail_msg("%zu, cut at %zu and %zu: \"%s\", %s; whole: \"%s\", %s", i, first,
                             second, all, salut_error(), whole ? whole : "", said);
                if (!good)
                    assert_int_equal(errno, EILSEQ);
            }
        free(whole);
    }
}

static void a_byte_at_a_time_gives_what_the_whole_gives(void **state)
{
    const char *bytes = "Déjà vu : 你好, 👋🏽 !";
    salut_decoder d = {0};
    char all[64] = "";

    (void)state;
    for (size_t i = 0; i < strlen(bytes); i++)
        assert_true(decode_piece(&d, bytes + i, 1, all));
    assert_true(decode_piece(&d, NULL, 0, all));
    assert_string_equal(all, bytes);
    assert_int_equal(d.offset, strlen(bytes));
}

static void a_character_comes_with_its_last_byte(void **state)
{
    salut_decoder d = {0};
    char all[16] = "";

    (void)state;
    assert_true(decode_piece(&d, "a\xe2", 2, all));
    assert_string_equal(all, "a");
    assert_true(decode_piece(&d, "\x82", 1, all));
    assert_string_equal(all, "a");
    assert_true(decode_piece(&d, "\xac", 1, all));
    assert_string_equal(all, "a\xe2\x82\xac");
}

static void a_wrong_byte_is_refused_as_soon_as_it_comes(void **state)
{
    salut_decoder d = {0};
    char all[16] = "";

    (void)state;
    assert_true(decode_piece(&d, "ab\xe2", 3, all));
    assert_false(decode_piece(&d, "\x28", 1, all));
    assert_int_equal(errno, EILSEQ);
    assert_string_equal(salut_error(), "decode: byte 3 (0x28) is not UTF-8 where it stands");
}

static void the_offset_counts_from_the_first_piece(void **state)
{
    static char thousand[1000];
    salut_decoder d = {0};
    char *text;

    (void)state;
    memset(thousand, 'x', sizeof thousand);
    for (int i = 0; i < 3; i++) {
        text = salut_decoder_decode(&d, thousand, sizeof thousand);
        assert_non_null(text);
        free(text);
    }
    assert_null(salut_decoder_decode(&d, "abc\xff", 4));
    assert_string_equal(salut_error(), "decode: byte 3003 (0xff) is not UTF-8 where it stands");
}

static void after_a_failure_it_starts_afresh(void **state)
{
    salut_decoder d = {0};
    char all[16] = "";

    (void)state;
    assert_true(decode_piece(&d, "abc\xe2\x82", 5, all));
    assert_false(decode_piece(&d, "x", 1, all));
    assert_int_equal(d.held_size, 0);
    assert_int_equal(d.offset, 0);
    assert_true(decode_piece(&d, "ok", 2, all));
    assert_string_equal(all, "abcok");
    assert_false(decode_piece(&d, "\xff", 1, all));
    assert_string_equal(salut_error(), "decode: byte 2 (0xff) is not UTF-8 where it stands");
}

static void an_end_in_the_middle_of_a_character_is_refused(void **state)
{
    salut_decoder d = {0};
    char all[16] = "";

    (void)state;
    assert_true(decode_piece(&d, "ab\xf0\x9f", 4, all));
    assert_null(salut_decoder_decode(&d, NULL, 0));
    assert_int_equal(errno, EILSEQ);
    assert_string_equal(salut_error(),
                        "decode: the text ends inside the character that begins at byte 2");
    assert_true(decode_piece(&d, NULL, 0, all)); /* afresh: nothing is held */
}

static void a_failed_receive_is_kept_and_what_is_held_too(void **state)
{
    salut_decoder d = {0};
    char all[16] = "", byte;
    ssize_t size;

    (void)state;
    assert_true(decode_piece(&d, "a\xc3", 2, all));
    size = salut_recv(NULL, &byte, 1);
    errno = ENOTTY;
    assert_null(salut_decoder_decode(&d, &byte, size));
    assert_int_equal(errno, EBADF);
    errno = EILSEQ; /* of something else */
    assert_null(salut_decoder_decode(&d, &byte, size));
    assert_true(decode_piece(&d, "\xa9", 1, all));
    assert_string_equal(all, "a\xc3\xa9");
}

/* ---- Without memory ------------------------------------------------------------------------ */

/* A piece for which there is no memory may be given again when there is. */
static void decode_without_memory(void)
{
    const size_t size = (size_t)64 << 20;
    salut_decoder d = {0};
    struct rlimit none = {0, RLIM_INFINITY}, plenty;
    char all[16] = "", *text;
    char *piece = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHILD_ASSERT(piece != MAP_FAILED);
    memset(piece, 'x', size);
    piece[0] = '\xa9';
    piece[size - 1] = '\xc3';
    CHILD_ASSERT(decode_piece(&d, "a\xc3", 2, all));
    CHILD_ASSERT(getrlimit(RLIMIT_AS, &plenty) == 0);
    none.rlim_max = plenty.rlim_max;
    CHILD_ASSERT(setrlimit(RLIMIT_AS, &none) == 0);
    CHILD_ASSERT(!salut_decoder_decode(&d, piece, (ssize_t)size));
    CHILD_ASSERT(errno == ENOMEM);
    CHILD_ASSERT(setrlimit(RLIMIT_AS, &plenty) == 0);
    CHILD_ASSERT(d.held_size == 1);
    text = salut_decoder_decode(&d, piece, (ssize_t)size);
    CHILD_ASSERT(text && strlen(text) == size);
    CHILD_ASSERT(!memcmp(text, "\xc3\xa9xxxx", 6));
    CHILD_ASSERT(decode_piece(&d, "\xa9", 1, all));
    CHILD_ASSERT(!strcmp(all, "a\xc3\xa9"));
}

static void without_memory_a_piece_is_as_if_it_had_not_come(void **state)
{
    (void)state;
    needs_no("AddressSanitizer", "it needs address space without a limit");
    needs_no("ThreadSanitizer", "it needs address space without a limit");
    needs_no("valgrind", "it needs address space itself");
    needs_no("qemu", "a limit would be the emulator's own");
    assert_child_is_content(decode_without_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_cut_in_three_gives_what_the_whole_gives, forget),
        cmocka_unit_test_setup(a_byte_at_a_time_gives_what_the_whole_gives, forget),
        cmocka_unit_test_setup(a_character_comes_with_its_last_byte, forget),
        cmocka_unit_test_setup(a_wrong_byte_is_refused_as_soon_as_it_comes, forget),
        cmocka_unit_test_setup(the_offset_counts_from_the_first_piece, forget),
        cmocka_unit_test_setup(after_a_failure_it_starts_afresh, forget),
        cmocka_unit_test_setup(an_end_in_the_middle_of_a_character_is_refused, forget),
        cmocka_unit_test_setup(a_failed_receive_is_kept_and_what_is_held_too, forget),
        cmocka_unit_test_setup(without_memory_a_piece_is_as_if_it_had_not_come, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
