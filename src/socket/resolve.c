/* resolve.c: hosts and ports as people write them. */
#include "socket/resolve.h"
#include "base/clock.h"
#include "base/error.h"
#include "fiber/scheduler.h"
#include "socket/address.h"

#include <salut.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int resolve_check_port(const char *word, const char *host, int port, int least)
{
    if (port >= least && port <= 65535)
        return 0;
    return error_say(EINVAL, "%s %s: %d is not a port (they go from %d to 65535)", word,
                     host && host[0] ? host : "every interface", port, least);
}

static int look_up(const char *word, const char *host, int port, int64_t deadline,
                   struct address_list *list)
{
    struct operation o = {.kind = OPERATION_RESOLVE, .host = host, .found = list};
    int64_t result = fiber_perform(&o, deadline);

    switch (result) {
    case 0:
        return 0;
    case -ENOENT:
        return error_say(ENOENT, "%s %s:%d: no host has that name (is it spelled right?)", word,
                         host, port);
    case -EHOSTUNREACH:
        return error_say(EHOSTUNREACH,
                         "%s %s:%d: the name can't be looked up just now (is there a network, and "
                         "does its name server answer?)",
                         word, host, port);
    default:
        return error_set((int)-result, "%s %s:%d: looking the name up", word, host, port);
    }
}

int resolve(const char *word, const char *host, int port, int64_t deadline,
            struct address_list *list)
{
    list->count = 0;
    if (strlen(host) > HOST_NAME_BYTES_MAX)
        return error_say(EINVAL, "%s a host: its name has %zu bytes, and %d is the most a name has",
                         word, strlen(host), HOST_NAME_BYTES_MAX);
    if (!address_is_plain(host, strlen(host)))
        return error_say(EINVAL, "%s a host: its name holds a space or a control character", word);
    if (address_from_numeric(&list->addresses[0], host))
        list->count = 1;
    else if (look_up(word, host, port, deadline, list))
        return -1;
    for (uint32_t i = 0; i < list->count; i++)
        address_set_port(&list->addresses[i], port);
    return 0;
}

void resolve_put_first(struct address_list *list, int family)
{
    salut_addr *place = list->addresses;

    for (salut_addr *at = list->addresses; at < list->addresses + list->count; at++) {
        salut_addr moved = *at;
        if (address_family(at) != family)
            continue;
        memmove(place + 1, place, (size_t)(at - place) * sizeof *place);
        *place++ = moved;
    }
}

static int resolve_first(salut_addr *addr, const char *host, int port)
{
    struct address_list *list;
    int result;

    if (!host || !host[0])
        return error_say(EINVAL, "resolve: the host is empty");
    if (resolve_check_port("resolve", host, port, 0))
        return -1;
    list = scheduler_get() ? fiber_borrow(sizeof *list) : NULL;
    if (!list)
        return error_set(errno, "resolve %s:%d", host, port);
    result = resolve("resolve", host, port, NEVER, list);
    if (!result) {
        resolve_put_first(list, AF_INET);
        *addr = list->addresses[0];
    }
    fiber_give_back(list);
    return result;
}

int salut_resolve(salut_addr *addr, const char *host, int port)
{
    memset(addr, 0, sizeof *addr);
    return resolve_first(addr, host, port);
}
