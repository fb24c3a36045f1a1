#include "plan/emit_pass.h"

#include "plan/emit_action.h"
#include "plan/emit_loop.h"
#include "plan/emit_offload.h"
#include "plan/emit_token.h"
#include "plan/halves.h"
#include "plan/memory.h"
#include "plan/recompute.h"
#include "plan/state.h"

/* Forgets the operations of the pass before. */
static void emit_pass_begin(struct emitter *e, struct part *part, uint8_t pass, uint32_t micro_batch)
{
    e->builder.pass = pass;
    e->builder.micro_batch = micro_batch;
    builder_close(&e->builder);
    for (uint32_t i = 0; i < part->d->forward.count; i++)
        part->forward_count[i] = 0;
    for (uint32_t i = 0; i < part->d->backward.count; i++)
        part->backward_count[i] = 0;
}

static void emit_pass_left(struct emitter *e, struct part *part, uint32_t unit)
{
    parameters_leave(&part->parameters, unit, false, false);
    emit_offload_leave(e, part, unit);
    offload_pause(&e->offload);
}

/* The forward actions of one chunk. Parameters are entered with the first and left with the last. */
static void emit_pass_forward_chunk(struct emitter *e, struct part *part)
{
    bool first = e->chunk == 0, last = e->chunk + 1 == part->wave.chunks;
    uint32_t unit = MODEL_NONE;
    for (uint32_t i = 0; i < part->d->forward.count;) {
        const struct action *action = &part->d->forward.at[i];
        if (emit_token_skips(e, action)) {
            if (action->kind == ACTION_SEND)
                emit_action_behind(e, part, false, i, e->builder.ops.count);
            i++;
            continue;
        }
        if (action->kind == ACTION_KERNEL && action->unit != unit) {
            if (unit != MODEL_NONE && last)
                emit_pass_left(e, part, unit);
            unit = action->unit;
            if (first)
                parameters_enter(&part->parameters, unit, false);
        }
        i = emit_loop_next(e, part, false, i);
    }
    if (unit != MODEL_NONE && last)
        emit_pass_left(e, part, unit);
    if (!last)
        builder_close(&e->builder);
}

void emit_pass_forward(struct emitter *e, struct part *part, uint32_t micro_batch)
{
    emit_pass_begin(e, part, e->token ? PASS_D : PASS_F, micro_batch);
    emit_token_feed(e, part);
    for (e->chunk = 0; e->chunk < part->wave.chunks; e->chunk++)
        emit_pass_forward_chunk(e, part);
    e->chunk = 0;
    builder_close(&e->builder);
}

/* What recomputation makes again for a unit is there from its start on. */
static void emit_pass_remade(struct emitter *e, struct part *part, uint32_t unit)
{
    const struct derivation *d = part->d;
    uint32_t i = part->units[unit - d->stage->first_unit].first_saved;
    for (; i < d->saved.count && d->saved.at[i].unit == unit; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        if (!saved->kept && saved->first_of_chunk)
            builder_take(&e->builder, MEMORY_ACTIVATIONS, state_tensor(d, saved->tensor)->name,
                         part->copies[i].bytes);
    }
}

/* A pass has left a unit: what was kept, or made again, for it goes. I leaves what W reads, W all of it. */
static void emit_pass_forget(struct emitter *e, struct part *part, uint32_t unit, bool again)
{
    const struct derivation *d = part->d;
    uint8_t pass = e->builder.pass;
    uint32_t i = part->units[unit - d->stage->first_unit].first_saved;
    for (; i < d->saved.count && d->saved.at[i].unit == unit; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        bool here = saved->kept ? saved->first_kept : again && saved->first_of_chunk;
        if (here && (pass == PASS_B || part->copies[i].read == (pass == PASS_W)))
            builder_change(&e->builder, PROGRAM_NONE, MEMORY_ACTIVATIONS,
                           state_tensor(d, saved->tensor)->name, -part->copies[i].bytes);
    }
}

/* Runs a chunk of units again, as far as their backward pass needs it: over the whole sequence, as already
 * the first chunk of it that goes backward, the last in time, needs all that come before. */
static void emit_pass_recompute(struct emitter *e, struct part *part, struct recompute_chunk chunk)
{
    uint8_t pass = e->builder.pass;
    struct wavefront wave = part->wave;
    builder_close(&e->builder);
    e->builder.pass = PASS_R;
    part->wave = (struct wavefront){1, 1};
    for (uint32_t u = chunk.first; u < chunk.end; u++)
        emit_pass_remade(e, part, u);
    for (uint32_t i = 0; i < part->d->forward.count;) {
        uint32_t unit = part->d->forward.at[i].unit;
        i = part->again[i] && unit >= chunk.first && unit < chunk.end ? emit_loop_next(e, part, false, i)
                                                                      : i + 1;
    }
    builder_close(&e->builder);
    e->builder.pass = pass;
    part->wave = wave;
}

static bool emit_pass_has_backward(const struct part *part, struct recompute_chunk chunk)
{
    bool has = false;
    for (uint32_t u = chunk.first; u < chunk.end; u++)
        has |= part->units[u - part->d->stage->first_unit].backward;
    return has;
}

/* What comes before the backward actions of a unit, once per pass. */
static void emit_pass_enter(struct emitter *e, struct part *part, uint32_t unit, bool split)
{
    const struct derivation *d = part->d;
    struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, unit);
    bool again =
        recompute_unit(e->plan, d->stage, unit) != RECOMPUTE_NONE && emit_pass_has_backward(part, chunk);
    parameters_enter(&part->parameters, unit, true);
    emit_offload_enter(e, part, unit, again && unit + 1 == chunk.end ? chunk.first : unit);
    if (again && unit + 1 == chunk.end) {
        for (uint32_t k = unit; k-- > chunk.first;)
            parameters_enter(&part->parameters, k, true);
        emit_pass_recompute(e, part, chunk);
    }
    if (!split)
        parameters_expect(&part->parameters, unit);
}

/* What comes after them. */
static void emit_pass_leave(struct emitter *e, struct part *part, uint32_t unit, bool split, bool last)
{
    const struct derivation *d = part->d;
    struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, unit);
    emit_pass_forget(e, part, unit,
                     recompute_unit(e->plan, d->stage, unit) != RECOMPUTE_NONE &&
                         emit_pass_has_backward(part, chunk));
    parameters_leave(&part->parameters, unit, true, last);
    if (!split)
        parameters_reduce(&part->parameters, unit, last);
    offload_pause(&e->offload);
}

/* The backward actions of one chunk. */
static void emit_pass_backward_chunk(struct emitter *e, struct part *part, bool split, bool last)
{
    const struct derivation *d = part->d;
    bool begins = e->chunk == 0, ends = e->chunk + 1 == part->wave.chunks;
    uint32_t first = d->stage->first_unit, i = 0;
    for (; i < d->backward.count && d->backward.at[i].kind == ACTION_RECEIVE; i++) {
        emit_loop_next(e, part, true, i); /* frameworks receive the gradient before they recompute */
        if (e->plan->recompute != RECOMPUTE_NONE)
            emitter_collect(part, true, i, &e->builder.gate);
    }
    for (uint32_t u = first + d->stage->unit_count; u-- > first;) {
        if (i < d->backward.count)
            emit_loop_mark(e, part, true, i);
        if (begins)
            emit_pass_enter(e, part, u, split);
        while (i < d->backward.count && d->backward.at[i].unit == u) {
            uint32_t from = i;
            i = emit_loop_next(e, part, true, i);
            for (; from < i && !split && ends; from++)
                if (d->backward.at[from].kind == ACTION_KERNEL)
                    parameters_ready(&part->parameters, d->backward.at[from].layer_op, last);
        }
        if (ends)
            emit_pass_leave(e, part, u, split, last);
    }
    while (i < d->backward.count)
        i = emit_loop_next(e, part, true, i);
    if (!ends)
        builder_close(&e->builder);
}

void emit_pass_backward(struct emitter *e, struct part *part, uint8_t pass, uint32_t micro_batch, bool last)
{
    bool split = pass == PASS_I;
    emit_pass_begin(e, part, pass, micro_batch);
    emit_offload_begin(part);
    for (e->chunk = 0; e->chunk < part->wave.chunks; e->chunk++)
        emit_pass_backward_chunk(e, part, split, last);
    e->chunk = 0;
    builder_close(&e->builder);
}

/* The weight gradients of one backward action, and what I left for them. */
static void emit_pass_weight(struct emitter *e, struct part *part, uint32_t index)
{
    const struct derivation *d = part->d;
    const struct action *action = &d->backward.at[index];
    const struct index_list none = {0};
    struct builder *b = &e->builder;
    double gradients = lifetime_weights(d, action->layer_op, part->role.member);
    if (part->weight_work[index].flops > 0) {
        builder_take(b, MEMORY_TEMPORARIES, action->part, gradients);
        builder_kernel(b, action->part, &part->weight_work[index], &none);
        builder_change(b, PROGRAM_NONE, MEMORY_TEMPORARIES, action->part, -gradients);
    }
    if (halves_makes_weights(d, state_operator(d, action->layer_op)))
        builder_change(b, PROGRAM_NONE, MEMORY_ACTIVATIONS, state_tensor(d, action->tensor)->name,
                       -memory_output(d, action->layer_op, part->role.member));
}

void emit_pass_weights(struct emitter *e, struct part *part, uint32_t micro_batch, bool last)
{
    const struct derivation *d = part->d;
    uint32_t first = d->stage->first_unit;
    emit_pass_begin(e, part, PASS_W, micro_batch);
    for (uint32_t u = first + d->stage->unit_count; u-- > first;) {
        parameters_expect(&part->parameters, u);
        for (uint32_t k = 0; k < d->backward.count; k++) {
            const struct action *action = &d->backward.at[k];
            if (action->kind != ACTION_KERNEL || action->unit != u)
                continue;
            emit_pass_weight(e, part, k);
            parameters_ready(&part->parameters, action->layer_op, last);
        }
        struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, u);
        emit_pass_forget(e, part, u,
                         recompute_unit(e->plan, d->stage, u) != RECOMPUTE_NONE &&
                             emit_pass_has_backward(part, chunk));
        parameters_leave(&part->parameters, u, true, last);
        parameters_reduce(&part->parameters, u, last);
    }
    builder_close(&e->builder);
}
