#include "plan/shares.h"

#include "plan/state.h"

#include <string.h>

void shares_fini(struct shares *shares)
{
    VECTOR_FREE(&shares->parts);
    VECTOR_FREE(&shares->first);
}

/* The members with which one communicates, itself included, in mesh order. */
static void shares_group(const struct derivation *d, uint32_t axes, uint32_t member, struct index_list *group)
{
    struct coordinates mine = layout_coordinates(d->stage, member);
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct coordinates at = layout_coordinates(d->stage, m);
        bool alike = true;
        for (uint32_t a = 0; a < d->stage->axis_count; a++)
            alike &= (axes >> a & 1) || at.at[a] == mine.at[a];
        if (alike)
            VECTOR_PUSH(group, m);
    }
}

/* Whether parts could be unequal at all: some dimension that is split is partly filled, weighted or does not
 * divide. */
static bool shares_uneven(const struct derivation *d, const struct action *action)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    uint64_t ways[TENSOR_DIMS];
    for (uint32_t i = 0; i < TENSOR_DIMS; i++)
        ways[i] = 1;
    const struct layout *sides[] = {&action->before, &action->after};
    for (int side = 0; side < 2; side++)
        for (uint32_t a = 0; a < d->stage->axis_count; a++)
            if (sides[side]->place[a] == PLACE_SPLIT) {
                const struct tensor_dim *dim = &tensor->dims[sides[side]->dim[a]];
                ways[sides[side]->dim[a]] *= d->stage->axes[a].size;
                if (dim->filling || d->stage->axes[a].weights)
                    return true;
            }
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i].size % ways[i])
            return true;
    return false;
}

/* The block's place, added unless it is there. */
static uint32_t shares_keep(struct shares *shares, const double *parts, uint32_t count)
{
    for (uint32_t b = 0; b < shares->first.count; b++) {
        uint32_t first = shares->first.at[b];
        uint32_t end = b + 1 < shares->first.count ? shares->first.at[b + 1] : shares->parts.count;
        if (end - first == count && memcmp(shares->parts.at + first, parts, count * sizeof *parts) == 0)
            return first;
    }
    VECTOR_PUSH(&shares->first, shares->parts.count);
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(&shares->parts, parts[i]);
    return shares->first.at[shares->first.count - 1];
}

uint32_t shares_of(struct shares *shares, const struct derivation *d, const struct action *action,
                   uint32_t member)
{
    if (action->kind != ACTION_COLLECTIVE || action->collective != ALL_TO_ALL || !shares_uneven(d, action))
        return 0;
    const struct tensor *tensor = state_tensor(d, action->tensor);
    struct index_list group = {0};
    VECTOR(double) parts = {0};
    shares_group(d, action->axes, member, &group);
    double held = derive_payload(d, action, layout_coordinates(d->stage, member)) / action->element_bytes;
    bool equal = true;
    for (uint32_t i = 0; i < group.count; i++)
        for (uint32_t k = 0; k < group.count; k++) {
            struct box from =
                layout_box(d->stage, tensor, &action->before, layout_coordinates(d->stage, group.at[i]), 0);
            struct box to =
                layout_box(d->stage, tensor, &action->after, layout_coordinates(d->stage, group.at[k]), 0);
            struct box both = layout_intersection(&from, &to, tensor->rank);
            VECTOR_PUSH(&parts, held > 0 ? layout_volume(tensor, &both) / held : 0);
            equal &= parts.at[parts.count - 1] == parts.at[0];
        }
    uint32_t place = equal ? 0 : 1 + shares_keep(shares, parts.at, parts.count);
    VECTOR_FREE(&parts);
    VECTOR_FREE(&group);
    return place;
}
