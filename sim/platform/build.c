#include "platform/build.h"

#include <string.h>

const char *build_what(struct build *build, const char *kind, const char *name)
{
    return arena_format(&build->input->arena, "%s '%s'", kind, name);
}

bool build_name(struct build *build, const struct entry *entry, const char *what)
{
    struct report *report = &build->input->report;
    if (!reference_is_name(entry->key))
        return report_error(report, entry->place,
                            "expected the name of a %s: a letter, then letters, digits, '_' or '-'; got '%s'",
                            what, entry->key);
    for (uint32_t i = 0; i < build->names.count; i++)
        if (strcmp(build->names.at[i].key, entry->key) == 0)
            return report_error(report, entry->place,
                                "the name '%s' is taken: line %u uses it; devices, switches and links need "
                                "different names",
                                entry->key, build->names.at[i].place.line);
    VECTOR_PUSH(&build->names, *entry);
    return true;
}
