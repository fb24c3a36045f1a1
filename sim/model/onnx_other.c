/* Onnx_other: sorting, scattering, random numbers, losses and signals: their shapes, and their work as point-
 * wise work over their outputs. */
#include "model/onnx_operator.h"

#include <string.h>

static bool onnx_other_alike(struct onnx_call *call)
{
    return onnx_call_give_alike(call, 0);
}

static bool onnx_other_top(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    const int64_t *list;
    int64_t count, k = onnx_call_int(call, "k", -1);
    uint32_t axis;
    if (!onnx_call_axis(call, onnx_call_int(call, "axis", -1), shape.rank, &axis))
        return false;
    if (onnx_call_in(call, 1)) {
        if (!onnx_call_numbers(call, 1, &count, &list))
            return false;
        k = count == 1 ? list[0] : -1;
    }
    if (k < 0 || k > shape.dims[axis])
        return onnx_call_fail(call, "picks %lld of %lld elements", (long long)k, (long long)shape.dims[axis]);
    shape.dims[axis] = k;
    return onnx_call_give(call, 0, x->type, &shape) && onnx_call_give(call, 1, ONNX_INT64, &shape);
}

static bool onnx_other_one_hot(struct onnx_call *call)
{
    const struct onnx_value *at = onnx_call_in(call, 0);
    struct onnx_shape shape = {.rank = at->shape.rank + 1};
    const int64_t *depth;
    int64_t count;
    uint32_t axis;
    if (shape.rank > ONNX_RANK)
        return onnx_call_fail(call, "gives more than %d dimensions", (int)ONNX_RANK);
    if (!onnx_call_numbers(call, 1, &count, &depth) ||
        !onnx_call_axis(call, onnx_call_int(call, "axis", -1), shape.rank, &axis))
        return false;
    if (count != 1)
        return onnx_call_fail(call, "has a depth that is no number");
    for (uint32_t i = 0, k = 0; i < shape.rank; i++)
        shape.dims[i] = i == axis ? depth[0] : at->shape.dims[k++];
    return onnx_call_give(call, 0, onnx_call_in(call, 2)->type, &shape);
}

/* Losses: reduced to a number, or one per position: the scores without their classes. */
static bool onnx_other_loss(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *target = onnx_call_in(call, 1);
    bool kept = strcmp(onnx_call_text(call, "reduction", "mean"), "none") == 0;
    struct onnx_shape scalar = {0};
    return onnx_call_give(call, 0, x->type, kept ? &target->shape : &scalar) &&
           onnx_call_give(call, 1, x->type, &x->shape);
}

static bool onnx_other_random(struct onnx_call *call)
{
    const int64_t *list;
    struct onnx_shape shape = {.rank = onnx_call_ints(call, "shape", &list)};
    if (shape.rank > ONNX_RANK)
        return onnx_call_fail(call, "gives more than %d dimensions", (int)ONNX_RANK);
    if (shape.rank)
        memcpy(shape.dims, list, shape.rank * sizeof *list);
    return onnx_call_give(call, 0, onnx_call_int(call, "dtype", ONNX_FLOAT), &shape);
}

static bool onnx_other_random_like(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    return onnx_call_give(call, 0, onnx_call_int(call, "dtype", x->type), &x->shape);
}

static bool onnx_other_window(struct onnx_call *call)
{
    const int64_t *size;
    int64_t count;
    if (!onnx_call_numbers(call, 0, &count, &size))
        return false;
    if (count != 1)
        return onnx_call_fail(call, "has a size that is no number");
    return onnx_call_give(call, 0, onnx_call_int(call, "output_datatype", ONNX_FLOAT),
                          &(struct onnx_shape){1, {size[0]}});
}

static bool onnx_other_mel(struct onnx_call *call)
{
    const int64_t *bins, *length;
    int64_t count, other;
    if (!onnx_call_numbers(call, 0, &count, &bins) || !onnx_call_numbers(call, 1, &other, &length))
        return false;
    if (count != 1 || other != 1)
        return onnx_call_fail(call, "has sizes that are no numbers");
    return onnx_call_give(call, 0, onnx_call_int(call, "output_datatype", ONNX_FLOAT),
                          &(struct onnx_shape){2, {length[0] / 2 + 1, bins[0]}});
}

static bool onnx_other_dft(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    const int64_t *length;
    int64_t count;
    uint32_t axis;
    if (!onnx_call_axis(call, onnx_call_int(call, "axis", 1), shape.rank, &axis) ||
        !onnx_call_numbers(call, 1, &count, &length))
        return false;
    if (count)
        shape.dims[axis] = length[0];
    if (onnx_call_int(call, "onesided", 0))
        shape.dims[axis] = shape.dims[axis] / 2 + 1;
    shape.dims[shape.rank - 1] = 2;
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_other_stft(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *window = onnx_call_in(call, 2);
    const int64_t *step, *length;
    int64_t count, other;
    if (!onnx_call_numbers(call, 1, &count, &step) || !onnx_call_numbers(call, 3, &other, &length))
        return false;
    int64_t frame = other ? length[0] : window && window->shape.rank ? window->shape.dims[0] : 0;
    if (count != 1 || step[0] < 1 || x->shape.rank < 2 || frame < 1 || frame > x->shape.dims[1])
        return onnx_call_fail(call, "has frames that do not fit its input");
    int64_t bins = onnx_call_int(call, "onesided", 1) ? frame / 2 + 1 : frame;
    struct onnx_shape shape = {4, {x->shape.dims[0], (x->shape.dims[1] - frame) / step[0] + 1, bins, 2}};
    return onnx_call_give(call, 0, x->type, &shape);
}

#define ALIKE(name, needs, number)                                                                           \
    {                                                                                                        \
        .kind = name, .needed = needs, .infer = onnx_other_alike, .write = onnx_write_rearranged,            \
        .flops = number                                                                                      \
    }
#define OTHER(name, needs, function, number, bits)                                                           \
    {                                                                                                        \
        .kind = name, .needed = needs, .infer = function, .write = onnx_write_rearranged, .flops = number,   \
        .settings = bits                                                                                     \
    }

const struct onnx_operator onnx_other_operators[] = {
    ALIKE("CumSum", 2, 1),
    ALIKE("Scatter", 3, 1),
    ALIKE("ScatterElements", 3, 1),
    ALIKE("ScatterND", 3, 1),
    ALIKE("ReverseSequence", 2, 0),
    ALIKE("Trilu", 1, 0),
    OTHER("RotaryEmbedding", 3, onnx_other_alike, 3, 14),
    OTHER("EyeLike", 1, onnx_other_random_like, 0, 0),
    OTHER("TopK", 1, onnx_other_top, 4, 2),
    OTHER("OneHot", 3, onnx_other_one_hot, 0, 6),
    OTHER("NegativeLogLikelihoodLoss", 2, onnx_other_loss, 2, 0),
    OTHER("SoftmaxCrossEntropyLoss", 2, onnx_other_loss, 8, 0),
    OTHER("RandomNormal", 0, onnx_other_random, 8, 0),
    OTHER("RandomUniform", 0, onnx_other_random, 8, 0),
    OTHER("RandomNormalLike", 1, onnx_other_random_like, 8, 0),
    OTHER("RandomUniformLike", 1, onnx_other_random_like, 8, 0),
    OTHER("HannWindow", 1, onnx_other_window, 4, 1),
    OTHER("HammingWindow", 1, onnx_other_window, 4, 1),
    OTHER("BlackmanWindow", 1, onnx_other_window, 8, 1),
    OTHER("MelWeightMatrix", 5, onnx_other_mel, 4, 31),
    OTHER("DFT", 1, onnx_other_dft, 10, 2),
    OTHER("STFT", 2, onnx_other_stft, 10, 10),
    {.kind = NULL},
};
