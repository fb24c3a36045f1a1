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
            part->forward_work[i] = work_forward(d, d->forward.at[i].operator, member);
    for (uint32_t i = 0; i < d->backward.count; i++) {
        if (d->backward.at[i].kind != ACTION_KERNEL)
            continue;
        part->backward_work[i] = work_backward(d, d->backward.at[i].operator, member);
        if (e->halves) {
            part->input_work[i] = work_input_gradient(d, d->backward.at[i].operator, member);
            part->weight_work[i] = work_weight_gradient(d, d->backward.at[i].operator, member);
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
    for (uint32_t i = 0; i < d->parameters.count && offload_shares(e->plan); i++)
        part->parameters.copied[i] =
            emitter_holds_before(e, (uint32_t)(part - e->parts), d->parameters.at[i].tensor);
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

void emit_part_fini(struct part *part)
{
    parameters_fini(&part->parameters);
    lifetime_fini(&part->forward_lives);
    lifetime_fini(&part->again_lives);
    lifetime_fini(&part->backward_lives);
}
