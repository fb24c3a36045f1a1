/* General layers, for what has no kind of its own: point-wise work over stretched inputs, new shapes and
 * orders, data that is picked or copied, and weights that stand alone. Imported graphs consist of them where
 * nothing better fits. */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

/* Labelled sizes from a map; false after reporting. */
static bool general_dims(struct builder *builder, const struct value *map, const char *key,
                         struct tensor *into)
{
    double elements = 1;
    *into = (struct tensor){0};
    if (!fields_want_map(builder->input, map, builder->place, key))
        return !(builder->failed = true);
    if (map->count > TENSOR_DIMS)
        return builder_error(builder, "has %u dimensions; at most %d are possible", map->count,
                             (int)TENSOR_DIMS);
    for (uint32_t i = 0; i < map->count; i++) {
        int64_t size;
        if (!builder_integer(builder, map->entries[i].value, map->entries[i].key, 1, &size))
            return false;
        into->dims[into->rank++] =
            (struct tensor_dim){.label = builder_label(builder, map->entries[i].key), .size = (uint64_t)size};
        elements *= (double)size;
    }
    return elements <= 9e18 || builder_error(builder, "has more than 9e18 elements");
}

/* ---- parameter ---- */

struct general_parameter_keys {
    const struct value *dims;
};

static bool general_parameter_build(struct builder *builder, const void *values)
{
    const struct general_parameter_keys *keys = values;
    struct tensor tensor;
    if (!general_dims(builder, keys->dims, "`dims`", &tensor))
        return false;
    tensor.layer = builder->layer;
    tensor.producer = MODEL_NONE;
    tensor.role = TENSOR_PARAMETER;
    tensor.name = builder->model->layers.at[builder->layer].name;
    builder->model->layers.at[builder->layer].output = builder->model->tensors.count;
    VECTOR_PUSH(&builder->model->tensors, tensor);
    return true;
}

static const struct field general_parameter_fields[] = {
    {"dims", FIELD_VALUE, offsetof(struct general_parameter_keys, dims), .required = true,
     .about = "labelled sizes, such as {v: 32000, h: 4096}"},
};

const struct layer_kind general_parameter_layer = {
    .name = "parameter",
    .about = "a learned tensor on its own, for layers that read it (several may)",
    .fields = general_parameter_fields,
    .field_count = FIELDS_COUNT(general_parameter_fields),
    .build = general_parameter_build,
    .keys_size = sizeof(struct general_parameter_keys),
};

/* ---- elementwise ---- */

struct general_elementwise_keys {
    const struct value *dims;
    int64_t flops;
};

/* Dimensions are matched from the right, as in ONNX and NumPy. */
static bool general_stretch(struct builder *builder, struct layer_op *op, const struct tensor *out,
                            uint32_t input)
{
    struct tensor x = builder_input(builder, input);
    struct operand *operand = builder_operand(builder, op, builder->inputs[input]);
    uint32_t ones = 0;
    while (ones < x.rank && x.rank - ones > out->rank && x.dims[ones].size == 1)
        ones++; /* further dimensions of size 1 are none */
    if (x.rank - ones > out->rank)
        return builder_error(builder, "cannot stretch %s to %s", builder_describe(builder, &x),
                             builder_describe(builder, out));
    for (uint32_t i = ones; i < x.rank; i++) {
        uint32_t at = out->rank - x.rank + i;
        if (x.dims[i].size == out->dims[at].size)
            operand->dims[i].dim = (int8_t)at;
        else if (x.dims[i].size != 1)
            return builder_error(builder, "cannot stretch %s to %s", builder_describe(builder, &x),
                                 builder_describe(builder, out));
    }
    return true;
}

static bool general_elementwise_build(struct builder *builder, const void *values)
{
    const struct general_elementwise_keys *keys = values;
    struct tensor out;
    if (!builder_want_inputs(builder, 1, OPERATOR_OPERANDS))
        return false;
    out = builder_input(builder, 0);
    if (keys->dims && !general_dims(builder, keys->dims, "`dims`", &out))
        return false;
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    op->flops_per_point = (double)keys->flops;
    for (uint32_t i = 0; i < out.rank; i++)
        builder_dim_labelled(builder, op, out.dims[i].size, out.dims[i].label);
    for (uint32_t i = 0; i < builder->input_count; i++) {
        if (!general_stretch(builder, op, &out, i))
            return false;
        op->operands[i].saved = true;
    }
    struct operand *output = builder_output(builder, op);
    for (uint32_t i = 0; i < out.rank; i++)
        builder_extend(builder, op, output, out.dims[i].label, (int8_t)i);
    return true;
}

static const struct field general_elementwise_fields[] = {
    {"dims", FIELD_VALUE, offsetof(struct general_elementwise_keys, dims),
     .about = "dimensions of the output; default: those of the first input"},
    {"flops", FIELD_INTEGER, offsetof(struct general_elementwise_keys, flops), .low = 0, .high = 1e6,
     .about = "FLOPs per element of the output; default 1"},
};
static const struct general_elementwise_keys general_elementwise_defaults = {.flops = 1};

const struct layer_kind general_elementwise_layer = {
    .name = "elementwise",
    .about = "a function of its inputs, element by element; dimensions are matched from the last, size 1 is "
             "stretched",
    .fields = general_elementwise_fields,
    .field_count = FIELDS_COUNT(general_elementwise_fields),
    .build = general_elementwise_build,
    .keys_size = sizeof(struct general_elementwise_keys),
    .defaults = &general_elementwise_defaults,
};

/* ---- reshape ---- */

struct general_shape_keys {
    const struct value *dims;
};

/* The operands of a view while dimensions of equal product are matched, from the left. */
struct general_view {
    struct builder *builder;
    struct layer_op *op;
    struct operand *input, *output;
    const struct tensor *from, *to;
};

static int8_t general_shared(struct general_view *view, uint32_t label, uint64_t size)
{
    return builder_dim_labelled(view->builder, view->op, size, label);
}

/* from[i, i_end) and to[o, o_end) have the same number of elements: one to one, one cut into two, two joined;
 * of what is more tangled every point needs all. */
static void general_match(struct general_view *view, uint32_t i, uint32_t i_end, uint32_t o, uint32_t o_end)
{
    const struct tensor_dim *from = &view->from->dims[i], *to = &view->to->dims[o];
    struct builder *builder = view->builder;
    if (i_end - i == 1 && o_end - o == 1) {
        view->input->dims[i].dim = general_shared(view, to->label, to->size);
        builder_extend(builder, view->op, view->output, to->label, view->input->dims[i].dim);
    } else if (i_end - i == 1 && o_end - o == 2) {
        view->input->dims[i].dim = general_shared(view, to[0].label, to[0].size);
        view->input->dims[i].inner = general_shared(view, to[1].label, to[1].size);
        view->op->dims[view->input->dims[i].inner].opaque = true;
        builder_extend(builder, view->op, view->output, to[0].label, view->input->dims[i].dim);
        builder_extend(builder, view->op, view->output, to[1].label, view->input->dims[i].inner);
    } else if (i_end - i == 2 && o_end - o == 1) {
        view->input->dims[i].dim = general_shared(view, from[0].label, from[0].size);
        view->input->dims[i + 1].dim = general_shared(view, from[1].label, from[1].size);
        view->op->dims[view->input->dims[i + 1].dim].opaque = true;
        builder_extend_merged(builder, view->op, view->output, to->label, view->input->dims[i].dim,
                              view->input->dims[i + 1].dim);
    } else {
        for (uint32_t k = o; k < o_end; k++)
            builder_extend_whole(builder, view->output, view->to->dims[k].label, view->to->dims[k].size);
    }
}

static bool general_match_all(struct general_view *view)
{
    const struct tensor *from = view->from, *to = view->to;
    uint32_t i = 0, o = 0;
    while (i < from->rank || o < to->rank) {
        uint32_t i_end = i, o_end = o;
        uint64_t left = 1, right = 1;
        while (i_end < from->rank && from->dims[i_end].size == 1 && (o >= to->rank || to->dims[o].size != 1))
            i_end++;
        if (i_end > i) { /* sizes of 1 on one side only */
            i = i_end;
            continue;
        }
        if (o < to->rank && to->dims[o].size == 1 && (i >= from->rank || from->dims[i].size != 1)) {
            builder_extend_whole(view->builder, view->output, to->dims[o].label, 1);
            o++;
            continue;
        }
        do {
            if (left <= right && i_end < from->rank && (left < right || i_end == i))
                left *= from->dims[i_end++].size;
            else if (o_end < to->rank && (right < left || o_end == o))
                right *= to->dims[o_end++].size;
            else
                return false;
        } while (left != right || o_end == o);
        general_match(view, i, i_end, o, o_end);
        i = i_end;
        o = o_end;
    }
    return true;
}

static bool general_reshape_build(struct builder *builder, const void *values)
{
    const struct general_shape_keys *keys = values;
    struct tensor x, out;
    if (!builder_want_inputs(builder, 1, 1) || !general_dims(builder, keys->dims, "`dims`", &out))
        return false;
    x = builder_input(builder, 0);
    if (model_elements(&x) != model_elements(&out))
        return builder_error(builder, "makes %s of %s, which has another number of elements",
                             builder_describe(builder, &out), builder_describe(builder, &x));
    struct layer_op *op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "");
    struct general_view view = {.builder = builder, .op = op, .from = &x, .to = &out};
    view.input = builder_operand(builder, op, builder->inputs[0]);
    view.output = builder_output(builder, op);
    return general_match_all(&view) ||
           builder_error(builder, "makes %s of %s, which does not work out", builder_describe(builder, &out),
                         builder_describe(builder, &x));
}

static const struct field general_reshape_fields[] = {
    {"dims", FIELD_VALUE, offsetof(struct general_shape_keys, dims), .required = true,
     .about = "labelled sizes of the output, the batch among them: {b: batch, s: 196, h: 768}"},
};

const struct layer_kind general_reshape_layer = {
    .name = "reshape",
    .about = "the same elements in the same order as another shape, or under other labels",
    .fields = general_reshape_fields,
    .field_count = FIELDS_COUNT(general_reshape_fields),
    .build = general_reshape_build,
    .keys_size = sizeof(struct general_shape_keys),
};

/* ---- transpose ---- */

struct general_transpose_keys {
    const char *order;
};

static bool general_transpose_build(struct builder *builder, const void *values)
{
    const struct general_transpose_keys *keys = values;
    uint32_t seen = 0, count = 0;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    struct layer_op *op = builder_operator(builder, OPERATOR_VIEW, KERNEL_MEMORY, "");
    struct operand *input = builder_operand(builder, op, builder->inputs[0]),
                   *output = builder_output(builder, op);
    for (const char *at = keys->order; *at;) {
        size_t length = strcspn(at, " ");
        const char *label = arena_format(&builder->input->arena, "%.*s", (int)length, at);
        at += length + (at[length] == ' ');
        if (!length)
            continue;
        int dim = builder_find(builder, &x, label);
        if (dim < 0 || seen >> dim & 1)
            return builder_error(builder, "orders '%s', but its input has %s", label,
                                 builder_describe(builder, &x));
        seen |= 1u << dim;
        count++;
        input->dims[dim].dim = builder_dim_labelled(builder, op, x.dims[dim].size, x.dims[dim].label);
        builder_extend(builder, op, output, x.dims[dim].label, input->dims[dim].dim);
    }
    return count == x.rank || builder_error(builder, "orders %u dimensions, but its input has %s", count,
                                            builder_describe(builder, &x));
}

static const struct field general_transpose_fields[] = {
    {"order", FIELD_TEXT, offsetof(struct general_transpose_keys, order), .required = true,
     .about = "labels of the input in the output's order: b s h"},
};

const struct layer_kind general_transpose_layer = {
    .name = "transpose",
    .about = "the input's dimensions in another order; free, as kernels read with strides",
    .fields = general_transpose_fields,
    .field_count = FIELDS_COUNT(general_transpose_fields),
    .build = general_transpose_build,
    .keys_size = sizeof(struct general_transpose_keys),
};

/* ---- rearrange ---- */

struct general_rearrange_keys {
    const struct value *dims;
    int64_t flops;
    bool free, made;
};

static bool general_rearrange_build(struct builder *builder, const void *values)
{
    const struct general_rearrange_keys *keys = values;
    struct tensor out;
    if (keys->made)
        builder->input_count = 0;
    if (!builder_want_inputs(builder, keys->made ? 0 : 1, OPERATOR_OPERANDS) ||
        !general_dims(builder, keys->dims, "`dims`", &out))
        return false;
    struct layer_op *op =
        builder_operator(builder, keys->free ? OPERATOR_VIEW : OPERATOR_POINTWISE, KERNEL_MEMORY, "");
    op->flops_per_point = (double)keys->flops;
    for (uint32_t i = 0; i < out.rank; i++)
        builder_dim_labelled(builder, op, out.dims[i].size, out.dims[i].label);
    for (uint32_t k = 0; k < builder->input_count; k++) {
        struct tensor x = builder_input(builder, k);
        struct operand *operand = builder_operand(builder, op, builder->inputs[k]);
        for (uint32_t i = 0; i < x.rank; i++)
            for (uint32_t o = 0; o < out.rank; o++)
                if (x.dims[i].label == out.dims[o].label && x.dims[i].size == out.dims[o].size)
                    operand->dims[i].dim = (int8_t)o;
    }
    struct operand *output = builder_output(builder, op);
    for (uint32_t i = 0; i < out.rank; i++)
        builder_extend(builder, op, output, out.dims[i].label, (int8_t)i);
    return true;
}

static const struct field general_rearrange_fields[] = {
    {"dims", FIELD_VALUE, offsetof(struct general_rearrange_keys, dims), .required = true,
     .about = "labelled sizes of the output, the batch among them"},
    {"flops", FIELD_INTEGER, offsetof(struct general_rearrange_keys, flops), .low = 0, .high = 1e6,
     .about = "FLOPs per element of the output; default 0"},
    {"free", FIELD_FLAG, offsetof(struct general_rearrange_keys, free),
     .about = "takes no time and no memory traffic; default no"},
    {"made", FIELD_FLAG, offsetof(struct general_rearrange_keys, made),
     .about = "made of nothing (random numbers, positions): reads no layer; default no"},
};

const struct layer_kind general_rearrange_layer = {
    .name = "rearrange",
    .about = "picks, repeats, pads or sorts elements: dimensions with the label and size of an input's pass "
             "through, of others every point needs all",
    .fields = general_rearrange_fields,
    .field_count = FIELDS_COUNT(general_rearrange_fields),
    .build = general_rearrange_build,
    .keys_size = sizeof(struct general_rearrange_keys),
};

/* ---- lookup ---- */

struct general_lookup_keys {
    int64_t rows, out;
    const char *label;
};

static bool general_lookup_build(struct builder *builder, const void *values)
{
    const struct general_lookup_keys *keys = values;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    struct tensor x = builder_input(builder, 0);
    uint32_t v = builder_name(builder, "v"), label = builder_label(builder, keys->label);
    struct layer_op *op = builder_operator(builder, OPERATOR_LOOKUP, KERNEL_MEMORY, "");
    struct operand *tokens = builder_operand(builder, op, builder->inputs[0]),
                   *table = builder_parameter(builder, op, "weight"), *output = builder_output(builder, op);
    for (uint32_t i = 0; i < x.rank; i++) {
        tokens->dims[i].dim = builder_dim_labelled(builder, op, x.dims[i].size, x.dims[i].label);
        builder_extend(builder, op, output, x.dims[i].label, tokens->dims[i].dim);
    }
    int8_t rows = builder_dim(builder, op, (uint64_t)keys->rows, v, 0, 0);
    int8_t out = builder_dim_labelled(builder, op, (uint64_t)keys->out, label);
    builder_extend(builder, op, table, v, rows);
    builder_extend(builder, op, table, label, out);
    builder_extend(builder, op, output, label, out);
    return true;
}

static const struct field general_lookup_fields[] = {
    {"rows", FIELD_INTEGER, offsetof(struct general_lookup_keys, rows), .required = true, .low = 1,
     .high = 1e9, .about = "rows of the table"},
    {"out", FIELD_INTEGER, offsetof(struct general_lookup_keys, out), .required = true, .low = 1, .high = 1e9,
     .about = "elements of a row"},
    {"label", FIELD_TEXT, offsetof(struct general_lookup_keys, label),
     .about = "label of a row's elements; default h"},
};
static const struct general_lookup_keys general_lookup_defaults = {.label = "h"};

const struct layer_kind general_lookup_layer = {
    .name = "lookup",
    .about = "a row of a learned table for each element of the input",
    .fields = general_lookup_fields,
    .field_count = FIELDS_COUNT(general_lookup_fields),
    .build = general_lookup_build,
    .keys_size = sizeof(struct general_lookup_keys),
    .defaults = &general_lookup_defaults,
};
