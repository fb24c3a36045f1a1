#include "plan/emit_part.h"

#include "plan/emit_offload.h"
#include "plan/halves.h"
#include "plan/memory.h"
#include "plan/recompute.h"

static void emit_part_work(struct emitter *e, struct part *part)
{
    const struct derivation *d = part->d;
    uint32_t member = part->role.member;
    for (uint32_t i = 0; i < d->forward.count; i++)
        if (d->forward.at[i].kind == ACTION_KERNEL)
            part->forward_work[i] = work_forward(d, d->forward.at[i].layer_op, member);
    for (uint32_t i = 0; i < d->backward.count; i++) {
        if (d->backward.at[i].kind != ACTION_KERNEL)
            continue;
        part->backward_work[i] = work_backward(d, d->backward.at[i].layer_op, member);
        if (e->halves) {
            part->input_work[i] = work_input_gradient(d, d->backward.at[i].layer_op, member);
            part->weight_work[i] = work_weight_gradient(d, d->backward.at[i].layer_op, member);
        }
    }
}

static void emit_part_units(struct emitter *e, struct part *part)
{
    const struct derivation *d = part->d;
    uint32_t first = d->stage->first_unit;
    part->units = ARENA_ARRAY(e->arena, struct part_unit, d->stage->unit_count);
    part->copies = ARENA_ARRAY(e->arena, struct part_copy, d->saved.count);
    for (uint32_t u = 0; u < d->stage->unit_count; u++)
        part->units[u].first_saved = MODEL_NONE;
    for (uint32_t i = 0; i < d->backward.count; i++)
        if (d->backward.at[i].kind == ACTION_KERNEL)
            part->units[d->backward.at[i].unit - first].backward = true;
    for (uint32_t i = d->saved.count; i-- > 0;) {
        part->units[d->saved.at[i].unit - first].first_saved = i;
        part->copies[i].bytes = memory_copy(d, &d->saved.at[i], part->role.member);
        part->copies[i].read = e->halves && halves_read(d, &d->saved.at[i], part->role.member) > 0;
    }
}

void emit_part_init(struct emitter *e, struct part *part, struct role role)
{
    const struct derivation *d = &e->cast->derivations[role.stage];
    uint32_t f = d->forward.count, b = d->backward.count;
    *part = (struct part){.d = d, .role = role, .wave = e->waves[role.stage]};
    parameters_init(&part->parameters, d, role, &e->builder, &e->syncs, &e->offload, e->arena);
    part->forward_work = ARENA_ARRAY(e->arena, struct work, f);
    part->backward_work = ARENA_ARRAY(e->arena, struct work, b);
    if (e->halves) {
        part->input_work = ARENA_ARRAY(e->arena, struct work, b);
        part->weight_work = ARENA_ARRAY(e->arena, struct work, b);
    }
    part->forward_collectives = ARENA_ARRAY(e->arena, struct part_collective, f);
    part->backward_collectives = ARENA_ARRAY(e->arena, struct part_collective, b);
    part->forward_op = ARENA_ARRAY(e->arena, uint32_t, f);
    part->forward_count = ARENA_ARRAY(e->arena, uint32_t, f);
    part->again = ARENA_ARRAY(e->arena, bool, f);
    part->backward_op = ARENA_ARRAY(e->arena, uint32_t, b);
    part->backward_count = ARENA_ARRAY(e->arena, uint32_t, b);
    emit_part_work(e, part);
    lifetime_forward(d, role.member, NULL, e->arena, &part->forward_lives);
    if (!e->plan->training)
        return;
    recompute_actions(d, e->arena, part->again);
    emit_part_units(e, part);
    emit_offload_init(e, part);
    lifetime_forward(d, role.member, part->again, e->arena, &part->again_lives);
    lifetime_backward(d, role.member, e->arena, &part->backward_lives);
}

/* Position of the last backward pass of a stage in the rank's order. */
static uint32_t emit_part_ends(const struct emitter *e, uint32_t stage)
{
    const struct schedule_list *list = &e->orders->lists[e->orders->device_of[stage]];
    uint32_t i = list->count;
    while (i > 0 && (list->at[i - 1].stage != stage || list->at[i - 1].pass == PASS_F))
        i--;
    return i;
}

/* Whether two parts are the same member of equal meshes on the same devices. */
static bool emit_part_alike(const struct part *one, const struct part *other)
{
    const struct plan_stage *a = one->d->stage, *b = other->d->stage;
    bool alike = one->role.member == other->role.member && a->axis_count == b->axis_count &&
                 a->devices.count == b->devices.count;
    for (uint32_t i = 0; alike && i < a->axis_count; i++)
        alike = a->axes[i].size == b->axes[i].size;
    for (uint32_t i = 0; alike && i < a->devices.count; i++)
        alike = a->devices.at[i] == b->devices.at[i];
    return alike;
}

/* Whether a part holds the same share of a parameter and would reduce its gradient in the same way. */
static bool emit_part_copies(const struct part *one, uint32_t index, const struct part *other)
{
    const struct stage_parameter *mine = &one->d->parameters.at[index];
    for (uint32_t i = 0; i < other->d->parameters.count; i++) {
        const struct stage_parameter *theirs = &other->d->parameters.at[i];
        if (theirs->tensor == mine->tensor)
            return theirs->partial_axes == mine->partial_axes && theirs->shard_axes == mine->shard_axes &&
                   layout_equal(&theirs->layout, &mine->layout, one->d->stage->axis_count);
    }
    return false;
}

void emit_part_tie(struct emitter *e)
{
    if (offload_shares(e->plan)) { /* shares leave with each stage's passes */
        for (uint32_t p = 0; p < e->part_count; p++)
            for (uint32_t i = 0; i < e->parts[p].d->parameters.count; i++)
                e->parts[p].parameters.copied[i] = emitter_holds_elsewhere(e, p, i);
        return;
    }
    for (uint32_t p = 0; e->orders && !e->plan->schedule->asynchronous && p < e->part_count; p++)
        for (uint32_t q = 0; q < e->part_count; q++) {
            struct part *part = &e->parts[p];
            const struct part *other = &e->parts[q];
            bool later = emit_part_ends(e, other->role.stage) > emit_part_ends(e, part->role.stage);
            for (uint32_t i = 0; later && emit_part_alike(part, other) && i < part->d->parameters.count; i++)
                part->parameters.deferred[i] |= emit_part_copies(part, i, other);
        }
}

void emit_part_fini(struct part *part)
{
    parameters_fini(&part->parameters);
    lifetime_fini(&part->forward_lives);
    lifetime_fini(&part->again_lives);
    lifetime_fini(&part->backward_lives);
}
