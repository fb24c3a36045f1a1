#include "plan/memory.h"

#include "plan/compression.h"
#include "plan/optimizer.h"
#include "plan/shard.h"
#include "plan/state.h"

double memory_gradient_bytes(const struct plan *plan)
{
    return precision_bytes(plan->micro_batches > 1 ? plan->accumulation_precision : plan->gradient_precision);
}

double memory_parameter(const struct derivation *d, uint32_t index, uint32_t member)
{
    const struct stage_parameter *parameter = &d->parameters.at[index];
    const struct tensor *tensor = state_tensor(d, parameter->tensor);
    struct box box =
        layout_box(d->stage, tensor, &parameter->layout, layout_coordinates(d->stage, member), 0);
    return layout_volume(tensor, &box);
}

double memory_parameters(const struct derivation *d, uint32_t member)
{
    double elements = 0;
    for (uint32_t i = 0; i < d->parameters.count; i++)
        elements += memory_parameter(d, i, member);
    return elements;
}

double memory_state(const struct derivation *d, uint32_t index, uint32_t member)
{
    const struct stage_parameter *parameter = &d->parameters.at[index];
    const struct tensor *tensor = state_tensor(d, parameter->tensor);
    struct box box =
        layout_box(d->stage, tensor, &parameter->layout, layout_coordinates(d->stage, member), 0);
    return optimizer_states(d->plan, tensor, &box, parameter->rows) / shard_ways(d, parameter);
}

double memory_updated(const struct derivation *d, uint32_t member)
{
    double elements = 0;
    for (uint32_t i = 0; i < d->parameters.count; i++)
        elements += memory_parameter(d, i, member) / shard_ways(d, &d->parameters.at[i]);
    return elements;
}

double memory_states(const struct derivation *d, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->parameters.count; i++)
        bytes += memory_state(d, i, member);
    return bytes;
}

/* Whether other stages of the plan hold a parameter too: its gradient stays until they have added theirs. */
static bool memory_shared(const struct derivation *d, uint32_t index)
{
    const struct derivation *all = d - d->stage_index;
    uint32_t holders = 0;
    for (uint32_t s = 0; s < d->plan->stages.count; s++)
        for (uint32_t i = 0; i < all[s].parameters.count; i++)
            holders += all[s].parameters.at[i].tensor == d->parameters.at[index].tensor;
    return holders > 1;
}

void memory_hold(const struct derivation *d, uint32_t index, uint32_t member, int place,
                 struct memory_held *held)
{
    const struct plan *plan = d->plan;
    double all = memory_parameter(d, index, member), share = all / shard_ways(d, &d->parameters.at[index]);
    if (plan->offload.parameters == place)
        held->parameters += (plan->zero >= 3 ? share : all) * precision_bytes(plan->weight_precision);
    if (!plan->training)
        return;
    if (plan->offload.gradients == place || (place == PLAN_DEVICE && memory_shared(d, index)))
        held->gradients +=
            (plan->zero >= 2 || place != PLAN_DEVICE ? share : all) * memory_gradient_bytes(plan);
    if (place == PLAN_DEVICE && d->parameters.at[index].partial_axes)
        held->gradients += all * compression_residual(plan);
    if (plan->offload.optimizer == place)
        held->optimizer += memory_state(d, index, member);
    if (place != PLAN_HOST || !plan->offload.host_step)
        return;
    if (plan->offload.gradients != PLAN_HOST) /* they come for the update */
        held->gradients += share * memory_gradient_bytes(plan);
    if (plan->offload.parameters == PLAN_DEVICE && !optimizer_master(plan)) /* what it updates */
        held->parameters += share * precision_bytes(plan->weight_precision);
}

double memory_copy(const struct derivation *d, const struct stage_saved *saved, uint32_t member)
{
    const struct tensor *tensor = state_tensor(d, saved->tensor);
    if (tensor->internal)
        return 0;
    struct box box = derive_box(d, saved->tensor, saved->form, member);
    return layout_volume(tensor, &box) *
           (saved->extra > 0 ? saved->extra : derive_element_bytes(d->plan, tensor));
}

double memory_saved(const struct derivation *d, uint32_t unit, bool kept, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        bool copy = kept ? saved->first_kept : saved->first;
        if ((unit == MODEL_NONE || saved->unit == unit) && (saved->kept || !kept) &&
            (unit != MODEL_NONE || copy))
            bytes += memory_copy(d, saved, member);
    }
    return bytes;
}

double memory_remade(const struct derivation *d, uint32_t unit, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->saved.count; i++)
        if (d->saved.at[i].unit == unit && !d->saved.at[i].kept && d->saved.at[i].first_of_chunk)
            bytes += memory_copy(d, &d->saved.at[i], member);
    return bytes;
}

double memory_output(const struct derivation *d, uint32_t index, uint32_t member)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct tensor *tensor = state_tensor(d, layer_op->output.tensor);
    if (tensor->internal || layer_op->kind == OPERATOR_VIEW || layer_op->fused)
        return 0;
    struct box box = assign_box(d->stage, d->plan->model, layer_op, &d->operators.at[index].assignment,
                                &layer_op->output, layout_coordinates(d->stage, member));
    return layout_volume(tensor, &box) * derive_element_bytes(d->plan, tensor);
}
