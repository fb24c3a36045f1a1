#include "model/absorb.h"

#include <string.h>

/* The products of one attention layer. */
struct absorb_core {
    uint32_t scores, context;            /* operators */
    uint32_t keys, values;               /* operators that make keys and values of what is cached */
    uint32_t key_operand, value_operand; /* of scores and context */
    uint32_t cached_key, cached_value;   /* operands of the latter two */
};

/* Whether the tensor that an operand reads is a product of something cached with weights, made for this
 * operator alone. Sets the operator that makes it, and its operand. */
static bool absorb_made(const struct model *model, uint32_t reader, uint32_t operand, uint32_t *maker,
                        uint32_t *cached)
{
    uint32_t tensor = model->operators.at[reader].operands[operand].tensor;
    uint32_t producer = model->tensors.at[tensor].producer, readers = 0;
    if (producer == MODEL_NONE || model->tensors.at[tensor].cached)
        return false;
    for (uint32_t o = 0; o < model->operators.count; o++)
        for (uint32_t i = 0; i < model->operators.at[o].operand_count; i++)
            readers += model->operators.at[o].operands[i].tensor == tensor;
    const struct layer_op *by = &model->operators.at[producer];
    if (readers != 1 || by->kind != OPERATOR_EINSUM || by->operand_count != 2)
        return false;
    uint32_t c = model->tensors.at[by->operands[0].tensor].cached ? 0 : 1;
    *maker = producer;
    *cached = c;
    return model->tensors.at[by->operands[c].tensor].cached &&
           model->tensors.at[by->operands[c].tensor].rank == 3 &&
           model->tensors.at[by->operands[1 - c].tensor].role == TENSOR_PARAMETER;
}

/* The operand of an attention product that is indexed by the keys. */
static uint32_t absorb_keyed(const struct model *model, const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        const struct tensor *tensor = &model->tensors.at[layer_op->operands[i].tensor];
        bool attended = tensor->producer != MODEL_NONE && model->operators.at[tensor->producer].attends;
        for (uint32_t k = 0; k < tensor->rank && !attended; k++)
            if (layer_op->operands[i].dims[k].dim == layer_op->key)
                return i;
    }
    return MODEL_NONE;
}

/* The one dimension of an operator that its output lacks, and of an operator over a cached tensor the one
 * that the cached operand has besides those of the output. */
static int absorb_contracted(const struct layer_op *layer_op)
{
    for (uint32_t d = 0; d < layer_op->dim_count; d++) {
        bool given = false;
        for (uint32_t k = 0; k < TENSOR_DIMS; k++)
            given |= layer_op->output.dims[k].dim == (int)d;
        if (!given)
            return (int)d;
    }
    return -1;
}

static int absorb_dim_of(const struct operand *operand, uint32_t rank, int dim)
{
    for (uint32_t k = 0; k < rank; k++)
        if (operand->dims[k].dim == dim)
            return (int)k;
    return -1;
}

/* Reads a tensor of a cache, [b, s, l], by the operator's batch, its `along` and its `last`. */
static void absorb_read(struct model *model, struct operand *operand, uint32_t cached, int8_t batch,
                        int8_t along, int8_t last)
{
    operand->tensor = cached;
    for (uint32_t k = 0; k < TENSOR_DIMS; k++)
        operand->dims[k] =
            (struct operand_dim){.dim = -1, .inner = -1, .kernel = -1, .stride = 1, .dilation = 1};
    operand->dims[0].dim = batch;
    operand->dims[1].dim = along;
    operand->dims[model->tensors.at[cached].rank - 1].dim = last;
}

/* The product with weights, from the tensor of queries to that of queries over latents or the way back:
 * iterates over what `from` has, and over what it makes of its last dimension. The weights are `weight`, of
 * which `in` is contracted and `out` made. */
struct absorb_product {
    uint32_t layer_op, from, to;
    struct operand weight;
    const struct layer_op *old; /* as it was */
    int in, out;                /* dimensions of `old` */
};

static void absorb_multiply(struct model *model, const struct absorb_product *p)
{
    struct layer_op *layer_op = &model->operators.at[p->layer_op];
    struct layer_op old = *p->old;
    const struct tensor *from = &model->tensors.at[p->from];
    struct tensor *to = &model->tensors.at[p->to];
    uint32_t last = from->rank - 1;
    int8_t dim_of[OPERATOR_DIMS];
    memset(dim_of, -1, sizeof dim_of);
    layer_op->dim_count = from->rank + 1;
    layer_op->operand_count = 2;
    layer_op->operands[0] = (struct operand){.tensor = p->from};
    layer_op->output = (struct operand){.tensor = p->to};
    layer_op->operands[1] = p->weight;
    for (uint32_t k = 0; k < TENSOR_DIMS; k++)
        layer_op->operands[0].dims[k] = layer_op->output.dims[k] =
            (struct operand_dim){.dim = -1, .inner = -1, .kernel = -1, .stride = 1, .dilation = 1};
    for (uint32_t k = 0; k < last; k++) {
        layer_op->dims[k] =
            (struct iteration_dim){.names = {from->dims[k].label}, .size = from->dims[k].size};
        layer_op->operands[0].dims[k].dim = layer_op->output.dims[k].dim = (int8_t)k;
        for (uint32_t d = 0; d < old.dim_count; d++) /* the weights' own dimensions, as groups of heads */
            for (uint32_t n = 0; n < DIM_NAMES; n++)
                if (old.dims[d].names[n] == from->dims[k].label && (int)d != p->in && (int)d != p->out)
                    dim_of[d] = (int8_t)k;
    }
    layer_op->dims[last] = old.dims[p->in];
    layer_op->dims[last + 1] = old.dims[p->out];
    dim_of[p->in] = (int8_t)last;
    dim_of[p->out] = (int8_t)(last + 1);
    layer_op->operands[0].dims[last].dim = (int8_t)last;
    layer_op->output.dims[last].dim = (int8_t)(last + 1);
    for (uint32_t k = 0; k < TENSOR_DIMS; k++)
        if (p->weight.dims[k].dim >= 0)
            layer_op->operands[1].dims[k].dim = dim_of[p->weight.dims[k].dim];
    struct tensor made = *from;
    made.dims[last].size = old.dims[p->out].size;
    made.dims[last].label = old.dims[p->out].names[1] ? old.dims[p->out].names[1] : old.dims[p->out].names[0];
    made.name = to->name;
    made.layer = to->layer;
    made.producer = p->layer_op;
    made.cached = made.internal = false;
    *to = made;
}

/* The keys: their layer makes queries over latents. */
static void absorb_scores(struct model *model, const struct absorb_core *core)
{
    struct layer_op *scores = &model->operators.at[core->scores];
    struct layer_op maker = model->operators.at[core->keys];
    const struct operand *key = &scores->operands[core->key_operand];
    uint32_t keys = key->tensor, cached = maker.operands[core->cached_key].tensor,
             query = core->key_operand ? 0 : 1;
    int in_scores = absorb_contracted(scores);
    int made = absorb_dim_of(key, model->tensors.at[keys].rank, in_scores); /* of the keys' tensor */
    struct absorb_product product = {.layer_op = core->keys,
                                     .from = scores->operands[query].tensor,
                                     .to = keys,
                                     .weight = maker.operands[1 - core->cached_key],
                                     .old = &maker,
                                     .in = maker.output.dims[made].dim,
                                     .out = absorb_contracted(&maker)};
    int8_t batch = scores->operands[query].dims[0].dim;
    absorb_multiply(model, &product);
    scores->operands[query].tensor = keys;
    scores->dims[in_scores] = maker.dims[product.out];
    absorb_read(model, &scores->operands[core->key_operand], cached, batch, scores->key, (int8_t)in_scores);
}

/* The values: their layer makes, of sums of latents, what the attention gave. */
static void absorb_context(struct model *model, const struct absorb_core *core)
{
    struct layer_op *context = &model->operators.at[core->context];
    struct layer_op maker = model->operators.at[core->values];
    const struct operand *value = &context->operands[core->value_operand];
    uint32_t values = value->tensor, output = context->output.tensor;
    uint32_t cached = maker.operands[core->cached_value].tensor, rank = model->tensors.at[output].rank;
    int in_context = context->output.dims[rank - 1].dim;
    int made = absorb_dim_of(value, model->tensors.at[values].rank, in_context);
    int latent = absorb_contracted(&maker);
    struct tensor sums = model->tensors.at[output]; /* takes the place of the values */
    sums.name = model->tensors.at[values].name;
    sums.layer = context->layer;
    sums.producer = core->context;
    sums.dims[rank - 1] = (struct tensor_dim){
        .label = maker.dims[latent].names[1] ? maker.dims[latent].names[1] : maker.dims[latent].names[0],
        .size = maker.dims[latent].size};
    model->tensors.at[values] = sums;
    int8_t batch = context->output.dims[0].dim;
    context->output.tensor = values;
    context->dims[in_context] = maker.dims[latent];
    absorb_read(model, &context->operands[core->value_operand], cached, batch, context->key,
                (int8_t)in_context);
    model->layers.at[context->layer].output = values;
    struct tensor given = model->tensors.at[output];
    struct absorb_product product = {.layer_op = core->values,
                                     .from = values,
                                     .to = output,
                                     .weight = maker.operands[1 - core->cached_value],
                                     .old = &maker,
                                     .in = latent,
                                     .out = maker.output.dims[made].dim};
    absorb_multiply(model, &product);
    model->tensors.at[output].dims[rank - 1].label = given.dims[rank - 1].label;
    model->tensors.at[output].layer = maker.layer;
    model->layers.at[maker.layer].output = output;
}

static void absorb_renumber(struct model *model, const uint32_t *now)
{
    for (uint32_t o = 0; o < model->operators.count; o++)
        model->operators.at[o].layer = now[model->operators.at[o].layer];
    for (uint32_t t = 0; t < model->tensors.count; t++)
        model->tensors.at[t].layer = now[model->tensors.at[t].layer];
}

/* Moves a layer to right after a later one of the same unit; the layers between go one place forward. */
static void absorb_move(struct model *model, uint32_t layer, uint32_t after)
{
    uint32_t *now = ARENA_ARRAY(&model->arena, uint32_t, model->layers.count);
    struct layer moved = model->layers.at[layer];
    for (uint32_t l = 0; l < model->layers.count; l++)
        now[l] = l > layer && l <= after ? l - 1 : l;
    now[layer] = after;
    for (uint32_t l = layer; l < after; l++)
        model->layers.at[l] = model->layers.at[l + 1];
    model->layers.at[after] = moved;
    absorb_renumber(model, now);
}

/* The layer where operator `from` stands, where its inputs come later than it. */
static void absorb_after(struct model *model, uint32_t layer_op, uint32_t tensor)
{
    uint32_t producer = model->tensors.at[tensor].producer;
    uint32_t mine = model->operators.at[layer_op].layer;
    uint32_t needed = producer == MODEL_NONE ? 0 : model->operators.at[producer].layer;
    if (needed > mine)
        absorb_move(model, mine, needed);
}

/* Whether an operator is all there is of a layer of a unit: then the layer may go elsewhere in that. */
static bool absorb_alone(const struct model *model, uint32_t layer_op, uint32_t unit)
{
    const struct layer *layer = &model->layers.at[model->operators.at[layer_op].layer];
    return layer->operator_count == 1 && layer->unit == unit;
}

/* The scores and the context of one layer, if both read products of what is cached. */
static bool absorb_find(const struct model *model, uint32_t layer, struct absorb_core *core)
{
    const struct layer *at = &model->layers.at[layer];
    *core = (struct absorb_core){.scores = MODEL_NONE, .context = MODEL_NONE};
    for (uint32_t o = at->first_operator; o < at->first_operator + at->operator_count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        if (!layer_op->attends || layer_op->kind != OPERATOR_EINSUM ||
            absorb_keyed(model, layer_op) == MODEL_NONE)
            continue;
        uint32_t maker, cached, operand = absorb_keyed(model, layer_op);
        if (!absorb_made(model, o, operand, &maker, &cached))
            continue;
        if (absorb_contracted(layer_op) == layer_op->key) {
            core->context = o;
            core->value_operand = operand;
            core->values = maker;
            core->cached_value = cached;
        } else {
            core->scores = o;
            core->key_operand = operand;
            core->keys = maker;
            core->cached_key = cached;
        }
    }
    return core->scores != MODEL_NONE && core->context != MODEL_NONE &&
           absorb_alone(model, core->keys, at->unit) && absorb_alone(model, core->values, at->unit);
}

void absorb(struct model *token)
{
    for (uint32_t l = 0; l < token->layers.count; l++) {
        struct absorb_core core;
        if (!absorb_find(token, l, &core))
            continue;
        absorb_scores(token, &core);
        absorb_context(token, &core);
        absorb_after(token, core.keys, token->operators.at[core.keys].operands[0].tensor);
        absorb_after(token, core.values, token->operators.at[core.values].operands[0].tensor);
    }
}
