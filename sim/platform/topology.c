/* Topology: reads the sections of a document in the order in which they build on each other (parameters,
 * overrides, devices, switches, parts, links, routing), checks what only the whole can show, and closes the
 * graph. A part is a document of its own, read in the same way by a draft inside the draft. */
#include "platform/topology.h"

#include "platform/graph.h"
#include "platform/links.h"
#include "platform/nodes.h"
#include "platform/override.h"
#include "platform/route_table.h"
#include "platform/routing.h"
#include "platform/topology_fields.h"
#include "platform/topology_parameter.h"

#include <string.h>

struct topology_document {
    const char *name, *about;
    const struct value *parameters, *require, *devices, *switches, *parts, *links, *overrides, *routing,
        *routes;
    int layout;
};

const char *const topology_layouts[] = {"auto", "layers", "circle", "grid", NULL};

struct topology_part {
    const char *topology;
    const struct value *count, *set;
};

#define SECTION(name, member, text)                                                                          \
    {                                                                                                        \
        .key = name, .kind = FIELD_VALUE, .offset = offsetof(struct topology_document, member),              \
        .about = text                                                                                        \
    }
const struct field topology_fields[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct topology_document, name),
     .about = "name for people; default: the file's"},
    {.key = "about",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct topology_document, about),
     .about = "one sentence"},
    SECTION("parameters", parameters, "names with defaults, which a workload may set"),
    SECTION("require", require,
            "conditions on the parameters, each with the sentence that says what is wrong"),
    SECTION("devices", devices, "what computes: single devices and arrays of them"),
    SECTION("switches", switches, "what only forwards: switches, routers, access points"),
    SECTION("parts", parts, "topologies inside this one, each once or several times"),
    SECTION("links", links, "patterns of cables, and shared media"),
    SECTION("overrides", overrides, "changes to single devices, switches and links, by name"),
    SECTION("routing", routing, "how messages find their way"),
    SECTION("routes", routes, "explicit routes between some devices"),
    {.key = "layout",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct topology_document, layout),
     .choices = topology_layouts,
     .about = "how `partita plot topology` places the nodes; default auto"},
};
const size_t topology_field_count = FIELDS_COUNT(topology_fields);

#define PART(name, what, member, must, text)                                                                 \
    {                                                                                                        \
        .key = name, .kind = what, .offset = offsetof(struct topology_part, member), .required = must,       \
        .about = text                                                                                        \
    }
const struct field topology_part_fields[] = {
    PART("topology", FIELD_TEXT, topology, true, "the topology: a file, or a parameter that names one"),
    PART("count", FIELD_VALUE, count, false,
         "how many: a number, or a list of numbers for several indices; absent: a single one"),
    PART("set", FIELD_VALUE, set, false, "values for its parameters; may compute with those of this file"),
};
const size_t topology_part_field_count = FIELDS_COUNT(topology_part_fields);

/* One warning per array, since a mistake in a pattern leaves out many. */
static void topology_warn_unlinked(struct draft *draft)
{
    const struct platform *platform = draft->platform;
    char text[ARRAY_TEXT];
    for (uint32_t a = 0; a < platform->arrays.count; a++) {
        const struct array *array = &platform->arrays.at[a];
        uint32_t unlinked = 0, first = 0, indices[ARRAY_RANK];
        if (array->count == 0 || platform->nodes.at[array->first].device == UINT32_MAX)
            continue;
        for (uint32_t e = array->count; e-- > 0;) {
            uint32_t node = array->first + e;
            if (platform->first_arc[node] < platform->first_arc[node + 1] ||
                route_table_reaches(platform, platform->nodes.at[node].device))
                continue;
            unlinked++;
            first = e;
        }
        if (!unlinked)
            continue;
        array_indices(array, first, indices);
        array_text(array, indices, "", text);
        const char *more =
            arena_format(&draft->input->arena, ", nor have %u more of '%s'", unlinked - 1, array->name);
        report_warning(&draft->input->report, array->place, "the device '%s' has no link%s", text,
                       unlinked > 1 ? more : "");
    }
}

static const char *topology_default_name(struct input *input, const char *file)
{
    const char *slash = file ? strrchr(file, '/') : NULL, *start = slash ? slash + 1 : file;
    const char *dot = start ? strrchr(start, '.') : NULL;
    if (!start)
        return "topology";
    return arena_format(&input->arena, "%.*s", dot ? (int)(dot - start) : (int)strlen(start), start);
}

static bool topology_fill(struct draft *draft, const struct value *document, const struct value *set);

/* The arrays of a part under the part's name, so that links and routes can name them. */
static bool topology_adopt(struct draft *draft, const struct array *part, const struct draft *inner)
{
    for (uint32_t i = 0; i < inner->arrays.count; i++) {
        const struct array *array = &inner->arrays.at[i];
        const char *name = arena_format(&draft->input->arena, "%s.%s", part->name, array->name);
        struct array adopted;
        if (!array_within(part, array, name, &adopted))
            return report_error(&draft->input->report, part->place,
                                "'%s' has more than %d indices or lies in too many parts", name, ARRAY_RANK);
        VECTOR_PUSH(&draft->arrays, adopted);
    }
    return true;
}

/* The document of a part, unless it contains itself. */
static const struct value *topology_part_document(struct draft *draft, const char *name, struct place place,
                                                  const char **path)
{
    *path = document_find(draft->input, "topologies", name, place);
    for (const struct draft *around = draft; *path && around; around = around->outer)
        if (around->path && strcmp(around->path, *path) == 0) {
            report_error(&draft->input->report, place, "the topology '%s' would be a part of itself", name);
            return NULL;
        }
    return *path ? document_load(draft->input, *path) : NULL;
}

static bool topology_read_part(struct draft *draft, const struct entry *entry)
{
    struct input *input = draft->input;
    struct topology_part read = {0};
    struct array part;
    if (!draft_name(draft, entry, "part") ||
        !fields_read(input, entry->value, entry->place, draft_what(draft, "the part", entry->key),
                     topology_part_fields, topology_part_field_count, &draft->scope, &read) ||
        !nodes_array(draft, entry, read.count, &part))
        return false;
    if (read.set && read.set->kind != VALUE_NULL &&
        !fields_want_map(input, read.set, read.set->place, "the values set for the part"))
        return false;
    struct draft inner = {.input = input, .platform = draft->platform, .outer = draft, .all = draft->all};
    const struct value *document =
        topology_part_document(draft, read.topology, value_get(entry->value, "topology")->place, &inner.path);
    bool well = document && draft_full(draft, &part, &inner.part) &&
                topology_fill(&inner, document, read.set) && topology_adopt(draft, &part, &inner);
    scope_fini(&inner.scope);
    VECTOR_FREE(&inner.arrays);
    VECTOR_FREE(&inner.names);
    return well;
}

static bool topology_read_parts(struct draft *draft, const struct value *section)
{
    bool well = true;
    if (!section || section->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(draft->input, section, section->place, "parts"))
        return false;
    for (uint32_t i = 0; i < section->count; i++)
        well = topology_read_part(draft, &section->entries[i]) && well;
    return well;
}

static bool topology_fill(struct draft *draft, const struct value *document, const struct value *set)
{
    struct input *input = draft->input;
    struct platform *platform = draft->platform;
    struct topology_document read = {0};
    bool well = fields_read(input, document, document->place, "a topology", topology_fields,
                            topology_field_count, NULL, &read);
    /* Without its parameters every other section would report names that are only unknown because of them. */
    if (!topology_parameter_bind(input, read.parameters, set, draft->outer ? &draft->outer->scope : NULL,
                                 &draft->scope) ||
        !topology_parameter_require(input, read.require, set, &draft->scope))
        return false;
    well = override_read(draft, read.overrides) && well;
    bool nodes = nodes_read_devices(draft, read.devices);
    nodes = nodes_read_switches(draft, read.switches) && nodes;
    nodes = topology_read_parts(draft, read.parts) && nodes;
    if (!nodes) /* links would only report the missing ends again */
        return false;
    draft->routes = !draft->outer && read.routes && read.routes->kind != VALUE_LIST;
    well = links_read(draft, read.links) && well;
    if (draft->outer)
        return well;
    platform->name = names_add(platform->names,
                               read.name ? read.name : topology_default_name(input, document->place.file));
    platform->layout = read.layout;
    if (platform_workers(platform) == 0)
        return well && report_error(&input->report, read.devices ? read.devices->place : document->place,
                                    "the topology has no devices");
    if (well)
        well = override_check(draft);
    graph_close(platform);
    return well && routing_read(draft, read.routing, read.routes);
}

bool topology_read(struct input *input, const struct value *document, const struct value *set,
                   struct platform *platform)
{
    struct draft_all all = {0};
    struct draft draft = {.input = input, .platform = platform, .part = {.count = 1}, .all = &all};
    uint32_t errors = input->report.errors;
    bool well = topology_fill(&draft, document, set) && input->report.errors == errors;
    if (well && platform->devices.count > 1)
        topology_warn_unlinked(&draft);
    scope_fini(&draft.scope);
    VECTOR_FREE(&draft.arrays);
    VECTOR_FREE(&all.protocols);
    VECTOR_FREE(&all.overrides);
    VECTOR_FREE(&all.paths);
    VECTOR_FREE(&all.failed);
    VECTOR_FREE(&draft.names);
    if (!well) { /* nothing is ever half built */
        struct names *names = platform->names;
        platform_fini(platform);
        platform_init(platform, names);
    }
    return well;
}
