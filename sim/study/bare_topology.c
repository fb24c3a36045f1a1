#include "study/bare_topology.h"

#include "input/fields.h"
#include "platform/topology.h"
#include "platform/topology_fields.h"
#include "platform/topology_set.h"

#include <string.h>

/* One --set option: a parameter goes to `parameters`, anything else into the document. */
static bool bare_topology_set(struct input *input, struct value *document, struct value *parameters,
                              const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return report_error(&input->report, (struct place){"--set", 0, 0}, "expected key=value; got '%s'",
                            text);
    const char *path = arena_format(&input->arena, "%.*s", (int)(equals - text), text);
    size_t first = strcspn(path, ".[");
    if (strncmp(path, "parameters.", 11) == 0 || strncmp(path, "topology.", 9) == 0)
        return document_set_as(input, parameters, path, path + first + 1, equals + 1);
    const struct value *declared = value_get(document, "parameters");
    if (value_get(declared, path))
        return document_set_as(input, parameters, path, path, equals + 1);
    size_t count = topology_field_count;
    const char **known = ARENA_ARRAY(&input->arena, const char *, count + (declared ? declared->count : 0));
    for (size_t i = 0; i < topology_field_count; i++) {
        known[i] = topology_fields[i].key;
        if (strlen(known[i]) == first && strncmp(known[i], path, first) == 0)
            return topology_set(input, document, path, equals + 1);
    }
    for (uint32_t i = 0; declared && declared->kind == VALUE_MAP && i < declared->count; i++)
        known[count++] = declared->entries[i].key;
    struct place place = {arena_format(&input->arena, "--set %s", path), 0, 0};
    return fields_no_such(input, place, "parameter or key of the topology:",
                          arena_format(&input->arena, "%.*s", (int)first, path), known, count);
}

bool bare_topology_read(struct input *input, const char *name, const char *const *sets, uint32_t set_count,
                        struct platform *platform)
{
    const struct place nowhere = {0};
    const char *path = document_find(input, "topologies", name, nowhere);
    struct value *document = path ? document_load(input, path) : NULL;
    struct value *parameters = value_new(&input->arena, nowhere, VALUE_MAP);
    bool well = document != NULL;
    for (uint32_t i = 0; document && i < set_count; i++)
        well = bare_topology_set(input, document, parameters, sets[i]) && well;
    return well && topology_read(input, document, parameters, platform);
}
