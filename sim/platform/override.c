#include "platform/override.h"

#include "input/fields.h"

#include <string.h>

bool override_read(struct build *build, const struct value *section)
{
    struct input *input = build->input;
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
            pattern_parse(input, &reference, &build->scope, &override.pattern))
            VECTOR_PUSH(&build->overrides, override);
        else
            well = false;
    }
    return well;
}

struct override *override_next(struct build *build, const struct array *array, uint32_t *next)
{
    while (*next < build->overrides.count) {
        struct override *override = &build->overrides.at[(*next)++];
        const struct reference *reference = &override->pattern.reference;
        if (strcmp(reference->name, array->name) != 0)
            continue;
        if (override->met)
            return override;
        override->met = true;
        if (reference_find(build->input, reference, "array", array, 1, true) &&
            pattern_fits(build->input, &override->pattern, array))
            return override;
        override->applied = true;
        override->pattern.reference.name = ""; /* reported: matches nothing from now on */
    }
    return NULL;
}

bool override_check(struct build *build)
{
    bool well = true;
    VECTOR(const char *) names = {0};
    for (uint32_t i = 0; i < build->names.count; i++)
        VECTOR_PUSH(&names, build->names.at[i].key);
    for (uint32_t i = 0; i < build->overrides.count; i++) {
        const struct override *override = &build->overrides.at[i];
        const struct reference *reference = &override->pattern.reference;
        if (!override->met)
            well = fields_no_such(build->input, reference->place, "device or link", reference->name, names.at,
                                  names.count);
        else if (!override->applied)
            well = report_error(&build->input->report, reference->place, "there is no link '%s' to override",
                                reference->text);
    }
    VECTOR_FREE(&names);
    return well;
}
