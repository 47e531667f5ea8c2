/* Text that came from elsewhere, and what in it could steer a terminal that shows it. */
#ifndef SALUT_BASE_TEXT_H
#define SALUT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No character has this number. */
enum { TEXT_NOT_UTF8 = 0x110000 };

/* The character at the beginning of these bytes, of which there is at least one (RFC 3629).
 * Result: its bytes, or 1 and TEXT_NOT_UTF8; 0 when it is cut after size bytes. */
size_t text_read(const unsigned char *at, size_t size, uint32_t *code);

/* Whether a terminal only shows it, where it stands. A tab is harmless. */
bool text_is_harmless(uint32_t code);

/* Every byte of a character that isn't harmless becomes '?', and so does a tab. */
void text_tame(char *text);

#endif
