/* Point-wise layers: activations, sums, products, gates, dropout, scaling. They keep the shape of their input
 * and mix no two positions. */
#include "model/builder.h"

#include <stddef.h>

struct pointwise_act_keys {
    int function;
};

static bool pointwise_act_build(struct builder *builder, const void *values)
{
    const struct pointwise_act_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    const struct activation_cost *cost = &activation_costs[keys->function];
    struct layer_op *op = builder_pointwise(builder, builder->inputs[0], "", cost->flops);
    op->operands[0].saved = cost->input_saved;
    op->output_saved = cost->output_saved;
    op->linear = keys->function == ACTIVATION_IDENTITY;
    return true;
}

static const struct field pointwise_act_fields[] = {
    {"function", FIELD_CHOICE, offsetof(struct pointwise_act_keys, function), .required = true,
     .choices = activation_names, .about = "relu, gelu, silu …"},
};

const struct layer_kind pointwise_act_layer = {
    .name = "act",
    .about = "an activation function on its own",
    .fields = pointwise_act_fields,
    .field_count = FIELDS_COUNT(pointwise_act_fields),
    .build = pointwise_act_build,
    .keys_size = sizeof(struct pointwise_act_keys),
};

/* One operator over all inputs of one shape. */
static struct layer_op *pointwise_combine(struct builder *builder, uint32_t low, uint32_t high, double flops)
{
    if (!builder_want_inputs(builder, low, high))
        return NULL;
    struct layer_op *op = builder_pointwise(builder, builder->inputs[0], "", flops);
    for (uint32_t i = 1; i < builder->input_count; i++)
        builder_operand_alike(builder, op, builder->inputs[i]);
    return op;
}

static bool pointwise_add_build(struct builder *builder, const void *keys)
{
    (void)keys;
    struct layer_op *op = pointwise_combine(builder, 2, OPERATOR_OPERANDS, builder->input_count - 1);
    if (op)
        op->additive = true;
    return op != NULL;
}

const struct layer_kind pointwise_add_layer = {
    .name = "add", .about = "sum of its inputs (a residual connection)", .build = pointwise_add_build};

static bool pointwise_multiply_build(struct builder *builder, const void *keys)
{
    (void)keys;
    struct layer_op *op = pointwise_combine(builder, 2, OPERATOR_OPERANDS, builder->input_count - 1);
    if (!op)
        return false;
    op->linear = true;
    for (uint32_t i = 0; i < op->operand_count; i++)
        op->operands[i].saved = true;
    return true;
}

const struct layer_kind pointwise_multiply_layer = {.name = "multiply",
                                                    .about = "product of its inputs, element by element",
                                                    .build = pointwise_multiply_build};

struct pointwise_glu_keys {
    int gate;
};

static bool pointwise_glu_build(struct builder *builder, const void *values)
{
    const struct pointwise_glu_keys *keys = values;
    struct layer_op *op = pointwise_combine(builder, 2, 2, activation_costs[keys->gate].flops + 1);
    if (!op)
        return false;
    op->operands[0].saved = op->operands[1].saved = true;
    return true;
}

static const struct field pointwise_glu_fields[] = {
    {"gate", FIELD_CHOICE, offsetof(struct pointwise_glu_keys, gate), .choices = activation_names,
     .about = "function of the gate; default silu (SwiGLU)"},
};
static const struct pointwise_glu_keys pointwise_glu_defaults = {.gate = ACTIVATION_SILU};

const struct layer_kind pointwise_glu_layer = {
    .name = "glu",
    .about = "gated unit: function(first input) times second input",
    .fields = pointwise_glu_fields,
    .field_count = FIELDS_COUNT(pointwise_glu_fields),
    .build = pointwise_glu_build,
    .keys_size = sizeof(struct pointwise_glu_keys),
    .defaults = &pointwise_glu_defaults,
};

static bool pointwise_dropout_build(struct builder *builder, const void *keys)
{
    (void)keys;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct layer_op *op = builder_pointwise(builder, builder->inputs[0], "", 2);
    op->linear = true;
    op->training_only = true;
    op->saved_per_output = 1; /* the mask, one byte per element */
    return true;
}

const struct layer_kind pointwise_dropout_layer = {.name = "dropout",
                                                   .about = "random zeros while training; keeps a mask",
                                                   .build = pointwise_dropout_build};

static bool pointwise_scale_build(struct builder *builder, const void *keys)
{
    (void)keys;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    builder_pointwise(builder, builder->inputs[0], "", 1)->linear = true;
    return true;
}

const struct layer_kind pointwise_scale_layer = {
    .name = "scale", .about = "product with a constant", .build = pointwise_scale_build};

struct pointwise_rotary_keys {
    const char *over;
};

/* Rotary positions: each pair of entries of d is turned by an angle of its position. */
static bool pointwise_rotary_build(struct builder *builder, const void *values)
{
    const struct pointwise_rotary_keys *keys = values;
    const char *over = keys->over ? keys->over : "d";
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    int d = builder_find(builder, &x, over);
    if (d < 0 || x.dims[d].size % 2)
        return builder_error(builder, "turns pairs of an even dimension %s, but its input has %s", over,
                             builder_describe(builder, &x));
    struct layer_op *op = builder_pointwise(builder, builder->inputs[0], "", 3);
    op->dims[d].opaque = true;
    op->linear = true;
    return true;
}

static const struct field pointwise_rotary_fields[] = {
    {"over", FIELD_TEXT, offsetof(struct pointwise_rotary_keys, over),
     .about = "label of the entries that are turned; default d"},
};

const struct layer_kind pointwise_rotary_layer = {
    .name = "rotary",
    .about = "rotary positions: turns pairs of entries of d",
    .fields = pointwise_rotary_fields,
    .field_count = FIELDS_COUNT(pointwise_rotary_fields),
    .build = pointwise_rotary_build,
    .keys_size = sizeof(struct pointwise_rotary_keys),
};
