#include "plan/emit_update.h"

#include "plan/emit_offload.h"
#include "plan/memory.h"
#include "plan/scheduled.h"
#include "plan/shard.h"
#include "plan/state.h"

/* The member that this rank is of a stage; MODEL_NONE: it is none. */
static uint32_t emit_update_member(const struct emitter *e, uint32_t stage)
{
    for (uint32_t p = 0; p < e->part_count; p++)
        if (e->parts[p].role.stage == stage)
            return e->parts[p].role.member;
    return MODEL_NONE;
}

/* One communication of a tied gradient. What arrives is held until it is added. */
static void emit_update_meet(struct emitter *e, const struct tied_sum *sum, enum op_kind kind, uint32_t group,
                             double elements, const struct index_list *after)
{
    struct builder *b = &e->builder;
    uint32_t label = e->plan->model->tensors.at[sum->tensor].name;
    b->pass = PASS_S;
    uint32_t op =
        builder_communicate(b, kind, ALL_REDUCE, group, MODEL_NONE,
                            elements * precision_bytes(e->plan->communication_precision), label, after);
    double held = kind == OP_RECEIVE ? elements * memory_gradient_bytes(e->plan) : 0;
    builder_change(b, op, MEMORY_COMMUNICATION, label, held);
    builder_change(b, op, MEMORY_COMMUNICATION, label, -held);
    VECTOR_PUSH(&e->syncs, op);
}

/* Adds up a gradient whose copies are alike, once with each group that the rank is in. */
static void emit_update_alike(struct emitter *e, const struct tied_sum *sum, const struct index_list *after)
{
    for (uint32_t i = 0; i < sum->copies.count; i++) {
        uint32_t member = emit_update_member(e, sum->copies.at[i].stage);
        bool again = member == MODEL_NONE;
        for (uint32_t k = 0; k < i; k++)
            again |= emit_update_member(e, sum->copies.at[k].stage) == member;
        uint32_t group = again ? MODEL_NONE : cast_tied(e->cast, sum, member);
        if (group != MODEL_NONE)
            emit_update_meet(e, sum, OP_COLLECTIVE, group, tied_elements(e->cast->derivations, sum, member),
                             after);
    }
}

/* Sends what others keep of a gradient whose copies differ, and gets what this rank keeps of it. */
static void emit_update_flows(struct emitter *e, const struct tied_sum *sum, const struct index_list *after)
{
    for (uint32_t i = 0; i < sum->flows.count; i++) {
        const struct tied_flow *flow = &sum->flows.at[i];
        bool sends = emit_update_member(e, flow->source) == flow->from;
        if (sends || emit_update_member(e, flow->target) == flow->to)
            emit_update_meet(e, sum, sends ? OP_SEND : OP_RECEIVE, cast_flow(e->cast, flow), flow->elements,
                             after);
    }
}

/* Adds up a gradient that other stages have too, after the passes and the stages' own sums. */
static void emit_update_tied(struct emitter *e, const struct tied_sum *sum)
{
    struct index_list after = {0};
    if (e->builder.last_compute != PROGRAM_NONE)
        VECTOR_PUSH(&after, e->builder.last_compute);
    for (uint32_t s = 0; s < e->syncs.count; s++)
        VECTOR_PUSH(&after, e->syncs.at[s]);
    if (sum->alike)
        emit_update_alike(e, sum, &after);
    else
        emit_update_flows(e, sum, &after);
    VECTOR_FREE(&after);
}

/* All ranks meet: the update waits for the norm of all gradients, one number of four bytes. */
static void emit_update_barrier(struct emitter *e)
{
    struct builder *b = &e->builder;
    if (!e->plan->barrier || e->plan->schedule->asynchronous || e->cast->first_store < 2)
        return;
    uint32_t op = builder_communicate(b, OP_COLLECTIVE, ALL_REDUCE, cast_barrier(e->cast), MODEL_NONE, 4,
                                      names_add(b->names, "gradient norm"), &e->syncs);
    e->syncs.count = 0;
    VECTOR_PUSH(&e->syncs, op);
}

void emit_update(struct emitter *e)
{
    struct builder *b = &e->builder;
    double parameters = 0, states = 0;
    for (uint32_t p = 0; p < e->part_count; p++)
        parameters_settle(&e->parts[p].parameters);
    b->micro_batch = 0;
    for (uint32_t p = 0; p < e->part_count; p++) {
        const struct part *part = &e->parts[p];
        for (uint32_t i = 0; i < part->d->parameters.count; i++) {
            if (emitter_holds_elsewhere(e, p, i))
                continue;
            parameters += memory_parameter(part->d, i, part->role.member) /
                          shard_ways(part->d, &part->d->parameters.at[i]);
            states += memory_state(part->d, i, part->role.member);
        }
    }
    for (uint32_t i = 0; i < e->cast->tied.count; i++)
        emit_update_tied(e, &e->cast->tied.at[i]);
    if (b->last_compute != PROGRAM_NONE) /* a stage of inputs only has no work */
        VECTOR_PUSH(&e->syncs, b->last_compute);
    b->pass = PASS_O;
    emit_update_barrier(e);
    if (offload_shares(e->plan)) {
        emit_offload_update(e);
        return;
    }
    struct work work = work_optimizer(e->plan, e->cast->ranks.at[b->rank].device, parameters, states);
    uint32_t update = builder_kernel(b, names_add(b->names, "optimizer"), &work, &e->syncs);
    builder_close(b);
    e->syncs.count = 0;
    for (uint32_t p = 0; p < e->part_count; p++)
        parameters_publish(&e->parts[p].parameters, update);
}

/* Versions of its weights that a rank keeps. */
static double emit_update_versions(const struct emitter *e)
{
    struct schedule_shape shape = scheduled_shape(e->plan);
    if (!e->plan->schedule->versions || !e->part_count)
        return 1;
    return e->plan->schedule->versions(&shape,
                                       schedule_device(e->plan->schedule, &shape, e->parts[0].role.stage));
}

void emit_update_hold(struct emitter *e)
{
    for (uint32_t p = 0; p < e->part_count; p++) {
        const struct derivation *d = e->parts[p].d;
        for (uint32_t i = 0; i < d->parameters.count; i++) {
            if (emitter_holds_elsewhere(e, p, i))
                continue;
            struct memory_held held = {0};
            uint32_t label = state_tensor(d, d->parameters.at[i].tensor)->name;
            memory_hold(d, i, e->parts[p].role.member, PLAN_DEVICE, &held);
            builder_hold(&e->builder, MEMORY_PARAMETERS, label, held.parameters * emit_update_versions(e));
            builder_hold(&e->builder, MEMORY_GRADIENTS, label, held.gradients);
            builder_hold(&e->builder, MEMORY_OPTIMIZER, label, held.optimizer);
        }
    }
}
