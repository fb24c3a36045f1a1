#include "platform/protocol_table.h"

#include <math.h>
#include <string.h>

#define PROTOCOL(member) offsetof(struct protocol, member)

const struct field protocol_table_fields[] = {
    {.key = "start",
     .kind = FIELD_QUANTITY,
     .offset = PROTOCOL(start),
     .unit = UNIT_SECONDS,
     .low = 0,
     .high = 3600,
     .about = "time that a collective or a message costs once; default 0"},
    {.key = "overhead",
     .kind = FIELD_QUANTITY,
     .offset = PROTOCOL(overhead),
     .unit = UNIT_SECONDS,
     .low = 0,
     .high = 3600,
     .about = "time that each message costs besides the wire, instead of the link's overhead; default 0"},
    {.key = "efficiency",
     .kind = FIELD_NUMBER,
     .offset = PROTOCOL(efficiency),
     .low = 0.001,
     .high = 1,
     .about = "bytes of payload per byte on the wire; default 1"},
    {.key = "limit",
     .kind = FIELD_QUANTITY,
     .offset = PROTOCOL(limit),
     .unit = UNIT_BYTES_PER_SECOND,
     .low = 1,
     .high = 1e18,
     .about = "the most that senders manage, each direction; default: what the wire carries"},
    {.key = "in-switch",
     .kind = FIELD_FLAG,
     .offset = PROTOCOL(in_switch),
     .about = "whether it is that of switches that reduce; default no"},
};
const size_t protocol_table_field_count = FIELDS_COUNT(protocol_table_fields);

static void protocol_table_name(struct platform *platform, uint32_t name)
{
    for (uint32_t i = 0; i < platform->protocol_names.count; i++)
        if (platform->protocol_names.at[i] == name)
            return;
    VECTOR_PUSH(&platform->protocol_names, name);
}

static bool protocol_table_make(struct draft *draft, const struct value *value)
{
    struct input *input = draft->input;
    struct platform *platform = draft->platform;
    bool well = true;
    if (value->kind == VALUE_SCALAR && strcmp(value->text, "none") == 0)
        return true;
    if (value->kind == VALUE_SCALAR)
        return report_error(&input->report, value->place,
                            "expected a map of protocols by name, or none; got '%s'", value->text);
    if (!fields_want_map(input, value, value->place, "the protocols"))
        return false;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct entry *entry = &value->entries[i];
        struct protocol protocol = {.efficiency = 1, .limit = INFINITY};
        well = fields_read(input, entry->value, entry->place, draft_what(draft, "the protocol", entry->key),
                           protocol_table_fields, protocol_table_field_count, &draft->scope, &protocol) &&
               well;
        protocol.name = names_add(platform->names, entry->key);
        VECTOR_PUSH(&platform->protocols, protocol);
        if (!protocol.in_switch)
            protocol_table_name(platform, protocol.name);
    }
    return well;
}

bool protocol_table_read(struct draft *draft, const struct value *value, struct protocol_table *out)
{
    struct draft_all *all = draft->all;
    uint32_t i = 0;
    *out = (struct protocol_table){0};
    if (!value || value->kind == VALUE_NULL)
        return true;
    while (i < all->protocols.count && all->protocols.at[i].value != value)
        i++;
    if (i == all->protocols.count) {
        struct draft_protocols read = {.value = value, .first = draft->platform->protocols.count};
        read.well = protocol_table_make(draft, value);
        read.count = draft->platform->protocols.count - read.first;
        VECTOR_PUSH(&all->protocols, read);
    }
    *out = (struct protocol_table){all->protocols.at[i].first, all->protocols.at[i].count};
    return all->protocols.at[i].well;
}
