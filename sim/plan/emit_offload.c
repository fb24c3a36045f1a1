#include "plan/emit_offload.h"

#include "plan/memory.h"
#include "plan/optimizer.h"
#include "plan/shard.h"
#include "plan/state.h"

/* The last unit of a stage whose kernels read a tensor, forward or backward. */
static void emit_offload_units(const struct derivation *d, uint32_t *last)
{
    for (uint32_t o = 0; o < d->operators.count; o++) {
        const struct layer_op *layer_op = state_operator(d, o);
        uint32_t unit = d->operators.at[o].unit;
        for (uint32_t k = 0; k < layer_op->operand_count; k++) {
            uint32_t tensor = layer_op->operands[k].tensor;
            last[tensor] = unit > last[tensor] ? unit : last[tensor];
        }
    }
    for (uint32_t i = 0; i < d->saved.count; i++) {
        uint32_t tensor = d->saved.at[i].tensor;
        last[tensor] = d->saved.at[i].unit > last[tensor] ? d->saved.at[i].unit : last[tensor];
    }
}

/* Whether the forward pass ends in this stage: its backward pass follows at once. */
static bool emit_offload_turns(const struct derivation *d)
{
    for (uint32_t i = 0; i < d->forward.count; i++)
        if (d->forward.at[i].kind == ACTION_SEND)
            return false;
    return true;
}

void emit_offload_init(struct emitter *e, struct part *part)
{
    const struct derivation *d = part->d;
    uint32_t ahead = e->plan->offload.prefetch;
    part->back = ARENA_ARRAY(e->arena, uint32_t, d->stage->unit_count + 1);
    if (e->plan->offload.activations == PLAN_DEVICE)
        return;
    uint32_t *last = ARENA_ARRAY(e->arena, uint32_t, d->plan->model->tensors.count + 1);
    part->home = ARENA_ARRAY(e->arena, uint32_t, d->saved.count + 1);
    emit_offload_units(d, last);
    uint32_t kept = ahead < d->stage->unit_count ? ahead : d->stage->unit_count;
    uint32_t stay = d->stage->first_unit + d->stage->unit_count - (emit_offload_turns(d) ? kept : 0);
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        bool leaves =
            saved->kept && saved->first_kept && part->copies[i].bytes > 0 && last[saved->tensor] < stay;
        part->home[i] = leaves ? last[saved->tensor] : MODEL_NONE;
    }
}

/* Moves what is saved and belongs to a unit; returns the operation, PROGRAM_NONE when there is nothing. */
static uint32_t emit_offload_move(struct emitter *e, struct part *part, uint32_t unit, bool down)
{
    const struct derivation *d = part->d;
    struct builder *b = &e->builder;
    struct index_list after = {0};
    struct offload_note note = {
        .what = OFFLOAD_ACTIVATION, .store = e->plan->offload.activations, .key = unit};
    double bytes = 0;
    builder_close(b);
    uint32_t op = b->ops.count;
    for (uint32_t i = 0; i < d->saved.count && part->home; i++) {
        if (part->home[i] != unit)
            continue;
        double each = part->copies[i].bytes;
        bytes += each;
        builder_change(b, op, MEMORY_ACTIVATIONS, state_tensor(d, d->saved.at[i].tensor)->name,
                       down ? -each : each);
    }
    if (bytes <= 0)
        return PROGRAM_NONE;
    if (b->last_compute != PROGRAM_NONE)
        VECTOR_PUSH(&after, b->last_compute);
    uint32_t label = e->plan->model->units.at[unit].name;
    if (!down)
        note.after = offload_brought(&e->offload, note.store, OFFLOAD_ACTIVATION, unit);
    op = down ? offload_send(&e->offload, &note, bytes, label, &after)
              : offload_receive(&e->offload, &note, bytes, label, &after);
    VECTOR_FREE(&after);
    return op;
}

void emit_offload_leave(struct emitter *e, struct part *part, uint32_t unit)
{
    if (e->plan->offload.activations != PLAN_DEVICE && e->plan->training)
        emit_offload_move(e, part, unit, true);
}

void emit_offload_begin(struct part *part)
{
    for (uint32_t u = 0; part->back && u < part->d->stage->unit_count; u++)
        part->back[u] = PROGRAM_NONE;
}

void emit_offload_enter(struct emitter *e, struct part *part, uint32_t unit, uint32_t first)
{
    uint32_t begin = part->d->stage->first_unit, ahead = e->plan->offload.prefetch;
    if (e->plan->offload.activations == PLAN_DEVICE)
        return;
    uint32_t until = first - begin < ahead ? begin : first - ahead;
    for (uint32_t u = unit + 1; u-- > until;) {
        uint32_t *back = &part->back[u - begin];
        if (*back == PROGRAM_NONE)
            *back = emit_offload_move(e, part, u, false);
        if (u >= first && *back != PROGRAM_NONE)
            VECTOR_PUSH(&e->builder.gate, *back);
    }
}

/* One update that a device makes of what is kept elsewhere, in `syncs` what it waits for. */
struct emit_offload_step {
    struct emitter *e;
    const struct offload_share *share;
    struct index_list before; /* what its fetches wait for: the update before the last one has gone */
    struct index_list here;   /* what has come */
    uint32_t gone;            /* the last operation that takes results away; PROGRAM_NONE */
};

static void emit_offload_fetch(struct emit_offload_step *s, uint8_t what, uint8_t store, double bytes,
                               uint8_t category)
{
    struct builder *b = &s->e->builder;
    struct offload_note note = {.what = what, .store = store, .key = s->share->key};
    if (store == PLAN_DEVICE || bytes <= 0)
        return;
    uint32_t op = offload_receive(&s->e->offload, &note, bytes, s->share->label, &s->before);
    builder_change(b, op, category, s->share->label, bytes);
    VECTOR_PUSH(&s->here, op);
}

/* What was fetched goes back, or (`sent` 0) is dropped, once the update is done. */
static void emit_offload_return(struct emit_offload_step *s, uint8_t what, uint8_t store, double bytes,
                                double held, uint8_t category)
{
    struct builder *b = &s->e->builder;
    struct offload_note note = {.what = what, .store = store, .key = s->share->key};
    struct index_list after = {0};
    if (store == PLAN_DEVICE)
        return;
    VECTOR_PUSH(&after, b->last_compute);
    if (bytes > 0)
        s->gone = offload_send(&s->e->offload, &note, bytes, s->share->label, &after);
    builder_change(b, bytes > 0 ? s->gone : b->last_compute, category, s->share->label, -held);
    VECTOR_FREE(&after);
}

/* An update on the device. Two are on their way at once: while one is made the next is fetched. */
static uint32_t emit_offload_on_device(struct emitter *e, const struct offload_share *share, uint32_t before)
{
    const struct plan *plan = e->plan;
    struct builder *b = &e->builder;
    struct emit_offload_step s = {.e = e, .share = share, .gone = PROGRAM_NONE};
    double gradients = share->elements * memory_gradient_bytes(plan);
    double weights = share->elements * precision_bytes(plan->weight_precision);
    double read = optimizer_master(plan) ? 0 : weights;
    if (before != PROGRAM_NONE)
        VECTOR_PUSH(&s.before, before);
    for (uint32_t i = 0; i < e->syncs.count; i++) {
        VECTOR_PUSH(&s.before, e->syncs.at[i]);
        VECTOR_PUSH(&s.here, e->syncs.at[i]);
    }
    emit_offload_fetch(&s, OFFLOAD_GRADIENT, plan->offload.gradients, gradients, MEMORY_GRADIENTS);
    emit_offload_fetch(&s, OFFLOAD_STATE, plan->offload.optimizer, share->states, MEMORY_OPTIMIZER);
    emit_offload_fetch(&s, OFFLOAD_PARAMETER, plan->offload.parameters, read, MEMORY_GATHERED);
    struct work work =
        work_optimizer(plan, e->cast->ranks.at[b->rank].device, share->elements, share->states);
    builder_kernel(b, names_add(b->names, "optimizer"), &work, &s.here);
    builder_close(b);
    emit_offload_return(&s, OFFLOAD_GRADIENT, plan->offload.gradients, 0, gradients, MEMORY_GRADIENTS);
    emit_offload_return(&s, OFFLOAD_STATE, plan->offload.optimizer, share->states, share->states,
                        MEMORY_OPTIMIZER);
    emit_offload_return(&s, OFFLOAD_WEIGHT, plan->offload.parameters, weights, read, MEMORY_GATHERED);
    VECTOR_FREE(&s.before);
    VECTOR_FREE(&s.here);
    return s.gone == PROGRAM_NONE ? b->last_compute : s.gone;
}

/* Tells the host that all gradients, and their norm, are complete: it may update them all, in the order in
 * which the next step needs them. */
static void emit_offload_ready(struct emitter *e)
{
    struct offload_note note = {
        .what = OFFLOAD_READY, .store = PLAN_HOST, .first_update = e->offload.updates.count};
    for (uint32_t p = 0; p < e->part_count; p++)
        for (uint32_t k = e->parts[p].parameters.left.count; k-- > 0;)
            VECTOR_PUSH(&e->offload.updates, e->parts[p].parameters.left.at[k].share);
    note.update_count = e->offload.updates.count - note.first_update;
    offload_send(&e->offload, &note, 4, names_add(e->builder.names, "gradient norm"), &e->syncs);
}

/* A host makes the updates; what they give comes back where it is kept here. */
static void emit_offload_on_host(struct emitter *e)
{
    const struct plan *plan = e->plan;
    if (plan->barrier)
        emit_offload_ready(e);
    for (uint32_t p = 0; p < e->part_count && plan->offload.parameters == PLAN_DEVICE; p++) {
        struct parameters *parameters = &e->parts[p].parameters;
        for (uint32_t k = parameters->left.count; k-- > 0;) {
            const struct offload_share *share = &parameters->left.at[k].share;
            struct offload_note note = {.what = OFFLOAD_WEIGHT, .store = PLAN_HOST, .key = share->key};
            double bytes = share->elements * precision_bytes(plan->weight_precision);
            uint32_t op = offload_receive(&e->offload, &note, bytes, share->label, &e->syncs);
            parameters_arrive(parameters, share->key, op);
        }
    }
}

/* Gradients of tied parameters, which are complete now. */
static void emit_offload_late(struct emitter *e)
{
    for (uint32_t p = 0; p < e->part_count; p++) {
        struct parameters *parameters = &e->parts[p].parameters;
        for (uint32_t k = 0; k < parameters->left.count; k++) {
            const struct parameters_left *left = &parameters->left.at[k];
            if (left->late)
                parameters_depart(parameters, &left->share, left->share.elements, true, &e->syncs);
        }
    }
}

void emit_offload_update(struct emitter *e)
{
    uint32_t gone[2] = {PROGRAM_NONE, PROGRAM_NONE}, turn = 0;
    emit_offload_late(e);
    if (e->plan->offload.host_step)
        emit_offload_on_host(e);
    for (uint32_t p = 0; p < e->part_count && !e->plan->offload.host_step; p++)
        for (uint32_t k = e->parts[p].parameters.left.count; k-- > 0; turn ^= 1)
            gone[turn] = emit_offload_on_device(e, &e->parts[p].parameters.left.at[k].share, gone[turn]);
    e->syncs.count = 0;
    for (uint32_t p = 0; p < e->part_count; p++)
        parameters_publish(&e->parts[p].parameters,
                           e->plan->offload.host_step ? PROGRAM_NONE : e->builder.last_compute);
}

void emit_offload_hold(struct emitter *e)
{
    for (int place = PLAN_HOST; place <= PLAN_DRIVE && offload_any(e->plan); place++)
        for (uint32_t p = 0; p < e->part_count; p++) {
            const struct derivation *d = e->parts[p].d;
            double *held = e->offload.held[place - PLAN_HOST];
            for (uint32_t i = 0; i < d->parameters.count; i++) {
                struct memory_held more = {0};
                if (emitter_holds_elsewhere(e, p, i))
                    continue;
                memory_hold(d, i, e->parts[p].role.member, place, &more);
                held[MEMORY_PARAMETERS] += more.parameters;
                held[MEMORY_GRADIENTS] += more.gradients;
                held[MEMORY_OPTIMIZER] += more.optimizer;
            }
        }
}
