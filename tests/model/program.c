/* program.c: programs as text, for the replay command and for people. */
#include "model/program.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const struct shape shapes[PART_KINDS] = {
    [WORLD] = {"world",
               WORLD_FIELDS,
               {"hosts", "calm", "latency_us", "jitter_us", "kbytes_per_second", "loss_ppm",
                "duplication_ppm", "reordering_ppm", "resets_ppm", "system_buffer"},
               0,
               {0}},
    [SERVER] = {"server",
                SERVER_FIELDS,
                {"host", "kind", "style", "backlog", "slow_ms", "timeout_ms", "clients_max",
                 "idle_ms", "request_ms", "drain_ms"},
                0,
                {0}},
    [TALK] = {"talk",
              TALK_FIELDS,
              {"from", "server", "way", "at_ms", "timeout_ms", "timeout_ms_b", "buffer", "buffer_b",
               "limit", "limit_b", "senders", "senders_b", "end", "end_b"},
              4,
              {"sends", "receives", "b sends", "b receives"}},
    [POST] = {"post",
              POST_FIELDS,
              {"from", "to", "kind", "connected", "timeout_ms"},
              2,
              {"sends", "receives"}},
    [QUEUE] = {"queue",
               QUEUE_FIELDS,
               {"capacity", "item_bytes", "senders", "receivers", "from", "to"},
               2,
               {"each sends", "each receives"}},
    [STRAY] = {"stray", STRAY_FIELDS, {"host", "timeout_ms"}, 1, {"does"}},
    [MEDDLE] = {"meddle", MEDDLE_FIELDS, {"talk", "side", "how", "at_ms"}, 0, {0}},
    [FAULT] = {"fault", FAULT_FIELDS, {"kind", "a", "b", "at_ms", "for_ms", "amount"}, 0, {0}},
};

/* What a number of a choice means, for people. */
static const char *choice(enum part_kind kind, int field, int number)
{
    static const char *const servers[] = {"tcp", "unix path", "unix abstract"};
    static const char *const styles[] = {"accept, canceled at the end", "accept, closed at the end",
                                         "salut_serve"};
    static const char *const ways[] = {"create_connection", "connect by name", "connect to IPv4",
                                       "connect to IPv6", "bind, then connect"};
    static const char *const ends[] = {"shutdown, read to the end, close", "read to the end, close",
                                       "close at once"};
    static const char *const posts[] = {"udp over IPv4", "udp over IPv6", "unix datagrams"};
    static const char *const hows[] = {"cancel a sender", "cancel the receiver", "cancel the owner",
                                       "close the socket", "cancel somebody at a queue"};
    static const char *const faults[] = {"cut",           "split off",       "kill",       "crash",
                                         "stop",          "few descriptors", "exhaustion", "drip",
                                         "names unknown", "clock jumps",     "slow"};

    if (kind == SERVER && field == SERVER_KIND)
        return servers[within(number, POST_KINDS)];
    if (kind == SERVER && field == SERVER_STYLE)
        return styles[within(number, SERVER_STYLES)];
    if (kind == TALK && field == TALK_SERVER && number < 0)
        return "none: a pair";
    if (kind == TALK && field == TALK_WAY)
        return ways[within(number, TALK_WAYS)];
    if (kind == TALK && (field == TALK_END || field == TALK_END_B))
        return ends[within(number, TALK_ENDS)];
    if (kind == POST && field == POST_KIND)
        return posts[within(number, POST_KINDS)];
    if (kind == MEDDLE && field == MEDDLE_HOW)
        return hows[within(number, MEDDLE_HOWS)];
    if (kind == FAULT && field == FAULT_KIND)
        return faults[within(number, FAULT_KINDS)];
    return NULL;
}

static const char *step_name(enum part_kind kind, int list, char word)
{
    static const char sending[] = "s=send l=send_line c=send_line(CR) m=send_message f=flush "
                                  "b=set_buffer t=settimeout_ms L=set_limit z=sleep_ms y=yield "
                                  "x=send_line(newline) X=send_message(over_limit) ";
    static const char receiving[] = "r=recv e=recv_exactly l=recv_line m=recv_message "
                                    "d=recv+decoder D=recv+decode t=settimeout_ms L=set_limit "
                                    "z=sleep_ms y=yield ";
    static const char queueing[] = "s=send t=try_send r=recv z=sleep_ms y=yield ";
    const char *names = kind == TALK    ? (list & 1 ? receiving : sending)
                        : kind == STRAY ? ""
                                        : queueing;
    static char name[32];

    for (const char *at = names; *at; at = strchr(at, ' ') + 1) {
        if (*at == word) {
            snprintf(name, sizeof name, "%.*s", (int)(strchr(at, ' ') - at - 2), at + 2);
            return name;
        }
    }
    snprintf(name, sizeof name, "%c", word);
    return name;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void append(char *text, size_t *used, const char *format, int number)
{
    if (*used < PROGRAM_TEXT_BYTES)
        *used += (size_t)snprintf(text + *used, PROGRAM_TEXT_BYTES - *used, format, number);
}

/* "talk 1 0 0/s12 l5/r100//; " and so on: numbers, then each list after a slash. */
void program_write(const struct program *p, char text[PROGRAM_TEXT_BYTES])
{
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < p->part_count; i++) {
        const struct part *part = &p->parts[i];
        const struct shape *shape = &shapes[part->kind];
        used += (size_t)snprintf(text + used, PROGRAM_TEXT_BYTES - used, "%s%s", i ? "; " : "",
                                 shape->name);
        for (int f = 0; f < shape->fields; f++)
            append(text, &used, " %d", part->fields[f]);
        for (int l = 0; l < shape->lists; l++) {
            for (int s = 0; s < part->lists[l].count; s++) {
                append(text, &used, s ? " %c" : "/%c", part->lists[l].steps[s].word);
                append(text, &used, "%d", part->lists[l].steps[s].number);
            }
            if (!part->lists[l].count)
                append(text, &used, "/", 0);
        }
    }
}

static void show_list(const struct part *part, int l, FILE *out)
{
    const struct list *list = &part->lists[l];

    fprintf(out, "      %s:", shapes[part->kind].list_names[l]);
    for (int s = 0; s < list->count; s++)
        fprintf(out, "%s %s %d", s ? "," : "", step_name(part->kind, l, list->steps[s].word),
                list->steps[s].number);
    fprintf(out, "%s\n", list->count ? "" : " nothing");
}

void program_show(const struct program *p, FILE *out)
{
    int numbers[PART_KINDS] = {0};

    for (int i = 0; i < p->part_count; i++) {
        const struct part *part = &p->parts[i];
        const struct shape *shape = &shapes[part->kind];
        fprintf(out, "  %s %d:", shape->name, numbers[part->kind]++);
        for (int f = 0; f < shape->fields; f++) {
            const char *meaning = choice(part->kind, f, part->fields[f]);
            if (meaning)
                fprintf(out, " %s=(%s)", shape->field_names[f], meaning);
            else if (part->fields[f])
                fprintf(out, " %s=%d", shape->field_names[f], part->fields[f]);
        }
        fputc('\n', out);
        for (int l = 0; l < shape->lists; l++)
            show_list(part, l, out);
    }
}

int program_steps(const struct program *p)
{
    int steps = 0;

    for (int i = 0; i < p->part_count; i++) {
        for (int l = 0; l < LISTS_MAX; l++)
            steps += p->parts[i].lists[l].count;
    }
    return steps;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *text)
{
    while (*text == ' ' || *text == '\n')
        text++;
    return text;
}

static bool read_number(const char **text, int *number)
{
    char *end;
    long value = strtol(*text, &end, 10);

    if (end == *text || value < INT32_MIN || value > INT32_MAX)
        return false;
    *number = (int)value;
    *text = skip_blanks(end);
    return true;
}

static bool read_list(const char **text, struct list *list)
{
    if (**text != '/')
        return false;
    *text = skip_blanks(*text + 1);
    while (isalpha((unsigned char)**text)) {
        struct step *s = &list->steps[list->count];
        if (list->count == STEPS_MAX)
            return false;
        s->word = *(*text)++;
        if (!read_number(text, &s->number))
            return false;
        list->count++;
    }
    return true;
}

static bool read_part(const char **text, struct part *part)
{
    size_t size = strcspn(*text, " /;");

    for (int kind = 0; kind < PART_KINDS; kind++) {
        const struct shape *shape = &shapes[kind];
        if (strlen(shape->name) != size || strncmp(*text, shape->name, size))
            continue;
        part->kind = (enum part_kind)kind;
        *text = skip_blanks(*text + size);
        for (int f = 0; f < shape->fields; f++) {
            if (!read_number(text, &part->fields[f]))
                return false;
        }
        for (int l = 0; l < shape->lists; l++) {
            if (!read_list(text, &part->lists[l]))
                return false;
        }
        return true;
    }
    return false;
}

bool program_read(struct program *p, const char *text)
{
    p->part_count = 0;
    text = skip_blanks(text);
    while (*text) {
        if (p->part_count == PARTS_MAX)
            return false;
        memset(&p->parts[p->part_count], 0, sizeof p->parts[0]);
        if (!read_part(&text, &p->parts[p->part_count++]))
            return false;
        if (*text && *text != ';')
            return false;
        text = skip_blanks(text + (*text == ';'));
    }
    return p->part_count && p->parts[0].kind == WORLD;
}
