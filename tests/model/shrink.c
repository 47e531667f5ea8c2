/* shrink.c: the smallest program that still fails, as far as taking things away finds it: parts,
 * then runs of steps, then the numbers. Over and over, until nothing more can go. */
#include "model/program.h"

#include <string.h>

struct shrinker {
    struct program *best, candidate;
    bool (*fails)(const struct program *p, void *context);
    void *context;
};

/* The candidate fails too: it is the best so far. */
static bool better(struct shrinker *s)
{
    if (!s->fails(&s->candidate, s->context))
        return false;
    *s->best = s->candidate;
    return true;
}

static bool without_part(struct shrinker *s, int i)
{
    s->candidate = *s->best;
    memmove(&s->candidate.parts[i], &s->candidate.parts[i + 1],
            (size_t)(s->candidate.part_count - i - 1) * sizeof s->candidate.parts[0]);
    s->candidate.part_count--;
    return better(s);
}

static bool without_steps(struct shrinker *s, int part, int list, int first, int count)
{
    struct list *l;

    s->candidate = *s->best;
    l = &s->candidate.parts[part].lists[list];
    memmove(&l->steps[first], &l->steps[first + count],
            (size_t)(l->count - first - count) * sizeof l->steps[0]);
    l->count -= count;
    return better(s);
}

static bool fewer_parts(struct shrinker *s)
{
    bool any = false;

    for (int i = s->best->part_count - 1; i > 0; i--)
        any |= without_part(s, i);
    return any;
}

static bool fewer_steps(struct shrinker *s)
{
    bool any = false;

    for (int i = 0; i < s->best->part_count; i++) {
        for (int l = 0; l < LISTS_MAX; l++) {
            for (int size = s->best->parts[i].lists[l].count; size; size /= 2) {
                for (int at = s->best->parts[i].lists[l].count - size; at >= 0; at -= size)
                    any |= without_steps(s, i, l, at, size);
            }
        }
    }
    return any;
}

/* 0, or half of it: in the best's place that `number` points to. */
static bool smaller_number(struct shrinker *s, int *number)
{
    size_t at = (size_t)((char *)number - (char *)s->best);
    int before = *number;

    for (int divisor = 0; before && divisor <= 2; divisor += 2) {
        s->candidate = *s->best;
        *(int *)((char *)&s->candidate + at) = divisor ? before / divisor : 0;
        if (better(s))
            return true;
    }
    return false;
}

static bool smaller_numbers(struct shrinker *s)
{
    bool any = false;

    for (int i = 0; i < s->best->part_count; i++) {
        struct part *part = &s->best->parts[i];
        for (int f = 0; f < shapes[part->kind].fields; f++)
            any |= smaller_number(s, &part->fields[f]);
        for (int l = 0; l < LISTS_MAX; l++) {
            for (int n = 0; n < part->lists[l].count; n++)
                any |= smaller_number(s, &part->lists[l].steps[n].number);
        }
    }
    return any;
}

void program_shrink(struct program *p, bool (*fails)(const struct program *p, void *context),
                    void *context)
{
    static struct shrinker s;
    bool any;

    s = (struct shrinker){.best = p, .fails = fails, .context = context};
    do {
        any = fewer_parts(&s);
        any |= fewer_steps(&s);
        any |= smaller_numbers(&s);
    } while (any);
}
