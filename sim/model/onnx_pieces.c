/* Onnx_pieces: operators that join tensors, and that take parts of one. */
#include "model/onnx_fold.h"
#include "model/onnx_operator.h"

#include <string.h>

static bool onnx_pieces_concat(struct onnx_call *call)
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

static void onnx_pieces_fold_concat(struct onnx_call *call)
{
    const struct onnx_value *out = onnx_call_out(call, 0);
    double *numbers = onnx_fold_numbers(call, out), *to = numbers;
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

/* The input after which the joined dimensions are called: one with heads, which plans split (a cache of keys
 * is an input that says nothing of them), or else the first that is no weight. */
static struct onnx_value *onnx_pieces_model(const struct onnx_call *call)
{
    struct onnx_value *model = NULL;
    for (uint32_t k = 0; k < call->node->inputs.count; k++) {
        struct onnx_value *x = onnx_call_in(call, k);
        if (!x->layer || x->weight)
            continue;
        model = model ? model : x;
        for (uint32_t i = 0; i < x->shape.rank; i++)
            if (strcmp(x->labels[i], "g") == 0)
                return x;
    }
    return model ? model : onnx_call_in(call, 0);
}

static bool onnx_pieces_write_concat(struct onnx_call *call)
{
    enum { MOST = 8 }; /* inputs of one layer */
    const char *labels[ONNX_RANK];
    uint32_t axis = 0, count = call->node->inputs.count;
    struct onnx_value *out = onnx_call_out(call, 0), *model = onnx_pieces_model(call);
    onnx_call_axis(call, onnx_call_int(call, "axis", 1), out->shape.rank, &axis);
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

static bool onnx_pieces_split(struct onnx_call *call)
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

static void onnx_pieces_fold_split(struct onnx_call *call)
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

struct onnx_pieces_slice {
    int64_t start[ONNX_RANK], step[ONNX_RANK];
};

static bool onnx_pieces_slice_list(struct onnx_call *call, uint32_t input, const char *name, int64_t *count,
                                   const int64_t **list)
{
    if (call->node->inputs.count > 1)
        return onnx_call_numbers(call, input, count, list);
    *count = onnx_call_ints(call, name, list);
    return true;
}

static int64_t onnx_pieces_clamp(int64_t at, int64_t low, int64_t high)
{
    return at < low ? low : at > high ? high : at;
}

static bool onnx_pieces_slices(struct onnx_call *call, struct onnx_pieces_slice *slice,
                               struct onnx_shape *shape)
{
    const int64_t *starts, *ends, *axes, *steps;
    int64_t count, end_count, axis_count, step_count = 0;
    *shape = onnx_call_in(call, 0)->shape;
    for (uint32_t i = 0; i < ONNX_RANK; i++)
        slice->start[i] = 0, slice->step[i] = 1;
    if (!onnx_pieces_slice_list(call, 1, "starts", &count, &starts) ||
        !onnx_pieces_slice_list(call, 2, "ends", &end_count, &ends) ||
        !onnx_pieces_slice_list(call, 3, "axes", &axis_count, &axes) ||
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
        start = step > 0 ? onnx_pieces_clamp(start, 0, size) : onnx_pieces_clamp(start, 0, size - 1);
        end = step > 0 ? onnx_pieces_clamp(end, 0, size) : onnx_pieces_clamp(end, -1, size - 1);
        int64_t span = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
        stride = stride < 0 ? INT64_MAX : stride; /* of the smallest number */
        shape->dims[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
        slice->start[axis] = start;
        slice->step[axis] = shape->dims[axis] > 1 ? step : 1;
    }
    return true;
}

static bool onnx_pieces_slice(struct onnx_call *call)
{
    struct onnx_pieces_slice slice;
    struct onnx_shape shape;
    return onnx_pieces_slices(call, &slice, &shape) &&
           onnx_call_give(call, 0, onnx_call_in(call, 0)->type, &shape);
}

static void onnx_pieces_fold_slice(struct onnx_call *call)
{
    struct onnx_pieces_slice slice;
    struct onnx_shape shape;
    int64_t strides[ONNX_RANK], step[ONNX_RANK], start = 0;
    onnx_pieces_slices(call, &slice, &shape);
    onnx_fold_strides(&onnx_call_in(call, 0)->shape, strides);
    for (uint32_t i = 0; i < shape.rank; i++) {
        start += slice.start[i] * strides[i];
        step[i] = slice.step[i] * strides[i];
    }
    onnx_fold_steps(call, start, step);
}

static bool onnx_pieces_gather(struct onnx_call *call)
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
static void onnx_pieces_fold_gather(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *at = onnx_call_in(call, 1),
                            *out = onnx_call_out(call, 0);
    double *numbers = onnx_fold_numbers(call, out);
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

/* Whether a node reads a value in nothing but a product that gives a number for each of its rows. */
static bool onnx_pieces_multiplies(const struct onnx_call *call, uint32_t n, const char *name)
{
    const struct onnx_node *node = &call->infer->nodes.at[n];
    const struct onnx_call of = {.infer = call->infer, .node = node};
    bool second = node->inputs.count > 1 && strcmp(node->inputs.at[1], name) == 0 &&
                  strcmp(node->inputs.at[0], name) != 0;
    if (strcmp(node->kind, "Gemm") == 0)
        return second && onnx_call_int(&of, "transB", 0) && !onnx_call_int(&of, "transA", 0);
    if (strcmp(node->kind, "Transpose") != 0)
        return false;
    const struct onnx_value *turned = onnx_call_out(&of, 0);
    uint32_t products = 0;
    for (uint32_t k = n + 1; k < call->infer->nodes.count; k++) {
        const struct onnx_node *reader = &call->infer->nodes.at[k];
        products += !reader->silent && strcmp(reader->kind, "MatMul") == 0 &&
                    strcmp(reader->inputs.at[1], turned->name) == 0;
    }
    return turned->shape.dims[0] == onnx_call_in(&of, 0)->shape.dims[1] && products == turned->readers;
}

/* Whether a table is read for its rows, and besides in products alone: tied embeddings. */
static bool onnx_pieces_is_tied(struct onnx_call *call, const struct onnx_value *table)
{
    const struct onnx_value *at = onnx_call_in(call, 1);
    uint32_t found = 1;
    if (strcmp(table->weight->name, table->name) != 0 ||
        strcmp(onnx_write_fresh(call, at->labels, at->shape.rank, "h"), "h") != 0)
        return false;
    for (uint32_t n = call->index + 1; n < call->infer->nodes.count; n++) {
        const struct onnx_node *node = &call->infer->nodes.at[n];
        bool reads = false;
        for (uint32_t i = 0; i < node->inputs.count && !node->silent; i++)
            reads = reads || strcmp(node->inputs.at[i], table->name) == 0;
        if (reads && !onnx_pieces_multiplies(call, n, table->name))
            return false;
        found += reads;
    }
    return found > 1 && found == table->readers;
}

/* Rows of a learned table are an embedding. */
static bool onnx_pieces_write_gather(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0), *at = onnx_call_in(call, 1), *out = onnx_call_out(call, 0);
    const char *labels[ONNX_RANK], *first[ONNX_RANK];
    uint32_t axis = 0, rank = 0;
    onnx_call_axis(call, onnx_call_int(call, "axis", 0), x->shape.rank, &axis);
    if (x->shape.rank == 2 && axis == 0 && at->layer && x->weight && !x->layer &&
        (onnx_write_is_own(call, x) || onnx_pieces_is_tied(call, x))) {
        for (uint32_t i = 0; i < at->shape.rank; i++)
            labels[i] = at->labels[i];
        labels[at->shape.rank] = onnx_write_fresh(call, labels, at->shape.rank, "h");
        struct value *layer = onnx_write_layer(call, "lookup", "");
        onnx_write_from(call, layer, at);
        onnx_write_number(call, layer, "rows", x->shape.dims[0]);
        onnx_write_number(call, layer, "out", x->shape.dims[1]);
        onnx_write_text(call, layer, "label", labels[at->shape.rank]);
        onnx_write_keep(call, 0, layer->entries[0].value->text);
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

static bool onnx_pieces_like_second(struct onnx_call *call) /* GatherElements */
{
    return onnx_call_give(call, 0, onnx_call_in(call, 0)->type, &onnx_call_in(call, 1)->shape);
}

static bool onnx_pieces_gather_nd(struct onnx_call *call)
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

const struct onnx_operator onnx_pieces_operators[] = {
    {.kind = "Concat",
     .needed = 1,
     .infer = onnx_pieces_concat,
     .write = onnx_pieces_write_concat,
     .fold = onnx_pieces_fold_concat},
    {.kind = "Split",
     .needed = 1,
     .infer = onnx_pieces_split,
     .write = onnx_write_rearranged,
     .fold = onnx_pieces_fold_split,
     .settings = 2},
    {.kind = "Slice",
     .needed = 1,
     .infer = onnx_pieces_slice,
     .write = onnx_write_rearranged,
     .fold = onnx_pieces_fold_slice,
     .settings = 30},
    {.kind = "Gather",
     .needed = 2,
     .infer = onnx_pieces_gather,
     .write = onnx_pieces_write_gather,
     .fold = onnx_pieces_fold_gather},
    {.kind = "GatherElements", .needed = 2, .infer = onnx_pieces_like_second, .write = onnx_write_rearranged},
    {.kind = "GatherND", .needed = 2, .infer = onnx_pieces_gather_nd, .write = onnx_write_rearranged},
    {.kind = NULL},
};
