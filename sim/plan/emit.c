#include "plan/emit.h"

#include "plan/builder.h"
#include "plan/memory.h"
#include "plan/recompute.h"
#include "plan/schedule.h"
#include "plan/shares.h"
#include "plan/state.h"

#include <assert.h>

/* One role of the rank that is being built: its derivation, the work of its kernels, and where its actions
 * went. */
struct part {
    const struct derivation *d;
    struct role role;
    struct work *forward_work, *backward_work; /* per action */
    double *allocates, *frees;          /* inference, per forward action: bytes that live between kernels */
    uint32_t *forward_op, *backward_op; /* per action of the current pass: operation, or first receive */
    uint32_t *forward_count,
        *backward_count; /* how many operations: 1, receives of an exchange, 0 not (yet) there */
    uint32_t *forward_shares, *backward_shares; /* per action: struct op's `shares` */
    double saved;                               /* bytes that F leaves for B */
    bool *again;                                /* per forward action: the recomputation at hand repeats it */
};

struct emitter {
    struct plan *plan;
    struct cast *cast;
    struct builder builder;
    struct part *parts; /* one per role */
    uint32_t part_count;
    struct arena *arena;
    struct shares shares;    /* of the whole job */
    uint32_t tile;           /* of the kernel before: another tile is another operation */
    struct index_list syncs; /* synchronisation operations of this step: the optimizer waits for them */
};

static const struct action *emit_action(const struct part *part, bool backward, uint32_t index)
{
    return backward ? &part->d->backward.at[index] : &part->d->forward.at[index];
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
    if (action->kind == ACTION_EXCHANGE || action->kind == ACTION_RECEIVE)
        for (uint32_t i = 0; i < action->dependency_count; i++)
            emit_collect(part, backward, part->d->dependencies.at[action->first_dependency + i], out);
}

static void emit_after(const struct part *part, bool backward, const struct action *action,
                       struct index_list *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < action->dependency_count; i++)
        emit_collect(part, backward, part->d->dependencies.at[action->first_dependency + i], out);
}

static void emit_note(struct part *part, bool backward, uint32_t index, uint32_t op, uint32_t count)
{
    (backward ? part->backward_op : part->forward_op)[index] = op;
    (backward ? part->backward_count : part->forward_count)[index] = count;
}

/* Matches of transfers between stages: the same on both sides whatever their schedules are. */
static uint32_t emit_transfer_match(const struct emitter *e, const struct part *part,
                                    const struct action *action)
{
    const struct builder *b = &e->builder;
    bool importer = (action->kind == ACTION_RECEIVE) != action->backward;
    uint32_t here = part->role.stage;
    uint32_t each = cast_transfers(e->cast, importer ? here : action->peer, importer ? action->peer : here);
    return (b->step * e->plan->micro_batches + b->micro_batch) * each + action->slot;
}

static void emit_messages(struct emitter *e, struct part *part, bool backward, uint32_t index,
                          const struct index_list *after)
{
    const struct action *action = emit_action(part, backward, index);
    uint32_t count, first_receive = PROGRAM_NONE, receives = 0;
    const uint32_t *messages = cast_messages(e->cast, part->role.stage, part->role.member, action, &count);
    uint32_t match = action->kind == ACTION_EXCHANGE ? MODEL_NONE : emit_transfer_match(e, part, action);
    for (int receive = 0; receive < 2; receive++) /* sends first, so that the receives stand together */
        for (uint32_t k = 0; k < count; k++) {
            const struct message_part *message = &part->d->messages.at[messages[k]];
            bool incoming = action->kind == ACTION_RECEIVE ||
                            (action->kind == ACTION_EXCHANGE && message->to == part->role.member);
            if (incoming != (receive == 1))
                continue;
            uint32_t group = cast_channel(e->cast, part->role.stage, action, message);
            uint32_t op = builder_communicate(&e->builder, incoming ? OP_RECEIVE : OP_SEND, 0, group, match,
                                              message->elements * action->element_bytes, action->part,
                                              incoming ? NULL : after);
            if (incoming && !receives++)
                first_receive = op;
        }
    emit_note(part, backward, index, first_receive, receives);
}

static void emit_one(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    const struct action *action = emit_action(part, backward, index);
    struct index_list after = {0};
    emit_after(part, backward, action, &after);
    if (action->kind == ACTION_KERNEL) {
        if (!e->plan->training) {
            e->builder.allocates += part->allocates[index];
            e->builder.frees += part->frees[index];
        }
        uint32_t tile = part->d->operators.at[action->operator].tile;
        if (tile != e->tile)
            builder_close(&e->builder);
        e->tile = tile;
        const struct work *work = backward ? &part->backward_work[index] : &part->forward_work[index];
        emit_note(part, backward, index, builder_kernel(&e->builder, action->part, work, &after), 1);
    } else if (action->kind == ACTION_COLLECTIVE) {
        uint32_t group = registry_axes(e->cast->registry, part->d->stage, part->role.stage, action->axes,
                                       part->role.member);
        double bytes = derive_payload(part->d, action, layout_coordinates(part->d->stage, part->role.member));
        uint32_t op = builder_communicate(&e->builder, OP_COLLECTIVE, action->collective, group, MODEL_NONE,
                                          bytes, action->part, &after);
        e->builder.ops.at[op].shares = (backward ? part->backward_shares : part->forward_shares)[index];
        emit_note(part, backward, index, op, 1);
    } else {
        emit_messages(e, part, backward, index, &after);
    }
    VECTOR_FREE(&after);
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

static void emit_forward(struct emitter *e, struct part *part, uint32_t micro_batch)
{
    emit_begin(e, part, PASS_F, micro_batch);
    e->builder.allocates += part->saved;
    for (uint32_t i = 0; i < part->d->forward.count; i++)
        emit_one(e, part, false, i);
    builder_close(&e->builder);
}

/* Runs a chunk of units again, as far as their backward pass needs it. */
static void emit_recompute(struct emitter *e, struct part *part, struct recompute_chunk chunk)
{
    builder_close(&e->builder);
    e->builder.pass = PASS_R;
    for (uint32_t u = chunk.first; u < chunk.end; u++)
        e->builder.allocates += memory_remade(part->d, u, part->role.member);
    for (uint32_t i = 0; i < part->d->forward.count; i++)
        if (part->again[i] && part->d->forward.at[i].unit >= chunk.first &&
            part->d->forward.at[i].unit < chunk.end)
            emit_one(e, part, false, i);
    builder_close(&e->builder);
    e->builder.pass = PASS_B;
}

/* Starts the gradient synchronisation of one unit's parameters, one all-reduce per set of axes. */
static void emit_synchronise(struct emitter *e, struct part *part, uint32_t unit)
{
    const struct derivation *d = part->d;
    uint64_t done = 0; /* bit set over sets of axes */
    static_assert(PLAN_AXES <= 6, "the set of axis sets fits 64 bits");
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        uint32_t mask = d->parameters.at[i].partial_axes;
        if (d->parameters.at[i].unit != unit || !mask || done >> mask & 1)
            continue;
        done |= (uint64_t)1 << mask;
        double elements = 0;
        for (uint32_t j = i; j < d->parameters.count; j++)
            if (d->parameters.at[j].unit == unit && d->parameters.at[j].partial_axes == mask)
                elements += memory_parameter(d, j, part->role.member);
        struct index_list after = {0};
        if (e->builder.last_compute != PROGRAM_NONE)
            VECTOR_PUSH(&after, e->builder.last_compute);
        uint8_t pass = e->builder.pass;
        builder_close(&e->builder);
        e->builder.pass = PASS_S;
        uint32_t group =
            registry_axes(e->cast->registry, d->stage, part->role.stage, mask, part->role.member);
        uint32_t op = builder_communicate(&e->builder, OP_COLLECTIVE, ALL_REDUCE, group, MODEL_NONE,
                                          elements * precision_bytes(e->plan->communication_precision),
                                          e->plan->model->units.at[unit].name, &after);
        VECTOR_PUSH(&e->syncs, op);
        e->builder.pass = pass;
        VECTOR_FREE(&after);
    }
}

static bool emit_has_backward(const struct derivation *d, struct recompute_chunk chunk)
{
    for (uint32_t i = 0; i < d->backward.count; i++) {
        const struct action *action = &d->backward.at[i];
        if (action->kind == ACTION_KERNEL && action->unit >= chunk.first && action->unit < chunk.end)
            return true;
    }
    return false;
}

static void emit_backward(struct emitter *e, struct part *part, uint32_t micro_batch, bool last)
{
    const struct derivation *d = part->d;
    bool recompute = e->plan->recompute != RECOMPUTE_NONE;
    emit_begin(e, part, PASS_B, micro_batch);
    uint32_t first = d->stage->first_unit, i = 0;
    for (; i < d->backward.count && d->backward.at[i].kind == ACTION_RECEIVE; i++) {
        emit_one(e, part, true, i); /* frameworks receive the gradient before they recompute */
        if (recompute)
            emit_collect(part, true, i, &e->builder.gate);
    }
    for (uint32_t u = first + d->stage->unit_count; u-- > first;) {
        struct recompute_chunk chunk = recompute_chunk(e->plan, d->stage, u);
        bool again = recompute_unit(e->plan, d->stage, u) != RECOMPUTE_NONE;
        if (again && u + 1 == chunk.end && emit_has_backward(d, chunk))
            emit_recompute(e, part, chunk);
        for (; i < d->backward.count && d->backward.at[i].unit == u; i++)
            emit_one(e, part, true, i);
        if (again && emit_has_backward(d, chunk))
            e->builder.ops.at[e->builder.last_compute].frees += memory_remade(d, u, part->role.member);
        if (last)
            emit_synchronise(e, part, u);
    }
    for (; i < d->backward.count; i++)
        emit_one(e, part, true, i);
    if (e->builder.last_compute != PROGRAM_NONE)
        e->builder.ops.at[e->builder.last_compute].frees += part->saved;
    builder_close(&e->builder);
}

/* Gradients of tied parameters, the barrier, and the update of the weights. */
static void emit_optimizer(struct emitter *e)
{
    struct builder *b = &e->builder;
    double parameters = 0, states = 0;
    b->micro_batch = 0;
    for (uint32_t p = 0; p < e->part_count; p++) {
        const struct part *part = &e->parts[p];
        parameters += memory_parameters(part->d, part->role.member);
        states += memory_states(part->d, part->role.member);
        for (uint32_t i = 0; i < part->d->parameters.count; i++) {
            double elements;
            uint32_t group = cast_tied(e->cast, part->role.stage, i, part->role.member, &elements);
            if (group == MODEL_NONE)
                continue;
            struct index_list after = {0};
            if (b->last_compute != PROGRAM_NONE)
                VECTOR_PUSH(&after, b->last_compute);
            for (uint32_t s = 0; s < e->syncs.count; s++)
                VECTOR_PUSH(&after, e->syncs.at[s]);
            b->pass = PASS_S;
            double bytes = elements * precision_bytes(e->plan->communication_precision);
            uint32_t op =
                builder_communicate(b, OP_COLLECTIVE, ALL_REDUCE, group, MODEL_NONE, bytes,
                                    state_tensor(part->d, part->d->parameters.at[i].tensor)->name, &after);
            VECTOR_PUSH(&e->syncs, op);
            VECTOR_FREE(&after);
        }
    }
    if (b->last_compute != PROGRAM_NONE) /* a stage of inputs only has no work */
        VECTOR_PUSH(&e->syncs, b->last_compute);
    b->pass = PASS_O;
    if (e->plan->barrier && e->cast->ranks.count > 1) {
        uint32_t op = builder_communicate(b, OP_COLLECTIVE, ALL_REDUCE, cast_barrier(e->cast), MODEL_NONE, 4,
                                          names_add(b->names, "gradient norm"), &e->syncs);
        e->syncs.count = 0;
        VECTOR_PUSH(&e->syncs, op);
    }
    struct work work = work_optimizer(e->plan, e->cast->ranks.at[b->rank].device, parameters, states);
    builder_kernel(b, names_add(b->names, "optimizer"), &work, &e->syncs);
    builder_close(b);
    e->syncs.count = 0;
}

/* The input device's sends of one step, in the order of the micro-batches. */
static void emit_input(struct emitter *e)
{
    e->builder.pass = PASS_N;
    for (uint32_t m = 0; m < e->plan->micro_batches; m++)
        for (uint32_t s = 0; s < e->plan->stages.count; s++) {
            const struct derivation *d = &e->cast->derivations[s];
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

/* The tile of a kernel, or 0. */
static uint32_t emit_tile(const struct derivation *d, uint32_t index)
{
    const struct action *action = &d->forward.at[index];
    return action->kind == ACTION_KERNEL ? d->operators.at[action->operator].tile : 0;
}

/* The last kernel that reads a tensor (of a tile, if `tile`); otherwise `none`. */
static uint32_t emit_last_reader(const struct derivation *d, const uint32_t *last, uint32_t tensor,
                                 uint32_t tile, uint32_t none)
{
    uint32_t reader = tile ? 0 : last[tensor];
    for (uint32_t i = 0; tile && i < d->forward.count; i++)
        if (emit_tile(d, i) == tile) {
            const struct operator* operator= state_operator(d, d->forward.at[i].operator);
            for (uint32_t k = 0; k < operator->operand_count; k++)
                if (d->same_as[operator->operands[k].tensor] == tensor)
                    reader = i;
        }
    return reader > none ? reader : none;
}

/* The first (or last) kernel of a tile; of no tile, of the whole pass. */
static uint32_t emit_edge(const struct derivation *d, uint32_t tile, bool end)
{
    uint32_t edge = MODEL_NONE;
    for (uint32_t i = 0; i < d->forward.count; i++)
        if (d->forward.at[i].kind == ACTION_KERNEL && (!tile || emit_tile(d, i) == tile) &&
            (end || edge == MODEL_NONE))
            edge = i;
    return edge;
}

/* Inference: a kernel's output is alive until its last reader in the stage has run (to the end of the pass,
 * or of its tile, if it leaves the stage). */
static void emit_lifetimes(struct emitter *e, struct part *part)
{
    const struct derivation *d = part->d;
    uint32_t tensors = d->plan->model->tensors.count;
    uint32_t *last = ARENA_ARRAY(e->arena, uint32_t, tensors);
    for (uint32_t i = 0; i < d->forward.count; i++) {
        const struct action *action = &d->forward.at[i];
        if (action->kind != ACTION_KERNEL)
            continue;
        const struct operator* operator= state_operator(d, action->operator);
        for (uint32_t k = 0; k < operator->operand_count; k++)
            last[d->same_as[operator->operands[k].tensor]] = i;
    }
    for (uint32_t i = 0; i < d->forward.count; i++) {
        const struct action *action = &d->forward.at[i];
        if (action->kind != ACTION_KERNEL)
            continue;
        double bytes = memory_output(d, action->operator, part->role.member);
        uint32_t tensor = state_operator(d, action->operator)->output.tensor;
        uint32_t reader = emit_last_reader(d, last, tensor, emit_tile(d, i), i);
        part->allocates[i] += bytes;
        part->frees[reader > i ? reader : emit_edge(d, emit_tile(d, i), true)] += bytes;
    }
    for (uint32_t i = 0; i < d->imports.count; i++) { /* what is received is held while its readers run */
        const struct stage_import *import = &d->imports.at[i];
        if (i && d->imports.at[i - 1].form == import->form)
            continue; /* a further piece of the same */
        struct box box = derive_box(d, import->tensor, import->form, part->role.member);
        const struct tensor *tensor = state_tensor(d, import->tensor);
        double bytes = layout_volume(tensor, &box) * derive_element_bytes(d->plan, tensor);
        uint32_t first = emit_edge(d, import->tile, false);
        if (first == MODEL_NONE)
            continue;
        part->allocates[first] += bytes;
        part->frees[emit_last_reader(d, last, import->tensor, import->tile, first)] += bytes;
    }
}

static void emit_part(struct emitter *e, struct part *part, struct role role)
{
    const struct derivation *d = &e->cast->derivations[role.stage];
    uint32_t f = d->forward.count, b = d->backward.count;
    *part = (struct part){.d = d, .role = role};
    part->forward_work = ARENA_ARRAY(e->arena, struct work, f);
    part->backward_work = ARENA_ARRAY(e->arena, struct work, b);
    part->allocates = ARENA_ARRAY(e->arena, double, f);
    part->frees = ARENA_ARRAY(e->arena, double, f);
    part->forward_op = ARENA_ARRAY(e->arena, uint32_t, f);
    part->forward_count = ARENA_ARRAY(e->arena, uint32_t, f);
    part->again = ARENA_ARRAY(e->arena, bool, f);
    part->backward_op = ARENA_ARRAY(e->arena, uint32_t, b);
    part->backward_count = ARENA_ARRAY(e->arena, uint32_t, b);
    part->forward_shares = ARENA_ARRAY(e->arena, uint32_t, f);
    part->backward_shares = ARENA_ARRAY(e->arena, uint32_t, b);
    for (uint32_t i = 0; i < f; i++)
        part->forward_shares[i] = shares_of(&e->shares, d, &d->forward.at[i], role.member);
    for (uint32_t i = 0; i < b; i++)
        part->backward_shares[i] = shares_of(&e->shares, d, &d->backward.at[i], role.member);
    for (uint32_t i = 0; i < f; i++)
        if (d->forward.at[i].kind == ACTION_KERNEL)
            part->forward_work[i] = work_forward(d, d->forward.at[i].operator, role.member);
    for (uint32_t i = 0; i < b; i++)
        if (d->backward.at[i].kind == ACTION_KERNEL)
            part->backward_work[i] = work_backward(d, d->backward.at[i].operator, role.member);
    if (e->plan->training)
        recompute_actions(d, e->arena, part->again);
    if (e->plan->training)
        part->saved = memory_saved(d, MODEL_NONE, true, role.member);
    else
        emit_lifetimes(e, part);
}

/* One step of a rank that works on one stage: the order of the schedule. */
static void emit_scheduled(struct emitter *e, struct part *part)
{
    struct schedule_list order = {0};
    uint32_t last = 0;
    e->plan->schedule->order(part->role.stage, e->plan->stages.count, e->plan->micro_batches, &order);
    for (uint32_t i = 0; i < order.count; i++)
        if (order.at[i].pass == PASS_B)
            last = i;
    for (uint32_t i = 0; i < order.count; i++) {
        if (order.at[i].pass == PASS_F)
            emit_forward(e, part, order.at[i].micro_batch);
        else
            emit_backward(e, part, order.at[i].micro_batch, i == last);
    }
    VECTOR_FREE(&order);
}

static void emit_program(struct emitter *e, uint32_t rank, struct names *names, struct arena *arena,
                         struct program *program)
{
    const struct cast_rank *cast_rank = &e->cast->ranks.at[rank];
    builder_init(&e->builder, e->cast, rank, names);
    e->part_count = cast_rank->roles.count;
    e->parts = ARENA_ARRAY(e->arena, struct part, e->part_count);
    for (uint32_t i = 0; i < e->part_count; i++)
        emit_part(e, &e->parts[i], cast_rank->roles.at[i]);
    for (uint32_t step = 0; step < e->plan->steps; step++) {
        e->builder.step = step;
        if (cast_rank->input)
            emit_input(e);
        if (e->part_count == 1)
            emit_scheduled(e, &e->parts[0]);
        for (uint32_t m = 0; e->part_count > 1 && m < e->plan->micro_batches; m++)
            for (uint32_t i = 0; i < e->part_count; i++)
                emit_forward(e, &e->parts[i], m);
        if (e->plan->training && e->part_count)
            emit_optimizer(e);
    }
    builder_finish(&e->builder, arena, program);
    builder_fini(&e->builder);
}

static bool emit_possible(const struct plan *plan, const struct cast *cast, struct report *report)
{
    bool good = true;
    for (uint32_t r = 0; r < cast->ranks.count && plan->training; r++)
        if (cast->ranks.at[r].roles.count > 1)
            good = report_error(
                report, plan->stages.at[cast->ranks.at[r].roles.at[1].stage].place,
                "device %s is used by an earlier stage too; in training every device works on one stage",
                names_text(plan->platform->names, plan->platform->devices.at[cast->ranks.at[r].device].name));
    return good;
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
    cast_init(&cast, plan, derivations, &registry, &job->arena);
    bool good = emit_possible(plan, &cast, report);
    if (good) {
        uint32_t *program_of = ARENA_ARRAY(&job->arena, uint32_t, cast.ranks.count);
        for (uint32_t r = 0; r < cast.ranks.count; r++)
            if (cast.ranks.at[r].like == r)
                program_of[r] = job->program_count++;
        job->programs = ARENA_ARRAY(&job->arena, struct program, job->program_count);
        struct emitter emitter = {.plan = plan, .cast = &cast};
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
        for (uint32_t r = 0; r < cast.ranks.count;
             r++) { /* alike ranks use their own groups in the same way */
            const struct cast_rank *rank = &cast.ranks.at[r], *like = &cast.ranks.at[rank->like];
            for (uint32_t g = 0; rank->like != r && g < rank->groups.count; g++)
                if (registry.groups.at[like->groups.at[g]].match_count)
                    registry_use(&registry, rank->groups.at[g],
                                 registry.groups.at[like->groups.at[g]].match_count - 1);
        }
        emit_tables(&cast, &registry, job, program_of);
        job->share_count = emitter.shares.parts.count;
        job->shares = arena_copy(&job->arena, emitter.shares.parts.at, job->share_count * sizeof(double));
        shares_fini(&emitter.shares);
        job->steps = plan->steps;
        job->lead = plan->lead;
    }
    cast_fini(&cast);
    registry_fini(&registry);
    return good;
}
