#include "plan/memory.h"

#include "plan/state.h"

double memory_optimizer_bytes(const struct plan *plan)
{
    double states = plan->optimizer == OPTIMIZER_ADAM ? 8 : plan->optimizer == OPTIMIZER_MOMENTUM ? 4 : 0;
    bool master = precision_bytes(plan->precision) < 4;
    return states + (master ? 4 : 0);
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

double memory_saved(const struct derivation *d, uint32_t unit, bool inputs_only, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        bool copy = inputs_only ? saved->first_input : saved->first;
        if ((unit != MODEL_NONE && saved->unit != unit) || (inputs_only && !saved->input) ||
            (unit == MODEL_NONE && !copy))
            continue;
        const struct tensor *tensor = state_tensor(d, saved->tensor);
        if (tensor->internal)
            continue;
        struct box box = derive_box(d, saved->tensor, saved->form, member);
        double size = saved->extra > 0 ? saved->extra : derive_element_bytes(d->plan, tensor);
        bytes += layout_volume(tensor, &box) * size;
    }
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
