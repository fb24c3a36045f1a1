#include "plan/cast.h"

#include "plan/alike.h"
#include "plan/memory.h"
#include "plan/offload.h"
#include "plan/parameters.h"
#include "plan/state.h"
#include "plan/streamed.h"

#include <assert.h>

static uint32_t cast_rank_of(struct cast *cast, uint32_t *rank_of_device, uint32_t device)
{
    if (rank_of_device[device] == MODEL_NONE) {
        rank_of_device[device] = cast->ranks.count;
        VECTOR_PUSH(
            &cast->ranks,
            ((struct cast_rank){.device = device, .like = MODEL_NONE, .stores = {MODEL_NONE, MODEL_NONE}}));
    }
    return rank_of_device[device];
}

static void cast_roles(struct cast *cast, struct arena *arena)
{
    const struct plan *plan = cast->plan;
    uint32_t devices = plan->platform->devices.count;
    uint32_t *rank_of_device = ARENA_ARRAY(arena, uint32_t, devices);
    for (uint32_t i = 0; i < devices; i++)
        rank_of_device[i] = MODEL_NONE;
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        struct plan_stage *stage = &cast->plan->stages.at[s];
        stage->ranks = ARENA_ARRAY(arena, uint32_t, stage->devices.count);
        for (uint32_t m = 0; m < stage->devices.count; m++) {
            stage->ranks[m] = cast_rank_of(cast, rank_of_device, stage->devices.at[m]);
            VECTOR_PUSH(&cast->ranks.at[stage->ranks[m]].roles, ((struct role){s, m}));
        }
        stage->first_rank = stage->ranks[0];
    }
    cast->input_rank = MODEL_NONE;
    if (plan->input_device != MODEL_NONE) {
        cast->input_rank = cast_rank_of(cast, rank_of_device, plan->input_device);
        cast->ranks.at[cast->input_rank].input = true;
    }
    cast->first_store = cast->ranks.count;
    for (uint32_t r = 0; r < cast->first_store; r++) /* of those only that have a stage */
        for (int place = PLAN_HOST; place <= PLAN_DRIVE && cast->ranks.at[r].roles.count; place++) {
            uint32_t device = offload_store(plan, cast->ranks.at[r].device, place);
            if (device == MODEL_NONE)
                continue;
            uint32_t store = cast_rank_of(cast, rank_of_device, device);
            cast->ranks.at[r].stores[place - PLAN_HOST] = store;
            VECTOR_PUSH(&cast->ranks.at[store].served, r);
        }
}

static bool cast_sends(const struct action *action)
{
    return action->kind == ACTION_SEND || action->kind == ACTION_EXCHANGE;
}

static bool cast_receives(const struct action *action)
{
    return action->kind == ACTION_RECEIVE || action->kind == ACTION_EXCHANGE;
}

/* Compressed rows: for each member of a stage, the messages that it sends or receives, ascending. */
static void cast_index(struct cast *cast, uint32_t s)
{
    const struct derivation *d = &cast->derivations[s];
    struct index_list *first = &cast->first[s], *all = &cast->sent_or_received[s];
    struct index_list sides = {0}; /* per message: 1 sent here, 2 received here */
    for (uint32_t i = 0; i < d->messages.count; i++)
        VECTOR_PUSH(&sides, 0u);
    for (uint32_t i = 0; i < d->forward.count + d->backward.count; i++) {
        const struct action *action =
            i < d->forward.count ? &d->forward.at[i] : &d->backward.at[i - d->forward.count];
        for (uint32_t k = 0; k < action->message_count; k++)
            sides.at[action->first_message + k] =
                (cast_sends(action) ? 1u : 0u) | (cast_receives(action) ? 2u : 0u);
    }
    for (uint32_t m = 0; m <= d->member_count; m++)
        VECTOR_PUSH(first, 0u);
    for (uint32_t i = 0; i < sides.count; i++) {
        if (sides.at[i] & 1)
            first->at[d->messages.at[i].from + 1]++;
        if (sides.at[i] & 2)
            first->at[d->messages.at[i].to + 1]++;
    }
    for (uint32_t m = 0; m < d->member_count; m++)
        first->at[m + 1] += first->at[m];
    for (uint32_t i = 0; i < first->at[d->member_count]; i++)
        VECTOR_PUSH(all, 0u);
    struct index_list next = {0};
    for (uint32_t m = 0; m < d->member_count; m++)
        VECTOR_PUSH(&next, first->at[m]);
    for (uint32_t i = 0; i < sides.count; i++) {
        if (sides.at[i] & 1)
            all->at[next.at[d->messages.at[i].from]++] = i;
        if (sides.at[i] & 2)
            all->at[next.at[d->messages.at[i].to]++] = i;
    }
    VECTOR_FREE(&next);
    VECTOR_FREE(&sides);
}

const uint32_t *cast_messages(const struct cast *cast, uint32_t stage, uint32_t member,
                              const struct action *action, uint32_t *count)
{
    const struct index_list *all = &cast->sent_or_received[stage];
    uint32_t low = cast->first[stage].at[member], end = cast->first[stage].at[member + 1], high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (all->at[middle] < action->first_message)
            low = middle + 1;
        else
            high = middle;
    }
    *count = 0;
    while (low + *count < end && all->at[low + *count] < action->first_message + action->message_count)
        ++*count;
    return *count ? all->at + low : NULL;
}

uint32_t cast_channel(const struct cast *cast, uint32_t stage, const struct action *action,
                      const struct message_part *message)
{
    const struct plan *plan = cast->plan;
    uint32_t from, to;
    enum channel channel = action->kind == ACTION_EXCHANGE ? CHANNEL_EXCHANGE
                           : action->backward              ? CHANNEL_BACKWARD
                                                           : CHANNEL_FORWARD;
    const struct plan_stage *here = &plan->stages.at[stage];
    if (action->kind == ACTION_EXCHANGE) {
        from = here->ranks[message->from];
        to = here->ranks[message->to];
    } else if (action->peer == MODEL_NONE) {
        channel = CHANNEL_INPUT;
        from = cast->input_rank;
        to = here->ranks[message->to];
    } else if (action->kind == ACTION_SEND) {
        from = here->ranks[message->from];
        to = plan->stages.at[action->peer].ranks[message->to];
    } else {
        from = plan->stages.at[action->peer].ranks[message->from];
        to = here->ranks[message->to];
    }
    bool meet = plan->rendezvous && channel <= CHANNEL_BACKWARD && from != to;
    uint64_t pair = 0; /* of the stages, the importing one first */
    if (action->kind != ACTION_EXCHANGE) {
        bool importer = (action->kind == ACTION_RECEIVE) != action->backward;
        uint64_t peer = action->peer == MODEL_NONE ? 0 : (uint64_t)action->peer + 1;
        pair = importer ? ((uint64_t)stage + 1) << 24 | peer : peer << 24 | (stage + 1);
    }
    return registry_channel(cast->registry, from, to, channel, pair, meet);
}

uint32_t cast_ring(const struct cast *cast, uint32_t stage, const struct action *action, uint32_t from,
                   uint32_t to)
{
    const uint32_t *ranks = cast->plan->stages.at[stage].ranks;
    uint64_t pair = (uint64_t)stage << 8 | action->axes * 2u | (action->collective == REDUCE_SCATTER);
    bool panels = cast->derivations[stage].operators.at[action->layer_op].panels;
    return registry_channel(cast->registry, ranks[from], ranks[to], panels ? CHANNEL_PANELS : CHANNEL_RING,
                            pair, panels);
}

uint32_t cast_offload(const struct cast *cast, uint32_t from, uint32_t to)
{
    return registry_channel(cast->registry, from, to, CHANNEL_OFFLOAD, 0, true);
}

uint32_t cast_transfers(const struct cast *cast, uint32_t importer, uint32_t source)
{
    const struct derivation *d = &cast->derivations[importer];
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->imports.count; i++)
        count += d->imports.at[i].source == source;
    return count;
}

static void cast_add_group(struct cast_rank *rank, uint32_t group)
{
    for (uint32_t i = rank->groups.count; i-- > 0;)
        if (rank->groups.at[i] == group)
            return;
    VECTOR_PUSH(&rank->groups, group);
}

uint32_t cast_tied(const struct cast *cast, const struct tied_sum *sum, uint32_t member)
{
    struct index_list ranks = {0};
    for (uint32_t i = 0; i < sum->copies.count; i++) {
        uint32_t rank = cast->plan->stages.at[sum->copies.at[i].stage].ranks[member], k = 0;
        while (k < ranks.count && ranks.at[k] != rank)
            k++;
        if (k == ranks.count)
            VECTOR_PUSH(&ranks, rank);
    }
    uint32_t group = ranks.count < 2
                         ? MODEL_NONE
                         : registry_named(cast->registry, "tied", (uint64_t)sum->tensor << 32 | member,
                                          ranks.at, ranks.count);
    VECTOR_FREE(&ranks);
    return group;
}

uint32_t cast_flow(const struct cast *cast, const struct tied_flow *flow)
{
    const struct plan_stage *stages = cast->plan->stages.at;
    return registry_channel(cast->registry, stages[flow->source].ranks[flow->from],
                            stages[flow->target].ranks[flow->to], CHANNEL_TIED,
                            (uint64_t)flow->source << 24 | flow->target, false);
}

uint32_t cast_barrier(struct cast *cast)
{
    if (cast->barrier != MODEL_NONE)
        return cast->barrier;
    struct index_list ranks = {0};
    for (uint32_t r = 0; r < cast->ranks.count; r++)
        if (cast->ranks.at[r].roles.count)
            VECTOR_PUSH(&ranks, r);
    cast->barrier = registry_named(cast->registry, "barrier", 0, ranks.at, ranks.count);
    VECTOR_FREE(&ranks);
    return cast->barrier;
}

/* What of a stage's derivation makes groups, or tells its members apart. */
struct outline {
    struct index_list actions; /* with messages, and the first collective of each kind of group along each set
                                  of axes */
    struct index_list axes;    /* bit sets: along which parameters communicate */
    struct alike work;         /* members by what they do */
};

static void outline_fini(struct outline *outline)
{
    VECTOR_FREE(&outline->actions);
    VECTOR_FREE(&outline->axes);
    alike_fini(&outline->work);
}

static const struct action *cast_action(const struct derivation *d, uint32_t index)
{
    return index < d->forward.count ? &d->forward.at[index] : &d->backward.at[index - d->forward.count];
}

static void cast_outline(const struct cast *cast, uint32_t s, struct outline *outline)
{
    const struct derivation *d = &cast->derivations[s];
    uint64_t along = 0;      /* bit set over sets of axes: those of collectives so far */
    uint64_t rings[2] = {0}; /* the same of streams of operands, and of sums: they have groups of their own */
    static_assert(PLAN_AXES <= 6, "the set of axis sets fits 64 bits");
    for (uint32_t i = 0; i < d->forward.count + d->backward.count; i++) {
        const struct action *action = cast_action(d, i);
        bool ring = action->streamed, sums = action->collective == REDUCE_SCATTER;
        uint64_t *so_far = ring ? &rings[sums ? 1 : 0] : &along;
        bool first = action->kind == ACTION_COLLECTIVE && !(*so_far >> action->axes & 1);
        if (first)
            *so_far |= (uint64_t)1 << action->axes;
        if (first || action->message_count)
            VECTOR_PUSH(&outline->actions, i);
    }
    if (cast->plan->training)
        parameters_axes(d, &outline->axes);
    alike_work(d, alike_axes(d), &outline->work);
}

/* Whether a role sends, or else receives, a part of a tied gradient. */
static bool cast_takes_part(struct role role, const struct tied_flow *flow, bool sends)
{
    return sends ? flow->source == role.stage && flow->from == role.member
                 : flow->target == role.stage && flow->to == role.member;
}

/* The groups in which a role adds up tied gradients: with its number in alike copies, or with whom it has
 * parts in common. */
static void cast_tied_groups(struct cast *cast, struct cast_rank *rank, struct role role)
{
    for (uint32_t t = 0; t < cast->tied.count; t++) {
        const struct tied_sum *sum = &cast->tied.at[t];
        for (uint32_t i = 0; i < sum->copies.count && sum->alike; i++) {
            bool own = sum->copies.at[i].stage == role.stage;
            uint32_t group = own ? cast_tied(cast, sum, role.member) : MODEL_NONE;
            if (group != MODEL_NONE)
                cast_add_group(rank, group);
        }
        for (uint32_t i = 0; i < sum->flows.count; i++)
            if (cast_takes_part(role, &sum->flows.at[i], true) ||
                cast_takes_part(role, &sum->flows.at[i], false))
                cast_add_group(rank, cast_flow(cast, &sum->flows.at[i]));
    }
}

/* What a trainer adds: gradients of tied parameters, the barrier. */
static void cast_training_groups(struct cast *cast, const struct outline *outline, struct cast_rank *rank,
                                 struct role role)
{
    const struct derivation *d = &cast->derivations[role.stage];
    for (uint32_t i = 0; i < outline->axes.count; i++)
        cast_add_group(rank,
                       registry_axes(cast->registry, d->stage, role.stage, outline->axes.at[i], role.member));
    cast_tied_groups(cast, rank, role);
    if (cast->plan->barrier && cast->first_store > 1)
        cast_add_group(rank, cast_barrier(cast));
}

/* To the member after, from the one before. */
static void cast_ring_groups(struct cast *cast, struct cast_rank *rank, struct role role,
                             const struct action *action)
{
    const struct plan_stage *stage = cast->derivations[role.stage].stage;
    uint32_t next = streamed_member(stage, role.member, action->axes, 1);
    uint32_t before =
        streamed_member(stage, role.member, action->axes, layout_places(stage, action->axes) - 1);
    cast_add_group(rank, cast_ring(cast, role.stage, action, role.member, next));
    cast_add_group(rank, cast_ring(cast, role.stage, action, before, role.member));
}

/* The groups of one member, in the order of its actions: the same order for all members that are alike. */
static void cast_groups(struct cast *cast, const struct outline *outline, struct cast_rank *rank,
                        struct role role)
{
    const struct derivation *d = &cast->derivations[role.stage];
    for (uint32_t i = 0; i < outline->actions.count; i++) {
        const struct action *action = cast_action(d, outline->actions.at[i]);
        if (action->kind == ACTION_COLLECTIVE && action->streamed)
            cast_ring_groups(cast, rank, role, action);
        else if (action->kind == ACTION_COLLECTIVE)
            cast_add_group(rank,
                           registry_axes(cast->registry, d->stage, role.stage, action->axes, role.member));
        uint32_t count;
        const uint32_t *messages = cast_messages(cast, role.stage, role.member, action, &count);
        for (uint32_t k = 0; k < count; k++)
            cast_add_group(rank, cast_channel(cast, role.stage, action, &d->messages.at[messages[k]]));
    }
    if (cast->plan->training)
        cast_training_groups(cast, outline, rank, role);
}

/* Between ranks and their stores, and between a host and a drive that serve the same rank. */
static void cast_offload_groups(struct cast *cast)
{
    for (uint32_t r = 0; r < cast->first_store; r++)
        for (uint32_t s = 0; s < 2; s++) {
            uint32_t store = cast->ranks.at[r].stores[s], host = cast->ranks.at[r].stores[0];
            uint32_t ends[] = {r, s && host != MODEL_NONE ? host : r};
            for (uint32_t e = 0; e < 2 && store != MODEL_NONE; e++) {
                uint32_t there = cast_offload(cast, ends[e], store),
                         back = cast_offload(cast, store, ends[e]);
                cast_add_group(&cast->ranks.at[ends[e]], there);
                cast_add_group(&cast->ranks.at[ends[e]], back);
                cast_add_group(&cast->ranks.at[store], there);
                cast_add_group(&cast->ranks.at[store], back);
            }
        }
}

/* The input device sends to every member that wants input. */
static void cast_input_groups(struct cast *cast)
{
    struct cast_rank *rank = &cast->ranks.at[cast->input_rank];
    for (uint32_t s = 0; s < cast->plan->stages.count; s++) {
        const struct derivation *d = &cast->derivations[s];
        for (uint32_t i = 0; i < d->forward.count; i++) {
            const struct action *action = &d->forward.at[i];
            for (uint32_t k = 0;
                 action->kind == ACTION_RECEIVE && action->peer == MODEL_NONE && k < action->message_count;
                 k++)
                cast_add_group(rank,
                               cast_channel(cast, s, action, &d->messages.at[action->first_message + k]));
        }
    }
}

static uint32_t cast_ordinal(const struct cast_rank *rank, uint32_t group)
{
    uint32_t i = 0;
    while (i < rank->groups.count && rank->groups.at[i] != group)
        i++;
    return i;
}

/* What a role adds to tied gradients and gets of them. */
static void cast_sign_tied(const struct cast *cast, const struct cast_rank *rank, struct role role,
                           struct signature *out)
{
    for (uint32_t t = 0; t < cast->tied.count; t++) {
        const struct tied_sum *sum = &cast->tied.at[t];
        for (uint32_t i = 0; i < sum->copies.count && sum->alike; i++)
            if (sum->copies.at[i].stage == role.stage) {
                uint32_t group = cast_tied(cast, sum, role.member);
                VECTOR_PUSH(out, tied_elements(cast->derivations, sum, role.member));
                VECTOR_PUSH(out, group == MODEL_NONE ? -1.0 : cast_ordinal(rank, group));
            }
        for (uint32_t i = 0; i < sum->flows.count; i++)
            for (int sends = 0; sends < 2; sends++)
                if (cast_takes_part(role, &sum->flows.at[i], sends)) {
                    VECTOR_PUSH(out, sends ? 1.0 : 2.0);
                    VECTOR_PUSH(out, sum->flows.at[i].elements);
                    VECTOR_PUSH(out, cast_ordinal(rank, cast_flow(cast, &sum->flows.at[i])));
                }
    }
}

/* Every number by which the programs of two members of one stage could differ. */
static void cast_sign_role(const struct cast *cast, const struct outline *outline,
                           const struct cast_rank *rank, struct role role, struct signature *out)
{
    const struct derivation *d = &cast->derivations[role.stage];
    VECTOR_PUSH(out, role.stage);
    VECTOR_PUSH(out, alike_class(&outline->work, d->stage, role.member));
    cast_sign_tied(cast, rank, role, out);
    for (uint32_t i = 0; i < outline->actions.count; i++) {
        const struct action *action = cast_action(d, outline->actions.at[i]);
        uint32_t count;
        const uint32_t *messages = cast_messages(cast, role.stage, role.member, action, &count);
        for (uint32_t k = 0; k < count; k++) {
            const struct message_part *message = &d->messages.at[messages[k]];
            bool mine = action->kind == ACTION_SEND ||
                        (action->kind == ACTION_EXCHANGE && message->from == role.member);
            VECTOR_PUSH(out, mine ? 1.0 : 2.0);
            VECTOR_PUSH(out, outline->actions.at[i]);
            VECTOR_PUSH(out, message->elements);
            VECTOR_PUSH(out, cast_ordinal(rank, cast_channel(cast, role.stage, action, message)));
        }
    }
}

/* The same for all roles of a rank, and its device. */
static void cast_sign(const struct cast *cast, const struct outline *outlines, const struct cast_rank *rank,
                      struct signature *out)
{
    const struct device *device = &cast->plan->platform->devices.at[rank->device];
    out->count = 0;
    VECTOR_PUSH(out, device->type);
    VECTOR_PUSH(out, device->speed);
    VECTOR_PUSH(out, rank->groups.count);
    VECTOR_PUSH(out, rank->roles.count);
    for (uint32_t i = 0; i < rank->roles.count; i++)
        cast_sign_role(cast, &outlines[rank->roles.at[i].stage], rank, rank->roles.at[i], out);
}

/* Finds, for each rank whose first stage this is, the first such rank that is alike. */
static void cast_alike(struct cast *cast, uint32_t s, const struct outline *outlines)
{
    const struct plan_stage *stage = &cast->plan->stages.at[s];
    struct alike all = {0};
    struct signature mine = {0};
    struct index_list first = {0}; /* per class of `all`: its first rank */
    for (uint32_t m = 0; m < stage->devices.count; m++) {
        struct cast_rank *rank = &cast->ranks.at[stage->ranks[m]];
        if (rank->roles.at[0].stage != s || rank->input || rank->like != MODEL_NONE)
            continue;
        cast_sign(cast, outlines, rank, &mine);
        uint32_t kind = alike_find(&all, &mine);
        if (kind == first.count)
            VECTOR_PUSH(&first, stage->ranks[m]);
        rank->like = first.at[kind];
    }
    alike_fini(&all);
    VECTOR_FREE(&mine);
    VECTOR_FREE(&first);
}

/* Whether two stores serve ranks that are alike, in the same order, and so have one program. */
static bool cast_alike_store(const struct cast *cast, uint32_t one, uint32_t other)
{
    const struct cast_rank *a = &cast->ranks.at[one], *b = &cast->ranks.at[other];
    const struct device *devices = cast->plan->platform->devices.at;
    const struct device *x = &devices[a->device], *y = &devices[b->device];
    if (x->type != y->type || x->speed != y->speed || x->role != y->role ||
        a->served.count != b->served.count || a->groups.count != b->groups.count)
        return false;
    for (uint32_t i = 0; i < a->served.count; i++)
        if (cast->ranks.at[a->served.at[i]].like != cast->ranks.at[b->served.at[i]].like)
            return false;
    return true;
}

/* Finds the parameters that several stages hold, and how their gradients are added. */
static void cast_hold(struct cast *cast, struct arena *arena)
{
    const struct plan *plan = cast->plan;
    struct tied_sum sum;
    cast->holders = ARENA_ARRAY(arena, uint32_t, plan->model->tensors.count);
    for (uint32_t s = 0; s < plan->stages.count; s++)
        for (uint32_t i = 0; i < cast->derivations[s].parameters.count; i++)
            cast->holders[cast->derivations[s].parameters.at[i].tensor]++;
    for (uint32_t t = 0; t < plan->model->tensors.count && plan->training; t++)
        if (cast->holders[t] > 1 && tied_find(cast->derivations, t, &sum))
            VECTOR_PUSH(&cast->tied, sum);
}

void cast_init(struct cast *cast, struct plan *plan, struct derivation *derivations,
               struct registry *registry, struct arena *arena)
{
    *cast =
        (struct cast){.plan = plan, .derivations = derivations, .registry = registry, .barrier = MODEL_NONE};
    cast_hold(cast, arena);
    cast_roles(cast, arena);
    cast->sent_or_received = ARENA_ARRAY(arena, struct index_list, plan->stages.count);
    cast->first = ARENA_ARRAY(arena, struct index_list, plan->stages.count);
    struct outline *outlines = ARENA_ARRAY(arena, struct outline, plan->stages.count);
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        cast_index(cast, s);
        cast_outline(cast, s, &outlines[s]);
    }
    for (uint32_t r = 0; r < cast->ranks.count; r++)
        for (uint32_t i = 0; i < cast->ranks.at[r].roles.count; i++) {
            struct role role = cast->ranks.at[r].roles.at[i];
            cast_groups(cast, &outlines[role.stage], &cast->ranks.at[r], role);
        }
    if (cast->input_rank != MODEL_NONE)
        cast_input_groups(cast);
    cast_offload_groups(cast);
    for (uint32_t s = 0; s < plan->stages.count; s++)
        cast_alike(cast, s, outlines);
    for (uint32_t s = 0; s < plan->stages.count; s++)
        outline_fini(&outlines[s]);
    for (uint32_t r = 0; r < cast->ranks.count; r++)
        if (cast->ranks.at[r].like == MODEL_NONE)
            cast->ranks.at[r].like = r;
    for (uint32_t r = cast->first_store; r < cast->ranks.count; r++)
        for (uint32_t other = cast->first_store; other < r && cast->ranks.at[r].like == r; other++)
            if (cast->ranks.at[other].like == other && cast_alike_store(cast, r, other))
                cast->ranks.at[r].like = other;
}

void cast_fini(struct cast *cast)
{
    for (uint32_t s = 0; s < cast->plan->stages.count; s++) {
        VECTOR_FREE(&cast->sent_or_received[s]);
        VECTOR_FREE(&cast->first[s]);
    }
    for (uint32_t r = 0; r < cast->ranks.count; r++) {
        VECTOR_FREE(&cast->ranks.at[r].roles);
        VECTOR_FREE(&cast->ranks.at[r].groups);
        VECTOR_FREE(&cast->ranks.at[r].served);
    }
    VECTOR_FREE(&cast->ranks);
    for (uint32_t i = 0; i < cast->tied.count; i++)
        tied_fini(&cast->tied.at[i]);
    VECTOR_FREE(&cast->tied);
}
