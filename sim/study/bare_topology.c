#include "study/bare_topology.h"

#include "input/fields.h"
#include "platform/import.h"
#include "platform/topology.h"
#include "platform/topology_fields.h"
#include "platform/topology_set.h"

#include <string.h>

static bool bare_topology_is_key(const char *path, size_t length)
{
    for (size_t i = 0; i < topology_field_count; i++)
        if (strlen(topology_fields[i].key) == length && strncmp(topology_fields[i].key, path, length) == 0)
            return true;
    return false;
}

/* Applies one --set option, if it is of the wanted sort. Parameters come first, since an importer wants to
 * know them; whether there is such a parameter is found when the topology is read. */
static bool bare_topology_set(struct input *input, struct value *document, struct value *parameters,
                              const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return document || report_error(&input->report, (struct place){"--set", 0, 0},
                                        "expected key=value; got '%s'", text);
    const char *path = arena_format(&input->arena, "%.*s", (int)(equals - text), text), *key = path;
    size_t first = strcspn(path, ".[");
    if (strncmp(path, "parameters.", 11) == 0 || strncmp(path, "topology.", 9) == 0)
        key = path + first + 1;
    bool parameter = key != path || !bare_topology_is_key(path, first);
    if (parameter != (document == NULL))
        return true;
    return parameter ? document_set_as(input, parameters, path, key, equals + 1)
                     : topology_set(input, document, path, equals + 1);
}

bool bare_topology_read(struct input *input, const char *name, const char *const *sets, uint32_t set_count,
                        struct platform *platform)
{
    const struct place nowhere = {0};
    struct value *parameters = value_new(&input->arena, nowhere, VALUE_MAP);
    bool well = true;
    for (uint32_t i = 0; i < set_count; i++)
        well = bare_topology_set(input, NULL, parameters, sets[i]) && well;
    const char *path = document_find(input, "topologies", name, nowhere);
    struct value *document = path ? import_load(input, path, parameters) : NULL;
    for (uint32_t i = 0; document && i < set_count; i++)
        well = bare_topology_set(input, document, parameters, sets[i]) && well;
    return document && well && topology_read(input, document, parameters, platform);
}
