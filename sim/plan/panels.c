#include "plan/panels.h"

#include "plan/state.h"
#include "plan/streamed.h"

#include <stdlib.h>

/* The share of a dimension that a place along some axes has. */
static struct interval panels_place(const struct plan_stage *stage, uint64_t size, uint32_t axes,
                                    uint32_t place)
{
    struct coordinates at = layout_coordinates(stage, streamed_member(stage, 0, axes, place));
    struct interval share = {0, size};
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (axes >> a & 1)
            share = layout_share(share, &stage->axes[a], at.at[a]);
    return share;
}

static int panels_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Where shares of the operands begin, in order and each once; returns how many. */
static uint32_t panels_edges(const struct derivation *d, const struct stage_operator *so, uint64_t size,
                             uint64_t *edges)
{
    uint32_t count = 0, kept = 0;
    for (uint32_t i = 0; i < OPERATOR_OPERANDS; i++)
        for (uint32_t p = 0; so->panels >> i & 1 && p < layout_places(d->stage, so->panel_axes[i]); p++)
            edges[count++] = panels_place(d->stage, size, so->panel_axes[i], p).low;
    qsort(edges, count, sizeof *edges, panels_compare);
    for (uint32_t i = 0; i < count; i++)
        if (edges[i] < size && (!kept || edges[i] > edges[kept - 1]))
            edges[kept++] = edges[i];
    return kept;
}

void panels_cut(struct derivation *d, uint32_t index)
{
    struct stage_operator *so = &d->operators.at[index];
    uint64_t size = state_operator(d, index)->dims[so->panel_dim].size;
    uint32_t room = 1, least = d->plan->panels ? d->plan->panels : 1, cuts = 0;
    for (uint32_t i = 0; i < OPERATOR_OPERANDS; i++)
        room += so->panels >> i & 1 ? layout_places(d->stage, so->panel_axes[i]) : 0;
    uint64_t *edges = ARENA_ARRAY(d->arena, uint64_t, room), widest = (size + least - 1) / least;
    uint32_t count = panels_edges(d, so, size, edges);
    so->panel_edges = ARENA_ARRAY(d->arena, uint64_t, room + least + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t length = (i + 1 < count ? edges[i + 1] : size) - edges[i];
        uint64_t pieces = (length + widest - 1) / widest;
        for (uint64_t k = 0; k < pieces; k++)
            so->panel_edges[cuts++] = edges[i] + length * k / pieces;
    }
    so->panel_edges[cuts] = size;
    so->panel_count = cuts;
}

struct interval panels_at(const struct derivation *d, uint32_t index, uint32_t step)
{
    const uint64_t *edges = d->operators.at[index].panel_edges;
    return (struct interval){edges[step], edges[step + 1]};
}

double panels_share(const struct derivation *d, uint32_t index, uint32_t step)
{
    struct interval panel = panels_at(d, index, step);
    const struct layer_op *layer_op = state_operator(d, index);
    return (double)(panel.high - panel.low) / (double)layer_op->dims[d->operators.at[index].panel_dim].size;
}

/* The member around the axes of an action that has a panel. */
static uint32_t panels_owner(const struct derivation *d, const struct action *action, uint32_t member,
                             uint32_t step)
{
    const struct layer_op *layer_op = state_operator(d, action->layer_op);
    uint64_t size = layer_op->dims[d->operators.at[action->layer_op].panel_dim].size;
    struct interval panel = panels_at(d, action->layer_op, step);
    struct coordinates at = layout_coordinates(d->stage, member);
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        at.at[a] = action->axes >> a & 1 ? 0 : at.at[a];
    uint32_t first = layout_member(d->stage, at), place = 0;
    while (panels_place(d->stage, size, action->axes, place).high <= panel.low)
        place++;
    return streamed_member(d->stage, first, action->axes, place);
}

uint32_t panels_distance(const struct derivation *d, const struct action *action, uint32_t member,
                         uint32_t step)
{
    uint32_t at = panels_owner(d, action, member, step), distance = 0;
    for (; at != member; distance++)
        at = streamed_member(d->stage, at, action->axes, 1);
    return distance;
}

double panels_elements(const struct derivation *d, const struct action *action, uint32_t member,
                       uint32_t step)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    const struct layout *shares = action->collective == ALL_GATHER ? &action->before : &action->after;
    struct interval panel = panels_at(d, action->layer_op, step);
    struct coordinates at = layout_coordinates(d->stage, panels_owner(d, action, member, step));
    struct box box = layout_box(d->stage, tensor, shares, at, 0);
    uint32_t axis = 0;
    while (!(action->axes >> axis & 1))
        axis++;
    box.dims[shares->dim[axis]] = panel;
    return layout_elements(&box, tensor->rank);
}

double panels_buffer(const struct derivation *d, bool backward, uint32_t loop, uint32_t member)
{
    const struct step_loop *l = backward ? &d->backward_loops.at[loop] : &d->forward_loops.at[loop];
    double bytes = 0;
    for (uint32_t i = l->first; i < l->end; i++) {
        const struct action *action = backward ? &d->backward.at[i] : &d->forward.at[i];
        double largest = 0;
        uint32_t others = 0;
        for (uint32_t step = 0; step < l->steps && action->streamed && action->loop == loop; step++) {
            double elements = panels_elements(d, action, member, step);
            bool own = panels_distance(d, action, member, step) == 0;
            others += !own;
            largest = !own && elements > largest ? elements : largest;
        }
        bytes += largest * action->element_bytes * (others > 1 ? 2 : 1);
    }
    return bytes;
}
