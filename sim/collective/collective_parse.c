/* Parse: algorithms that a text describes: a name, a name with levels, or a file of steps.
 *
 * A file of steps is CSV: round,from,to,fraction[,chunk[,copy]], a transfer per line by ascending round;
 * members count from 0. `fraction` is its part of the payload. `chunk` and `copy` (instead of adding up) say
 * what it moves for those who check it. Empty lines, lines that begin with # and a first line of headings are
 * passed over. */
#include "collective/hierarchical.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse_table {
    struct transfer_step *steps;
    uint32_t count, members, chunks;
};

static void parse_table_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    const struct parse_table *table = shape->algorithm->data;
    transfer_begin(out, kind, shape->members, table->chunks);
    for (uint32_t i = 0; i < table->count; i++) {
        struct transfer_step step = table->steps[i];
        step.fraction = kind == BARRIER ? 0 : step.fraction;
        VECTOR_PUSH(out, step);
    }
}

static bool parse_table_form(const struct algorithm *self, struct platform *platform, const uint32_t *devices,
                             struct shape *shape, struct arena *arena, const char **problem)
{
    const struct parse_table *table = self->data;
    (void)platform, (void)devices;
    if (table->members == shape->members)
        return true;
    *problem = arena_format(arena, "its steps are for %u members, and the group has %u", table->members,
                            shape->members);
    return false;
}

/* The fullest port of each round, on a star. */
static double parse_table_seconds(int kind, const struct shape *shape, double bytes, double latency,
                                  double bandwidth)
{
    const struct parse_table *table = shape->algorithm->data;
    double seconds = 0;
    for (uint32_t begin = 0, end; begin < table->count; begin = end) {
        double fullest = 0;
        for (end = begin; end < table->count && table->steps[end].round == table->steps[begin].round; end++)
            ;
        for (uint32_t m = 0; m < 2 * table->members; m++) {
            double load = 0;
            for (uint32_t i = begin; i < end; i++)
                if ((m % 2 ? table->steps[i].from : table->steps[i].to) == m / 2)
                    load += table->steps[i].fraction;
            fullest = load > fullest ? load : fullest;
        }
        seconds += latency + (kind == BARRIER ? 0 : fullest * bytes / bandwidth);
    }
    return seconds;
}

/* One line; false: it is wrong. */
static bool parse_line(char *line, struct transfer_step *step)
{
    double numbers[5] = {0};
    uint32_t count = 0;
    char *at = line, *end = line;
    step->reduce = true;
    for (; count < 5; count++) {
        numbers[count] = strtod(at, &end);
        if (end == at)
            return false;
        at = end + strspn(end, " \t");
        if (*at != ',')
            break;
        at += 1 + strspn(at + 1, " \t");
        if (count == 4 && strncmp(at, "copy", 4) == 0) {
            step->reduce = false;
            at += 4;
        }
    }
    at += strspn(at, " \t\r\n");
    for (uint32_t i = 0; i < 5; i++)
        if (i != 3 && !(numbers[i] >= 0 && numbers[i] < 1e6 && numbers[i] == (uint32_t)numbers[i]))
            return false;
    step->round = (uint32_t)numbers[0];
    step->from = (uint32_t)numbers[1];
    step->to = (uint32_t)numbers[2];
    step->fraction = numbers[3];
    step->chunk = (uint32_t)numbers[4];
    step->run = step->repeats = 1;
    return !*at && count >= 3 && numbers[3] >= 0 && numbers[3] <= 1e6 && step->from != step->to;
}

static const char *parse_rows(FILE *from, const char *path, struct transfer_list *list, struct arena *arena)
{
    char line[512];
    for (uint32_t number = 1; fgets(line, sizeof line, from); number++) {
        struct transfer_step step = {0};
        const char *text = line + strspn(line, " \t\r\n");
        if (!*text || *text == '#' || (number == 1 && strncmp(text, "round", 5) == 0))
            continue;
        if (!parse_line(line, &step))
            return arena_format(arena, "%s:%u: expected round,from,to,fraction[,chunk[,copy]] of a transfer",
                                path, number);
        if (list->count && step.round < list->at[list->count - 1].round)
            return arena_format(arena, "%s:%u: round %u comes after round %u", path, number, step.round,
                                list->at[list->count - 1].round);
        VECTOR_PUSH(list, step);
    }
    return list->count ? NULL : arena_format(arena, "%s: there are no steps in it", path);
}

static const struct algorithm *parse_file(const char *path, struct arena *arena, const char **problem)
{
    FILE *from = fopen(path, "r");
    if (!from) {
        *problem = arena_format(arena, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct transfer_list list = {0};
    *problem = parse_rows(from, path, &list, arena);
    fclose(from);
    struct parse_table *table = ARENA_NEW(arena, struct parse_table);
    table->count = list.count;
    if (list.count)
        table->steps = arena_copy(arena, list.at, list.count * sizeof *list.at);
    for (uint32_t i = 0; i < list.count; i++) {
        const struct transfer_step *step = &list.at[i];
        uint32_t last = step->from > step->to ? step->from : step->to;
        table->members = last >= table->members ? last + 1 : table->members;
        table->chunks = step->chunk >= table->chunks ? step->chunk + 1 : table->chunks;
    }
    for (uint32_t i = 0; i < table->count; i++)
        table->steps[i].modulus = table->chunks;
    transfer_fini(&list);
    struct algorithm *made = ARENA_NEW(arena, struct algorithm);
    *made = (struct algorithm){.name = arena_text(arena, path),
                               .about = "steps from a file",
                               .kinds = (1u << COLLECTIVE_KIND_COUNT) - 1,
                               .form = parse_table_form,
                               .steps = parse_table_steps,
                               .seconds = parse_table_seconds,
                               .data = table};
    return *problem ? NULL : made;
}

static const struct algorithm *parse_name(const char *name, struct arena *arena, const char **problem)
{
    const struct algorithm *found = collective_find(name);
    const char *known[64] = {collective_automatic.name};
    uint32_t count = 1;
    for (; collective_algorithms[count - 1] && count < 64; count++)
        known[count] = collective_algorithms[count - 1]->name;
    if (found)
        return found;
    const char *nearest = nearest_name(name, known, count);
    *problem =
        nearest
            ? arena_format(arena, "there is no collective algorithm '%s'; did you mean '%s'?", name, nearest)
            : arena_format(arena, "there is no collective algorithm '%s'; see `partita list collectives`",
                           name);
    return NULL;
}

/* "8*ring" or "8" */
static bool parse_level(char *text, struct hierarchical_levels *levels, struct arena *arena,
                        const char **problem)
{
    char *end;
    unsigned long size = strtoul(text, &end, 10);
    if (levels->depth == SHAPE_DEPTH || end == text || size < 1 || size > 1u << 20 || (*end && *end != '*')) {
        *problem =
            arena_format(arena, "'%s': expected at most %d levels such as 8 or 8*ring", text, SHAPE_DEPTH);
        return false;
    }
    const struct algorithm *inner = *end ? parse_name(end + 1, arena, problem) : NULL;
    if (inner && (inner->form || inner->loads || !inner->steps)) {
        *problem = arena_format(arena, "'%s' cannot be the algorithm of a level", inner->name);
        return false;
    }
    levels->sizes[levels->depth] = (uint32_t)size;
    levels->inner[levels->depth++] = inner;
    return inner || !*end;
}

static const struct algorithm *parse_levels(const char *text, struct arena *arena, const char **problem)
{
    char *copy = arena_text(arena, text), *at = strchr(copy, '/');
    struct hierarchical_levels *levels = ARENA_NEW(arena, struct hierarchical_levels);
    *at++ = '\0';
    const struct algorithm *base = parse_name(copy, arena, problem);
    if (base && base->steps != hierarchical_steps) {
        *problem = arena_format(arena, "'%s' has no levels; hierarchical and torus have", copy);
        return NULL;
    }
    while (base && at) {
        char *next = strchr(at, '/');
        if (next)
            *next++ = '\0';
        if (!parse_level(at, levels, arena, problem))
            return NULL;
        at = next;
    }
    if (!base)
        return NULL;
    struct algorithm *made = ARENA_NEW(arena, struct algorithm);
    *made = *base;
    made->name = arena_text(arena, text);
    made->data = levels;
    return made;
}

const struct algorithm *collective_parse(const char *text, struct arena *arena, const char **problem)
{
    size_t length = strlen(text);
    *problem = NULL;
    if (length > 4 && strcmp(text + length - 4, ".csv") == 0)
        return parse_file(text, arena, problem);
    return strchr(text, '/') ? parse_levels(text, arena, problem) : parse_name(text, arena, problem);
}
