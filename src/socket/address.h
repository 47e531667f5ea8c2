/* Addresses: the numbers in a salut_addr, their text, and the strings that name them. */
#ifndef SALUT_SOCKET_ADDRESS_H
#define SALUT_SOCKET_ADDRESS_H

#include "base/limits.h"

#include <salut.h>

#include <stdbool.h>
#include <sys/socket.h>

/* "host:port", "[::1]:port", ":port", "unix:/path", "udp:host:port", taken apart. */
struct address_parts {
    salut_kind kind;
    int port;
    const char *path;                   /* Unix: points into the text */
    char host[HOST_NAME_BYTES_MAX + 1]; /* "" for ":port" */
};

/* 0, or -1 with a sentence that begins with `word`. */
int address_parse(const char *word, const char *text, struct address_parts *parts);

static inline int address_family(const salut_addr *address)
{
    return address->raw_size ? address->raw.any.sa_family : AF_UNSPEC;
}

void address_set_port(salut_addr *address, int port);

/* Every interface, or this machine. */
void address_any(salut_addr *address, int family);
void address_loopback(salut_addr *address);

/* 0, or -EINVAL (empty) or -ENAMETOOLONG. "@name" is abstract. */
int address_from_path(salut_addr *address, const char *path);

/* A numeric address; false if host is a name. */
bool address_from_numeric(salut_addr *address, const char *host);

/* ::ffff:1.2.3.4 becomes 1.2.3.4, and back. */
void address_unmap(salut_addr *address);
void address_map(salut_addr *address);

/* Whether no byte of it is a space or a control character, which no host's name holds. */
bool address_is_plain(const char *host, size_t size);

/* What the user asked for, as "host:port" or "[host]:port". */
void address_goal(const char *host, int port, char *text, size_t size);

/* "host:port", "[host]:port" or "unix:path" for a sentence, bytes of a peer's choice escaped. */
const char *address_text(salut_addr *address, char *text, size_t size);

#endif
