/* Onnx_view: operators that rearrange, select, repeat or make numbers without computing with them; most of a
 * shape computation. */
#include "model/onnx_operator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *onnx_view_numbers(struct onnx_call *call, const struct onnx_value *out)
{
    return ARENA_ARRAY(call->infer->arena, double, (size_t)onnx_file_elements(&out->shape) + 1);
}

/* The strides of a shape's dimensions, in elements. */
static void onnx_view_strides(const struct onnx_shape *shape, int64_t strides[ONNX_RANK])
{
    int64_t stride = 1;
    for (uint32_t i = shape->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

/* The same numbers in the same order. */
static void onnx_view_fold_same(struct onnx_call *call)
{
    onnx_call_know(call, 0, onnx_call_in(call, 0)->known);
}

/* Output element at place p is the input element at the sum of p[i]·step[i], from `start`. */
static void onnx_view_fold_steps(struct onnx_call *call, int64_t start, const int64_t *step)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *out = onnx_call_out(call, 0);
    double *numbers = onnx_view_numbers(call, out);
    int64_t count = onnx_file_elements(&out->shape);
    for (int64_t k = 0; k < count; k++) {
        int64_t at = start, rest = k;
        for (uint32_t i = out->shape.rank; i-- > 0; rest /= out->shape.dims[i])
            at += rest % out->shape.dims[i] * step[i];
        numbers[k] = x->known[at];
    }
    onnx_call_know(call, 0, numbers);
}

/* ---- Constant, Shape, Size ---- */

static bool onnx_view_constant(struct onnx_call *call)
{
    const struct onnx_attribute *value = onnx_file_attribute(call->node, "value");
    struct onnx_shape shape = {0};
    double *number = ARENA_NEW(call->infer->arena, double);
    if (value && value->t) {
        onnx_call_know(call, 0, onnx_file_numbers(call->infer->arena, value->t));
        return onnx_call_give(call, 0, value->t->type, &value->t->shape);
    }
    const struct onnx_attribute *one = onnx_file_attribute(call->node, "value_int"),
                                *real = onnx_file_attribute(call->node, "value_float");
    if (one || real) {
        *number = one ? (double)one->i : real->f;
        onnx_call_know(call, 0, number);
        return onnx_call_give(call, 0, one ? ONNX_INT64 : ONNX_FLOAT, &shape);
    }
    const struct onnx_attribute *ints = onnx_file_attribute(call->node, "value_ints"),
                                *reals = onnx_file_attribute(call->node, "value_floats");
    shape.rank = 1;
    if (ints || reals) {
        shape.dims[0] = ints ? ints->ints.count : reals->floats.count;
        number = ARENA_ARRAY(call->infer->arena, double, (size_t)shape.dims[0] + 1);
        for (int64_t i = 0; i < shape.dims[0]; i++)
            number[i] = ints ? (double)ints->ints.at[i] : reals->floats.at[i];
        onnx_call_know(call, 0, number);
        return onnx_call_give(call, 0, ints ? ONNX_INT64 : ONNX_FLOAT, &shape);
    }
    if (onnx_file_attribute(call->node, "value_string"))
        return onnx_call_give(call, 0, ONNX_STRING, &(struct onnx_shape){0});
    const struct onnx_attribute *strings = onnx_file_attribute(call->node, "value_strings");
    if (strings) {
        shape.dims[0] = strings->string_count;
        return onnx_call_give(call, 0, ONNX_STRING, &shape);
    }
    return onnx_call_fail(call, "has no value of a kind that is known");
}

static bool onnx_view_shape(struct onnx_call *call)
{
    const struct onnx_shape *x = &onnx_call_in(call, 0)->shape;
    int64_t rank = x->rank, start = onnx_call_int(call, "start", 0), end = onnx_call_int(call, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, ONNX_RANK);
    for (int64_t i = start; i < end; i++)
        numbers[i - start] = (double)x->dims[i];
    onnx_call_know(call, 0, numbers);
    return onnx_call_give(call, 0, ONNX_INT64, &(struct onnx_shape){1, {end - start}});
}

static bool onnx_view_size(struct onnx_call *call)
{
    double *number = ARENA_NEW(call->infer->arena, double);
    *number = (double)onnx_file_elements(&onnx_call_in(call, 0)->shape);
    onnx_call_know(call, 0, number);
    return onnx_call_give(call, 0, ONNX_INT64, &(struct onnx_shape){0});
}

/* ---- the same numbers in another shape ---- */

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

/* ---- Transpose ---- */

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
    onnx_view_strides(&onnx_call_in(call, 0)->shape, strides);
    for (uint32_t i = 0; i < onnx_call_in(call, 0)->shape.rank; i++)
        step[i] = strides[order[i]];
    onnx_view_fold_steps(call, 0, step);
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

/* ---- Concat, Split ---- */

static bool onnx_view_concat(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    uint32_t axis;
    if (!onnx_call_axis(call, onnx_call_int(call, "axis", 1), shape.rank, &axis))
        return false;
    for (uint32_t k = 1; k < call->node->inputs.count; k++) {
        const struct onnx_value *other = onnx_call_in(call, k);
        bool fits = other && other->shape.rank == shape.rank;
        for (uint32_t i = 0; fits && i < shape.rank; i++) {
            int64_t a = shape.dims[i], b = other->shape.dims[i];
            /* A constant for the file's batch stands beside more samples. */
            bool scaled = i == 0 && axis != 0 && call->infer->scale > 1 &&
                          (a == b * call->infer->scale || b == a * call->infer->scale);
            fits = i == axis || a == b || scaled;
            shape.dims[i] = scaled && b > a ? b : a;
        }
        if (!fits)
            return onnx_call_fail(
                call, "joins tensors of %s and %s along axis %u, which do not fit each other",
                onnx_call_describe(call->infer->arena, &shape),
                other ? onnx_call_describe(call->infer->arena, &other->shape) : "nothing", axis);
        shape.dims[axis] += other->shape.dims[axis];
    }
    return onnx_call_give(call, 0, x->type, &shape);
}

static void onnx_view_fold_concat(struct onnx_call *call)
{
    const struct onnx_value *out = onnx_call_out(call, 0);
    double *numbers = onnx_view_numbers(call, out), *to = numbers;
    uint32_t axis;
    onnx_call_axis(call, onnx_call_int(call, "axis", 1), out->shape.rank, &axis);
    int64_t outer = 1, inner = 1;
    for (uint32_t i = 0; i < out->shape.rank; i++)
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : out->shape.dims[i];
    for (int64_t o = 0; o < outer; o++)
        for (uint32_t k = 0; k < call->node->inputs.count; k++) {
            const struct onnx_value *x = onnx_call_in(call, k);
            int64_t run = x->shape.dims[axis] * inner;
            if (run)
                memcpy(to, x->known + o * run, (size_t)run * sizeof *to);
            to += run;
        }
    onnx_call_know(call, 0, numbers);
}

static bool onnx_view_write_concat(struct onnx_call *call)
{
    enum { MOST = 8 }; /* inputs of one layer */
    const char *labels[ONNX_RANK];
    uint32_t axis = 0, count = call->node->inputs.count;
    struct onnx_value *out = onnx_call_out(call, 0), *model = onnx_call_in(call, 0);
    onnx_call_axis(call, onnx_call_int(call, "axis", 1), out->shape.rank, &axis);
    for (uint32_t k = 0; k < count; k++)
        if (onnx_call_in(call, k)->layer && !onnx_call_in(call, k)->weight) {
            model = onnx_call_in(call, k);
            break;
        }
    for (uint32_t i = 0; i < out->shape.rank; i++)
        labels[i] =
            model->layer ? model->labels[i] : onnx_write_fresh(call, labels, i, i == axis ? "s" : "h");
    if (count > MOST || !model->layer) {
        struct value *layer = onnx_write_layer(call, "rearrange", "");
        for (uint32_t k = 0; k < count && k < MOST; k++)
            onnx_write_from(call, layer, onnx_call_in(call, k));
        onnx_write_dims(call, layer, "dims", out, labels);
        onnx_write_gives(call, layer, 0, labels);
        return true;
    }
    struct onnx_value parts[MOST];
    for (uint32_t k = 0; k < count; k++)
        parts[k] = onnx_write_repeated(call, onnx_call_in(call, k), labels, axis,
                                       arena_format(call->infer->arena, "input%u", k));
    struct value *layer = onnx_write_layer(call, "concat", "");
    for (uint32_t k = 0; k < count; k++)
        onnx_write_from(call, layer, &parts[k]);
    onnx_write_text(call, layer, "dim", labels[axis]);
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

static bool onnx_view_split(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    uint32_t axis, parts = call->node->outputs.count;
    const int64_t *sizes;
    int64_t count;
    if (!onnx_call_axis(call, onnx_call_int(call, "axis", 0), x->shape.rank, &axis))
        return false;
    if (onnx_call_in(call, 1)) {
        if (!onnx_call_numbers(call, 1, &count, &sizes))
            return false;
    } else {
        count = onnx_call_ints(call, "split", &sizes);
    }
    if (count && count != parts)
        return onnx_call_fail(call, "gives %u outputs, but says %lld sizes", parts, (long long)count);
    int64_t each = parts ? (x->shape.dims[axis] + parts - 1) / parts : 0, left = x->shape.dims[axis];
    for (uint32_t k = 0; k < parts; k++) {
        struct onnx_shape shape = x->shape;
        shape.dims[axis] = count ? sizes[k] : left < each ? left : each;
        left -= shape.dims[axis];
        if (left < 0 || shape.dims[axis] < 0)
            return onnx_call_fail(call, "gives more than the %lld elements that its input has",
                                  (long long)x->shape.dims[axis]);
        if (!onnx_call_give(call, k, x->type, &shape))
            return false;
    }
    return left == 0 || onnx_call_fail(call, "leaves %lld elements of its input over", (long long)left);
}

static void onnx_view_fold_split(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    const double *at = x->known;
    if (x->shape.rank != 1)
        return;
    for (uint32_t k = 0; k < call->node->outputs.count; k++) {
        const struct onnx_value *out = onnx_call_out(call, k);
        onnx_call_know(call, k, at);
        at += out ? out->shape.dims[0] : 0;
    }
}

/* ---- Slice, Gather ---- */

struct onnx_view_slice {
    int64_t start[ONNX_RANK], step[ONNX_RANK];
};

static bool onnx_view_slice_list(struct onnx_call *call, uint32_t input, const char *name, int64_t *count,
                                 const int64_t **list)
{
    if (call->node->inputs.count > 1)
        return onnx_call_numbers(call, input, count, list);
    *count = onnx_call_ints(call, name, list);
    return true;
}

static int64_t onnx_view_clamp(int64_t at, int64_t low, int64_t high)
{
    return at < low ? low : at > high ? high : at;
}

static bool onnx_view_slices(struct onnx_call *call, struct onnx_view_slice *slice, struct onnx_shape *shape)
{
    const int64_t *starts, *ends, *axes, *steps;
    int64_t count, end_count, axis_count, step_count = 0;
    *shape = onnx_call_in(call, 0)->shape;
    for (uint32_t i = 0; i < ONNX_RANK; i++)
        slice->start[i] = 0, slice->step[i] = 1;
    if (!onnx_view_slice_list(call, 1, "starts", &count, &starts) ||
        !onnx_view_slice_list(call, 2, "ends", &end_count, &ends) ||
        !onnx_view_slice_list(call, 3, "axes", &axis_count, &axes) ||
        !onnx_call_numbers(call, 4, &step_count, &steps))
        return false;
    if (end_count != count || (axis_count && axis_count != count) || (step_count && step_count != count))
        return onnx_call_fail(call, "has starts, ends, axes and steps of different lengths");
    for (int64_t k = 0; k < count; k++) {
        uint32_t axis;
        if (!onnx_call_axis(call, axis_count ? axes[k] : k, shape->rank, &axis))
            return false;
        int64_t size = onnx_call_in(call, 0)->shape.dims[axis], step = step_count ? steps[k] : 1;
        int64_t start = starts[k] < 0 ? starts[k] + size : starts[k],
                end = ends[k] < 0 ? ends[k] + size : ends[k];
        if (step == 0)
            return onnx_call_fail(call, "has a step of 0");
        start = step > 0 ? onnx_view_clamp(start, 0, size) : onnx_view_clamp(start, 0, size - 1);
        end = step > 0 ? onnx_view_clamp(end, 0, size) : onnx_view_clamp(end, -1, size - 1);
        int64_t span = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
        stride = stride < 0 ? INT64_MAX : stride; /* of the smallest number */
        shape->dims[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
        slice->start[axis] = start;
        slice->step[axis] = shape->dims[axis] > 1 ? step : 1;
    }
    return true;
}

static bool onnx_view_slice(struct onnx_call *call)
{
    struct onnx_view_slice slice;
    struct onnx_shape shape;
    return onnx_view_slices(call, &slice, &shape) &&
           onnx_call_give(call, 0, onnx_call_in(call, 0)->type, &shape);
}

static void onnx_view_fold_slice(struct onnx_call *call)
{
    struct onnx_view_slice slice;
    struct onnx_shape shape;
    int64_t strides[ONNX_RANK], step[ONNX_RANK], start = 0;
    onnx_view_slices(call, &slice, &shape);
    onnx_view_strides(&onnx_call_in(call, 0)->shape, strides);
    for (uint32_t i = 0; i < shape.rank; i++) {
        start += slice.start[i] * strides[i];
        step[i] = slice.step[i] * strides[i];
    }
    onnx_view_fold_steps(call, start, step);
}

static bool onnx_view_gather(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *at = onnx_call_in(call, 1);
    struct onnx_shape shape = {0};
    uint32_t axis;
    if (!onnx_call_axis(call, onnx_call_int(call, "axis", 0), x->shape.rank, &axis))
        return false;
    if (x->shape.rank + at->shape.rank - 1 > ONNX_RANK)
        return onnx_call_fail(call, "gives more than %d dimensions", (int)ONNX_RANK);
    for (uint32_t i = 0; i < axis; i++)
        shape.dims[shape.rank++] = x->shape.dims[i];
    for (uint32_t i = 0; i < at->shape.rank; i++)
        shape.dims[shape.rank++] = at->shape.dims[i];
    for (uint32_t i = axis + 1; i < x->shape.rank; i++)
        shape.dims[shape.rank++] = x->shape.dims[i];
    return onnx_call_give(call, 0, x->type, &shape);
}

/* Only what shape computations do: elements of a list. */
static void onnx_view_fold_gather(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *at = onnx_call_in(call, 1),
                            *out = onnx_call_out(call, 0);
    double *numbers = onnx_view_numbers(call, out);
    int64_t count = onnx_file_elements(&at->shape);
    if (x->shape.rank != 1)
        return;
    for (int64_t k = 0; k < count; k++) {
        int64_t index = onnx_call_whole(at->known[k]);
        index = index < 0 ? index + x->shape.dims[0] : index;
        if (index < 0 || index >= x->shape.dims[0])
            return;
        numbers[k] = x->known[index];
    }
    onnx_call_know(call, 0, numbers);
}

/* Rows of a learned table are an embedding. */
static bool onnx_view_write_gather(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0), *at = onnx_call_in(call, 1), *out = onnx_call_out(call, 0);
    const char *labels[ONNX_RANK], *first[ONNX_RANK];
    uint32_t axis = 0, rank = 0;
    onnx_call_axis(call, onnx_call_int(call, "axis", 0), x->shape.rank, &axis);
    if (x->shape.rank == 2 && axis == 0 && at->layer && x->weight && !x->layer &&
        onnx_write_is_own(call, x)) {
        for (uint32_t i = 0; i < at->shape.rank; i++)
            labels[i] = at->labels[i];
        labels[at->shape.rank] = onnx_write_fresh(call, labels, at->shape.rank, "h");
        struct value *layer = onnx_write_layer(call, "lookup", "");
        onnx_write_from(call, layer, at);
        onnx_write_number(call, layer, "rows", x->shape.dims[0]);
        onnx_write_number(call, layer, "out", x->shape.dims[1]);
        onnx_write_text(call, layer, "label", labels[at->shape.rank]);
        onnx_write_owns(call, x);
        onnx_write_gives(call, layer, 0, labels);
        return true;
    }
    struct value *layer = onnx_write_layer(call, "rearrange", "");
    onnx_write_from(call, layer, x);
    if (at->layer)
        onnx_write_from(call, layer, at);
    for (uint32_t i = 0; i < axis; i++)
        first[rank++] = x->labels[i];
    for (uint32_t i = 0; i < at->shape.rank; i++)
        first[rank++] = at->layer ? at->labels[i] : x->labels[axis];
    for (uint32_t i = axis + 1; i < x->shape.rank; i++)
        first[rank++] = x->labels[i];
    for (uint32_t i = 0; i < rank; i++)
        labels[i] = onnx_write_fresh(call, labels, i, first[i]);
    onnx_write_dims(call, layer, "dims", out, labels);
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

static bool onnx_view_like_second(struct onnx_call *call) /* GatherElements */
{
    return onnx_call_give(call, 0, onnx_call_in(call, 0)->type, &onnx_call_in(call, 1)->shape);
}

static bool onnx_view_gather_nd(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *at = onnx_call_in(call, 1);
    int64_t skip = onnx_call_int(call, "batch_dims", 0);
    struct onnx_shape shape = {0};
    if (!at->shape.rank)
        return onnx_call_fail(call, "has indices without dimensions");
    int64_t depth = at->shape.dims[at->shape.rank - 1];
    if (skip < 0 || skip >= at->shape.rank || depth < 0 || skip + depth > x->shape.rank ||
        at->shape.rank - 1 + x->shape.rank - skip - depth > ONNX_RANK)
        return onnx_call_fail(call, "has indices that do not fit its input");
    for (uint32_t i = 0; i + 1 < at->shape.rank; i++)
        shape.dims[shape.rank++] = at->shape.dims[i];
    for (int64_t i = skip + depth; i < x->shape.rank; i++)
        shape.dims[shape.rank++] = x->shape.dims[i];
    return onnx_call_give(call, 0, x->type, &shape);
}

/* ---- Expand, Tile, Pad ---- */

static bool onnx_view_wanted_shape(struct onnx_call *call, uint32_t input, struct onnx_shape *shape)
{
    const int64_t *list;
    int64_t count;
    if (!onnx_call_numbers(call, input, &count, &list))
        return false;
    if (count > ONNX_RANK)
        return onnx_call_fail(call, "wants more than %d dimensions", (int)ONNX_RANK);
    shape->rank = (uint32_t)count;
    for (int64_t i = 0; i < count; i++)
        shape->dims[i] = list[i];
    return true;
}

static bool onnx_view_expand(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape;
    if (!onnx_view_wanted_shape(call, 1, &shape))
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
    onnx_view_strides(&x->shape, strides);
    for (uint32_t i = 0; i < out->shape.rank; i++) {
        uint32_t lack = out->shape.rank - x->shape.rank;
        step[i] = i < lack || x->shape.dims[i - lack] == 1 ? 0 : strides[i - lack];
    }
    onnx_view_fold_steps(call, 0, step);
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

/* ---- ConstantOfShape, Range ---- */

static bool onnx_view_constant_of(struct onnx_call *call)
{
    const struct onnx_attribute *value = onnx_file_attribute(call->node, "value");
    struct onnx_shape shape;
    if (!onnx_view_wanted_shape(call, 0, &shape) ||
        !onnx_call_give(call, 0, value && value->t ? value->t->type : ONNX_FLOAT, &shape))
        return false;
    int64_t count = onnx_file_elements(&shape);
    const double *number = value && value->t ? onnx_file_numbers(call->infer->arena, value->t) : NULL;
    if (count > ONNX_KNOWN || (value && !number) || (number && onnx_file_elements(&value->t->shape) < 1))
        return true;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = number ? *number : 0;
    onnx_call_know(call, 0, numbers);
    return true;
}

static bool onnx_view_range(struct onnx_call *call)
{
    const struct onnx_value *start = onnx_call_in(call, 0), *limit = onnx_call_in(call, 1),
                            *delta = onnx_call_in(call, 2);
    if (!start->known || !limit->known || !delta->known || *delta->known == 0 ||
        onnx_file_elements(&start->shape) != 1 || onnx_file_elements(&limit->shape) != 1)
        return onnx_call_fail(call,
                              "gives a shape that depends on numbers which are not known before it runs");
    double steps = ceil((*limit->known - *start->known) / *delta->known);
    int64_t count = steps > 0 ? onnx_call_whole(steps) : 0;
    if (!onnx_call_give(call, 0, start->type, &(struct onnx_shape){1, {count}}))
        return false;
    if (count > ONNX_KNOWN)
        return true;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = *start->known + (double)i * *delta->known;
    onnx_call_know(call, 0, numbers);
    return true;
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

/* ---- layers ---- */

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
    {.kind = "Constant", .needed = 0, .infer = onnx_view_constant, .write = onnx_write_rearranged},
    {.kind = "Shape", .needed = 1, .infer = onnx_view_shape, .write = onnx_write_rearranged},
    {.kind = "Size", .needed = 1, .infer = onnx_view_size, .write = onnx_write_rearranged},
    {.kind = "Identity",
     .needed = 1,
     .infer = onnx_view_identity,
     .fold = onnx_view_fold_same,
     .rearranges = true},
    {.kind = "Reshape",
     .needed = 1,
     .infer = onnx_view_reshape,
     .write = onnx_view_write,
     .fold = onnx_view_fold_same,
     .settings = 2,
     .rearranges = true},
    {.kind = "Flatten",
     .needed = 1,
     .infer = onnx_view_flatten,
     .write = onnx_view_write,
     .fold = onnx_view_fold_same,
     .rearranges = true},
    {.kind = "Squeeze",
     .needed = 1,
     .infer = onnx_view_squeeze,
     .write = onnx_view_write,
     .fold = onnx_view_fold_same,
     .settings = 2,
     .rearranges = true},
    {.kind = "Unsqueeze",
     .needed = 1,
     .infer = onnx_view_unsqueeze,
     .write = onnx_view_write,
     .fold = onnx_view_fold_same,
     .settings = 2,
     .rearranges = true},
    {.kind = "Transpose",
     .needed = 1,
     .infer = onnx_view_transpose,
     .write = onnx_view_write_transpose,
     .fold = onnx_view_fold_transpose,
     .rearranges = true},
    {.kind = "Concat",
     .needed = 1,
     .infer = onnx_view_concat,
     .write = onnx_view_write_concat,
     .fold = onnx_view_fold_concat},
    {.kind = "Split",
     .needed = 1,
     .infer = onnx_view_split,
     .write = onnx_write_rearranged,
     .fold = onnx_view_fold_split,
     .settings = 2},
    {.kind = "Slice",
     .needed = 1,
     .infer = onnx_view_slice,
     .write = onnx_write_rearranged,
     .fold = onnx_view_fold_slice,
     .settings = 30},
    {.kind = "Gather",
     .needed = 2,
     .infer = onnx_view_gather,
     .write = onnx_view_write_gather,
     .fold = onnx_view_fold_gather},
    {.kind = "GatherElements", .needed = 2, .infer = onnx_view_like_second, .write = onnx_write_rearranged},
    {.kind = "GatherND", .needed = 2, .infer = onnx_view_gather_nd, .write = onnx_write_rearranged},
    {.kind = "Expand",
     .needed = 2,
     .infer = onnx_view_expand,
     .write = onnx_write_rearranged,
     .fold = onnx_view_fold_expand,
     .settings = 2},
    {.kind = "Tile", .needed = 2, .infer = onnx_view_tile, .write = onnx_write_rearranged, .settings = 6},
    {.kind = "Pad", .needed = 1, .infer = onnx_view_pad, .write = onnx_write_rearranged, .settings = 14},
    {.kind = "ConstantOfShape",
     .needed = 1,
     .infer = onnx_view_constant_of,
     .write = onnx_write_rearranged,
     .settings = 1},
    {.kind = "Range", .needed = 3, .infer = onnx_view_range, .write = onnx_write_rearranged, .settings = 7},
    {.kind = "DepthToSpace", .needed = 1, .infer = onnx_view_space, .write = onnx_write_rearranged},
    {.kind = "SpaceToDepth", .needed = 1, .infer = onnx_view_space, .write = onnx_write_rearranged},
    {.kind = NULL},
};
