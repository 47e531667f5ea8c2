/* create.c: one line instead of three. */
#include "base/error.h"
#include "socket/address.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Goes on with the socket if all went well, else closes it and keeps the failure. */
static salut_sock *or_close(salut_sock *s, int result)
{
    int failure = errno;

    if (!result)
        return s;
    salut_close(s);
    errno = failure;
    return NULL;
}

/* Digits alone make a number; -1 if it is none. */
static int number_of(const char *text)
{
    enum { NUMBER_MAX = 100 * 1000 * 1000 }; /* no process and no descriptor has a higher one */
    int number = 0;

    if (!text || !*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        number = 10 * number + (*text - '0');
        if (number > NUMBER_MAX)
            return -1;
    }
    return number;
}

/* The protocol of sd_listen_fds(3): LISTEN_FDS descriptors from 3 on, if LISTEN_PID is us. It is
 * two variables, stable for good, so that no library is needed for it. */
static salut_sock *inherit(const char *address)
{
    enum { FIRST_DESCRIPTOR = 3 };
    const char *number = address + strlen("systemd:");
    int index = *number ? number_of(number) : 0;
    int count = number_of(getenv("LISTEN_PID")) == getpid() ? number_of(getenv("LISTEN_FDS")) : 0;

    if (index < 0)
        error_say(EINVAL, "address %s: write systemd: or systemd:0 and so on", address);
    else if (index >= count)
        error_say(ENOENT, "address %s: the service manager passed %d sockets (LISTEN_FDS)", address,
                  count > 0 ? count : 0);
    else
        return salut_from_fd(FIRST_DESCRIPTOR + index);
    return NULL;
}

salut_sock *salut_create_server(const char *address)
{
    struct address_parts parts;
    salut_sock *s;
    int result;

    if (address && !strncmp(address, "systemd:", strlen("systemd:")))
        return inherit(address);
    if (address_parse("address", address, &parts))
        return NULL;
    s = salut_socket(parts.kind);
    result = salut_bind(s, parts.path ? parts.path : parts.host, parts.port);
    if (!result && parts.kind != SALUT_UDP)
        result = salut_listen(s, 0);
    return or_close(s, result);
}

salut_sock *salut_create_connection(const char *address)
{
    struct address_parts parts;
    salut_sock *s;
    const char *host;

    if (address_parse("address", address, &parts))
        return NULL;
    host = parts.host[0] ? parts.host : "localhost";
    s = salut_socket(parts.kind);
    return or_close(s, salut_connect(s, parts.path ? parts.path : host, parts.port));
}

const char *salut_version(void)
{
    return SALUT_VERSION;
}
