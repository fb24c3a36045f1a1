#include "study/changes.h"

#include <string.h>

struct changes_entry {
    double at;
    const char *link;
    const struct value *bandwidth;
};

#define AT(member) offsetof(struct changes_entry, member)
static const struct field changes_fields[] = {
    {.key = "at",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_SECONDS,
     .offset = AT(at),
     .required = true,
     .low = 0,
     .high = 1e12},
    {.key = "link", .kind = FIELD_TEXT, .offset = AT(link), .required = true},
    {.key = "bandwidth", .kind = FIELD_VALUE, .offset = AT(bandwidth), .required = true},
};
#undef AT

/* Whether a link is meant by this name: itself, the cable whose direction it is, or its entry. */
static bool changes_means(const struct platform *platform, const struct link *link, const char *name)
{
    const char *own = names_text(platform->names, link->name);
    size_t length = strlen(name);
    bool cable =
        strncmp(own, name, length) == 0 && (own[length] == '<' || own[length] == '>') && !own[length + 1];
    return cable || strcmp(own, name) == 0 || strcmp(names_text(platform->names, link->group), name) == 0;
}

static bool changes_unknown(struct input *input, const struct value *map, const struct platform *platform,
                            const char *name)
{
    uint32_t count = platform->links.count, known = 0;
    const char **names = ARENA_ARRAY(&input->arena, const char *, 2 * (size_t)count + 1);
    for (uint32_t l = 0; l < count; l++)
        if (!l || platform->links.at[l].group != platform->links.at[l - 1].group)
            names[known++] = names_text(platform->names, platform->links.at[l].group);
    for (uint32_t l = 0; l < count && name[strcspn(name, "[<>")]; l++)
        names[known++] = names_text(platform->names, platform->links.at[l].name);
    return fields_no_such(input, value_get(map, "link")->place, "link", name, names, known);
}

bool changes_links(struct input *input, const struct value *map, const struct platform *platform,
                   const char *name, struct index_list *out)
{
    uint32_t before = out->count;
    for (uint32_t l = 0; l < platform->links.count; l++)
        if (changes_means(platform, &platform->links.at[l], name))
            VECTOR_PUSH(out, l);
    return out->count > before || changes_unknown(input, map, platform, name);
}

/* The bandwidth of a change: absolute, or a share (*share) of the topology's. */
static bool changes_bandwidth(struct input *input, const struct value *value, double *bandwidth, bool *share)
{
    static const struct field absolute = {
        .key = "bandwidth", .kind = FIELD_QUANTITY, .unit = UNIT_BYTES_PER_SECOND, .low = 0, .high = 1e300};
    static const struct field relative = {.key = "bandwidth", .kind = FIELD_NUMBER, .low = 0, .high = 1e6};
    size_t length = value->kind == VALUE_SCALAR ? strlen(value->text) : 0;
    *share = length && value->text[length - 1] == '%';
    return fields_read_one(input, value, *share ? &relative : &absolute, NULL, bandwidth);
}

bool changes_read(struct input *input, const struct value *list, const struct platform *platform,
                  struct arena *arena, struct engine_change **changes, uint32_t *count)
{
    VECTOR(struct engine_change) found = {0};
    struct index_list links = {0};
    bool good = true;
    *count = 0;
    if (!list || list->kind == VALUE_NULL)
        return true;
    if (!fields_want_list(input, list, list->place, "network.changes"))
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct value *map = list->entries[i].value;
        struct changes_entry entry = {0};
        double bandwidth;
        bool share;
        if (!fields_want_map(input, map, map->place, "a change of a link") ||
            !fields_read(input, map, map->place, "a change of a link", changes_fields,
                         FIELDS_COUNT(changes_fields), NULL, &entry) ||
            !changes_bandwidth(input, entry.bandwidth, &bandwidth, &share)) {
            good = false;
            continue;
        }
        links.count = 0;
        good = changes_links(input, map, platform, entry.link, &links) && good;
        for (uint32_t l = 0; l < links.count; l++) {
            double own = platform->links.at[links.at[l]].bandwidth;
            double capacity = share ? bandwidth * own : bandwidth;
            VECTOR_PUSH(&found, ((struct engine_change){entry.at, capacity, links.at[l]}));
        }
    }
    *count = found.count;
    *changes = arena_copy(arena, found.at, found.count * sizeof *found.at);
    VECTOR_FREE(&found);
    VECTOR_FREE(&links);
    return good;
}
