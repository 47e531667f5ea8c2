/* play.c: a program's hosts, its faults, and its end. The host main conducts: it starts the others,
 * lets faults befall them, and when all that isn't a server has ended, has the servers stop. */
#include "model/model.h"

#include "engine/sim.h"
#include "fiber/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct model *the;

/* ---- From the program to the model --------------------------------------------------------- */

static struct host *host_of(int number)
{
    return &the->hosts[1 + within(number, the->host_count - 1)];
}

static void note_harm(const struct part *part)
{
    struct harm *h = &the->harm;

    if (part->kind == WORLD) {
        h->loss |= part->fields[WORLD_LOSS] > 0;
        h->resets |= part->fields[WORLD_RESETS] > 0;
    }
    if (part->kind != FAULT)
        return;
    h->faults = true;
    switch (within(part->fields[FAULT_KIND], FAULT_KINDS)) {
    case FAULT_CUT:
    case FAULT_SPLIT:
        h->cuts = true;
        break;
    case FAULT_CRASH:
        h->crashes = true;
        break;
    default:
        break;
    }
}

static void set_side(struct talk *t, int which, struct host *host)
{
    struct side *s = &t->sides[which];

    s->talk = t;
    s->which = which;
    s->host = host;
    s->out = &t->flows[which];
    s->in = &t->flows[!which];
    s->out->key = (uint32_t)t->number * 2 + (uint32_t)which + 1;
    s->out->known = SIZE_MAX;
    s->over_at = -1;
    s->timeout = -1;
}

static void add_talk(const struct part *part)
{
    struct talk *t = &the->talks[the->talk_count];
    int server = part->fields[TALK_SERVER];

    t->number = the->talk_count++;
    t->part = part;
    if (server >= 0 && the->server_count)
        t->server = &the->servers[within(server, the->server_count)];
    set_side(t, 0, host_of(part->fields[TALK_FROM]));
    set_side(t, 1, t->server ? t->server->host : t->sides[0].host);
    if (t->server && within(t->server->part->fields[SERVER_KIND], 3))
        t->sides[0].host = t->server->host; /* a path is its host's own */
}

static void add_post(const struct part *part)
{
    struct post *post = &the->posts[the->post_count];

    post->number = the->post_count++;
    post->part = part;
    post->to = host_of(part->fields[POST_TO]);
    post->from = host_of(part->fields[POST_FROM]);
    if (within(part->fields[POST_KIND], POST_KINDS) == POST_UNIX)
        post->from = post->to;
    post->seen = calloc(STEPS_MAX, 1);
}

static void add_queue(const struct part *part)
{
    struct queue *q = &the->queues[the->queue_count];

    q->number = the->queue_count++;
    q->part = part;
    q->from = host_of(part->fields[QUEUE_FROM]);
    q->to = host_of(part->fields[QUEUE_TO]);
    q->capacity = 1 + within(part->fields[QUEUE_CAPACITY], 100);
    q->item_bytes = 8 + within(part->fields[QUEUE_ITEM_BYTES], 1000);
    q->senders_left = 1 + within(part->fields[QUEUE_SENDERS], 8);
    for (int i = 0; i < 8; i++)
        q->seen[i] = calloc(STEPS_MAX, 1);
    q->channel = salut_channel_create((size_t)q->capacity, (size_t)q->item_bytes);
}

static void set_up(const struct program *program)
{
    the->program = program;
    the->host_count = 2 + within(program->parts[0].fields[WORLD_HOSTS] - 1, HOSTS_MAX - 1);
    for (int i = 0; i < the->host_count; i++) {
        the->hosts[i].number = i;
        snprintf(the->hosts[i].name, sizeof the->hosts[i].name, i ? "h%d" : "main", i);
        the->hosts[i].stop = salut_channel_create(1, 1);
    }
    the->news = salut_channel_create(4 * HOSTS_MAX, sizeof(int));
    the->go = salut_channel_create(1, 1);
    for (int i = 0; i < program->part_count; i++) {
        const struct part *part = &program->parts[i];
        note_harm(part);
        if (part->kind == SERVER) {
            struct server *s = &the->servers[the->server_count];
            s->number = the->server_count++;
            s->part = part;
            s->host = host_of(part->fields[SERVER_HOST]);
        }
    }
    for (int i = 0; i < program->part_count; i++) {
        const struct part *part = &program->parts[i];
        if (part->kind == TALK)
            add_talk(part);
        else if (part->kind == POST)
            add_post(part);
        else if (part->kind == QUEUE)
            add_queue(part);
    }
}

static void clean_up(void)
{
    for (int i = 0; i < the->host_count; i++)
        salut_channel_free(the->hosts[i].stop);
    salut_channel_free(the->news);
    salut_channel_free(the->go);
    for (int i = 0; i < the->talk_count; i++) {
        free(the->talks[i].flows[0].bytes);
        free(the->talks[i].flows[1].bytes);
    }
    for (int i = 0; i < the->post_count; i++)
        free(the->posts[i].seen);
    for (int i = 0; i < the->queue_count; i++) {
        for (int n = 0; n < 8; n++)
            free(the->queues[i].seen[n]);
        salut_channel_free(the->queues[i].channel);
    }
    for (int i = 0; i < the->player_count; i++)
        free(the->players[i].scratch);
}

/* ---- Players ------------------------------------------------------------------------------- */

static void play_player(void *argument)
{
    struct player *p = argument;

    p->play(p);
    p->ended = true;
}

struct player *start_player(struct host *h, const char *role, void (*work)(struct player *p),
                            void *about, int number, int nth)
{
    struct player *p = &the->players[the->player_count];
    struct call c;

    if (the->player_count == PLAYERS_MAX)
        return NULL;
    the->player_count++;
    *p = (struct player){
        .role = role, .number = number, .host = h, .play = work, .about = about, .nth = nth};
    c = call_begin(p, GO, 0);
    p->fiber = salut_go(play_player, p);
    if (!call_end(&c, !p->fiber))
        return p;
    p->ended = true;
    return NULL;
}

/* ---- A host's program ---------------------------------------------------------------------- */

static void open_all(struct player *p, struct host *h)
{
    for (int i = 0; i < the->server_count; i++) {
        if (the->servers[i].host == h)
            open_server(p, &the->servers[i]);
    }
    for (int i = 0; i < the->post_count; i++) {
        if (the->posts[i].to == h)
            open_post(p, &the->posts[i]);
    }
}

static void start_queue(struct host *h, struct queue *q)
{
    int senders = q->senders_left, receivers = 1 + within(q->part->fields[QUEUE_RECEIVERS], 4);

    for (int i = 0; i < senders && q->from == h; i++)
        start_player(h, "queue sender", send_queue, q, q->number, i);
    for (int i = 0; i < receivers && q->to == h; i++)
        start_player(h, "queue receiver", receive_queue, q, q->number, i);
}

static void start_others(struct host *h, const struct part *part, int number)
{
    struct player *p;
    struct side *s;

    if (part->kind == STRAY && host_of(part->fields[STRAY_HOST]) == h) {
        p = start_player(h, "stray", play_stray, NULL, number, 0);
        if (p)
            p->part = part;
    }
    if (part->kind != MEDDLE || !the->talk_count)
        return;
    s = &the->talks[within(part->fields[MEDDLE_TALK], the->talk_count)]
             .sides[within(part->fields[MEDDLE_SIDE], 2)];
    if (s->host != h)
        return;
    p = start_player(h, "meddler", play_meddle, s, number, 0);
    if (p)
        p->part = part;
}

static void start_all(struct host *h)
{
    for (int i = 0; i < the->talk_count; i++) {
        if (the->talks[i].sides[0].host == h)
            start_player(h, "owner", play_talk, &the->talks[i], i, 0);
    }
    for (int i = 0; i < the->post_count; i++) {
        if (the->posts[i].to == h)
            start_player(h, "datagram receiver", receive_post, &the->posts[i], i, 0);
        if (the->posts[i].from == h)
            start_player(h, "datagram sender", send_post, &the->posts[i], i, 0);
    }
    for (int i = 0; i < the->queue_count; i++)
        start_queue(h, &the->queues[i]);
    for (int i = 0; i < the->program->part_count; i++)
        start_others(h, &the->program->parts[i], i);
}

/* Waits for all players of the host from the nth on. Others may begin meanwhile. */
static void join_all(struct player *me, int first, bool servers_too)
{
    for (int i = first; i < the->player_count; i++) {
        struct player *p = &the->players[i];
        struct call c;
        if (p->host != me->host || !p->fiber || p == me)
            continue;
        if (!servers_too && (p->play == serve_clients || !strcmp(p->role, "handler") ||
                             (p->side && p->side->which && p->side->talk->server)))
            continue;
        c = call_begin(me, JOIN, -1);
        if (!call_end(&c, salut_join(p->fiber) < 0) && !p->ended)
            wrong("join", "%s %d was joined before it ended", p->role, p->number);
    }
}

static void tell(struct host *h)
{
    int number = h->number;

    if (salut_channel_send(the->news, &number) < 0)
        wrong("news", "%s", salut_error());
}

/* Nothing of the program is left: neither sockets nor fibers, here or in its host's system. */
static void check_leaks(struct host *h)
{
    struct scheduler *s = scheduler_of_thread;
    int sockets = 0, fibers = 0;

    for (uint32_t i = 0; i < s->sockets.used; i++)
        sockets += s->sockets.slots[i].object != NULL;
    for (uint32_t i = 0; i < s->fibers.used; i++)
        fibers += s->fibers.slots[i].object != NULL;
    if (sockets || fibers || sim_host_of(s->engine)->open_count)
        wrong("leak", "%s: %d sockets, %d fibers and %u descriptors at the program's end", h->name,
              sockets, fibers, sim_host_of(s->engine)->open_count);
    if (s->timers.count || s->gathered || s->waiters)
        wrong("leak", "%s: %u timers, gathered bytes, or waiters at channels", h->name,
              (unsigned)s->timers.count);
}

static void host_program(void *argument)
{
    struct host *h = argument;
    struct player *me = &the->players[the->player_count++];
    unsigned char byte;
    int first;

    *me = (struct player){.role = "program", .number = h->number, .host = h};
    open_all(me, h);
    tell(h);
    if (salut_channel_recv(the->go, &byte))
        wrong("news", "%s", salut_error());
    first = the->player_count;
    for (int i = 0; i < the->server_count; i++) {
        if (the->servers[i].host == h)
            start_player(h, "server", serve_clients, &the->servers[i], i, 0);
    }
    start_all(h);
    join_all(me, first, false);
    h->done = true;
    tell(h);
    if (salut_channel_recv(h->stop, &byte))
        wrong("news", "%s", salut_error());
    h->stopping = true;
    for (int i = 0; i < the->server_count; i++) {
        if (the->servers[i].host == h)
            stop_server(me, &the->servers[i]);
    }
    join_all(me, first, true);
    for (int i = 0; i < the->server_count; i++) {
        if (the->servers[i].host == h)
            salut_close(the->servers[i].listener);
    }
    check_leaks(h);
}

/* ---- Faults -------------------------------------------------------------------------------- */

/* What a host's death means for those who deal with it. */
static void bury(struct host *h, bool crashed)
{
    if (h->dead)
        return;
    h->dead = true;
    h->crashed = crashed;
    for (int i = 0; i < the->talk_count; i++) {
        for (int side = 0; side < 2; side++) {
            struct side *s = &the->talks[i].sides[side];
            if (s->host != h)
                continue;
            s->talk->disturbed = true;
            s->out->ended = true;
        }
    }
    for (int i = 0; i < the->queue_count; i++) {
        struct queue *q = &the->queues[i];
        if (q->from != h && q->to != h)
            continue;
        q->disturbed = true;
        salut_channel_close(q->channel);
    }
    if (!h->done) {
        h->done = true;
        tell(h);
    }
}

static void limit(struct host *h, const struct part *part, bool begins)
{
    int amount = part->fields[FAULT_AMOUNT];
    const int *w = the->program->parts[0].fields;
    salut_sim_limits l = {.send_bytes = (size_t)within(w[WORLD_BUFFER], 1 << 20),
                          .receive_bytes = (size_t)within(w[WORLD_BUFFER], 1 << 20)};

    switch (within(part->fields[FAULT_KIND], FAULT_KINDS)) {
    case FAULT_DESCRIPTORS:
        l.descriptors_max = begins ? 1 + (unsigned)within(amount, 12) : 0;
        h->limited = true;
        break;
    case FAULT_EXHAUSTION:
        l.exhaustion = begins ? within(amount, 1000) / 1000.0 : 0;
        h->limited = true;
        break;
    case FAULT_DRIP:
        l.read_bytes_max = begins ? 1 + (size_t)within(amount, 100) : 0;
        break;
    default:
        l.names_unknown = begins;
    }
    salut_sim_limit(h->sim, &l);
}

static void stop_host(struct host *h, bool begins)
{
    if (begins && h->stops++ == 0) {
        h->stopped_since = salut_sim_now();
        salut_sim_stop(h->sim);
    } else if (!begins && --h->stops == 0) {
        h->stopped += salut_sim_now() - h->stopped_since;
        salut_sim_continue(h->sim);
    }
}

static void slow_down(struct host *a, struct host *b, int amount, bool begins)
{
    const int *w = the->program->parts[0].fields;
    salut_sim_link link = {.latency_seconds = begins ? within(amount, 5000) / 1000.0
                                                     : within(w[WORLD_LATENCY_US], 1000000) / 1e6,
                           .jitter_seconds = within(w[WORLD_JITTER_US], 1000000) / 1e6};

    salut_sim_set_link(a->sim, b->sim, &link);
}

static void befall(const struct part *part, bool begins)
{
    struct host *a = host_of(part->fields[FAULT_A]), *b = host_of(part->fields[FAULT_B]);

    switch (within(part->fields[FAULT_KIND], FAULT_KINDS)) {
    case FAULT_CUT:
        (begins ? salut_sim_cut : salut_sim_heal)(a->sim, b->sim);
        break;
    case FAULT_SPLIT:
        salut_sim_split(&a->sim, begins);
        break;
    case FAULT_KILL:
        if (begins && !a->dead) {
            salut_sim_kill(a->sim);
            bury(a, false);
        }
        break;
    case FAULT_CRASH:
        if (begins) {
            salut_sim_crash(a->sim);
            bury(a, true);
        } else {
            salut_sim_boot(a->sim);
        }
        break;
    case FAULT_STOP:
        stop_host(a, begins);
        break;
    case FAULT_SKEW:
        if (begins) {
            a->skewed += within(part->fields[FAULT_AMOUNT], 100000) / 1000.0;
            salut_sim_skew(a->sim, within(part->fields[FAULT_AMOUNT], 100000) / 1000.0, 0);
        }
        break;
    case FAULT_SLOW:
        slow_down(a, b, part->fields[FAULT_AMOUNT], begins);
        break;
    default:
        limit(a, part, begins);
    }
}

/* Each fault is undone, also when the program is over before. */
static void play_fault(void *argument)
{
    const struct part *part = argument;

    if (salut_sleep(within(part->fields[FAULT_AT_MS], 100000) / 1000.0))
        return;
    befall(part, true);
    salut_sleep(within(part->fields[FAULT_FOR_MS], 4000000) / 1000.0);
    befall(part, false);
}

/* ---- The conductor ------------------------------------------------------------------------- */

static void hear(int count)
{
    int number;

    for (int i = 0; i < count; i++) {
        if (salut_channel_recv(the->news, &number) != 1)
            wrong("news", "%s", salut_error());
    }
}

static void add_hosts(void)
{
    const int *w = the->program->parts[0].fields;
    salut_sim_limits l = {.send_bytes = (size_t)within(w[WORLD_BUFFER], 1 << 20),
                          .receive_bytes = (size_t)within(w[WORLD_BUFFER], 1 << 20)};

    the->hosts[0].sim = salut_sim_here();
    for (int i = 1; i < the->host_count; i++) {
        the->hosts[i].sim = salut_sim_add_host(the->hosts[i].name);
        salut_sim_limit(the->hosts[i].sim, &l);
    }
}

static void check_ends(void)
{
    for (int i = 1; i < the->host_count; i++) {
        int status = salut_sim_join(the->hosts[i].sim);
        if (status != (the->hosts[i].dead ? 137 : 0))
            wrong("a program's status", "%s: %d", the->hosts[i].name, status);
    }
}

static void conduct(void *argument)
{
    salut_fiber *faults[PARTS_MAX] = {0};
    const struct program *program = the->program;

    (void)argument;
    add_hosts();
    for (int i = 1; i < the->host_count; i++)
        salut_sim_start(the->hosts[i].sim, host_program, &the->hosts[i]);
    hear(the->host_count - 1);
    salut_channel_close(the->go);
    for (int i = 0; i < program->part_count; i++) {
        if (program->parts[i].kind == FAULT)
            faults[i] = salut_go(play_fault, (void *)(uintptr_t)&program->parts[i]);
    }
    hear(the->host_count - 1);
    for (int i = 0; i < program->part_count; i++) {
        if (faults[i]) {
            salut_cancel(faults[i]);
            salut_join(faults[i]);
        }
    }
    salut_sim_heal(NULL, NULL);
    for (int i = 1; i < the->host_count; i++)
        salut_channel_close(the->hosts[i].stop);
    check_ends();
}

static void run(const struct program *program)
{
    const int *w = program->parts[0].fields;
    salut_sim_options options = {
        .calm = within(w[WORLD_CALM], 2),
        .link = {.latency_seconds = within(w[WORLD_LATENCY_US], 1000000) / 1e6,
                 .jitter_seconds = within(w[WORLD_JITTER_US], 1000000) / 1e6,
                 .bytes_per_second = 1000.0 * within(w[WORLD_KBYTES], 1000000),
                 .loss = within(w[WORLD_LOSS], 500000) / 1e6,
                 .duplication = within(w[WORLD_DUPLICATION], 1000000) / 1e6,
                 .reordering = within(w[WORLD_REORDERING], 1000000) / 1e6,
                 .resets = within(w[WORLD_RESETS], 1000000) / 1e6},
    };

    if (!salut_sim_run(program->seed, conduct, NULL, &options))
        return;
    wrong(errno == EDEADLK     ? "deadlock"
          : errno == ELOOP     ? "livelock"
          : errno == ETIMEDOUT ? "endless"
                               : "run",
          "%s", salut_error());
}

void play(const struct program *program)
{
    the = calloc(1, sizeof *the);
    if (!the)
        abort();
    set_up(program);
    run(program);
    check_talks();
    check_posts();
    check_queues();
    clean_up();
    free(the);
}
