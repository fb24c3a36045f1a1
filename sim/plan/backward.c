#include "plan/backward.h"

#include "plan/boundary.h"
#include "plan/exchange.h"
#include "plan/fuse.h"
#include "plan/lazy.h"
#include "plan/loop.h"
#include "plan/saved.h"
#include "plan/search.h"
#include "plan/streamed.h"
#include "plan/summa.h"

/* Adds a summand to a tensor's gradient. */
static void backward_contribute(struct derivation *d, uint32_t tensor, struct contribution given)
{
    given.next = d->first_contribution[tensor];
    d->first_contribution[tensor] = d->contributions.count;
    VECTOR_PUSH(&d->contributions, given);
}

/* Where windows overlap, a member's contribution reaches into what others own: they get it and add it. */
static uint32_t backward_exchange(struct derivation *d, uint32_t tensor, const struct contribution *given,
                                  struct action base)
{
    struct convert_side from = {d->stage, state_tensor(d, tensor), given->layout, given->boxes};
    struct convert_side to = {d->stage, state_tensor(d, tensor), given->layout, NULL};
    base.tensor = tensor;
    base.carried = base.transient = given->feedback;
    uint32_t exchange = exchange_append(d, true, base, &from, &to, &given->action, 1);
    return exchange == MODEL_NONE ? given->action : exchange;
}

/* Contributions that are added before they are converted. */
struct backward_group {
    struct layout layout;
    uint32_t because[PLAN_AXES]; /* per partial axis: the dimension that made it so; interned */
    struct index_list made_by;   /* actions. Owned. */
    uint32_t count, fed_back;    /* contributions, and those of the time step before */
};

struct backward_groups {
    struct backward_group *at;
    uint32_t count, room;
};

static struct backward_group backward_begin(const struct derivation *d, const struct contribution *given)
{
    struct backward_group group = {.layout = given->layout};
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        group.because[a] = given->because[a];
    return group;
}

/* Two layouts that differ only in partial against replicated or one are added as partial (one member of a
 * replicated axis gives its copy), in one against replicated on the one. Returns false when they cannot be
 * added without a conversion. */
static bool backward_merge(const struct derivation *d, struct backward_group *sum,
                           const struct contribution *given)
{
    const struct layout *other = &given->layout;
    struct backward_group merged = *sum;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        bool splits = sum->layout.place[a] == PLACE_SPLIT || other->place[a] == PLACE_SPLIT;
        if (splits && (sum->layout.place[a] != other->place[a] || sum->layout.dim[a] != other->dim[a]))
            return false;
        if (other->place[a] == PLACE_ONE && merged.layout.place[a] == PLACE_REPLICATED)
            merged.layout.place[a] = PLACE_ONE;
        if (other->place[a] != PLACE_PARTIAL)
            continue;
        merged.layout.place[a] = PLACE_PARTIAL;
        if (!merged.because[a])
            merged.because[a] = given->because[a];
    }
    *sum = merged;
    return true;
}

/* The contributions to a tensor's gradient, those together that are added as they are. */
static struct backward_groups backward_groups(struct derivation *d, uint32_t tensor, struct action base)
{
    struct backward_groups groups = {0};
    for (uint32_t c = d->first_contribution[tensor]; c != MODEL_NONE; c = d->contributions.at[c].next) {
        struct contribution given = d->contributions.at[c];
        if (given.boxes)
            given.action = backward_exchange(d, tensor, &given, base);
        uint32_t g = 0;
        while (g < groups.count && !backward_merge(d, &groups.at[g], &given))
            g++;
        if (g == groups.count)
            VECTOR_PUSH(&groups, backward_begin(d, &given));
        VECTOR_PUSH(&groups.at[g].made_by, given.action);
        groups.at[g].count++;
        groups.at[g].fed_back += given.feedback;
    }
    return groups;
}

/* Converts one group of contributions to the required layout. */
static void backward_convert(struct derivation *d, const struct backward_group *group, struct layout required,
                             struct action base, struct index_list *ready)
{
    struct convert_step steps[CONVERT_STEPS];
    const struct index_list *made_by = &group->made_by;
    uint32_t last = MODEL_NONE;
    double each = base.element_bytes / (group->fed_back ? state_steps(d, base.tensor, base.layer_op) : 1);
    uint32_t count =
        search_steps(d->search, state_tensor(d, base.tensor), each, group->layout, required, steps, NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct action action = base;
        action.kind = ACTION_COLLECTIVE;
        action.collective = steps[i].collective;
        action.axis = steps[i].axis;
        action.axes = steps[i].axes;
        action.before = steps[i].before;
        action.after = steps[i].after;
        action.carried = i == 0 && group->fed_back;
        action.transient = group->fed_back == group->count;
        state_reason(d, &action, group->because[action.axis]);
        last = i ? state_action(d, true, action, &last, 1)
                 : state_action(d, true, action, made_by->at, made_by->count);
    }
    if (count)
        VECTOR_PUSH(ready, last);
    else
        for (uint32_t i = 0; i < made_by->count; i++)
            VECTOR_PUSH(ready, made_by->at[i]);
}

/* Adds up the gradient of a tensor and converts it to the required layout; one that goes back to the stage
 * that made the tensor, to where the crossing is the least work. Fills `ready` with the actions to wait for.
 */
static void backward_gather(struct derivation *d, uint32_t tensor, struct layout *required, bool returns,
                            struct action base, struct index_list *ready)
{
    base.tensor = tensor;
    base.element_bytes = derive_element_bytes(d->plan, state_tensor(d, tensor));
    struct backward_groups groups = backward_groups(d, tensor, base);
    struct layout *layouts = ARENA_ARRAY(d->arena, struct layout, groups.count + 1);
    for (uint32_t g = 0; g < groups.count; g++)
        layouts[g] = groups.at[g].layout;
    if (returns)
        *required = boundary_nearest(d, tensor, layouts, groups.count, *required);
    for (uint32_t g = 0; g < groups.count; g++) {
        backward_convert(d, &groups.at[g], *required, base, ready);
        VECTOR_FREE(&groups.at[g].made_by);
    }
    VECTOR_FREE(&groups);
}

/* What a tile of a fused block gets of a gradient: it is all there already. */
static void backward_tile(struct derivation *d, uint32_t tensor, uint32_t tile, struct index_list *ready)
{
    for (uint32_t c = d->first_contribution[tensor]; c != MODEL_NONE; c = d->contributions.at[c].next)
        if (d->contributions.at[c].tile == tile)
            VECTOR_PUSH(ready, d->contributions.at[c].action);
}

/* Gradients are added in shares; where an operator's own shares of its output are others (channels of groups
 * that do not divide), each member gets what it lacks. */
static void backward_spread(struct derivation *d, uint32_t index, const struct layout *shares,
                            struct action base, struct index_list *ready)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct tensor *tensor = state_tensor(d, layer_op->output.tensor);
    struct box *boxes = state_boxes(d, layer_op, &d->operators.at[index].assignment, &layer_op->output);
    if (!boxes || d->first_contribution[layer_op->output.tensor] == MODEL_NONE)
        return;
    struct convert_side from = {d->stage, tensor, *shares, NULL}, to = {d->stage, tensor, *shares, boxes};
    base.tensor = layer_op->output.tensor;
    uint32_t exchange = exchange_append(d, true, base, &from, &to, ready->at, ready->count);
    if (exchange != MODEL_NONE) {
        ready->count = 0;
        VECTOR_PUSH(ready, exchange);
    }
}

/* All-reduces of the backward statistics of a normalisation over a split dimension. */
static void backward_statistics(struct derivation *d, uint32_t index, struct action base,
                                struct index_list *ready)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct stage_operator *so = &d->operators.at[index];
    if (layer_op->statistics_backward <= 0 ||
        (layer_op->statistics_local && !d->plan->synchronise_statistics))
        return;
    uint32_t done = 0;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        int split = so->assignment.split[a];
        if (split < 0 || !(layer_op->normalised >> split & 1) || done >> a & 1)
            continue;
        struct action action = base;
        action.kind = ACTION_COLLECTIVE;
        action.collective = ALL_REDUCE;
        action.axis = (uint8_t)a;
        action.axes = state_together(d, &so->assignment, a);
        done |= action.axes;
        action.tensor = layer_op->output.tensor;
        action.elements = layer_op->statistics_backward;
        action.element_bytes = 4;
        action.reason = REASON_STATISTICS;
        action.because = layer_op->dims[split].names[0];
        uint32_t made = state_action(d, true, action, ready->at, ready->count);
        VECTOR_PUSH(ready, made);
    }
}

/* What an operator's backward kernel adds to the gradient of one operand: partial where the operator splits a
 * dimension that the operand lacks. What was added to the output (struct operand) has the output's gradient.
 */
static struct contribution backward_give(struct derivation *d, uint32_t index, const struct operand *operand)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct assignment *assignment = &d->operators.at[index].assignment;
    struct contribution given = {
        .layout = assign_layout(d->stage, d->plan->model, layer_op, assignment, operand, true),
        .boxes = state_boxes(d, layer_op, assignment, operand)};
    if (operand->added)
        given.layout = layout_reduced(given.layout);
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (given.layout.place[a] == PLACE_PARTIAL)
            given.because[a] = layer_op->dims[assignment->split[a]].names[0];
    /* A factor of a partial sum: each member knows one summand of its gradient. */
    bool factor = !layer_op->additive && operand != &layer_op->operands[0];
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (factor && lazy_axes(&d->operators.at[index]) >> a & 1) {
            given.layout.place[a] = PLACE_PARTIAL;
            given.because[a] = state_contracted(d, layer_op->output.tensor, a);
        }
    return given;
}

/* The operator's output is fed back: what the next time step gives to its gradient comes before that of any
 * consumer is complete. Its kernel is noted when it is there: backward_close(). */
static bool backward_open(struct derivation *d, uint32_t index)
{
    const struct layer_op *last = state_operator(d, index);
    bool fed = false;
    for (uint32_t i = index; i-- > 0 && state_operator(d, i)->layer == last->layer;)
        for (uint32_t k = 0; k < state_operator(d, i)->operand_count; k++) {
            const struct operand *operand = &state_operator(d, i)->operands[k];
            if (!operand->feedback || operand->tensor != last->output.tensor)
                continue;
            struct contribution given = backward_give(d, i, operand);
            given.action = MODEL_NONE;
            given.feedback = fed = true;
            backward_contribute(d, operand->tensor, given);
            d->opened = d->backward.count;
        }
    return fed;
}

/* `kernel` is what the contributions of the step before come from: the loop ends with it. */
static void backward_close(struct derivation *d, uint32_t index, uint32_t kernel)
{
    const struct layer_op *layer_op = state_operator(d, index);
    for (uint32_t k = 0; k < layer_op->operand_count; k++) {
        if (!layer_op->operands[k].feedback)
            continue;
        for (uint32_t c = d->first_contribution[layer_op->operands[k].tensor]; c != MODEL_NONE;
             c = d->contributions.at[c].next)
            if (d->contributions.at[c].feedback)
                d->contributions.at[c].action = kernel;
        loop_add(d, true, d->opened, kernel);
    }
}

/* What an operator's backward kernel adds to the gradients of its operands. */
static void backward_operands(struct derivation *d, uint32_t index, uint32_t kernel)
{
    const struct model *model = d->plan->model;
    const struct layer_op *layer_op = state_operator(d, index);
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        const struct operand *operand = &layer_op->operands[i];
        if (!operand->gradient || operand->feedback ||
            model->tensors.at[operand->tensor].role == TENSOR_PARAMETER ||
            !d->needs_gradient[operand->tensor])
            continue;
        struct contribution given = backward_give(d, index, operand);
        given.action = kernel;
        given.tile = fuse_mark(d, &d->operators.at[index], operand->tensor);
        streamed_scatter(d, index, i, &given);
        summa_scatter(d, index, i, &given);
        backward_contribute(d, operand->tensor, given);
    }
}

static void backward_operator(struct derivation *d, uint32_t index)
{
    const struct model *model = d->plan->model;
    const struct stage_operator so = d->operators.at[index];
    const struct layer_op *layer_op = &model->operators.at[so.layer_op];
    if (!d->needs_gradient[layer_op->output.tensor])
        return;
    struct action base = {.layer_op = index, .unit = so.unit, .part = model->layers.at[layer_op->layer].part};
    struct layout required =
        layout_reduced(assign_layout(d->stage, model, layer_op, &so.assignment, &layer_op->output, true));
    struct index_list ready = {0};
    bool fed_back = backward_open(d, index);
    if (fuse_mark(d, &so, layer_op->output.tensor)) {
        backward_tile(d, layer_op->output.tensor, so.tile, &ready);
    } else {
        backward_gather(d, layer_op->output.tensor, &required, false, base, &ready);
        backward_spread(d, index, &required, base, &ready);
    }
    backward_statistics(d, index, base, &ready);
    saved_regather(d, index, base, &ready);
    summa_regather(d, index, base, &ready);
    base.kind = ACTION_KERNEL;
    base.tensor = layer_op->output.tensor;
    base.carried = fed_back;
    uint32_t kernel = state_action(d, true, base, ready.at, ready.count);
    VECTOR_FREE(&ready);
    backward_operands(d, index, kernel);
    summa_scatter_weight(d, index, kernel);
    summa_close(d, true, index);
    backward_close(d, index, kernel);
    if (layer_op->attends && (!index || state_operator(d, index - 1)->layer != layer_op->layer))
        streamed_close(d, true, index);
}

/* Adds up an import's gradient and sends it back. `ready`: what the piece before it waited for, which is the
 * same where both are pieces of one form. */
static void backward_import(struct derivation *d, uint32_t index, struct index_list *ready)
{
    struct stage_import *import = &d->imports.at[index];
    const struct model *model = d->plan->model;
    uint32_t unit = d->stage->first_unit;
    struct action base = {.layer_op = MODEL_NONE,
                          .unit = unit,
                          .part = model->layers.at[model->units.at[unit].first_layer].part};
    if (index && import[-1].form == import->form) {
        import->returned = import[-1].returned;
    } else {
        ready->count = 0;
        import->returned = boundary_required(d, import);
        if (import->tile)
            backward_tile(d, import->tensor, import->tile, ready);
        else
            backward_gather(d, import->tensor, &import->returned, true, base, ready);
    }
    boundary_return(d, import, ready->at, ready->count);
}

void backward_derive(struct derivation *derivations, uint32_t stage)
{
    struct derivation *d = &derivations[stage];
    boundary_collect(derivations, stage);
    for (uint32_t i = d->operators.count; i-- > 0;)
        backward_operator(d, i);
    struct index_list ready = {0};
    for (uint32_t i = 0; i < d->imports.count; i++)
        if (d->imports.at[i].gradient && d->imports.at[i].source != MODEL_NONE)
            backward_import(d, i, &ready);
    VECTOR_FREE(&ready);
}
