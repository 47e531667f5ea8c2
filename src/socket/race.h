/* Connecting to one of several addresses (RFC 8305). */
#ifndef SALUT_SOCKET_RACE_H
#define SALUT_SOCKET_RACE_H

#include "engine/engine.h"

#include <stdint.h>

/* Connects a TCP endpoint, which must not be open, to the first of the addresses that answers.
 * 0 and *winner; or -1 with a sentence that lists each address and why it failed. `goal` is
 * what the user asked for. */
int race(const char *goal, struct address_list *list, int64_t deadline, struct endpoint *endpoint,
         salut_addr *winner);

#endif
