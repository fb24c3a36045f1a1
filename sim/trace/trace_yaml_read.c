#include "trace/trace_yaml.h"

#include "input/fields.h"
#include "platform/array.h"
#include "program/program.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* A node as it stands. Numbers that were not given are NAN or -1. */
struct yaml_node {
    const char *names[TRACE_YAML_WORDS], *group, *stream, *label;
    double takes, recorded, starts, flops, memory, bytes, model_flops, allocates, frees;
    int64_t id, from, to, tag, micro_batch, step;
    int pass;
    bool rendezvous;
    const struct value *after, *order, *shares, *without;
};

/* A rank as it stands. */
struct yaml_rank {
    const struct value *of, *device, *nodes;
};

enum { YAML_RANK_MOST = 16777215, YAML_STEP_MOST = 100000, YAML_OWN = 24 };

#define AT(member) offsetof(struct yaml_node, member)
#define SIZE(name, member, text)                                                                             \
    {                                                                                                        \
        .key = (name), .kind = FIELD_QUANTITY, .offset = AT(member), .unit = UNIT_BYTES, .low = 0,           \
        .high = 1e30, .about = (text)                                                                        \
    }
#define TIME(name, member, text)                                                                             \
    {                                                                                                        \
        .key = (name), .kind = FIELD_QUANTITY, .offset = AT(member), .unit = UNIT_SECONDS, .low = 0,         \
        .high = 1e9, .about = (text)                                                                         \
    }
#define WHOLE(name, member, most, text)                                                                      \
    {                                                                                                        \
        .key = (name), .kind = FIELD_INTEGER, .offset = AT(member), .low = 0, .high = (most),                \
        .about = (text)                                                                                      \
    }
#define NUMBER(name, member, text)                                                                           \
    {                                                                                                        \
        .key = (name), .kind = FIELD_NUMBER, .offset = AT(member), .low = 0, .high = 1e30, .about = (text)   \
    }
static const struct field yaml_own_fields[YAML_OWN] = {
    WHOLE("id", id, 9e15, "its number in `after`; by default its place in the list, from 0"),
    {.key = "after", .kind = FIELD_VALUE, .offset = AT(after), .about = "numbers of nodes that it waits for"},
    {.key = "order",
     .kind = FIELD_VALUE,
     .offset = AT(order),
     .about = "the same, control dependencies of Chakra"},
    TIME("takes", takes, "how long it takes"),
    TIME("recorded", recorded, "the same where only `compute: recorded` is to use it"),
    TIME("starts", starts, "when it started; decides the order in which streams take what is ready"),
    NUMBER("flops", flops, "operations"),
    SIZE("memory", memory, "bytes moved to and from memory"),
    SIZE("bytes", bytes, "of a message; of a collective what one rank brings"),
    {.key = "group", .kind = FIELD_TEXT, .offset = AT(group), .about = "process group; all ranks by default"},
    WHOLE("to", to, YAML_RANK_MOST, "rank that is sent to"),
    WHOLE("from", from, YAML_RANK_MOST, "rank that is received from"),
    {.key = "tag",
     .kind = FIELD_INTEGER,
     .offset = AT(tag),
     .about = "a send meets the receive of the same tag"},
    {.key = "stream",
     .kind = FIELD_TEXT,
     .offset = AT(stream),
     .about = "in-order queue in which it is done"},
    {.key = "label", .kind = FIELD_TEXT, .offset = AT(label), .about = "what reports call its group"},
    NUMBER("model-flops", model_flops, "of the operations those that count for the model"),
    SIZE("allocates", allocates, "memory taken when it starts"),
    SIZE("frees", frees, "memory given back when it ends"),
    {.key = "pass",
     .kind = FIELD_CHOICE,
     .offset = AT(pass),
     .choices = program_pass_names,
     .about = "of a layer"},
    WHOLE("micro-batch", micro_batch, INT32_MAX, "its number"),
    WHOLE("step", step, YAML_STEP_MOST, "its number"),
    {.key = "rendezvous",
     .kind = FIELD_FLAG,
     .offset = AT(rendezvous),
     .about = "the message waits for its receiver"},
    {.key = "shares", .kind = FIELD_VALUE, .offset = AT(shares), .about = "of a collective in unequal parts"},
    {.key = "without",
     .kind = FIELD_VALUE,
     .offset = AT(without),
     .about = "dimensions of the devices, the innermost 0, that take no part in a collective of all ranks"},
};
#undef AT

static const struct field yaml_rank_fields[] = {
    {.key = "of",
     .kind = FIELD_VALUE,
     .offset = offsetof(struct yaml_rank, of),
     .required = true,
     .about = "a rank, or a list of those that do the same"},
    {.key = "device",
     .kind = FIELD_VALUE,
     .offset = offsetof(struct yaml_rank, device),
     .about =
         "of the topology, or a list of one for each rank of `of`; by default that of the rank's number"},
    {.key = "nodes",
     .kind = FIELD_VALUE,
     .offset = offsetof(struct yaml_rank, nodes),
     .required = true,
     .about = "what it does"},
};

/* The words and the other keys, in one table. */
static const struct field *yaml_fields(struct field *room)
{
    for (uint32_t i = 0; i < TRACE_YAML_WORDS; i++)
        room[i] = (struct field){.key = trace_yaml_words[i].word,
                                 .kind = FIELD_TEXT,
                                 .offset = offsetof(struct yaml_node, names) + i * sizeof(const char *),
                                 .about = trace_yaml_words[i].about};
    memcpy(room + TRACE_YAML_WORDS, yaml_own_fields, sizeof yaml_own_fields);
    return room;
}

struct yaml_reader {
    struct input *input;
    struct trace *trace;
    struct trace_rank *rank;
    const struct field *fields;
};

static bool yaml_waits(struct yaml_reader *reader, const struct value *list, struct trace_node *node,
                       uint32_t *count)
{
    static const struct field field = {
        .key = "number of a node", .kind = FIELD_INTEGER, .low = 0, .high = 9e15};
    bool good = !list || fields_want_list(reader->input, list, list->place, "numbers of nodes");
    for (uint32_t i = 0; good && list && i < list->count; i++) {
        int64_t id = 0;
        good = fields_read_one(reader->input, list->entries[i].value, &field, NULL, &id);
        VECTOR_PUSH(&reader->rank->ids, (uint64_t)id);
        node->dependency_count++;
        ++*count;
    }
    return good;
}

static bool yaml_shares(struct yaml_reader *reader, const struct value *list, struct trace_node *node)
{
    static const struct field field = {.key = "share", .kind = FIELD_NUMBER, .low = 0, .high = 1};
    bool good = !list || fields_want_list(reader->input, list, list->place, "shares");
    node->first_share = reader->rank->shares.count;
    for (uint32_t i = 0; good && list && i < list->count; i++) {
        double share = 0;
        good = fields_read_one(reader->input, list->entries[i].value, &field, NULL, &share);
        VECTOR_PUSH(&reader->rank->shares, share);
        node->share_count++;
    }
    return good;
}

static bool yaml_without(struct yaml_reader *reader, const struct value *list, struct trace_node *node)
{
    static const struct field field = {
        .key = "dimension", .kind = FIELD_INTEGER, .low = 0, .high = ARRAY_RANK - 1};
    bool good = !list || fields_want_list(reader->input, list, list->place, "dimensions");
    for (uint32_t i = 0; good && list && i < list->count; i++) {
        int64_t dimension = 0;
        good = fields_read_one(reader->input, list->entries[i].value, &field, NULL, &dimension);
        node->without |= UINT32_C(1) << dimension;
    }
    return good;
}

/* What the node does: exactly one word says it. NULL after reporting. */
static const struct trace_yaml_word *yaml_word(struct yaml_reader *reader, const struct value *value,
                                               const struct yaml_node *given)
{
    const struct trace_yaml_word *word = NULL;
    for (uint32_t i = 0; i < TRACE_YAML_WORDS; i++) {
        if (!given->names[i])
            continue;
        if (word) {
            report_error(&reader->input->report, value->place,
                         "a node does one thing; this one has '%s' and '%s'", word->word,
                         trace_yaml_words[i].word);
            return NULL;
        }
        word = &trace_yaml_words[i];
    }
    if (!word)
        report_error(
            &reader->input->report, value->place,
            "expected what the node does, such as `compute: NAME`, `send: NAME` or `all-reduce: NAME`");
    return word;
}

static uint32_t yaml_name(struct yaml_reader *reader, const char *text)
{
    return text ? names_add(reader->trace->names, text) : 0;
}

static bool yaml_node(struct yaml_reader *reader, const struct value *value, uint32_t index)
{
    struct yaml_node given = {.takes = NAN,
                              .recorded = NAN,
                              .bytes = NAN,
                              .model_flops = NAN,
                              .id = index,
                              .from = -1,
                              .to = -1,
                              .pass = -1};
    if (!fields_want_map(reader->input, value, value->place, "a node") ||
        !fields_read(reader->input, value, value->place, "node", reader->fields, TRACE_YAML_WORDS + YAML_OWN,
                     NULL, &given))
        return false;
    const struct trace_yaml_word *word = yaml_word(reader, value, &given);
    if (!word)
        return false;
    struct trace_node node = {.id = (uint64_t)given.id,
                              .name = yaml_name(reader, given.names[word - trace_yaml_words]),
                              .type = word->type,
                              .start = given.starts,
                              .duration = !isnan(given.takes)      ? given.takes
                                          : !isnan(given.recorded) ? given.recorded
                                                                   : 0,
                              .seconds = given.takes,
                              .flops = given.flops,
                              .bytes = given.memory,
                              .size = given.bytes,
                              .kind = word->kind,
                              .source = given.from,
                              .target = given.to,
                              .tag = given.tag,
                              .pg = yaml_name(reader, given.group),
                              .host = word->host,
                              .fixed = word->fixed,
                              .first_dependency = reader->rank->ids.count,
                              .stream = yaml_name(reader, given.stream),
                              .label = yaml_name(reader, given.label),
                              .model_flops = given.model_flops,
                              .allocates = given.allocates,
                              .frees = given.frees,
                              .pass = given.pass,
                              .micro_batch = given.micro_batch,
                              .step = given.step,
                              .rendezvous = given.rendezvous};
    uint32_t data = 0;
    bool good = yaml_waits(reader, given.after, &node, &data) &&
                yaml_waits(reader, given.order, &node, &node.control_count) &&
                yaml_shares(reader, given.shares, &node) && yaml_without(reader, given.without, &node);
    VECTOR_PUSH(&reader->rank->nodes, node);
    return good;
}

/* Another rank that does what the last one read does. */
static void yaml_again(struct trace *trace, uint32_t number, uint32_t device)
{
    const struct trace_rank *from = &trace->ranks.at[trace->ranks.count - 1];
    struct trace_rank to = {.rank = number, .path = from->path, .device = device};
    for (uint32_t i = 0; i < from->nodes.count; i++)
        VECTOR_PUSH(&to.nodes, from->nodes.at[i]);
    for (uint32_t i = 0; i < from->ids.count; i++)
        VECTOR_PUSH(&to.ids, from->ids.at[i]);
    for (uint32_t i = 0; i < from->shares.count; i++)
        VECTOR_PUSH(&to.shares, from->shares.at[i]);
    VECTOR_PUSH(&trace->ranks, to);
}

/* The ranks under `of`: one, or a list. */
static bool yaml_numbers(struct input *input, const struct value *of, struct index_list *numbers)
{
    static const struct field field = {.key = "of", .kind = FIELD_INTEGER, .low = 0, .high = YAML_RANK_MOST};
    bool many = of->kind == VALUE_LIST, good = true;
    for (uint32_t i = 0; good && i < (many ? of->count : 1); i++) {
        int64_t rank = 0;
        good = fields_read_one(input, many ? of->entries[i].value : of, &field, NULL, &rank);
        VECTOR_PUSH(numbers, (uint32_t)rank);
    }
    return good && (numbers->count > 0 ||
                    report_error(&input->report, of->place, "expected at least one rank in 'of'"));
}

/* The devices of so many ranks: one name for all of them, or a list of one for each. */
static bool yaml_devices(struct input *input, struct trace *trace, const struct value *value, uint32_t count,
                         struct index_list *devices)
{
    static const struct field field = {.key = "device", .kind = FIELD_TEXT};
    bool many = value && value->kind == VALUE_LIST, good = true;
    if (many && value->count != count)
        return report_error(&input->report, value->place, "expected %u devices, one for each rank; got %u",
                            count, value->count);
    for (uint32_t i = 0; good && i < count; i++) {
        const char *name = NULL;
        good = !value || fields_read_one(input, many ? value->entries[i].value : value, &field, NULL, &name);
        VECTOR_PUSH(devices, good && name ? names_add(trace->names, name) : 0);
    }
    return good;
}

static bool yaml_rank(struct input *input, const struct value *value, const struct field *fields,
                      struct trace *trace)
{
    struct yaml_rank given = {0};
    struct index_list numbers = {0}, devices = {0};
    bool good = fields_want_map(input, value, value->place, "what ranks do") &&
                fields_read(input, value, value->place, "ranks of a trace", yaml_rank_fields,
                            FIELDS_COUNT(yaml_rank_fields), NULL, &given) &&
                fields_want_list(input, given.nodes, given.nodes->place, "nodes") &&
                yaml_numbers(input, given.of, &numbers) &&
                yaml_devices(input, trace, given.device, numbers.count, &devices);
    const char *file = value->place.file ? value->place.file : "";
    struct trace_rank rank = {.path = arena_text(&trace->arena, file), .rank = good ? numbers.at[0] : 0};
    struct yaml_reader reader = {input, trace, &rank, fields};
    rank.device = good ? devices.at[0] : 0;
    for (uint32_t i = 0; good && i < given.nodes->count; i++)
        good = yaml_node(&reader, given.nodes->entries[i].value, i);
    VECTOR_PUSH(&trace->ranks, rank);
    for (uint32_t i = 1; good && i < numbers.count; i++)
        yaml_again(trace, numbers.at[i], devices.at[i]);
    VECTOR_FREE(&numbers);
    VECTOR_FREE(&devices);
    return good;
}

bool trace_yaml_read(struct input *input, const struct value *ranks, struct trace *trace)
{
    struct field room[TRACE_YAML_WORDS + YAML_OWN];
    const struct field *fields = yaml_fields(room);
    bool good = fields_want_list(input, ranks, ranks->place, "ranks of a trace");
    for (uint32_t i = 0; good && i < ranks->count; i++)
        good = yaml_rank(input, ranks->entries[i].value, fields, trace);
    if (good && !ranks->count)
        good = report_error(&input->report, ranks->place, "this trace has no ranks");
    return good;
}
