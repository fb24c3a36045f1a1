/* Frame: the meaning of a full name is found through its interned identity, so that a look-up costs a hash
 * and a model of n layers is built in O(n). */
#include "model/frame.h"

#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

static const struct named frame_nothing = {MODEL_NONE, MODEL_NONE};

static struct named frame_by_full_name(const struct builder *builder, const char *prefix, const char *name)
{
    char full[FRAME_NAME];
    int length = snprintf(full, sizeof full, "%s%s", prefix, name);
    if (length >= FRAME_NAME)
        return frame_nothing;
    uint32_t id = names_find(builder->model->names, full);
    return id < builder->named.count ? builder->named.at[id] : frame_nothing;
}

struct named frame_find(const struct builder *builder, const char *name)
{
    for (const struct frame *frame = builder->frame; frame; frame = frame->outer) {
        struct named found = frame_by_full_name(builder, frame->prefix, name);
        if (found.tensor != MODEL_NONE)
            return found;
        for (uint32_t i = 0; i < frame->input_count; i++)
            if (strcmp(frame->input_names[i], name) == 0 || (i == 0 && strcmp(name, "in") == 0))
                return (struct named){frame->inputs[i], MODEL_NONE};
    }
    return frame_nothing;
}

bool frame_unknown(struct builder *builder, struct place place, const char *key, const char *name)
{
    VECTOR(const char *) known = {0};
    const struct names *names = builder->model->names;
    for (const struct frame *frame = builder->frame; frame; frame = frame->outer) {
        size_t length = strlen(frame->prefix);
        for (uint32_t i = 0; i < frame->input_count; i++)
            VECTOR_PUSH(&known, frame->input_names[i]);
        for (uint32_t id = 0; id < builder->named.count; id++)
            if (builder->named.at[id].tensor != MODEL_NONE &&
                strncmp(names_text(names, id), frame->prefix, length) == 0)
                VECTOR_PUSH(&known, names_text(names, id) + length);
    }
    const char *near = nearest_name(name, known.at, known.count);
    VECTOR_FREE(&known);
    builder->failed = true;
    return report_error(&builder->input->report, place, "%s: there is no layer '%s' before this one%s%s%s",
                        key, name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool frame_define(struct builder *builder, struct place place, const char *full_name, struct named named)
{
    uint32_t id = names_add(builder->model->names, full_name);
    while (builder->named.count <= id)
        VECTOR_PUSH(&builder->named, frame_nothing);
    if (builder->named.at[id].tensor != MODEL_NONE)
        return report_error(&builder->input->report, place, "there are two layers called '%s'", full_name);
    builder->named.at[id] = named;
    return true;
}

/* The iteration dimension that answers to a label, among the outputs and the contracted; -1: none. */
static int8_t frame_dim_called(const struct layer_op *op, uint32_t label, uint64_t size)
{
    for (uint32_t i = op->dim_count; i-- > 0;)
        for (int k = 0; k < DIM_NAMES; k++)
            if (op->dims[i].names[k] == label && op->dims[i].size == size)
                return (int8_t)i;
    return -1;
}

/* The first parameter of a layer's first operator; MODEL_NONE: it has none. */
static uint32_t frame_weight(const struct model *model, uint32_t layer)
{
    const struct layer_op *first = &model->operators.at[model->layers.at[layer].first_operator];
    if (!model->layers.at[layer].operator_count)
        return MODEL_NONE;
    for (uint32_t i = 0; i < first->operand_count; i++)
        if (model->tensors.at[first->operands[i].tensor].role == TENSOR_PARAMETER)
            return first->operands[i].tensor;
    return MODEL_NONE;
}

/* Reads another layer's parameter, its dimensions matched by label and size. */
static bool frame_tie_to(struct builder *builder, struct layer_op *op, const char *name, uint32_t parameter,
                         uint32_t rank)
{
    struct tensor weight = builder->model->tensors.at[parameter];
    struct operand *operand = builder_operand(builder, op, parameter);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < weight.rank; i++) {
        int8_t dim = frame_dim_called(op, weight.dims[i].label, weight.dims[i].size);
        if (dim < 0 || weight.rank != rank || seen >> dim & 1)
            return builder_error(builder, "shares the weight of '%s', whose dimensions (%s) do not fit", name,
                                 builder_describe(builder, &weight));
        operand->dims[i].dim = dim;
        seen |= 1u << dim;
    }
    return true;
}

bool frame_tie(struct builder *builder, struct layer_op *op, const char *name, uint32_t rank)
{
    struct named found = frame_find(builder, name);
    if (found.tensor == MODEL_NONE)
        return frame_unknown(builder, builder->place, "weight", name);
    uint32_t parameter = found.layer == MODEL_NONE ? MODEL_NONE : frame_weight(builder->model, found.layer);
    if (parameter == MODEL_NONE)
        return builder_error(builder, "shares the weight of '%s', which has none", name);
    return frame_tie_to(builder, op, name, parameter, rank);
}

/* The parameter "LAYER.SUFFIX" of a layer; MODEL_NONE: it has none. */
static uint32_t frame_parameter(const struct model *model, uint32_t layer, const char *suffix)
{
    const struct layer *of = &model->layers.at[layer];
    char full[FRAME_NAME];
    int length = snprintf(full, sizeof full, "%s.%s", names_text(model->names, of->name), suffix);
    uint32_t id = length < FRAME_NAME ? names_find(model->names, full) : UINT32_MAX;
    for (uint32_t o = of->first_operator; o < of->first_operator + of->operator_count; o++)
        for (uint32_t i = 0; i < model->operators.at[o].operand_count; i++) {
            uint32_t tensor = model->operators.at[o].operands[i].tensor;
            if (model->tensors.at[tensor].role == TENSOR_PARAMETER && model->tensors.at[tensor].name == id)
                return tensor;
        }
    return MODEL_NONE;
}

bool frame_tie_part(struct builder *builder, struct layer_op *op, const char *name, const char *suffix,
                    uint32_t rank)
{
    struct named found = frame_find(builder, name);
    if (found.tensor == MODEL_NONE)
        return frame_unknown(builder, builder->place, "weight", name);
    uint32_t parameter =
        found.layer == MODEL_NONE ? MODEL_NONE : frame_parameter(builder->model, found.layer, suffix);
    if (parameter == MODEL_NONE)
        return builder_error(builder, "shares the weights of '%s', which has no %s of its own", name, suffix);
    return frame_tie_to(builder, op, name, parameter, rank);
}
