/* generate.c: a program from a seed. Most are gentle, so that much of what they do succeeds and can
 * be held to its promise; the others have faults. */
#include "model/program.h"

#include <string.h>

static uint64_t state;

static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int below(int limit)
{
    return (int)(draw() % (uint64_t)limit);
}

static bool one_in(int n)
{
    return below(n) == 0;
}

static int one_of(const int *numbers, int count)
{
    return numbers[below(count)];
}
#define ONE_OF(...)                                                                                \
    one_of((const int[]){__VA_ARGS__}, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

/* Many small ones, a few large, and the neighbours of one that limits and buffers are set to. */
static int favourite;
static int size(void)
{
    switch (below(10)) {
    case 0:
        return favourite + below(3) - 1;
    case 1:
        return below(5000);
    case 2:
        return one_in(10) ? below(300000) : below(20000);
    default:
        return below(80);
    }
}

static int timeout_ms(void)
{
    return one_in(2) ? -1 : ONE_OF(0, 1, 5, 20, 100, 1000, 5000, 60000);
}

static void add_step(struct list *l, char word, int number)
{
    l->steps[l->count++] = (struct step){word, number};
}

static void add_send(struct list *l, const char *style)
{
    switch (below(16)) {
    case 0:
        add_step(l, 'z', ONE_OF(0, 1, 1, 3, 10, 50, 500));
        break;
    case 1:
        add_step(l, 'y', 0);
        break;
    case 2:
        add_step(l, 'f', 0);
        break;
    case 3:
        if (one_in(3))
            add_step(l, 'b', one_in(2) ? 0 : size());
        else if (one_in(2))
            add_step(l, 't', timeout_ms());
        else
            add_step(l, one_in(2) ? 'x' : 'X', 0);
        break;
    default:
        add_step(l, style[below((int)strlen(style))], size());
    }
}

static void add_receive(struct list *l, const char *style)
{
    switch (below(16)) {
    case 0:
        add_step(l, 'z', ONE_OF(0, 1, 1, 3, 10, 50, 500));
        break;
    case 1:
        add_step(l, 'y', 0);
        break;
    case 2:
        add_step(l, one_in(2) ? 't' : 'L', one_in(2) ? 0 : below(100));
        break;
    default:
        add_step(l, style[below((int)strlen(style))], 1 + size());
    }
}

static void fill(struct list *l, void (*add)(struct list *l, const char *style), const char *style,
                 int least)
{
    int count = least + below(one_in(4) ? STEPS_MAX - least : 10);

    while (l->count < count)
        add(l, style);
}

static struct part *add_part(struct program *p, enum part_kind kind)
{
    struct part *part = &p->parts[p->part_count++];

    memset(part, 0, sizeof *part);
    part->kind = kind;
    return part;
}

static void add_world(struct program *p, bool gentle)
{
    struct part *w = add_part(p, WORLD);

    w->fields[WORLD_HOSTS] = 1 + below(4);
    w->fields[WORLD_CALM] = one_in(8);
    w->fields[WORLD_LATENCY_US] = ONE_OF(0, 50, 200, 200, 1000, 20000);
    w->fields[WORLD_JITTER_US] = ONE_OF(0, 300, 300, 5000);
    w->fields[WORLD_KBYTES] = one_in(8) ? 1 + below(2000) : 0;
    w->fields[WORLD_LOSS] = one_in(4) ? below(100000) : 0;
    w->fields[WORLD_DUPLICATION] = one_in(4) ? below(200000) : 0;
    w->fields[WORLD_REORDERING] = one_in(4) ? below(200000) : 0;
    w->fields[WORLD_RESETS] = !gentle && one_in(3) ? below(20000) : 0;
    w->fields[WORLD_BUFFER] = one_in(4) ? 1 + size() : 0;
}

static void add_server(struct program *p)
{
    struct part *s = add_part(p, SERVER);

    s->fields[SERVER_HOST] = below(4);
    s->fields[SERVER_KIND] = ONE_OF(0, 0, 0, 1, 2);
    s->fields[SERVER_STYLE] = below(SERVER_STYLES);
    s->fields[SERVER_BACKLOG] = ONE_OF(0, 1, 1, 2, 5);
    s->fields[SERVER_SLOW_MS] = one_in(3) ? ONE_OF(1, 10, 100, 2000) : 0;
    s->fields[SERVER_TIMEOUT_MS] = timeout_ms();
    s->fields[SERVER_CLIENTS_MAX] = one_in(2) ? 1 + below(3) : 0;
    s->fields[SERVER_IDLE_MS] = one_in(3) ? ONE_OF(1, 10, 100, 1000, 10000) : 0;
    s->fields[SERVER_REQUEST_MS] = one_in(8) ? ONE_OF(1, 10, 100, 1000, 10000) : 0;
    s->fields[SERVER_DRAIN_MS] = one_in(3) ? ONE_OF(1, 100, 1000) : 0;
}

static void add_talk(struct program *p, bool gentle)
{
    /* What fits together; now and then it doesn't. */
    static const struct {
        const char *sends, *receives;
    } styles[] = {{"s", "rdDe"}, {"s", "d"},  {"l", "l"},      {"lc", "lr"},      {"lc", "l"},
                  {"m", "m"},    {"m", "mr"}, {"slm", "rlme"}, {"slcm", "relmdD"}};
    enum { STYLES = sizeof styles / sizeof *styles };
    struct part *t = add_part(p, TALK);

    favourite = 1 + (one_in(3) ? below(3000) : below(60));
    t->fields[TALK_FROM] = below(4);
    t->fields[TALK_SERVER] = below(4) - 1;
    t->fields[TALK_WAY] = below(TALK_WAYS);
    t->fields[TALK_AT_MS] = one_in(2) ? below(20) : one_in(8) ? below(5000) : 0;
    for (int side = 0; side < 2; side++) {
        int style = below(STYLES);
        t->fields[TALK_TIMEOUT_MS + side] = timeout_ms();
        t->fields[TALK_BUFFER + side] = one_in(2) ? ONE_OF(favourite, favourite + 5, 4096) : 0;
        t->fields[TALK_LIMIT + side] = one_in(2) ? ONE_OF(favourite, favourite + 1, 100) : 0;
        t->fields[TALK_SENDERS + side] = one_in(2) ? 1 : 1 + below(4);
        t->fields[TALK_END + side] = gentle || !one_in(4) ? below(2) : CLOSES_AT_ONCE;
        fill(&t->lists[2 * side], add_send, styles[style].sends, 0);
        fill(&t->lists[2 * !side + 1], add_receive,
             styles[one_in(4) ? below(STYLES) : style].receives, 1);
    }
}

static void add_post(struct program *p)
{
    struct part *post = add_part(p, POST);

    favourite = 1 + below(60);
    post->fields[POST_FROM] = below(4);
    post->fields[POST_TO] = below(4);
    post->fields[POST_KIND] = below(POST_KINDS);
    post->fields[POST_CONNECTED] = below(2);
    post->fields[POST_TIMEOUT_MS] = ONE_OF(0, 1, 20, 500);
    for (int i = below(STEPS_MAX); i; i--)
        add_step(&post->lists[0], one_in(8) ? 'z' : 's', one_in(40) ? 70000 : size());
    for (int i = 1 + below(6); i; i--)
        add_step(&post->lists[1], one_in(6) ? 'z' : 'r', one_in(3) ? 1 + size() : 70000);
}

static void add_queue(struct program *p)
{
    struct part *q = add_part(p, QUEUE);

    q->fields[QUEUE_CAPACITY] = below(6);
    q->fields[QUEUE_ITEM_BYTES] = below(100);
    q->fields[QUEUE_SENDERS] = below(3);
    q->fields[QUEUE_RECEIVERS] = below(3);
    q->fields[QUEUE_FROM] = below(4);
    q->fields[QUEUE_TO] = below(4);
    for (int i = below(STEPS_MAX); i; i--)
        add_step(&q->lists[0], "sssssttyz"[below(9)], ONE_OF(0, 0, 1, 2));
    for (int i = 1 + below(8); i; i--)
        add_step(&q->lists[1], "rrrrrrryz"[below(9)], ONE_OF(0, 0, 1, 2));
}

static void add_stray(struct program *p)
{
    static const char words[] = "kkkbblacccsrenmuuvxopfFthigwRSCPTVjqzZGJdDN";
    struct part *s = add_part(p, STRAY);

    s->fields[STRAY_HOST] = below(4);
    s->fields[STRAY_TIMEOUT_MS] = ONE_OF(0, 1, 10, 50);
    for (int i = below(STEPS_MAX); i; i--)
        add_step(&s->lists[0], words[below((int)sizeof words - 1)], below(1000));
}

static void add_meddle(struct program *p)
{
    struct part *m = add_part(p, MEDDLE);

    m->fields[MEDDLE_TALK] = below(8);
    m->fields[MEDDLE_SIDE] = below(2);
    m->fields[MEDDLE_HOW] = below(MEDDLE_HOWS);
    m->fields[MEDDLE_AT_MS] = one_in(2) ? below(5) : below(300);
}

static void add_fault(struct program *p)
{
    struct part *f = add_part(p, FAULT);

    f->fields[FAULT_KIND] = below(FAULT_KINDS);
    f->fields[FAULT_A] = below(4);
    f->fields[FAULT_B] = below(4);
    f->fields[FAULT_AT_MS] = one_in(2) ? below(10) : below(300);
    f->fields[FAULT_FOR_MS] = ONE_OF(1, 10, 100, 1000, 10000, 200000, 2000000);
    f->fields[FAULT_AMOUNT] = one_in(2) ? below(4) : below(3000);
}

void program_generate(struct program *p, uint64_t seed)
{
    bool gentle;

    state = seed * 0xd1342543de82ef95 + 1;
    draw();
    favourite = 1 + below(60);
    gentle = !one_in(3);
    p->seed = seed;
    p->part_count = 0;
    add_world(p, gentle);
    for (int i = 1 + below(3); i; i--)
        add_server(p);
    for (int i = 1 + below(6); i; i--)
        add_talk(p, gentle);
    for (int i = below(3); i; i--)
        add_post(p);
    for (int i = below(3); i; i--)
        add_queue(p);
    for (int i = below(3); i; i--)
        add_stray(p);
    if (!gentle) {
        for (int i = below(4); i; i--)
            add_meddle(p);
        for (int i = below(4); i; i--)
            add_fault(p);
    }
}
