#include "plan/wavefront.h"

#include "plan/state.h"

#include <string.h>

/* The one dimension of an operator that runs along the sequence; -1: none, or several. */
static int wavefront_dim(const struct model *model, const struct layer_op *layer_op)
{
    int found = -1;
    for (uint32_t d = 0; d < layer_op->dim_count; d++)
        for (uint32_t n = 0; n < DIM_NAMES; n++) {
            const char *name = names_text(model->names, layer_op->dims[d].names[n]);
            if (strcmp(name, "s") != 0 && strcmp(name, "t") != 0)
                continue;
            if (found >= 0 && found != (int)d)
                return -1;
            found = (int)d;
        }
    return found;
}

/* Whether an operand has the same positions as the operator: then a chunk of one needs that chunk of the
 * other. */
static bool wavefront_follows(const struct model *model, const struct operand *operand, int dim)
{
    for (uint32_t k = 0; k < model->tensors.at[operand->tensor].rank; k++) {
        const struct operand_dim *map = &operand->dims[k];
        if (map->dim == dim)
            return map->inner < 0 && map->kernel < 0 && !map->offset;
    }
    return false;
}

/* The length of an operator's sequence; 0 when it cannot be done chunk by chunk: it mixes positions, reads
 * the sequence from its end as well, or its positions are split over devices. */
static uint32_t wavefront_length(const struct derivation *d, uint32_t index)
{
    const struct model *model = d->plan->model;
    const struct layer_op *layer_op = state_operator(d, index);
    int dim = wavefront_dim(model, layer_op);
    if (dim < 0 || layer_op->attends || d->operators.at[index].fused || (layer_op->normalised >> dim & 1))
        return 0;
    for (uint32_t k = 0; k < layer_op->dim_count; k++)
        if (layer_op->dims[k].size > 1 &&
            strcmp(names_text(model->names, layer_op->dims[k].names[0]), "direction") == 0)
            return 0;
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (d->operators.at[index].assignment.split[a] == dim)
            return 0;
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (model->tensors.at[layer_op->operands[i].tensor].role != TENSOR_PARAMETER &&
            !wavefront_follows(model, &layer_op->operands[i], dim))
            return 0;
    return (uint32_t)layer_op->dims[dim].size;
}

struct wavefront wavefront_stage(const struct derivation *d, uint32_t *layer_op)
{
    struct wavefront wave = {1, 1};
    *layer_op = MODEL_NONE;
    if (d->plan->time_chunks <= 1 || !d->operators.count)
        return wave;
    for (uint32_t i = 0; i < d->operators.count; i++) {
        uint32_t length = wavefront_length(d, i);
        if (length && (i == 0 || length == wave.steps)) {
            wave.steps = length;
            continue;
        }
        *layer_op = d->operators.at[i].layer_op;
        return (struct wavefront){1, 1};
    }
    wave.chunks = d->plan->time_chunks < wave.steps ? d->plan->time_chunks : wave.steps;
    return wave;
}

uint32_t wavefront_between(const struct wavefront *one, const struct wavefront *other)
{
    return one->chunks == other->chunks && one->steps == other->steps ? one->chunks : 1;
}

uint32_t wavefront_transfer(const struct derivation *d, uint32_t peer)
{
    uint32_t layer_op;
    if (d->plan->time_chunks <= 1 || peer == MODEL_NONE)
        return 1;
    struct wavefront here = wavefront_stage(d, &layer_op);
    struct wavefront there = wavefront_stage(d - d->stage_index + peer, &layer_op);
    return wavefront_between(&here, &there);
}

struct interval wavefront_chunk(const struct wavefront *wave, uint32_t chunk)
{
    uint64_t steps = wave->steps;
    return (struct interval){steps * chunk / wave->chunks, steps * (chunk + 1) / wave->chunks};
}

bool wavefront_check(const struct plan *plan, const struct derivation *derivations, struct report *report)
{
    const struct model *model = plan->model;
    uint32_t layer_op, blocks = MODEL_NONE;
    if (plan->time_chunks <= 1)
        return true;
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        if (wavefront_stage(&derivations[s], &layer_op).chunks > 1)
            return true;
        blocks = blocks == MODEL_NONE ? layer_op : blocks;
    }
    const char *layer =
        blocks == MODEL_NONE
            ? "input"
            : names_text(model->names, model->layers.at[model->operators.at[blocks].layer].name);
    return report_error(
        report, plan->stages.at[0].place,
        "plan.time-chunks: no stage can go through its sequence position by position, the first "
        "one because of '%s'; recurrent layers that read in one direction can, in stages of "
        "their own",
        layer);
}
