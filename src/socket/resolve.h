/* From a host as people write it to addresses. */
#ifndef SALUT_SOCKET_RESOLVE_H
#define SALUT_SOCKET_RESOLVE_H

#include "engine/engine.h"

#include <stdint.h>

/* host: numeric, or a name, which is looked up off the thread. The addresses have the port, and
 * the system's order. 0, or -1 with a sentence that begins with "word host:port". */
int resolve(const char *word, const char *host, int port, int64_t deadline,
            struct address_list *list);

/* port is from least to 65535; else -1 and EINVAL. */
int resolve_check_port(const char *word, const char *host, int port, int least);

/* Puts this family before the other, else keeps the order. */
void resolve_put_first(struct address_list *list, int family);

#endif
