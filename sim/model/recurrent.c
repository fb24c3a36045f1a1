/* Recurrent layers: G[b,t,g,o] = X[b,t,i] Wx[g,o,i] for all steps at once, then step by step
 * G += H[b,t-1,k] Wh[g,o,k] and the gates' point-wise work, which gives H. `g` are the gates (LSTM 4, GRU 3,
 * plain 1): they may be split in the products but not in the point-wise work. A GRU's reset gate scales the
 * second product of its candidate, so its two sums stay apart (the form of cuDNN and PyTorch). Two directions
 * are one more dimension; a view merges them, h = (direction, o). */
#include "model/builder.h"
#include "model/frame.h"

#include <stddef.h>
#include <string.h>

struct recurrent_keys {
    int64_t hidden, directions, biases;
    bool peephole;
    const char *weight;
};

struct recurrent_shape {
    struct tensor x;
    uint64_t hidden, directions, gates;
    double flops, states; /* point-wise FLOPs per gate; further kept states per output */
    bool apart;           /* the gates read the two products, not their sum */
    uint32_t time;        /* label */
    const char *weight;   /* layer whose parameters are used instead of own ones; or NULL */
};

/* Iteration dimensions; -1: none. */
struct recurrent_dims {
    int8_t b, t, direction, g, o, i; /* i: contracted */
};

static struct recurrent_dims recurrent_iterate(struct builder *builder, struct layer_op *op,
                                               const struct recurrent_shape *shape)
{
    uint32_t t = builder_name(builder, "t"), h = builder_name(builder, "h");
    struct recurrent_dims dims = {.direction = -1, .i = -1};
    dims.b = builder_dim(builder, op, shape->x.dims[0].size, shape->x.dims[0].label, 0, 0);
    dims.t = builder_dim(builder, op, shape->x.dims[1].size, t, shape->time == t ? 0 : shape->time, 0);
    if (shape->directions > 1)
        dims.direction =
            builder_dim(builder, op, shape->directions, builder_name(builder, "direction"), 0, 0);
    dims.g = builder_dim(builder, op, shape->gates, builder_name(builder, "g"), 0, 0);
    dims.o =
        builder_dim(builder, op, shape->hidden, builder_name(builder, "o"), h, builder_name(builder, "f"));
    return dims;
}

/* Dimensions [direction], g, h of a weight, a bias or the gates' sums. */
static void recurrent_extend_gates(struct builder *builder, struct layer_op *op, struct operand *operand,
                                   const struct recurrent_dims *dims)
{
    if (dims->direction >= 0)
        builder_extend(builder, op, operand, builder_name(builder, "direction"), dims->direction);
    builder_extend(builder, op, operand, builder_name(builder, "g"), dims->g);
    builder_extend(builder, op, operand, builder_name(builder, "h"), dims->o);
}

/* A weight [direction], g, h, and i where the operator contracts it, or a bias; or another layer's. */
static void recurrent_parameter(struct builder *builder, struct layer_op *op,
                                const struct recurrent_shape *shape, const struct recurrent_dims *dims,
                                const char *name)
{
    if (shape->weight) {
        uint32_t rank = 2u + (dims->direction >= 0) + (dims->i >= 0);
        if (!builder->failed) /* one message is enough */
            frame_tie_part(builder, op, shape->weight, name, rank);
        return;
    }
    struct operand *weight = builder_parameter(builder, op, name);
    recurrent_extend_gates(builder, op, weight, dims);
    if (dims->i >= 0)
        builder_extend(builder, op, weight, builder_name(builder, "i"), dims->i);
}

/* The parts of a product that both have: the weight and the output, the gates' sums. */
static void recurrent_product(struct builder *builder, struct layer_op *op,
                              const struct recurrent_shape *shape, const struct recurrent_dims *dims,
                              const char *weight_name)
{
    recurrent_parameter(builder, op, shape, dims, weight_name);
    struct operand *output = builder_output(builder, op);
    builder_extend(builder, op, output, shape->x.dims[0].label, dims->b);
    builder_extend(builder, op, output, shape->time, dims->t);
    recurrent_extend_gates(builder, op, output, dims);
}

static uint32_t recurrent_input(struct builder *builder, const struct recurrent_shape *shape)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "input");
    struct recurrent_dims dims = recurrent_iterate(builder, op, shape);
    dims.i = builder_dim(builder, op, shape->x.dims[2].size, builder_name(builder, "i"), 0, 0);
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    input->saved = true;
    input->dims[0].dim = dims.b;
    input->dims[1].dim = dims.t;
    input->dims[2].dim = dims.i;
    recurrent_product(builder, op, shape, &dims, "input.weight");
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

/* [b, t, (direction,) features] of the hidden state. */
static void recurrent_index_state(struct operand *operand, const struct recurrent_dims *dims, int8_t features)
{
    uint32_t rank = 0;
    operand->dims[rank++].dim = dims->b;
    operand->dims[rank++].dim = dims->t;
    if (dims->direction >= 0)
        operand->dims[rank++].dim = dims->direction;
    operand->dims[rank++].dim = features;
}

/* Reads the hidden state, which the gates have not produced yet. */
static uint32_t recurrent_step(struct builder *builder, const struct recurrent_shape *shape, uint32_t state,
                               uint32_t sum)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "recurrent");
    struct recurrent_dims dims = recurrent_iterate(builder, op, shape);
    dims.i =
        builder_dim(builder, op, shape->hidden, builder_name(builder, "k"), builder_name(builder, "i"), 0);
    struct operand *hidden = builder_operand(builder, op, state);
    op->dims[dims.t].sequential = true;
    hidden->feedback = hidden->saved = true;
    recurrent_index_state(hidden, &dims, dims.i);
    recurrent_product(builder, op, shape, &dims, "recurrent.weight");
    if (!shape->apart) {
        struct operand *added = builder_operand(builder, op, sum);
        added->added = true;
        recurrent_index_gates(added, &dims);
    }
    return builder_newest(builder);
}

static void recurrent_gates(struct builder *builder, const struct recurrent_shape *shape,
                            const uint32_t sums[2], int64_t biases, bool peephole)
{
    static const char *const names[] = {"input.bias", "recurrent.bias"};
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "gates");
    struct recurrent_dims dims = recurrent_iterate(builder, op, shape);
    op->dims[dims.t].sequential = true;
    op->dims[dims.g].opaque = true;
    op->flops_per_point = shape->flops + (double)biases;
    op->output_saved = true;
    op->saved_per_output = 4 * shape->states;
    for (int i = shape->apart ? 0 : 1; i < 2; i++) {
        struct operand *sum = builder_operand(builder, op, sums[i]);
        recurrent_index_gates(sum, &dims);
        sum->saved = i == 1; /* one tensor of the gates' values is kept */
    }
    for (int64_t i = 0; i < biases; i++)
        recurrent_parameter(builder, op, shape, &dims, names[i]);
    if (!peephole)
        return;
    op->flops_per_point += 2;
    if (shape->weight) {
        builder_error(builder, "shares weights, which is not supported with a peephole");
        return;
    }
    struct operand *weight = builder_parameter(builder, op, "peephole");
    if (dims.direction >= 0)
        builder_extend(builder, op, weight, builder_name(builder, "direction"), dims.direction);
    builder_extend_whole(builder, weight, builder_name(builder, "g"), 3);
    builder_extend(builder, op, weight, builder_name(builder, "h"), dims.o);
}

/* Makes the hidden state the output of the gates. */
static void recurrent_close(struct builder *builder, const struct recurrent_shape *shape, uint32_t state)
{
    struct model *model = builder->model;
    struct layer_op *op = &model->operators.at[model->operators.count - 1];
    bool both = shape->directions > 1;
    struct recurrent_dims dims = {.b = 0, .t = 1, .direction = both ? 2 : -1, .g = -1, .o = both ? 4 : 3};
    model->tensors.at[state].producer = model->operators.count - 1;
    op->output = op->operands[0];
    op->output.saved = false;
    op->output.tensor = state;
    for (uint32_t i = 0; i < TENSOR_DIMS; i++)
        op->output.dims[i].dim = -1;
    recurrent_index_state(&op->output, &dims, dims.o);
}

/* The two directions side by side: h = (direction, o). */
static void recurrent_join(struct builder *builder, uint32_t state)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "join");
    const struct tensor x = builder->model->tensors.at[state];
    struct operand *input = builder_operand(builder, op, state), *output = builder_output(builder, op);
    for (uint32_t i = 0; i < x.rank; i++)
        input->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
    for (uint32_t i = 0; i < 2; i++)
        builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
    builder_extend_merged(builder, op, output, x.dims[3].label, input->dims[2].dim, input->dims[3].dim);
}

/* The hidden state [b, t, (direction,) h], not produced yet. */
static uint32_t recurrent_state(struct builder *builder, const struct recurrent_shape *shape)
{
    struct tensor state = {.role = TENSOR_ACTIVATION, .producer = MODEL_NONE, .layer = builder->layer};
    state.name = builder->model->layers.at[builder->layer].name;
    state.dims[state.rank++] = shape->x.dims[0];
    state.dims[state.rank++] = shape->x.dims[1];
    if (shape->directions > 1)
        state.dims[state.rank++] =
            (struct tensor_dim){.label = builder_name(builder, "direction"), .size = shape->directions};
    state.dims[state.rank++] =
        (struct tensor_dim){.label = builder_name(builder, "h"), .size = shape->hidden};
    VECTOR_PUSH(&builder->model->tensors, state);
    return builder->model->tensors.count - 1;
}

static bool recurrent_build(struct builder *builder, const struct recurrent_keys *keys, uint64_t gates,
                            double flops, double states, bool apart)
{
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct recurrent_shape shape = {.x = builder_input(builder, 0),
                                    .hidden = (uint64_t)keys->hidden,
                                    .directions = (uint64_t)keys->directions,
                                    .gates = gates,
                                    .flops = flops,
                                    .states = states,
                                    .apart = apart,
                                    .weight = keys->weight};
    shape.time = shape.x.rank > 1 ? shape.x.dims[1].label : 0;
    bool timed = shape.time == builder_name(builder, "s") || shape.time == builder_name(builder, "t");
    if (shape.x.rank != 3 || !timed)
        return builder_error(builder, "needs an input with dimensions b, s (or t), h; '%s' gives %s",
                             names_text(builder->model->names, shape.x.name),
                             builder_describe(builder, &shape.x));
    uint32_t state = recurrent_state(builder, &shape);
    uint32_t sums[2] = {recurrent_input(builder, &shape)};
    sums[1] = recurrent_step(builder, &shape, state, sums[0]);
    recurrent_gates(builder, &shape, sums, keys->biases, keys->peephole);
    recurrent_close(builder, &shape, state);
    if (shape.directions > 1)
        recurrent_join(builder, state);
    return !builder->failed;
}

static bool recurrent_lstm_build(struct builder *builder, const void *keys)
{
    return recurrent_build(builder, keys, 4, 8, 1, false);
}

static bool recurrent_gru_build(struct builder *builder, const void *keys)
{
    return recurrent_build(builder, keys, 3, 8, 0, true);
}

static bool recurrent_rnn_build(struct builder *builder, const void *keys)
{
    return recurrent_build(builder, keys, 1, 5, 0, false);
}

static const struct field recurrent_fields[] = {
    {"hidden", FIELD_INTEGER, offsetof(struct recurrent_keys, hidden), .required = true, .low = 1,
     .high = 1e9, .about = "units of one direction"},
    {"directions", FIELD_INTEGER, offsetof(struct recurrent_keys, directions), .low = 1, .high = 2,
     .about = "2: forwards and backwards, outputs side by side; default 1"},
    {"biases", FIELD_INTEGER, offsetof(struct recurrent_keys, biases), .low = 0, .high = 2,
     .about = "bias vectors per gate: 2 as in PyTorch, 1 as in Keras, 0; default 2"},
    {"peephole", FIELD_FLAG, offsetof(struct recurrent_keys, peephole),
     .about = "the input, forget and output gates see the cell's state too (lstm); default no"},
    {"weight", FIELD_TEXT, offsetof(struct recurrent_keys, weight),
     .about = "layer whose weights are used instead of own ones"},
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
