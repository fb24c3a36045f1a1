#include "platform/topology_set.h"

#include "input/fields.h"

#include <string.h>

static const char *const topology_sections[][2] = {
    {"devices", "device"}, {"switches", "switch"}, {"links", "link"}, {"parts", "part"}};

/* What the first key of the path is called, if it is a section of named entries; else NULL. */
static const char *topology_set_kind(const char *path, size_t length)
{
    for (size_t s = 0; s < FIELDS_COUNT(topology_sections); s++)
        if (strlen(topology_sections[s][0]) == length && strncmp(path, topology_sections[s][0], length) == 0)
            return topology_sections[s][1];
    return NULL;
}

static bool topology_set_has(const struct value *document, const char *section, const char *name)
{
    return value_get(value_get(document, section), name) != NULL;
}

static bool topology_set_unknown(struct input *input, const struct value *document, const char *section,
                                 const char *kind, const char *name, struct place place)
{
    const struct value *map = value_get(document, section);
    uint32_t count = map && map->kind == VALUE_MAP ? map->count : 0;
    const char **known = ARENA_ARRAY(&input->arena, const char *, count);
    for (uint32_t i = 0; i < count; i++)
        known[i] = map->entries[i].key;
    return fields_no_such(input, place, kind, name, known, count);
}

/* The last '.' outside brackets: between an element and its key. NULL when there is none. */
static const char *topology_set_split(const char *path)
{
    const char *found = NULL;
    int depth = 0;
    for (const char *c = path; *c; c++) {
        depth += (*c == '[') - (*c == ']');
        if (*c == '.' && depth == 0)
            found = c;
    }
    return found;
}

static struct value *topology_set_map(struct input *input, struct value *map, const char *key,
                                      struct place place)
{
    struct entry *entry = value_entry(map, key);
    if (!entry) {
        value_put(&input->arena, map, key, place, value_new(&input->arena, place, VALUE_MAP));
        entry = value_entry(map, key);
    }
    if (entry->value->kind == VALUE_NULL)
        entry->value = value_new(&input->arena, place, VALUE_MAP);
    return entry->value;
}

/* overrides: {element: {key: text}}, after those of the file, so that it wins. */
static bool topology_set_override(struct input *input, struct value *document, const char *path,
                                  const char *element, const char *key, const char *text)
{
    struct place place = {.file = arena_format(&input->arena, "--set %s", path)};
    struct value *overrides = topology_set_map(input, document, "overrides", place);
    if (overrides->kind != VALUE_MAP)
        return document_set(input, document, path, text); /* the reader reports it */
    struct value *override = topology_set_map(input, overrides, element, place);
    if (override->kind != VALUE_MAP)
        return true;
    return document_set_as(input, override, path, key, text);
}

bool topology_set(struct input *input, struct value *document, const char *path, const char *text)
{
    struct place place = {.file = arena_format(&input->arena, "--set %s", path)};
    size_t first = strcspn(path, ".["), second;
    const char *kind = path[first] == '.' ? topology_set_kind(path, first) : NULL, *rest = path + first + 1;
    if (!kind || !*rest)
        return document_set(input, document, path, text);
    second = strcspn(rest, ".[");
    const char *section = arena_format(&input->arena, "%.*s", (int)first, path);
    const char *name = arena_format(&input->arena, "%.*s", (int)second, rest);
    bool part = strcmp(section, "parts") != 0 && topology_set_has(document, "parts", name);
    if (rest[second] && !part && !topology_set_has(document, section, name))
        return topology_set_unknown(input, document, section, kind, name, place);
    const char *split = topology_set_split(rest);
    bool element = part || rest[second] == '[';
    bool share = strcmp(section, "links") == 0 && strchr(text, '%');
    if (strcmp(section, "parts") == 0 || !split || (!element && (!share || split != rest + second)))
        return document_set(input, document, path, text);
    const char *target = arena_format(&input->arena, "%.*s", (int)(split - rest), rest);
    return topology_set_override(input, document, path, target, split + 1, text);
}
