#include "model/decode.h"

#include "model/absorb.h"

#include <assert.h>
#include <string.h>

static bool decode_called(const struct model *model, uint32_t label, const char *text)
{
    return strcmp(names_text(model->names, label), text) == 0;
}

/* Whether a label is that of positions: s, or t of recurrent layers. */
static bool decode_positional(const struct model *model, uint32_t label)
{
    return decode_called(model, label, "s") || decode_called(model, label, "t");
}

static int decode_sequence(const struct model *model, const struct tensor *tensor)
{
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (decode_positional(model, tensor->dims[i].label))
            return (int)i;
    return -1;
}

static bool decode_is_input(const struct model *model, const struct tensor *tensor)
{
    return tensor->role == TENSOR_INPUT && tensor->discrete && decode_sequence(model, tensor) >= 0;
}

uint32_t decode_input(const struct model *model)
{
    for (uint32_t t = 0; t < model->tensors.count; t++)
        if (decode_is_input(model, &model->tensors.at[t]))
            return t;
    return MODEL_NONE;
}

uint32_t decode_output(const struct model *model)
{
    return model->layers.at[model->layers.count - 1].output;
}

/* The last operator that inference runs; MODEL_NONE. */
static uint32_t decode_last(const struct model *model)
{
    uint32_t o = model->operators.count;
    while (o-- > 0)
        if (!model->operators.at[o].training_only)
            return o;
    return MODEL_NONE;
}

/* The product that makes the logits. */
static uint32_t decode_logits(const struct model *model)
{
    uint32_t o = decode_last(model);
    while (o != MODEL_NONE && model->operators.at[o].kind != OPERATOR_EINSUM)
        o = model->operators.at[o].operand_count
                ? model->tensors.at[model->operators.at[o].operands[0].tensor].producer
                : MODEL_NONE;
    return o;
}

/* Rows of the table that the tokens choose from; 0: there is none. */
static uint64_t decode_vocabulary(const struct model *model, uint32_t tokens)
{
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        bool reads = false;
        for (uint32_t i = 0; i < layer_op->operand_count; i++)
            reads |= layer_op->operands[i].tensor == tokens;
        for (uint32_t i = 0; reads && i < layer_op->operand_count; i++)
            if (model->tensors.at[layer_op->operands[i].tensor].role == TENSOR_PARAMETER)
                return model->tensors.at[layer_op->operands[i].tensor].dims[0].size;
    }
    return 0;
}

/* Whether an operator needs other positions of its operands than those that it gives, though it is neither
 * attention nor recurrent. */
static bool decode_mixes(const struct model *model, const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        const struct operand *operand = &layer_op->operands[i];
        const struct tensor *tensor = &model->tensors.at[operand->tensor];
        int s = tensor->role == TENSOR_PARAMETER ? -1 : decode_sequence(model, tensor);
        if (s < 0)
            continue;
        const struct operand_dim *at = &operand->dims[s];
        if (at->dim < 0 || at->kernel >= 0 || at->inner >= 0 || at->offset ||
            layer_op->dims[at->dim].size != tensor->dims[s].size || layer_op->normalised >> at->dim & 1)
            return true;
        bool given = layer_op->dims[at->dim].sequential;
        for (uint32_t k = 0; k < model->tensors.at[layer_op->output.tensor].rank; k++)
            given |= layer_op->output.dims[k].dim == at->dim || layer_op->output.dims[k].inner == at->dim;
        if (!given)
            return true;
    }
    return false;
}

/* Whether attention adds values for pairs of positions to its scores. */
static bool decode_biased(const struct model *model, const struct layer_op *layer_op)
{
    bool biased = false;
    for (uint32_t i = 1; layer_op->kind == OPERATOR_POINTWISE && i < layer_op->operand_count; i++) {
        const struct operand *operand = &layer_op->operands[i];
        const struct tensor *tensor = &model->tensors.at[operand->tensor];
        bool scores = tensor->producer != MODEL_NONE && model->operators.at[tensor->producer].attends;
        for (uint32_t k = 0; !scores && k < tensor->rank; k++)
            biased =
                biased || operand->dims[k].dim == layer_op->query || operand->dims[k].dim == layer_op->key;
    }
    return biased;
}

static bool decode_both_ways(const struct model *model, const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].size > 1 && decode_called(model, layer_op->dims[i].names[0], "direction"))
            return true;
    return false;
}

/* What of one operator stands against it; NULL: nothing. */
static const char *decode_against(const struct model *model, const struct layer_op *layer_op,
                                  struct arena *arena)
{
    const char *layer = names_text(model->names, model->layers.at[layer_op->layer].name);
    if (layer_op->training_only)
        return NULL;
    if (layer_op->attends && !layer_op->masked)
        return arena_format(arena, "'%s' attends to later positions too: it has no causal mask", layer);
    if (layer_op->attends)
        return decode_biased(model, layer_op)
                   ? arena_format(arena, "'%s' adds values for pairs of positions to its scores", layer)
                   : NULL;
    if (decode_both_ways(model, layer_op))
        return arena_format(arena, "'%s' reads its sequence in both directions", layer);
    return decode_mixes(model, layer_op) ? arena_format(arena, "'%s' mixes positions of the sequence", layer)
                                         : NULL;
}

const char *decode_obstacle(const struct model *model, struct arena *arena)
{
    uint32_t tokens = decode_input(model), logits = decode_logits(model), inputs = 0;
    for (uint32_t t = 0; t < model->tensors.count; t++)
        inputs += model->tensors.at[t].role == TENSOR_INPUT;
    if (tokens == MODEL_NONE)
        return "it reads no sequence of tokens";
    if (inputs > 1)
        return "it has several inputs: an encoder, or more than one sequence";
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const char *against = decode_against(model, &model->operators.at[o], arena);
        if (against)
            return against;
    }
    const struct tensor *last =
        logits == MODEL_NONE ? NULL
                             : &model->tensors.at[model->operators.at[decode_last(model)].output.tensor];
    uint64_t vocabulary = decode_vocabulary(model, tokens);
    if (!last || last->rank != 3 || decode_sequence(model, last) != 1 || last->dims[2].size != vocabulary)
        return arena_format(arena,
                            "its last layer does not give a number for each of %llu tokens at each position",
                            (unsigned long long)vocabulary);
    return NULL;
}

uint64_t decode_positions(const struct model *model)
{
    uint64_t least = 0;
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            const struct tensor *tensor = &model->tensors.at[layer_op->operands[i].tensor];
            int s = tensor->role == TENSOR_PARAMETER ? decode_sequence(model, tensor) : -1;
            if (s >= 0 && (!least || tensor->dims[s].size < least))
                least = tensor->dims[s].size;
        }
    }
    return least;
}

/* Every size of an operator's output is that of the iteration dimension that indexes it. */
static void decode_resize(struct model *model, const struct layer_op *layer_op, uint32_t dim)
{
    struct tensor *output = &model->tensors.at[layer_op->output.tensor];
    for (uint32_t k = 0; k < output->rank; k++)
        if (layer_op->output.dims[k].dim == (int)dim && layer_op->output.dims[k].inner < 0)
            output->dims[k].size = layer_op->dims[dim].size;
}

/* The logits, and what is made of them, at one position: of its operand, a product then reads one. */
static void decode_shorten(struct model *model)
{
    for (uint32_t o = decode_logits(model); o < model->operators.count; o++) {
        struct layer_op *layer_op = &model->operators.at[o];
        bool first = o == decode_logits(model);
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            const struct operand *operand = &layer_op->operands[i];
            const struct tensor *tensor = &model->tensors.at[operand->tensor];
            int s = tensor->role == TENSOR_PARAMETER ? -1 : decode_sequence(model, tensor);
            if (s < 0 || operand->dims[s].dim < 0 || (!first && tensor->dims[s].size > 1))
                continue;
            layer_op->dims[operand->dims[s].dim].size = 1;
            decode_resize(model, layer_op, (uint32_t)operand->dims[s].dim);
        }
    }
}

static const struct operand_dim decode_unindexed = {
    .dim = -1, .inner = -1, .kernel = -1, .stride = 1, .dilation = 1};

static struct operand decode_operand(uint32_t tensor)
{
    struct operand operand = {.tensor = tensor};
    for (uint32_t i = 0; i < TENSOR_DIMS; i++)
        operand.dims[i] = decode_unindexed;
    return operand;
}

void decode_sample(struct model *model)
{
    decode_shorten(model);
    uint32_t logits = model->operators.at[decode_last(model)].output.tensor;
    struct tensor from = model->tensors.at[logits];
    uint32_t name = names_add(model->names, "sample"), layer = model->layers.count;
    struct layer_op layer_op = {.kind = OPERATOR_POINTWISE,
                                .kernel = KERNEL_MEMORY,
                                .layer = layer,
                                .name = names_add(model->names, ""),
                                .fraction = 1,
                                .flops_per_point = 1,
                                .operand_count = 1,
                                .dim_count = from.rank,
                                .normalised = 1u << (from.rank - 1),
                                .statistics_forward = 2}; /* the largest and which it is */
    layer_op.operands[0] = decode_operand(logits);
    layer_op.output = decode_operand(model->tensors.count);
    struct tensor token = {.rank = from.rank - 1,
                           .name = name,
                           .layer = layer,
                           .producer = model->operators.count,
                           .discrete = true,
                           .role = TENSOR_ACTIVATION};
    for (uint32_t i = 0; i < from.rank; i++) {
        layer_op.dims[i] = (struct iteration_dim){.names = {from.dims[i].label}, .size = from.dims[i].size};
        layer_op.operands[0].dims[i].dim = (int8_t)i;
        if (i < token.rank) {
            token.dims[i] = from.dims[i];
            layer_op.output.dims[i].dim = (int8_t)i;
        }
    }
    struct model_unit *unit = &model->units.at[model->units.count - 1];
    struct layer sample = {.name = name,
                           .kind = name,
                           .part = name,
                           .unit = model->units.count - 1,
                           .first_operator = model->operators.count,
                           .operator_count = 1,
                           .output = model->tensors.count,
                           .place = model->layers.at[layer - 1].place};
    unit->layer_count++;
    VECTOR_PUSH(&model->operators, layer_op);
    VECTOR_PUSH(&model->tensors, token);
    VECTOR_PUSH(&model->layers, sample);
}

/* Marks, from an operator that reads a tensor along `dim`, the operators back to where a cache stands: their
 * dimension along the positions that are kept grows with them. */
static void decode_grow(struct model *model, const struct layer_op *layer_op, uint32_t dim)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        const struct operand *operand = &layer_op->operands[i];
        const struct tensor *tensor = &model->tensors.at[operand->tensor];
        for (uint32_t k = 0; k < tensor->rank; k++) {
            if (operand->dims[k].dim != (int)dim || tensor->cached || tensor->producer == MODEL_NONE)
                continue;
            struct layer_op *producer = &model->operators.at[tensor->producer];
            if (producer->attends)
                continue; /* scores: they have that dimension themselves */
            producer->grows = (uint8_t)(1 + producer->output.dims[k].dim);
            decode_grow(model, producer, (uint32_t)producer->output.dims[k].dim);
        }
    }
}

/* The cache of a tensor: of the same shape, for the positions before; made when it is first asked for. */
static uint32_t decode_cache(struct model *model, uint32_t tensor)
{
    if (model->tensors.at[tensor].cache)
        return model->tensors.at[tensor].cache;
    struct tensor cache = model->tensors.at[tensor];
    char name[1024];
    size_t length = strlen(names_text(model->names, cache.name));
    assert(length + sizeof ".cache" <= sizeof name);
    memcpy(name, names_text(model->names, cache.name), length);
    memcpy(name + length, ".cache", sizeof ".cache");
    cache.name = names_add(model->names, name);
    cache.producer = MODEL_NONE;
    cache.role = TENSOR_INPUT;
    cache.past = true;
    cache.cache = tensor;
    cache.cached = cache.internal = false;
    VECTOR_PUSH(&model->tensors, cache);
    return model->tensors.at[tensor].cache = model->tensors.count - 1;
}

/* Gives an operator the cache beside each new key or value that it reads along its growing dimension. */
static void decode_read(struct model *model, struct layer_op *layer_op)
{
    uint32_t count = layer_op->operand_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tensor = layer_op->operands[i].tensor;
        bool along = false;
        for (uint32_t k = 0; k < model->tensors.at[tensor].rank; k++)
            along |= layer_op->operands[i].dims[k].dim == layer_op->grows - 1;
        if (!along || !model->tensors.at[tensor].cached)
            continue;
        assert(layer_op->operand_count < OPERATOR_OPERANDS);
        struct operand past = layer_op->operands[i];
        past.tensor = decode_cache(model, tensor);
        past.saved = past.gradient = false;
        layer_op->operands[layer_op->operand_count++] = past;
    }
}

void decode_step(struct model *token)
{
    absorb(token);
    for (uint32_t o = 0; o < token->operators.count; o++) {
        struct layer_op *layer_op = &token->operators.at[o];
        if (!layer_op->attends)
            continue;
        layer_op->grows = (uint8_t)(1 + layer_op->key);
        layer_op->causal = false; /* the one query is the last position: it sees all */
        layer_op->fraction = 1;
        decode_grow(token, layer_op, (uint32_t)layer_op->key);
    }
    for (uint32_t o = 0; o < token->operators.count; o++)
        if (token->operators.at[o].grows)
            decode_read(token, &token->operators.at[o]);
    decode_past(token, 0);
}

/* Positions before the new one that an operator reads when there are so many. */
static uint64_t decode_seen(const struct layer_op *layer_op, uint64_t past)
{
    return layer_op->window && layer_op->window <= past ? layer_op->window - 1 : past;
}

/* The caches that an operator reads hold at least so many positions; the new one comes after those that it
 * sees. */
static void decode_hold(struct model *token, struct layer_op *layer_op, uint64_t seen)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        struct operand *operand = &layer_op->operands[i];
        struct tensor *tensor = &token->tensors.at[operand->tensor];
        for (uint32_t k = 0; k < tensor->rank; k++) {
            if (operand->dims[k].dim != layer_op->grows - 1)
                continue;
            if (tensor->past)
                tensor->dims[k].size = tensor->dims[k].size > seen ? tensor->dims[k].size : seen;
            else if (tensor->cached)
                operand->dims[k].offset = seen;
        }
    }
}

static void decode_forget(struct model *token, const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        struct tensor *tensor = &token->tensors.at[layer_op->operands[i].tensor];
        for (uint32_t k = 0; k < tensor->rank && tensor->past; k++)
            if (layer_op->operands[i].dims[k].dim == layer_op->grows - 1)
                tensor->dims[k].size = 0;
    }
}

void decode_past(struct model *token, uint64_t past)
{
    for (uint32_t o = 0; o < token->operators.count; o++)
        if (token->operators.at[o].grows)
            decode_forget(token, &token->operators.at[o]);
    for (uint32_t o = 0; o < token->operators.count; o++) {
        struct layer_op *layer_op = &token->operators.at[o];
        if (!layer_op->grows)
            continue;
        uint64_t seen = decode_seen(layer_op, past);
        layer_op->dims[layer_op->grows - 1].size = seen + 1;
        decode_resize(token, layer_op, layer_op->grows - 1u);
        decode_hold(token, layer_op, seen);
    }
}
