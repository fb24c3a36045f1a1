#include "plan/streamed.h"

#include "plan/causal.h"
#include "plan/panels.h"
#include "plan/saved.h"
#include "plan/state.h"

static struct action *streamed_actions(const struct derivation *d, bool backward, uint32_t *count)
{
    *count = backward ? d->backward.count : d->forward.count;
    return backward ? d->backward.at : d->forward.at;
}

/* Which dimension of an operand's tensor the keys are; MODEL_NONE: none. */
static uint32_t streamed_keys(const struct derivation *d, const struct layer_op *layer_op,
                              const struct operand *operand)
{
    for (uint32_t k = 0; k < state_tensor(d, operand->tensor)->rank; k++)
        if (operand->dims[k].dim == layer_op->key)
            return k;
    return MODEL_NONE;
}

/* Whether the keys themselves are divided: then a device has no use for most of what goes round. */
static bool streamed_divided(const struct derivation *d, const struct stage_operator *so,
                             const struct layer_op *layer_op)
{
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (so->assignment.split[a] == layer_op->key)
            return true;
    return false;
}

/* Whether an all-gather along some axes brings, to members that split the queries, all blocks of the keys. */
static bool streamed_blocks(const struct plan_stage *stage, const struct action *gather,
                            const struct assignment *assignment, const struct layer_op *layer_op,
                            uint32_t keys)
{
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (gather->axes >> a & 1 &&
            (gather->before.place[a] != PLACE_SPLIT || gather->before.dim[a] != keys ||
             assignment->split[a] != layer_op->query))
            return false;
    return true;
}

void streamed_mark(struct derivation *d, uint32_t index, uint32_t i, uint32_t form)
{
    struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    uint32_t last = d->forms.at[form].action;
    if (d->plan->attention != ATTENTION_RING || !layer_op->attends || last == MODEL_NONE ||
        streamed_divided(d, so, layer_op))
        return;
    const struct action *action = &d->forward.at[last];
    uint32_t keys = streamed_keys(d, layer_op, &layer_op->operands[i]);
    if (action->kind != ACTION_COLLECTIVE || action->collective != ALL_GATHER || action->layer_op != index ||
        d->forms.at[form].boxes || keys == MODEL_NONE || so->fused ||
        !streamed_blocks(d->stage, action, &so->assignment, layer_op, keys) ||
        saved_source(d, action->tensor, form) == form)
        return;
    state_stream(d, last);
    so->streamed |= (uint8_t)(1u << i);
    so->ring_axes = action->axes;
}

bool streamed_scatters(const struct plan_stage *stage, const struct layout *layout, uint32_t axes,
                       uint8_t dim)
{
    struct layout others = *layout;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1 && layout->place[a] != PLACE_PARTIAL)
            return false;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1)
            others.place[a] = PLACE_REPLICATED;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1 && !convert_loose(stage, &others, a, dim))
            return false;
    return true;
}

void streamed_scatter(struct derivation *d, uint32_t index, uint32_t i, struct contribution *given)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    const struct operand *operand = &layer_op->operands[i];
    uint32_t keys = streamed_keys(d, layer_op, operand), axes = so->ring_axes, first = 0;
    if (!(so->streamed >> i & 1) || !streamed_scatters(d->stage, &given->layout, axes, (uint8_t)keys))
        return;
    while (first + 1 < PLAN_AXES && !(axes >> first & 1))
        first++;
    struct action action = {.kind = ACTION_COLLECTIVE,
                            .collective = REDUCE_SCATTER,
                            .axis = (uint8_t)first,
                            .axes = (uint8_t)axes,
                            .tensor = operand->tensor,
                            .layer_op = index,
                            .unit = so->unit,
                            .part = d->plan->model->layers.at[layer_op->layer].part,
                            .before = given->layout,
                            .after = given->layout,
                            .element_bytes = derive_element_bytes(d->plan, state_tensor(d, operand->tensor))};
    action.streamed = true;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1) {
            action.after.place[a] = PLACE_SPLIT;
            action.after.dim[a] = (uint8_t)keys;
        }
    state_reason(d, &action, given->because[first]);
    given->action = state_action(d, true, action, &given->action, 1);
    given->layout = action.after;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1)
            given->because[a] = 0;
}

/* Whether an action belongs to what a layer streams. */
static bool streamed_inside(const struct derivation *d, const struct action *action, uint32_t layer)
{
    bool kind = action->kind == ACTION_KERNEL || (action->kind == ACTION_COLLECTIVE && action->streamed);
    return kind && action->layer_op != MODEL_NONE && state_operator(d, action->layer_op)->layer == layer;
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
    uint32_t axes = actions[first].axes;
    bool broken = streamed_broken(d, backward, first, layer);
    uint32_t loop = backward ? d->backward_loops.count : d->forward_loops.count;
    for (uint32_t i = first; i < end; i++)
        broken |= actions[i].streamed && actions[i].axes != axes;
    for (uint32_t i = first; i < end; i++)
        if (streamed_inside(d, &actions[i], layer)) {
            actions[i].streamed &= !broken;
            actions[i].loop = broken ? MODEL_NONE : loop;
        }
    struct step_loop made = {.first = first,
                             .end = end,
                             .steps = layout_places(d->stage, axes),
                             .carry = MODEL_NONE,
                             .ring = true,
                             .axes = (uint8_t)axes,
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

uint32_t streamed_member(const struct plan_stage *stage, uint32_t member, uint32_t axes, uint32_t places)
{
    struct coordinates at = layout_coordinates(stage, member);
    uint32_t place = (layout_place(stage, axes, member) + places) % layout_places(stage, axes);
    for (uint32_t a = stage->axis_count; a-- > 0;)
        if (axes >> a & 1) {
            at.at[a] = place % stage->axes[a].size;
            place /= stage->axes[a].size;
        }
    return layout_member(stage, at);
}

/* The owner of the block that a member works on in a step. */
static uint32_t streamed_owner(const struct plan_stage *stage, uint32_t member, uint32_t axes, uint32_t step)
{
    return streamed_member(stage, member, axes, layout_places(stage, axes) - step);
}

double streamed_elements(const struct derivation *d, const struct action *action, uint32_t member,
                         uint32_t step)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    const struct layout *shares = action->collective == ALL_GATHER ? &action->before : &action->after;
    uint32_t owner = streamed_owner(d->stage, member, action->axes, step);
    struct box box = layout_box(d->stage, tensor, shares, layout_coordinates(d->stage, owner), 0);
    return layout_elements(&box, tensor->rank);
}

/* Pairs of a member's queries with some keys. */
static double streamed_pairs(const struct derivation *d, uint32_t index, uint32_t member,
                             struct interval keys)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    struct coordinates at = layout_coordinates(d->stage, member);
    struct interval queries =
        assign_share(d->stage, layer_op, &so->assignment, (uint32_t)layer_op->query, at);
    if (layer_op->causal)
        return causal_pairs(queries, keys, layer_op->dims[layer_op->query].size, d->stage->balanced,
                            layer_op->window);
    return (double)(keys.high - keys.low) * (double)(queries.high - queries.low);
}

double streamed_share(const struct derivation *d, uint32_t index, uint32_t axes, uint32_t member,
                      uint32_t step)
{
    uint32_t owner = streamed_owner(d->stage, member, axes, step);
    struct coordinates at = layout_coordinates(d->stage, owner);
    struct interval keys = {0, state_operator(d, index)->dims[state_operator(d, index)->key].size};
    double all = streamed_pairs(d, index, member, keys);
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (axes >> a & 1)
            keys = layout_share(keys, &d->stage->axes[a], at.at[a]);
    return all > 0 ? streamed_pairs(d, index, member, keys) / all : 0;
}

uint32_t streamed_apart(const struct derivation *d, const struct action *action)
{
    if (action->loop == MODEL_NONE)
        return 0;
    const struct step_loop *loop =
        action->backward ? &d->backward_loops.at[action->loop] : &d->forward_loops.at[action->loop];
    if (!loop->ring || loop->panels)
        return loop->panels ? loop->axes : 0; /* who has a panel differs */
    const struct layer_op *layer_op = state_operator(d, action->layer_op);
    uint64_t keys = layer_op->dims[layer_op->key].size;
    uint32_t ways = layout_places(d->stage, loop->axes);
    bool even = keys % ways == 0, dealt = d->stage->balanced == ways && keys % (2 * (uint64_t)ways) == 0;
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        even &= !(loop->axes >> a & 1) || !d->stage->axes[a].weights;
    return even && (!layer_op->causal || dealt) ? 0 : loop->axes;
}

double streamed_buffer(const struct derivation *d, bool backward, uint32_t loop, uint32_t member)
{
    const struct step_loop *l = backward ? &d->backward_loops.at[loop] : &d->forward_loops.at[loop];
    if (l->panels)
        return panels_buffer(d, backward, loop, member);
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

/* What keeps the keys and values of an attention core, whose queries some axes split, from going round. */
static const char *streamed_obstacle(const struct derivation *d, uint32_t index)
{
    const struct stage_operator *so = &d->operators.at[index];
    const struct layer_op *layer_op = state_operator(d, index);
    struct layout made =
        assign_layout(d->stage, d->plan->model, layer_op, &so->assignment, &layer_op->output, true);
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (made.place[a] == PLACE_PARTIAL)
            return "its products are partial sums, which are added up before the next one";
    return so->fused ? "it is in a fused block"
                     : "they are not in blocks of the sequence, as its queries are";
}

void streamed_warn(const struct derivation *d, struct report *report)
{
    for (uint32_t o = 0; o < d->operators.count && d->plan->attention == ATTENTION_RING; o++) {
        const struct stage_operator *so = &d->operators.at[o];
        const struct layer_op *layer_op = state_operator(d, o);
        bool split = false;
        for (uint32_t a = 0; a < d->stage->axis_count; a++)
            split |= layer_op->query >= 0 && so->assignment.split[a] == layer_op->query;
        if (!layer_op->attends || layer_op->kind != OPERATOR_EINSUM || so->streamed || !split)
            continue;
        report_warning(report, d->stage->place,
                       "the keys and values of '%s' are gathered, not passed round: %s",
                       names_text(d->plan->model->names, d->plan->model->layers.at[layer_op->layer].name),
                       streamed_obstacle(d, o));
        return; /* layers of a stage are alike */
    }
}
