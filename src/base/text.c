/* text.c: a terminal obeys control characters, and whoever is on the other side may send any, as a
 * path or as a name. So do the characters that turn text around. */
#include "base/text.h"

#include <string.h>

size_t text_read(const unsigned char *at, size_t size, uint32_t *code)
{
    unsigned char lead = at[0];
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    *code = lead;
    if (lead < 0x80)
        return 1;
    *code = TEXT_NOT_UTF8;
    if (lead < 0xc2 || lead > 0xf4)
        return 1;
    for (size_t i = 1; i < length && i < size; i++) {
        if (at[i] < low || at[i] > high)
            return 1;
        low = 0x80;
        high = 0xbf;
    }
    if (size < length)
        return 0;
    *code = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        *code = *code << 6 | (at[i] & 0x3fu);
    return length;
}

bool text_is_harmless(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } harmful[] = {
        {0x00, 0x08},
        {0x0a, 0x1f},
        {0x7f, 0x9f}, /* controls, but for the tab */
        {0x061c, 0x061c},
        {0x200e, 0x200f}, /* marks of direction */
        {0x2028, 0x202e}, /* ends of line, turns of direction */
        {0x2066, 0x206f}, /* more turns of direction */
        {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, /* the byte order mark, annotations */
        {TEXT_NOT_UTF8, TEXT_NOT_UTF8},
    };

    if (code >= 0x20 && code < 0x7f)
        return true;
    for (size_t i = 0; i < sizeof harmful / sizeof harmful[0]; i++) {
        if (code >= harmful[i].first && code <= harmful[i].last)
            return false;
    }
    return true;
}

void text_tame(char *text)
{
    size_t rest = strlen(text);

    while (rest) {
        uint32_t code;
        size_t length = text_read((unsigned char *)text, rest, &code);

        if (!length)
            length = rest;
        if (code == '\t' || !text_is_harmless(code))
            memset(text, '?', length);
        text += length;
        rest -= length;
    }
}
