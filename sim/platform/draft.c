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
    const char *path = entry->key;
    if (draft->outer)
        path = arena_format(&draft->input->arena, "%s.%s", draft->part.name, path);
    VECTOR_PUSH(&draft->all->paths, path);
    return true;
}

bool draft_full(struct draft *draft, const struct array *own, struct array *full)
{
    *full = *own;
    if (!draft->outer)
        return true;
    const char *path = arena_format(&draft->input->arena, "%s.%s", draft->part.name, own->name);
    return array_within(&draft->part, own, path, full) ||
           report_error(&draft->input->report, own->place,
                        "'%s' has more than %d indices or lies in too many parts", path, ARRAY_RANK);
}

bool draft_node_failed(const struct draft *draft, uint32_t node)
{
    for (uint32_t i = 0; i < draft->all->failed.count; i++)
        if (draft->all->failed.at[i] == node)
            return true;
    return false;
}
