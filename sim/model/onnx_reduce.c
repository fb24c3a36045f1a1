/* Onnx_reduce: reductions, normalisations and softmax: what sums or compares along dimensions. */
#include "model/onnx_operator.h"

#include <string.h>

/* The axes of a reduction as bits: an attribute, or input 1; all when there are none. */
static bool onnx_reduce_axes(struct onnx_call *call, uint32_t *bits)
{
    uint32_t rank = onnx_call_in(call, 0)->shape.rank;
    if (!onnx_call_axes(call, 1, rank, bits))
        return false;
    if (!*bits && !onnx_call_int(call, "noop_with_empty_axes", 0))
        *bits = (1u << rank) - 1;
    return true;
}

static bool onnx_reduce_give(struct onnx_call *call, uint32_t bits, int64_t type)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    bool keep = onnx_call_int(call, "keepdims", 1) != 0;
    struct onnx_shape shape = {0};
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        if (!(bits >> i & 1))
            shape.dims[shape.rank++] = x->shape.dims[i];
        else if (keep)
            shape.dims[shape.rank++] = 1;
    }
    return onnx_call_give(call, 0, type, &shape);
}

static bool onnx_reduce_infer(struct onnx_call *call)
{
    uint32_t bits;
    return onnx_reduce_axes(call, &bits) && onnx_reduce_give(call, bits, onnx_call_in(call, 0)->type);
}

static bool onnx_reduce_infer_arg(struct onnx_call *call)
{
    uint32_t axis;
    return onnx_call_axis(call, onnx_call_int(call, "axis", 0), onnx_call_in(call, 0)->shape.rank, &axis) &&
           onnx_reduce_give(call, 1u << axis, ONNX_INT64);
}

/* Of a list to one number: how many elements a shape has. */
static void onnx_reduce_fold(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *out = onnx_call_out(call, 0);
    int64_t count = onnx_file_elements(&x->shape);
    double *number = ARENA_NEW(call->infer->arena, double);
    if (!call->rules->apply || onnx_file_elements(&out->shape) != 1 || count < 1)
        return;
    *number = x->known[0];
    for (int64_t i = 1; i < count; i++)
        *number = call->rules->apply(*number, x->known[i]);
    onnx_call_know(call, 0, number);
}

static double onnx_reduce_times(double a, double b)
{
    return a * b;
}
static double onnx_reduce_plus(double a, double b)
{
    return a + b;
}
static double onnx_reduce_most(double a, double b)
{
    return a > b ? a : b;
}
static double onnx_reduce_least(double a, double b)
{
    return a < b ? a : b;
}

static bool onnx_reduce_write(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    const struct onnx_value *out = onnx_call_out(call, 0);
    const char *labels[ONNX_RANK], *over = "";
    bool keep = onnx_call_int(call, "keepdims", 1) != 0;
    uint32_t bits = 0, rank = 0, axis;
    if (strncmp(call->node->kind, "Arg", 3) == 0) {
        onnx_call_axis(call, onnx_call_int(call, "axis", 0), x->shape.rank, &axis);
        bits = 1u << axis;
    } else {
        onnx_reduce_axes(call, &bits);
    }
    if (!bits)
        return onnx_write_rearranged(call);
    struct value *layer = onnx_write_layer(call, "reduce", "");
    onnx_write_from(call, layer, x);
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        if (bits >> i & 1)
            over = arena_format(call->infer->arena, "%s%s%s", over, *over ? " " : "", x->labels[i]);
        if (keep || !(bits >> i & 1))
            labels[rank++] = x->labels[i];
    }
    (void)out;
    onnx_write_text(call, layer, "over", over);
    bool extreme = strstr(call->node->kind, "Max") || strstr(call->node->kind, "Min");
    onnx_write_text(call, layer, "op", extreme ? "max" : "sum");
    if (keep)
        onnx_write_text(call, layer, "keep", "yes");
    if (call->rules->flops != 1)
        onnx_write_number(call, layer, "flops", (int64_t)call->rules->flops);
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

/* ---- softmax ---- */

static bool onnx_reduce_softmax(struct onnx_call *call)
{
    uint32_t axis, rank = onnx_call_in(call, 0)->shape.rank;
    int64_t otherwise = call->infer->file->opset >= 13 ? -1 : 1;
    if (rank && !onnx_call_axis(call, onnx_call_int(call, "axis", rank == 1 ? 0 : otherwise), rank, &axis))
        return false;
    return onnx_call_give_alike(call, 0);
}

static bool onnx_reduce_write_softmax(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    uint32_t axis = 0;
    int64_t otherwise = call->infer->file->opset >= 13 ? -1 : 1;
    if (!x->shape.rank)
        return onnx_write_rearranged(call);
    onnx_call_axis(call, onnx_call_int(call, "axis", x->shape.rank == 1 ? 0 : otherwise), x->shape.rank,
                   &axis);
    struct value *layer = onnx_write_layer(call, "softmax", "");
    onnx_write_from(call, layer, x);
    onnx_write_text(call, layer, "over", x->labels[axis]);
    onnx_write_gives(call, layer, 0, x->labels);
    return true;
}

/* ---- normalisation ---- */

static bool onnx_reduce_alike(struct onnx_call *call)
{
    return onnx_call_give_alike(call, 0);
}

/* Training gives the statistics too: one number per channel. */
static bool onnx_reduce_batch(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    if (!onnx_call_give_alike(call, 0))
        return false;
    for (uint32_t i = 1; i < call->node->outputs.count; i++)
        if (!onnx_call_give(call, i, x->type, &onnx_call_in(call, 1)->shape))
            return false;
    return true;
}

static bool onnx_reduce_layer(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    uint32_t axis;
    if (!onnx_call_axis(call, onnx_call_int(call, "axis", -1), shape.rank, &axis))
        return false;
    for (uint32_t i = axis; i < shape.rank; i++)
        shape.dims[i] = 1;
    return onnx_call_give_alike(call, 0) && onnx_call_give(call, 1, ONNX_FLOAT, &shape) &&
           onnx_call_give(call, 2, ONNX_FLOAT, &shape);
}

static bool onnx_reduce_is_rms(const struct onnx_call *call)
{
    return strcmp(call->node->kind, "RMSNormalization") == 0 ||
           strcmp(call->node->kind, "SimplifiedLayerNormalization") == 0;
}

/* Scale and shift of a norm in YAML: weights of its own, or further layers. */
static void onnx_reduce_affine(struct onnx_call *call, struct value *layer)
{
    struct onnx_value *scale = onnx_call_in(call, 1), *shift = onnx_call_in(call, 2);
    bool own = onnx_write_is_own(call, scale);
    if (!own)
        onnx_write_text(call, layer, "affine", "no");
    else
        onnx_write_owns(call, scale);
    if (own && shift && onnx_write_is_own(call, shift))
        onnx_write_owns(call, shift);
    else if (own && !onnx_reduce_is_rms(call))
        onnx_write_text(call, layer, "bias", "no");
}

/* Labels of x from `first` on, as a list. */
static void onnx_reduce_over(struct onnx_call *call, struct value *layer, const struct onnx_value *x,
                             uint32_t skip_bits)
{
    struct arena *arena = call->infer->arena;
    struct value *list = value_new(arena, layer->place, VALUE_LIST);
    for (uint32_t i = 0; i < x->shape.rank; i++)
        if (!(skip_bits >> i & 1))
            value_append(arena, list, value_new_scalar(arena, layer->place, x->labels[i], false));
    value_put(arena, layer, "over", layer->place, list);
}

static bool onnx_reduce_write_batch(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    bool instance = strcmp(call->node->kind, "InstanceNormalization") == 0;
    struct value *layer = onnx_write_layer(call, "norm", "");
    onnx_write_from(call, layer, x);
    onnx_write_text(call, layer, "type", instance ? "instance" : "batch");
    onnx_reduce_over(call, layer, x, instance ? 3 : 2);
    onnx_reduce_affine(call, layer);
    for (uint32_t i = 3; !instance && i < 5; i++)
        onnx_write_statistics(call, onnx_call_in(call, i));
    onnx_write_gives(call, layer, 0, x->labels);
    return true;
}

static bool onnx_reduce_write_layer(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    uint32_t axis = 0;
    onnx_call_axis(call, onnx_call_int(call, "axis", -1), x->shape.rank, &axis);
    struct value *layer = onnx_write_layer(call, "norm", "");
    onnx_write_from(call, layer, x);
    onnx_write_text(call, layer, "type", onnx_reduce_is_rms(call) ? "rms" : "layer");
    onnx_reduce_over(call, layer, x, (1u << axis) - 1);
    onnx_reduce_affine(call, layer);
    onnx_write_gives(call, layer, 0, x->labels);
    return true;
}

static bool onnx_reduce_write_lrn(struct onnx_call *call)
{
    static const char *const labels[] = {"b", "c", "y", "x"};
    struct onnx_value *x = onnx_call_in(call, 0);
    if (x->shape.rank != 4)
        return onnx_write_rearranged(call);
    struct onnx_value in = onnx_write_labelled(call, x, labels, "input");
    struct value *layer = onnx_write_layer(call, "norm", "");
    onnx_write_from(call, layer, &in);
    onnx_write_text(call, layer, "type", "lrn");
    onnx_write_number(call, layer, "size", onnx_call_int(call, "size", 5));
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

#define REDUCE(name, number, function)                                                                       \
    {                                                                                                        \
        .kind = name, .needed = 1, .infer = onnx_reduce_infer, .write = onnx_reduce_write,                   \
        .fold = onnx_reduce_fold, .apply = function, .flops = number, .settings = 2                          \
    }

const struct onnx_operator onnx_reduce_operators[] = {
    REDUCE("ReduceSum", 1, onnx_reduce_plus),
    REDUCE("ReduceMean", 1, NULL),
    REDUCE("ReduceMax", 1, onnx_reduce_most),
    REDUCE("ReduceMin", 1, onnx_reduce_least),
    REDUCE("ReduceProd", 1, onnx_reduce_times),
    REDUCE("ReduceL1", 2, NULL),
    REDUCE("ReduceL2", 2, NULL),
    REDUCE("ReduceLogSum", 1, NULL),
    REDUCE("ReduceLogSumExp", 5, NULL),
    REDUCE("ReduceSumSquare", 2, NULL),
    {.kind = "ArgMax", .needed = 1, .infer = onnx_reduce_infer_arg, .write = onnx_reduce_write, .flops = 1},
    {.kind = "ArgMin", .needed = 1, .infer = onnx_reduce_infer_arg, .write = onnx_reduce_write, .flops = 1},
    {.kind = "Softmax", .needed = 1, .infer = onnx_reduce_softmax, .write = onnx_reduce_write_softmax},
    {.kind = "LogSoftmax", .needed = 1, .infer = onnx_reduce_softmax, .write = onnx_reduce_write_softmax},
    {.kind = "Hardmax", .needed = 1, .infer = onnx_reduce_softmax, .write = onnx_reduce_write_softmax},
    {.kind = "BatchNormalization", .needed = 5, .infer = onnx_reduce_batch, .write = onnx_reduce_write_batch},
    {.kind = "InstanceNormalization",
     .needed = 3,
     .infer = onnx_reduce_alike,
     .write = onnx_reduce_write_batch},
    {.kind = "LayerNormalization", .needed = 2, .infer = onnx_reduce_layer, .write = onnx_reduce_write_layer},
    {.kind = "RMSNormalization", .needed = 2, .infer = onnx_reduce_layer, .write = onnx_reduce_write_layer},
    {.kind = "SimplifiedLayerNormalization",
     .needed = 2,
     .infer = onnx_reduce_layer,
     .write = onnx_reduce_write_layer},
    {.kind = "GroupNormalization",
     .needed = 3,
     .infer = onnx_reduce_alike,
     .write = onnx_write_rearranged,
     .flops = 8},
    {.kind = "LRN", .needed = 1, .infer = onnx_reduce_alike, .write = onnx_reduce_write_lrn},
    {.kind = "LpNormalization",
     .needed = 1,
     .infer = onnx_reduce_alike,
     .write = onnx_write_rearranged,
     .flops = 4},
    {.kind = "MeanVarianceNormalization",
     .needed = 1,
     .infer = onnx_reduce_alike,
     .write = onnx_write_rearranged,
     .flops = 8},
    {.kind = NULL},
};
