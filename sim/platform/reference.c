#include "platform/reference.h"

#include "base/vector.h"
#include "input/fields.h"

#include <ctype.h>
#include <string.h>

bool reference_is_name(const char *text)
{
    size_t length = strlen(text);
    if (!isalpha((unsigned char)*text) || length > ARRAY_NAME)
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            return false;
    return true;
}

static struct place reference_at(struct place place, const char *text, const char *at)
{
    for (const char *c = text; place.line && c < at; c++)
        place.column += ((unsigned char)*c & 0xc0) != 0x80;
    return place;
}

/* The text without the blanks around it. */
static const char *reference_trim(struct input *input, const char **from, const char *to)
{
    while (*from < to && isspace((unsigned char)**from))
        ++*from;
    while (to > *from && isspace((unsigned char)to[-1]))
        to--;
    return arena_format(&input->arena, "%.*s", (int)(to - *from), *from);
}

/* The end of an index: the next ',' or ']' outside parentheses, or the end of the text. */
static const char *reference_index_end(const char *at)
{
    int depth = 0;
    for (; *at; at++) {
        if (depth == 0 && (*at == ',' || *at == ']'))
            return at;
        depth += (*at == '(') - (*at == ')');
    }
    return at;
}

/* From after a '[' to after its ']'; NULL when something is wrong. */
static const char *reference_indices(struct input *input, const char *at, struct reference *out)
{
    const char *end = at;
    for (; *end != ']'; at = end + 1) {
        end = reference_index_end(at);
        if (!*end || out->rank == ARRAY_RANK)
            return NULL;
        const char *start = at;
        out->index[out->rank] = reference_trim(input, &start, end);
        out->index_place[out->rank] = reference_at(out->place, out->text, start);
        if (!*out->index[out->rank++])
            return NULL;
    }
    return end + 1;
}

/* One level after the other: NAME, NAME[INDEX, …], then '.' and the next one. */
static bool reference_levels(struct input *input, const char *at, struct reference *out)
{
    for (out->name = "";; out->end[out->depth++] = out->rank) {
        const char *start = at, *end = at + strcspn(at, "[.");
        const char *name = reference_trim(input, &start, end);
        if (!reference_is_name(name))
            return false;
        out->name = *out->name ? arena_format(&input->arena, "%s.%s", out->name, name) : name;
        if (*end == '[')
            end = reference_indices(input, end + 1, out);
        if (!end || (*end && *end != '.'))
            return false;
        if (!*end)
            return true;
        if (out->depth == ARRAY_DEPTH)
            return false;
        at = end + 1;
    }
}

bool reference_parse(struct input *input, const char *text, struct place place, struct reference *out)
{
    *out = (struct reference){.text = text, .place = place};
    if (reference_levels(input, text, out))
        return true;
    return report_error(&input->report, place, "expected NAME or NAME[INDEX, …]; got '%s'", text);
}

bool reference_read(struct input *input, const struct value *value, const char *what, struct reference *out)
{
    if (value->kind != VALUE_SCALAR)
        return report_error(&input->report, value->place, "expected %s; got %s", what,
                            value_describe(value, &input->arena));
    struct place place = value->place;
    place.column += value->quoted && place.line;
    return reference_parse(input, value->text, place, out);
}

uint32_t reference_level(uint32_t depth, const uint32_t *end, uint32_t rank, uint32_t level)
{
    return (level < depth ? end[level] : rank) - (level ? end[level - 1] : 0);
}

/* Whether each level has as many indices as the array's, or, if `whole`, none. */
static bool reference_ranks(const struct reference *reference, const struct array *array, bool whole)
{
    for (uint32_t level = 0; level <= array->depth; level++) {
        uint32_t own = reference_level(reference->depth, reference->end, reference->rank, level);
        if (own != reference_level(array->depth, array->end, array->rank, level) && (own || !whole))
            return false;
    }
    return true;
}

const struct array *reference_find(struct input *input, const struct reference *reference, const char *what,
                                   const struct array *arrays, uint32_t count, bool whole)
{
    VECTOR(const char *) names = {0};
    const struct array *found = NULL;
    for (uint32_t i = 0; i < count && !found; i++) {
        VECTOR_PUSH(&names, arrays[i].name);
        if (strcmp(arrays[i].name, reference->name) == 0)
            found = &arrays[i];
    }
    if (!found)
        fields_no_such(input, reference->place, what, reference->name, names.at, names.count);
    VECTOR_FREE(&names);
    if (!found || reference_ranks(reference, found, whole))
        return found;
    report_error(&input->report, reference->place, "'%s' has %s; got '%s'", found->name,
                 found->rank == 0   ? "no index"
                 : found->rank == 1 ? "one index"
                                    : arena_format(&input->arena, "%u indices", found->rank),
                 reference->text);
    return NULL;
}

bool reference_out_of_range(struct input *input, struct place place, const char *text,
                            const struct array *array, uint32_t dimension, const char *needed_by)
{
    const char *which = array->rank == 1 ? "it" : arena_format(&input->arena, "index %u", dimension + 1);
    const char *range = array->size[dimension] ? arena_format(&input->arena, "%s goes from 0 to %u", which,
                                                              array->size[dimension] - 1)
                                               : "the array is empty";
    return report_error(&input->report, place, "there is no '%s'%s%s: %s", text,
                        needed_by ? ", needed by " : "", needed_by ? needed_by : "", range);
}
