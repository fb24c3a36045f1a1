#include "plan/alike.h"

#include "plan/memory.h"
#include "plan/shares.h"
#include "plan/state.h"
#include "plan/streamed.h"
#include "plan/work.h"

#include <string.h>

uint32_t alike_find(struct alike *alike, const struct signature *signature)
{
    for (uint32_t k = 0; k < alike->kinds.count; k++)
        if (alike->kinds.at[k].count == signature->count &&
            memcmp(alike->kinds.at[k].at, signature->at, signature->count * sizeof(double)) == 0)
            return k;
    struct signature copy = {0};
    for (uint32_t i = 0; i < signature->count; i++)
        VECTOR_PUSH(&copy, signature->at[i]);
    VECTOR_PUSH(&alike->kinds, copy);
    return alike->kinds.count - 1;
}

void alike_fini(struct alike *alike)
{
    for (uint32_t k = 0; k < alike->kinds.count; k++)
        VECTOR_FREE(&alike->kinds.at[k]);
    VECTOR_FREE(&alike->kinds);
    VECTOR_FREE(&alike->of);
}

/* The axes along which shares of a dimension differ in size, where `axes` split it: all of them, or none. */
static uint32_t alike_uneven(const struct plan_stage *stage, uint32_t axes, uint64_t size,
                             const struct filling *filling, const struct owners *owners)
{
    bool even = (!filling || filling->even) && !owners;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (axes >> a & 1) {
            even &= !stage->axes[a].weights && size % stage->axes[a].size == 0;
            size /= stage->axes[a].size;
        }
    return even ? 0 : axes;
}

static uint32_t alike_operator(const struct derivation *d, uint32_t index)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct assignment *assignment = &d->operators.at[index].assignment;
    uint32_t apart = 0, splits[OPERATOR_DIMS] = {0};
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        if (assignment->shares || assignment->split[a] == ASSIGN_ONE)
            apart |= 1u << a;
        if (assignment->split[a] >= 0)
            splits[assignment->split[a]] |= 1u << a;
    }
    bool causal = assign_causal(d->stage, layer_op, assignment);
    for (uint32_t i = 0; i < layer_op->dim_count; i++) {
        bool pairs = causal && ((int)i == layer_op->query || (int)i == layer_op->key);
        apart |= pairs ? splits[i]
                       : alike_uneven(d->stage, splits[i], layer_op->dims[i].size, layer_op->dims[i].filling,
                                      layer_op->dims[i].owners);
    }
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        apart |= assign_misaligned(d->stage, d->plan->model, layer_op, assignment, &layer_op->operands[i]);
    return apart;
}

static uint32_t alike_layout(const struct derivation *d, uint32_t tensor, const struct layout *layout,
                             uint32_t ignore)
{
    const struct tensor *of = state_tensor(d, tensor);
    uint32_t apart = 0, splits[TENSOR_DIMS] = {0};
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (layout->place[a] == PLACE_SPLIT && !(ignore >> a & 1))
            splits[layout->dim[a]] |= 1u << a;
        else if (layout->place[a] == PLACE_ONE)
            apart |= 1u << a;
    for (uint32_t i = 0; i < of->rank; i++)
        apart |= alike_uneven(d->stage, splits[i], of->dims[i].size, of->dims[i].filling, of->dims[i].owners);
    return apart;
}

uint32_t alike_parameters(const struct derivation *d)
{
    uint32_t apart = 0;
    for (uint32_t i = 0; i < d->parameters.count; i++)
        apart |= alike_layout(d, d->parameters.at[i].tensor, &d->parameters.at[i].layout, 0);
    return apart;
}

uint32_t alike_axes(const struct derivation *d)
{
    uint32_t apart = alike_parameters(d);
    for (uint32_t o = 0; o < d->operators.count; o++)
        apart |= alike_operator(d, o);
    for (uint32_t i = 0; i < d->forward.count + d->backward.count; i++) {
        const struct action *action =
            i < d->forward.count ? &d->forward.at[i] : &d->backward.at[i - d->forward.count];
        const struct layout *layout = action->collective == ALL_GATHER ? &action->after : &action->before;
        apart |= streamed_apart(d, action);
        if (action->uneven)
            apart |= alike_layout(d, action->tensor, layout, action->axes);
        if (action->kind == ACTION_COLLECTIVE) /* the shares of a group: not which of its members it is */
            apart |= (alike_layout(d, action->tensor, &action->before, 0) |
                      alike_layout(d, action->tensor, &action->after, 0)) &
                     ~(uint32_t)action->axes;
    }
    return apart;
}

/* The numbers of one operator: sizes of shares that are not alike, and of what its operands' parts are. */
static void alike_sign_operator(const struct derivation *d, uint32_t index, uint32_t member,
                                struct signature *out)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct assignment *assignment = &d->operators.at[index].assignment;
    struct coordinates at = layout_coordinates(d->stage, member);
    uint32_t splits[OPERATOR_DIMS] = {0};
    bool filled = false;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        if (assignment->split[a] == ASSIGN_ONE) {
            VECTOR_PUSH(out, at.at[a] ? 0.0 : 1.0);
            at.at[a] = 0; /* who has no work gets results of the same sizes */
        }
        if (assignment->split[a] >= 0)
            splits[assignment->split[a]] |= 1u << a;
    }
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (assignment->shares || alike_uneven(d->stage, splits[i], layer_op->dims[i].size,
                                               layer_op->dims[i].filling, layer_op->dims[i].owners)) {
            struct interval share = assign_share(d->stage, layer_op, assignment, i, at);
            VECTOR_PUSH(out, model_extent(layer_op->dims[i].filling, share));
            filled |= layer_op->dims[i].filling != NULL;
        }
    if (layer_op->grows &&
        splits[layer_op->grows - 1]) /* with the cache, shares differ now here, now there */
        VECTOR_PUSH(out, (double)assign_share(d->stage, layer_op, assignment, layer_op->grows - 1u, at).low);
    if (filled) /* which of its weights are touched */
        VECTOR_PUSH(out, work_forward(d, index, member).bytes);
    if (assign_causal(d->stage, layer_op, assignment))
        VECTOR_PUSH(out, assign_points(d->stage, layer_op, assignment, at));
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (!assign_aligned(d->stage, d->plan->model, layer_op, assignment, &layer_op->operands[i])) {
            struct box box =
                assign_box(d->stage, d->plan->model, layer_op, assignment, &layer_op->operands[i], at);
            VECTOR_PUSH(out, layout_volume(state_tensor(d, layer_op->operands[i].tensor), &box));
        }
}

/* What a member passes on, or does, in each step of a ring. */
static void alike_sign_ring(const struct derivation *d, const struct action *action, uint32_t member,
                            struct signature *out)
{
    const struct step_loop *loop =
        action->backward ? &d->backward_loops.at[action->loop] : &d->forward_loops.at[action->loop];
    if (loop->panels)
        VECTOR_PUSH(out, layout_place(d->stage, loop->axes, member));
    for (uint32_t step = 0; step < loop->steps && !loop->panels; step++)
        VECTOR_PUSH(out, action->kind == ACTION_KERNEL
                             ? streamed_share(d, action->layer_op, loop->axes, member, step)
                             : streamed_elements(d, action, member, step));
}

static void alike_sign(const struct derivation *d, uint32_t member, struct signature *out)
{
    struct share_list shares = {0};
    out->count = 0;
    for (uint32_t o = 0; o < d->operators.count; o++)
        alike_sign_operator(d, o, member, out);
    for (uint32_t i = 0; i < d->parameters.count && d->plan->training; i++)
        VECTOR_PUSH(out, memory_parameter(d, i, member));
    for (uint32_t i = 0; i < d->forward.count + d->backward.count; i++) {
        const struct action *action =
            i < d->forward.count ? &d->forward.at[i] : &d->backward.at[i - d->forward.count];
        if (streamed_apart(d, action))
            alike_sign_ring(d, action, member, out);
        if (action->uneven)
            VECTOR_PUSH(out, derive_payload(d, action, layout_coordinates(d->stage, member)));
        shares_of(d, action, member, &shares);
        for (uint32_t k = 0; k < shares.count; k++)
            VECTOR_PUSH(out, shares.at[k]);
    }
    VECTOR_FREE(&shares);
}

void alike_work(const struct derivation *d, uint32_t axes, struct alike *alike)
{
    struct signature mine = {0};
    *alike = (struct alike){.axes = axes};
    for (uint32_t i = 0; i < layout_places(d->stage, axes); i++)
        VECTOR_PUSH(&alike->of, MODEL_NONE);
    for (uint32_t m = 0; m < d->member_count; m++) {
        uint32_t *of = &alike->of.at[layout_place(d->stage, axes, m)];
        if (*of != MODEL_NONE)
            continue;
        alike_sign(d, m, &mine);
        *of = alike_find(alike, &mine);
    }
    VECTOR_FREE(&mine);
}

uint32_t alike_class(const struct alike *alike, const struct plan_stage *stage, uint32_t member)
{
    return alike->of.at[layout_place(stage, alike->axes, member)];
}
