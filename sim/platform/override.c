#include "platform/override.h"

#include "input/fields.h"

#include <string.h>

/* Moves the overrides from index `from` on before the others. */
static void override_put_first(struct draft *draft, uint32_t from)
{
    struct override *at = draft->all->overrides.at;
    for (uint32_t i = from; i < draft->all->overrides.count; i++) {
        struct override moved = at[i];
        memmove(at + (i - from) + 1, at + (i - from), from * sizeof *at);
        at[i - from] = moved;
    }
}

bool override_read(struct draft *draft, const struct value *section)
{
    struct input *input = draft->input;
    uint32_t before = draft->all->overrides.count;
    bool well = true;
    if (!section || section->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(input, section, section->place, "overrides"))
        return false;
    for (uint32_t i = 0; i < section->count; i++) {
        const struct entry *entry = &section->entries[i];
        struct override override = {.changes = entry->value, .scope = &draft->scope};
        struct reference reference;
        if (reference_parse(input, entry->key, entry->place, &reference) &&
            pattern_parse(input, &reference, &draft->scope, &override.pattern) &&
            (!draft->outer || pattern_within(input, &override.pattern, &draft->part)))
            VECTOR_PUSH(&draft->all->overrides, override);
        else
            well = false;
    }
    if (draft->outer && before < draft->all->overrides.count)
        override_put_first(draft, before);
    return well;
}

struct override *override_next(struct draft *draft, const struct array *array, uint32_t *next)
{
    while (*next < draft->all->overrides.count) {
        struct override *override = &draft->all->overrides.at[(*next)++];
        const struct reference *reference = &override->pattern.reference;
        if (strcmp(reference->name, array->name) != 0)
            continue;
        if (override->met)
            return override;
        override->met = true;
        if (reference_find(draft->input, reference, "array", array, 1, true) &&
            pattern_fit(draft->input, &override->pattern, array))
            return override;
        override->applied = true;
        override->pattern.reference.name = ""; /* reported: matches nothing from now on */
    }
    return NULL;
}

bool override_check(struct draft *draft)
{
    bool well = true;
    for (uint32_t i = 0; i < draft->all->overrides.count; i++) {
        const struct override *override = &draft->all->overrides.at[i];
        const struct reference *reference = &override->pattern.reference;
        if (!override->met)
            well = fields_no_such(draft->input, reference->place, "device or link", reference->name,
                                  draft->all->paths.at, draft->all->paths.count);
        else if (!override->applied)
            well = report_error(&draft->input->report, reference->place, "there is no link '%s' to override",
                                reference->text);
    }
    return well;
}
