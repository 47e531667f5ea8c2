/* Accepting, for the word and for the floor that serves many. */
#ifndef SALUT_SOCKET_SERVER_H
#define SALUT_SOCKET_SERVER_H

#include "socket/socket.h"

/* The entered socket is a listener, and nobody is accepting on it; else -1 with the failure said. */
int server_check(const struct socket *s, const char *word);

/* The next client's descriptor, waiting out what isn't the listener's fault; or -errno. */
int64_t server_accept(struct socket *s, salut_addr *peer, int64_t deadline);

/* Makes the new record the client's end of the conversation. -errno: the descriptor is closed. */
int server_settle(struct socket *client, int descriptor, const salut_addr *peer);

#endif
