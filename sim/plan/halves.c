#include "plan/halves.h"

#include "plan/memory.h"
#include "plan/state.h"

bool halves_makes_weights(const struct derivation *d, const struct layer_op *layer_op)
{
    if (layer_op->kind != OPERATOR_EINSUM)
        return false;
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (state_tensor(d, layer_op->operands[i].tensor)->role == TENSOR_PARAMETER)
            return true;
    return false;
}

double halves_read(const struct derivation *d, const struct stage_saved *saved, uint32_t member)
{
    const struct tensor *tensor = state_tensor(d, saved->tensor);
    bool read = false;
    for (uint32_t o = 0; o < d->operators.count && !read; o++) {
        const struct layer_op *layer_op = state_operator(d, o);
        for (uint32_t i = 0; i < layer_op->operand_count && halves_makes_weights(d, layer_op); i++)
            read |= d->same_as[layer_op->operands[i].tensor] == d->same_as[saved->tensor];
    }
    if (!read || tensor->internal || saved->extra > 0)
        return 0;
    struct box box = derive_box(d, saved->tensor, saved->form, member);
    return layout_volume(tensor, &box) * derive_element_bytes(d->plan, tensor);
}
