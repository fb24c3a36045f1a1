#include "plan/cache.h"

#include "plan/state.h"

#include <stdlib.h>
#include <string.h>

static int cache_order(const void *left, const void *right)
{
    const struct cache_reader *a = left, *b = right;
    if (a->tensor != b->tensor)
        return a->tensor < b->tensor ? -1 : 1;
    if (a->layer_op != b->layer_op)
        return a->layer_op < b->layer_op ? -1 : 1;
    return a->operand < b->operand ? -1 : a->operand > b->operand;
}

void cache_find(const struct derivation *d, struct cache_readers *readers)
{
    *readers = (struct cache_readers){0};
    for (uint32_t o = 0; o < d->operators.count; o++) {
        const struct layer_op *layer_op = state_operator(d, o);
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            const struct operand *operand = &layer_op->operands[i];
            const struct tensor *tensor = state_tensor(d, operand->tensor);
            if (tensor->past || operand->feedback)
                VECTOR_PUSH(&readers->at,
                            ((struct cache_reader){tensor->past ? tensor->cache : operand->tensor, o, i}));
        }
    }
    if (readers->at.count)
        qsort(readers->at.at, readers->at.count, sizeof *readers->at.at, cache_order);
}

void cache_fini(struct cache_readers *readers)
{
    VECTOR_FREE(&readers->at);
}

uint32_t cache_next(const struct cache_readers *readers, uint32_t first)
{
    uint32_t next = first + 1;
    while (next < readers->at.count && readers->at.at[next].tensor == readers->at.at[first].tensor)
        next++;
    return next;
}

static struct box cache_box(const struct derivation *d, const struct cache_reader *reader, uint32_t member)
{
    const struct layer_op *layer_op = state_operator(d, reader->layer_op);
    return assign_box(d->stage, d->plan->model, layer_op, &d->operators.at[reader->layer_op].assignment,
                      &layer_op->operands[reader->operand], layout_coordinates(d->stage, member));
}

/* What a recurrent layer keeps besides its hidden state (the cell of an LSTM), as its gates give it. */
static double cache_cell(const struct derivation *d, uint32_t tensor, uint32_t member)
{
    double bytes = 0;
    for (uint32_t o = 0; o < d->operators.count; o++) {
        const struct layer_op *layer_op = state_operator(d, o);
        if (d->operators.at[o].layer_op != state_tensor(d, tensor)->producer)
            continue;
        struct box box = assign_box(d->stage, d->plan->model, layer_op, &d->operators.at[o].assignment,
                                    &layer_op->output, layout_coordinates(d->stage, member));
        bytes += layout_volume(state_tensor(d, tensor), &box) * layer_op->saved_per_output;
    }
    return bytes;
}

double cache_bytes(const struct derivation *d, const struct cache_readers *readers, uint32_t first,
                   uint32_t member)
{
    double bytes = 0;
    uint32_t end = cache_next(readers, first);
    for (uint32_t r = first; r < end; r++) {
        const struct cache_reader *reader = &readers->at.at[r];
        struct box box = cache_box(d, reader, member);
        bool again = false; /* another reader has the same part of it */
        for (uint32_t k = first; k < r && !again; k++) {
            struct box other = cache_box(d, &readers->at.at[k], member);
            again = memcmp(&other, &box, sizeof box) == 0;
        }
        const struct tensor *kept =
            state_tensor(d, state_operator(d, reader->layer_op)->operands[reader->operand].tensor);
        if (!again)
            bytes += layout_volume(kept, &box) * derive_element_bytes(d->plan, kept);
    }
    if (!state_tensor(d, readers->at.at[first].tensor)->cache)
        bytes += cache_cell(d, readers->at.at[first].tensor, member);
    return bytes;
}
