/* create.c: one line instead of three. */
#include "base/error.h"
#include "socket/address.h"

#include <salut.h>

#include <errno.h>

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

salut_sock *salut_create_server(const char *address)
{
    struct address_parts parts;
    salut_sock *s;
    int result;

    if (address_parse("create_server", address, &parts))
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

    if (address_parse("create_connection", address, &parts))
        return NULL;
    host = parts.host[0] ? parts.host : "localhost";
    s = salut_socket(parts.kind);
    return or_close(s, salut_connect(s, parts.path ? parts.path : host, parts.port));
}

const char *salut_version(void)
{
    return SALUT_VERSION;
}
