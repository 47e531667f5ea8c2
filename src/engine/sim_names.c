/* sim_names.c: who is meant by an address, a port or a path on a simulated network. */
#include "engine/sim.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PORT_FIRST = 32768, /* of those the system chooses, as Linux's */
    PORT_LAST = 60999,
};

/* ---- Addresses ----------------------------------------------------------------------------- */

/* An address of either family in IPv6's form. */
struct ip {
    unsigned char bytes[16];
};

static const unsigned char MAPPED[12] = {[10] = 0xff, [11] = 0xff};

static const struct ip ANY_IPV6, LOOPBACK_IPV6 = {{[15] = 1}};
static const struct ip ANY_IPV4 = {{[10] = 0xff, [11] = 0xff}};
static const struct ip LOOPBACK_IPV4 = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};

static struct ip ip_of(const salut_addr *a)
{
    struct ip ip = {{0}};

    if (a->raw.any.sa_family == AF_INET6) {
        memcpy(ip.bytes, &a->raw.ipv6.sin6_addr, 16);
    } else {
        memcpy(ip.bytes, MAPPED, sizeof MAPPED);
        memcpy(ip.bytes + sizeof MAPPED, &a->raw.ipv4.sin_addr, 4);
    }
    return ip;
}

static bool is_ipv4(const struct ip *ip)
{
    return !memcmp(ip->bytes, MAPPED, sizeof MAPPED);
}

static bool is_any(const struct ip *ip)
{
    static const unsigned char zeros[16];

    return is_ipv4(ip) ? !memcmp(ip->bytes + 12, zeros, 4) : !memcmp(ip->bytes, zeros, 16);
}

static bool is_loopback(const struct ip *ip)
{
    static const unsigned char one[16] = {[15] = 1};

    return is_ipv4(ip) ? ip->bytes[12] == 127 : !memcmp(ip->bytes, one, 16);
}

/* All of this host, or of the network that the hosts share. */
static bool is_broadcast(const struct ip *ip)
{
    static const unsigned char all[3] = {255, 255, 255};
    unsigned char network = ip->bytes[12];

    return is_ipv4(ip) && !memcmp(ip->bytes + 13, all, sizeof all) &&
           (network == 255 || network == 127 || network == 10);
}

static bool is_same(const struct ip *a, const struct ip *b)
{
    return !memcmp(a, b, sizeof *a);
}

int sim_address_port(const salut_addr *a)
{
    switch (a->raw.any.sa_family) {
    case AF_INET:
        return ntohs(a->raw.ipv4.sin_port);
    case AF_INET6:
        return ntohs(a->raw.ipv6.sin6_port);
    default:
        return 0;
    }
}

static void set_port(salut_addr *a, int port)
{
    if (a->raw.any.sa_family == AF_INET)
        a->raw.ipv4.sin_port = htons((uint16_t)port);
    else
        a->raw.ipv6.sin6_port = htons((uint16_t)port);
}

static salut_addr address_of(int family, const struct ip *ip, int port)
{
    salut_addr a = {0};

    if (family == AF_INET) {
        a.raw.ipv4.sin_family = AF_INET;
        memcpy(&a.raw.ipv4.sin_addr, ip->bytes + 12, 4);
        a.raw_size = sizeof a.raw.ipv4;
    } else {
        a.raw.ipv6.sin6_family = AF_INET6;
        memcpy(&a.raw.ipv6.sin6_addr, ip->bytes, 16);
        a.raw_size = sizeof a.raw.ipv6;
    }
    set_port(&a, port);
    return a;
}

salut_addr sim_address_for(const struct sim_socket *s, const salut_addr *a)
{
    struct ip ip;

    if (s->family == AF_UNIX || !a->raw_size)
        return *a;
    ip = ip_of(a);
    return address_of(s->family, &ip, sim_address_port(a));
}

bool sim_address_is_ipv4(const salut_addr *a)
{
    struct ip ip = ip_of(a);

    return is_ipv4(&ip);
}

/* To send to no address in particular is to send to oneself. */
salut_addr sim_address_meant(const salut_addr *a)
{
    struct ip ip = ip_of(a);

    if (!is_any(&ip))
        return *a;
    return address_of(a->raw.any.sa_family, is_ipv4(&ip) ? &LOOPBACK_IPV4 : &LOOPBACK_IPV6,
                      sim_address_port(a));
}

int sim_address_check(const struct sim_socket *s, const salut_addr *to)
{
    struct ip ip = ip_of(to);

    if (to->raw.any.sa_family != s->family)
        return -EAFNOSUPPORT;
    if (s->family == AF_INET6 && is_ipv4(&ip) && s->only_ipv6)
        return -ENETUNREACH;
    return is_broadcast(&ip) ? -EACCES : 0;
}

static bool has_ip(const struct sim_host *h, const struct ip *ip)
{
    struct ip ipv4 = ip_of(&h->ipv4), ipv6 = ip_of(&h->ipv6);

    return is_same(ip, &ipv4) || is_same(ip, &ipv6);
}

struct sim_host *sim_address_host(struct sim_host *h, const salut_addr *a)
{
    struct ip ip = ip_of(a);

    if (is_loopback(&ip) || is_any(&ip))
        return h;
    for (uint32_t i = 0; i < h->world->host_count; i++) {
        if (has_ip(h->world->hosts[i], &ip))
            return h->world->hosts[i];
    }
    return NULL;
}

/* ---- Who is bound where -------------------------------------------------------------------- */

/* A packet to this address comes to the socket. */
static bool hears(const struct sim_socket *s, const struct ip *to, int port)
{
    struct ip own;

    if (s->family == AF_UNIX || sim_address_port(&s->local) != port)
        return false;
    own = ip_of(&s->local);
    if (s->family == AF_INET && !is_ipv4(to))
        return false;
    if (s->family == AF_INET6 && is_ipv4(to) && !is_ipv4(&own) && s->only_ipv6)
        return false;
    return is_same(&own, to) || is_any(&own);
}

struct sim_socket *sim_address_listener(struct sim_host *h, const salut_addr *to)
{
    struct ip ip = ip_of(to);

    for (struct sim_socket *s = h->bound; s; s = s->next_bound) {
        if (s->listening && hears(s, &ip, sim_address_port(to)))
            return s;
    }
    return NULL;
}

static bool is_from_peer(const struct sim_socket *s, const salut_addr *from)
{
    struct ip peer, source;

    if (!s->connected)
        return true;
    peer = ip_of(&s->peer);
    source = ip_of(from);
    return is_same(&peer, &source) && sim_address_port(&s->peer) == sim_address_port(from);
}

struct sim_socket *sim_address_datagrams(struct sim_host *h, const salut_addr *to,
                                         const salut_addr *from)
{
    struct ip ip = ip_of(to);

    for (struct sim_socket *s = h->bound; s; s = s->next_bound) {
        if (s->type == SOCK_DGRAM && hears(s, &ip, sim_address_port(to)) && is_from_peer(s, from))
            return s;
    }
    return NULL;
}

/* Whether the two can't both be bound, s at this address. */
static bool conflict(const struct sim_socket *s, const salut_addr *a,
                     const struct sim_socket *other)
{
    struct ip mine = ip_of(a), theirs;

    if (other == s || other->family == AF_UNIX || other->type != s->type ||
        sim_address_port(&other->local) != sim_address_port(a))
        return false;
    if (s->reuse && other->reuse && !other->listening)
        return false;
    theirs = ip_of(&other->local);
    return hears(other, &mine, sim_address_port(a)) || is_same(&mine, &theirs) ||
           (is_any(&mine) &&
            (is_ipv4(&mine) == is_ipv4(&theirs) || (s->family == AF_INET6 && !s->only_ipv6)));
}

static bool is_taken(const struct sim_socket *s, const salut_addr *a)
{
    for (const struct sim_socket *other = s->host->bound; other; other = other->next_bound) {
        if (conflict(s, a, other))
            return true;
    }
    return false;
}

/* The next free one, as the system chooses it. 0: none. */
static int choose_port(struct sim_socket *s, salut_addr *a)
{
    struct sim_host *h = s->host;

    for (int tries = PORT_LAST - PORT_FIRST; tries >= 0; tries--) {
        if (h->next_port < PORT_FIRST || h->next_port > PORT_LAST)
            h->next_port = PORT_FIRST;
        set_port(a, h->next_port++);
        if (!is_taken(s, a))
            return sim_address_port(a);
    }
    return 0;
}

static void enlist(struct sim_socket *s, const salut_addr *a)
{
    s->local = *a;
    s->is_bound = true;
    s->next_bound = s->host->bound;
    s->host->bound = s;
}

void sim_unbind(struct sim_socket *s)
{
    struct sim_socket **at = &s->host->bound;

    while (*at && *at != s)
        at = &(*at)->next_bound;
    if (*at)
        *at = s->next_bound;
    s->is_bound = false;
    s->next_bound = NULL;
}

/* ---- Paths --------------------------------------------------------------------------------- */

void sim_address_path(const salut_addr *a, char path[108])
{
    size_t size = a->raw_size > offsetof(struct sockaddr_un, sun_path)
                      ? a->raw_size - offsetof(struct sockaddr_un, sun_path)
                      : 0;

    memset(path, 0, 108);
    memcpy(path, a->raw.path.sun_path, size < 107 ? size : 107);
    if (size && !path[0])
        path[0] = '@';
}

struct sim_path *sim_path_find(struct sim_host *h, const char *path)
{
    struct sim_path *p = h->paths;

    while (p && strcmp(p->path, path))
        p = p->next;
    return p;
}

void sim_path_remove(struct sim_host *h, const char *path)
{
    struct sim_path **at = &h->paths;

    while (*at && strcmp((*at)->path, path))
        at = &(*at)->next;
    if (*at) {
        struct sim_path *p = *at;
        *at = p->next;
        free(p);
    }
}

static int bind_path(struct sim_socket *s, const salut_addr *a)
{
    struct sim_path *p;

    sim_address_path(a, s->path);
    if (sim_path_find(s->host, s->path)) {
        s->path[0] = '\0';
        return -EADDRINUSE;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        s->path[0] = '\0';
        return -ENOMEM;
    }
    memcpy(p->path, s->path, sizeof p->path);
    p->socket = s;
    p->inode = ++s->host->next_inode;
    p->next = s->host->paths;
    s->host->paths = p;
    enlist(s, a);
    return 0;
}

/* ---- bind ---------------------------------------------------------------------------------- */

int sim_bind(struct sim_socket *s, const salut_addr *a)
{
    salut_addr own = *a;
    struct ip ip;

    assert(a->raw.any.sa_family == s->family);
    if (s->is_bound)
        return -EINVAL;
    if (s->family == AF_UNIX)
        return bind_path(s, a);
    ip = ip_of(a);
    if (!is_any(&ip) && !is_loopback(&ip) && !has_ip(s->host, &ip))
        return -EADDRNOTAVAIL;
    if (!sim_address_port(a) ? !choose_port(s, &own) : is_taken(s, &own))
        return -EADDRINUSE;
    enlist(s, &own);
    return 0;
}

int sim_bind_anywhere(struct sim_socket *s)
{
    salut_addr a = address_of(s->family, s->family == AF_INET ? &ANY_IPV4 : &ANY_IPV6, 0);

    return sim_bind(s, &a);
}

/* The address that this host has on the way to that one. */
static struct ip ip_towards(const struct sim_host *h, const salut_addr *to)
{
    struct ip there = ip_of(to);

    if (is_loopback(&there) || has_ip(h, &there))
        return there;
    return ip_of(is_ipv4(&there) ? &h->ipv4 : &h->ipv6);
}

int sim_bind_for(struct sim_socket *s, const salut_addr *to)
{
    struct ip own = ip_towards(s->host, to);
    salut_addr a = address_of(s->family, &own, s->is_bound ? sim_address_port(&s->local) : 0);
    struct ip bound;

    if (!s->is_bound)
        return sim_bind(s, &a);
    bound = ip_of(&s->local);
    if (is_any(&bound))
        s->local = a;
    return 0;
}

/* ---- Names --------------------------------------------------------------------------------- */

static void found_one(struct address_list *found, const salut_addr *a)
{
    if (found->count < ADDRESSES_MAX)
        found->addresses[found->count++] = *a;
}

static void found_loopback(struct address_list *found)
{
    salut_addr a = address_of(AF_INET6, &LOOPBACK_IPV6, 0);

    found_one(found, &a);
    a = address_of(AF_INET, &LOOPBACK_IPV4, 0);
    found_one(found, &a);
}

int sim_look_up(struct sim_host *h, const char *name, struct address_list *found)
{
    bool localhost = !strcasecmp(name, "localhost");

    found->count = 0;
    if (h->names_unknown && !localhost)
        return -EHOSTUNREACH;
    for (uint32_t i = 0; i < h->world->host_count; i++) {
        struct sim_host *other = h->world->hosts[i];
        if (!strcasecmp(name, other->name)) {
            found_one(found, &other->ipv6);
            found_one(found, &other->ipv4);
        }
        for (struct sim_name *n = other->names; n; n = n->next) {
            if (!strcasecmp(name, n->name))
                found_one(found, &n->address);
        }
    }
    if (localhost && !found->count)
        found_loopback(found);
    return found->count ? 0 : -ENOENT;
}
