#include "platform/nodes.h"

#include "platform/device_type.h"
#include "platform/graph.h"
#include "platform/override.h"

#include <math.h>

enum { NODES_MOST = 1 << 20 };

struct nodes_entry {
    const struct value *count; /* first in the tables: an override of a device has all keys but this */
    const char *type;
    double speed;
    int role; /* enum device_role */
    bool forward, failed, reduces, fetched;
    const struct value *with;
};

static const char *const nodes_roles[] = {"worker", "host", "drive", NULL};

#define ENTRY(member) offsetof(struct nodes_entry, member)
#define COUNT                                                                                                \
    {                                                                                                        \
        .key = "count", .kind = FIELD_VALUE, .offset = ENTRY(count),                                         \
        .about = "how many: a number, or a list of numbers for several indices; absent: a single one"        \
    }

const struct field nodes_device_fields[] = {
    COUNT,
    {.key = "type",
     .kind = FIELD_TEXT,
     .offset = ENTRY(type),
     .about = "the device type: a file of topologies/devices, or a parameter that names one"},
    {.key = "speed",
     .kind = FIELD_NUMBER,
     .offset = ENTRY(speed),
     .about = "multiplies peak rates and memory bandwidth; default 1; 0.5 is a device at half speed"},
    {.key = "forward",
     .kind = FIELD_FLAG,
     .offset = ENTRY(forward),
     .about = "whether the device passes on traffic of others; default yes"},
    {.key = "role",
     .kind = FIELD_CHOICE,
     .offset = ENTRY(role),
     .choices = nodes_roles,
     .about =
         "worker (default); host: memory that workers may leave things in, and processors; drive: memory "
         "only. Plans split work over hosts and drives only where they name them"},
    {.key = "with",
     .kind = FIELD_VALUE,
     .offset = ENTRY(with),
     .about = "a map of keys of the device type to change; without `type`, the whole type"},
};
const size_t nodes_device_field_count = FIELDS_COUNT(nodes_device_fields);

const struct field nodes_switch_fields[] = {
    COUNT,
    {.key = "reduces",
     .kind = FIELD_FLAG,
     .offset = ENTRY(reduces),
     .about = "whether it adds up what it passes on (SHARP, NVLS), for in-network collectives; default no"},
    {.key = "fetched",
     .kind = FIELD_FLAG,
     .offset = ENTRY(fetched),
     .about = "with reduces: whether each device fetches a share of the sums and sends it to all (NVLS); "
              "default no: the switch sends them by itself (SHARP)"},
    {.key = "failed",
     .kind = FIELD_FLAG,
     .offset = ENTRY(failed),
     .about = "whether it is broken: none of its links works; default no"},
};
const size_t nodes_switch_field_count = FIELDS_COUNT(nodes_switch_fields);

static bool nodes_size(struct draft *draft, const struct value *value, struct array *array)
{
    const struct field field = {.key = "count", .kind = FIELD_INTEGER, .low = 0, .high = NODES_MOST};
    int64_t size;
    if (!fields_read_one(draft->input, value, &field, &draft->scope, &size))
        return false;
    if (array->rank == ARRAY_RANK)
        return report_error(&draft->input->report, value->place, "an array has at most %d indices",
                            ARRAY_RANK);
    if (size * array->count > NODES_MOST)
        return report_error(&draft->input->report, value->place, "'%s' has more than %d elements",
                            array->name, NODES_MOST);
    array->size[array->rank++] = (uint32_t)size;
    array->count *= (uint32_t)size;
    return true;
}

bool nodes_array(struct draft *draft, const struct entry *entry, const struct value *count,
                 struct array *array)
{
    *array = (struct array){
        .name = entry->key, .place = entry->place, .count = 1, .first = draft->platform->nodes.count};
    bool well = true;
    if (count && count->kind == VALUE_LIST)
        for (uint32_t i = 0; i < count->count && well; i++)
            well = nodes_size(draft, count->entries[i].value, array);
    else if (count)
        well = nodes_size(draft, count, array);
    return well;
}

/* Adds the array of an entry to those that links may name and to the platform's. `full` is that of all
 * instances of the part. */
static bool nodes_declare(struct draft *draft, const struct entry *entry, const struct value *count,
                          struct array *full)
{
    struct platform *platform = draft->platform;
    struct array own;
    if (!nodes_array(draft, entry, count, &own) || !draft_full(draft, &own, full))
        return false;
    if ((uint64_t)draft->part.count * own.count > NODES_MOST)
        return report_error(&draft->input->report, entry->place, "'%s' has more than %d elements", full->name,
                            NODES_MOST);
    VECTOR_PUSH(&draft->arrays, own);
    struct array kept = *full;
    kept.name = names_text(platform->names, names_add(platform->names, full->name));
    VECTOR_PUSH(&platform->arrays, kept);
    return true;
}

/* What is said of a device's type. Of `file`, `with` and `more` any may be NULL, not all. */
struct nodes_said {
    const char *name;   /* of the entry */
    struct place place; /* from which the file is found */
    const char *file;
    const struct value *with;
    const struct value *more; /* the `with` of an override, in a scope of its own */
    const struct scope *more_scope;
    bool drive;
};

/* The type of a device: the file, then `with`, then `more` laid over it. */
static bool nodes_type(struct draft *draft, const struct nodes_said *said, uint32_t *index)
{
    struct input *input = draft->input;
    struct names *names = draft->platform->names;
    struct device_type type;
    if (!said->file && !said->with && !said->more)
        return report_error(
            &input->report, said->place,
            "the device '%s' has no type: it needs a 'type' (a file of topologies/devices) or a "
            "'with' that says everything",
            said->name);
    device_type_init(names, said->file ? said->file : said->name, &type);
    uint32_t own_name = type.name;
    if (said->file && !device_type_load(input, names, said->file, said->place, &type))
        return false;
    if (said->with && !device_type_change(input, names, said->with, &draft->scope, &type))
        return false;
    if (!said->file && !value_get(said->with, "name"))
        type.name = own_name; /* `with` said everything: nothing was changed */
    if (said->more && !device_type_change(input, names, said->more, said->more_scope, &type))
        return false;
    *index = graph_add_type(draft->platform, &type);
    return device_type_check(input, names, &type, said->drive, said->place);
}

static bool nodes_speed(struct draft *draft, const struct value *map, double speed)
{
    const struct value *value = value_get(map, "speed");
    if (!value || (speed > 0 && isfinite(speed)))
        return true;
    return report_error(&draft->input->report, value->place, "expected a speed of more than 0; got '%s'",
                        value->text);
}

static void nodes_add(struct draft *draft, const struct array *array, struct device device, bool forward)
{
    struct platform *platform = draft->platform;
    uint32_t indices[ARRAY_RANK];
    char text[ARRAY_TEXT];
    device.group = names_add(platform->names, array->name);
    for (uint32_t e = 0; e < array->count; e++) {
        array_indices(array, e, indices);
        device.name = names_add(platform->names, array_text(array, indices, "", text));
        graph_add_device(platform, device, !forward);
    }
}

/* Gives the devices of an array that an override names its speed, its forwarding and, if it says so, a type.
 */
static void nodes_change(struct draft *draft, const struct array *array, const struct pattern *pattern,
                         const struct nodes_entry *over, const uint32_t *type)
{
    struct platform *platform = draft->platform;
    struct index_list nodes = {0};
    pattern_elements(pattern, array, &nodes);
    for (uint32_t i = 0; i < nodes.count; i++) {
        struct node *node = &platform->nodes.at[nodes.at[i]];
        struct device *device = &platform->devices.at[node->device];
        device->speed = over->speed;
        device->role = (uint8_t)over->role;
        device->type = type ? *type : device->type;
        node->terminal = !over->forward;
    }
    VECTOR_FREE(&nodes);
}

/* Where the name of the type stands, for messages and for files beside it. */
static struct place nodes_type_place(const struct value *map, struct place otherwise)
{
    const struct value *type = value_get(map, "type");
    return type ? type->place : otherwise;
}

/* Lays one override over the entry it changes and applies the result to every device that matches. */
static bool nodes_override(struct draft *draft, const struct entry *entry, const struct nodes_entry *read,
                           const struct array *array, struct override *override)
{
    const struct value *changes = override->changes;
    const struct reference *reference = &override->pattern.reference;
    struct nodes_entry over = *read;
    uint32_t type;
    override->applied = true;
    over.with = NULL;
    if (!fields_read(draft->input, changes, reference->place,
                     draft_what(draft, "the override of", reference->text), nodes_device_fields + 1,
                     nodes_device_field_count - 1, override->scope, &over) ||
        !nodes_speed(draft, changes, over.speed))
        return false;
    bool retyped = over.with || value_get(changes, "type");
    const struct nodes_said said = {
        .name = entry->key,
        .place = nodes_type_place(changes, nodes_type_place(entry->value, entry->place)),
        .file = over.type,
        .with = read->with,
        .more = over.with,
        .more_scope = override->scope,
        .drive = over.role == DEVICE_DRIVE};
    if (retyped && !nodes_type(draft, &said, &type))
        return false;
    nodes_change(draft, array, &override->pattern, &over, retyped ? &type : NULL);
    return true;
}

static bool nodes_read_device(struct draft *draft, const struct entry *entry)
{
    struct nodes_entry read = {.speed = 1, .forward = true};
    struct array array;
    struct device device = {0};
    if (!draft_name(draft, entry, "device"))
        return false;
    bool well = fields_read(draft->input, entry->value, entry->place,
                            draft_what(draft, "the device entry", entry->key), nodes_device_fields,
                            nodes_device_field_count, &draft->scope, &read);
    if (!well || !nodes_declare(draft, entry, read.count, &array))
        return false;
    well = nodes_speed(draft, entry->value, read.speed);
    const struct nodes_said said = {.name = entry->key,
                                    .place = nodes_type_place(entry->value, entry->place),
                                    .file = read.type,
                                    .with = read.with,
                                    .drive = read.role == DEVICE_DRIVE};
    well = nodes_type(draft, &said, &device.type) && well;
    device.speed = read.speed;
    device.role = (uint8_t)read.role;
    nodes_add(draft, &array, device, read.forward);
    struct override *override;
    for (uint32_t next = 0; (override = override_next(draft, &array, &next));)
        well = nodes_override(draft, entry, &read, &array, override) && well;
    return well;
}

/* A failed switch keeps its node and loses its links. */
static void nodes_fail(struct draft *draft, const struct pattern *pattern, const struct array *array)
{
    struct index_list nodes = {0};
    pattern_elements(pattern, array, &nodes);
    for (uint32_t i = 0; i < nodes.count; i++)
        VECTOR_PUSH(&draft->all->failed, nodes.at[i]);
    VECTOR_FREE(&nodes);
}

static bool nodes_override_switch(struct draft *draft, const struct array *array, struct override *override)
{
    const struct reference *reference = &override->pattern.reference;
    struct nodes_entry over = {0};
    override->applied = true;
    if (!fields_read(draft->input, override->changes, reference->place,
                     draft_what(draft, "the override of", reference->text), nodes_switch_fields + 1,
                     nodes_switch_field_count - 1, override->scope, &over))
        return false;
    if (over.failed)
        nodes_fail(draft, &override->pattern, array);
    return true;
}

static bool nodes_read_switch(struct draft *draft, const struct entry *entry)
{
    struct platform *platform = draft->platform;
    struct nodes_entry read = {0};
    struct array array;
    uint32_t indices[ARRAY_RANK];
    char text[ARRAY_TEXT];
    if (!draft_name(draft, entry, "switch"))
        return false;
    if (entry->value->kind != VALUE_NULL &&
        !fields_read(draft->input, entry->value, entry->place,
                     draft_what(draft, "the switch entry", entry->key), nodes_switch_fields,
                     nodes_switch_field_count, &draft->scope, &read))
        return false;
    if (!nodes_declare(draft, entry, read.count, &array))
        return false;
    for (uint32_t e = 0; e < array.count; e++) {
        array_indices(&array, e, indices);
        uint32_t node =
            graph_add_switch(platform, names_add(platform->names, array_text(&array, indices, "", text)));
        if (read.failed)
            VECTOR_PUSH(&draft->all->failed, node);
        platform->nodes.at[node].reduces = read.reduces;
        platform->nodes.at[node].fetched = read.fetched;
    }
    struct override *override;
    bool well = true;
    for (uint32_t next = 0; (override = override_next(draft, &array, &next));)
        well = nodes_override_switch(draft, &array, override) && well;
    return well;
}

static bool nodes_read(struct draft *draft, const struct value *section, const char *what,
                       bool (*read)(struct draft *draft, const struct entry *entry))
{
    bool well = true;
    if (!section || section->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(draft->input, section, section->place, what))
        return false;
    for (uint32_t i = 0; i < section->count; i++)
        well = read(draft, &section->entries[i]) && well;
    return well;
}

bool nodes_read_devices(struct draft *draft, const struct value *section)
{
    return nodes_read(draft, section, "devices", nodes_read_device);
}

bool nodes_read_switches(struct draft *draft, const struct value *section)
{
    return nodes_read(draft, section, "switches", nodes_read_switch);
}
