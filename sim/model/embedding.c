/* Embeddings: rows of a table chosen by token identities, a one-hot product over v without FLOPs; and learned
 * positions, of which a sequence uses the first rows of its table. */
#include "model/builder.h"
#include "model/frame.h"

#include <stddef.h>
#include <string.h>

struct embedding_keys {
    int64_t vocabulary, positions, types;
    const struct value *out;
    const char *weight;
};

/* Adds tables of positions and of token types to a tensor [b, s, h]. A table of types is read wherever its
 * tokens point: its rows are not indexed. */
static bool embedding_add(struct builder *builder, uint32_t tensor, int64_t positions, int64_t types,
                          const char *name)
{
    struct tensor x = builder->model->tensors.at[tensor];
    int s = builder_find(builder, &x, "s");
    uint32_t last = x.rank - 1;
    if (s < 0 || (uint32_t)s == last)
        return builder_error(builder, "adds positions to a sequence s, but its input has only %s",
                             builder_describe(builder, &x));
    if (positions && (uint64_t)positions < x.dims[s].size)
        return builder_error(builder, "has %lld positions, but the sequence has %llu", (long long)positions,
                             (unsigned long long)x.dims[s].size);
    struct layer_op *op = builder_pointwise(builder, tensor, name, (positions > 0) + (types > 0));
    if (positions) {
        struct operand *table = builder_parameter(builder, op, "positions");
        builder_extend_whole(builder, table, x.dims[s].label, (uint64_t)positions);
        table->dims[0].dim = (int8_t)s; /* its first rows: the table may be longer than the sequence */
        builder_extend(builder, op, table, x.dims[last].label, (int8_t)last);
    }
    if (types) {
        struct operand *table = builder_parameter(builder, op, "types");
        builder_extend_whole(builder, table, builder_name(builder, "type"), (uint64_t)types);
        builder_extend(builder, op, table, x.dims[last].label, (int8_t)last);
    }
    return true;
}

/* Label and size of the rows: `out: 768` or `out: {h: 768}`. */
static bool embedding_row(struct builder *builder, const struct value *out, struct tensor_dim *row)
{
    bool map = out->kind == VALUE_MAP;
    int64_t size;
    if (map && out->count != 1)
        return builder_error(builder, "gives one dimension; `out` has %u", out->count);
    if (!builder_integer(builder, map ? out->entries[0].value : out, "out", 1, &size))
        return false;
    *row = (struct tensor_dim){.label = builder_label(builder, map ? out->entries[0].key : "h"),
                               .size = (uint64_t)size};
    return true;
}

static bool embedding_look_up(struct builder *builder, const struct embedding_keys *keys,
                              const struct tensor *tokens, const struct tensor_dim *row)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_LOOKUP, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    uint32_t v_name = builder_name(builder, "v");
    input->saved = true;
    for (uint32_t i = 0; i < tokens->rank; i++) {
        input->dims[i].dim = builder_dim(builder, op, tokens->dims[i].size, tokens->dims[i].label, 0, 0);
        builder_extend(builder, op, output, tokens->dims[i].label, input->dims[i].dim);
    }
    int8_t v = builder_dim(builder, op, (uint64_t)keys->vocabulary, v_name, builder_name(builder, "i"), 0);
    int8_t h = builder_dim(builder, op, row->size, row->label, builder_name(builder, "o"), 0);
    builder_extend(builder, op, output, row->label, h);
    if (keys->weight)
        return frame_tie(builder, op, keys->weight, 2);
    struct operand *table = builder_parameter(builder, op, "weight");
    builder_extend(builder, op, table, v_name, v);
    builder_extend(builder, op, table, row->label, h);
    return true;
}

static bool embedding_build(struct builder *builder, const void *values)
{
    const struct embedding_keys *keys = values;
    struct tensor_dim row = {0};
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor tokens = builder_input(builder, 0);
    if (!tokens.discrete)
        return builder_error(builder,
                             "needs an input of discrete tokens; '%s' is not declared `discrete: yes`",
                             names_text(builder->model->names, tokens.name));
    if (!embedding_row(builder, keys->out, &row))
        return false;
    if (!embedding_look_up(builder, keys, &tokens, &row))
        return false;
    if (builder->failed || (!keys->positions && !keys->types))
        return !builder->failed;
    return embedding_add(builder, builder_newest(builder), keys->positions, keys->types, "add");
}

static const struct field embedding_fields[] = {
    {"vocabulary", FIELD_INTEGER, offsetof(struct embedding_keys, vocabulary), .required = true, .low = 1,
     .high = 1e9, .about = "rows of the table"},
    {"out", FIELD_VALUE, offsetof(struct embedding_keys, out), .required = true,
     .about = "elements of a row: a number, or {h: 768}"},
    {"weight", FIELD_TEXT, offsetof(struct embedding_keys, weight),
     .about = "layer whose table is used instead of an own one"},
    {"positions", FIELD_INTEGER, offsetof(struct embedding_keys, positions), .low = 0, .high = 1e9,
     .about = "rows of a table of learned positions that is added; default none"},
    {"types", FIELD_INTEGER, offsetof(struct embedding_keys, types), .low = 0, .high = 1e9,
     .about = "rows of a table of token types that is added (BERT: 2); default none"},
};

const struct layer_kind embedding_layer = {
    .name = "embedding",
    .about = "table look-up of tokens, plus learned positions and token types",
    .fields = embedding_fields,
    .field_count = FIELDS_COUNT(embedding_fields),
    .build = embedding_build,
    .keys_size = sizeof(struct embedding_keys),
};

struct embedding_position_keys {
    int64_t count;
};

static bool embedding_position_build(struct builder *builder, const void *values)
{
    const struct embedding_position_keys *keys = values;
    return builder_want_inputs(builder, 1, 1) &&
           embedding_add(builder, builder->inputs[0], keys->count, 0, "");
}

static const struct field embedding_position_fields[] = {
    {"count", FIELD_INTEGER, offsetof(struct embedding_position_keys, count), .required = true, .low = 1,
     .high = 1e9, .about = "rows of the table: the longest sequence"},
};

const struct layer_kind embedding_position_layer = {
    .name = "position",
    .about = "adds learned positions to a sequence",
    .fields = embedding_position_fields,
    .field_count = FIELDS_COUNT(embedding_position_fields),
    .build = embedding_position_build,
    .keys_size = sizeof(struct embedding_position_keys),
};
