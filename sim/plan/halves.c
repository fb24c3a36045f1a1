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

/* Bytes of something that is kept for the backward pass, if some weight gradient of the stage reads it. */
static double halves_read(const struct derivation *d, const struct stage_saved *saved, uint32_t member)
{
    const struct tensor *tensor = state_tensor(d, saved->tensor);
    bool read = false;
    for (uint32_t o = 0; o < d->operators.count && !read; o++) {
        const struct operator* operator= state_operator(d, o);
        for (uint32_t i = 0; i < operator->operand_count && halves_makes_weights(d, operator); i++)
            read |= d->same_as[operator->operands[i].tensor] == d->same_as[saved->tensor];
    }
    if (!read || tensor->internal || saved->extra > 0)
        return 0;
    struct box box = derive_box(d, saved->tensor, saved->form, member);
    return layout_elements(&box, tensor->rank) * derive_element_bytes(d->plan, tensor);
}

double halves_saved(const struct derivation *d, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->saved.count; i++)
        if (d->saved.at[i].kept && d->saved.at[i].first_kept)
            bytes += halves_read(d, &d->saved.at[i], member);
    return bytes;
}

double halves_remade(const struct derivation *d, uint32_t unit, uint32_t member)
{
    double bytes = 0;
    for (uint32_t i = 0; i < d->saved.count; i++)
        if (d->saved.at[i].unit == unit && !d->saved.at[i].kept && d->saved.at[i].first_of_chunk)
            bytes += halves_read(d, &d->saved.at[i], member);
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
