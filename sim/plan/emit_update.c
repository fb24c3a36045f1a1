#include "plan/emit_update.h"

#include "plan/emit_offload.h"
#include "plan/memory.h"
#include "plan/scheduled.h"
#include "plan/shard.h"
#include "plan/state.h"

#include <stdlib.h>

struct emit_update_parameter {
    uint32_t tensor, part, index;
};

static int emit_update_by_tensor(const void *left, const void *right)
{
    const struct emit_update_parameter *a = left, *b = right;
    return a->tensor < b->tensor ? -1 : a->tensor > b->tensor;
}

/* Adds up the gradient of one parameter with its copies on other ranks. */
static void emit_update_tied(struct emitter *e, const struct emit_update_parameter *parameter)
{
    struct builder *b = &e->builder;
    const struct part *part = &e->parts[parameter->part];
    double elements;
    uint32_t group = cast_tied(e->cast, part->role.stage, parameter->index, part->role.member, &elements);
    if (group == MODEL_NONE)
        return;
    struct index_list after = {0};
    if (b->last_compute != PROGRAM_NONE)
        VECTOR_PUSH(&after, b->last_compute);
    for (uint32_t s = 0; s < e->syncs.count; s++)
        VECTOR_PUSH(&after, e->syncs.at[s]);
    b->pass = PASS_S;
    double bytes = elements * precision_bytes(e->plan->communication_precision);
    uint32_t op = builder_communicate(b, OP_COLLECTIVE, ALL_REDUCE, group, MODEL_NONE, bytes,
                                      state_tensor(part->d, parameter->tensor)->name, &after);
    VECTOR_PUSH(&e->syncs, op);
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
    VECTOR(struct emit_update_parameter) held = {0};
    for (uint32_t p = 0; p < e->part_count; p++)
        parameters_settle(&e->parts[p].parameters);
    b->micro_batch = 0;
    for (uint32_t p = 0; p < e->part_count; p++) {
        const struct part *part = &e->parts[p];
        for (uint32_t i = 0; i < part->d->parameters.count; i++) {
            uint32_t tensor = part->d->parameters.at[i].tensor;
            if (emitter_holds_elsewhere(e, p, i))
                continue;
            parameters += memory_parameter(part->d, i, part->role.member) /
                          shard_ways(part->d, &part->d->parameters.at[i]);
            states += memory_state(part->d, i, part->role.member);
            VECTOR_PUSH(&held, ((struct emit_update_parameter){tensor, p, i}));
        }
    }
    if (held.count)
        qsort(held.at, held.count, sizeof *held.at, emit_update_by_tensor);
    for (uint32_t i = 0; i < held.count; i++)
        emit_update_tied(e, &held.at[i]);
    VECTOR_FREE(&held);
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
