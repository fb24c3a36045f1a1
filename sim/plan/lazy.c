#include "plan/lazy.h"

#include "plan/state.h"

/* Whether an operator is linear in one of its operands. */
static bool lazy_linear(const struct layer_op *layer_op, uint32_t operand)
{
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].sequential)
            return false;
    return layer_op->kind != OPERATOR_EINSUM && (layer_op->additive || (layer_op->linear && operand == 0));
}

/* Whether what an operator makes is a sum over the members of an axis, and no maximum. */
static bool lazy_sums(const struct derivation *d, uint32_t tensor)
{
    uint32_t producer = state_tensor(d, tensor)->producer;
    const struct layer_op *layer_op = producer == MODEL_NONE ? NULL : &d->plan->model->operators.at[producer];
    return layer_op && (layer_op->kind == OPERATOR_LOOKUP || layer_op->linear || layer_op->additive);
}

/* Whether a tensor has been reduced along an axis before. */
static bool lazy_reduced(const struct derivation *d, uint32_t tensor, uint32_t axis)
{
    for (uint32_t f = d->first_form[tensor]; f != MODEL_NONE; f = d->forms.at[f].next)
        if (d->forms.at[f].layout.place[axis] != PLACE_PARTIAL || d->forms.at[f].tile)
            return true;
    return false;
}

static uint32_t lazy_unit(const struct derivation *d, const struct layer_op *layer_op)
{
    return d->plan->model->layers.at[layer_op->layer].unit;
}

static bool lazy_fused(const struct derivation *d, uint32_t unit)
{
    for (uint32_t i = 0; i < d->stage->fused_count; i++)
        if (unit - d->stage->fused[i].first_unit < d->stage->fused[i].unit_count)
            return true;
    return false;
}

/* Whether an operator reads a tensor only as a partial sum along an axis, if at all. */
static bool lazy_passes(const struct derivation *d, const struct layer_op *layer_op, uint32_t tensor,
                        uint32_t axis)
{
    const struct plan_stage *stage = d->stage;
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        if (d->same_as[layer_op->operands[i].tensor] != tensor)
            continue;
        struct assignment assignment = assign_operator(stage, d->plan->model, layer_op);
        if (!lazy_linear(layer_op, i) || lazy_fused(d, lazy_unit(d, layer_op)) ||
            assignment.split[axis] != ASSIGN_ALL)
            return false;
    }
    return true;
}

/* Whether nobody wants a tensor whole along an axis. */
static bool lazy_everywhere(const struct derivation *d, uint32_t tensor, uint32_t axis)
{
    const struct model *model = d->plan->model;
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        bool here = lazy_unit(d, layer_op) - d->stage->first_unit < d->stage->unit_count;
        if (layer_op->training_only && !d->plan->training)
            continue;
        for (uint32_t i = 0; i < layer_op->operand_count && !here; i++)
            if (d->same_as[layer_op->operands[i].tensor] == tensor)
                return false; /* another stage imports it */
        if (here && !lazy_passes(d, layer_op, tensor, axis))
            return false;
    }
    return true;
}

void lazy_mark(const struct derivation *d, struct stage_operator *so)
{
    const struct layer_op *layer_op = &d->plan->model->operators.at[so->layer_op];
    for (uint32_t i = 0; i < layer_op->operand_count && d->stage->lazy && !so->fused; i++) {
        uint32_t tensor = d->same_as[layer_op->operands[i].tensor];
        for (uint32_t a = 0; a < d->stage->axis_count && d->first_form[tensor] != MODEL_NONE; a++)
            if (!lazy_reduced(d, tensor, a) && lazy_sums(d, tensor) && lazy_everywhere(d, tensor, a))
                so->lazy[i] |= (uint8_t)(1u << a);
    }
}

uint32_t lazy_axes(const struct stage_operator *so)
{
    uint32_t axes = 0;
    for (uint32_t i = 0; i < OPERATOR_OPERANDS; i++)
        axes |= so->lazy[i];
    return axes;
}
