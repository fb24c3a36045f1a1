/* Onnx_select: operators that keep as much of their input as its numbers decide. Where these are known (a
 * shape computation) so is the size; else the most that can be counts, and a warning says so. */
#include "model/onnx_operator.h"

#include <string.h>

/* Says that a size is the most that can be. */
static void onnx_select_most(struct onnx_call *call, const char *what, int64_t most)
{
    const struct onnx_node *node = call->node;
    const char *name = *node->name ? node->name : node->outputs.count ? node->outputs.at[0] : "";
    if (!call->infer->repeated)
        report_warning(
            call->infer->report, (struct place){call->infer->values.at[0].name, 0, 0},
            "node %u '%s' (%s): how much it keeps is known only when it runs; the most that can be counts, "
            "%lld %s",
            node->origin, name, node->kind, (long long)most, what);
}

/* [rank, places] of the elements that are not 0. */
static bool onnx_select_non_zero(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    int64_t elements = onnx_file_elements(&x->shape), count = 0, rank = x->shape.rank ? x->shape.rank : 1;
    if (!x->known)
        onnx_select_most(call, "places", elements);
    for (int64_t i = 0; x->known && i < elements; i++)
        count += x->known[i] != 0;
    return onnx_call_give(call, 0, ONNX_INT64, &(struct onnx_shape){2, {rank, x->known ? count : elements}});
}

static void onnx_select_fold_non_zero(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *out = onnx_call_out(call, 0);
    int64_t count = out->shape.dims[1], elements = onnx_file_elements(&x->shape), at = 0;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)(count * out->shape.dims[0]) + 1);
    for (int64_t k = 0; k < elements; k++) {
        if (x->known[k] == 0)
            continue;
        int64_t rest = k;
        for (uint32_t i = x->shape.rank; i-- > 0; rest /= x->shape.dims[i])
            numbers[i * count + at] = (double)(rest % x->shape.dims[i]);
        at++;
    }
    onnx_call_know(call, 0, numbers);
}

/* [boxes kept, 3] of boxes [batch, boxes, 4] and scores [batch, classes, boxes]. */
static bool onnx_select_boxes(struct onnx_call *call)
{
    const struct onnx_value *boxes = onnx_call_in(call, 0), *scores = onnx_call_in(call, 1),
                            *limit = onnx_call_in(call, 2);
    if (boxes->shape.rank != 3 || scores->shape.rank != 3 || boxes->shape.dims[1] != scores->shape.dims[2])
        return onnx_call_fail(call, "has boxes of %s and scores of %s, which do not fit each other",
                              onnx_call_describe(call->infer->arena, &boxes->shape),
                              onnx_call_describe(call->infer->arena, &scores->shape));
    int64_t each = boxes->shape.dims[1];
    if (limit && limit->known && limit->known[0] < (double)each)
        each = onnx_call_whole(limit->known[0]);
    struct onnx_shape shape = {2, {scores->shape.dims[0] * scores->shape.dims[1] * (each > 0 ? each : 0), 3}};
    onnx_select_most(call, "boxes", shape.dims[0]);
    return onnx_call_give(call, 0, ONNX_INT64, &shape);
}

/* Slices along an axis, or of all elements as a list, for which a list says true. */
static bool onnx_select_compress(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *keep = onnx_call_in(call, 1);
    struct onnx_shape shape = {1, {onnx_file_elements(&x->shape)}};
    int64_t given = onnx_file_elements(&keep->shape), count = 0;
    uint32_t axis = 0;
    if (onnx_file_attribute(call->node, "axis")) {
        shape = x->shape;
        if (!onnx_call_axis(call, onnx_call_int(call, "axis", 0), shape.rank, &axis))
            return false;
    }
    for (int64_t i = 0; keep->known && i < given && i < shape.dims[axis]; i++)
        count += keep->known[i] != 0;
    int64_t most = given < shape.dims[axis] ? given : shape.dims[axis];
    if (!keep->known)
        onnx_select_most(call, "slices", most);
    shape.dims[axis] = keep->known ? count : most;
    return onnx_call_give(call, 0, x->type, &shape);
}

/* Distinct slices, their first places, where each went, and how many there were. */
static bool onnx_select_unique(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = {1, {onnx_file_elements(&x->shape)}};
    uint32_t axis = 0;
    if (onnx_file_attribute(call->node, "axis")) {
        shape = x->shape;
        if (!onnx_call_axis(call, onnx_call_int(call, "axis", 0), shape.rank, &axis))
            return false;
    }
    struct onnx_shape list = {1, {shape.dims[axis]}};
    onnx_select_most(call, "slices", list.dims[0]);
    return onnx_call_give(call, 0, x->type, &shape) && onnx_call_give(call, 1, ONNX_INT64, &list) &&
           onnx_call_give(call, 2, ONNX_INT64, &list) && onnx_call_give(call, 3, ONNX_INT64, &list);
}

const struct onnx_operator onnx_select_operators[] = {
    {.kind = "NonZero",
     .needed = 1,
     .infer = onnx_select_non_zero,
     .write = onnx_write_rearranged,
     .fold = onnx_select_fold_non_zero,
     .flops = 1},
    {.kind = "NonMaxSuppression",
     .needed = 2,
     .infer = onnx_select_boxes,
     .write = onnx_write_rearranged,
     .flops = 16,
     .settings = 28},
    {.kind = "Compress", .needed = 2, .infer = onnx_select_compress, .write = onnx_write_rearranged},
    {.kind = "Unique", .needed = 1, .infer = onnx_select_unique, .write = onnx_write_rearranged, .flops = 8},
    {.kind = NULL},
};
