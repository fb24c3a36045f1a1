#include "plan/emit.h"

#include "plan/halves.h"
#include "plan/lifetime.h"
#include "plan/memory.h"
#include "plan/overlap.h"
#include "plan/parameters.h"
#include "plan/recompute.h"
#include "plan/scheduled.h"
#include "plan/shares.h"
#include "plan/state.h"
#include "plan/streamed.h"
#include "plan/wavefront.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a collective says each time that it is emitted. */
struct part_collective {
    bool known;
    uint32_t group, shares; /* as in struct op, the former of the registry */
    double bytes;
};

/* What the backward pass of a unit asks each time. */
struct part_unit {
    bool backward;        /* it has any kernel */
    uint32_t first_saved; /* the first of what is saved for it, which stand together; MODEL_NONE */
};

/* Of something that is saved. */
struct part_copy {
    double bytes;
    bool read; /* by W */
};

/* One role of the rank that is being built: its derivation, the work of its kernels, and where its actions
 * went. */
struct part {
    const struct derivation *d;
    struct role role;
    struct work *forward_work, *backward_work; /* per action */
    struct work *input_work, *weight_work;     /* per action: the backward pass as I and W */
    struct lifetimes forward_lives, again_lives, backward_lives;
    uint32_t *forward_op, *backward_op; /* per action of the current pass: operation, or first receive */
    uint32_t *forward_count,
        *backward_count;   /* how many operations: 1, receives of an exchange, 0 not (yet) there */
    struct wavefront wave; /* how it goes about its sequence */
    struct parameters parameters;
    struct part_collective *forward_collectives, *backward_collectives; /* per action */
    struct part_unit *units;                                            /* of the stage */
    struct part_copy *copies;                                           /* per entry of what is saved */
    bool *again; /* per forward action: the recomputation at hand repeats it */
};

struct emitter {
    struct plan *plan;
    struct cast *cast;
    const struct orders *orders; /* NULL: stages follow each other, forward only */
    struct builder builder;
    struct part *parts; /* one per role */
    uint32_t part_count;
    struct arena *arena;
    bool halves;                   /* the orders have passes I and W */
    const struct wavefront *waves; /* per stage */
    uint32_t chunk;                /* of the sequence, counted in the order of the pass: backward, the last in
                                      time is 0 */
    double share;                  /* of each action: 1, that of a chunk, or that of one time step */
    bool first_step, last_step;
    uint32_t tile;           /* of the kernel before: another tile is another operation */
    struct index_list syncs; /* synchronisation operations of this step: the optimizer waits for them */
    struct share_list shares, drawn; /* of all collectives of unequal shares; of the present one */
};

static const struct action *emit_action(const struct part *part, bool backward, uint32_t index)
{
    return backward ? &part->d->backward.at[index] : &part->d->forward.at[index];
}

static const struct step_loop *emit_loop(const struct part *part, bool backward, uint32_t index)
{
    return backward ? &part->d->backward_loops.at[index] : &part->d->forward_loops.at[index];
}

/* The operations that stand for an action: its own, and (for receives) what the action itself waits for, or
 * what is received with it. */
static void emit_collect(const struct part *part, bool backward, uint32_t index, struct index_list *out)
{
    const struct action *action = emit_action(part, backward, index);
    uint32_t first = backward ? part->backward_op[index] : part->forward_op[index];
    uint32_t count = backward ? part->backward_count[index] : part->forward_count[index];
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(out, first + i);
    if (action->kind == ACTION_EXCHANGE || action->kind == ACTION_RECEIVE || action->streamed)
        for (uint32_t i = 0; i < action->dependency_count; i++)
            emit_collect(part, backward, part->d->dependencies.at[action->first_dependency + i], out);
}

static void emit_after(const struct part *part, bool backward, const struct action *action,
                       struct index_list *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < action->dependency_count; i++)
        emit_collect(part, backward, part->d->dependencies.at[action->first_dependency + i], out);
    if (action->carried && action->loop != MODEL_NONE) /* what was noted last is of the step before */
        emit_collect(part, backward, emit_loop(part, backward, action->loop)->carry, out);
}

static void emit_note(struct part *part, bool backward, uint32_t index, uint32_t op, uint32_t count)
{
    (backward ? part->backward_op : part->forward_op)[index] = op;
    (backward ? part->backward_count : part->forward_count)[index] = count;
}

/* In how many chunks a transfer to or from another stage goes. */
static uint32_t emit_transfer_chunks(const struct emitter *e, const struct part *part,
                                     const struct action *action)
{
    if (action->kind == ACTION_EXCHANGE || action->peer == MODEL_NONE)
        return 1;
    return wavefront_between(&part->wave, &e->waves[action->peer]);
}

/* Whether a transfer that is not in chunks has its turn: received before the first one, sent after the last.
 */
static bool emit_transfers(const struct emitter *e, const struct part *part, const struct action *action)
{
    if (action->kind == ACTION_EXCHANGE || emit_transfer_chunks(e, part, action) == part->wave.chunks)
        return true;
    return e->chunk == (action->kind == ACTION_SEND ? part->wave.chunks - 1 : 0);
}

/* Matches of transfers between stages: the same on both sides whatever their schedules are. */
static uint32_t emit_transfer_match(const struct emitter *e, const struct part *part,
                                    const struct action *action)
{
    const struct builder *b = &e->builder;
    bool importer = (action->kind == ACTION_RECEIVE) != action->backward;
    uint32_t here = part->role.stage;
    uint32_t each = cast_transfers(e->cast, importer ? here : action->peer, importer ? action->peer : here);
    uint32_t match = (b->step * e->plan->micro_batches + b->micro_batch) * each + action->slot;
    uint32_t chunks = emit_transfer_chunks(e, part, action);
    return match * chunks + (chunks > 1 ? e->chunk : 0);
}

static void emit_messages(struct emitter *e, struct part *part, bool backward, uint32_t index,
                          const struct index_list *after)
{
    const struct action *action = emit_action(part, backward, index);
    uint32_t count, first_receive = PROGRAM_NONE, receives = 0;
    const uint32_t *messages = cast_messages(e->cast, part->role.stage, part->role.member, action, &count);
    uint32_t match = action->kind == ACTION_EXCHANGE ? MODEL_NONE : emit_transfer_match(e, part, action);
    bool whole = action->kind != ACTION_EXCHANGE && emit_transfer_chunks(e, part, action) == 1;
    if (!emit_transfers(e, part, action))
        return;
    for (int receive = 0; receive < 2; receive++) /* sends first, so that the receives stand together */
        for (uint32_t k = 0; k < count; k++) {
            const struct message_part *message = &part->d->messages.at[messages[k]];
            bool incoming = action->kind == ACTION_RECEIVE ||
                            (action->kind == ACTION_EXCHANGE && message->to == part->role.member);
            if (incoming != (receive == 1))
                continue;
            uint32_t group = cast_channel(e->cast, part->role.stage, action, message);
            uint32_t op =
                builder_communicate(&e->builder, incoming ? OP_RECEIVE : OP_SEND, 0, group, match,
                                    message->elements * action->element_bytes * (whole ? 1 : e->share),
                                    action->part, incoming ? NULL : after);
            if (incoming && !receives++)
                first_receive = op;
        }
    emit_note(part, backward, index, first_receive, receives);
}

/* Where the shares of a collective begin in the job's, plus 1; 0: they are equal. Equal lists stand there
 * once. */
static uint32_t emit_shares(struct emitter *e, const struct part *part, const struct action *action)
{
    const struct share_list *own = &e->drawn;
    shares_of(part->d, action, part->role.member, &e->drawn);
    if (!own->count)
        return 0;
    for (uint32_t i = 0; i + own->count <= e->shares.count; i++)
        if (memcmp(&e->shares.at[i], own->at, own->count * sizeof *own->at) == 0)
            return i + 1;
    uint32_t first = e->shares.count;
    for (uint32_t i = 0; i < own->count; i++)
        VECTOR_PUSH(&e->shares, own->at[i]);
    return first + 1;
}

/* How far a pass is, of 2^32: the same for all members of a stage. */
static void emit_mark(struct emitter *e, const struct part *part, bool backward, uint32_t index)
{
    uint64_t count = backward ? part->d->backward.count : part->d->forward.count;
    e->builder.mark = (uint32_t)(((e->chunk * count + index) << 32) / (count * part->wave.chunks));
}

/* A collective among members none of which has anything of the tensor: along another axis it is on the first
 * member only. */
static bool emit_absent(const struct part *part, const struct action *action)
{
    struct coordinates at = layout_coordinates(part->d->stage, part->role.member);
    for (uint32_t a = 0; action->kind == ACTION_COLLECTIVE && a < part->d->stage->axis_count; a++)
        if (!(action->axes >> a & 1) && action->before.place[a] == PLACE_ONE && at.at[a])
            return true;
    return false;
}

static const struct lifetimes *emit_lives(const struct emitter *e, const struct part *part, bool backward)
{
    return backward                    ? &part->backward_lives
           : e->builder.pass == PASS_R ? &part->again_lives
                                       : &part->forward_lives;
}

/* I leaves for W the gradient of what a product with weights gave: from here on it is not temporary. */
static bool emit_leaves(const struct emitter *e, const struct part *part, const struct action *action)
{
    return e->builder.pass == PASS_I && action->kind == ACTION_KERNEL &&
           halves_makes_weights(part->d, state_operator(part->d, action->operator));
}

/* What a kernel takes. */
static void emit_before(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    const struct action *action = emit_action(part, backward, index);
    struct builder *b = &e->builder;
    if (backward && emit_leaves(e, part, action) && e->first_step) {
        lifetime_end(&part->backward_lives, index, b, PROGRAM_NONE);
        builder_take(b, MEMORY_ACTIVATIONS, state_tensor(part->d, action->tensor)->name,
                     memory_output(part->d, action->operator, part->role.member));
    }
    if (e->first_step)
        lifetime_begin(emit_lives(e, part, backward), index, b, PROGRAM_NONE);
    if (backward && b->pass == PASS_B)
        builder_take(b, MEMORY_TEMPORARIES, action->part,
                     e->share * lifetime_weights(part->d, action->operator, part->role.member));
}

/* What operations from `first` on take, when they are communications, and give back. */
static void emit_behind(struct emitter *e, struct part *part, bool backward, uint32_t index, uint32_t first)
{
    const struct action *action = emit_action(part, backward, index);
    struct builder *b = &e->builder;
    uint32_t op = b->ops.count > first ? b->ops.count - 1 : PROGRAM_NONE;
    if (action->kind == ACTION_KERNEL)
        op = (backward ? part->backward_op : part->forward_op)[index];
    else if (e->first_step)
        lifetime_begin(emit_lives(e, part, backward), index, b, op == PROGRAM_NONE ? op : first);
    if (backward && action->kind == ACTION_KERNEL && b->pass == PASS_B)
        builder_change(b, op, MEMORY_TEMPORARIES, action->part,
                       -e->share * lifetime_weights(part->d, action->operator, part->role.member));
    if (e->last_step && !(backward && emit_leaves(e, part, action)))
        lifetime_end(emit_lives(e, part, backward), index, b, op);
}

static struct part_collective emit_collective(struct emitter *e, struct part *part, bool backward,
                                              uint32_t index)
{
    const struct action *action = emit_action(part, backward, index);
    struct part_collective *says =
        &(backward ? part->backward_collectives : part->forward_collectives)[index];
    if (!says->known) {
        says->group = registry_axes(e->cast->registry, part->d->stage, part->role.stage, action->axes,
                                    part->role.member);
        says->bytes = derive_payload(part->d, action, layout_coordinates(part->d->stage, part->role.member));
        says->shares = emit_shares(e, part, action);
        says->known = true;
    }
    return *says;
}

static void emit_one(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    uint32_t first = e->builder.ops.count;
    const struct action *action = emit_action(part, backward, index);
    struct index_list after = {0};
    emit_after(part, backward, action, &after);
    if (action->kind == ACTION_KERNEL) {
        uint32_t tile = part->d->operators.at[action->operator].tile;
        if (tile != e->tile)
            builder_close(&e->builder);
        e->tile = tile;
        struct work work = !backward                   ? part->forward_work[index]
                           : e->builder.pass == PASS_I ? part->input_work[index]
                                                       : part->backward_work[index];
        const struct step_loop *loop =
            action->loop == MODEL_NONE ? NULL : emit_loop(part, backward, action->loop);
        if (!loop || loop->ring)
            work = work_part(part->d, action->operator, part->role.member, &work, backward, e->share);
        else
            work_scale(&work, e->share);
        emit_before(e, part, backward, index);
        emit_note(part, backward, index, builder_kernel(&e->builder, action->part, &work, &after), 1);
    } else if (emit_absent(part, action)) {
        emit_note(part, backward, index, PROGRAM_NONE, 0);
    } else if (action->kind == ACTION_COLLECTIVE) {
        struct part_collective says = emit_collective(e, part, backward, index);
        uint32_t op = builder_communicate(&e->builder, OP_COLLECTIVE, action->collective, says.group,
                                          MODEL_NONE, e->share * says.bytes, action->part, &after);
        e->builder.ops.at[op].shares = says.shares;
        emit_note(part, backward, index, op, 1);
    } else {
        emit_messages(e, part, backward, index, &after);
    }
    emit_behind(e, part, backward, index, first);
    VECTOR_FREE(&after);
}

/* Passes the block of a step on, and receives the next step's. Returns the operation that receives it. */
static uint32_t emit_pass(struct emitter *e, const struct part *part, const struct action *action,
                          uint32_t step, const struct index_list *after)
{
    uint32_t stage = part->role.stage, member = part->role.member;
    uint32_t next = streamed_member(part->d->stage, member, action->axis, 1);
    uint32_t before =
        streamed_member(part->d->stage, member, action->axis, part->d->stage->axes[action->axis].size - 1);
    builder_communicate(&e->builder, OP_SEND, 0, cast_ring(e->cast, stage, action, member, next), MODEL_NONE,
                        streamed_elements(part->d, action, member, step) * action->element_bytes,
                        action->part, after);
    return builder_communicate(
        &e->builder, OP_RECEIVE, 0, cast_ring(e->cast, stage, action, before, member), MODEL_NONE,
        streamed_elements(part->d, action, before, step) * action->element_bytes, action->part, NULL);
}

/* Passes what one kind of streamed actions of a loop has in a step: operands wait for the block before to
 * have arrived, gradients also for the kernel that adds to them. `arrived`: per action of the loop. */
static void emit_passes(struct emitter *e, struct part *part, bool backward, uint32_t l, int collective,
                        uint32_t step, uint32_t *arrived)
{
    const struct step_loop *loop = emit_loop(part, backward, l);
    struct index_list after = {0};
    for (uint32_t i = loop->first; i < loop->end; i++) {
        const struct action *action = emit_action(part, backward, i);
        if (action->loop != l || !action->streamed || action->collective != collective ||
            emit_absent(part, action))
            continue;
        after.count = 0;
        if (step == 0 || collective == REDUCE_SCATTER)
            emit_after(part, backward, action, &after);
        if ((backward ? part->backward_count : part->forward_count)[i])
            VECTOR_PUSH(&after, (backward ? part->backward_op : part->forward_op)[i]);
        arrived[i - loop->first] = emit_pass(e, part, action, step, &after);
    }
    VECTOR_FREE(&after);
}

static void emit_arrived(struct part *part, bool backward, uint32_t l, int collective,
                         const uint32_t *arrived)
{
    const struct step_loop *loop = emit_loop(part, backward, l);
    for (uint32_t i = loop->first; i < loop->end; i++) {
        const struct action *action = emit_action(part, backward, i);
        if (action->loop == l && action->streamed && action->collective == collective &&
            !emit_absent(part, action))
            emit_note(part, backward, i, arrived[i - loop->first], 1);
    }
}

/* The kernels of a loop on the block of a step; those of which a mask leaves nothing do not run. */
static void emit_block(struct emitter *e, struct part *part, bool backward, uint32_t l, uint32_t step)
{
    const struct step_loop *loop = emit_loop(part, backward, l);
    for (uint32_t i = loop->first; i < loop->end; i++) {
        const struct action *action = emit_action(part, backward, i);
        if (action->loop != l || action->kind != ACTION_KERNEL)
            continue;
        e->share = streamed_share(part->d, action->operator, loop->axis, part->role.member, step);
        if (e->share > 0 || step == 0)
            emit_one(e, part, backward, i);
        else
            emit_behind(e, part, backward, i, e->builder.ops.count);
    }
}

/* Emits a ring (streamed.h): in each step the blocks of the next are on their way. */
static void emit_ring(struct emitter *e, struct part *part, bool backward, uint32_t l)
{
    const struct step_loop *loop = emit_loop(part, backward, l);
    uint32_t *arrived = ARENA_ARRAY(e->arena, uint32_t, loop->end - loop->first);
    double buffer = streamed_buffer(part->d, backward, l, part->role.member);
    uint32_t label = emit_action(part, backward, loop->first)->part;
    builder_take(&e->builder, MEMORY_COMMUNICATION, label, buffer);
    for (uint32_t step = 0; step < loop->steps; step++) {
        bool passes = step + 1 < loop->steps;
        e->first_step = step == 0;
        e->last_step = !passes;
        if (passes)
            emit_passes(e, part, backward, l, ALL_GATHER, step, arrived);
        emit_block(e, part, backward, l, step);
        if (passes)
            emit_arrived(part, backward, l, ALL_GATHER, arrived);
        if (step > 0) {
            emit_passes(e, part, backward, l, REDUCE_SCATTER, step, arrived);
            emit_arrived(part, backward, l, REDUCE_SCATTER, arrived);
        }
    }
    builder_change(&e->builder, PROGRAM_NONE, MEMORY_COMMUNICATION, label, -buffer);
}

/* The time steps of the chunk at hand, counted in the order of the pass. */
static struct interval emit_steps(const struct emitter *e, const struct part *part, bool backward)
{
    const struct wavefront *wave = &part->wave;
    if (!backward)
        return wavefront_chunk(wave, e->chunk);
    struct interval time = wavefront_chunk(wave, wave->chunks - 1 - e->chunk);
    return (struct interval){wave->steps - time.high, wave->steps - time.low};
}

/* Emits an action, or all of a loop over time steps when the action is its first; returns the one after.
 * Inside a loop's range, what does not happen in every step (inputs converted for all steps at once) comes
 * before it, in recomputation only if it is repeated. */
static uint32_t emit_next(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    const struct step_loop *loops = backward ? part->d->backward_loops.at : part->d->forward_loops.at;
    uint32_t count = backward ? part->d->backward_loops.count : part->d->forward_loops.count, l = 0;
    while (l < count && loops[l].first != index)
        l++;
    struct interval steps = emit_steps(e, part, backward);
    e->share = (double)(steps.high - steps.low) / part->wave.steps;
    e->first_step = e->chunk == 0;
    e->last_step = e->chunk + 1 == part->wave.chunks;
    if (e->builder.pass != PASS_R) /* recomputation belongs to where the backward pass is */
        emit_mark(e, part, backward, index);
    if (l == count) {
        emit_one(e, part, backward, index);
        return index + 1;
    }
    for (uint32_t i = index; i < loops[l].end; i++)
        if (emit_action(part, backward, i)->loop != l && (e->builder.pass != PASS_R || part->again[i]))
            emit_one(e, part, backward, i);
    if (loops[l].ring) {
        emit_ring(e, part, backward, l);
        return loops[l].end;
    }
    e->share = 1.0 / loops[l].steps;
    if (part->wave.chunks == 1)
        steps = (struct interval){0, loops[l].steps};
    for (uint64_t step = steps.low; step < steps.high; step++) {
        e->first_step = step == 0;
        e->last_step = step + 1 == loops[l].steps;
        for (uint32_t i = index; i < loops[l].end; i++) {
            const struct action *action = emit_action(part, backward, i);
            bool idle = action->transient && (backward ? e->first_step : e->last_step);
            if (action->loop == l && !idle)
                emit_one(e, part, backward, i);
            else if (action->loop == l)
                emit_behind(e, part, backward, i, e->builder.ops.count);
        }
    }
    return loops[l].end;
}

/* Forgets the operations of the pass before. */
static void emit_begin(struct emitter *e, struct part *part, uint8_t pass, uint32_t micro_batch)
{
    e->builder.pass = pass;
    e->builder.micro_batch = micro_batch;
    builder_close(&e->builder);
    for (uint32_t i = 0; i < part->d->forward.count; i++)
        part->forward_count[i] = 0;
    for (uint32_t i = 0; i < part->d->backward.count; i++)
        part->backward_count[i] = 0;
}

/* The forward actions of one chunk. Parameters are entered with the first and left with the last. */
static void emit_forward_chunk(struct emitter *e, struct part *part)
{
    bool first = e->chunk == 0, last = e->chunk + 1 == part->wave.chunks;
    uint32_t unit = MODEL_NONE;
    for (uint32_t i = 0; i < part->d->forward.count;) {
        const struct action *action = &part->d->forward.at[i];
        if (action->kind == ACTION_KERNEL && action->unit != unit) {
            if (unit != MODEL_NONE && last)
                parameters_leave(&part->parameters, unit, false, false);
            unit = action->unit;
            if (first)
                parameters_enter(&part->parameters, unit, false);
        }
        i = emit_next(e, part, false, i);
    }
    if (unit != MODEL_NONE && last)
        parameters_leave(&part->parameters, unit, false, false);
    if (!last)
        builder_close(&e->builder);
}

static void emit_forward(struct emitter *e, struct part *part, uint32_t micro_batch)
{
    emit_begin(e, part, PASS_F, micro_batch);
    for (e->chunk = 0; e->chunk < part->wave.chunks; e->chunk++)
        emit_forward_chunk(e, part);
    e->chunk = 0;
    builder_close(&e->builder);
}

/* What recomputation makes again for a unit is there from its start on. */
static void emit_remade(struct emitter *e, struct part *part, uint32_t unit)
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
static void emit_forget(struct emitter *e, struct part *part, uint32_t unit, bool again)
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

/* Runs a chunk of units again, as far as their backward pass needs it: over the whole sequence, as already the
 * first chunk of it that goes backward, the last in time, needs all that come before. */
static void emit_recompute(struct emitter *e, struct part *part, struct recompute_chunk chunk)
{
    uint8_t pass = e->builder.pass;
    struct wavefront wave = part->wave;
    builder_close(&e->builder);
    e->builder.pass = PASS_R;
    part->wave = (struct wavefront){1, 1};
    for (uint32_t u = chunk.first; u < chunk.end; u++)
        emit_remade(e, part, u);
    for (uint32_t i = 0; i < part->d->forward.count;) {
        uint32_t unit = part->d->forward.at[i].unit;
        i = part->again[i] && unit >= chunk.first && unit < chunk.end ? emit_next(e, part, false, i) : i + 1;
    }
    builder_close(&e->builder);
    e->builder.pass = pass;
    part->wave = wave;
}

static bool emit_has_backward(const struct part *part, struct recompute_chunk chunk)
{
    bool has = false;
    for (uint32_t u = chunk.first; u < chunk.end; u++)
        has |= part->units[u - part->d->stage->first_unit].backward;
    return has;
}

/* What comes before the backward actions of a unit, once per pass. */
static void emit_enter(struct emitter *e, struct part *part, uint32_t unit, bool split)
{
    const struct derivation *d = part->d;
    struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, unit);
    bool again = recompute_unit(e->plan, d->stage, unit) != RECOMPUTE_NONE && emit_has_backward(part, chunk);
    parameters_enter(&part->parameters, unit, true);
    if (again && unit + 1 == chunk.end) {
        for (uint32_t k = unit; k-- > chunk.first;)
            parameters_enter(&part->parameters, k, true);
        emit_recompute(e, part, chunk);
    }
    if (!split)
        parameters_expect(&part->parameters, unit);
}

/* What comes after them. */
static void emit_leave(struct emitter *e, struct part *part, uint32_t unit, bool split, bool last)
{
    const struct derivation *d = part->d;
    struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, unit);
    emit_forget(e, part, unit,
                recompute_unit(e->plan, d->stage, unit) != RECOMPUTE_NONE && emit_has_backward(part, chunk));
    parameters_leave(&part->parameters, unit, true, last);
    if (!split)
        parameters_reduce(&part->parameters, unit, last);
}

/* The backward actions of one chunk. */
static void emit_backward_chunk(struct emitter *e, struct part *part, bool split, bool last)
{
    const struct derivation *d = part->d;
    bool begins = e->chunk == 0, ends = e->chunk + 1 == part->wave.chunks;
    uint32_t first = d->stage->first_unit, i = 0;
    for (; i < d->backward.count && d->backward.at[i].kind == ACTION_RECEIVE; i++) {
        emit_next(e, part, true, i); /* frameworks receive the gradient before they recompute */
        if (e->plan->recompute != RECOMPUTE_NONE)
            emit_collect(part, true, i, &e->builder.gate);
    }
    for (uint32_t u = first + d->stage->unit_count; u-- > first;) {
        if (i < d->backward.count)
            emit_mark(e, part, true, i);
        if (begins)
            emit_enter(e, part, u, split);
        while (i < d->backward.count && d->backward.at[i].unit == u) {
            uint32_t from = i;
            i = emit_next(e, part, true, i);
            for (; from < i && !split && ends; from++)
                if (d->backward.at[from].kind == ACTION_KERNEL)
                    parameters_ready(&part->parameters, d->backward.at[from].operator, last);
        }
        if (ends)
            emit_leave(e, part, u, split, last);
    }
    while (i < d->backward.count)
        i = emit_next(e, part, true, i);
    if (!ends)
        builder_close(&e->builder);
}

/* Pass B, or I, which leaves for W what that needs. */
static void emit_backward(struct emitter *e, struct part *part, uint8_t pass, uint32_t micro_batch, bool last)
{
    bool split = pass == PASS_I;
    emit_begin(e, part, pass, micro_batch);
    for (e->chunk = 0; e->chunk < part->wave.chunks; e->chunk++)
        emit_backward_chunk(e, part, split, last);
    e->chunk = 0;
    builder_close(&e->builder);
}

/* The weight gradients of one backward action, and what I left for them. */
static void emit_weight(struct emitter *e, struct part *part, uint32_t index)
{
    const struct derivation *d = part->d;
    const struct action *action = &d->backward.at[index];
    const struct index_list none = {0};
    struct builder *b = &e->builder;
    double gradients = lifetime_weights(d, action->operator, part->role.member);
    if (part->weight_work[index].flops > 0) {
        builder_take(b, MEMORY_TEMPORARIES, action->part, gradients);
        builder_kernel(b, action->part, &part->weight_work[index], &none);
        builder_change(b, PROGRAM_NONE, MEMORY_TEMPORARIES, action->part, -gradients);
    }
    if (halves_makes_weights(d, state_operator(d, action->operator)))
        builder_change(b, PROGRAM_NONE, MEMORY_ACTIVATIONS, state_tensor(d, action->tensor)->name,
                       -memory_output(d, action->operator, part->role.member));
}

/* Pass W: the einsums that make weight gradients, unit by unit as I met them. They wait for nothing but I. */
static void emit_weights(struct emitter *e, struct part *part, uint32_t micro_batch, bool last)
{
    const struct derivation *d = part->d;
    uint32_t first = d->stage->first_unit;
    emit_begin(e, part, PASS_W, micro_batch);
    for (uint32_t u = first + d->stage->unit_count; u-- > first;) {
        parameters_expect(&part->parameters, u);
        for (uint32_t k = 0; k < d->backward.count; k++) {
            const struct action *action = &d->backward.at[k];
            if (action->kind != ACTION_KERNEL || action->unit != u)
                continue;
            emit_weight(e, part, k);
            parameters_ready(&part->parameters, action->operator, last);
        }
        struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, u);
        emit_forget(e, part, u,
                    recompute_unit(e->plan, d->stage, u) != RECOMPUTE_NONE && emit_has_backward(part, chunk));
        parameters_leave(&part->parameters, u, true, last);
        parameters_reduce(&part->parameters, u, last);
    }
    builder_close(&e->builder);
}

/* Whether an earlier stage of this rank holds the same tensor: then it is one copy. */
static bool emit_held(const struct emitter *e, uint32_t part, uint32_t tensor)
{
    for (uint32_t p = 0; p < part; p++)
        for (uint32_t i = 0; i < e->parts[p].d->parameters.count; i++)
            if (e->parts[p].d->parameters.at[i].tensor == tensor)
                return true;
    return false;
}

struct emit_parameter {
    uint32_t tensor, part, index;
};

static int emit_by_tensor(const void *left, const void *right)
{
    const struct emit_parameter *a = left, *b = right;
    return a->tensor < b->tensor ? -1 : a->tensor > b->tensor;
}

/* Adds up the gradient of one parameter with its copies on other ranks. */
static void emit_tied(struct emitter *e, const struct emit_parameter *parameter)
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

/* Gradients of tied parameters, the barrier, and the update of the weights. All ranks take the parameters in
 * one order, so that none waits for another that waits for it. */
static void emit_optimizer(struct emitter *e)
{
    struct builder *b = &e->builder;
    double parameters = 0, states = 0;
    VECTOR(struct emit_parameter) held = {0};
    b->micro_batch = 0;
    for (uint32_t p = 0; p < e->part_count; p++) {
        const struct part *part = &e->parts[p];
        for (uint32_t i = 0; i < part->d->parameters.count; i++) {
            uint32_t tensor = part->d->parameters.at[i].tensor;
            if (emit_held(e, p, tensor))
                continue;
            parameters += memory_parameter(part->d, i, part->role.member) /
                          shard_ways(part->d, &part->d->parameters.at[i]);
            states += memory_state(part->d, i, part->role.member);
            VECTOR_PUSH(&held, ((struct emit_parameter){tensor, p, i}));
        }
    }
    if (held.count)
        qsort(held.at, held.count, sizeof *held.at, emit_by_tensor);
    for (uint32_t i = 0; i < held.count; i++)
        emit_tied(e, &held.at[i]);
    VECTOR_FREE(&held);
    if (b->last_compute != PROGRAM_NONE) /* a stage of inputs only has no work */
        VECTOR_PUSH(&e->syncs, b->last_compute);
    b->pass = PASS_O;
    if (e->plan->barrier && !e->plan->schedule->asynchronous && e->cast->ranks.count > 1) {
        uint32_t op = builder_communicate(b, OP_COLLECTIVE, ALL_REDUCE, cast_barrier(e->cast), MODEL_NONE, 4,
                                          names_add(b->names, "gradient norm"), &e->syncs);
        e->syncs.count = 0;
        VECTOR_PUSH(&e->syncs, op);
    }
    struct work work = work_optimizer(e->plan, e->cast->ranks.at[b->rank].device, parameters, states);
    uint32_t update = builder_kernel(b, names_add(b->names, "optimizer"), &work, &e->syncs);
    builder_close(b);
    e->syncs.count = 0;
    for (uint32_t p = 0; p < e->part_count; p++)
        parameters_publish(&e->parts[p].parameters, update);
}

/* The input device's sends of one step, in the order of the micro-batches. */
static void emit_input(struct emitter *e)
{
    e->builder.pass = PASS_N;
    for (uint32_t m = 0; m < e->plan->micro_batches; m++)
        for (uint32_t s = 0; s < e->plan->stages.count; s++) {
            const struct derivation *d = &e->cast->derivations[s];
            if (e->orders && !orders_passes(e->orders, s, m))
                continue;
            uint32_t each = cast_transfers(e->cast, s, MODEL_NONE);
            for (uint32_t i = 0; i < d->forward.count; i++) {
                const struct action *action = &d->forward.at[i];
                if (action->kind != ACTION_RECEIVE || action->peer != MODEL_NONE)
                    continue;
                e->builder.micro_batch = m;
                for (uint32_t k = 0; k < action->message_count; k++) {
                    const struct message_part *message = &d->messages.at[action->first_message + k];
                    builder_communicate(&e->builder, OP_SEND, 0, cast_channel(e->cast, s, action, message),
                                        (e->builder.step * e->plan->micro_batches + m) * each + action->slot,
                                        message->elements * action->element_bytes, action->part, NULL);
                }
            }
        }
}

static void emit_work(struct emitter *e, struct part *part)
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

static void emit_units(struct emitter *e, struct part *part)
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

static void emit_part(struct emitter *e, struct part *part, struct role role)
{
    const struct derivation *d = &e->cast->derivations[role.stage];
    uint32_t f = d->forward.count, b = d->backward.count;
    *part = (struct part){.d = d, .role = role, .wave = e->waves[role.stage]};
    parameters_init(&part->parameters, d, role, &e->builder, &e->syncs, e->arena);
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
    emit_work(e, part);
    lifetime_forward(d, role.member, NULL, e->arena, &part->forward_lives);
    if (!e->plan->training)
        return;
    recompute_actions(d, e->arena, part->again);
    emit_units(e, part);
    lifetime_forward(d, role.member, part->again, e->arena, &part->again_lives);
    lifetime_backward(d, role.member, e->arena, &part->backward_lives);
}

static struct part *emit_part_of(struct emitter *e, uint32_t stage)
{
    uint32_t p = 0;
    while (p + 1 < e->part_count && e->parts[p].role.stage != stage)
        p++;
    assert(e->parts[p].role.stage == stage && "an order for a stage of another device");
    return &e->parts[p];
}

/* `last`: the gradients of its stage are complete after it. */
static void emit_item(struct emitter *e, const struct schedule_item *item, bool last)
{
    struct part *part = emit_part_of(e, item->stage);
    uint32_t each = e->plan->micro_batches, micro_batch = item->micro_batch % each;
    if (e->plan->schedule->asynchronous)
        e->builder.step = item->micro_batch / each;
    if (item->pass == PASS_F)
        emit_forward(e, part, micro_batch);
    else if (item->pass == PASS_W)
        emit_weights(e, part, micro_batch, last);
    else
        emit_backward(e, part, item->pass, micro_batch, last);
}

/* Whether no later item of the list adds to the gradients of this one's stage before the next update. */
static bool emit_completes(const struct emitter *e, const struct schedule_list *list, uint32_t i,
                           const uint32_t *last)
{
    const struct schedule_item *item = &list->at[i];
    if (item->pass != PASS_B && item->pass != PASS_W)
        return false;
    if (!e->plan->schedule->asynchronous)
        return last[item->stage] == i;
    struct schedule_shape shape = scheduled_shape(e->plan);
    return (item->micro_batch + 1) % e->plan->schedule->update(&shape) == 0;
}

/* Merges an overlapped pair; what is noted of its operations follows them. */
static void emit_merge(struct emitter *e, uint32_t first, uint32_t second)
{
    struct overlap_notes *notes = ARENA_ARRAY(e->arena, struct overlap_notes, e->part_count + 1);
    for (uint32_t p = 0; p < e->part_count; p++)
        notes[p] = (struct overlap_notes){e->parts[p].parameters.gathered, e->parts[p].d->parameters.count};
    notes[e->part_count] = (struct overlap_notes){e->syncs.at, e->syncs.count};
    overlap_merge(&e->builder, first, second, notes, e->part_count + 1);
}

/* One step in the order of the schedule; of an asynchronous one all steps, with their updates. */
static void emit_scheduled(struct emitter *e)
{
    const struct schedule_list *list = &e->orders->lists[e->orders->device_of[e->parts[0].role.stage]];
    uint32_t *last = ARENA_ARRAY(e->arena, uint32_t, e->orders->stages);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i].pass == PASS_B || list->at[i].pass == PASS_W)
            last[list->at[i].stage] = i;
    for (uint32_t i = 0; i < list->count; i++) {
        bool completes = emit_completes(e, list, i, last);
        uint32_t first = e->builder.ops.count;
        emit_item(e, &list->at[i], completes);
        if (list->at[i].overlapped) {
            uint32_t second = e->builder.ops.count;
            i++;
            emit_item(e, &list->at[i], emit_completes(e, list, i, last));
            emit_merge(e, first, second);
        } else if (completes && e->plan->schedule->asynchronous) {
            emit_optimizer(e);
        }
    }
}

static void emit_step(struct emitter *e)
{
    if (e->orders && e->part_count) {
        emit_scheduled(e);
        return;
    }
    for (uint32_t m = 0; m < e->plan->micro_batches; m++)
        for (uint32_t i = 0; i < e->part_count; i++)
            emit_forward(e, &e->parts[i], m);
}

/* Versions of its weights that a rank keeps. */
static double emit_versions(const struct emitter *e)
{
    struct schedule_shape shape = scheduled_shape(e->plan);
    if (!e->plan->schedule->versions || !e->part_count)
        return 1;
    return e->plan->schedule->versions(&shape,
                                       schedule_device(e->plan->schedule, &shape, e->parts[0].role.stage));
}

/* Parameters, gradients and the optimizer's states, of which stages of one rank share one copy. */
static void emit_held_throughout(struct emitter *e)
{
    for (uint32_t p = 0; p < e->part_count; p++) {
        const struct derivation *d = e->parts[p].d;
        for (uint32_t i = 0; i < d->parameters.count; i++) {
            if (emit_held(e, p, d->parameters.at[i].tensor))
                continue;
            struct memory_held held = {0};
            uint32_t label = state_tensor(d, d->parameters.at[i].tensor)->name;
            memory_hold(d, i, e->parts[p].role.member, &held);
            builder_hold(&e->builder, MEMORY_PARAMETERS, label, held.parameters * emit_versions(e));
            builder_hold(&e->builder, MEMORY_GRADIENTS, label, held.gradients);
            builder_hold(&e->builder, MEMORY_OPTIMIZER, label, held.optimizer);
        }
    }
}

static void emit_program(struct emitter *e, uint32_t rank, struct names *names, struct arena *arena,
                         struct program *program)
{
    const struct cast_rank *cast_rank = &e->cast->ranks.at[rank];
    bool asynchronous = e->plan->schedule->asynchronous;
    builder_init(&e->builder, e->cast, rank, names);
    e->part_count = cast_rank->roles.count;
    e->parts = ARENA_ARRAY(e->arena, struct part, e->part_count);
    for (uint32_t i = 0; i < e->part_count; i++)
        emit_part(e, &e->parts[i], cast_rank->roles.at[i]);
    for (uint32_t step = 0; step < e->plan->steps; step++) {
        e->builder.step = step;
        if (cast_rank->input)
            emit_input(e);
        if (!asynchronous || step == 0)
            emit_step(e);
        if (e->plan->training && e->part_count && !asynchronous)
            emit_optimizer(e);
    }
    emit_held_throughout(e);
    for (uint32_t i = 0; i < e->part_count; i++) {
        parameters_fini(&e->parts[i].parameters);
        lifetime_fini(&e->parts[i].forward_lives);
        lifetime_fini(&e->parts[i].again_lives);
        lifetime_fini(&e->parts[i].backward_lives);
    }
    builder_finish(&e->builder, arena, program);
    builder_fini(&e->builder);
}

/* Whether some order has a backward pass in halves. */
static bool emit_halves(const struct orders *orders)
{
    for (uint32_t d = 0; d < orders->devices; d++)
        for (uint32_t i = 0; i < orders->lists[d].count; i++)
            if (orders->lists[d].at[i].pass == PASS_I || orders->lists[d].at[i].pass == PASS_W)
                return true;
    return false;
}

/* In inference a device may work on any stages, one after the other; otherwise there are orders. */
static bool emit_ordered(const struct plan *plan, const struct cast *cast)
{
    for (uint32_t r = 0; r < cast->ranks.count && !plan->training; r++)
        if (cast->ranks.at[r].roles.count > 1)
            return plan->orders != NULL;
    return true;
}

static void emit_tables(const struct cast *cast, const struct registry *registry, struct job *job,
                        const uint32_t *program_of)
{
    job->rank_count = cast->ranks.count;
    job->ranks = ARENA_ARRAY(&job->arena, struct rank, job->rank_count);
    for (uint32_t r = 0; r < job->rank_count; r++)
        job->group_table_count += cast->ranks.at[r].groups.count;
    job->group_table = ARENA_ARRAY(&job->arena, uint32_t, job->group_table_count);
    uint32_t next = 0;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct cast_rank *rank = &cast->ranks.at[r];
        job->ranks[r] = (struct rank){.device = rank->device,
                                      .program = program_of[rank->like],
                                      .first_group = next,
                                      .stage = rank->roles.count ? rank->roles.at[0].stage : PROGRAM_NONE};
        for (uint32_t g = 0; g < rank->groups.count; g++)
            job->group_table[next++] = rank->groups.at[g];
    }
    job->group_count = registry->groups.count;
    job->groups = arena_copy(&job->arena, registry->groups.at, job->group_count * sizeof(struct group));
    job->member_count = registry->members.count;
    job->members = arena_copy(&job->arena, registry->members.at, job->member_count * sizeof(uint32_t));
}

bool emit_job(struct plan *plan, struct derivation *derivations, struct job *job, struct report *report)
{
    struct registry registry;
    struct cast cast;
    registry_init(&registry, job->names);
    registry.blocking = plan->blocking;
    cast_init(&cast, plan, derivations, &registry, &job->arena);
    struct orders orders = {0};
    bool ordered = emit_ordered(plan, &cast);
    bool good = !ordered || scheduled_orders(plan, derivations, &orders, report);
    if (good) {
        uint32_t *program_of = ARENA_ARRAY(&job->arena, uint32_t, cast.ranks.count);
        for (uint32_t r = 0; r < cast.ranks.count; r++)
            if (cast.ranks.at[r].like == r)
                program_of[r] = job->program_count++;
        job->programs = ARENA_ARRAY(&job->arena, struct program, job->program_count);
        struct wavefront *waves = ARENA_ARRAY(&job->arena, struct wavefront, plan->stages.count);
        uint32_t whole;
        for (uint32_t s = 0; s < plan->stages.count; s++)
            waves[s] = wavefront_stage(&derivations[s], &whole);
        struct emitter emitter = {.plan = plan,
                                  .cast = &cast,
                                  .orders = ordered ? &orders : NULL,
                                  .halves = ordered && emit_halves(&orders),
                                  .waves = waves};
        for (uint32_t r = 0; r < cast.ranks.count; r++) {
            if (cast.ranks.at[r].like != r)
                continue;
            struct arena scratch;
            arena_init(&scratch);
            emitter.arena = &scratch;
            emit_program(&emitter, r, job->names, &job->arena, &job->programs[program_of[r]]);
            arena_fini(&scratch);
        }
        VECTOR_FREE(&emitter.syncs);
        job->share_count = emitter.shares.count;
        job->shares = arena_copy(&job->arena, emitter.shares.at, job->share_count * sizeof *job->shares);
        VECTOR_FREE(&emitter.shares);
        VECTOR_FREE(&emitter.drawn);
        for (uint32_t r = 0; r < cast.ranks.count;
             r++) { /* alike ranks use their own groups in the same way */
            const struct cast_rank *rank = &cast.ranks.at[r], *like = &cast.ranks.at[rank->like];
            for (uint32_t g = 0; rank->like != r && g < rank->groups.count; g++)
                if (registry.groups.at[like->groups.at[g]].match_count)
                    registry_use(&registry, rank->groups.at[g],
                                 registry.groups.at[like->groups.at[g]].match_count - 1);
        }
        emit_tables(&cast, &registry, job, program_of);
        job->steps = plan->steps;
        job->lead = plan->lead;
    }
    orders_fini(&orders);
    cast_fini(&cast);
    registry_fini(&registry);
    return good;
}
