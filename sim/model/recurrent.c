/* Recurrent layers: G[b,t,g,o] = X[b,t,i] Wx[g,o,i] for all steps at once, then step by step
 * G += H[b,t-1,i] Wh[g,o,i] and the gates' point-wise work, which gives H. `g` are the gates (LSTM 4, GRU 3,
 * plain 1): they may be split in the products but not in the point-wise work. Two directions are one more
 * dimension; the output's features are merged, h = (direction, o). */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

struct recurrent_keys {
    int64_t hidden, directions, biases;
};

struct recurrent_shape {
    struct tensor x;
    uint64_t hidden, directions, gates;
    double flops, states; /* point-wise FLOPs per gate; further kept states per output */
    uint32_t time;        /* label */
};

/* Iteration dimensions; -1: none. */
struct recurrent_dims {
    int8_t b, t, direction, g, o, i;
};

static struct recurrent_dims recurrent_iterate(struct builder *builder, struct operator* op,
                                               const struct recurrent_shape *shape, uint64_t inputs)
{
    uint32_t t = builder_name(builder, "t"), h = builder_name(builder, "h");
    struct recurrent_dims dims = {.direction = -1, .i = -1};
    dims.b = builder_dim(builder, op, shape->x.dims[0].size, shape->x.dims[0].label, 0, 0);
    dims.t = builder_dim(builder, op, shape->x.dims[1].size, t, shape->time == t ? 0 : shape->time, 0);
    if (shape->directions > 1)
        dims.direction =
            builder_dim(builder, op, shape->directions, builder_name(builder, "direction"), 0, 0);
    dims.g = builder_dim(builder, op, shape->gates, builder_name(builder, "g"), 0, 0);
    dims.o = builder_dim(builder, op, shape->hidden, builder_name(builder, "o"), h, 0);
    if (inputs)
        dims.i = builder_dim(builder, op, inputs, builder_name(builder, "i"), 0, 0);
    return dims;
}

/* Dimensions [direction], g, h of a weight, a bias or the gates' sums. */
static void recurrent_extend_gates(struct builder *builder, struct operator* op, struct operand *operand,
                                   const struct recurrent_dims *dims)
{
    if (dims->direction >= 0)
        builder_extend(builder, op, operand, builder_name(builder, "direction"), dims->direction);
    builder_extend(builder, op, operand, builder_name(builder, "g"), dims->g);
    builder_extend(builder, op, operand, builder_name(builder, "h"), dims->o);
}

/* The parts of a product that both have: the weight and the output, the gates' sums. */
static void recurrent_product(struct builder *builder, struct operator* op,
                              const struct recurrent_shape *shape, const struct recurrent_dims *dims,
                              const char *weight_name)
{
    struct operand *weight = builder_parameter(builder, op, weight_name);
    recurrent_extend_gates(builder, op, weight, dims);
    builder_extend(builder, op, weight, builder_name(builder, "i"), dims->i);
    struct operand *output = builder_output(builder, op);
    builder_extend(builder, op, output, shape->x.dims[0].label, dims->b);
    builder_extend(builder, op, output, shape->time, dims->t);
    recurrent_extend_gates(builder, op, output, dims);
}

static uint32_t recurrent_input(struct builder *builder, const struct recurrent_shape *shape)
{
    struct operator* op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "input");
    struct recurrent_dims dims = recurrent_iterate(builder, op, shape, shape->x.dims[2].size);
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    input->saved = true;
    input->dims[0].dim = dims.b;
    input->dims[1].dim = dims.t;
    input->dims[2].dim = dims.i;
    recurrent_product(builder, op, shape, &dims, "input.weight");
    return builder_newest(builder);
}

/* Reads the hidden state, which the gates have not produced yet. */
static uint32_t recurrent_step(struct builder *builder, const struct recurrent_shape *shape, uint32_t state)
{
    struct operator* op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "recurrent");
    struct recurrent_dims dims = recurrent_iterate(builder, op, shape, shape->hidden);
    struct operand *hidden = builder_operand(builder, op, state);
    op->dims[dims.t].sequential = true;
    hidden->feedback = hidden->saved = true;
    hidden->dims[0].dim = dims.b;
    hidden->dims[1].dim = dims.t;
    hidden->dims[2].dim = dims.direction >= 0 ? dims.direction : dims.i;
    hidden->dims[2].inner = dims.direction >= 0 ? dims.i : (int8_t)-1;
    recurrent_product(builder, op, shape, &dims, "recurrent.weight");
    return builder_newest(builder);
}

static void recurrent_index_gates(struct operand *operand, const struct recurrent_dims *dims)
{
    uint32_t rank = 0;
    operand->dims[rank++].dim = dims->b;
    operand->dims[rank++].dim = dims->t;
    if (dims->direction >= 0)
        operand->dims[rank++].dim = dims->direction;
    operand->dims[rank++].dim = dims->g;
    operand->dims[rank++].dim = dims->o;
}

static void recurrent_gates(struct builder *builder, const struct recurrent_shape *shape,
                            const uint32_t sums[2], int64_t biases)
{
    static const char *const names[] = {"input.bias", "recurrent.bias"};
    struct operator* op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "gates");
    struct recurrent_dims dims = recurrent_iterate(builder, op, shape, 0);
    op->dims[dims.t].sequential = true;
    op->dims[dims.g].opaque = true;
    op->flops_per_point = shape->flops + (double)biases;
    op->output_saved = true;
    op->saved_per_output = 4 * shape->states;
    for (int i = 0; i < 2; i++) {
        struct operand *sum = builder_operand(builder, op, sums[i]);
        recurrent_index_gates(sum, &dims);
        sum->saved = i == 0; /* one tensor of the gates' values is kept */
    }
    for (int64_t i = 0; i < biases; i++)
        recurrent_extend_gates(builder, op, builder_parameter(builder, op, names[i]), &dims);
}

/* Makes the hidden state the output of the gates. */
static void recurrent_close(struct builder *builder, const struct recurrent_shape *shape, uint32_t state)
{
    struct model *model = builder->model;
    struct operator* op = & model->operators.at[model->operators.count - 1];
    int8_t direction = shape->directions > 1 ? 2 : -1, o = shape->directions > 1 ? 4 : 3;
    model->tensors.at[state].producer = model->operators.count - 1;
    op->output = op->operands[0];
    op->output.saved = false;
    op->output.tensor = state;
    op->output.dims[2].dim = direction >= 0 ? direction : o;
    op->output.dims[2].inner = direction >= 0 ? o : (int8_t)-1;
}

static bool recurrent_build(struct builder *builder, const struct recurrent_keys *keys, uint64_t gates,
                            double flops, double states)
{
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct recurrent_shape shape = {.x = builder_input(builder, 0),
                                    .hidden = (uint64_t)keys->hidden,
                                    .directions = (uint64_t)keys->directions,
                                    .gates = gates,
                                    .flops = flops,
                                    .states = states};
    shape.time = shape.x.rank > 1 ? shape.x.dims[1].label : 0;
    bool timed = shape.time == builder_name(builder, "s") || shape.time == builder_name(builder, "t");
    if (shape.x.rank != 3 || !timed)
        return builder_error(builder, "needs an input with dimensions b, s (or t), h; '%s' gives %s",
                             names_text(builder->model->names, shape.x.name),
                             builder_describe(builder, &shape.x));
    struct tensor state = {
        .role = TENSOR_ACTIVATION, .producer = MODEL_NONE, .layer = builder->layer, .rank = 3};
    state.name = builder->model->layers.at[builder->layer].name;
    state.dims[0] = shape.x.dims[0];
    state.dims[1] = shape.x.dims[1];
    state.dims[2] =
        (struct tensor_dim){.label = builder_name(builder, "h"), .size = shape.hidden * shape.directions};
    uint32_t index = builder->model->tensors.count;
    VECTOR_PUSH(&builder->model->tensors, state);
    uint32_t sums[2] = {recurrent_input(builder, &shape)};
    sums[1] = recurrent_step(builder, &shape, index);
    recurrent_gates(builder, &shape, sums, keys->biases);
    recurrent_close(builder, &shape, index);
    return true;
}

static bool recurrent_lstm_build(struct builder *builder, const void *keys)
{
    return recurrent_build(builder, keys, 4, 8, 1);
}

static bool recurrent_gru_build(struct builder *builder, const void *keys)
{
    return recurrent_build(builder, keys, 3, 8, 0);
}

static bool recurrent_rnn_build(struct builder *builder, const void *keys)
{
    return recurrent_build(builder, keys, 1, 5, 0);
}

static const struct field recurrent_fields[] = {
    {"hidden", FIELD_INTEGER, offsetof(struct recurrent_keys, hidden), .required = true, .low = 1,
     .high = 1e9, .about = "units of one direction"},
    {"directions", FIELD_INTEGER, offsetof(struct recurrent_keys, directions), .low = 1, .high = 2,
     .about = "2: forwards and backwards, outputs side by side; default 1"},
    {"biases", FIELD_INTEGER, offsetof(struct recurrent_keys, biases), .low = 0, .high = 2,
     .about = "bias vectors per gate: 2 as in PyTorch, 1 as in Keras, 0; default 2"},
};
static const struct recurrent_keys recurrent_defaults = {.directions = 1, .biases = 2};

#define RECURRENT_KIND(kind, text)                                                                           \
    const struct layer_kind recurrent_##kind##_layer = {                                                     \
        .name = #kind,                                                                                       \
        .about = text,                                                                                       \
        .fields = recurrent_fields,                                                                          \
        .field_count = FIELDS_COUNT(recurrent_fields),                                                       \
        .build = recurrent_##kind##_build,                                                                   \
        .keys_size = sizeof(struct recurrent_keys),                                                          \
        .defaults = &recurrent_defaults,                                                                     \
    }

RECURRENT_KIND(lstm, "long short-term memory, 4 gates");
RECURRENT_KIND(gru, "gated recurrent unit, 3 gates");
RECURRENT_KIND(rnn, "plain recurrent layer");
