/* Names to addresses by getaddrinfo(), which blocks, on threads of its own. For engines that
 * live in the real world. */
#ifndef SALUT_ENGINE_RESOLVER_H
#define SALUT_ENGINE_RESOLVER_H

#include "engine/engine.h"

/* Begins the RESOLVE operation of this engine. 0: pending, done() follows by a letter; else
 * -errno. */
int resolver_start(struct engine *e, struct operation *operation);

void resolver_cancel(struct operation *operation);

/* The engine goes away: what is still being looked up for it is forgotten. */
void resolver_forget(struct engine *e);

#endif
