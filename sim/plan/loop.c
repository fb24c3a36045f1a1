#include "plan/loop.h"

#include "plan/state.h"

/* The dimension of time of an operator; NULL: it does not go step by step. */
static const struct iteration_dim *loop_dim(const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        if (layer_op->dims[i].sequential)
            return &layer_op->dims[i];
    return NULL;
}

/* Whether an action happens once per step: kernels that go step by step, and what depends on such a kernel
 * or, in the backward pass, on the step before. */
static bool loop_repeats(const struct derivation *d, bool backward, uint32_t first, uint32_t index,
                         uint32_t loop)
{
    const struct action *actions = backward ? d->backward.at : d->forward.at;
    const struct action *action = &actions[index];
    if (action->carried || (action->kind == ACTION_KERNEL && loop_dim(state_operator(d, action->layer_op))))
        return true;
    for (uint32_t k = 0; k < action->dependency_count; k++) {
        uint32_t dependency = d->dependencies.at[action->first_dependency + k];
        if (dependency >= first && actions[dependency].loop == loop)
            return true;
    }
    return false;
}

void loop_add(struct derivation *d, bool backward, uint32_t first, uint32_t carry)
{
    struct action *actions = backward ? d->backward.at : d->forward.at;
    const struct iteration_dim *time = loop_dim(state_operator(d, actions[carry].layer_op));
    struct step_loop loop = {.first = first,
                             .end = backward ? d->backward.count : d->forward.count,
                             .steps = time ? (uint32_t)time->size : 1,
                             .because = time ? time->names[0] : 0,
                             .carry = carry};
    uint32_t index = backward ? d->backward_loops.count : d->forward_loops.count;
    bool communicates = false;
    for (uint32_t i = first; i < loop.end; i++)
        if (loop_repeats(d, backward, first, i, index)) {
            actions[i].loop = index;
            communicates |= actions[i].kind != ACTION_KERNEL;
        }
    if (communicates && backward)
        VECTOR_PUSH(&d->backward_loops, loop);
    else if (communicates)
        VECTOR_PUSH(&d->forward_loops, loop);
    for (uint32_t i = first; i < loop.end && !communicates; i++)
        actions[i].loop = MODEL_NONE;
}

/* Whether what an action makes is needed by nothing but the next time step. */
static bool loop_only_carried(const struct derivation *d, uint32_t index)
{
    for (uint32_t j = index + 1; j < d->forward.count; j++) {
        const struct action *later = &d->forward.at[j];
        for (uint32_t k = 0; k < later->dependency_count; k++)
            if (d->dependencies.at[later->first_dependency + k] == index && !later->transient)
                return false;
    }
    return true;
}

void loop_transients(struct derivation *d)
{
    for (uint32_t l = 0; l < d->forward_loops.count; l++)
        for (uint32_t i = d->forward_loops.at[l].end; i-- > d->forward_loops.at[l].first;) {
            struct action *action = &d->forward.at[i];
            if (action->kind == ACTION_KERNEL && action->loop == l)
                break;
            action->transient = action->loop == l && loop_only_carried(d, i);
        }
}
