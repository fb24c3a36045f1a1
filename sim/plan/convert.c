#include "plan/convert.h"

#include "plan/mesh.h"
#include "plan/owners.h"

#include <assert.h>

static void convert_push(struct convert_step *steps, uint32_t *count, int collective, uint32_t axis,
                         struct layout *now, enum placement place, uint8_t dim)
{
    struct convert_step *step = &steps[(*count)++];
    *step = (struct convert_step){.collective = (uint8_t)collective,
                                  .axis = (uint8_t)axis,
                                  .axes = (uint8_t)(1u << axis),
                                  .before = *now};
    now->place[axis] = (uint8_t)place;
    now->dim[axis] = dim;
    step->after = *now;
}

bool convert_loose(const struct plan_stage *stage, const struct layout *now, uint32_t axis, uint8_t dim)
{
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (a != axis && now->place[a] == PLACE_SPLIT && now->dim[a] == dim &&
            layout_inside(stage, now, a, axis, dim))
            return false;
    return true;
}

/* Whether an axis may take the dimension that it splits in `to`: those before it that split the same
 * dimension must do so in the end too. */
static bool convert_takes(const struct plan_stage *stage, const struct layout *now, const struct layout *to,
                          uint32_t axis)
{
    if (to->place[axis] != PLACE_SPLIT || !convert_loose(stage, now, axis, to->dim[axis]))
        return false;
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        if (a == axis || !layout_inside(stage, to, axis, a, to->dim[axis]))
            continue;
        bool splits = now->place[a] == PLACE_SPLIT && now->dim[a] == to->dim[axis];
        bool stays = to->place[a] == PLACE_SPLIT && to->dim[a] == to->dim[axis];
        if (splits != stays)
            return false;
    }
    return true;
}

static bool convert_settled(const struct layout *now, const struct layout *to, uint32_t axis)
{
    return now->place[axis] == to->place[axis] &&
           (now->place[axis] != PLACE_SPLIT || now->dim[axis] == to->dim[axis]);
}

/* All slices (R → S) that are possible. */
static void convert_slice(const struct plan_stage *stage, struct layout *now, const struct layout *to)
{
    for (uint32_t n = 0, end = stage->axis_count * (stage->late ? 2 : 1); n < end;
         n++) { /* a late axis after the others */
        uint32_t a = n < stage->axis_count ? n : n - stage->axis_count;
        if (now->place[a] == PLACE_REPLICATED && to->place[a] == PLACE_ONE) {
            now->place[a] = PLACE_ONE; /* the others forget theirs */
        } else if (now->place[a] == PLACE_REPLICATED && convert_takes(stage, now, to, a)) {
            now->place[a] = PLACE_SPLIT;
            now->dim[a] = to->dim[a];
        }
    }
}

/* An all-to-all over all pieces of one axis of a mesh: from the dimensions that they split to others. Their
 * own nesting is no obstacle when they change together; that of the other axes is. */
static bool convert_scatter_pieces(const struct plan_stage *stage, struct layout *now,
                                   const struct layout *to, struct convert_step *steps, uint32_t *count)
{
    for (uint32_t i = 0; stage->meshes && i < stage->mesh_count * PLAN_AXES; i++) {
        const struct plan_mesh *mesh = &stage->meshes[i / PLAN_AXES];
        uint32_t axis = i % PLAN_AXES, pieces = axis < mesh->axis_count ? mesh->parts[axis] : 0, last = 0;
        struct layout apart = *now, target = *to;
        bool can = (pieces & (pieces - 1)) != 0;
        for (uint32_t a = 0; a < stage->axis_count; a++)
            if (pieces >> a & 1) {
                can &=
                    now->place[a] == PLACE_SPLIT && to->place[a] == PLACE_SPLIT && now->dim[a] != to->dim[a];
                apart.place[a] = target.place[a] = PLACE_REPLICATED;
                last = a;
            }
        for (uint32_t a = 0; can && a <= last; a++)
            if (pieces >> a & 1) {
                struct layout one = target;
                one.place[a] = PLACE_SPLIT;
                one.dim[a] = to->dim[a];
                can = convert_loose(stage, &apart, a, now->dim[a]) && convert_takes(stage, &apart, &one, a);
            }
        if (!can)
            continue;
        convert_push(steps, count, ALL_TO_ALL, last, now, PLACE_SPLIT, to->dim[last]);
        struct convert_step *step = &steps[*count - 1];
        for (uint32_t a = 0; a < stage->axis_count; a++)
            if (pieces >> a & 1)
                now->dim[a] = to->dim[a];
        step->axes = (uint8_t)pieces;
        step->after = *now;
        return true;
    }
    return false;
}

/* The first collective from or to the first member of an axis that is possible: what shrinks comes first. A
 * share that cannot be taken yet (shares nest) is broadcast whole. */
static bool convert_root(const struct plan_stage *stage, struct layout *now, const struct layout *to,
                         struct convert_step *steps, uint32_t *count)
{
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (now->place[a] == PLACE_PARTIAL && to->place[a] == PLACE_ONE) {
            convert_push(steps, count, REDUCE, a, now, PLACE_ONE, 0);
            return true;
        }
    for (uint32_t a = stage->axis_count; a-- > 0;)
        if (now->place[a] == PLACE_SPLIT && to->place[a] == PLACE_ONE &&
            convert_loose(stage, now, a, now->dim[a])) {
            convert_push(steps, count, GATHER, a, now, PLACE_ONE, 0);
            return true;
        }
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (now->place[a] == PLACE_ONE && convert_takes(stage, now, to, a)) {
            convert_push(steps, count, SCATTER, a, now, PLACE_SPLIT, to->dim[a]);
            return true;
        }
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (now->place[a] == PLACE_ONE && to->place[a] != PLACE_ONE) {
            convert_push(steps, count, BROADCAST, a, now, PLACE_REPLICATED, 0);
            return true;
        }
    return false;
}

/* The first reduce-scatter or all-to-all that is possible. */
static bool convert_scatter(const struct plan_stage *stage, struct layout *now, const struct layout *to,
                            struct convert_step *steps, uint32_t *count)
{
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (now->place[a] == PLACE_PARTIAL && convert_takes(stage, now, to, a)) {
            convert_push(steps, count, REDUCE_SCATTER, a, now, PLACE_SPLIT, to->dim[a]);
            return true;
        }
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (now->place[a] == PLACE_SPLIT && !convert_settled(now, to, a) &&
            convert_loose(stage, now, a, now->dim[a]) && convert_takes(stage, now, to, a)) {
            convert_push(steps, count, ALL_TO_ALL, a, now, PLACE_SPLIT, to->dim[a]);
            return true;
        }
    return false;
}

/* Makes one axis whole: a sum first, which the gathers then need not move for every summand; then the last
 * axis that has to give up its dimension, or that splits one which an earlier axis has to give up or take. */
static bool convert_gather(const struct plan_stage *stage, struct layout *now, const struct layout *to,
                           struct convert_step *steps, uint32_t *count)
{
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (now->place[a] == PLACE_PARTIAL && to->place[a] == PLACE_REPLICATED) {
            convert_push(steps, count, ALL_REDUCE, a, now, PLACE_REPLICATED, 0);
            return true;
        }
    for (uint32_t a = stage->axis_count; a-- > 0;)
        for (uint32_t outer = 0; now->place[a] == PLACE_SPLIT && outer < stage->axis_count; outer++) {
            if ((outer != a && !layout_inside(stage, now, a, outer, now->dim[a])) ||
                !convert_loose(stage, now, a, now->dim[a]))
                continue;
            bool has = now->place[outer] == PLACE_SPLIT && now->dim[outer] == now->dim[a];
            bool wants = to->place[outer] == PLACE_SPLIT && to->dim[outer] == now->dim[a];
            if ((has || wants) && !convert_settled(now, to, outer)) {
                convert_push(steps, count, ALL_GATHER, a, now, PLACE_REPLICATED, 0);
                return true;
            }
        }
    return false;
}

uint32_t convert_join(const struct plan_stage *stage, struct convert_step *steps, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct convert_step *last = kept ? &steps[kept - 1] : NULL;
        if (last && last->collective == steps[i].collective && !(last->axes & steps[i].axes) &&
            layout_equal(&last->after, &steps[i].before, stage->axis_count) &&
            mesh_joins(stage, last->axes | steps[i].axes)) {
            last->axes |= steps[i].axes;
            last->after = steps[i].after;
        } else {
            steps[kept++] = steps[i];
        }
    }
    return kept;
}

uint32_t convert_steps(const struct plan_stage *stage, struct layout from, struct layout to,
                       struct convert_step steps[CONVERT_STEPS])
{
    uint32_t count = 0;
    do
        convert_slice(stage, &from, &to);
    while (convert_scatter_pieces(stage, &from, &to, steps, &count) ||
           convert_scatter(stage, &from, &to, steps, &count) ||
           convert_root(stage, &from, &to, steps, &count) ||
           convert_gather(stage, &from, &to, steps, &count));
    assert(layout_equal(&from, &to, stage->axis_count));
    return convert_join(stage, steps, count);
}

struct box convert_box(const struct convert_side *side, uint32_t member)
{
    if (side->boxes)
        return side->boxes[member];
    return layout_box(side->stage, side->tensor, &side->layout, layout_coordinates(side->stage, member), 0);
}

/* Of the members that hold the same box as `holder` (they differ only on axes that are not split), the one to
 * send to member `to`: the same coordinates as the receiver where the meshes have the same axis sizes, else
 * receivers take holders in turn. */
static uint32_t convert_holder(const struct convert_side *from, uint32_t holder,
                               const struct convert_side *to, uint32_t member)
{
    struct coordinates at = layout_coordinates(from->stage, holder);
    struct coordinates wanted = layout_coordinates(to->stage, member);
    uint32_t turn = member;
    for (uint32_t a = 0; a < from->stage->axis_count; a++) {
        if (from->layout.place[a] == PLACE_SPLIT)
            continue;
        if (from->layout.place[a] == PLACE_ONE) {
            at.at[a] = 0;
            continue;
        }
        uint32_t size = from->stage->axes[a].size;
        bool alike = a < to->stage->axis_count && to->stage->axes[a].size == size;
        at.at[a] = alike ? wanted.at[a] : turn % size;
        if (!alike)
            turn /= size;
    }
    return layout_member(from->stage, at);
}

/* A member that stands for its box: its coordinates are 0 on every axis that is not split. */
static bool convert_distinct(const struct convert_side *side, uint32_t member)
{
    struct coordinates at = layout_coordinates(side->stage, member);
    for (uint32_t a = 0; a < side->stage->axis_count; a++)
        if (side->layout.place[a] != PLACE_SPLIT && at.at[a])
            return false;
    return true;
}

/* True when two members hold the same box: equal coordinates on every axis where members hold different
 * ones. */
static bool convert_alike(const struct convert_side *side, uint32_t a, uint32_t b)
{
    struct coordinates x = layout_coordinates(side->stage, a), y = layout_coordinates(side->stage, b);
    for (uint32_t i = 0; i < side->stage->axis_count; i++)
        if ((side->layout.place[i] == PLACE_SPLIT || side->layout.place[i] == PLACE_ONE) &&
            x.at[i] != y.at[i])
            return false;
    return true;
}

/* The messages to one member while they are collected. */
struct convert_receiver {
    const struct convert_side *from, *to;
    uint32_t member; /* of `to` */
    uint32_t self;   /* the same device's member of `from`; MODEL_NONE */
    struct box wanted;
    struct message_list *out;
};

/* Adds the message that brings what one of the distinct holders has, unless the receiver holds that itself.
 */
static void convert_receive(const struct convert_receiver *r, uint32_t holder, const struct box *held)
{
    if (r->self != MODEL_NONE && convert_alike(r->from, holder, r->self))
        return;
    struct box both = layout_intersection(held, &r->wanted, r->from->tensor->rank);
    double elements = layout_volume(r->from->tensor, &both);
    if (elements > 0)
        VECTOR_PUSH(r->out, ((struct message_part){convert_holder(r->from, holder, r->to, r->member),
                                                   r->member, elements}));
}

/* Visits the holders of a layout's shares that overlap what is wanted, in ascending order: axis by axis, the
 * shares that do. `held`: the share so far. */
static void convert_overlap(const struct convert_receiver *r, uint32_t step, struct coordinates at,
                            struct box held)
{
    const struct plan_stage *stage = r->from->stage;
    if (step == stage->axis_count * (stage->late ? 2 : 1)) {
        convert_receive(r, layout_member(stage, at), &held);
        return;
    }
    uint32_t axis = step < stage->axis_count ? step : step - stage->axis_count;
    const struct layout *layout = &r->from->layout;
    bool late = layout->place[axis] == PLACE_SPLIT && layout->late >> layout->dim[axis] & 1 &&
                stage->late >> axis & 1;
    if (late != (step >= stage->axis_count)) { /* late axes after all others */
        convert_overlap(r, step + 1, at, held);
        return;
    }
    const struct plan_axis *along = &stage->axes[axis];
    if (r->from->layout.place[axis] != PLACE_SPLIT) {
        convert_overlap(r, step + 1, at, held);
        return;
    }
    uint32_t dim = r->from->layout.dim[axis], first = 0;
    const struct interval whole = held.dims[dim], wanted = r->wanted.dims[dim];
    const struct owners *owners = r->from->tensor->dims[dim].owners;
    if (!along->weights && !owners && whole.high > whole.low && wanted.low > whole.low) {
        /* Element e of n is in share ⌊e·ways/n⌋ or a later one. */
        uint64_t share = (wanted.low - whole.low) * along->size / (whole.high - whole.low);
        first = share < along->size ? (uint32_t)share : along->size;
    }
    for (uint32_t i = first; i < along->size; i++) {
        held.dims[dim] = owners_share(owners, stage, axis, whole, i);
        if (held.dims[dim].low >= wanted.high)
            break;
        at.at[axis] = i;
        if (held.dims[dim].high > wanted.low && held.dims[dim].high > held.dims[dim].low)
            convert_overlap(r, step + 1, at, held);
    }
}

/* Per device from the first to the last of a stage, its member there + 1, or 0. */
struct convert_devices {
    struct index_list member;
    uint32_t first;
};

static struct convert_devices convert_devices(const struct plan_stage *stage)
{
    struct convert_devices devices = {.first = UINT32_MAX};
    uint32_t last = 0;
    for (uint32_t m = 0; m < stage->devices.count; m++) {
        uint32_t device = stage->devices.at[m];
        devices.first = device < devices.first ? device : devices.first;
        last = device > last ? device : last;
    }
    for (uint32_t i = devices.first; i <= last; i++)
        VECTOR_PUSH(&devices.member, 0u);
    for (uint32_t m = stage->devices.count; m-- > 0;)
        devices.member.at[stage->devices.at[m] - devices.first] = m + 1;
    return devices;
}

static uint32_t convert_on_device(const struct convert_devices *devices, uint32_t device)
{
    bool there = device >= devices->first && device - devices->first < devices->member.count &&
                 devices->member.at[device - devices->first];
    return there ? devices->member.at[device - devices->first] - 1 : MODEL_NONE;
}

void convert_messages(const struct convert_side *from, const struct convert_side *to, bool same,
                      struct message_list *out)
{
    struct index_list distinct = {0};
    struct convert_devices devices = {0};
    struct box whole = {0};
    for (uint32_t d = 0; d < from->tensor->rank; d++)
        whole.dims[d] = (struct interval){0, from->tensor->dims[d].size};
    for (uint32_t m = 0; from->boxes && m < from->stage->devices.count; m++)
        if (convert_distinct(from, m))
            VECTOR_PUSH(&distinct, m);
    if (!same)
        devices = convert_devices(from->stage);
    for (uint32_t m = 0; m < to->stage->devices.count; m++) {
        struct convert_receiver r = {from, to, m, m, convert_box(to, m), out};
        if (layout_elements(&r.wanted, from->tensor->rank) <= 0)
            continue;
        if (!same)
            r.self = convert_on_device(&devices, to->stage->devices.at[m]);
        for (uint32_t i = 0; i < distinct.count; i++)
            convert_receive(&r, distinct.at[i], &from->boxes[distinct.at[i]]);
        if (!from->boxes)
            convert_overlap(&r, 0, (struct coordinates){{0}}, whole);
    }
    VECTOR_FREE(&distinct);
    VECTOR_FREE(&devices.member);
}
