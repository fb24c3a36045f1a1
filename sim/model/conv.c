/* Convolution and pooling: windows over y and x (or x; or z, y and x). The iteration space of a convolution
 * is b, [groups], o, i, y, x, ky, kx; grouped channels are merged, c = (groups, i) on the input and (groups,
 * o) on the output; a depthwise convolution has the one dimension c for all three. */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

enum { CONV_AXES = 3 };

struct window {
    uint32_t axes; /* 1: x, 2: y and x, 3: z, y and x */
    int64_t kernel[CONV_AXES], stride[CONV_AXES], dilation[CONV_AXES];
    int64_t pad[CONV_AXES], high[CONV_AXES]; /* at the low and the high end */
    uint64_t out[CONV_AXES];
};

/* Keys as they stand in the file; NULL where the key is absent. */
struct window_values {
    const struct value *kernel, *stride, *pad, *dilation;
};

/* Rows that a window reaches over. */
static uint64_t conv_reach(const struct window *window, uint32_t axis)
{
    return (uint64_t)(window->dilation[axis] * (window->kernel[axis] - 1) + 1);
}

/* `pad: same` keeps ceil(size / stride) positions; an odd remainder of the padding goes to the high end. */
static void conv_pad_same(struct window *window, uint32_t axis, uint64_t size)
{
    uint64_t stride = (uint64_t)window->stride[axis];
    window->out[axis] = (size + stride - 1) / stride;
    uint64_t span = (window->out[axis] - 1) * stride + conv_reach(window, axis);
    window->pad[axis] = span > size ? (int64_t)((span - size) / 2) : 0;
}

/* The name of a dimension: x; y, x; z, y, x. With `kernel`, that of the window. */
static uint32_t conv_name(struct builder *builder, uint32_t axes, uint32_t axis, bool kernel)
{
    static const char *const names[] = {"x", "y", "z"}, *const kernels[] = {"kx", "ky", "kz"};
    return builder_name(builder, (kernel ? kernels : names)[axes - 1 - axis]);
}

static bool conv_axis(struct builder *builder, struct window *window, uint32_t axis, uint64_t size, bool ceil)
{
    uint64_t padded = size + (uint64_t)window->pad[axis] + (uint64_t)window->high[axis],
             reach = conv_reach(window, axis);
    uint64_t stride = (uint64_t)window->stride[axis];
    if (padded < reach)
        return builder_error(
            builder, "has a kernel that reaches over %llu positions of %c, but its padded input has %llu",
            (unsigned long long)reach, "xyz"[window->axes - 1 - axis], (unsigned long long)padded);
    window->out[axis] = (padded - reach + (ceil ? stride - 1 : 0)) / stride + 1;
    if (ceil && (window->out[axis] - 1) * stride >= size + (uint64_t)window->pad[axis])
        window->out[axis]--; /* a window that starts beyond the input and its low padding is dropped */
    return true;
}

/* Twice as many numbers as dimensions are those of the low ends, then of the high ones. */
static bool conv_pads(struct builder *builder, const struct value *pad, struct window *window)
{
    bool ends = pad->kind == VALUE_LIST && pad->count == 2 * window->axes;
    if (!ends && !builder_list(builder, pad, "pad", 0, window->axes, window->pad))
        return false;
    for (uint32_t i = 0; i < window->axes; i++) {
        if (!ends)
            window->high[i] = window->pad[i];
        else if (!builder_integer(builder, pad->entries[i].value, "pad", 0, &window->pad[i]) ||
                 !builder_integer(builder, pad->entries[window->axes + i].value, "pad", 0, &window->high[i]))
            return false;
    }
    return true;
}

/* Reads the keys of a window and finds the output's size. */
static bool conv_window(struct builder *builder, const struct window_values *values, const struct tensor *x,
                        bool ceil, struct window *window)
{
    bool same = values->pad && values->pad->text && strcmp(values->pad->text, "same") == 0;
    *window =
        (struct window){.axes = x->rank - 2, .kernel = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    if (values->kernel && !builder_list(builder, values->kernel, "kernel", 1, window->axes, window->kernel))
        return false;
    if (values->stride && !builder_list(builder, values->stride, "stride", 1, window->axes, window->stride))
        return false;
    if (values->dilation &&
        !builder_list(builder, values->dilation, "dilation", 1, window->axes, window->dilation))
        return false;
    if (values->pad && !same && !conv_pads(builder, values->pad, window))
        return false;
    for (uint32_t axis = 0; axis < window->axes; axis++) {
        uint64_t size = x->dims[2 + axis].size;
        if (same)
            conv_pad_same(window, axis, size);
        else if (!conv_axis(builder, window, axis, size, ceil))
            return false;
    }
    return true;
}

static void conv_index(struct operand *operand, const struct window *window, uint32_t axis, int8_t dim,
                       int8_t kernel)
{
    struct operand_dim *at = &operand->dims[2 + axis];
    at->dim = dim;
    at->kernel = kernel;
    at->stride = (uint32_t)window->stride[axis];
    at->dilation = (uint32_t)window->dilation[axis];
    at->pad = (uint32_t)window->pad[axis];
}

struct conv_keys {
    int64_t out, groups;
    struct window_values window;
    bool bias;
    int act;
};

/* The channel dimensions of the iteration space; -1 where there is none. */
struct conv_channels {
    int8_t group, out, in;
};

static struct conv_channels conv_channel_dims(struct builder *builder, struct layer_op *op, uint64_t in,
                                              uint64_t out, uint64_t groups)
{
    uint32_t c = builder_name(builder, "c"), o = builder_name(builder, "o"), i = builder_name(builder, "i");
    struct conv_channels dims = {-1, -1, -1};
    if (groups > 1 && groups == in && groups == out) {
        dims.group = builder_dim(builder, op, groups, c, o, i);
        return dims;
    }
    if (groups > 1)
        dims.group = builder_dim(builder, op, groups, builder_name(builder, "groups"), c, 0);
    dims.out = builder_dim(builder, op, out / groups, o, 0, 0);
    dims.in = builder_dim(builder, op, in / groups, i, 0, 0);
    return dims;
}

static void conv_index_channels(struct operand *operand, int8_t group, int8_t own)
{
    operand->dims[1].dim = group >= 0 ? group : own;
    operand->dims[1].inner = group >= 0 ? own : (int8_t)-1;
}

/* The iteration dimensions of a window: its places, and its elements. */
struct conv_places {
    int8_t at[CONV_AXES], kernel[CONV_AXES];
};

/* A second input is the weight: its dimensions are output channels, input channels, the window. */
static void conv_shared_weight(struct builder *builder, struct layer_op *op, struct conv_channels channels,
                               const struct conv_places *places, uint32_t axes)
{
    struct tensor tensor = builder_input(builder, 1);
    struct operand *weight = builder_operand(builder, op, builder->inputs[1]);
    bool fits = tensor.rank == axes + 2;
    weight->saved = tensor.role != TENSOR_PARAMETER;
    conv_index_channels(weight, channels.group, channels.out);
    weight->dims[0] = weight->dims[1];
    weight->dims[1] =
        (struct operand_dim){.dim = channels.in, .inner = -1, .kernel = -1, .stride = 1, .dilation = 1};
    for (uint32_t i = 0; fits && i < axes; i++) {
        weight->dims[2 + i].dim = places->kernel[i];
        fits = tensor.dims[2 + i].size == op->dims[places->kernel[i]].size;
    }
    if (!fits)
        builder_error(builder, "reads a weight that does not fit its window: %s",
                      builder_describe(builder, &tensor));
}

static void conv_weight(struct builder *builder, struct layer_op *op, struct conv_channels channels,
                        const struct conv_places *places, uint32_t axes)
{
    uint32_t c = builder_name(builder, "c");
    if (builder->input_count == 2) {
        conv_shared_weight(builder, op, channels, places, axes);
        return;
    }
    struct operand *weight = builder_parameter(builder, op, "weight");
    if (channels.group < 0)
        builder_extend(builder, op, weight, c, channels.out);
    else if (channels.out < 0)
        builder_extend(builder, op, weight, c, channels.group);
    else
        builder_extend_merged(builder, op, weight, c, channels.group, channels.out);
    if (channels.in >= 0)
        builder_extend(builder, op, weight, builder_name(builder, "i"), channels.in);
    for (uint32_t i = 0; i < axes; i++)
        builder_extend(builder, op, weight, conv_name(builder, axes, i, true), places->kernel[i]);
}

static void conv_einsum(struct builder *builder, const struct tensor *x, uint64_t out, uint64_t groups,
                        const struct window *window)
{
    bool depthwise = groups > 1 && groups == x->dims[1].size;
    struct layer_op *op =
        builder_operator(builder, OPERATOR_EINSUM, depthwise ? KERNEL_DEPTHWISE : KERNEL_CONV, "");
    const struct tensor_dim *dims = x->dims;
    struct conv_places places = {{-1, -1, -1}, {-1, -1, -1}};
    int8_t b = builder_dim(builder, op, dims[0].size, dims[0].label, 0, 0);
    struct conv_channels channels = conv_channel_dims(builder, op, dims[1].size, out, groups);
    uint32_t axes = window->axes;
    for (uint32_t i = 0; i < axes; i++)
        places.at[i] = builder_dim(builder, op, window->out[i], conv_name(builder, axes, i, false), 0, 0);
    for (uint32_t i = 0; i < axes; i++)
        places.kernel[i] =
            builder_dim(builder, op, (uint64_t)window->kernel[i], conv_name(builder, axes, i, true), 0, 0);
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    input->saved = true;
    input->dims[0].dim = b;
    conv_index_channels(input, channels.group, channels.in);
    for (uint32_t i = 0; i < axes; i++)
        conv_index(input, window, i, places.at[i], places.kernel[i]);
    conv_weight(builder, op, channels, &places, axes);
    struct operand *output = builder_output(builder, op);
    builder_extend(builder, op, output, dims[0].label, b);
    if (channels.group >= 0 && channels.out >= 0)
        builder_extend_merged(builder, op, output, dims[1].label, channels.group, channels.out);
    else
        builder_extend(builder, op, output, dims[1].label,
                       channels.group >= 0 ? channels.group : channels.out);
    for (uint32_t i = 0; i < axes; i++)
        builder_extend(builder, op, output, conv_name(builder, axes, i, false), places.at[i]);
}

static bool conv_build(struct builder *builder, const void *values)
{
    const struct conv_keys *keys = values;
    struct window window;
    if (!builder_want_inputs(builder, 1, 2) || !builder_want_map(builder))
        return false;
    struct tensor x = builder_input(builder, 0);
    int64_t channels = (int64_t)x.dims[1].size;
    if (channels % keys->groups || keys->out % keys->groups)
        return builder_error(builder,
                             "has %lld groups, which do not divide its %lld input and %lld output channels",
                             (long long)keys->groups, (long long)channels, (long long)keys->out);
    if (!conv_window(builder, &keys->window, &x, false, &window))
        return false;
    conv_einsum(builder, &x, (uint64_t)keys->out, (uint64_t)keys->groups, &window);
    builder_epilogue(builder, builder_newest(builder), 1u << 1, keys->bias, keys->act);
    return true;
}

/* What follows a convolution of either kind. */
#define CONV_BIAS(keys)                                                                                      \
    .key = "bias", .kind = FIELD_FLAG, .offset = offsetof(keys, bias),                                       \
    .about = "adds a learned value per channel; default yes"
#define CONV_ACT(keys)                                                                                       \
    .key = "act", .kind = FIELD_CHOICE, .offset = offsetof(keys, act), .choices = activation_names,          \
    .about = "activation that follows; default none"

static const struct field conv_fields[] = {
    {"out", FIELD_INTEGER, offsetof(struct conv_keys, out), .required = true, .low = 1, .high = 1e9,
     .about = "output channels"},
    {"kernel", FIELD_VALUE, offsetof(struct conv_keys, window.kernel), .required = true,
     .about = "window: one number, or [y, x]"},
    {"stride", FIELD_VALUE, offsetof(struct conv_keys, window.stride),
     .about = "one number, or [y, x]; default 1"},
    {"pad", FIELD_VALUE, offsetof(struct conv_keys, window.pad),
     .about = "zeros added at each end: one number, [y, x], [y, x, y, x] for low and high ends, or `same`; "
              "default 0"},
    {"dilation", FIELD_VALUE, offsetof(struct conv_keys, window.dilation),
     .about = "distance of the window's elements: one number, or [y, x]; default 1"},
    {"groups", FIELD_INTEGER, offsetof(struct conv_keys, groups), .low = 1, .high = 1e9,
     .about = "independent channel groups; as many as channels: depthwise; default 1"},
    {CONV_BIAS(struct conv_keys)},
    {CONV_ACT(struct conv_keys)},
};
static const struct conv_keys conv_defaults = {.groups = 1, .bias = true};

const struct layer_kind conv_layer = {
    .name = "conv",
    .about =
        "convolution over y and x (or x; or z, y, x), with bias and activation; a second input is its weight",
    .fields = conv_fields,
    .field_count = FIELDS_COUNT(conv_fields),
    .build = conv_build,
    .keys_size = sizeof(struct conv_keys),
    .defaults = &conv_defaults,
};

/* ---- transposed convolution ---- */

struct conv_transposed_keys {
    int64_t out, groups;
    const struct value *kernel, *size;
    bool bias;
    int act;
};

/* Whether windows of the output lie side by side: its y is (y, ky) of the iteration space. */
static bool conv_transposed_tiles(const struct tensor *x, const struct window *window)
{
    bool tiles = true;
    for (uint32_t i = 0; i < window->axes; i++)
        tiles = tiles && window->out[i] == x->dims[2 + i].size * (uint64_t)window->kernel[i];
    return tiles;
}

/* Each input element adds its product with the kernel to a window of the output: the iteration space has the
 * input's y and x. Where windows overlap the notation cannot say which outputs a point gives: all of the map,
 * so y and x of the output are not split. */
static void conv_transposed_einsum(struct builder *builder, const struct tensor *x,
                                   const struct conv_transposed_keys *keys, const struct window *window)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_CONV, "");
    struct conv_places places = {{-1, -1, -1}, {-1, -1, -1}};
    uint32_t axes = window->axes;
    bool tiles = conv_transposed_tiles(x, window);
    int8_t b = builder_dim(builder, op, x->dims[0].size, x->dims[0].label, 0, 0);
    struct conv_channels channels =
        conv_channel_dims(builder, op, x->dims[1].size, (uint64_t)keys->out, (uint64_t)keys->groups);
    for (uint32_t i = 0; i < axes; i++) {
        places.at[i] = builder_dim(builder, op, x->dims[2 + i].size, x->dims[2 + i].label, 0, 0);
        op->dims[places.at[i]].opaque = !tiles;
    }
    for (uint32_t i = 0; i < axes; i++) {
        places.kernel[i] =
            builder_dim(builder, op, (uint64_t)window->kernel[i], conv_name(builder, axes, i, true), 0, 0);
        op->dims[places.kernel[i]].opaque = tiles;
    }
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    input->saved = true;
    input->dims[0].dim = b;
    conv_index_channels(input, channels.group, channels.in);
    for (uint32_t i = 0; i < axes; i++)
        input->dims[2 + i].dim = places.at[i];
    conv_weight(builder, op, channels, &places, axes);
    struct operand *output = builder_output(builder, op);
    builder_extend(builder, op, output, x->dims[0].label, b);
    if (channels.group >= 0 && channels.out >= 0)
        builder_extend_merged(builder, op, output, x->dims[1].label, channels.group, channels.out);
    else
        builder_extend(builder, op, output, x->dims[1].label,
                       channels.group >= 0 ? channels.group : channels.out);
    for (uint32_t i = 0; i < axes; i++)
        if (tiles)
            builder_extend_merged(builder, op, output, x->dims[2 + i].label, places.at[i], places.kernel[i]);
        else
            builder_extend_whole(builder, output, x->dims[2 + i].label, window->out[i]);
}

static bool conv_transposed_build(struct builder *builder, const void *values)
{
    const struct conv_transposed_keys *keys = values;
    int64_t size[CONV_AXES];
    if (!builder_want_inputs(builder, 1, 2) || !builder_want_map(builder))
        return false;
    struct tensor x = builder_input(builder, 0);
    struct window window = {.axes = x.rank - 2};
    if ((int64_t)x.dims[1].size % keys->groups || keys->out % keys->groups)
        return builder_error(builder, "has %lld groups, which do not divide its channels",
                             (long long)keys->groups);
    if (!builder_list(builder, keys->kernel, "kernel", 1, window.axes, window.kernel) ||
        !builder_list(builder, keys->size, "size", 1, window.axes, size))
        return false;
    for (uint32_t i = 0; i < window.axes; i++)
        window.out[i] = (uint64_t)size[i];
    conv_transposed_einsum(builder, &x, keys, &window);
    builder_epilogue(builder, builder_newest(builder), 1u << 1, keys->bias, keys->act);
    return true;
}

static const struct field conv_transposed_fields[] = {
    {"out", FIELD_INTEGER, offsetof(struct conv_transposed_keys, out), .required = true, .low = 1,
     .high = 1e9, .about = "output channels"},
    {"kernel", FIELD_VALUE, offsetof(struct conv_transposed_keys, kernel), .required = true,
     .about = "window: one number, or [y, x]"},
    {"size", FIELD_VALUE, offsetof(struct conv_transposed_keys, size), .required = true,
     .about = "the output's y and x: one number, or [y, x]"},
    {"groups", FIELD_INTEGER, offsetof(struct conv_transposed_keys, groups), .low = 1, .high = 1e9,
     .about = "independent channel groups; default 1"},
    {CONV_BIAS(struct conv_transposed_keys)},
    {CONV_ACT(struct conv_transposed_keys)},
};
static const struct conv_transposed_keys conv_transposed_defaults = {.groups = 1, .bias = true};

const struct layer_kind conv_transposed_layer = {
    .name = "deconv",
    .about = "transposed convolution over y and x (or x; or z, y, x): enlarges a map",
    .fields = conv_transposed_fields,
    .field_count = FIELDS_COUNT(conv_transposed_fields),
    .build = conv_transposed_build,
    .keys_size = sizeof(struct conv_transposed_keys),
    .defaults = &conv_transposed_defaults,
};

/* ---- pooling ---- */

enum conv_pool_function { CONV_POOL_MAX, CONV_POOL_AVERAGE };
static const char *const conv_pool_functions[] = {"max", "avg", NULL};

struct conv_pool_keys {
    int function;
    struct window_values window;
    bool ceil, global;
};

/* The operator with its batch and channel dimensions, which it does not mix. */
static struct layer_op *conv_pool_operator(struct builder *builder, const struct tensor *x, int function)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_POOL, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    struct operand *output = builder_output(builder, op);
    op->flops_per_point = 1;
    op->linear = function == CONV_POOL_AVERAGE;
    input->saved = op->output_saved = function == CONV_POOL_MAX;
    for (int i = 0; i < 2; i++) {
        input->dims[i].dim = builder_dim_labelled(builder, op, x->dims[i].size, x->dims[i].label);
        builder_extend(builder, op, output, x->dims[i].label, input->dims[i].dim);
    }
    return op;
}

static void conv_pool_global(struct builder *builder, const struct tensor *x, int function)
{
    struct layer_op *op = conv_pool_operator(builder, x, function);
    for (uint32_t i = 2; i < x->rank; i++)
        op->operands[0].dims[i].dim = builder_dim_labelled(builder, op, x->dims[i].size, x->dims[i].label);
}

static bool conv_pool_build(struct builder *builder, const void *values)
{
    const struct conv_pool_keys *keys = values;
    struct window_values where = keys->window;
    struct window window;
    if (!builder_want_inputs(builder, 1, 1) || !builder_want_map(builder))
        return false;
    struct tensor x = builder_input(builder, 0);
    if (keys->global) {
        conv_pool_global(builder, &x, keys->function);
        return true;
    }
    if (!where.kernel)
        return builder_error(builder, "needs `kernel`, or `global: yes`");
    if (!where.stride)
        where.stride = where.kernel;
    if (!conv_window(builder, &where, &x, keys->ceil, &window))
        return false;
    struct layer_op *op = conv_pool_operator(builder, &x, keys->function);
    for (uint32_t axis = 0; axis < window.axes; axis++) {
        uint32_t label = x.dims[2 + axis].label, kernel_name = conv_name(builder, window.axes, axis, true);
        int8_t dim = builder_dim(builder, op, window.out[axis], label, 0, 0);
        int8_t kernel = builder_dim(builder, op, (uint64_t)window.kernel[axis], kernel_name, 0, 0);
        conv_index(&op->operands[0], &window, axis, dim, kernel);
        builder_extend(builder, op, &op->output, label, dim);
    }
    return true;
}

static const struct field conv_pool_fields[] = {
    {"op", FIELD_CHOICE, offsetof(struct conv_pool_keys, function), .choices = conv_pool_functions,
     .about = "max or avg; default max"},
    {"kernel", FIELD_VALUE, offsetof(struct conv_pool_keys, window.kernel),
     .about = "window: one number, or [y, x]"},
    {"stride", FIELD_VALUE, offsetof(struct conv_pool_keys, window.stride),
     .about = "one number, or [y, x]; default: the kernel"},
    {"pad", FIELD_VALUE, offsetof(struct conv_pool_keys, window.pad),
     .about = "one number, [y, x], [y, x, y, x] for low and high ends, or `same`; default 0"},
    {"dilation", FIELD_VALUE, offsetof(struct conv_pool_keys, window.dilation),
     .about = "distance of the window's elements: one number, or [y, x]; default 1"},
    {"ceil", FIELD_FLAG, offsetof(struct conv_pool_keys, ceil),
     .about = "rounds the output's size up instead of down"},
    {"global", FIELD_FLAG, offsetof(struct conv_pool_keys, global),
     .about = "over the whole map: gives b, c"},
};

const struct layer_kind conv_pool_layer = {
    .name = "pool",
    .about = "maximum or mean of windows, or of the whole map",
    .fields = conv_pool_fields,
    .field_count = FIELDS_COUNT(conv_pool_fields),
    .build = conv_pool_build,
    .keys_size = sizeof(struct conv_pool_keys),
};
