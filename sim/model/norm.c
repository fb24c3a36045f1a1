/* Normalisation: point-wise work with statistics over some dimensions. The statistics are what must be summed
 * when such a dimension is split: mean and variance (2 values per point of the others; RMS: 1), and as many
 * sums in the backward pass. */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

enum norm_type { NORM_LAYER, NORM_RMS, NORM_BATCH, NORM_GROUP, NORM_LRN, NORM_INSTANCE };
static const char *const norm_types[] = {"layer", "rms", "batch", "group", "lrn", "instance", NULL};

struct norm_keys {
    int type, act;
    const struct value *over;
    int64_t groups, size;
    bool bias, affine;
};

static const struct {
    double flops, statistics;
} norm_costs[] = {[NORM_LAYER] = {8, 2},
                  [NORM_RMS] = {6, 1},
                  [NORM_BATCH] = {7, 2},
                  [NORM_GROUP] = {8, 2},
                  [NORM_INSTANCE] = {8, 2}};

/* Bits of the dimensions that are normalised: the label or list of labels `over`, or the type's own. */
static uint32_t norm_over(struct builder *builder, const struct norm_keys *keys, const struct tensor *x)
{
    uint32_t bits = 0, count = keys->over && keys->over->kind == VALUE_LIST ? keys->over->count : 1;
    if (!keys->over && keys->type == NORM_INSTANCE && x->rank > 2)
        return ((1u << x->rank) - 1) & ~3u;
    if (!keys->over && keys->type != NORM_BATCH)
        return 1u << (x->rank - 1);
    if (!keys->over) {
        int c = builder_find(builder, x, x->rank == 3 ? "h" : "c");
        return c < 0 ? 0 : ((1u << x->rank) - 1) & ~(1u << c);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct value *label =
            keys->over->kind == VALUE_LIST ? keys->over->entries[i].value : keys->over;
        int at = label->text ? builder_find(builder, x, label->text) : -1;
        if (at < 0) {
            builder_error(builder, "normalises over '%s', but its input has only %s",
                          label->text ? label->text : "?", builder_describe(builder, x));
            return 0;
        }
        bits |= 1u << at;
    }
    return bits;
}

/* Scale and shift: per feature, which is what is normalised (layer, RMS) or what is not (batch, group). */
static void norm_affine(struct builder *builder, struct layer_op *op, const struct norm_keys *keys,
                        const struct tensor *x, uint32_t features)
{
    static const char *const names[] = {"weight", "bias"};
    int count = !keys->affine ? 0 : keys->bias && keys->type != NORM_RMS ? 2 : 1;
    for (int k = 0; k < count; k++) {
        struct operand *parameter = builder_parameter(builder, op, names[k]);
        for (uint32_t i = 0; i < x->rank; i++) {
            const struct operand_dim *from = &op->operands[0].dims[i];
            if (!(features >> i & 1))
                continue;
            if (from->inner >= 0)
                builder_extend_merged(builder, op, parameter, x->dims[i].label, from->dim, from->inner);
            else
                builder_extend(builder, op, parameter, x->dims[i].label, from->dim);
        }
    }
}

static void norm_finish(struct layer_op *op, const struct norm_keys *keys)
{
    op->operands[0].saved = true;
    op->output_saved = activation_costs[keys->act].output_saved;
    op->flops_per_point = norm_costs[keys->type].flops + activation_costs[keys->act].flops;
    op->statistics_forward = op->statistics_backward = norm_costs[keys->type].statistics;
    op->statistics_local = keys->type == NORM_BATCH;
}

/* Channels in groups, c = (groups, i): statistics over i, y and x. */
static bool norm_group_build(struct builder *builder, const struct norm_keys *keys)
{
    if (!builder_want_dims(builder, 0, "b c y x"))
        return false;
    struct tensor x = builder_input(builder, 0);
    uint64_t channels = x.dims[1].size, groups = (uint64_t)keys->groups;
    if (channels % groups)
        return builder_error(builder, "has %llu groups, which do not divide %llu channels",
                             (unsigned long long)groups, (unsigned long long)channels);
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    uint32_t c = x.dims[1].label;
    int8_t b = builder_dim(builder, op, x.dims[0].size, x.dims[0].label, 0, 0);
    int8_t group = builder_dim(builder, op, groups, builder_name(builder, "groups"), c, 0);
    int8_t i = builder_dim(builder, op, channels / groups, builder_name(builder, "i"), 0, 0);
    input->dims[0].dim = b;
    input->dims[1].dim = group;
    input->dims[1].inner = i;
    builder_extend(builder, op, output, x.dims[0].label, b);
    builder_extend_merged(builder, op, output, c, group, i);
    op->normalised = 1u << i;
    for (uint32_t k = 2; k < 4; k++) {
        input->dims[k].dim = builder_dim(builder, op, x.dims[k].size, x.dims[k].label, 0, 0);
        builder_extend(builder, op, output, x.dims[k].label, input->dims[k].dim);
        op->normalised |= 1u << input->dims[k].dim;
    }
    norm_finish(op, keys);
    norm_affine(builder, op, keys, &x, 1u << 1);
    return true;
}

/* Local response: each value is divided by a sum over the `size` channels around it: a window over c. */
static bool norm_lrn_build(struct builder *builder, const struct norm_keys *keys)
{
    if (!builder_want_dims(builder, 0, "b c y x"))
        return false;
    struct tensor x = builder_input(builder, 0);
    struct layer_op *op = builder_operator(builder, OPERATOR_POOL, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    op->flops_per_point = 2;
    input->saved = op->output_saved = true;
    for (uint32_t i = 0; i < x.rank; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
        builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
    }
    input->dims[1].kernel = builder_dim(builder, op, (uint64_t)keys->size, builder_name(builder, "kc"), 0, 0);
    input->dims[1].pad = (uint32_t)(keys->size / 2);
    return true;
}

static bool norm_build(struct builder *builder, const void *values)
{
    const struct norm_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    if (keys->type == NORM_GROUP)
        return norm_group_build(builder, keys);
    if (keys->type == NORM_LRN)
        return norm_lrn_build(builder, keys);
    struct tensor x = builder_input(builder, 0);
    uint32_t over = norm_over(builder, keys, &x);
    if (builder->failed)
        return false;
    uint32_t features = keys->type == NORM_BATCH      ? ((1u << x.rank) - 1) & ~over
                        : keys->type == NORM_INSTANCE ? 1u << 1
                                                      : over;
    if (!over || !features)
        return builder_error(builder, "finds no channels in its input, %s", builder_describe(builder, &x));
    struct layer_op *op = builder_pointwise(builder, builder->inputs[0], "", 0);
    op->normalised = over; /* dimensions stand in the tensor's order */
    norm_finish(op, keys);
    norm_affine(builder, op, keys, &x, features);
    return true;
}

static const struct field norm_fields[] = {
    {"type", FIELD_CHOICE, offsetof(struct norm_keys, type), .choices = norm_types,
     .about = "layer, rms, batch, instance, group or lrn (local response); default layer"},
    {"over", FIELD_VALUE, offsetof(struct norm_keys, over),
     .about = "labels that are normalised; default: the last (layer, rms), all but the channels (batch), all "
              "but the first two (instance)"},
    {"affine", FIELD_FLAG, offsetof(struct norm_keys, affine),
     .about = "learned scale and shift; default yes"},
    {"bias", FIELD_FLAG, offsetof(struct norm_keys, bias), .about = "the shift; default yes; rms has none"},
    {"groups", FIELD_INTEGER, offsetof(struct norm_keys, groups), .low = 1, .high = 1e9,
     .about = "groups of channels (group); default 32"},
    {"size", FIELD_INTEGER, offsetof(struct norm_keys, size), .low = 1, .high = 1e6,
     .about = "channels around each one (lrn); default 5"},
    {"act", FIELD_CHOICE, offsetof(struct norm_keys, act), .choices = activation_names,
     .about = "activation that follows; default none"},
};
static const struct norm_keys norm_defaults = {.bias = true, .affine = true, .groups = 32, .size = 5};

const struct layer_kind norm_layer = {
    .name = "norm",
    .about = "layer, RMS, batch, group or local response normalisation",
    .fields = norm_fields,
    .field_count = FIELDS_COUNT(norm_fields),
    .build = norm_build,
    .keys_size = sizeof(struct norm_keys),
    .defaults = &norm_defaults,
};
