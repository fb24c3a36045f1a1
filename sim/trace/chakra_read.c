#include "trace/chakra.h"
#include "trace/wire.h"

#include "base/utf8.h"
#include "program/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The value of an attribute, whatever kind of number it was written as. */
struct chakra_value {
    enum { VALUE_NOTHING, VALUE_WHOLE, VALUE_REAL, VALUE_TEXT, VALUE_MANY } is;
    int64_t whole;
    double real;
    struct wire bytes; /* of a text; of a list */
    uint32_t field;
};

struct chakra_reader {
    struct input *input;
    struct trace *trace;
    struct trace_rank *rank;
    uint64_t record;           /* from 1 */
    VECTOR(uint64_t) controls; /* control dependencies of the node that is read */
};

static bool chakra_error(struct chakra_reader *reader, const struct trace_node *node, const char *what)
{
    struct place place = {reader->rank->path, 0, 0};
    if (node && node->name)
        return report_error(&reader->input->report, place, "%s: %s",
                            trace_node_text(reader->trace, reader->rank, node), what);
    return report_error(&reader->input->report, place, "rank %u, message %llu: %s", reader->rank->rank,
                        (unsigned long long)reader->record, what);
}

/* A text for people and databases: what is no character of UTF-8 becomes a question mark. */
static char *chakra_text(struct chakra_reader *reader, struct wire bytes)
{
    size_t length = (size_t)(bytes.end - bytes.at);
    char *text = arena_alloc(&reader->trace->arena, length + 1);
    if (length)
        memcpy(text, bytes.at, length);
    utf8_mend(text, length);
    return text;
}

static uint32_t chakra_name(struct chakra_reader *reader, struct wire bytes)
{
    return names_add(reader->trace->names, chakra_text(reader, bytes));
}

static double chakra_real(const struct wire_field *field)
{
    double number;
    if (field->type == WIRE_64) {
        memcpy(&number, &field->value, sizeof number);
        return number;
    }
    uint32_t bits = (uint32_t)field->value;
    float narrow;
    memcpy(&narrow, &bits, sizeof narrow);
    return (double)narrow;
}

/* A scalar by the field in which it stands: 3 double, 5 float, 7 int32, 9 int64, 11 uint32, 13 uint64, 15
 * sint32, 17 sint64, 19 fixed32, 21 fixed64, 23 sfixed32, 25 sfixed64, 27 bool, 29 string, 31 bytes; the even
 * numbers after them are lists. False: the encoding is not that of the field. */
static bool chakra_scalar(const struct wire_field *field, struct chakra_value *value)
{
    static const uint8_t types[] = {
        [3] = WIRE_64,      [5] = WIRE_32,      [7] = WIRE_VARINT,  [9] = WIRE_VARINT, [11] = WIRE_VARINT,
        [13] = WIRE_VARINT, [15] = WIRE_VARINT, [17] = WIRE_VARINT, [19] = WIRE_32,    [21] = WIRE_64,
        [23] = WIRE_32,     [25] = WIRE_64,     [27] = WIRE_VARINT, [29] = WIRE_BYTES, [31] = WIRE_BYTES};
    enum { SINT32 = 15, SINT64 = 17, SFIXED32 = 23 };
    uint32_t number = field->number;
    *value = (struct chakra_value){.field = number};
    if (number < CHAKRA_DOUBLE || number > 32)
        return true; /* no value */
    if (field->type != (number % 2 ? types[number] : WIRE_BYTES))
        return false;
    value->bytes = field->bytes;
    if (number % 2 == 0 || number >= CHAKRA_STRING) {
        value->is = number % 2 == 0 ? VALUE_MANY : VALUE_TEXT;
        return true;
    }
    if (number == CHAKRA_DOUBLE || number == 5) {
        value->real = chakra_real(field);
        value->is = VALUE_REAL;
        return true;
    }
    uint64_t bits = field->value;
    if (number == SINT32 || number == SINT64)
        bits = bits >> 1 ^ (bits & 1 ? UINT64_MAX : 0);
    else if (number == SFIXED32)
        bits = (uint64_t)(int64_t)(int32_t)(uint32_t)bits;
    value->is = VALUE_WHOLE;
    value->whole = bits > INT64_MAX ? -(int64_t)(~bits) - 1 : (int64_t)bits;
    value->real = number == CHAKRA_UINT64 || number == 21 ? (double)bits : (double)value->whole;
    return true;
}

/* Doubles of a list: packed or one by one. */
static bool chakra_shares(struct chakra_reader *reader, struct wire list, struct trace_node *node)
{
    struct wire_field field;
    node->first_share = reader->rank->shares.count;
    while (wire_next(&list, &field)) {
        if (field.number != 1)
            continue;
        struct wire packed = field.bytes;
        for (;;) {
            double number = chakra_real(&field);
            if (field.type == WIRE_BYTES) {
                uint64_t bits = 0;
                if (packed.end - packed.at < 8)
                    break;
                for (unsigned i = 0; i < 8; i++)
                    bits |= (uint64_t)*packed.at++ << (8 * i);
                memcpy(&number, &bits, sizeof number);
            }
            if (!(number >= 0 && number <= 1))
                return chakra_error(reader, node, "expected shares between 0 and 1 in 'partita_shares'");
            VECTOR_PUSH(&reader->rank->shares, number);
            if (field.type != WIRE_BYTES)
                break;
        }
    }
    node->share_count = reader->rank->shares.count - node->first_share;
    return !list.problem || chakra_error(reader, node, list.problem);
}

/* Which flags of a list are false, as bits; packed or one by one. */
static uint32_t chakra_false(struct wire list)
{
    struct wire_field field;
    uint32_t bits = 0, count = 0;
    while (wire_next(&list, &field)) {
        bool one = field.type == WIRE_VARINT;
        uint64_t flag = field.value;
        while (field.number == 1 && (one || wire_varint(&field.bytes, &flag))) {
            bits |= !flag && count < 32 ? UINT32_C(1) << count : 0;
            count++;
            if (one)
                break;
        }
    }
    return bits;
}

static bool chakra_set(struct chakra_reader *reader, struct trace_node *node,
                       const struct chakra_attribute *attribute, const struct chakra_value *value)
{
    char *at = (char *)node + attribute->offset;
    struct arena *arena = &reader->trace->arena;
    bool number = value->is == VALUE_WHOLE || value->is == VALUE_REAL;
    bool whole = value->is == VALUE_WHOLE ||
                 (value->is == VALUE_REAL && fabs(value->real) < 9e15 && value->real == floor(value->real));
    int64_t integer = value->is == VALUE_REAL && whole ? (int64_t)value->real : value->whole;
    switch (attribute->kind) {
    case CHAKRA_NUMBER:
        if (!number || !(value->real >= 0 && value->real <= 1e30))
            return chakra_error(reader, node,
                                arena_format(arena, "expected a number from 0 in '%s'", attribute->name));
        *(double *)(void *)at = value->real;
        return true;
    case CHAKRA_INTEGER:
        if (!whole || integer < attribute->low || integer > attribute->high)
            return chakra_error(reader, node,
                                arena_format(arena, "expected a whole number from %lld to %lld in '%s'",
                                             (long long)attribute->low, (long long)attribute->high,
                                             attribute->name));
        *(int64_t *)(void *)at = integer;
        return true;
    case CHAKRA_FLAG:
        if (!number)
            return chakra_error(reader, node,
                                arena_format(arena, "expected yes or no in '%s'", attribute->name));
        *(bool *)at = value->real != 0;
        return true;
    case CHAKRA_TEXT:
        if (value->is == VALUE_WHOLE)
            *(uint32_t *)(void *)at =
                names_add(reader->trace->names, arena_format(arena, "%lld", (long long)value->whole));
        else if (value->is == VALUE_TEXT)
            *(uint32_t *)(void *)at = chakra_name(reader, value->bytes);
        else
            return chakra_error(reader, node, arena_format(arena, "expected text in '%s'", attribute->name));
        return true;
    case CHAKRA_SHARES:
        return value->is != VALUE_MANY || chakra_shares(reader, value->bytes, node);
    case CHAKRA_FALSE:
        *(uint32_t *)(void *)at = value->is == VALUE_MANY ? chakra_false(value->bytes) : 0;
        return true;
    }
    return false;
}

/* The name and the value of an attribute; several values: the last counts. */
static bool chakra_attribute_read(struct chakra_reader *reader, const struct trace_node *node,
                                  struct wire message, const char **name, struct chakra_value *value)
{
    struct wire_field field;
    *name = "";
    *value = (struct chakra_value){0};
    while (wire_next(&message, &field)) {
        struct chakra_value read;
        if (field.number == CHAKRA_ATTRIBUTE_NAME && field.type == WIRE_BYTES)
            *name = chakra_text(reader, field.bytes);
        else if (!chakra_scalar(&field, &read))
            return chakra_error(reader, node,
                                arena_format(&reader->trace->arena,
                                             "the value of attribute '%.100s' is not encoded as its kind",
                                             *name));
        else if (read.is != VALUE_NOTHING)
            *value = read;
    }
    return !message.problem || chakra_error(reader, node, message.problem);
}

static bool chakra_attribute(struct chakra_reader *reader, struct trace_node *node, struct wire message)
{
    const char *name;
    struct chakra_value value;
    if (!chakra_attribute_read(reader, node, message, &name, &value))
        return false;
    for (uint32_t i = 0; i < chakra_attribute_count; i++)
        if (value.is != VALUE_NOTHING && strcmp(name, chakra_attributes[i].name) == 0)
            return chakra_set(reader, node, &chakra_attributes[i], &value);
    return true; /* others' attributes are theirs */
}

/* Dependencies, packed or one by one. */
static bool chakra_dependencies(struct chakra_reader *reader, const struct trace_node *node,
                                struct wire_field *field)
{
    bool control = field->number == CHAKRA_CONTROL_DEPENDENCIES, one = field->type == WIRE_VARINT;
    uint64_t id = field->value;
    if (!one && field->type != WIRE_BYTES)
        return chakra_error(reader, node, "dependencies are not encoded as numbers");
    while (one || wire_varint(&field->bytes, &id)) {
        if (control)
            VECTOR_PUSH(&reader->controls, id);
        else
            VECTOR_PUSH(&reader->rank->ids, id);
        if (one)
            break;
    }
    return !field->bytes.problem || chakra_error(reader, node, field->bytes.problem);
}

/* Control dependencies stand behind those of data. */
static void chakra_controls(struct chakra_reader *reader, struct trace_node *node)
{
    for (uint32_t i = 0; i < reader->controls.count; i++)
        VECTOR_PUSH(&reader->rank->ids, reader->controls.at[i]);
    node->control_count = reader->controls.count;
    node->dependency_count = reader->rank->ids.count - node->first_dependency;
    reader->controls.count = 0;
}

static bool chakra_group_member(struct chakra_reader *reader, const struct trace_node *node,
                                const struct value *item, struct trace_group *group)
{
    char *end = NULL;
    unsigned long member = item->kind == VALUE_SCALAR ? strtoul(item->text, &end, 10) : 0;
    if (!end || end == item->text || *end || member > 16777215)
        return chakra_error(reader, node, "a process group has a rank that is no number");
    VECTOR_PUSH(&group->members, (uint32_t)member);
    return true;
}

/* One process group of PyTorch: {"pg_name": "1", "ranks": [0, 1], …}; no ranks: all of them, which is what
 * the one called 0 is anyway. */
static bool chakra_group(struct chakra_reader *reader, const struct trace_node *node,
                         const struct value *item)
{
    const struct value *name = value_get(item, "pg_name"), *ranks = value_get(item, "ranks");
    if (!name || name->kind != VALUE_SCALAR || !ranks || ranks->kind != VALUE_LIST ||
        (!ranks->count && strcmp(name->text, "0") == 0))
        return true;
    uint32_t interned = names_add(reader->trace->names, name->text);
    if (trace_group_find(reader->trace, interned))
        return true; /* every rank says the same */
    struct trace_group group = {.name = interned, .path = reader->rank->path};
    bool good = true;
    for (uint32_t i = 0; i < ranks->count && good; i++)
        good = chakra_group_member(reader, node, ranks->entries[i].value, &group);
    if (good)
        VECTOR_PUSH(&reader->trace->groups, group);
    else
        VECTOR_FREE(&group.members);
    return good;
}

/* A text that is a list, or a list that holds such a text. */
static const struct value *chakra_list(struct input *scratch, const char *text)
{
    const char *map = arena_format(&scratch->arena, "{\"list\": %s}", text);
    const struct value *root = document_parse(scratch, "metadata", map, strlen(map), false);
    const struct value *list = value_get(root, "list");
    if (list && list->kind == VALUE_LIST && list->count && list->entries[0].value->kind == VALUE_SCALAR)
        return chakra_list(scratch, list->entries[0].value->text);
    return list && list->kind == VALUE_LIST ? list : NULL;
}

/* The process groups that a metadata node lists in its inputs. */
static bool chakra_groups(struct chakra_reader *reader, const struct trace_node *node, const char *text)
{
    struct input scratch;
    bool good = true;
    if (!strstr(text, "pg_name"))
        return true;
    input_init(&scratch, NULL);
    const struct value *list = chakra_list(&scratch, text);
    for (uint32_t i = 0; list && i < list->count && good; i++)
        good = chakra_group(reader, node, list->entries[i].value);
    if (!list)
        good = chakra_error(reader, node, "its list of process groups cannot be read");
    input_fini(&scratch);
    return good;
}

static const char *chakra_inputs(struct chakra_reader *reader, struct wire message)
{
    struct wire_field field;
    while (wire_next(&message, &field))
        if (field.number == CHAKRA_VALUES && field.type == WIRE_BYTES)
            return chakra_text(reader, field.bytes);
    return NULL;
}

static bool chakra_field(struct chakra_reader *reader, struct trace_node *node, struct wire_field *field,
                         const char **inputs)
{
    bool wanted = field->number == CHAKRA_NAME || field->number >= CHAKRA_INPUTS;
    bool either = field->number == CHAKRA_CONTROL_DEPENDENCIES || field->number == CHAKRA_DATA_DEPENDENCIES;
    if (field->number > CHAKRA_ATTRIBUTE)
        return true;
    if (!either && (field->type == WIRE_BYTES) != wanted)
        return chakra_error(reader, node, "a field of the node is not encoded as its kind");
    switch (field->number) {
    case CHAKRA_ID:
        node->id = field->value;
        return true;
    case CHAKRA_NAME:
        node->name = chakra_name(reader, field->bytes);
        return true;
    case CHAKRA_TYPE:
        node->type = (enum trace_type)(field->value < TRACE_TYPE_COUNT ? field->value : TRACE_TYPE_COUNT);
        return true;
    case CHAKRA_CONTROL_DEPENDENCIES:
    case CHAKRA_DATA_DEPENDENCIES:
        return chakra_dependencies(reader, node, field);
    case CHAKRA_START:
        node->start = (double)field->value * 1e-6;
        return true;
    case CHAKRA_DURATION:
        node->duration = (double)field->value * 1e-6;
        return true;
    case CHAKRA_INPUTS:
        *inputs = chakra_inputs(reader, field->bytes);
        return true;
    case CHAKRA_ATTRIBUTE:
        return chakra_attribute(reader, node, field->bytes);
    default:
        return true;
    }
}

static bool chakra_node(struct chakra_reader *reader, struct wire message)
{
    struct trace_node node = {.seconds = NAN,
                              .size = NAN,
                              .model_flops = NAN,
                              .kind = -1,
                              .source = -1,
                              .target = -1,
                              .pass = -1,
                              .first_dependency = reader->rank->ids.count};
    struct wire_field field;
    const char *inputs = NULL;
    bool good = true;
    while (good && wire_next(&message, &field))
        good = chakra_field(reader, &node, &field, &inputs);
    if (good && message.problem)
        good = chakra_error(reader, &node, message.problem);
    chakra_controls(reader, &node);
    if (good && node.type == TRACE_TYPE_COUNT)
        good = chakra_error(reader, &node, "its type is none that Chakra has");
    if (good && node.type == TRACE_COLLECTIVE && (node.kind < 0 || node.kind >= TRACE_COLLECTIVES))
        good = chakra_error(reader, &node,
                            arena_format(&reader->trace->arena,
                                         "expected 'comm_type' from 0 to %d, the collectives of Chakra",
                                         TRACE_COLLECTIVES - 1));
    if (good && node.type == TRACE_METADATA && inputs)
        good = chakra_groups(reader, &node, inputs);
    if (good)
        VECTOR_PUSH(&reader->rank->nodes, node);
    return good;
}

/* Only what Partita wrote itself is used: the device of the rank. */
static bool chakra_metadata(struct chakra_reader *reader, struct wire message)
{
    struct wire_field field;
    while (wire_next(&message, &field)) {
        const char *name;
        struct chakra_value value;
        if (field.number != CHAKRA_METADATA_ATTRIBUTE || field.type != WIRE_BYTES)
            continue;
        if (!chakra_attribute_read(reader, NULL, field.bytes, &name, &value))
            return false;
        if (strcmp(name, "partita_device") == 0 && value.is == VALUE_TEXT)
            reader->rank->device = chakra_name(reader, value.bytes);
    }
    return !message.problem || chakra_error(reader, NULL, message.problem);
}

bool chakra_read(struct input *input, struct trace *trace, struct trace_rank *rank, const void *bytes,
                 size_t length)
{
    struct chakra_reader reader = {input, trace, rank, 0, {0}};
    struct wire file = wire_over(bytes, length), message;
    bool good = true;
    while (good && wire_block(&file, &message))
        good = reader.record++ ? chakra_node(&reader, message) : chakra_metadata(&reader, message);
    reader.record++;
    VECTOR_FREE(&reader.controls);
    if (good && file.problem)
        good = chakra_error(&reader, NULL, file.problem);
    if (good && !rank->nodes.count)
        good = report_error(&input->report, (struct place){rank->path, 0, 0},
                            "rank %u has no nodes: expected a Chakra execution trace", rank->rank);
    return good;
}
