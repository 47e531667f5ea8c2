/* sim_world.c: the clock, chance, events, hosts and links of a simulated network. */
#include "base/clock.h"
#include "engine/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first repetition of what was lost comes so much later, as Linux's least. */
static const int64_t REPETITION = NANOSECONDS / 5;
enum { REPETITIONS_MAX = 8 };

/* A host's own: what the system needs to carry a packet from one program to another. */
static const int64_t LOOPBACK_LATENCY = 5000;
static const int64_t LOOPBACK_JITTER = 10000;

/* A small office, unless the run says otherwise. */
static const int64_t LATENCY = 200000;
static const int64_t JITTER = 300000;

/* ---- Chance -------------------------------------------------------------------------------- */

/* Splitmix64, by Sebastiano Vigna (public domain): 64 bits of state, the same on every machine. */
uint64_t sim_draw(struct sim_world *w)
{
    uint64_t z = w->chance += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* The high half of a product: for limits far below 2^64 the bias is nothing. */
uint64_t sim_draw_below(struct sim_world *w, uint64_t limit)
{
    __extension__ typedef unsigned __int128 product;

    return (uint64_t)(((product)sim_draw(w) * limit) >> 64);
}

/* ---- Events and records -------------------------------------------------------------------- */

void sim_schedule(struct sim_world *w, struct sim_event *event, int64_t at)
{
    heap_remove(&w->events, &event->timer);
    event->timer.due = at;
    if (!heap_add(&w->events, &event->timer))
        w->failure = ENOMEM;
}

void sim_unschedule(struct sim_world *w, struct sim_event *event)
{
    heap_remove(&w->events, &event->timer);
}

void sim_happen(struct sim_world *w)
{
    struct timer *first;

    while ((first = heap_first(&w->events)) && first->due <= w->now) {
        struct sim_event *event =
            (struct sim_event *)((char *)first - offsetof(struct sim_event, timer));
        heap_remove(&w->events, first);
        event->happen(event);
    }
}

/* FNV-1a, a word at a time: it is to tell two traces apart, not to keep an enemy out. */
static void mix(struct sim_world *w, uint64_t number)
{
    w->hash = (w->hash ^ number) * 0x100000001b3;
    w->hash ^= w->hash >> 29;
}

void sim_record(struct sim_world *w, enum sim_what what, const struct sim_host *from,
                const struct sim_host *to, uint64_t number, const char *text)
{
    struct sim_record record = {w->now, what, from, to, number, text};

    mix(w, (uint64_t)w->now);
    mix(w, (uint64_t)what << 32 | from->number << 16 | (to ? to->number + 1 : 0));
    mix(w, number);
    for (const char *c = text; c && *c; c++)
        mix(w, (unsigned char)*c);
    if (w->record)
        w->record(w, &record);
}

/* ---- The world ----------------------------------------------------------------------------- */

void sim_world_begin(struct sim_world *w, uint64_t seed)
{
    *w = (struct sim_world){.chance = seed, .hash = 0xcbf29ce484222325};
    w->link = (struct sim_link){.latency = LATENCY, .jitter = JITTER};
}

static void free_names(struct sim_host *h)
{
    while (h->names) {
        struct sim_name *name = h->names;
        h->names = name->next;
        free(name);
    }
}

static void drop_on_their_way(struct sim_world *w)
{
    struct timer *first;

    while ((first = heap_first(&w->events))) {
        heap_remove(&w->events, first);
        free(first); /* only datagrams are left, and they begin with it */
    }
    heap_free(&w->events);
}

void sim_world_end(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->host_count; i++)
        sim_host_crash(w->hosts[i]);
    drop_on_their_way(w);
    for (uint32_t i = 0; i < w->host_count; i++) {
        struct sim_host *h = w->hosts[i];
        free_names(h);
        while (h->paths)
            sim_path_remove(h, h->paths->path);
        free(h->sockets);
        free(h->links);
        free(h);
    }
    free(w->hosts);
}

/* ---- Hosts --------------------------------------------------------------------------------- */

/* 10.0.0.1 and on, fd00::1 and on. */
static void give_addresses(struct sim_host *h)
{
    uint32_t n = h->number + 1;
    uint32_t ipv4 = htonl(0x0a000000 + (n / 250 << 8) + n % 250);
    uint16_t low = htons((uint16_t)n);

    h->ipv4.raw.ipv4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = ipv4};
    h->ipv4.raw_size = sizeof h->ipv4.raw.ipv4;
    h->ipv6.raw.ipv6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    h->ipv6.raw.ipv6.sin6_addr.s6_addr[0] = 0xfd;
    memcpy(&h->ipv6.raw.ipv6.sin6_addr.s6_addr[14], &low, sizeof low);
    h->ipv6.raw_size = sizeof h->ipv6.raw.ipv6;
}

static void give_links(struct sim_host *h)
{
    for (uint32_t i = 0; i < h->number; i++)
        h->links[i] = h->world->link;
    if (!h->world->calm)
        h->links[h->number] =
            (struct sim_link){.latency = LOOPBACK_LATENCY, .jitter = LOOPBACK_JITTER};
}

struct sim_host *sim_host_add(struct sim_world *w, const char *name)
{
    struct sim_host *h = calloc(1, sizeof *h);
    struct sim_host **hosts = realloc(w->hosts, (w->host_count + 1) * sizeof(struct sim_host *));

    if (hosts)
        w->hosts = hosts;
    if (h)
        h->links = calloc(w->host_count + 1, sizeof *h->links);
    if (!hosts || !h || !h->links || w->host_count == SIM_HOSTS_MAX) {
        errno = w->host_count == SIM_HOSTS_MAX ? ENOSPC : ENOMEM;
        if (h)
            free(h->links);
        free(h);
        return NULL;
    }
    h->engine = (struct engine){.calls = &sim_calls, .alone = true};
    h->world = w;
    h->number = w->host_count;
    h->up = true;
    h->until = NEVER;
    h->next_port = (uint16_t)(32768 + sim_draw_below(w, 20000));
    snprintf(h->name, sizeof h->name, "%s", name);
    give_addresses(h);
    give_links(h);
    w->hosts[w->host_count++] = h;
    return h;
}

void sim_host_close_all(struct sim_host *h)
{
    for (uint32_t i = 0; i < h->socket_room; i++) {
        if (h->sockets[i])
            h->sockets[i]->endpoint = NULL;
    }
    for (uint32_t i = 0; i < h->socket_room; i++) {
        if (h->sockets[i])
            sim_socket_close(h->sockets[i]);
    }
    h->letters_first = h->letters_last = NULL;
}

void sim_host_crash(struct sim_host *h)
{
    h->up = false;
    sim_stream_forget(h);
    sim_host_close_all(h);
}

void sim_host_boot(struct sim_host *h)
{
    h->up = true;
}

/* ---- Its clock ----------------------------------------------------------------------------- */

int64_t sim_host_time(const struct sim_host *h)
{
    int64_t span = h->world->now - h->drift_since;

    /* In two parts, so that centuries don't overflow. */
    return h->world->now + h->clock_ahead + span / SIM_MILLION * h->clock_drift +
           span % SIM_MILLION * h->clock_drift / SIM_MILLION;
}

int64_t sim_host_when(const struct sim_host *h, int64_t time)
{
    int64_t left;

    if (time == NEVER || time == AT_ONCE)
        return time;
    left = time - sim_host_time(h);
    if (left <= 0)
        return h->world->now;
    /* A fast clock gets there sooner. One too early would only be asked again. */
    left = left / (SIM_MILLION + h->clock_drift) * SIM_MILLION +
           left % (SIM_MILLION + h->clock_drift) * SIM_MILLION / (SIM_MILLION + h->clock_drift) + 1;
    return h->clock_drift ? deadline_after(h->world->now, left)
                          : deadline_after(h->world->now, left - 1);
}

bool sim_host_is_exhausted(struct sim_host *h, int number)
{
    if (!sim_happens(h->world, h->exhaustion))
        return false;
    sim_record(h->world, SIM_FAULT, h, NULL, (uint64_t)number, NULL);
    return true;
}

/* ---- Links --------------------------------------------------------------------------------- */

struct sim_link *sim_link_between(struct sim_host *a, struct sim_host *b)
{
    return a->number > b->number ? &a->links[b->number] : &b->links[a->number];
}

bool sim_is_unreachable(struct sim_host *from, struct sim_host *to)
{
    return !from->up || !to->up || sim_link_between(from, to)->cut;
}

int64_t sim_travel(struct sim_host *from, struct sim_host *to, size_t bytes, uint32_t *lost)
{
    struct sim_world *w = from->world;
    struct sim_link *link = sim_link_between(from, to);
    int64_t span = link->latency;

    if (link->bytes_per_second) {
        int64_t *busy = &link->busy_until[from->number > to->number];
        if (*busy < w->now)
            *busy = w->now;
        *busy += (int64_t)(bytes * (uint64_t)NANOSECONDS / link->bytes_per_second);
        span += *busy - w->now;
    }
    if (link->jitter)
        span += (int64_t)sim_draw_below(w, (uint64_t)link->jitter);
    *lost = 0;
    while (*lost < REPETITIONS_MAX && sim_happens(w, link->loss))
        span += REPETITION << (*lost)++;
    return span;
}
