#include "model/builder.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint32_t builder_name(const struct builder *builder, const char *text)
{
    return names_add(builder->model->names, text);
}

static const char *builder_text(const struct builder *builder, uint32_t name)
{
    return names_text(builder->model->names, name);
}

struct tensor builder_input(const struct builder *builder, uint32_t index)
{
    assert(index < builder->input_count);
    return builder->model->tensors.at[builder->inputs[index]];
}

int builder_find(const struct builder *builder, const struct tensor *tensor, const char *label)
{
    uint32_t id = builder_name(builder, label);
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i].label == id)
            return (int)i;
    return -1;
}

bool builder_error(struct builder *builder, const char *format, ...)
{
    const struct layer *layer = &builder->model->layers.at[builder->layer];
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(&builder->input->arena, format, arguments);
    va_end(arguments);
    builder->failed = true;
    return report_error(&builder->input->report, builder->place, "%s '%s' %s",
                        builder_text(builder, layer->kind), builder_text(builder, layer->name), text);
}

bool builder_want_inputs(struct builder *builder, uint32_t low, uint32_t high)
{
    uint32_t count = builder->input_count;
    if (count >= low && count <= high)
        return true;
    if (low == high)
        return builder_error(builder, "needs %u input%s, but `from` gives %u", low, low == 1 ? "" : "s",
                             count);
    return builder_error(builder, "needs %u to %u inputs, but `from` gives %u", low, high, count);
}

const char *builder_describe(const struct builder *builder, const struct tensor *tensor)
{
    const char *text = "";
    for (uint32_t i = 0; i < tensor->rank; i++)
        text = arena_format(&builder->input->arena, "%s%s%s %llu", text, i ? ", " : "",
                            builder_text(builder, tensor->dims[i].label),
                            (unsigned long long)tensor->dims[i].size);
    return text;
}

/* Whether the tensor's labels are exactly the words of `labels`. */
static bool builder_has_dims(const struct builder *builder, const struct tensor *tensor, const char *labels)
{
    uint32_t i = 0;
    while (*labels) {
        size_t length = strcspn(labels, " ");
        const char *label = i < tensor->rank ? builder_text(builder, tensor->dims[i].label) : "";
        if (strlen(label) != length || memcmp(label, labels, length) != 0)
            return false;
        labels += length + (labels[length] == ' ');
        i++;
    }
    return i == tensor->rank;
}

bool builder_want_dims(struct builder *builder, uint32_t input, const char *labels)
{
    struct tensor tensor = builder_input(builder, input);
    if (builder_has_dims(builder, &tensor, labels))
        return true;
    const char *wanted = "";
    for (const char *at = labels; *at;) {
        size_t length = strcspn(at, " ");
        wanted =
            arena_format(&builder->input->arena, "%s%s%.*s", wanted, *wanted ? ", " : "", (int)length, at);
        at += length + (at[length] == ' ');
    }
    return builder_error(builder, "needs an input with dimensions %s; '%s' gives %s", wanted,
                         builder_text(builder, tensor.name), builder_describe(builder, &tensor));
}

bool builder_integer(struct builder *builder, const struct value *value, const char *key, int64_t low,
                     int64_t *number)
{
    struct field field = {.key = key, .kind = FIELD_INTEGER, .low = (double)low, .high = 1e9};
    if (fields_read_one(builder->input, value, &field, builder->scope, number))
        return true;
    builder->failed = true;
    return false;
}

uint32_t builder_label(struct builder *builder, const char *text)
{
    if (!isalpha((unsigned char)*text))
        builder_error(builder, "has a dimension called '%s'; expected a label such as h", text);
    return builder_name(builder, text);
}

bool builder_pair(struct builder *builder, const struct value *value, const char *key, int64_t low,
                  int64_t pair[2])
{
    if (value && value->kind == VALUE_LIST) {
        if (value->count != 2) {
            builder->failed = true;
            return report_error(&builder->input->report, value->place,
                                "%s needs one number or two, [y, x], but this list has %u", key,
                                value->count);
        }
        return builder_integer(builder, value->entries[0].value, key, low, &pair[0]) &&
               builder_integer(builder, value->entries[1].value, key, low, &pair[1]);
    }
    if (!builder_integer(builder, value, key, low, &pair[0]))
        return false;
    pair[1] = pair[0];
    return true;
}

bool builder_want_map(struct builder *builder)
{
    static const char *const maps[] = {"b c x", "b c y x", "b c z y x"};
    struct tensor x = builder_input(builder, 0);
    bool channels = builder_find(builder, &x, "c") == 1;
    return builder_want_dims(builder, 0, maps[!channels ? 1 : x.rank == 3 ? 0 : x.rank == 5 ? 2 : 1]);
}

bool builder_list(struct builder *builder, const struct value *value, const char *key, int64_t low,
                  uint32_t axes, int64_t *list)
{
    if (axes == 2)
        return builder_pair(builder, value, key, low, list);
    if (value->kind != VALUE_LIST) {
        if (!builder_integer(builder, value, key, low, &list[0]))
            return false;
        for (uint32_t i = 1; i < axes; i++)
            list[i] = list[0];
        return true;
    }
    if (value->count != axes)
        return builder_error(builder, "needs one number or %u for `%s`, but this list has %u", axes, key,
                             value->count);
    for (uint32_t i = 0; i < axes; i++)
        if (!builder_integer(builder, value->entries[i].value, key, low, &list[i]))
            return false;
    return true;
}

struct layer_op *builder_operator(struct builder *builder, enum operator_kind kind, enum kernel_kind kernel,
                                  const char *name)
{
    struct layer_op *op;
    VECTOR_PUSH(&builder->model->operators, (struct layer_op){0});
    op = &builder->model->operators.at[builder->model->operators.count - 1];
    op->kind = (uint8_t)kind;
    op->kernel = (uint8_t)kernel;
    op->layer = builder->layer;
    op->name = builder_name(builder, name);
    op->linear = kind == OPERATOR_EINSUM || kind == OPERATOR_VIEW;
    op->flops_per_point = kind == OPERATOR_EINSUM ? 2 : 0;
    op->fraction = 1;
    builder->model->layers.at[builder->layer].operator_count++;
    return op;
}

int8_t builder_dim(struct builder *builder, struct layer_op *op, uint64_t size, uint32_t name,
                   uint32_t second, uint32_t third)
{
    if (op->dim_count == OPERATOR_DIMS) {
        if (!builder->failed)
            builder_error(builder, "would iterate over more than %d dimensions", (int)OPERATOR_DIMS);
        return 0;
    }
    op->dims[op->dim_count] = (struct iteration_dim){.names = {name, second, third}, .size = size};
    return (int8_t)op->dim_count++;
}

int8_t builder_dim_labelled(struct builder *builder, struct layer_op *op, uint64_t size, uint32_t label)
{
    const char *text = builder_text(builder, label);
    bool feature = strcmp(text, "c") == 0 || strcmp(text, "h") == 0 || strcmp(text, "f") == 0;
    uint32_t o = feature ? builder_name(builder, "o") : 0, i = feature ? builder_name(builder, "i") : 0;
    return builder_dim(builder, op, size, label, o, i);
}

struct filling *builder_filling(const struct builder *builder, uint64_t size, uint64_t of, uint64_t **before)
{
    struct arena *arena = &builder->model->arena;
    struct filling *filling = arena_alloc(arena, sizeof *filling);
    *before = ARENA_ARRAY(arena, uint64_t, size + 1);
    *filling = (struct filling){.before = *before, .of = of, .size = size};
    return filling;
}

const struct filling *builder_filled(const struct builder *builder, struct filling *filling)
{
    struct model *model = builder->model;
    uint64_t size = filling->size;
    filling->even = true;
    for (uint64_t i = 0; i < size; i++)
        filling->even &= filling->before[i + 1] - filling->before[i] == filling->before[1];
    for (uint32_t f = 0; f < model->fillings.count; f++) {
        const struct filling *other = model->fillings.at[f];
        if (other->size == size && other->of == filling->of && other->chosen == filling->chosen &&
            memcmp(other->before, filling->before, (size + 1) * sizeof *filling->before) == 0)
            return other;
    }
    VECTOR_PUSH(&model->fillings, filling);
    return filling;
}

uint64_t builder_dim_size(const struct layer_op *op, int8_t dim)
{
    assert(dim >= 0 && (uint32_t)dim < op->dim_count);
    return op->dims[dim].size;
}

static const struct operand_dim builder_unindexed = {
    .dim = -1, .inner = -1, .kernel = -1, .stride = 1, .dilation = 1};

static void builder_operand_init(struct operand *operand, uint32_t tensor)
{
    *operand = (struct operand){.tensor = tensor};
    for (uint32_t i = 0; i < TENSOR_DIMS; i++)
        operand->dims[i] = builder_unindexed;
}

/* Gradients flow to parameters and to whatever was computed from one; not to token identities, images, or
 * what is only a view of them. */
static bool builder_wants_gradient(const struct builder *builder, uint32_t tensor)
{
    const struct tensor *at = &builder->model->tensors.at[tensor];
    if (at->role != TENSOR_ACTIVATION)
        return at->role == TENSOR_PARAMETER;
    if (at->producer == MODEL_NONE)
        return true; /* still to be produced: a hidden state that is fed back */
    const struct layer_op *producer = &builder->model->operators.at[at->producer];
    for (uint32_t i = 0; i < producer->operand_count; i++)
        if (producer->operands[i].gradient)
            return true;
    return false;
}

struct operand *builder_operand(struct builder *builder, struct layer_op *op, uint32_t tensor)
{
    assert(op->operand_count < OPERATOR_OPERANDS);
    struct operand *operand = &op->operands[op->operand_count++];
    builder_operand_init(operand, tensor);
    operand->gradient = builder_wants_gradient(builder, tensor);
    return operand;
}

/* A tensor is called as its layer with `suffix` after a dot; the layer's last output loses the suffix later.
 */
static uint32_t builder_tensor(struct builder *builder, enum tensor_role role, const char *suffix)
{
    const char *layer = builder_text(builder, builder->model->layers.at[builder->layer].name);
    char name[1024];
    snprintf(name, sizeof name, "%s%s%s", layer, *suffix ? "." : "", suffix);
    struct tensor tensor = {.name = builder_name(builder, name),
                            .layer = builder->layer,
                            .producer = MODEL_NONE,
                            .role = (uint8_t)role};
    VECTOR_PUSH(&builder->model->tensors, tensor);
    return builder->model->tensors.count - 1;
}

struct operand *builder_parameter(struct builder *builder, struct layer_op *op, const char *suffix)
{
    return builder_operand(builder, op, builder_tensor(builder, TENSOR_PARAMETER, suffix));
}

struct operand *builder_output(struct builder *builder, struct layer_op *op)
{
    uint32_t tensor = builder_tensor(builder, TENSOR_ACTIVATION, builder_text(builder, op->name));
    builder->model->tensors.at[tensor].producer = (uint32_t)(op - builder->model->operators.at);
    builder_operand_init(&op->output, tensor);
    op->output.gradient = true;
    return &op->output;
}

/* The place of a new dimension of the operand's tensor. */
static struct operand_dim *builder_grow(struct builder *builder, struct operand *operand, uint32_t label,
                                        uint64_t size)
{
    struct tensor *tensor = &builder->model->tensors.at[operand->tensor];
    if (tensor->rank == TENSOR_DIMS || model_elements(tensor) * (double)size > 9e18) {
        if (!builder->failed)
            builder_error(builder, "would give a tensor of more than %d dimensions or 9e18 elements",
                          (int)TENSOR_DIMS);
        return &operand->dims[0];
    }
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i].label == label && tensor->role == TENSOR_ACTIVATION && !builder->failed)
            builder_error(builder, "would give a tensor with two dimensions '%s'",
                          builder_text(builder, label));
    tensor->dims[tensor->rank] = (struct tensor_dim){.label = label, .size = size};
    return &operand->dims[tensor->rank++];
}

struct operand_dim *builder_extend(struct builder *builder, const struct layer_op *op,
                                   struct operand *operand, uint32_t label, int8_t dim)
{
    struct operand_dim *at = builder_grow(builder, operand, label, builder_dim_size(op, dim));
    struct tensor *tensor = &builder->model->tensors.at[operand->tensor];
    at->dim = dim;
    tensor->dims[at - operand->dims].filling = op->dims[dim].filling;
    return at;
}

void builder_extend_merged(struct builder *builder, const struct layer_op *op, struct operand *operand,
                           uint32_t label, int8_t outer, int8_t inner)
{
    uint64_t size = builder_dim_size(op, outer) * builder_dim_size(op, inner);
    struct operand_dim *at = builder_grow(builder, operand, label, size);
    at->dim = outer;
    at->inner = inner;
}

void builder_extend_whole(struct builder *builder, struct operand *operand, uint32_t label, uint64_t size)
{
    builder_grow(builder, operand, label, size);
}

struct layer_op *builder_pointwise(struct builder *builder, uint32_t tensor, const char *name, double flops)
{
    struct tensor shape = builder->model->tensors.at[tensor];
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, name);
    struct operand *input = builder_operand(builder, op, tensor);
    struct operand *output = builder_output(builder, op);
    op->flops_per_point = flops;
    for (uint32_t i = 0; i < shape.rank; i++) {
        int8_t dim = builder_dim_labelled(builder, op, shape.dims[i].size, shape.dims[i].label);
        op->dims[dim].filling = shape.dims[i].filling;
        input->dims[i].dim = dim;
        builder_extend(builder, op, output, shape.dims[i].label, dim);
    }
    return op;
}

struct operand *builder_operand_alike(struct builder *builder, struct layer_op *op, uint32_t tensor)
{
    struct tensor first = builder->model->tensors.at[op->operands[0].tensor];
    struct tensor other = builder->model->tensors.at[tensor];
    struct operand *operand = builder_operand(builder, op, tensor);
    bool alike = first.rank == other.rank;
    for (uint32_t i = 0; i < other.rank && alike; i++) {
        int at = builder_find(builder, &first, builder_text(builder, other.dims[i].label));
        alike = at >= 0 && first.dims[at].size == other.dims[i].size;
        operand->dims[i].dim = alike ? op->operands[0].dims[at].dim : (int8_t)-1;
    }
    if (!alike && !builder->failed)
        builder_error(builder, "needs inputs of one shape, but '%s' is %s and '%s' is %s",
                      builder_text(builder, first.name), builder_describe(builder, &first),
                      builder_text(builder, other.name), builder_describe(builder, &other));
    return operand;
}

void builder_epilogue(struct builder *builder, uint32_t tensor, uint32_t features, bool bias, int activation)
{
    if (!bias && activation == ACTIVATION_IDENTITY)
        return;
    struct tensor shape = builder->model->tensors.at[tensor];
    const struct activation_cost *cost = &activation_costs[activation];
    const char *layer = builder_text(builder, builder->model->layers.at[builder->layer].name);
    char name[1024];
    snprintf(name, sizeof name, "%s.product", layer);
    builder->model->tensors.at[tensor].name = builder_name(builder, name);
    snprintf(name, sizeof name, "%s%s%s", bias ? "bias" : "", bias && activation ? "+" : "",
             activation ? activation_names[activation] : "");
    struct layer_op *op = builder_pointwise(builder, tensor, name, cost->flops + bias);
    op->fused = true;
    op->additive = activation == ACTIVATION_IDENTITY;
    op->operands[0].saved = cost->input_saved;
    op->output_saved = cost->output_saved;
    if (!bias)
        return;
    struct operand *operand = builder_parameter(builder, op, "bias");
    for (uint32_t i = 0; i < shape.rank; i++)
        if (features >> i & 1)
            builder_extend(builder, op, operand, shape.dims[i].label, (int8_t)i);
}

uint32_t builder_newest(const struct builder *builder)
{
    return builder->model->operators.at[builder->model->operators.count - 1].output.tensor;
}
