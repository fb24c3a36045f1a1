#include "plan/shares.h"

#include "plan/layout.h"
#include "plan/state.h"

#include <math.h>

/* The members with which one communicates, itself included, in the order of the mesh. */
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

static struct box shares_box(const struct derivation *d, const struct action *action, uint32_t member,
                             bool after)
{
    return layout_box(d->stage, state_tensor(d, action->tensor), after ? &action->after : &action->before,
                      layout_coordinates(d->stage, member), 0);
}

/* Whether every split of a layout divides a full dimension without a rest, as most do: then no share needs to
 * be looked at. */
static bool shares_divide(const struct derivation *d, const struct tensor *tensor,
                          const struct layout *layout)
{
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        uint64_t ways = 1;
        for (uint32_t b = 0; b < d->stage->axis_count; b++) {
            bool same = layout->place[b] == PLACE_SPLIT && layout->dim[b] == layout->dim[a];
            const struct filling *filling = tensor->dims[layout->dim[b]].filling;
            if (same && (d->stage->axes[b].weights || (filling && !filling->even) ||
                         tensor->dims[layout->dim[b]].owners))
                return false;
            ways *= same ? d->stage->axes[b].size : 1;
        }
        if (layout->place[a] == PLACE_SPLIT && tensor->dims[layout->dim[a]].size % ways)
            return false;
    }
    return true;
}

static void shares_drop_equal(struct share_list *out)
{
    bool equal = true;
    for (uint32_t i = 1; i < out->count; i++)
        equal = equal && fabs(out->at[i] - out->at[0]) <= 1e-12 * fabs(out->at[0]);
    if (equal)
        out->count = 0;
}

void shares_of(const struct derivation *d, const struct action *action, uint32_t member,
               struct share_list *out)
{
    out->count = 0;
    int kind = action->collective;
    if (action->kind != ACTION_COLLECTIVE || action->elements > 0 ||
        (kind != REDUCE_SCATTER && kind != ALL_GATHER && kind != ALL_TO_ALL))
        return;
    const struct tensor *tensor = state_tensor(d, action->tensor);
    struct index_list group = {0};
    if (shares_divide(d, tensor, &action->before) && shares_divide(d, tensor, &action->after))
        return;
    double whole = derive_payload(d, action, layout_coordinates(d->stage, member)) / action->element_bytes;
    shares_group(d, action->axes, member, &group);
    VECTOR(struct box) wanted = {0};
    for (uint32_t to = 0; to < group.count; to++)
        VECTOR_PUSH(&wanted, shares_box(d, action, group.at[to], kind != ALL_GATHER));
    for (uint32_t from = 0; from < (kind == ALL_TO_ALL ? group.count : 1) && whole > 0; from++) {
        struct box had = shares_box(d, action, group.at[from], false);
        for (uint32_t to = 0; to < group.count; to++) {
            struct box box = wanted.at[to];
            if (kind == ALL_TO_ALL)
                box = layout_intersection(&had, &box, tensor->rank);
            VECTOR_PUSH(out, layout_volume(tensor, &box) / whole);
        }
    }
    VECTOR_FREE(&wanted);
    VECTOR_FREE(&group);
    shares_drop_equal(out);
}
