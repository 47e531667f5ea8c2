/* address.c: addresses as numbers and as text. No system call, no look-up. */
#include "socket/address.h"
#include "base/error.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* ---- Making -------------------------------------------------------------------------------- */

static void begin(salut_addr *a, int family)
{
    memset(a, 0, sizeof *a);
    a->raw.any.sa_family = (sa_family_t)family;
    a->raw_size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

void address_any(salut_addr *a, int family)
{
    begin(a, family);
}

void address_loopback(salut_addr *a)
{
    begin(a, AF_INET);
    a->raw.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

void address_set_port(salut_addr *a, int port)
{
    if (address_family(a) == AF_INET)
        a->raw.ipv4.sin_port = htons((uint16_t)port);
    else if (address_family(a) == AF_INET6)
        a->raw.ipv6.sin6_port = htons((uint16_t)port);
}

int address_from_path(salut_addr *a, const char *path)
{
    size_t size = path ? strlen(path) : 0;
    bool abstract = size && path[0] == '@';

    if (size <= abstract)
        return -EINVAL;
    if (size >= sizeof a->raw.path.sun_path)
        return -ENAMETOOLONG;
    memset(a, 0, sizeof *a);
    a->raw.path.sun_family = AF_UNIX;
    memcpy(a->raw.path.sun_path, path, size);
    if (abstract)
        a->raw.path.sun_path[0] = '\0';
    /* a path's size counts its NUL; an abstract name has none */
    a->raw_size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size + !abstract);
    return 0;
}

bool address_is_plain(const char *host, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)host[i] <= 0x20 || host[i] == 0x7f)
            return false;
    }
    return true;
}

bool address_from_numeric(salut_addr *a, const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    bool fits;

    if (getaddrinfo(host, NULL, &hints, &found))
        return false;
    fits = found->ai_addrlen <= sizeof a->raw;
    if (fits) {
        memset(a, 0, sizeof *a);
        memcpy(&a->raw, found->ai_addr, found->ai_addrlen);
        a->raw_size = found->ai_addrlen;
    }
    freeaddrinfo(found);
    return fits;
}

void address_unmap(salut_addr *a)
{
    struct sockaddr_in6 six;

    if (address_family(a) != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->raw.ipv6.sin6_addr))
        return;
    six = a->raw.ipv6;
    begin(a, AF_INET);
    memcpy(&a->raw.ipv4.sin_addr, &six.sin6_addr.s6_addr[12], 4);
    a->raw.ipv4.sin_port = six.sin6_port;
}

void address_map(salut_addr *a)
{
    struct sockaddr_in four;

    if (address_family(a) != AF_INET)
        return;
    four = a->raw.ipv4;
    begin(a, AF_INET6);
    a->raw.ipv6.sin6_addr.s6_addr[10] = 0xff;
    a->raw.ipv6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&a->raw.ipv6.sin6_addr.s6_addr[12], &four.sin_addr, 4);
    a->raw.ipv6.sin6_port = four.sin_port;
}

/* ---- Text ---------------------------------------------------------------------------------- */

/* The zone as the system reads it: an interface's name is for addresses of one link. */
static void ipv6_text(const salut_addr *a, char *text, size_t size)
{
    const struct in6_addr *address = &a->raw.ipv6.sin6_addr;
    bool of_a_link = IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MC_LINKLOCAL(address);
    unsigned zone = a->raw.ipv6.sin6_scope_id;
    char name[IF_NAMESIZE];

    inet_ntop(AF_INET6, address, text, (socklen_t)size);
    if (!zone)
        return;
    if (!of_a_link || !if_indextoname(zone, name)) /* or it is gone, or never was */
        snprintf(name, sizeof name, "%u", zone);
    strncat(text, "%", size - strlen(text) - 1);
    strncat(text, name, size - strlen(text) - 1);
}

/* An abstract name may hold any byte: its NULs, which a C string can't, are shown as '@' too. */
static void unix_text(const salut_addr *a, char *text, size_t size)
{
    size_t used = a->raw_size - offsetof(struct sockaddr_un, sun_path);
    const char *path = a->raw.path.sun_path;

    if (a->raw_size <= offsetof(struct sockaddr_un, sun_path))
        return;
    if (path[0] != '\0')
        used = strnlen(path, used);
    if (used >= size)
        used = size - 1;
    for (size_t i = 0; i < used; i++)
        text[i] = path[i] ? path[i] : '@';
    text[used] = '\0';
}

const char *salut_addr_host(salut_addr *a)
{
    if (a->text[0])
        return a->text;
    switch (address_family(a)) {
    case AF_INET:
        inet_ntop(AF_INET, &a->raw.ipv4.sin_addr, a->text, sizeof a->text);
        break;
    case AF_INET6:
        ipv6_text(a, a->text, sizeof a->text);
        break;
    case AF_UNIX:
        unix_text(a, a->text, sizeof a->text);
        break;
    }
    return a->text;
}

int salut_addr_port(const salut_addr *a)
{
    switch (address_family(a)) {
    case AF_INET:
        return ntohs(a->raw.ipv4.sin_port);
    case AF_INET6:
        return ntohs(a->raw.ipv6.sin6_port);
    default:
        return 0;
    }
}

/* A host of one of these names would be taken for the prefix: it goes in brackets. */
static const char *const prefixes[] = {"unix", "udp", "tls", "systemd"};

static bool needs_brackets(const char *host)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (!strcmp(host, prefixes[i]))
            return true;
    }
    return strchr(host, ':') != NULL;
}

void address_goal(const char *host, int port, char *text, size_t size)
{
    snprintf(text, size, needs_brackets(host) ? "[%s]:%d" : "%s:%d", host, port);
}

/* A path is of its owner's choice: what could steer a terminal is shown as '?'. */
const char *address_text(salut_addr *a, char *text, size_t size)
{
    const char *host = salut_addr_host(a);

    if (address_family(a) == AF_UNIX)
        snprintf(text, size, host[0] ? "unix:%s" : "an unnamed socket%s", host);
    else
        address_goal(host, salut_addr_port(a), text, size);
    text_tame(text);
    return text;
}

/* ---- Strings ------------------------------------------------------------------------------- */

static const char expected[] = "write host:port, [IPv6]:port, :port, unix:/path or udp:host:port";

/* Decimal digits only, at most 65535; else -1. */
static int parse_port(const char *text)
{
    int port = 0;

    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = 10 * port + (*text - '0');
        if (port > 65535)
            return -1;
    }
    return port;
}

static int parse_host(const char *word, const char *host, size_t size, struct address_parts *parts)
{
    if (size > HOST_NAME_BYTES_MAX)
        return error_say(EINVAL, "%s: the host has %zu bytes, and %d is the most a name has", word,
                         size, HOST_NAME_BYTES_MAX);
    if (!address_is_plain(host, size))
        return error_say(EINVAL, "%s: the host holds a space or a control character", word);
    if (memchr(host, '[', size) || memchr(host, ']', size))
        return error_say(EINVAL, "%s: the host holds a bracket: %s", word, expected);
    memcpy(parts->host, host, size);
    parts->host[size] = '\0';
    return 0;
}

static int parse_internet(const char *word, const char *text, struct address_parts *parts)
{
    bool brackets = text[0] == '[';
    const char *host = brackets ? text + 1 : text;
    const char *end = brackets ? strchr(host, ']') : strrchr(host, ':');
    const char *colon = end && brackets ? end + 1 : end;
    size_t size = end ? (size_t)(end - host) : 0;

    if (brackets && !end)
        return error_say(EINVAL, "%s %s: the [ has no ]: %s", word, text, expected);
    if (!colon || *colon != ':')
        return error_say(EINVAL, "%s %s: there is no port: %s", word, text, expected);
    if (!brackets && memchr(host, ':', size))
        return error_say(EINVAL, "%s %s: more than one port? an IPv6 address goes in [ ]: %s", word,
                         text, expected);
    parts->port = parse_port(colon + 1);
    if (parts->port < 0)
        return error_say(EINVAL, "%s %s: the port is a number from 0 to 65535", word, text);
    return parse_host(word, host, size, parts);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

int address_parse(const char *word, const char *text, struct address_parts *parts)
{
    memset(parts, 0, sizeof *parts);
    if (!text || !text[0])
        return error_say(EINVAL, "%s: the address is empty: %s", word, expected);
    if (has_prefix(text, "unix:")) {
        parts->kind = SALUT_UNIX;
        parts->path = text + strlen("unix:");
        return 0;
    }
    if (has_prefix(text, "tls:"))
        return error_say(EPROTONOSUPPORT, "%s %s: this build of salut can't speak TLS", word, text);
    parts->kind = has_prefix(text, "udp:") ? SALUT_UDP : SALUT_TCP;
    return parse_internet(word, parts->kind == SALUT_UDP ? text + strlen("udp:") : text, parts);
}
