#include "plan/memory.h"

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

void memory_hold(const struct derivation *d, uint32_t member, struct memory_held *held)
{
    double all = memory_parameters(d, member), share = memory_updated(d, member);
    held->parameters += (d->plan->zero >= 3 ? share : all) * precision_bytes(d->plan->weight_precision);
    held->gradients +=
        d->plan->training ? (d->plan->zero >= 2 ? share : all) * memory_gradient_bytes(d->plan) : 0;
    held->optimizer += d->plan->training ? memory_states(d, member) : 0;
}

static double memory_copy(const struct derivation *d, const struct stage_saved *saved, uint32_t member)
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
    const struct operator* operator= state_operator(d, index);
    const struct tensor *tensor = state_tensor(d, operator->output.tensor);
    if (tensor->internal || operator->kind == OPERATOR_VIEW || operator->fused)
        return 0;
    struct box box = assign_box(d->stage, d->plan->model, operator, & d->operators.at[index].assignment,
                                &operator->output, layout_coordinates(d->stage, member));
    return layout_volume(tensor, &box) * derive_element_bytes(d->plan, tensor);
}
