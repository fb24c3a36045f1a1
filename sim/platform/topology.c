/* Topology: reads the sections of a document in the order in which they build on each other (parameters,
 * overrides, devices, switches, links), checks what only the whole can show, and closes the graph. */
#include "platform/topology.h"

#include "platform/graph.h"
#include "platform/links.h"
#include "platform/nodes.h"
#include "platform/override.h"
#include "platform/route_table.h"
#include "platform/routes.h"
#include "platform/topology_fields.h"
#include "platform/topology_parameter.h"

#include <stdlib.h>
#include <string.h>

struct topology_document {
    const char *name, *about;
    const struct value *parameters, *devices, *switches, *links, *routes, *overrides;
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
    SECTION("devices", devices, "what computes: single devices and arrays of them"),
    SECTION("switches", switches, "what only forwards: switches, routers, access points"),
    SECTION("links", links, "patterns of cables, and shared media"),
    SECTION("routes", routes, "the way from one device to another, where it is not the shortest"),
    SECTION("overrides", overrides, "changes to single devices and links, by name"),
};
const size_t topology_field_count = FIELDS_COUNT(topology_fields);

/* One warning per array, since a mistake in a pattern leaves out many. */
static void topology_warn_unlinked(struct draft *draft)
{
    const struct platform *platform = draft->platform;
    char text[ARRAY_TEXT];
    for (uint32_t a = 0; a < draft->arrays.count; a++) {
        const struct array *array = &draft->arrays.at[a];
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
        array_text(array->name, array->rank, indices, "", text);
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

static bool topology_fill(struct draft *draft, const struct value *document, const struct value *set)
{
    struct input *input = draft->input;
    struct platform *platform = draft->platform;
    struct topology_document read = {0};
    bool well = fields_read(input, document, document->place, "a topology", topology_fields,
                            topology_field_count, NULL, &read);
    platform->name = names_add(platform->names,
                               read.name ? read.name : topology_default_name(input, document->place.file));
    /* Without its parameters every other section would report names that are only unknown because of them. */
    if (!topology_parameter_bind(input, read.parameters, set, &draft->scope))
        return false;
    well = override_read(draft, read.overrides) && well;
    bool nodes = nodes_read_devices(draft, read.devices);
    nodes = nodes_read_switches(draft, read.switches) && nodes;
    if (!nodes) /* links would only report the missing ends again */
        return false;
    if (platform->devices.count == 0)
        return well && report_error(&input->report, read.devices ? read.devices->place : document->place,
                                    "the topology has no devices");
    draft->routes = read.routes != NULL;
    bool links = links_read(draft, read.links);
    well = links && well;
    if (links) /* else it would only report the missing links again */
        well = routes_read(draft, read.routes) && well;
    if (well)
        well = override_check(draft);
    graph_close(platform);
    return well;
}

bool topology_read(struct input *input, const struct value *document, const struct value *set,
                   struct platform *platform)
{
    struct draft draft = {.input = input, .platform = platform};
    uint32_t errors = input->report.errors;
    bool well = topology_fill(&draft, document, set) && input->report.errors == errors;
    if (well && platform->devices.count > 1)
        topology_warn_unlinked(&draft);
    scope_fini(&draft.scope);
    VECTOR_FREE(&draft.arrays);
    VECTOR_FREE(&draft.overrides);
    VECTOR_FREE(&draft.names);
    if (!well) { /* nothing is ever half built */
        struct names *names = platform->names;
        platform_fini(platform);
        platform_init(platform, names);
    }
    return well;
}

/* The arrays of devices, recovered from the names: the elements of an array are contiguous and in order, so
 * its last one has the highest indices. `first` is a device. */
static struct array topology_array(const struct platform *platform, uint32_t first)
{
    const struct device *devices = platform->devices.at;
    struct array array = {.name = names_text(platform->names, devices[first].group), .first = first};
    uint32_t last = first;
    while (last + 1 < platform->devices.count && devices[last + 1].group == devices[first].group)
        last++;
    array.count = last + 1 - first;
    const char *text = strchr(names_text(platform->names, devices[last].name), '[');
    while (text && *text != ']') {
        char *end;
        array.size[array.rank++] = (uint32_t)strtoul(text + 1, &end, 10) + 1;
        text = end;
    }
    return array;
}

struct topology_selection {
    struct input *input;
    const struct platform *platform;
    VECTOR(struct array) arrays;
    bool *taken; /* per device */
    struct index_list *out;
};

static bool topology_select_one(struct topology_selection *selection, const struct value *value)
{
    struct input *input = selection->input;
    struct reference reference;
    struct pattern pattern;
    struct index_list found = {0};
    bool well = true;
    if (value->kind == VALUE_SCALAR && strcmp(value->text, "*") == 0) {
        for (uint32_t d = 0; d < selection->platform->devices.count; d++)
            VECTOR_PUSH(&found, d);
        reference.place = value->place;
    } else {
        if (!reference_read(input, value, "the name of a device or a pattern such as \"pi[0..3]\"",
                            &reference))
            return false;
        const struct array *array =
            reference_find(input, &reference, "device", selection->arrays.at, selection->arrays.count, true);
        if (!array || !pattern_parse(input, &reference, NULL, &pattern) ||
            !pattern_fits(input, &pattern, array))
            return false;
        pattern_elements(&pattern, array, &found);
    }
    for (uint32_t i = 0; i < found.count && well; i++) {
        uint32_t device = found.at[i];
        if (selection->taken[device])
            well = report_error(
                &input->report, reference.place, "the device '%s' is named twice",
                names_text(selection->platform->names, selection->platform->devices.at[device].name));
        selection->taken[device] = true;
        VECTOR_PUSH(selection->out, device);
    }
    VECTOR_FREE(&found);
    return well;
}

bool topology_select(struct input *input, const struct platform *platform, const struct value *pattern,
                     struct index_list *out)
{
    struct topology_selection selection = {.input = input, .platform = platform, .out = out};
    struct arena scratch;
    uint32_t before = out->count;
    bool well = true;
    arena_init(&scratch);
    selection.taken = ARENA_ARRAY(&scratch, bool, platform->devices.count);
    for (uint32_t d = 0; d < platform->devices.count;
         d += selection.arrays.at[selection.arrays.count - 1].count)
        VECTOR_PUSH(&selection.arrays, topology_array(platform, d));
    if (pattern->kind == VALUE_LIST)
        for (uint32_t i = 0; i < pattern->count; i++)
            well = topology_select_one(&selection, pattern->entries[i].value) && well;
    else
        well = topology_select_one(&selection, pattern);
    if (well && out->count == before)
        well = report_error(&input->report, pattern->place, "expected at least one device; got none");
    if (!well)
        out->count = before;
    VECTOR_FREE(&selection.arrays);
    arena_fini(&scratch);
    return well;
}
