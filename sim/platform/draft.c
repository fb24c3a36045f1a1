#include "platform/draft.h"

#include <string.h>

const char *draft_what(struct draft *draft, const char *kind, const char *name)
{
    return arena_format(&draft->input->arena, "%s '%s'", kind, name);
}

bool draft_name(struct draft *draft, const struct entry *entry, const char *what)
{
    struct report *report = &draft->input->report;
    if (!reference_is_name(entry->key))
        return report_error(report, entry->place,
                            "expected the name of a %s: a letter, then letters, digits, '_' or '-'; got '%s'",
                            what, entry->key);
    for (uint32_t i = 0; i < draft->names.count; i++)
        if (strcmp(draft->names.at[i].key, entry->key) == 0)
            return report_error(report, entry->place,
                                "the name '%s' is taken: line %u uses it; devices, switches and links need "
                                "different names",
                                entry->key, draft->names.at[i].place.line);
    VECTOR_PUSH(&draft->names, *entry);
    return true;
}
