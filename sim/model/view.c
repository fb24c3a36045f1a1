/* Views: the same numbers under other names or in another order; and what joins or picks along a dimension.
 */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

/* A view of input 0 with the iteration dimensions of its first `count` tensor dimensions, which pass through.
 */
static struct layer_op *view_operator(struct builder *builder, const struct tensor *x, uint32_t count)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    struct operand *output = builder_output(builder, op);
    for (uint32_t i = 0; i < count; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x->dims[i].size, x->dims[i].label);
        builder_extend(builder, op, output, x->dims[i].label, input->dims[i].dim);
    }
    return op;
}

/* Flatten keeps its dimensions: the fc that follows contracts c, y and x all the same, and a split of any of
 * them stays visible. */
static bool view_flatten_build(struct builder *builder, const void *keys)
{
    (void)keys;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    view_operator(builder, &x, x.rank);
    return true;
}

const struct layer_kind view_flatten_layer = {.name = "flatten",
                                              .about =
                                                  "marks where a map becomes a vector; keeps its dimensions",
                                              .build = view_flatten_build};

/* [b, c, y, x] as a sequence of y·x positions with h = c features: s = (y, x). */
static bool view_sequence_build(struct builder *builder, const void *keys)
{
    (void)keys;
    if (!builder_want_inputs(builder, 1, 1) || !builder_want_dims(builder, 0, "b c y x"))
        return false;
    struct tensor x = builder_input(builder, 0);
    struct layer_op *op = view_operator(builder, &x, 1);
    struct operand *input = &op->operands[0];
    int8_t y = builder_dim(builder, op, x.dims[2].size, x.dims[2].label, builder_name(builder, "s"), 0);
    int8_t column = builder_dim(builder, op, x.dims[3].size, x.dims[3].label, 0, 0);
    int8_t h = builder_dim_labelled(builder, op, x.dims[1].size, builder_name(builder, "h"));
    op->dims[column].opaque = true; /* a range of columns is no range of s */
    input->dims[1].dim = h;
    input->dims[2].dim = y;
    input->dims[3].dim = column;
    builder_extend_merged(builder, op, &op->output, builder_name(builder, "s"), y, column);
    builder_extend(builder, op, &op->output, builder_name(builder, "h"), h);
    return true;
}

const struct layer_kind view_sequence_layer = {
    .name = "sequence", .about = "a map as a sequence: s = y·x, h = c", .build = view_sequence_build};

/* The first position of a sequence: an iteration dimension of size 1 over s. */
static bool view_select_build(struct builder *builder, const void *keys)
{
    (void)keys;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    int s = builder_find(builder, &x, "s");
    if (s < 0)
        return builder_error(builder, "selects a position of a sequence s, but its input has only %s",
                             builder_describe(builder, &x));
    struct layer_op *op = view_operator(builder, &x, 0);
    for (uint32_t i = 0; i < x.rank; i++) {
        bool selected = i == (uint32_t)s;
        int8_t dim = builder_dim_labelled(builder, op, selected ? 1 : x.dims[i].size, x.dims[i].label);
        op->operands[0].dims[i].dim = dim;
        op->dims[dim].opaque = selected;
        if (!selected)
            builder_extend(builder, op, &op->output, x.dims[i].label, dim);
    }
    return true;
}

const struct layer_kind view_select_layer = {
    .name = "select", .about = "the first position of a sequence", .build = view_select_build};

struct view_concat_keys {
    const char *dim;
};

/* Whether a further input has the shape of the first but for the joined dimension. */
static bool view_joins(struct builder *builder, const struct tensor *first, const struct tensor *other,
                       uint32_t along)
{
    bool joins = first->rank == other->rank;
    for (uint32_t i = 0; joins && i < first->rank; i++)
        joins = first->dims[i].label == other->dims[i].label &&
                (i == along || first->dims[i].size == other->dims[i].size);
    return joins ||
           builder_error(builder,
                         "joins inputs that differ in one dimension only, but '%s' is %s and '%s' is %s",
                         names_text(builder->model->names, first->name), builder_describe(builder, first),
                         names_text(builder->model->names, other->name), builder_describe(builder, other));
}

static bool view_concat_build(struct builder *builder, const void *values)
{
    const struct view_concat_keys *keys = values;
    if (!builder_want_inputs(builder, 1, OPERATOR_OPERANDS))
        return false;
    struct tensor first = builder_input(builder, 0);
    const char *label = keys->dim ? keys->dim : builder_find(builder, &first, "c") >= 0 ? "c" : "h";
    int along = builder_find(builder, &first, label);
    if (along < 0)
        return builder_error(builder, "joins along '%s', but its input has only %s", label,
                             builder_describe(builder, &first));
    uint64_t offsets[OPERATOR_OPERANDS], total = 0;
    for (uint32_t k = 0; k < builder->input_count; k++) {
        struct tensor other = builder_input(builder, k);
        if (!view_joins(builder, &first, &other, (uint32_t)along))
            return false;
        offsets[k] = total;
        total += other.dims[along].size;
    }
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    struct operand *output = builder_output(builder, op);
    op->additive = true;
    for (uint32_t i = 0; i < first.rank; i++) {
        uint64_t size = i == (uint32_t)along ? total : first.dims[i].size;
        builder_extend(builder, op, output, first.dims[i].label,
                       builder_dim_labelled(builder, op, size, first.dims[i].label));
    }
    for (uint32_t k = 0; k < builder->input_count; k++) {
        struct operand *operand = builder_operand(builder, op, builder->inputs[k]);
        for (uint32_t i = 0; i < first.rank; i++)
            operand->dims[i].dim = (int8_t)i;
        operand->dims[along].offset = offsets[k];
    }
    return true;
}

static const struct field view_concat_fields[] = {
    {"dim", FIELD_TEXT, offsetof(struct view_concat_keys, dim),
     .about = "label to join along; default c, else h"},
};

const struct layer_kind view_concat_layer = {
    .name = "concat",
    .about = "its inputs side by side along one dimension",
    .fields = view_concat_fields,
    .field_count = FIELDS_COUNT(view_concat_fields),
    .build = view_concat_build,
    .keys_size = sizeof(struct view_concat_keys),
};

struct view_prepend_keys {
    int64_t count;
};

static bool view_prepend_build(struct builder *builder, const void *values)
{
    const struct view_prepend_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1) || !builder_want_dims(builder, 0, "b s h"))
        return false;
    struct tensor x = builder_input(builder, 0);
    uint64_t count = (uint64_t)keys->count;
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    struct operand *tokens = builder_parameter(builder, op, "tokens"), *output = builder_output(builder, op);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t size = x.dims[i].size + (i == 1 ? count : 0);
        input->dims[i].dim = builder_dim_labelled(builder, op, size, x.dims[i].label);
        builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
    }
    input->dims[1].offset = count;
    builder_extend_whole(builder, tokens, x.dims[1].label, count);
    tokens->dims[0].dim = input->dims[1].dim;
    builder_extend(builder, op, tokens, x.dims[2].label, input->dims[2].dim);
    return true;
}

static const struct field view_prepend_fields[] = {
    {"count", FIELD_INTEGER, offsetof(struct view_prepend_keys, count), .low = 1, .high = 1e9,
     .about = "learned positions in front; default 1 (a class token)"},
};
static const struct view_prepend_keys view_prepend_defaults = {.count = 1};

const struct layer_kind view_prepend_layer = {
    .name = "prepend",
    .about = "learned positions in front of a sequence",
    .fields = view_prepend_fields,
    .field_count = FIELDS_COUNT(view_prepend_fields),
    .build = view_prepend_build,
    .keys_size = sizeof(struct view_prepend_keys),
    .defaults = &view_prepend_defaults,
};
