#include "plan/summa.h"

#include "plan/lazy.h"
#include "plan/mesh.h"
#include "plan/panels.h"
#include "plan/saved.h"
#include "plan/state.h"
#include "plan/streamed.h"

/* Whether an operand has an iteration dimension, which one of its tensor's being; MODEL_NONE: it has not. */
static uint32_t summa_has(const struct derivation *d, const struct operand *operand, int dim)
{
    for (uint32_t k = 0; k < state_tensor(d, operand->tensor)->rank; k++)
        if (operand->dims[k].dim == dim)
            return k;
    return MODEL_NONE;
}

static bool summa_is_weight(const struct derivation *d, const struct operand *operand)
{
    return state_tensor(d, operand->tensor)->role == TENSOR_PARAMETER;
}

/* Operators of the model that use a tensor. */
static uint32_t summa_uses(const struct derivation *d, uint32_t tensor)
{
    const struct model *model = d->plan->model;
    uint32_t uses = 0;
    for (uint32_t o = 0; o < model->operators.count; o++)
        for (uint32_t i = 0; i < model->operators.at[o].operand_count; i++)
            uses += model->operators.at[o].operands[i].tensor == tensor;
    return uses;
}

/* A plain product of one activation with weights of its own: no windows, steps or partly filled dimensions.
 */
static bool summa_plain(const struct derivation *d, uint32_t index)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    uint32_t weights = 0;
    if (layer_op->kind != OPERATOR_EINSUM || layer_op->attends || layer_op->operand_count != 2 || so->fused ||
        so->assignment.shares || lazy_axes(so))
        return false;
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].sequential || layer_op->dims[i].filling)
            return false;
    for (uint32_t i = 0; i < 2; i++) {
        const struct operand *operand = &layer_op->operands[i];
        weights += summa_is_weight(d, operand);
        if (operand->feedback || operand->added ||
            (summa_is_weight(d, operand) && summa_uses(d, operand->tensor) > 1) ||
            !assign_aligned(d->stage, d->plan->model, layer_op, &so->assignment, operand))
            return false;
    }
    return weights == 1 &&
           assign_aligned(d->stage, d->plan->model, layer_op, &so->assignment, &layer_op->output);
}

/* The axes (bit set) along which the weights can be kept in shares: the innermost one, and what is one with
 * it, that splits what the other operand has and they have not. 0: none, or the product is not split along
 * what only they have, or along what is contracted. */
static uint32_t summa_rows(const struct derivation *d, uint32_t index, const struct operand *other,
                           const struct operand *weights)
{
    const struct stage_operator *so = &d->operators.at[index];
    uint32_t rows = 0;
    bool columns = false;
    for (uint32_t a = d->stage->axis_count; a-- > 0;) {
        int split = so->assignment.split[a];
        if (split == ASSIGN_ALL)
            continue;
        if (split == ASSIGN_ONE || summa_has(d, &state_operator(d, index)->output, split) == MODEL_NONE)
            return 0;
        bool left = summa_has(d, other, split) != MODEL_NONE,
             right = summa_has(d, weights, split) != MODEL_NONE;
        columns |= right && !left;
        if (left && !right && (!rows || mesh_joins(d->stage, rows | 1u << a)))
            rows |= 1u << a;
    }
    return columns ? rows : 0;
}

void summa_prepare(struct derivation *d, uint32_t index)
{
    struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    so->panel_dim = -1;
    if (d->plan->product != PRODUCT_SUMMA || !summa_plain(d, index))
        return;
    uint32_t w = summa_is_weight(d, &layer_op->operands[0]) ? 0 : 1;
    uint32_t rows = summa_rows(d, index, &layer_op->operands[1 - w], &layer_op->operands[w]);
    for (uint32_t i = 0; i < layer_op->dim_count && rows && so->panel_dim < 0; i++)
        if (layer_op->dims[i].size > 1 && summa_has(d, &layer_op->output, (int)i) == MODEL_NONE &&
            summa_has(d, &layer_op->operands[w], (int)i) != MODEL_NONE &&
            summa_has(d, &layer_op->operands[1 - w], (int)i) != MODEL_NONE)
            so->panel_dim = (int8_t)i;
    if (so->panel_dim < 0)
        return;
    so->panels = (uint8_t)(1u << w);
    so->panel_axes[w] = (uint8_t)rows;
}

/* The place of an operand; MODEL_NONE: it does not come in panels. */
static uint32_t summa_place(const struct derivation *d, uint32_t index, const struct operand *operand)
{
    uint32_t i = (uint32_t)(operand - state_operator(d, index)->operands);
    return d->operators.at[index].panels >> i & 1 ? i : MODEL_NONE;
}

struct layout summa_stored(const struct derivation *d, uint32_t index, const struct operand *operand,
                           struct layout used)
{
    const struct stage_operator *so = &d->operators.at[index];
    uint32_t i = summa_place(d, index, operand);
    for (uint32_t a = 0; i != MODEL_NONE && a < PLAN_AXES; a++)
        if (so->panel_axes[i] >> a & 1) {
            used.place[a] = PLACE_SPLIT;
            used.dim[a] = (uint8_t)summa_has(d, operand, so->panel_dim);
        }
    return used;
}

static uint32_t summa_first(uint32_t axes)
{
    uint32_t first = 0;
    while (first + 1 < PLAN_AXES && !(axes >> first & 1))
        first++;
    return first;
}

/* A streamed collective of an operand's tensor between the layout in which it is used and that in which it is
 * kept. */
static struct action summa_action(const struct derivation *d, uint32_t index, uint32_t i, int collective,
                                  struct layout before, struct layout after)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    return (struct action){.kind = ACTION_COLLECTIVE,
                           .collective = (uint8_t)collective,
                           .axis = (uint8_t)summa_first(so->panel_axes[i]),
                           .axes = so->panel_axes[i],
                           .streamed = true,
                           .layer_op = index,
                           .tensor = layer_op->operands[i].tensor,
                           .unit = so->unit,
                           .part = d->plan->model->layers.at[layer_op->layer].part,
                           .before = before,
                           .after = after,
                           .element_bytes =
                               derive_element_bytes(d->plan, state_tensor(d, layer_op->operands[i].tensor))};
}

/* What brings panels of weights. */
static struct action summa_gather(const struct derivation *d, uint32_t index, uint32_t i)
{
    const struct operand *operand = &state_operator(d, index)->operands[i];
    struct layout used = assign_layout(d->stage, d->plan->model, state_operator(d, index),
                                       &d->operators.at[index].assignment, operand, false);
    struct action action = summa_action(d, index, i, ALL_GATHER, summa_stored(d, index, operand, used), used);
    state_reason(d, &action, 0);
    return action;
}

uint32_t summa_weight(struct derivation *d, uint32_t index, const struct operand *operand)
{
    uint32_t i = summa_place(d, index, operand);
    return i == MODEL_NONE ? MODEL_NONE : state_action(d, false, summa_gather(d, index, i), NULL, 0);
}

void summa_mark(struct derivation *d, uint32_t index, uint32_t i, uint32_t form)
{
    struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    uint32_t last = d->forms.at[form].action;
    if (!so->panels || last == MODEL_NONE || d->forms.at[form].boxes)
        return;
    const struct action *action = &d->forward.at[last];
    uint32_t dim = summa_has(d, &layer_op->operands[i], so->panel_dim);
    bool along = action->kind == ACTION_COLLECTIVE && action->collective == ALL_GATHER &&
                 action->layer_op == index && saved_source(d, action->tensor, form) != form;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) /* all shares of that dimension, and only they */
        along = along && (action->axes >> a & 1) ==
                             (action->before.place[a] == PLACE_SPLIT && action->before.dim[a] == dim);
    if (!along)
        return;
    state_stream(d, last);
    so->panels |= (uint8_t)(1u << i);
    so->panel_axes[i] = action->axes;
}

void summa_regather(struct derivation *d, uint32_t index, struct action base, struct index_list *ready)
{
    const struct layer_op *layer_op = state_operator(d, index);
    bool wanted = false; /* the gradient that is made of the weights */
    for (uint32_t i = 0; i < layer_op->operand_count && d->operators.at[index].panels; i++)
        wanted |= !summa_is_weight(d, &layer_op->operands[i]) && layer_op->operands[i].gradient &&
                  d->needs_gradient[layer_op->operands[i].tensor];
    for (uint32_t i = 0; i < layer_op->operand_count && wanted; i++) {
        if (!summa_is_weight(d, &layer_op->operands[i]))
            continue;
        struct action action = summa_gather(d, index, i);
        action.unit = base.unit;
        uint32_t made = state_action(d, true, action, NULL, 0);
        VECTOR_PUSH(ready, made);
    }
}

void summa_scatter(struct derivation *d, uint32_t index, uint32_t i, struct contribution *given)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct operand *operand = &state_operator(d, index)->operands[i];
    if (!(so->panels >> i & 1))
        return;
    uint8_t dim = (uint8_t)summa_has(d, operand, so->panel_dim);
    struct action action = summa_action(d, index, i, REDUCE_SCATTER, given->layout, given->layout);
    if (!streamed_scatters(d->stage, &given->layout, so->panel_axes[i], dim))
        return;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (so->panel_axes[i] >> a & 1) {
            action.after.place[a] = PLACE_SPLIT;
            action.after.dim[a] = dim;
        }
    state_reason(d, &action, given->because[action.axis]);
    given->action = state_action(d, true, action, &given->action, 1);
    given->layout = action.after;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (so->panel_axes[i] >> a & 1)
            given->because[a] = 0;
}

void summa_scatter_weight(struct derivation *d, uint32_t index, uint32_t kernel)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        if (!(so->panels >> i & 1) || !summa_is_weight(d, &layer_op->operands[i]))
            continue;
        struct layout made =
            assign_layout(d->stage, d->plan->model, layer_op, &so->assignment, &layer_op->operands[i], true);
        struct action action = summa_action(d, index, i, REDUCE_SCATTER, made,
                                            summa_stored(d, index, &layer_op->operands[i], made));
        action.element_bytes = precision_bytes(d->plan->gradient_precision);
        state_reason(d, &action, layer_op->dims[so->assignment.split[action.axis]].names[0]);
        state_action(d, true, action, &kernel, 1);
    }
}

void summa_close(struct derivation *d, bool backward, uint32_t index)
{
    const struct stage_operator *so = &d->operators.at[index];
    uint32_t end = backward ? d->backward.count : d->forward.count, first = end;
    struct action *actions = backward ? d->backward.at : d->forward.at;
    if (!so->panels)
        return;
    if (!backward)
        panels_cut(d, index);
    struct step_loop made = {.end = end,
                             .steps = so->panel_count,
                             .carry = MODEL_NONE,
                             .ring = true,
                             .panels = true,
                             .because = state_operator(d, index)->dims[so->panel_dim].names[0]};
    for (uint32_t i = end; i-- > 0 && actions[i].unit == so->unit;) {
        bool product = actions[i].kind == ACTION_KERNEL && actions[i].layer_op == index;
        if (!product && !(actions[i].streamed && actions[i].layer_op == index))
            continue;
        actions[i].loop = backward ? d->backward_loops.count : d->forward_loops.count;
        made.axes |= product ? 0 : actions[i].axes;
        made.first = first = i;
    }
    if (backward && first < end)
        VECTOR_PUSH(&d->backward_loops, made);
    else if (first < end)
        VECTOR_PUSH(&d->forward_loops, made);
}

void summa_warn(const struct derivation *d, struct report *report)
{
    bool products = false;
    for (uint32_t o = 0; o < d->operators.count; o++) {
        if (d->operators.at[o].panels)
            return;
        for (uint32_t i = 0; i < state_operator(d, o)->operand_count; i++)
            products |= state_operator(d, o)->kernel == KERNEL_MATMUL &&
                        summa_is_weight(d, &state_operator(d, o)->operands[i]);
    }
    if (d->plan->product == PRODUCT_SUMMA && products)
        report_warning(
            report, d->stage->place,
            "no product of this stage is streamed by SUMMA: it takes an axis that splits the batch "
            "or the sequence and one that splits outputs, and weights of its own");
}
