/* Resampling of maps: space to depth (Darknet's reorg) and nearest-neighbour enlargement. */
#include "model/builder.h"

#include <stddef.h>

struct resample_keys {
    int64_t stride, flops;
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
    struct operator* op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "");
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

/* y′ = (y, ky), x′ = (x, kx): each value is written stride × stride times. */
static bool resample_upsample_build(struct builder *builder, const void *values)
{
    const struct resample_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1) || !builder_want_dims(builder, 0, "b c y x"))
        return false;
    struct tensor x = builder_input(builder, 0);
    struct operator* op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    op->linear = true;
    op->flops_per_point = (double)keys->flops;
    for (uint32_t i = 0; i < 4; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
        if (i < 2) {
            builder_extend(builder, op, output, x.dims[i].label, input->dims[i].dim);
            continue;
        }
        int8_t inner = builder_dim(builder, op, (uint64_t)keys->stride,
                                   builder_name(builder, i == 2 ? "ky" : "kx"), 0, 0);
        op->dims[inner].opaque = true;
        builder_extend_merged(builder, op, output, x.dims[i].label, input->dims[i].dim, inner);
    }
    return true;
}

static const struct field resample_fields[] = {
    {"stride", FIELD_INTEGER, offsetof(struct resample_keys, stride), .low = 1, .high = 1e6,
     .about = "factor of y and of x; default 2"},
};
static const struct field resample_upsample_fields[] = {
    {"stride", FIELD_INTEGER, offsetof(struct resample_keys, stride), .low = 1, .high = 1e6,
     .about = "factor of y and of x; default 2"},
    {"flops", FIELD_INTEGER, offsetof(struct resample_keys, flops), .low = 0, .high = 1e6,
     .about = "FLOPs per element of the output, of an interpolation; default 0"},
};
static const struct resample_keys resample_defaults = {.stride = 2};

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
    .about = "enlarges a map by repeating each value, or interpolating (the rows beyond a share's edge are "
             "not counted)",
    .fields = resample_upsample_fields,
    .field_count = FIELDS_COUNT(resample_upsample_fields),
    .build = resample_upsample_build,
    .keys_size = sizeof(struct resample_keys),
    .defaults = &resample_defaults,
};
