/* Selection: the patterns by which a plan names devices. */
#include "platform/topology.h"

#include "platform/pattern.h"

#include <string.h>

struct topology_selection {
    struct input *input;
    const struct platform *platform;
    VECTOR(struct array) arrays; /* of devices */
    bool *taken;                 /* per device */
    struct index_list *out;
};

/* The reference "box[2]" as one to an array of that part, "box[2].gpu"; false when the array is not in it. */
static bool topology_inside(const struct reference *part, const struct array *array, struct reference *out)
{
    size_t length = strlen(part->name);
    if (strncmp(part->name, array->name, length) != 0 || array->name[length] != '.')
        return false;
    *out = *part;
    out->name = array->name;
    while (out->depth < array->depth)
        out->end[out->depth++] = out->rank;
    return true;
}

static bool topology_select_array(struct topology_selection *selection, const struct reference *reference,
                                  struct index_list *found)
{
    struct input *input = selection->input;
    struct pattern pattern;
    const struct array *array =
        reference_find(input, reference, "device", selection->arrays.at, selection->arrays.count, true);
    if (!array || !pattern_parse(input, reference, NULL, &pattern) || !pattern_fit(input, &pattern, array))
        return false;
    pattern_elements(&pattern, array, found);
    return true;
}

/* The nodes of the array that the reference names, or of all arrays of devices in the part that it names. */
static bool topology_select_named(struct topology_selection *selection, const struct reference *reference,
                                  struct index_list *found)
{
    struct reference inside;
    bool part = false;
    for (uint32_t a = 0; a < selection->arrays.count; a++) {
        if (!topology_inside(reference, &selection->arrays.at[a], &inside))
            continue;
        part = true;
        if (!topology_select_array(selection, &inside, found))
            return false;
    }
    return part || topology_select_array(selection, reference, found);
}

static bool topology_select_one(struct topology_selection *selection, const struct value *value)
{
    struct input *input = selection->input;
    const struct platform *platform = selection->platform;
    struct reference reference;
    struct index_list found = {0};
    bool well = true;
    if (value->kind == VALUE_SCALAR && strcmp(value->text, "*") == 0) {
        for (uint32_t d = 0; d < platform->devices.count; d++)
            if (platform->devices.at[d].role == DEVICE_WORKER)
                VECTOR_PUSH(&found, platform->devices.at[d].node);
        reference.place = value->place;
    } else {
        if (!reference_read(input, value, "the name of a device or a pattern such as \"pi[0..3]\"",
                            &reference))
            return false;
        if (!topology_select_named(selection, &reference, &found)) {
            VECTOR_FREE(&found);
            return false;
        }
    }
    for (uint32_t i = 0; i < found.count && well; i++) {
        uint32_t device = platform->nodes.at[found.at[i]].device;
        if (selection->taken[device])
            well = report_error(&input->report, reference.place, "the device '%s' is named twice",
                                names_text(platform->names, platform->devices.at[device].name));
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
    for (uint32_t a = 0; a < platform->arrays.count; a++)
        if (platform->arrays.at[a].count &&
            platform->nodes.at[platform->arrays.at[a].first].device != UINT32_MAX)
            VECTOR_PUSH(&selection.arrays, platform->arrays.at[a]);
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
