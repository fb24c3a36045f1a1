#include "plan/streamed.h"

#include "plan/causal.h"
#include "plan/saved.h"
#include "plan/state.h"

static struct action *streamed_actions(const struct derivation *d, bool backward, uint32_t *count)
{
    *count = backward ? d->backward.count : d->forward.count;
    return backward ? d->backward.at : d->forward.at;
}

/* Which dimension of an operand's tensor the keys are; MODEL_NONE: none. */
static uint32_t streamed_keys(const struct derivation *d, const struct operator* operator,
                              const struct operand * operand)
{
    for (uint32_t k = 0; k < state_tensor(d, operand->tensor)->rank; k++)
        if (operand->dims[k].dim == operator->key)
            return k;
    return MODEL_NONE;
}

/* Whether the keys themselves are divided: then a device has no use for most of what goes round. */
static bool streamed_divided(const struct derivation *d, const struct stage_operator *so,
                             const struct operator* operator)
{
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (so->assignment.split[a] == operator->key)
            return true;
    return false;
}

void streamed_mark(struct derivation *d, uint32_t index, uint32_t i, uint32_t form)
{
    struct stage_operator *so = &d->operators.at[index];
    const struct operator* operator= state_operator(d, index);
    uint32_t last = d->forms.at[form].action;
    if (d->plan->attention != ATTENTION_RING || !operator->attends || last == MODEL_NONE ||
                                                 streamed_divided(d, so, operator))
        return;
    struct action *action = &d->forward.at[last];
    uint32_t keys = streamed_keys(d, operator, & operator->operands[i]);
    if (action->kind != ACTION_COLLECTIVE || action->collective != ALL_GATHER ||
        action->operator!= index || action->axes != 1u << action->axis || d->forms.at[form]
                .boxes || keys == MODEL_NONE || action->before.dim[action->axis] != keys ||
            so->assignment.split[action->axis] !=
            operator->query || so->fused || saved_source(d, action->tensor, form) == form)
        return;
    action->streamed = true;
    for (uint32_t f = d->first_form[action->tensor]; f != MODEL_NONE; f = d->forms.at[f].next)
        if (d->forms.at[f].action == last) /* and what it is a slice of */
            d->forms.at[f].streamed = true;
    so->streamed |= (uint8_t)(1u << i);
    so->ring_axis = action->axis;
}

void streamed_scatter(struct derivation *d, uint32_t index, uint32_t i, struct contribution *given)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct operator* operator= state_operator(d, index);
    const struct operand *operand = &operator->operands[i];
    uint32_t keys = streamed_keys(d, operator, operand), axis = so->ring_axis;
    if (!(so->streamed >> i & 1) || given->layout.place[axis] != PLACE_PARTIAL ||
        !convert_loose(d->stage, &given->layout, axis, (uint8_t)keys))
        return;
    struct action action = {.kind = ACTION_COLLECTIVE,
                            .collective = REDUCE_SCATTER,
                            .axis = (uint8_t)axis,
                            .axes = (uint8_t)(1u << axis),
                            .tensor = operand->tensor,
                            .operator= index,
                            .unit = so->unit,
                            .part = d->plan->model->layers.at[operator->layer].part,
                            .before = given->layout,
                            .after = given->layout,
                            .element_bytes = derive_element_bytes(d->plan, state_tensor(d, operand->tensor))};
    action.streamed = true;
    action.after.place[axis] = PLACE_SPLIT;
    action.after.dim[axis] = (uint8_t)keys;
    state_reason(d, &action, given->because[axis]);
    given->action = state_action(d, true, action, &given->action, 1);
    given->layout = action.after;
    given->because[axis] = 0;
}

/* Whether an action belongs to what a layer streams. */
static bool streamed_inside(const struct derivation *d, const struct action *action, uint32_t layer)
{
    bool kind = action->kind == ACTION_KERNEL || (action->kind == ACTION_COLLECTIVE && action->streamed);
    return kind && action->operator!= MODEL_NONE && state_operator(d, action->operator)->layer == layer;
}

/* Whether an action from `first` on, of those outside, waits for one inside. */
static bool streamed_broken(const struct derivation *d, bool backward, uint32_t first, uint32_t layer)
{
    uint32_t end;
    const struct action *actions = streamed_actions(d, backward, &end);
    bool broken = false;
    for (uint32_t i = first; i < end; i++)
        for (uint32_t k = 0; k < actions[i].dependency_count && !streamed_inside(d, &actions[i], layer); k++)
            broken |= d->dependencies.at[actions[i].first_dependency + k] >= first;
    return broken;
}

void streamed_close(struct derivation *d, bool backward, uint32_t index)
{
    uint32_t end, layer = state_operator(d, index)->layer, first = 0;
    struct action *actions = streamed_actions(d, backward, &end);
    while (first < end && !(actions[first].streamed && streamed_inside(d, &actions[first], layer)))
        first++;
    if (first == end)
        return;
    uint32_t axis = actions[first].axis;
    bool broken = streamed_broken(d, backward, first, layer);
    uint32_t loop = backward ? d->backward_loops.count : d->forward_loops.count;
    for (uint32_t i = first; i < end; i++)
        broken |= actions[i].streamed && actions[i].axis != axis;
    for (uint32_t i = first; i < end; i++)
        if (streamed_inside(d, &actions[i], layer)) {
            actions[i].streamed &= !broken;
            actions[i].loop = broken ? MODEL_NONE : loop;
        }
    struct step_loop made = {.first = first,
                             .end = end,
                             .steps = d->stage->axes[axis].size,
                             .carry = MODEL_NONE,
                             .ring = true,
                             .axis = (uint8_t)axis,
                             .because =
                                 state_operator(d, index)->dims[state_operator(d, index)->key].names[0]};
    for (uint32_t o = 0; o < d->operators.count && broken && !backward; o++)
        if (state_operator(d, o)->layer == layer)
            d->operators.at[o].streamed = 0;
    if (broken)
        return;
    if (backward)
        VECTOR_PUSH(&d->backward_loops, made);
    else
        VECTOR_PUSH(&d->forward_loops, made);
}

uint32_t streamed_member(const struct plan_stage *stage, uint32_t member, uint32_t axis, uint32_t places)
{
    struct coordinates at = layout_coordinates(stage, member);
    at.at[axis] = (at.at[axis] + places) % stage->axes[axis].size;
    return layout_member(stage, at);
}

/* The owner of the block that a member works on in a step. */
static uint32_t streamed_owner(const struct plan_stage *stage, uint32_t member, uint32_t axis, uint32_t step)
{
    return streamed_member(stage, member, axis, stage->axes[axis].size - step);
}

double streamed_elements(const struct derivation *d, const struct action *action, uint32_t member,
                         uint32_t step)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    const struct layout *shares = action->collective == ALL_GATHER ? &action->before : &action->after;
    uint32_t owner = streamed_owner(d->stage, member, action->axis, step);
    struct box box = layout_box(d->stage, tensor, shares, layout_coordinates(d->stage, owner), 0);
    return layout_elements(&box, tensor->rank);
}

/* Pairs of a member's queries with the keys of the blocks in [first, end). */
static double streamed_pairs(const struct derivation *d, uint32_t index, uint32_t axis, uint32_t member,
                             uint32_t first, uint32_t end)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct operator* operator= state_operator(d, index);
    struct coordinates at = layout_coordinates(d->stage, member);
    struct interval keys = {0, operator->dims[operator->key].size }, whole = keys;
    struct interval queries =
        assign_share(d->stage, operator, & so->assignment, (uint32_t) operator->query, at);
    keys.low = layout_share(whole, &d->stage->axes[axis], first).low;
    keys.high = layout_share(whole, &d->stage->axes[axis], end - 1).high;
    if (operator->causal)
        return causal_pairs(queries, keys, operator->dims[operator->query].size, d->stage->balanced);
    return (double)(keys.high - keys.low) * (double)(queries.high - queries.low);
}

double streamed_share(const struct derivation *d, uint32_t index, uint32_t axis, uint32_t member,
                      uint32_t step)
{
    uint32_t ways = d->stage->axes[axis].size, owner = streamed_owner(d->stage, member, axis, step);
    uint32_t block = layout_coordinates(d->stage, owner).at[axis];
    double all = streamed_pairs(d, index, axis, member, 0, ways);
    return all > 0 ? streamed_pairs(d, index, axis, member, block, block + 1) / all : 0;
}

uint32_t streamed_apart(const struct derivation *d, const struct action *action)
{
    if (action->loop == MODEL_NONE)
        return 0;
    const struct step_loop *loop =
        action->backward ? &d->backward_loops.at[action->loop] : &d->forward_loops.at[action->loop];
    if (!loop->ring)
        return 0;
    const struct operator* operator= state_operator(d, action->operator);
    const struct plan_axis *axis = &d->stage->axes[loop->axis];
    uint64_t keys = operator->dims[operator->key].size;
    bool dealt = d->stage->balanced == axis->size && keys % (2 * (uint64_t)axis->size) == 0;
    return axis->weights || keys % axis->size || (operator->causal && !dealt) ? 1u << loop->axis : 0;
}

double streamed_buffer(const struct derivation *d, bool backward, uint32_t loop, uint32_t member)
{
    const struct step_loop *l = backward ? &d->backward_loops.at[loop] : &d->forward_loops.at[loop];
    uint32_t count;
    const struct action *actions = streamed_actions(d, backward, &count);
    double bytes = 0;
    for (uint32_t i = l->first; i < l->end; i++) {
        double largest = 0;
        for (uint32_t step = 1; step < l->steps && actions[i].streamed && actions[i].loop == loop; step++) {
            double elements = streamed_elements(d, &actions[i], member, step);
            largest = elements > largest ? elements : largest;
        }
        bytes += largest * actions[i].element_bytes * (l->steps > 2 ? 2 : 1);
    }
    return bytes;
}
