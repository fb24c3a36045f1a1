/* Onnx_window: convolutions, pools and resizing: windows over the dimensions after batch and channels. */
#include "model/onnx_operator.h"

#include <math.h>
#include <string.h>

enum { AXES = ONNX_RANK - 2 };

struct onnx_window {
    uint32_t axes; /* dimensions after batch and channels */
    int64_t kernel[AXES], stride[AXES], dilation[AXES], low[AXES], high[AXES], out[AXES];
};

static bool onnx_window_list(struct onnx_call *call, const char *name, uint32_t axes, int64_t low,
                             int64_t *into)
{
    const int64_t *list;
    uint32_t count = onnx_call_ints(call, name, &list);
    if (count && count != axes)
        return onnx_call_fail(call, "has %u %s for %u dimensions", count, name, axes);
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] < low || list[i] > 1 << 30)
            return onnx_call_fail(call, "has %s of %lld", name, (long long)list[i]);
        into[i] = list[i];
    }
    return true;
}

static bool onnx_window_pads(struct onnx_call *call, struct onnx_window *w)
{
    int64_t pads[2 * AXES] = {0};
    if (!onnx_window_list(call, "pads", 2 * w->axes, -(1 << 30), pads))
        return false;
    for (uint32_t i = 0; i < w->axes; i++) {
        w->low[i] = pads[i];
        w->high[i] = pads[w->axes + i];
    }
    return true;
}

/* `pads` or `auto_pad`, and the output's sizes. */
static bool onnx_window_place(struct onnx_call *call, struct onnx_window *w, const struct onnx_shape *x,
                              bool ceil_up)
{
    const char *automatic = onnx_call_text(call, "auto_pad", "NOTSET");
    bool same = strncmp(automatic, "SAME", 4) == 0, lower = strcmp(automatic, "SAME_LOWER") == 0;
    for (uint32_t i = 0; i < w->axes; i++) {
        int64_t size = x->dims[2 + i], reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
        if (same) {
            w->out[i] = (size + w->stride[i] - 1) / w->stride[i];
            int64_t pad = (w->out[i] - 1) * w->stride[i] + reach - size;
            pad = pad < 0 ? 0 : pad;
            w->low[i] = lower ? pad - pad / 2 : pad / 2;
            w->high[i] = pad - w->low[i];
            continue;
        }
        int64_t room = size + w->low[i] + w->high[i] - reach;
        if (room < 0)
            return onnx_call_fail(call, "has a window of %lld over a padded dimension of %lld",
                                  (long long)reach, (long long)(room + reach));
        w->out[i] = (room + (ceil_up ? w->stride[i] - 1 : 0)) / w->stride[i] + 1;
        if (ceil_up && call->infer->file->opset >= 1 && (w->out[i] - 1) * w->stride[i] >= size + w->low[i])
            w->out[i]--; /* a window that starts beyond the input and its low padding is dropped */
    }
    return true;
}

static bool onnx_window_read(struct onnx_call *call, struct onnx_window *w, const struct onnx_shape *x,
                             const struct onnx_shape *weight)
{
    *w = (struct onnx_window){.axes = x->rank - 2};
    if (x->rank < 3)
        return onnx_call_fail(call,
                              "needs an input with batch, channels and at least one more dimension; got %s",
                              onnx_call_describe(call->infer->arena, x));
    for (uint32_t i = 0; i < w->axes; i++) {
        w->stride[i] = w->dilation[i] = 1;
        w->kernel[i] = weight ? weight->dims[2 + i] : 0;
    }
    if (!onnx_window_list(call, "kernel_shape", w->axes, 1, w->kernel) ||
        !onnx_window_list(call, "strides", w->axes, 1, w->stride) ||
        !onnx_window_list(call, "dilations", w->axes, 1, w->dilation) || !onnx_window_pads(call, w))
        return false;
    for (uint32_t i = 0; i < w->axes; i++)
        if (w->kernel[i] < 1)
            return onnx_call_fail(call, "does not say its window (kernel_shape)");
    return true;
}

static struct onnx_shape onnx_window_shape(const struct onnx_window *w, int64_t batch, int64_t channels)
{
    struct onnx_shape shape = {.rank = w->axes + 2, .dims = {batch, channels}};
    for (uint32_t i = 0; i < w->axes; i++)
        shape.dims[2 + i] = w->out[i];
    return shape;
}

/* ---- Conv, ConvInteger, QLinearConv ---- */

static uint32_t onnx_window_weight_input(const struct onnx_call *call)
{
    return strcmp(call->node->kind, "QLinearConv") == 0 ? 3 : 1;
}

static bool onnx_window_conv_read(struct onnx_call *call, struct onnx_window *w)
{
    const struct onnx_value *x = onnx_call_in(call, 0),
                            *weight = onnx_call_in(call, onnx_window_weight_input(call));
    int64_t groups = onnx_call_int(call, "group", 1);
    if (weight->shape.rank != x->shape.rank || x->shape.rank < 3)
        return onnx_call_fail(call, "has an input of %s and a weight of %s",
                              onnx_call_describe(call->infer->arena, &x->shape),
                              onnx_call_describe(call->infer->arena, &weight->shape));
    if (groups < 1 || groups > 1 << 30 || weight->shape.dims[1] * groups != x->shape.dims[1] ||
        weight->shape.dims[0] % groups)
        return onnx_call_fail(call, "has %lld groups, an input of %s and a weight of %s", (long long)groups,
                              onnx_call_describe(call->infer->arena, &x->shape),
                              onnx_call_describe(call->infer->arena, &weight->shape));
    if (!onnx_window_read(call, w, &x->shape, &weight->shape))
        return false;
    for (uint32_t i = 0; i < w->axes; i++)
        if (w->kernel[i] != weight->shape.dims[2 + i])
            return onnx_call_fail(call, "has a kernel_shape other than its weight's");
    return onnx_window_place(call, w, &x->shape, false);
}

static bool onnx_window_conv(struct onnx_call *call)
{
    struct onnx_window w;
    if (!onnx_window_conv_read(call, &w))
        return false;
    const struct onnx_value *x = onnx_call_in(call, 0),
                            *weight = onnx_call_in(call, onnx_window_weight_input(call));
    struct onnx_shape shape = onnx_window_shape(&w, x->shape.dims[0], weight->shape.dims[0]);
    bool integer = strcmp(call->node->kind, "ConvInteger") == 0,
         quantised = onnx_window_weight_input(call) == 3;
    return onnx_call_give(call, 0, integer ? ONNX_INT32 : quantised ? ONNX_UINT8 : x->type, &shape);
}

/* Labels of a map by its rank: b c x, b c y x, b c z y x. */
static const char *const *onnx_window_labels(uint32_t rank)
{
    static const char *const labels[][5] = {{"b", "c", "x"}, {"b", "c", "y", "x"}, {"b", "c", "z", "y", "x"}};
    return rank >= 3 && rank <= 5 ? labels[rank - 3] : NULL;
}

static void onnx_window_write_window(struct onnx_call *call, struct value *layer, const struct onnx_window *w)
{
    int64_t pads[2 * AXES];
    bool padded = false, strided = false, dilated = false;
    onnx_write_numbers(call, layer, "kernel", w->kernel, w->axes);
    for (uint32_t i = 0; i < w->axes; i++) {
        pads[i] = w->low[i];
        pads[w->axes + i] = w->high[i];
        padded = padded || w->low[i] || w->high[i];
        strided = strided || w->stride[i] != 1;
        dilated = dilated || w->dilation[i] != 1;
    }
    if (strided || strstr(call->node->kind, "Pool"))
        onnx_write_numbers(call, layer, "stride", w->stride, w->axes);
    if (padded)
        onnx_write_numbers(call, layer, "pad", pads, 2 * w->axes);
    if (dilated)
        onnx_write_numbers(call, layer, "dilation", w->dilation, w->axes);
}

static bool onnx_window_pads_are_plain(const struct onnx_window *w)
{
    bool plain = true;
    for (uint32_t i = 0; i < w->axes; i++)
        plain = plain && w->low[i] >= 0 && w->high[i] >= 0;
    return plain;
}

/* A bias that other nodes read too: added by a layer of its own. */
static bool onnx_window_write_bias(struct onnx_call *call, struct onnx_value *bias, const char *const *labels)
{
    const struct onnx_value product = *onnx_call_out(call, 0);
    struct onnx_value all = product;
    struct value *shaped = onnx_write_layer(call, "reshape", "bias");
    onnx_write_from(call, shaped, bias);
    all.shape.rank--;
    for (uint32_t i = 0; i < all.shape.rank; i++)
        all.shape.dims[i] = i == 0 ? product.shape.dims[1] : 1;
    onnx_write_sizes(call, shaped, "dims", &all.shape, labels + 1);
    all.layer = shaped->entries[0].value->text;
    struct value *sum = onnx_write_layer(call, "elementwise", "sum");
    onnx_write_from(call, sum, onnx_call_out(call, 0));
    onnx_write_from(call, sum, &all);
    onnx_write_gives(call, sum, 0, labels);
    return true;
}

static bool onnx_window_write_conv(struct onnx_call *call)
{
    struct onnx_window w = {0};
    uint32_t at = onnx_window_weight_input(call);
    struct onnx_value *x = onnx_call_in(call, 0), *weight = onnx_call_in(call, at),
                      *bias = at == 3                                        ? onnx_call_in(call, 8)
                              : strcmp(call->node->kind, "ConvInteger") == 0 ? NULL
                                                                             : onnx_call_in(call, 2);
    const char *const *labels = onnx_window_labels(x->shape.rank);
    bool transposed = strcmp(call->node->kind, "ConvTranspose") == 0;
    int64_t groups = onnx_call_int(call, "group", 1);
    if (!transposed)
        onnx_window_conv_read(call, &w);
    if (!labels || (!transposed && !onnx_window_pads_are_plain(&w)))
        return onnx_call_fail(call,
                              "has an input of %s; 1 to 3 dimensions after the channels and pads from 0 are "
                              "supported",
                              onnx_call_describe(call->infer->arena, &x->shape));
    bool own_bias = bias && onnx_write_is_own(call, bias);
    struct onnx_value in = onnx_write_labelled(call, x, labels, "input");
    struct value *layer = onnx_write_layer(call, transposed ? "deconv" : "conv", "");
    onnx_write_from(call, layer, &in);
    onnx_write_number(call, layer, "out",
                      transposed ? weight->shape.dims[1] * groups : weight->shape.dims[0]);
    if (transposed) {
        onnx_write_numbers(call, layer, "kernel", &weight->shape.dims[2], weight->shape.rank - 2);
        onnx_write_numbers(call, layer, "size", &onnx_call_out(call, 0)->shape.dims[2],
                           weight->shape.rank - 2);
    } else {
        onnx_window_write_window(call, layer, &w);
    }
    if (groups > 1)
        onnx_write_number(call, layer, "groups", groups);
    if (!own_bias)
        onnx_write_text(call, layer, "bias", "no");
    else
        onnx_write_owns(call, bias);
    if (onnx_write_is_own(call, weight)) {
        onnx_write_owns(call, weight);
    } else { /* shared, or computed: a second input */
        onnx_write_from(call, layer, weight);
    }
    if (!bias || own_bias) {
        onnx_write_gives(call, layer, 0, labels);
        return true;
    }
    onnx_write_gives(call, layer, 0, labels);
    return onnx_window_write_bias(call, bias, labels);
}

/* ---- ConvTranspose ---- */

static bool onnx_window_transposed(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *weight = onnx_call_in(call, 1);
    struct onnx_window w;
    int64_t groups = onnx_call_int(call, "group", 1), more[AXES] = {0}, wanted[AXES] = {0};
    const char *automatic = onnx_call_text(call, "auto_pad", "NOTSET");
    const int64_t *list;
    if (weight->shape.rank != x->shape.rank || x->shape.rank < 3 || groups < 1 || groups > 1 << 30 ||
        weight->shape.dims[0] != x->shape.dims[1] || x->shape.dims[1] % groups)
        return onnx_call_fail(call, "has an input of %s and a weight of %s",
                              onnx_call_describe(call->infer->arena, &x->shape),
                              onnx_call_describe(call->infer->arena, &weight->shape));
    if (!onnx_window_read(call, &w, &x->shape, &weight->shape) ||
        !onnx_window_list(call, "output_padding", w.axes, 0, more))
        return false;
    uint32_t count = onnx_call_ints(call, "output_shape", &list);
    if (count && count != w.axes && count != w.axes + 2)
        return onnx_call_fail(call, "has %u sizes (output_shape) for %u dimensions", count, w.axes);
    for (uint32_t i = 0; i < w.axes; i++) {
        wanted[i] = count ? list[i + count - w.axes] : 0;
        int64_t whole =
            w.stride[i] * (x->shape.dims[2 + i] - 1) + more[i] + (w.kernel[i] - 1) * w.dilation[i] + 1;
        w.out[i] = strncmp(automatic, "SAME", 4) == 0 ? x->shape.dims[2 + i] * w.stride[i]
                                                      : whole - w.low[i] - w.high[i];
        if (count)
            w.out[i] = wanted[i];
        if (w.out[i] < 1)
            return onnx_call_fail(call, "gives a dimension of %lld", (long long)w.out[i]);
    }
    struct onnx_shape shape = onnx_window_shape(&w, x->shape.dims[0], weight->shape.dims[1] * groups);
    return onnx_call_give(call, 0, x->type, &shape);
}

/* ---- pools ---- */

static bool onnx_window_pool_read(struct onnx_call *call, struct onnx_window *w)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    return onnx_window_read(call, w, &x->shape, NULL) &&
           onnx_window_place(call, w, &x->shape, onnx_call_int(call, "ceil_mode", 0) != 0);
}

static bool onnx_window_pool(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_window w;
    if (!onnx_window_pool_read(call, &w))
        return false;
    struct onnx_shape shape = onnx_window_shape(&w, x->shape.dims[0], x->shape.dims[1]);
    return onnx_call_give(call, 0, x->type, &shape) && onnx_call_give(call, 1, ONNX_INT64, &shape);
}

static bool onnx_window_write_pool(struct onnx_call *call)
{
    struct onnx_window w;
    struct onnx_value *x = onnx_call_in(call, 0);
    const char *const *labels = onnx_window_labels(x->shape.rank);
    onnx_window_pool_read(call, &w);
    bool wide = false; /* ceil_mode reaches beyond the padding: more padding says the same */
    for (uint32_t i = 0; i < w.axes; i++) {
        int64_t reach = w.dilation[i] * (w.kernel[i] - 1) + 1;
        int64_t need = (w.out[i] - 1) * w.stride[i] + reach - x->shape.dims[2 + i] - w.low[i];
        wide = wide || need > w.high[i];
        w.high[i] = need > w.high[i] ? need : w.high[i];
    }
    if (!labels || !onnx_window_pads_are_plain(&w))
        return onnx_write_rearranged(call);
    struct onnx_value in = onnx_write_labelled(call, x, labels, "input");
    struct value *layer = onnx_write_layer(call, "pool", "");
    onnx_write_from(call, layer, &in);
    onnx_write_text(call, layer, "op", strcmp(call->node->kind, "MaxPool") == 0 ? "max" : "avg");
    onnx_window_write_window(call, layer, &w);
    onnx_write_gives(call, layer, 0, labels);
    if (onnx_call_out(call, 1))
        onnx_write_gives(call, layer, 1, labels);
    return true;
}

static bool onnx_window_global(struct onnx_call *call)
{
    struct onnx_shape shape = onnx_call_in(call, 0)->shape;
    if (shape.rank < 2)
        return onnx_call_fail(call, "needs an input with batch and channels");
    for (uint32_t i = 2; i < shape.rank; i++)
        shape.dims[i] = 1;
    return onnx_call_give(call, 0, onnx_call_in(call, 0)->type, &shape);
}

static bool onnx_window_write_global(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    struct value *layer = onnx_write_layer(call, "reduce", "");
    const char *labels[ONNX_RANK], *over = "";
    onnx_write_from(call, layer, x);
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        labels[i] = x->labels[i];
        if (i >= 2)
            over = arena_format(call->infer->arena, "%s%s%s", over, i > 2 ? " " : "", x->labels[i]);
    }
    onnx_write_text(call, layer, "over", over);
    onnx_write_text(call, layer, "op", strstr(call->node->kind, "Max") ? "max" : "sum");
    onnx_write_text(call, layer, "keep", "yes");
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

/* ---- Resize, Upsample ---- */

static bool onnx_window_resize(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    uint32_t inputs = call->node->inputs.count, scale_at = inputs > 2 ? 2 : 1;
    struct onnx_shape shape = x->shape;
    const struct onnx_value *sizes = onnx_call_in(call, 3), *scales = onnx_call_in(call, scale_at);
    const struct onnx_attribute *listed = onnx_file_attribute(call->node, "scales");
    const int64_t *axes, *numbers;
    int64_t count, axis_count = onnx_call_ints(call, "axes", &axes);
    int64_t some = axis_count ? axis_count : shape.rank;
    if (sizes && onnx_file_elements(&sizes->shape) > 0) {
        if (!onnx_call_numbers(call, 3, &count, &numbers))
            return false;
    } else if (scales && !scales->known) {
        return onnx_call_numbers(call, scale_at, &count, &numbers);
    } else {
        sizes = NULL;
        count = scales ? onnx_file_elements(&scales->shape) : listed ? listed->floats.count : 0;
    }
    if (count != some)
        return onnx_call_fail(call, "has %lld sizes or scales for %lld dimensions", (long long)count,
                              (long long)some);
    for (int64_t i = 0; i < some; i++) {
        uint32_t axis = (uint32_t)i;
        if (axis_count && !onnx_call_axis(call, axes[i], shape.rank, &axis))
            return false;
        if (sizes && i == 0 && call->infer->scale > 1 && numbers[i] * call->infer->scale == shape.dims[axis])
            continue;
        /* Scales are single precision, and the size is rounded down. */
        double scale = sizes ? 0 : scales ? scales->known[i] : listed->floats.at[i];
        double size =
            sizes ? (double)numbers[i] : floor((double)((float)shape.dims[axis] * (float)scale) + 1e-6);
        if (!(size >= 0) || size > 1e15)
            return onnx_call_fail(call, "gives a dimension of %g", size);
        shape.dims[axis] = (int64_t)size;
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

/* Rows on each side that an interpolation reads; 0: nearest. */
static int64_t onnx_window_reach(const struct onnx_call *call)
{
    const char *mode = onnx_call_text(call, "mode", "nearest");
    return strcmp(mode, "nearest") == 0 ? 0 : strcmp(mode, "cubic") == 0 ? 2 : 1;
}

/* Enlarging a map by whole factors keeps its dimensions apart; everything else needs all of them. */
static bool onnx_window_write_resize(struct onnx_call *call)
{
    static const char *const labels[][5] = {{"b", "c", "x"}, {"b", "c", "y", "x"}, {"b", "c", "z", "y", "x"}};
    struct onnx_value *x = onnx_call_in(call, 0);
    const struct onnx_shape *from = &x->shape, *to = &onnx_call_out(call, 0)->shape;
    int64_t factors[AXES] = {0}, reach = onnx_window_reach(call);
    bool whole = from->rank > 2 && from->rank <= (reach ? 4 : 5) && to->dims[0] == from->dims[0] &&
                 to->dims[1] == from->dims[1],
         larger = false;
    for (uint32_t i = 2; whole && i < from->rank; i++) {
        factors[i - 2] = from->dims[i] ? to->dims[i] / from->dims[i] : 0;
        whole = factors[i - 2] >= 1 && to->dims[i] == from->dims[i] * factors[i - 2];
        larger = larger || factors[i - 2] > 1;
    }
    if (!whole || !larger)
        return onnx_write_rearranged(call);
    const char *const *named = labels[from->rank - 3];
    struct onnx_value in = onnx_write_labelled(call, x, named, "input");
    struct value *layer = onnx_write_layer(call, "upsample", "");
    onnx_write_from(call, layer, &in);
    onnx_write_numbers(call, layer, "stride", factors, from->rank - 2);
    if (reach) { /* a product for each element that is read, and their sum */
        onnx_write_number(call, layer, "reach", reach);
        onnx_write_number(call, layer, "flops",
                          2 * (int64_t)pow(2 * (double)reach, (double)from->rank - 2) - 1);
    }
    onnx_write_gives(call, layer, 0, named);
    return true;
}

static bool onnx_window_unpool(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_window w;
    const int64_t *list;
    int64_t count;
    if (!onnx_window_read(call, &w, &x->shape, NULL))
        return false;
    for (uint32_t i = 0; i < w.axes; i++)
        w.out[i] = (x->shape.dims[2 + i] - 1) * w.stride[i] - w.low[i] - w.high[i] + w.kernel[i];
    struct onnx_shape shape = onnx_window_shape(&w, x->shape.dims[0], x->shape.dims[1]);
    if (onnx_call_in(call, 2)) {
        if (!onnx_call_numbers(call, 2, &count, &list))
            return false;
        if (count != shape.rank)
            return onnx_call_fail(call, "has %lld sizes for %u dimensions", (long long)count, shape.rank);
        memcpy(shape.dims, list, (size_t)count * sizeof *list);
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_window_roi(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *rois = onnx_call_in(call, 1);
    if (x->shape.rank != 4 || rois->shape.rank != 2)
        return onnx_call_fail(call, "needs a map and a list of regions");
    struct onnx_shape shape = {4,
                               {rois->shape.dims[0], x->shape.dims[1],
                                onnx_call_int(call, "output_height", 1),
                                onnx_call_int(call, "output_width", 1)}};
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_window_grid(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *grid = onnx_call_in(call, 1);
    if (x->shape.rank < 3 || grid->shape.rank != x->shape.rank)
        return onnx_call_fail(call, "needs a map and a grid of positions");
    struct onnx_shape shape = x->shape;
    for (uint32_t i = 2; i < shape.rank; i++)
        shape.dims[i] = grid->shape.dims[i - 1];
    return onnx_call_give(call, 0, x->type, &shape);
}

const struct onnx_operator onnx_window_operators[] = {
    {.kind = "Conv", .needed = 2, .infer = onnx_window_conv, .write = onnx_window_write_conv},
    {.kind = "ConvInteger",
     .needed = 2,
     .infer = onnx_window_conv,
     .write = onnx_window_write_conv,
     .settings = 12},
    {.kind = "QLinearConv",
     .needed = 8,
     .infer = onnx_window_conv,
     .write = onnx_window_write_conv,
     .settings = 0xf6},
    {.kind = "ConvTranspose", .needed = 2, .infer = onnx_window_transposed, .write = onnx_window_write_conv},
    {.kind = "MaxPool", .needed = 1, .infer = onnx_window_pool, .write = onnx_window_write_pool},
    {.kind = "AveragePool", .needed = 1, .infer = onnx_window_pool, .write = onnx_window_write_pool},
    {.kind = "LpPool", .needed = 1, .infer = onnx_window_pool, .write = onnx_window_write_pool},
    {.kind = "GlobalAveragePool",
     .needed = 1,
     .infer = onnx_window_global,
     .write = onnx_window_write_global},
    {.kind = "GlobalMaxPool", .needed = 1, .infer = onnx_window_global, .write = onnx_window_write_global},
    {.kind = "GlobalLpPool", .needed = 1, .infer = onnx_window_global, .write = onnx_window_write_global},
    {.kind = "MaxUnpool",
     .needed = 2,
     .infer = onnx_window_unpool,
     .write = onnx_write_rearranged,
     .settings = 4},
    {.kind = "Resize",
     .needed = 1,
     .infer = onnx_window_resize,
     .write = onnx_window_write_resize,
     .flops = 7,
     .settings = 14},
    {.kind = "Upsample",
     .needed = 1,
     .infer = onnx_window_resize,
     .write = onnx_window_write_resize,
     .settings = 14},
    {.kind = "RoiAlign", .needed = 3, .infer = onnx_window_roi, .write = onnx_write_rearranged, .flops = 28},
    {.kind = "GridSample",
     .needed = 2,
     .infer = onnx_window_grid,
     .write = onnx_write_rearranged,
     .flops = 7},
    {.kind = NULL},
};
