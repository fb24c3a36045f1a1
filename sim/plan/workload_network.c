#include "plan/workload_network.h"

#include "input/document.h"

#include <string.h>

const char *const workload_network_levels[] = {"ideal", "alpha-beta", "fluid", "packet", NULL};
static const char *const workload_network_collectives[] = {"fluid", "steps", NULL};

#define AT(member) offsetof(struct workload, member)
static const struct field workload_network_fields[] = {
    {.key = "collectives",
     .kind = FIELD_CHOICE,
     .offset = AT(collectives),
     .choices = workload_network_collectives,
     .about =
         "fluid: a collective is one activity on its links; steps: each transfer of its algorithm is a flow"},
    {.key = "algorithm",
     .kind = FIELD_VALUE,
     .offset = AT(algorithm),
     .about =
         "of all collectives (`partita list collectives`), or a map from kinds or group names to algorithms"},
    {.key = "chunk",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(chunk),
     .low = 1,
     .high = 1e15,
     .about =
         "collectives are cut into pieces of at most this size, which follow each other; whole by default"},
    {.key = "pieces",
     .kind = FIELD_NUMBER,
     .offset = AT(pieces),
     .low = 1,
     .high = 65536,
     .about = "collectives are cut into at least so many pieces, which follow each other; 1 by default"},
    {.key = "level",
     .kind = FIELD_CHOICE,
     .offset = AT(level),
     .choices = workload_network_levels,
     .about = "how closely messages are simulated; see `partita list levels`"},
    {.key = "mtu",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(mtu),
     .low = 1,
     .high = 1e9,
     .about = "packet level: bytes of payload in a packet; 4 KiB by default"},
    {.key = "header",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(header),
     .low = 0,
     .high = 1e9,
     .about = "packet level: bytes that each packet has besides; none by default"},
    {.key = "buffer",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(buffer),
     .low = 1,
     .high = 1e15,
     .about = "packet level: room of a link's queue, at least one packet; 256 KiB by default"},
    {.key = "packets",
     .kind = FIELD_INTEGER,
     .offset = AT(packets),
     .low = 1,
     .high = 1e15,
     .about = "packet level: how many packets to send over links one by one at most; 1e8 by default"},
    {.key = "changes",
     .kind = FIELD_VALUE,
     .offset = AT(changes),
     .about = "a list of {at, link, bandwidth}: capacities that change during the run"},
};
#undef AT

struct workload_network_carriers {
    struct workload_carrier *at;
    uint32_t count, room;
};

/* One algorithm: its name (a file of steps is looked for beside the workload). */
static bool workload_network_carrier(struct input *input, const struct value *value, const char *group,
                                     int kind, struct workload_network_carriers *out)
{
    static const struct field field = {.key = "algorithm", .kind = FIELD_TEXT};
    const char *text, *problem = NULL;
    if (!fields_read_one(input, value, &field, NULL, &text))
        return false;
    size_t length = strlen(text);
    if (length > 4 && strcmp(text + length - 4, ".csv") == 0)
        text = document_find(input, "workloads", text, value->place);
    const struct algorithm *algorithm = text ? collective_parse(text, &input->arena, &problem) : NULL;
    if (!algorithm)
        return text ? report_error(&input->report, value->place, "%s", problem) : false;
    if (kind < COLLECTIVE_KIND_COUNT && !(algorithm->kinds >> kind & 1))
        return report_error(&input->report, value->place, "'%s' cannot do %s", algorithm->name,
                            communication_names[kind]);
    VECTOR_PUSH(out, ((struct workload_carrier){group, kind, algorithm, value->place}));
    return true;
}

static int workload_network_kind(const char *name)
{
    int kind = 0;
    while (kind < COLLECTIVE_KIND_COUNT && strcmp(communication_names[kind], name) != 0)
        kind++;
    return kind;
}

/* `ring`, `{all-reduce: ring, tensor: bruck}`, or `{tensor: {all-reduce: ring}}`. */
static bool workload_network_carrier_map(struct input *input, const struct value *value, const char *group,
                                         struct workload_network_carriers *out)
{
    if (value->kind != VALUE_MAP)
        return workload_network_carrier(input, value, group, COLLECTIVE_KIND_COUNT, out);
    bool good = true;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct entry *entry = &value->entries[i];
        int kind = workload_network_kind(entry->key);
        if (kind < COLLECTIVE_KIND_COUNT)
            good = workload_network_carrier(input, entry->value, group, kind, out) && good;
        else if (group)
            good = fields_no_such(input, entry->place, "kind of collective", entry->key, communication_names,
                                  COLLECTIVE_KIND_COUNT);
        else
            good = workload_network_carrier_map(input, entry->value, entry->key, out) && good;
    }
    return good;
}

/* The most specific first: group and kind, group, kind, all. */
static bool workload_network_read_carriers(struct input *input, struct workload *workload)
{
    struct workload_network_carriers read = {0};
    bool good = workload_network_carrier_map(input, workload->algorithm, NULL, &read);
    struct workload_carrier *sorted = ARENA_ARRAY(&input->arena, struct workload_carrier, read.count + 1);
    for (uint32_t rank = 0; rank < 4; rank++)
        for (uint32_t i = 0; i < read.count; i++)
            if (rank == (read.at[i].group ? 0u : 2u) + (read.at[i].kind == COLLECTIVE_KIND_COUNT))
                sorted[workload->carrier_count++] = read.at[i];
    workload->carriers = sorted;
    VECTOR_FREE(&read);
    return good;
}

bool workload_network_read(struct input *input, struct workload *workload)
{
    const struct value *network = workload->network;
    if (!fields_want_map(input, network, network->place, "network") ||
        !fields_read(input, network, network->place, "network", workload_network_fields,
                     FIELDS_COUNT(workload_network_fields), NULL, workload))
        return false;
    return !workload->algorithm || workload_network_read_carriers(input, workload);
}
