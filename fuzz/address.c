/* address.c: the strings that name addresses. What parses is printed so that it parses to the same;
 * what doesn't has errno and a sentence; and the words that take such a string, on a simulated
 * network, agree with the parser. How: nothing; the whole input is the string. */
#include "socket/address.h"
#include "fuzz/fuzz.h"

#include <salut/sim.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = HOST_NAME_BYTES_MAX + 32 };

static const int not_an_address[] = {EINVAL, EPROTONOSUPPORT, 0};

/* ---- The parser ---------------------------------------------------------------------------- */

static void require_same_parts(const struct address_parts *a, const struct address_parts *b)
{
    fuzz_require(a->kind == b->kind && a->port == b->port, "the same kind and port");
    fuzz_require(!strcmp(a->host, b->host), "the same host: %s, and %s", a->host, b->host);
    fuzz_require(!a->path == !b->path && (!a->path || !strcmp(a->path, b->path)), "the same path");
}

/* As people would write it. */
static void print_parts(const struct address_parts *parts, char *text, size_t size)
{
    char goal[TEXT_BYTES];

    address_goal(parts->host, parts->port, goal, sizeof goal);
    snprintf(text, size, "%s%s", parts->kind == SALUT_UDP ? "udp:" : "", goal);
}

static void check_host(const struct address_parts *parts)
{
    char text[TEXT_BYTES + 8];
    struct address_parts again;

    fuzz_require(parts->port >= 0 && parts->port <= 65535, "a port: %d", parts->port);
    fuzz_require(strlen(parts->host) <= HOST_NAME_BYTES_MAX, "a host's size");
    print_parts(parts, text, sizeof text);
    fuzz_require(!address_parse("again", text, &again), "%s parses: %s", text, salut_error());
    require_same_parts(parts, &again);
}

/* A numeric address or a path, as the system has it, and back. */
static void check_address(salut_addr *address, salut_kind kind)
{
    char text[256], prefixed[300];
    struct address_parts parts;
    salut_addr again;

    address_text(address, text, sizeof text);
    if (kind == SALUT_UNIX && strcmp(text + strlen("unix:"), salut_addr_host(address)) != 0)
        return; /* it holds control characters, which aren't shown */
    snprintf(prefixed, sizeof prefixed, "%s%s", kind == SALUT_UDP ? "udp:" : "", text);
    fuzz_require(!address_parse("again", prefixed, &parts), "%s parses: %s", prefixed,
                 salut_error());
    fuzz_require(parts.kind == kind, "%s is of the same kind", prefixed);
    if (kind == SALUT_UNIX) {
        fuzz_require(!address_from_path(&again, parts.path), "%s is a path", prefixed);
    } else {
        fuzz_require(address_from_numeric(&again, parts.host), "%s is numeric", prefixed);
        address_set_port(&again, parts.port);
    }
    fuzz_require(again.raw_size == address->raw_size &&
                     !memcmp(&again.raw, &address->raw, again.raw_size),
                 "%s is the same address", prefixed);
}

static void check_parser(const char *text)
{
    struct address_parts parts;
    salut_addr address;

    if (address_parse("address", text, &parts)) {
        fuzz_require_failure("address", errno, not_an_address);
    } else if (parts.path) {
        if (!address_from_path(&address, parts.path))
            check_address(&address, SALUT_UNIX);
    } else {
        check_host(&parts);
        if (address_from_numeric(&address, parts.host)) {
            address_set_port(&address, parts.port);
            check_address(&address, parts.kind);
        }
    }
}

/* ---- The words ----------------------------------------------------------------------------- */

/* A server waits where it says, and clients come there by what it says. */
static void check_server(salut_sock *server, const char *given)
{
    struct address_parts parts;
    salut_addr here;
    char text[256];
    salut_sock *client;

    fuzz_require(!salut_local(server, &here), "a server is somewhere: %s", salut_error());
    fuzz_require(salut_addr_host(&here)[0], "a server's address has a text");
    if (address_parse("address", given, &parts) || parts.kind == SALUT_UDP)
        return;
    if (parts.kind == SALUT_UNIX)
        snprintf(text, sizeof text, "%s", given);
    else
        address_text(&here, text, sizeof text);
    client = salut_create_connection(text);
    fuzz_require(client != NULL, "%s takes clients: %s", text, salut_error());
    salut_close(client);
}

static void check_words(void *argument)
{
    static const int documented[] = {EINVAL,       EPROTONOSUPPORT, EADDRINUSE,   EADDRNOTAVAIL,
                                     EACCES,       ENOENT,          EHOSTUNREACH, ENAMETOOLONG,
                                     ECONNREFUSED, ETIMEDOUT,       ENETUNREACH,  0};
    const char *text = argument;
    struct address_parts parts;
    bool parses =
        !address_parse("address", text, &parts) || !strncmp(text, "systemd:", strlen("systemd:"));
    salut_sock *server, *client;

    salut_clear_error();
    server = salut_create_server(text);
    fuzz_require(parses || !server, "what doesn't parse is no server: %s", text);
    if (server)
        check_server(server, text);
    else
        fuzz_require_failure("create_server", errno, documented);
    salut_close(server);

    salut_clear_error();
    client = salut_create_connection(text);
    fuzz_require(parses || !client, "what doesn't parse is no connection: %s", text);
    if (!client)
        fuzz_require_failure("create_connection", errno, documented);
    salut_close(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const salut_sim_options calm = {.calm = 1};
    char *text = malloc(size + 1);

    if (size)
        memcpy(text, bytes, size);
    text[size] = '\0';
    salut_clear_error();
    check_parser(text);
    fuzz_require(!salut_sim_run(1, check_words, text, &calm), "%s", salut_error());
    salut_clear_error();
    free(text);
    return 0;
}
