#include "platform/pattern.h"

#include "input/fields.h"

#include <math.h>
#include <string.h>

/* A bound: a whole number from 0 on. */
static bool pattern_bound(struct input *input, const char *text, struct place place,
                          const struct scope *scope, uint32_t *bound)
{
    struct quantity result;
    if (!expression_evaluate(input, text, place, scope, &result))
        return false;
    if (result.unit != UNIT_NONE || result.number != floor(result.number) || result.number < 0 ||
        result.number >= UINT32_MAX)
        return report_error(&input->report, place, "expected an index, a whole number from 0 on; got '%s'",
                            text);
    *bound = (uint32_t)result.number;
    return true;
}

bool pattern_parse(struct input *input, const struct reference *reference, const struct scope *scope,
                   struct pattern *out)
{
    *out = (struct pattern){.reference = *reference};
    for (uint32_t i = 0; i < reference->rank; i++) {
        const char *text = reference->index[i], *dots = strstr(text, "..");
        struct place place = reference->index_place[i];
        out->index[i].all = strcmp(text, "*") == 0;
        if (out->index[i].all)
            continue;
        const char *low = dots ? arena_format(&input->arena, "%.*s", (int)(dots - text), text) : text;
        if (!pattern_bound(input, low, place, scope, &out->index[i].low))
            return false;
        out->index[i].high = out->index[i].low;
        if (!dots)
            continue;
        place.column += place.line ? (uint32_t)(dots - text) + 2 : 0;
        if (!pattern_bound(input, dots + 2, place, scope, &out->index[i].high))
            return false;
        if (out->index[i].high < out->index[i].low)
            return report_error(&input->report, reference->index_place[i], "the range '%s' is empty", text);
    }
    return true;
}

/* Makes room for `count` indices at `at`, which match everything. */
static void pattern_insert(struct pattern *pattern, uint32_t at, uint32_t count)
{
    struct reference *reference = &pattern->reference;
    for (uint32_t i = reference->rank; i-- > at;) {
        pattern->index[i + count] = pattern->index[i];
        reference->index[i + count] = reference->index[i];
        reference->index_place[i + count] = reference->index_place[i];
    }
    for (uint32_t i = at; i < at + count; i++) {
        pattern->index[i].all = true;
        reference->index[i] = "*";
        reference->index_place[i] = reference->place;
    }
    reference->rank += count;
}

bool pattern_fit(struct input *input, struct pattern *pattern, const struct array *array)
{
    struct reference *reference = &pattern->reference;
    for (uint32_t level = 0; level <= array->depth; level++) {
        uint32_t wanted = reference_level(array->depth, array->end, array->rank, level);
        if (!wanted || reference_level(reference->depth, reference->end, reference->rank, level))
            continue;
        pattern_insert(pattern, level ? array->end[level - 1] : 0, wanted);
        for (uint32_t k = level; k < reference->depth; k++)
            reference->end[k] += wanted;
    }
    for (uint32_t i = 0; i < reference->rank; i++)
        if (!pattern->index[i].all && pattern->index[i].high >= array->size[i])
            return reference_out_of_range(input, reference->index_place[i], reference->text, array, i, NULL);
    return true;
}

bool pattern_within(struct input *input, struct pattern *pattern, const struct array *part)
{
    struct reference *reference = &pattern->reference;
    uint32_t depth = part->depth + 1;
    if (reference->depth + depth > ARRAY_DEPTH || reference->rank + part->rank > ARRAY_RANK)
        return report_error(&input->report, reference->place,
                            "'%s' lies in too many parts or has more than %d "
                            "indices",
                            reference->text, ARRAY_RANK);
    for (uint32_t k = reference->depth; k-- > 0;)
        reference->end[k + depth] = reference->end[k] + part->rank;
    for (uint32_t k = 0; k < depth; k++)
        reference->end[k] = k < part->depth ? part->end[k] : part->rank;
    reference->depth += depth;
    pattern_insert(pattern, 0, part->rank);
    reference->name = arena_format(&input->arena, "%s.%s", part->name, reference->name);
    return true;
}

bool pattern_matches(const struct pattern *pattern, uint32_t rank, const uint32_t *indices)
{
    for (uint32_t i = 0; i < rank; i++)
        if (!pattern->index[i].all &&
            (indices[i] < pattern->index[i].low || indices[i] > pattern->index[i].high))
            return false;
    return true;
}

void pattern_elements(const struct pattern *pattern, const struct array *array, struct index_list *out)
{
    uint32_t indices[ARRAY_RANK];
    for (uint32_t e = 0; e < array->count; e++) {
        array_indices(array, e, indices);
        if (pattern_matches(pattern, array->rank, indices))
            VECTOR_PUSH(out, array->first + e);
    }
}
