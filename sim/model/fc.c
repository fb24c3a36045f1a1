/* Fully connected: contracts some labelled dimensions of its input and gives others; the rest (batch,
 * sequence) passes through. Iteration space: the dimensions kept, the outputs ("o" first), the contracted
 * ("i" first). */
#include "model/builder.h"
#include "model/frame.h"

#include <stddef.h>
#include <string.h>

struct fc_keys {
    const struct value *out, *over;
    const char *weight;
    bool bias;
    int act;
};

struct fc_shape {
    struct tensor x;
    uint32_t over; /* bits of the dimensions of x that are contracted */
    struct tensor_dim out[TENSOR_DIMS];
    uint32_t out_count;
};

static bool fc_read_out(struct builder *builder, const struct value *out, struct fc_shape *shape)
{
    bool map = out->kind == VALUE_MAP;
    if (map && (out->count == 0 || out->count > TENSOR_DIMS))
        return builder_error(builder, "needs 1 to %d output dimensions; `out` has %u", (int)TENSOR_DIMS,
                             out->count);
    shape->out_count = map ? out->count : 1;
    for (uint32_t i = 0; i < shape->out_count; i++) {
        bool sequence =
            builder_find(builder, &shape->x, "s") >= 0 || builder_find(builder, &shape->x, "t") >= 0;
        const char *label = map ? out->entries[i].key : sequence ? "h" : "c";
        int64_t size;
        if (!builder_integer(builder, map ? out->entries[i].value : out, "out", 1, &size))
            return false;
        shape->out[i] = (struct tensor_dim){.label = builder_label(builder, label), .size = (uint64_t)size};
    }
    return true;
}

static bool fc_over_one(struct builder *builder, const struct value *label, struct fc_shape *shape)
{
    int at = label->text ? builder_find(builder, &shape->x, label->text) : -1;
    if (at < 0)
        return builder_error(builder, "contracts over '%s', but its input has only %s",
                             label->text ? label->text : "?", builder_describe(builder, &shape->x));
    shape->over |= 1u << at;
    return true;
}

static bool fc_read_over(struct builder *builder, const struct value *over, struct fc_shape *shape)
{
    static const char *const kept[] = {"b", "s", "t"};
    if (over && over->kind == VALUE_LIST) {
        for (uint32_t i = 0; i < over->count; i++)
            if (!fc_over_one(builder, over->entries[i].value, shape))
                return false;
    } else if (over) {
        return fc_over_one(builder, over, shape);
    } else {
        shape->over = (1u << shape->x.rank) - 1;
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            int at = builder_find(builder, &shape->x, kept[i]);
            if (at >= 0)
                shape->over &= ~(1u << at);
        }
    }
    return shape->over || builder_error(builder, "has nothing to contract over: its input has only %s",
                                        builder_describe(builder, &shape->x));
}

static uint32_t fc_count(uint32_t bits)
{
    uint32_t count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

/* Indices of the iteration dimensions. */
struct fc_dims {
    int8_t x[TENSOR_DIMS], out[TENSOR_DIMS];
};

/* An iteration dimension over a dimension of the input, filled as that is. */
static int8_t fc_dim_alike(struct builder *builder, struct layer_op *op, const struct tensor_dim *like,
                           uint32_t name, uint32_t second)
{
    int8_t dim = builder_dim(builder, op, like->size, name, second, 0);
    op->dims[dim].filling = like->filling;
    return dim;
}

static void fc_iterate(struct builder *builder, struct layer_op *op, const struct fc_shape *shape,
                       struct fc_dims *dims)
{
    const struct tensor *x = &shape->x;
    for (uint32_t i = 0; i < x->rank; i++)
        if (!(shape->over >> i & 1))
            dims->x[i] = fc_dim_alike(builder, op, &x->dims[i], x->dims[i].label, 0);
    for (uint32_t i = 0; i < shape->out_count; i++) {
        uint32_t role = i == 0 ? builder_name(builder, "o") : shape->out[i].label;
        dims->out[i] =
            builder_dim(builder, op, shape->out[i].size, role, i == 0 ? shape->out[i].label : 0, 0);
    }
    bool first = true;
    for (uint32_t i = 0; i < x->rank; i++) {
        if (!(shape->over >> i & 1))
            continue;
        bool taken = false; /* a label on both sides belongs to the output */
        for (uint32_t k = 0; k < shape->out_count; k++)
            taken = taken || shape->out[k].label == x->dims[i].label;
        uint32_t role = first ? builder_name(builder, "i") : 0, label = taken ? 0 : x->dims[i].label;
        dims->x[i] = fc_dim_alike(builder, op, &x->dims[i], role ? role : label, role ? label : 0);
        first = false;
    }
}

static void fc_own_weight(struct builder *builder, struct layer_op *op, const struct fc_shape *shape,
                          const struct fc_dims *dims)
{
    struct operand *weight = builder_parameter(builder, op, "weight");
    for (uint32_t i = 0; i < shape->out_count; i++)
        builder_extend(builder, op, weight, shape->out[i].label, dims->out[i]);
    for (uint32_t i = 0; i < shape->x.rank; i++) {
        if (!(shape->over >> i & 1))
            continue;
        uint32_t label =
            op->dims[dims->x[i]].names[1] ? op->dims[dims->x[i]].names[1] : op->dims[dims->x[i]].names[0];
        builder_extend(builder, op, weight, label ? label : shape->x.dims[i].label, dims->x[i]);
    }
}

static void fc_output(struct builder *builder, struct layer_op *op, const struct fc_shape *shape,
                      const struct fc_dims *dims)
{
    struct operand *output = builder_output(builder, op);
    for (uint32_t i = 0; i < shape->x.rank; i++)
        if (!(shape->over >> i & 1))
            builder_extend(builder, op, output, shape->x.dims[i].label, dims->x[i]);
    for (uint32_t i = 0; i < shape->out_count; i++)
        builder_extend(builder, op, output, shape->out[i].label, dims->out[i]);
}

static bool fc_build(struct builder *builder, const void *values)
{
    const struct fc_keys *keys = values;
    struct fc_shape shape = {0};
    struct fc_dims dims;
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    shape.x = builder_input(builder, 0);
    if (!fc_read_out(builder, keys->out, &shape) || !fc_read_over(builder, keys->over, &shape))
        return false;
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "");
    fc_iterate(builder, op, &shape, &dims);
    struct operand *input = builder_operand(builder, op, builder->inputs[0]);
    input->saved = true;
    for (uint32_t i = 0; i < shape.x.rank; i++)
        input->dims[i].dim = dims.x[i];
    if (!keys->weight)
        fc_own_weight(builder, op, &shape, &dims);
    else if (!frame_tie(builder, op, keys->weight, shape.out_count + fc_count(shape.over)))
        return false;
    fc_output(builder, op, &shape, &dims);
    uint32_t kept = shape.x.rank - fc_count(shape.over);
    uint32_t features = ((1u << shape.out_count) - 1) << kept;
    builder_epilogue(builder, builder_newest(builder), features, keys->bias, keys->act);
    return true;
}

static const struct field fc_fields[] = {
    {"out", FIELD_VALUE, offsetof(struct fc_keys, out), .required = true,
     .about = "outputs: a number, or labelled dimensions such as {g: heads, d: 64}"},
    {"over", FIELD_VALUE, offsetof(struct fc_keys, over),
     .about = "labels that are contracted; default: all but b, s and t"},
    {"bias", FIELD_FLAG, offsetof(struct fc_keys, bias),
     .about = "adds a learned value per output; default yes"},
    {"act", FIELD_CHOICE, offsetof(struct fc_keys, act), .choices = activation_names,
     .about = "activation that follows; default none"},
    {"weight", FIELD_TEXT, offsetof(struct fc_keys, weight),
     .about = "layer whose weight is used instead of an own one (tied embeddings)"},
};
static const struct fc_keys fc_defaults = {.bias = true};

const struct layer_kind fc_layer = {
    .name = "fc",
    .about = "fully connected: a matrix product, with bias and activation",
    .fields = fc_fields,
    .field_count = FIELDS_COUNT(fc_fields),
    .build = fc_build,
    .keys_size = sizeof(struct fc_keys),
    .defaults = &fc_defaults,
};
