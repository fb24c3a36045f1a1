#include "plan/halves.h"

#include "plan/memory.h"
#include "plan/state.h"

static bool halves_makes_weights(const struct derivation *d, const struct operator* operator)
{
    if (operator->kind != OPERATOR_EINSUM)
        return false;
    for (uint32_t i = 0; i < operator->operand_count; i++)
        if (state_tensor(d, operator->operands[i].tensor)->role == TENSOR_PARAMETER)
            return true;
    return false;
}

/* Whether some weight gradient of the stage (of one unit; MODEL_NONE: of all) reads a tensor. */
static bool halves_reads(const struct derivation *d, uint32_t unit, uint32_t tensor)
{
    for (uint32_t o = 0; o < d->operators.count; o++) {
        const struct operator* operator= state_operator(d, o);
        if ((unit != MODEL_NONE && d->operators.at[o].unit != unit) || !halves_makes_weights(d, operator))
            continue;
        for (uint32_t i = 0; i < operator->operand_count; i++)
            if (d->same_as[operator->operands[i].tensor] == d->same_as[tensor])
                return true;
    }
    return false;
}

double halves_saved(const struct derivation *d, uint32_t unit, bool inputs_only, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        const struct tensor *tensor = state_tensor(d, saved->tensor);
        bool copy = inputs_only ? saved->first_input : saved->first;
        if ((unit != MODEL_NONE && saved->unit != unit) || (inputs_only && !saved->input) ||
            (unit == MODEL_NONE && !copy) || tensor->internal || saved->extra > 0 ||
            !halves_reads(d, unit, saved->tensor))
            continue;
        struct box box = derive_box(d, saved->tensor, saved->form, member);
        bytes += layout_elements(&box, tensor->rank) * derive_element_bytes(d->plan, tensor);
    }
    return bytes;
}

double halves_gradients(const struct derivation *d, uint32_t unit, uint32_t member)
{
    double bytes = 0;
    for (uint32_t o = 0; o < d->operators.count; o++)
        if (d->operators.at[o].unit == unit && halves_makes_weights(d, state_operator(d, o)))
            bytes += memory_output(d, o, member);
    return bytes;
}
