#include "platform/override.h"

#include "input/fields.h"

#include <string.h>

bool override_read(struct draft *draft, const struct value *section)
{
    struct input *input = draft->input;
    bool well = true;
    if (!section || section->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(input, section, section->place, "overrides"))
        return false;
    for (uint32_t i = 0; i < section->count; i++) {
        const struct entry *entry = &section->entries[i];
        struct override override = {.changes = entry->value};
        struct reference reference;
        if (reference_parse(input, entry->key, entry->place, &reference) &&
            pattern_parse(input, &reference, &draft->scope, &override.pattern))
            VECTOR_PUSH(&draft->overrides, override);
        else
            well = false;
    }
    return well;
}

struct override *override_next(struct draft *draft, const struct array *array, uint32_t *next)
{
    while (*next < draft->overrides.count) {
        struct override *override = &draft->overrides.at[(*next)++];
        const struct reference *reference = &override->pattern.reference;
        if (strcmp(reference->name, array->name) != 0)
            continue;
        if (override->met)
            return override;
        override->met = true;
        if (reference_find(draft->input, reference, "array", array, 1, true) &&
            pattern_fits(draft->input, &override->pattern, array))
            return override;
        override->applied = true;
        override->pattern.reference.name = ""; /* reported: matches nothing from now on */
    }
    return NULL;
}

bool override_check(struct draft *draft)
{
    bool well = true;
    VECTOR(const char *) names = {0};
    for (uint32_t i = 0; i < draft->names.count; i++)
        VECTOR_PUSH(&names, draft->names.at[i].key);
    for (uint32_t i = 0; i < draft->overrides.count; i++) {
        const struct override *override = &draft->overrides.at[i];
        const struct reference *reference = &override->pattern.reference;
        if (!override->met)
            well = fields_no_such(draft->input, reference->place, "device or link", reference->name, names.at,
                                  names.count);
        else if (!override->applied)
            well = report_error(&draft->input->report, reference->place, "there is no link '%s' to override",
                                reference->text);
    }
    VECTOR_FREE(&names);
    return well;
}
