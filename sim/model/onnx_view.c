/* Onnx_view: operators that arrange or repeat the elements of one tensor without computing with them. */
#include "model/onnx_fold.h"
#include "model/onnx_operator.h"

#include <stdlib.h>

static bool onnx_view_identity(struct onnx_call *call)
{
    return onnx_call_give_alike(call, 0);
}

static bool onnx_view_reshape(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = {0};
    const int64_t *wanted;
    int64_t count, elements = onnx_file_elements(&x->shape), rest = 1;
    int open = -1;
    if (call->node->inputs.count > 1) {
        if (!onnx_call_numbers(call, 1, &count, &wanted))
            return false;
    } else {
        count = onnx_call_ints(call, "shape", &wanted);
    }
    if (count > ONNX_RANK)
        return onnx_call_fail(call, "wants more than %d dimensions", (int)ONNX_RANK);
    bool zero = onnx_call_int(call, "allowzero", 0) != 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t size = wanted[i];
        if (size == 0 && !zero && i < x->shape.rank)
            size = x->shape.dims[i];
        /* A shape that is fixed for the file's batch: each further sample is one more of the first. */
        if (i == 0 && call->infer->scale > 1 && x->shape.rank && size == call->infer->batch &&
            x->shape.dims[0] == size * call->infer->scale)
            size = x->shape.dims[0];
        if (size < -1 || (size == -1 && open >= 0))
            return onnx_call_fail(call, "wants a dimension of %lld", (long long)size);
        if (size == -1)
            open = (int)i;
        else if (size && rest > (INT64_C(1) << 60) / size)
            return onnx_call_fail(call, "wants a tensor of too many elements");
        else
            rest *= size;
        shape.dims[i] = size;
    }
    shape.rank = (uint32_t)count;
    if (open >= 0)
        shape.dims[open] = rest ? elements / rest : 0;
    if (onnx_file_elements(&shape) != elements)
        return onnx_call_fail(call, "makes %s of a tensor of %s",
                              onnx_call_describe(call->infer->arena, &shape),
                              onnx_call_describe(call->infer->arena, &x->shape));
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_view_flatten(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    int64_t axis = onnx_call_int(call, "axis", 1), rank = x->shape.rank;
    if (axis < -rank || axis > rank)
        return onnx_call_fail(call, "has axis %lld, but its input has %lld dimensions", (long long)axis,
                              (long long)rank);
    axis = axis < 0 ? axis + rank : axis;
    struct onnx_shape shape = {2, {1, 1}};
    for (int64_t i = 0; i < rank; i++)
        shape.dims[i >= axis] *= x->shape.dims[i];
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_view_squeeze(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = {0};
    uint32_t bits;
    if (!onnx_call_axes(call, 1, x->shape.rank, &bits))
        return false;
    bool any = bits || onnx_call_in(call, 1) || onnx_file_attribute(call->node, "axes");
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        bool away = any ? bits >> i & 1 : x->shape.dims[i] == 1;
        if (away && x->shape.dims[i] != 1)
            return onnx_call_fail(call, "removes dimension %u, which has size %lld", i,
                                  (long long)x->shape.dims[i]);
        if (!away)
            shape.dims[shape.rank++] = x->shape.dims[i];
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_view_unsqueeze(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *axes = onnx_call_in(call, 1);
    const int64_t *list;
    struct onnx_shape shape = {0};
    uint32_t bits, next = 0;
    int64_t count = axes ? onnx_file_elements(&axes->shape) : onnx_call_ints(call, "axes", &list);
    if (count + x->shape.rank > ONNX_RANK)
        return onnx_call_fail(call, "gives more than %d dimensions", (int)ONNX_RANK);
    shape.rank = x->shape.rank + (uint32_t)count;
    if (!onnx_call_axes(call, 1, shape.rank, &bits))
        return false;
    for (uint32_t i = 0; i < shape.rank; i++) {
        if (!(bits >> i & 1) && next == x->shape.rank)
            return onnx_call_fail(call, "names an axis twice");
        shape.dims[i] = bits >> i & 1 ? 1 : x->shape.dims[next++];
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_view_order(struct onnx_call *call, uint32_t order[ONNX_RANK])
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    const int64_t *list;
    uint32_t count = onnx_call_ints(call, "perm", &list), rank = x->shape.rank, seen = 0;
    for (uint32_t i = 0; i < rank; i++) {
        int64_t axis = count ? (i < count ? list[i] : -1) : (int64_t)(rank - 1 - i);
        if (axis < 0 || axis >= rank || (count && count != rank) || seen >> axis & 1)
            return onnx_call_fail(call, "has a `perm` that is no order of %u dimensions", rank);
        seen |= 1u << axis;
        order[i] = (uint32_t)axis;
    }
    return true;
}

static bool onnx_view_transpose(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = {.rank = x->shape.rank};
    uint32_t order[ONNX_RANK];
    if (!onnx_view_order(call, order))
        return false;
    for (uint32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = x->shape.dims[order[i]];
    return onnx_call_give(call, 0, x->type, &shape);
}

static void onnx_view_fold_transpose(struct onnx_call *call)
{
    int64_t strides[ONNX_RANK], step[ONNX_RANK];
    uint32_t order[ONNX_RANK];
    onnx_view_order(call, order);
    onnx_fold_strides(&onnx_call_in(call, 0)->shape, strides);
    for (uint32_t i = 0; i < onnx_call_in(call, 0)->shape.rank; i++)
        step[i] = strides[order[i]];
    onnx_fold_steps(call, 0, step);
}

static bool onnx_view_write_transpose(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    uint32_t order[ONNX_RANK];
    const char *labels[ONNX_RANK], *text = "";
    onnx_view_order(call, order);
    struct value *layer = onnx_write_layer(call, "transpose", "");
    onnx_write_from(call, layer, x);
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        labels[i] = x->labels[order[i]];
        text = arena_format(call->infer->arena, "%s%s%s", text, i ? " " : "", labels[i]);
    }
    onnx_write_text(call, layer, "order", text);
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

static bool onnx_view_expand(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape;
    if (!onnx_call_shape(call, 1, &shape))
        return false;
    if (call->infer->scale > 1 && shape.rank == x->shape.rank && shape.rank && shape.dims[0] > 1 &&
        x->shape.dims[0] == shape.dims[0] * call->infer->scale)
        shape.dims[0] = x->shape.dims[0];
    return onnx_call_broadcast(call, &shape, &x->shape) && onnx_call_give(call, 0, x->type, &shape);
}

static void onnx_view_fold_expand(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *out = onnx_call_out(call, 0);
    int64_t strides[ONNX_RANK], step[ONNX_RANK];
    onnx_fold_strides(&x->shape, strides);
    for (uint32_t i = 0; i < out->shape.rank; i++) {
        uint32_t lack = out->shape.rank - x->shape.rank;
        step[i] = i < lack || x->shape.dims[i - lack] == 1 ? 0 : strides[i - lack];
    }
    onnx_fold_steps(call, 0, step);
}

static bool onnx_view_tile(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    const int64_t *list;
    int64_t count;
    if (!onnx_call_numbers(call, 1, &count, &list))
        return false;
    if (count != shape.rank)
        return onnx_call_fail(call, "repeats %lld dimensions, but its input has %u", (long long)count,
                              shape.rank);
    for (uint32_t i = 0; i < shape.rank; i++) {
        if (list[i] < 0 || (shape.dims[i] && list[i] > (INT64_C(1) << 60) / shape.dims[i]))
            return onnx_call_fail(call, "repeats a dimension %lld times", (long long)list[i]);
        shape.dims[i] *= list[i];
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_view_pad(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    const int64_t *list, *axes;
    int64_t count, axis_count = 0;
    if (call->node->inputs.count > 1) {
        if (!onnx_call_numbers(call, 1, &count, &list) || !onnx_call_numbers(call, 3, &axis_count, &axes))
            return false;
    } else if (!(count = onnx_call_ints(call, "pads", &list))) {
        count = onnx_call_ints(call, "paddings", &list);
    }
    int64_t some = axis_count ? axis_count : shape.rank;
    if (count != 2 * some)
        return onnx_call_fail(call, "has %lld pads for %lld dimensions", (long long)count, (long long)some);
    for (int64_t i = 0; i < some; i++) {
        uint32_t axis = (uint32_t)i;
        if (axis_count && !onnx_call_axis(call, axes[i], shape.rank, &axis))
            return false;
        if (llabs(list[i]) > 1 << 30 || llabs(list[some + i]) > 1 << 30)
            return onnx_call_fail(call, "pads by more than 2^30");
        shape.dims[axis] += list[i] + list[some + i];
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_view_space(struct onnx_call *call) /* DepthToSpace and back */
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    int64_t block = onnx_call_int(call, "blocksize", 0);
    bool deeper = call->node->kind[0] == 'S';
    if (shape.rank != 4 || block < 1 || block > 1 << 15 || (!deeper && shape.dims[1] % (block * block)) ||
        (deeper && (shape.dims[2] % block || shape.dims[3] % block)))
        return onnx_call_fail(call, "has blocks of %lld, which do not fit its input of %s", (long long)block,
                              onnx_call_describe(call->infer->arena, &shape));
    shape.dims[1] = deeper ? shape.dims[1] * block * block : shape.dims[1] / (block * block);
    for (int i = 2; i < 4; i++)
        shape.dims[i] = deeper ? shape.dims[i] / block : shape.dims[i] * block;
    return onnx_call_give(call, 0, x->type, &shape);
}

/* Labels of a view: dimensions that both shapes have keep theirs; one that is cut into two gives g and d,
 * two that are joined give h. */
static void onnx_view_labels(struct onnx_call *call, const struct onnx_value *x, const struct onnx_value *out,
                             const char **labels)
{
    uint32_t i = 0, o = 0;
    while (o < out->shape.rank) {
        int64_t size = out->shape.dims[o], in = i < x->shape.rank ? x->shape.dims[i] : 0;
        const char *wanted = size == 1 ? "u" : "h";
        if (i < x->shape.rank && in == size) {
            wanted = x->labels[i++];
        } else if (in == 1 && i + 1 < x->shape.rank) {
            i++;
            continue;
        } else if (size != 1 && in > size) { /* cut */
            int64_t rest = in / size;
            wanted = "g";
            labels[o] = onnx_write_fresh(call, labels, o, wanted);
            for (o++; o < out->shape.rank && rest > 1 && out->shape.dims[o] <= rest; o++) {
                rest /= out->shape.dims[o];
                labels[o] = onnx_write_fresh(call, labels, o, rest > 1 ? "r" : "d");
            }
            i++;
            continue;
        } else if (size != 1 && in) { /* joined */
            int64_t product = 1;
            while (i < x->shape.rank && product < size)
                product *= x->shape.dims[i++];
        }
        labels[o] = onnx_write_fresh(call, labels, o, wanted);
        o++;
    }
}

static bool onnx_view_write(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0), *out = onnx_call_out(call, 0);
    const char *labels[ONNX_RANK];
    struct value *layer = onnx_write_layer(call, "reshape", "");
    onnx_write_from(call, layer, x);
    onnx_view_labels(call, x, out, labels);
    onnx_write_dims(call, layer, "dims", out, labels);
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

const struct onnx_operator onnx_view_operators[] = {
    {.kind = "Identity",
     .needed = 1,
     .infer = onnx_view_identity,
     .fold = onnx_fold_same,
     .rearranges = true},
    {.kind = "Reshape",
     .needed = 1,
     .infer = onnx_view_reshape,
     .write = onnx_view_write,
     .fold = onnx_fold_same,
     .settings = 2,
     .rearranges = true},
    {.kind = "Flatten",
     .needed = 1,
     .infer = onnx_view_flatten,
     .write = onnx_view_write,
     .fold = onnx_fold_same,
     .rearranges = true},
    {.kind = "Squeeze",
     .needed = 1,
     .infer = onnx_view_squeeze,
     .write = onnx_view_write,
     .fold = onnx_fold_same,
     .settings = 2,
     .rearranges = true},
    {.kind = "Unsqueeze",
     .needed = 1,
     .infer = onnx_view_unsqueeze,
     .write = onnx_view_write,
     .fold = onnx_fold_same,
     .settings = 2,
     .rearranges = true},
    {.kind = "Transpose",
     .needed = 1,
     .infer = onnx_view_transpose,
     .write = onnx_view_write_transpose,
     .fold = onnx_view_fold_transpose,
     .rearranges = true},
    {.kind = "Expand",
     .needed = 2,
     .infer = onnx_view_expand,
     .write = onnx_write_rearranged,
     .fold = onnx_view_fold_expand,
     .settings = 2},
    {.kind = "Tile", .needed = 2, .infer = onnx_view_tile, .write = onnx_write_rearranged, .settings = 6},
    {.kind = "Pad", .needed = 1, .infer = onnx_view_pad, .write = onnx_write_rearranged, .settings = 14},
    {.kind = "DepthToSpace", .needed = 1, .infer = onnx_view_space, .write = onnx_write_rearranged},
    {.kind = "SpaceToDepth", .needed = 1, .infer = onnx_view_space, .write = onnx_write_rearranged},
    {.kind = NULL},
};
