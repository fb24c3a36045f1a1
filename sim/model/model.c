#include "model/model.h"

#include <assert.h>

void model_init(struct model *model, struct names *names)
{
    *model = (struct model){.names = names, .sample = "sample"};
    arena_init(&model->arena);
}

void model_fini(struct model *model)
{
    VECTOR_FREE(&model->layers);
    VECTOR_FREE(&model->operators);
    VECTOR_FREE(&model->tensors);
    VECTOR_FREE(&model->units);
    VECTOR_FREE(&model->fillings);
    arena_fini(&model->arena);
    *model = (struct model){0};
}

uint32_t model_find_layer(const struct model *model, const char *name)
{
    uint32_t id = names_find(model->names, name);
    for (uint32_t i = 0; id != UINT32_MAX && i < model->layers.count; i++)
        if (model->layers.at[i].name == id)
            return i;
    return MODEL_NONE;
}

uint32_t model_find_unit(const struct model *model, const char *name)
{
    uint32_t id = names_find(model->names, name);
    for (uint32_t i = 0; id != UINT32_MAX && i < model->units.count; i++)
        if (model->units.at[i].name == id)
            return i;
    return MODEL_NONE;
}

double model_extent(const struct filling *filling, struct interval over)
{
    if (over.low >= over.high)
        return 0;
    if (!filling)
        return (double)(over.high - over.low);
    return (double)(filling->before[over.high] - filling->before[over.low]) / (double)filling->of;
}

double model_elements(const struct tensor *tensor)
{
    double elements = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        elements *= model_extent(tensor->dims[i].filling, (struct interval){0, tensor->dims[i].size});
    return elements;
}

/* In whole numbers: a sum of doubles is exact only up to 2^53. The builder keeps a tensor below 2^63. Of a
 * partly filled dimension the places at one index are the size of another, which is divided first. */
static uint64_t model_count(const struct tensor *tensor)
{
    uint64_t elements = 1, filled = 1, of = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        const struct filling *filling = tensor->dims[i].filling;
        elements *= filling ? 1 : tensor->dims[i].size;
        filled *= filling ? filling->before[tensor->dims[i].size] : 1;
        of *= filling ? filling->of : 1;
    }
    return elements % of == 0 ? elements / of * filled : elements * filled / of;
}

uint64_t model_parameters(const struct model *model)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < model->tensors.count; i++)
        if (model->tensors.at[i].role == TENSOR_PARAMETER)
            sum += model_count(&model->tensors.at[i]);
    return sum;
}

/* The part of a parameter that one point of an operator uses: k of E experts. */
static uint64_t model_active(const struct tensor *tensor, const struct layer_op *op,
                             const struct operand *operand)
{
    uint64_t count = model_count(tensor);
    for (uint32_t i = 0; i < tensor->rank; i++) {
        int dim = operand->dims[i].dim;
        const struct filling *filling = dim < 0 ? NULL : op->dims[dim].filling;
        if (filling && filling->chosen && !tensor->dims[i].filling)
            count = count / op->dims[dim].size * filling->chosen;
    }
    return count;
}

uint64_t model_active_parameters(const struct model *model)
{
    uint64_t sum = 0;
    for (uint32_t t = 0; t < model->tensors.count; t++) {
        const struct tensor *tensor = &model->tensors.at[t];
        bool seen = tensor->role != TENSOR_PARAMETER;
        uint32_t first = seen ? 0 : model->layers.at[tensor->layer].first_operator;
        for (uint32_t o = first; !seen && o < model->operators.count; o++) {
            const struct layer_op *op = &model->operators.at[o];
            for (uint32_t i = 0; i < op->operand_count && !seen; i++)
                if (op->operands[i].tensor == t) {
                    sum += model_active(tensor, op, &op->operands[i]);
                    seen = true;
                }
        }
    }
    return sum;
}

/* Whether an operator before `last` reads the same tensor: then it was counted there. */
static bool model_read_before(const struct model *model, uint32_t first, uint32_t last, uint32_t tensor)
{
    for (uint32_t o = first; o < last; o++)
        for (uint32_t i = 0; i < model->operators.at[o].operand_count; i++)
            if (model->operators.at[o].operands[i].tensor == tensor)
                return true;
    return false;
}

uint64_t model_layer_parameters(const struct model *model, uint32_t layer)
{
    assert(layer < model->layers.count);
    uint64_t sum = 0;
    uint32_t first = model->layers.at[layer].first_operator, output = model->layers.at[layer].output;
    if (output != MODEL_NONE && model->tensors.at[output].role == TENSOR_PARAMETER)
        return model_count(&model->tensors.at[output]);
    for (uint32_t o = first; o < first + model->layers.at[layer].operator_count; o++) {
        const struct layer_op *op = &model->operators.at[o];
        for (uint32_t i = 0; i < op->operand_count; i++) {
            const struct tensor *tensor = &model->tensors.at[op->operands[i].tensor];
            if (tensor->role == TENSOR_PARAMETER && tensor->layer == layer &&
                !model_read_before(model, first, o, op->operands[i].tensor))
                sum += model_count(tensor);
        }
    }
    return sum;
}

double model_points(const struct layer_op *op)
{
    double points = op->fraction;
    for (uint32_t i = 0; i < op->dim_count; i++)
        points *= model_extent(op->dims[i].filling, (struct interval){0, op->dims[i].size});
    return points;
}

static double model_operator_macs(const struct layer_op *op)
{
    return op->kind == OPERATOR_EINSUM ? model_points(op) : 0;
}

double model_layer_macs(const struct model *model, uint32_t layer)
{
    assert(layer < model->layers.count);
    double sum = 0;
    const struct layer *at = &model->layers.at[layer];
    for (uint32_t i = 0; i < at->operator_count; i++)
        sum += model_operator_macs(&model->operators.at[at->first_operator + i]);
    return sum;
}

double model_macs(const struct model *model)
{
    double sum = 0;
    for (uint32_t i = 0; i < model->operators.count; i++)
        sum += model_operator_macs(&model->operators.at[i]);
    return sum;
}

static uint64_t model_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct interval model_needed(const struct model *model, const struct layer_op *op,
                             const struct operand *operand, uint32_t tensor_dim, struct interval over)
{
    const struct tensor *tensor = &model->tensors.at[operand->tensor];
    assert(tensor_dim < tensor->rank);
    const struct operand_dim *at = &operand->dims[tensor_dim];
    uint64_t size = tensor->dims[tensor_dim].size;
    if (over.low >= over.high)
        return (struct interval){0, 0};
    if (at->dim < 0)
        return (struct interval){0, size};
    uint64_t low = over.low, high = over.high,
             shift = at->offset; /* [low − shift, high − shift) before clipping */
    if (at->kernel >= 0) {
        uint64_t reach = (op->dims[at->kernel].size - 1) * at->dilation;
        low = over.low * at->stride;
        high = (over.high - 1) * at->stride + reach + 1;
        shift = at->pad;
    } else if (at->inner >= 0) {
        uint64_t inner = op->dims[at->inner].size;
        low *= inner;
        high *= inner;
    }
    struct interval needed = {low > shift ? low - shift : 0, high > shift ? high - shift : 0};
    needed.low = model_least(needed.low, size);
    needed.high = model_least(needed.high, size);
    return needed;
}
