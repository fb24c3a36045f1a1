#include "plan/state.h"

#include "plan/mesh.h"

/* Whether shares on the axes that a collective does not run along differ in size. */
static bool state_uneven(const struct derivation *d, const struct action *action)
{
    const struct layout *layout = action->collective == ALL_GATHER ? &action->after : &action->before;
    uint64_t sizes[TENSOR_DIMS];
    for (uint32_t i = 0; i < TENSOR_DIMS; i++)
        sizes[i] = state_tensor(d, action->tensor)->dims[i].size;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        const struct plan_axis *axis = &d->stage->axes[a];
        if (layout->place[a] != PLACE_SPLIT || action->axes >> a & 1)
            continue;
        const struct tensor_dim *dim = &state_tensor(d, action->tensor)->dims[layout->dim[a]];
        if (axis->weights || dim->filling || dim->owners || sizes[layout->dim[a]] % axis->size)
            return true;
        sizes[layout->dim[a]] /= axis->size;
    }
    return false;
}

uint32_t state_action(struct derivation *d, bool backward, struct action action, const uint32_t *dependencies,
                      uint32_t count)
{
    action.backward = backward;
    action.loop = MODEL_NONE;
    action.uneven = action.kind == ACTION_COLLECTIVE && state_uneven(d, &action);
    action.first_dependency = d->dependencies.count;
    for (uint32_t i = 0; i < count; i++)
        if (dependencies[i] != MODEL_NONE)
            VECTOR_PUSH(&d->dependencies, dependencies[i]);
    action.dependency_count = d->dependencies.count - action.first_dependency;
    if (backward) {
        VECTOR_PUSH(&d->backward, action);
        return d->backward.count - 1;
    }
    VECTOR_PUSH(&d->forward, action);
    return d->forward.count - 1;
}

static uint32_t state_sequence(const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].sequential)
            return (uint32_t)layer_op->dims[i].size;
    return 1;
}

uint32_t state_steps(const struct derivation *d, uint32_t tensor, uint32_t layer_op)
{
    uint32_t producer = state_tensor(d, tensor)->producer;
    if (layer_op == MODEL_NONE || producer == MODEL_NONE)
        return 1;
    const struct layer_op *maker = &d->plan->model->operators.at[producer],
                          *reader = state_operator(d, layer_op);
    return maker->layer == reader->layer && state_sequence(maker) > 1 ? state_sequence(reader) : 1;
}

uint32_t state_contracted(const struct derivation *d, uint32_t tensor, uint32_t axis)
{
    uint32_t producer = state_tensor(d, tensor)->producer;
    for (uint32_t i = d->operators.count; i-- > 0;) {
        const struct stage_operator *so = &d->operators.at[i];
        if (so->layer_op != producer)
            continue;
        if (so->assignment.split[axis] >= 0)
            return state_operator(d, i)->dims[so->assignment.split[axis]].names[0];
        for (uint32_t k = 0; k < OPERATOR_OPERANDS; k++)
            if (so->lazy[k] >> axis & 1)
                return state_contracted(d, d->same_as[state_operator(d, i)->operands[k].tensor], axis);
    }
    return 0;
}

void state_reason(const struct derivation *d, struct action *action, uint32_t contracted)
{
    uint8_t place = action->before.place[action->axis];
    if (place == PLACE_PARTIAL) {
        action->reason = REASON_CONTRACTED;
        action->because = contracted;
        return;
    }
    const struct layout *named = place == PLACE_SPLIT ? &action->before : &action->after;
    if (named->place[action->axis] == PLACE_SPLIT)
        action->because = state_tensor(d, action->tensor)->dims[named->dim[action->axis]].label;
    action->reason = place == PLACE_ONE                 ? REASON_SPREAD
                     : action->collective == GATHER     ? REASON_COMBINED
                     : action->collective == ALL_TO_ALL ? REASON_OTHER_DIM
                                                        : REASON_WANTED_WHOLE;
}

void state_messages(struct derivation *d, struct action *action, const struct message_list *messages)
{
    action->first_message = d->messages.count;
    action->message_count = messages->count;
    for (uint32_t i = 0; i < messages->count; i++)
        VECTOR_PUSH(&d->messages, messages->at[i]);
}

uint32_t state_form(struct derivation *d, uint32_t tensor, struct form form)
{
    form.next = MODEL_NONE;
    uint32_t index = d->forms.count;
    VECTOR_PUSH(&d->forms, form);
    if (d->first_form[tensor] == MODEL_NONE) {
        d->first_form[tensor] = index;
        return index;
    }
    uint32_t last = d->first_form[tensor];
    while (d->forms.at[last].next != MODEL_NONE)
        last = d->forms.at[last].next;
    d->forms.at[last].next = index;
    return index;
}

void state_stream(struct derivation *d, uint32_t action)
{
    struct action *made_by = &d->forward.at[action];
    made_by->streamed = true;
    for (uint32_t f = d->first_form[made_by->tensor]; f != MODEL_NONE; f = d->forms.at[f].next)
        if (d->forms.at[f].action == action)
            d->forms.at[f].streamed = true;
}

struct box *state_boxes(struct derivation *d, const struct layer_op *layer_op,
                        const struct assignment *assignment, const struct operand *operand)
{
    if (assign_aligned(d->stage, d->plan->model, layer_op, assignment, operand))
        return NULL;
    struct box *boxes = ARENA_ARRAY(d->arena, struct box, d->member_count);
    for (uint32_t m = 0; m < d->member_count; m++)
        boxes[m] = assign_read(d->stage, d->plan->model, layer_op, assignment, operand,
                               layout_coordinates(d->stage, m));
    return boxes;
}

bool state_owns_shares(const struct derivation *d, const struct form *form, uint32_t tensor)
{
    const struct tensor *t = state_tensor(d, tensor);
    for (uint32_t m = 0; form->boxes && m < d->member_count; m++) {
        struct box share = layout_box(d->stage, t, &form->layout, layout_coordinates(d->stage, m), 0);
        if (!layout_covers(&form->boxes[m], &share, t->rank))
            return false;
    }
    return true;
}

uint8_t state_together(const struct derivation *d, const struct assignment *assignment, uint32_t axis)
{
    uint32_t axes = 1u << axis;
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (assignment->split[a] == assignment->split[axis] && mesh_joins(d->stage, axes | 1u << a))
            axes |= 1u << a;
    return (uint8_t)axes;
}

void state_needs_gradient(const struct model *model, bool *needs)
{
    for (uint32_t t = 0; t < model->tensors.count; t++)
        needs[t] = model->tensors.at[t].role == TENSOR_PARAMETER;
    for (uint32_t o = 0; o < model->operators.count; o++) { /* execution order: operands before outputs */
        const struct layer_op *layer_op = &model->operators.at[o];
        for (uint32_t i = 0; i < layer_op->operand_count; i++)
            if (layer_op->operands[i].gradient && needs[layer_op->operands[i].tensor])
                needs[layer_op->output.tensor] = true;
    }
}

void state_same_as(const struct plan *plan, uint32_t *same_as)
{
    for (uint32_t t = 0; t < plan->model->tensors.count; t++)
        same_as[t] = t;
    for (uint32_t o = 0; o < plan->model->operators.count && !plan->training; o++) {
        const struct layer_op *layer_op = &plan->model->operators.at[o];
        if (layer_op->training_only)
            same_as[layer_op->output.tensor] = same_as[layer_op->operands[0].tensor];
    }
}
