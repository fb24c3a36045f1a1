#include "plan/exchange.h"

#include "collective/collective.h"
#include "plan/price.h"
#include "plan/state.h"

uint32_t exchange_axes(const struct plan *plan, const struct plan_stage *stage)
{
    uint32_t axes = 0;
    for (uint32_t a = 0; a < stage->axis_count && plan->carrier_count; a++)
        if (price_algorithm(plan, stage, HALO_EXCHANGE, 1u << a) == &via_root_algorithm)
            axes |= 1u << a;
    return axes;
}

uint32_t exchange_root(const struct plan_stage *stage, uint32_t axes, uint32_t member)
{
    struct coordinates at = layout_coordinates(stage, member);
    for (uint32_t a = 0; a < stage->axis_count; a++)
        at.at[a] = axes >> a & 1 ? 0 : at.at[a];
    return layout_member(stage, at);
}

uint32_t exchange_between(const struct plan_stage *stage, uint32_t one, uint32_t other)
{
    struct coordinates x = layout_coordinates(stage, one), y = layout_coordinates(stage, other);
    uint32_t axes = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        axes |= x.at[a] != y.at[a] ? 1u << a : 0;
    return axes;
}

/* What one message of an exchange brings. */
struct exchange_piece {
    uint32_t from, to;
    struct box box;
};

struct exchange_pieces {
    struct exchange_piece *at;
    uint32_t count, room;
};

/* Elements of a box that are in none of `count` others: what sticks out on either side of the last of these,
 * dimension by dimension, is looked at without it. */
static double exchange_beyond(const struct tensor *tensor, struct box box, const struct box *others,
                              uint32_t count)
{
    if (!count)
        return layout_volume(tensor, &box);
    struct box both = layout_intersection(&box, &others[count - 1], tensor->rank);
    if (layout_elements(&both, tensor->rank) <= 0)
        return exchange_beyond(tensor, box, others, count - 1);
    double elements = 0;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        struct box below = box, above = box;
        below.dims[d].high = both.dims[d].low;
        above.dims[d].low = both.dims[d].high;
        if (layout_elements(&below, tensor->rank) > 0)
            elements += exchange_beyond(tensor, below, others, count - 1);
        if (layout_elements(&above, tensor->rank) > 0)
            elements += exchange_beyond(tensor, above, others, count - 1);
        box.dims[d] = both.dims[d];
    }
    return elements;
}

/* One message for all pieces from one member to another, which has what is in several of them once. */
static void exchange_merge(const struct tensor *tensor, struct exchange_pieces *pieces,
                           struct message_list *out)
{
    VECTOR(struct box) boxes = {0};
    for (uint32_t i = 0; i < pieces->count; i++) {
        const struct exchange_piece first = pieces->at[i];
        double elements = 0;
        boxes.count = 0;
        for (uint32_t j = i; j < pieces->count && first.from != MODEL_NONE; j++) {
            struct exchange_piece *piece = &pieces->at[j];
            if (piece->from != first.from || piece->to != first.to)
                continue;
            elements += exchange_beyond(tensor, piece->box, boxes.at, boxes.count);
            VECTOR_PUSH(&boxes, piece->box);
            piece->from = MODEL_NONE; /* it is in a message */
        }
        if (elements > 0)
            VECTOR_PUSH(out, ((struct message_part){first.from, first.to, elements}));
    }
    VECTOR_FREE(&boxes);
    VECTOR_FREE(pieces);
}

/* Whether a message goes through a coordinator that is neither of its ends. */
static bool exchange_passes(const struct plan_stage *stage, uint32_t axes, const struct message_part *message)
{
    uint32_t root = exchange_root(stage, axes, message->from);
    return exchange_between(stage, message->from, message->to) & axes && message->from != root &&
           message->to != root;
}

/* Bit set: the axes along which these messages go through coordinators; 0 when none has one to pass. */
static uint32_t exchange_relayed(const struct derivation *d, const struct message_list *messages)
{
    uint32_t axes = exchange_axes(d->plan, d->stage), along = 0;
    bool passes = false;
    for (uint32_t i = 0; i < messages->count && axes; i++)
        along |= exchange_between(d->stage, messages->at[i].from, messages->at[i].to);
    axes &= along; /* members that have nothing for each other have coordinators of their own */
    for (uint32_t i = 0; i < messages->count && axes; i++)
        passes |= exchange_passes(d->stage, axes, &messages->at[i]);
    return passes ? axes : 0;
}

/* Cuts messages in two: to coordinators, and from them. Those that meet none stay as they are, in the second
 * exchange. */
static void exchange_split(const struct derivation *d, uint32_t axes, const struct convert_side *from,
                           const struct convert_side *to, const struct message_list *messages,
                           struct message_list legs[2])
{
    struct exchange_pieces pieces[2] = {{0}};
    for (uint32_t i = 0; i < messages->count; i++) {
        const struct message_part *message = &messages->at[i];
        bool crosses = exchange_between(d->stage, message->from, message->to) & axes;
        uint32_t root = crosses ? exchange_root(d->stage, axes, message->from) : message->from;
        struct box held = convert_box(from, message->from), wanted = convert_box(to, message->to);
        struct box box = layout_intersection(&held, &wanted, from->tensor->rank);
        if (message->from != root)
            VECTOR_PUSH(&pieces[0], ((struct exchange_piece){message->from, root, box}));
        if (message->to != root)
            VECTOR_PUSH(&pieces[1], ((struct exchange_piece){root, message->to, box}));
    }
    for (int leg = 0; leg < 2; leg++)
        exchange_merge(from->tensor, &pieces[leg], &legs[leg]);
}

/* The first dimension along which what is wanted is split; interned, or 0. */
static uint32_t exchange_because(const struct derivation *d, const struct convert_side *to)
{
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (to->layout.place[a] == PLACE_SPLIT && to->tensor->dims[to->layout.dim[a]].label)
            return to->tensor->dims[to->layout.dim[a]].label;
    return 0;
}

/* Appends one exchange. */
static uint32_t exchange_action(struct derivation *d, struct action action, enum exchange_leg leg,
                                const struct message_list *messages, const uint32_t *dependencies,
                                uint32_t count)
{
    static const uint8_t reasons[] = {REASON_HALO, REASON_TO_ROOT, REASON_FROM_ROOT};
    action.kind = ACTION_EXCHANGE;
    action.leg = (uint8_t)leg;
    action.reason = reasons[leg];
    state_messages(d, &action, messages);
    return state_action(d, action.backward, action, dependencies, count);
}

uint32_t exchange_append(struct derivation *d, bool backward, struct action base,
                         const struct convert_side *from, const struct convert_side *to,
                         const uint32_t *dependencies, uint32_t count)
{
    struct message_list messages = {0}, legs[2] = {{0}};
    uint32_t made = MODEL_NONE;
    convert_messages(from, to, true, &messages);
    base.backward = backward;
    base.element_bytes = derive_element_bytes(d->plan, from->tensor);
    base.because = exchange_because(d, to);
    base.axes = (uint8_t)exchange_relayed(d, &messages);
    if (base.axes) {
        exchange_split(d, base.axes, from, to, &messages, legs);
        uint32_t collected = exchange_action(d, base, EXCHANGE_TO_ROOT, &legs[0], dependencies, count);
        base.carried = false; /* the first one waits */
        made = exchange_action(d, base, EXCHANGE_FROM_ROOT, &legs[1], &collected, 1);
    } else if (messages.count) {
        made = exchange_action(d, base, EXCHANGE_STRAIGHT, &messages, dependencies, count);
    }
    for (int leg = 0; leg < 2; leg++)
        VECTOR_FREE(&legs[leg]);
    VECTOR_FREE(&messages);
    return made;
}
