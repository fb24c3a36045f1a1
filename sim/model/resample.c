/* Resampling of maps: space to depth (Darknet's reorg), and enlargement by repeating values or interpolating.
 */
#include "model/builder.h"

#include <stddef.h>

struct resample_keys {
    int64_t stride;
};

/* y = (y′, ky) and x = (x′, kx) on the input; c′ = (ky, kx, c) on the output, which two-level merging cannot
 * say: every point needs all of c′, and c, ky, kx stay whole. */
static bool resample_reorg_build(struct builder *builder, const void *values)
{
    const struct resample_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1) || !builder_want_dims(builder, 0, "b c y x"))
        return false;
    struct tensor x = builder_input(builder, 0);
    uint64_t stride = (uint64_t)keys->stride;
    if (x.dims[2].size % stride || x.dims[3].size % stride)
        return builder_error(builder, "has stride %llu, which does not divide its input, %s",
                             (unsigned long long)stride, builder_describe(builder, &x));
    struct layer_op *op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    input->dims[0].dim = builder_dim(builder, op, x.dims[0].size, x.dims[0].label, 0, 0);
    input->dims[1].dim = builder_dim_labelled(builder, op, x.dims[1].size, x.dims[1].label);
    op->dims[input->dims[1].dim].opaque = true;
    builder_extend(builder, op, output, x.dims[0].label, input->dims[0].dim);
    builder_extend_whole(builder, output, x.dims[1].label, x.dims[1].size * stride * stride);
    for (uint32_t i = 2; i < 4; i++) {
        input->dims[i].dim = builder_dim(builder, op, x.dims[i].size / stride, x.dims[i].label, 0, 0);
        input->dims[i].inner =
            builder_dim(builder, op, stride, builder_name(builder, i == 2 ? "ky" : "kx"), 0, 0);
        op->dims[input->dims[i].inner].opaque = true;
        builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
    }
    return true;
}

struct resample_upsample_keys {
    const struct value *stride;
    int64_t flops, reach;
};

/* A dimension of space, y′ = (y, ky). A value that is interpolated lies in (y − 1/2, y + 1/2) of the input,
 * so that it is a mean of rows at most `reach` from y. */
static void resample_axis(struct builder *builder, struct layer_op *op, uint32_t axis, uint64_t stride,
                          int64_t reach)
{
    static const char *const inner[] = {"kx", "ky", "kz"}, *const around[] = {"wx", "wy", "wz"};
    struct operand *input = &op->operands[0];
    struct tensor x = builder_input(builder, 0);
    uint32_t place = x.rank - 1 - axis;
    input->dims[axis].dim = builder_dim_labelled(builder, op, x.dims[axis].size, x.dims[axis].label);
    int8_t part = builder_dim(builder, op, stride, builder_name(builder, inner[place]), 0, 0);
    op->dims[part].opaque = true;
    builder_extend_merged(builder, op, &op->output, x.dims[axis].label, input->dims[axis].dim, part);
    if (!reach || stride == 1)
        return;
    input->dims[axis].kernel =
        builder_dim(builder, op, 2 * (uint64_t)reach + 1, builder_name(builder, around[place]), 0, 0);
    input->dims[axis].pad = (uint32_t)reach;
    op->flops_per_point /= 2 * (double)reach + 1;
}

/* Each value is written stride × stride times, or interpolated between its neighbours. */
static bool resample_upsample_build(struct builder *builder, const void *values)
{
    enum { AXES = 3 };
    const struct resample_upsample_keys *keys = values;
    int64_t stride[AXES] = {2, 2, 2};
    if (!builder_want_inputs(builder, 1, 1) || !builder_want_map(builder))
        return false;
    struct tensor x = builder_input(builder, 0);
    if (keys->stride && !builder_list(builder, keys->stride, "stride", 1, x.rank - 2, stride))
        return false;
    if (keys->reach && x.rank == 2 + AXES)
        return builder_error(builder, "interpolates in three dimensions, which is not supported");
    struct layer_op *op =
        builder_operator(builder, keys->reach ? OPERATOR_POOL : OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    op->linear = true;
    op->flops_per_point = (double)keys->flops;
    for (uint32_t i = 0; i < 2; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
        builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
    }
    for (uint32_t i = 2; i < x.rank; i++)
        resample_axis(builder, op, i, (uint64_t)stride[i - 2], keys->reach);
    return true;
}

static const struct field resample_fields[] = {
    {"stride", FIELD_INTEGER, offsetof(struct resample_keys, stride), .low = 1, .high = 1e6,
     .about = "factor of y and of x; default 2"},
};
static const struct field resample_upsample_fields[] = {
    {"stride", FIELD_VALUE, offsetof(struct resample_upsample_keys, stride),
     .about = "factor of y and of x: one number, or [y, x]; default 2"},
    {"reach", FIELD_INTEGER, offsetof(struct resample_upsample_keys, reach), .low = 0, .high = 8,
     .about = "rows and columns on each side that an interpolation reads: 1 linear, 2 cubic; default 0: each "
              "value is repeated"},
    {"flops", FIELD_INTEGER, offsetof(struct resample_upsample_keys, flops), .low = 0, .high = 1e6,
     .about = "FLOPs per element of the output, of an interpolation; default 0"},
};
static const struct resample_keys resample_defaults = {.stride = 2};
static const struct resample_upsample_keys resample_upsample_defaults = {0};

const struct layer_kind resample_reorg_layer = {
    .name = "reorg",
    .about = "space to depth: blocks of stride × stride become channels",
    .fields = resample_fields,
    .field_count = FIELDS_COUNT(resample_fields),
    .build = resample_reorg_build,
    .keys_size = sizeof(struct resample_keys),
    .defaults = &resample_defaults,
};

const struct layer_kind resample_upsample_layer = {
    .name = "upsample",
    .about = "enlarges a map by repeating each value, or interpolating between neighbours",
    .fields = resample_upsample_fields,
    .field_count = FIELDS_COUNT(resample_upsample_fields),
    .build = resample_upsample_build,
    .keys_size = sizeof(struct resample_upsample_keys),
    .defaults = &resample_upsample_defaults,
};
