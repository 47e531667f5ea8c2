/* Text from elsewhere: its characters, and which of them could steer a terminal. */
#include "support/fibers.h"

#include "base/text.h"

static void a_character_is_read_with_its_number(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t code;
    } cases[] = {
        {"a", 1, 'a'},
        {"\xc3\xa9", 2, 0xe9},
        {"\xe2\x82\xac", 3, 0x20ac},
        {"\xf0\x9f\x91\x8b", 4, 0x1f44b},
        {"\x80", 1, TEXT_NOT_UTF8},
        {"\xc0\xaf", 1, TEXT_NOT_UTF8},         /* overlong */
        {"\xed\xa0\x80", 1, TEXT_NOT_UTF8},     /* half a surrogate pair */
        {"\xf4\x90\x80\x80", 1, TEXT_NOT_UTF8}, /* above U+10FFFF */
        {"\xe2\x82", 0, TEXT_NOT_UTF8},         /* cut */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const unsigned char *bytes = (const unsigned char *)cases[i].bytes;
        uint32_t code;
        assert_int_equal(text_read(bytes, strlen(cases[i].bytes), &code), cases[i].length);
        assert_int_equal(code, cases[i].code);
    }
}

static void letters_are_harmless_and_controls_are_not(void **state)
{
    static const uint32_t harmless[] = {'\t', ' ', '~', 0xa0, 0xe9, 0x2027, 0x1f44b, 0x10ffff};
    static const uint32_t harmful[] = {0,     '\n',   '\r',   0x1b,   0x7f,         0x9b,
                                       0x61c, 0x200e, 0x202e, 0x2066, TEXT_NOT_UTF8};

    (void)state;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        assert_true(text_is_harmless(harmless[i]));
    for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++)
        assert_false(text_is_harmless(harmful[i]));
}

static void tamed_text_has_as_many_bytes(void **state)
{
    char text[] = "\x1b[2J \t\xc3\xa9 \xc2\x9b \xff \xe2\x80\xae \xe2\x82";

    (void)state;
    text_tame(text);
    assert_string_equal(text, "?[2J ?\xc3\xa9 ?? ? ??? ??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_character_is_read_with_its_number),
        cmocka_unit_test(letters_are_harmless_and_controls_are_not),
        cmocka_unit_test(tamed_text_has_as_many_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
