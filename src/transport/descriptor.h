/* Bytes and datagrams through the system's descriptors: each call is one operation, or several
 * small ones, done by the calling fiber. Results are counts, or -errno. */
#ifndef SALUT_TRANSPORT_DESCRIPTOR_H
#define SALUT_TRANSPORT_DESCRIPTOR_H

#include "engine/engine.h"

#include <stddef.h>
#include <stdint.h>

/* At most size bytes, at least one; 0 at the end. */
int64_t descriptor_receive(struct endpoint *ep, void *into, size_t size, int64_t deadline);

/* All of head and from, which go as one. *moved says how much the system took, on failure too. */
int64_t descriptor_send(struct endpoint *ep, const void *head, size_t head_size, const void *from,
                        size_t size, int64_t deadline, size_t *moved);

/* One datagram; the true size, which may exceed `size`. sender may be NULL. */
int64_t descriptor_receive_from(struct endpoint *ep, void *into, size_t size, salut_addr *sender,
                                int64_t deadline);

/* One datagram; `to` is NULL on a connected socket. */
int64_t descriptor_send_to(struct endpoint *ep, const void *from, size_t size, salut_addr *to,
                           int64_t deadline);

/* A new descriptor, for engine's adopt. peer is filled. */
int64_t descriptor_accept(struct endpoint *ep, salut_addr *peer, int64_t deadline);

int64_t descriptor_connect(struct endpoint *ep, salut_addr *to, int64_t deadline);

/* After a connect that failed or was given up: the system forgets it. Never waits. */
void descriptor_disconnect(struct endpoint *ep);

#endif
