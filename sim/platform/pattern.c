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

bool pattern_fits(struct input *input, const struct pattern *pattern, const struct array *array)
{
    const struct reference *reference = &pattern->reference;
    for (uint32_t i = 0; i < reference->rank; i++)
        if (!pattern->index[i].all && pattern->index[i].high >= array->size[i])
            return reference_out_of_range(input, reference->index_place[i], reference->text, array, i, NULL);
    return true;
}

bool pattern_matches(const struct pattern *pattern, uint32_t rank, const uint32_t *indices)
{
    for (uint32_t i = 0; i < rank && pattern->reference.indexed; i++)
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
