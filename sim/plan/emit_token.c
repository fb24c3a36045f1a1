#include "plan/emit_token.h"

#include "model/decode.h"
#include "plan/cache.h"
#include "plan/emit_action.h"
#include "plan/emit_pass.h"
#include "plan/emit_recur.h"
#include "plan/generate.h"
#include "plan/offload.h"
#include "plan/state.h"

static bool emit_token_is_prompt(const struct emitter *e, uint32_t stage)
{
    return stage < generate_prompt_stages(e->plan);
}

bool emit_token_skips(const struct emitter *e, const struct action *action)
{
    return action->feeds && (action->kind == ACTION_RECEIVE || e->token + 1 >= e->plan->tokens);
}

void emit_token_feed(struct emitter *e, struct part *part)
{
    for (uint32_t i = 0; e->token && i < part->d->forward.count; i++) {
        const struct action *action = &part->d->forward.at[i];
        if (!action->feeds || action->kind != ACTION_RECEIVE ||
            emit_token_is_prompt(e, action->peer) != (e->token == 1))
            continue;
        emit_action(e, part, false, i);
        emitter_collect(part, false, i, &e->builder.gate);
    }
}

struct emit_token_round emit_token_round(const struct emitter *e, const struct part *part,
                                         const struct action *action)
{
    bool here = emit_token_is_prompt(e, part->role.stage);
    bool there = action->peer == MODEL_NONE || emit_token_is_prompt(e, action->peer);
    if (here || there)
        return (struct emit_token_round){0, 1};
    if (!action->feeds)
        return (struct emit_token_round){e->place - 1, e->places - 1};
    return (struct emit_token_round){e->place - (action->kind == ACTION_RECEIVE ? 2 : 1), e->places - 2};
}

void emit_token_keep(struct emitter *e, const struct part *part, uint32_t index)
{
    if (!part->kept || part->kept[index] == 0)
        return;
    uint32_t label = state_tensor(part->d, part->d->forward.at[index].tensor)->name;
    if (part->kept[index] > 0)
        builder_take(&e->builder, MEMORY_CACHE, label, part->kept[index]);
    else /* an equal share of more positions, rounded, can be one less */
        builder_change(&e->builder, PROGRAM_NONE, MEMORY_CACHE, label, part->kept[index]);
}

/* The derivation of the same units for a token. */
static const struct derivation *emit_token_of(const struct emitter *e, const struct part *part)
{
    uint32_t stage = part->role.stage;
    return &e->cast
                ->derivations[stage + (emit_token_is_prompt(e, stage) ? generate_prompt_stages(e->plan) : 0)];
}

/* Finds what a part keeps, and which of its kernels make it. */
static void emit_token_readers(const struct emitter *e, struct part *part)
{
    const struct derivation *d = part->d;
    uint32_t *makes = ARENA_ARRAY(e->arena, uint32_t, d->plan->model->tensors.count);
    cache_find(emit_token_of(e, part), &part->readers);
    part->kept = ARENA_ARRAY(e->arena, double, d->forward.count + 1);
    part->made = ARENA_ARRAY(e->arena, uint32_t, part->readers.at.count + 1);
    for (uint32_t i = 0; i < d->forward.count; i++)
        if (d->forward.at[i].kind == ACTION_KERNEL)
            makes[d->forward.at[i].tensor] = i;
    for (uint32_t r = 0; r < part->readers.at.count; r = cache_next(&part->readers, r))
        part->made[r] = makes[part->readers.at.at[r].tensor];
}

/* What the kernels of a pass add to the cache: adds `sign` times what it holds with the positions that the
 * model of a token has now. */
static void emit_token_count(const struct emitter *e, struct part *part, double sign)
{
    const struct derivation *token = emit_token_of(e, part);
    for (uint32_t r = 0; r < part->readers.at.count; r = cache_next(&part->readers, r))
        part->kept[part->made[r]] += sign * cache_bytes(token, &part->readers, r, part->role.member);
}

/* The work, the lifetimes and the communications of a pass over one token. */
static void emit_token_renew(struct part *part, struct arena *arena)
{
    const struct derivation *d = part->d;
    for (uint32_t i = 0; i < d->forward.count; i++) {
        part->forward_collectives[i].known = false;
        if (d->forward.at[i].kind == ACTION_KERNEL && state_operator(d, d->forward.at[i].layer_op)->grows)
            part->forward_work[i] = work_forward(d, d->forward.at[i].layer_op, part->role.member);
    }
    lifetime_fini(&part->forward_lives);
    lifetime_forward(d, part->role.member, NULL, arena, &part->forward_lives);
}

static void emit_token_prompt(struct emitter *e)
{
    decode_past(e->plan->token->model, e->plan->prompt);
    for (uint32_t p = 0; p < e->part_count; p++) {
        struct part *part = &e->parts[p];
        emit_token_readers(e, part);
        if (emit_token_is_prompt(e, part->role.stage))
            emit_token_count(e, part, 1);
    }
    for (uint32_t m = 0; m < e->plan->micro_batches; m++)
        for (uint32_t p = 0; p < e->part_count; p++)
            if (emit_token_is_prompt(e, e->parts[p].role.stage))
                emit_pass_forward(e, &e->parts[p], m);
}

/* Sets the model of a token to how much its caches hold in pass e->token; what that pass adds is what they
 * hold more in the next one. */
static void emit_token_next(struct emitter *e, struct arena *arena)
{
    struct model *model = e->plan->token->model;
    for (uint32_t p = 0; p < e->part_count; p++) {
        struct part *part = &e->parts[p];
        if (emit_token_is_prompt(e, part->role.stage))
            continue;
        for (uint32_t i = 0; i < part->d->forward.count; i++)
            part->kept[i] = 0;
        decode_past(model, generate_past(e->plan, e->token + 1));
        emit_token_count(e, part, 1);
        decode_past(model, generate_past(e->plan, e->plan->glance ? 1 : e->token));
        emit_token_count(e, part, -1);
        decode_past(model, generate_past(e->plan, e->token));
        emit_token_renew(part, arena);
    }
}

/* The caches of all micro-batches go with the last operation of the step. */
static void emit_token_end(struct emitter *e)
{
    decode_past(e->plan->token->model, generate_past(e->plan, e->plan->tokens));
    for (uint32_t p = 0; p < e->part_count; p++) {
        struct part *part = &e->parts[p];
        for (uint32_t r = 0; r < part->readers.at.count; r = cache_next(&part->readers, r))
            if (!emit_token_is_prompt(e, part->role.stage))
                builder_change(&e->builder, PROGRAM_NONE, MEMORY_CACHE,
                               state_tensor(part->d, part->readers.at.at[r].tensor)->name,
                               -(double)e->plan->micro_batches *
                                   cache_bytes(part->d, &part->readers, r, part->role.member));
        cache_fini(&part->readers);
    }
}

/* The passes of token e->token, of so many micro-batches. */
static void emit_token_pass(struct emitter *e, uint32_t micro_batches)
{
    struct arena lives;
    arena_init(&lives);
    e->builder.token = e->token;
    emit_token_next(e, &lives);
    for (uint32_t m = 0; m < micro_batches; m++)
        for (uint32_t p = 0; p < e->part_count; p++)
            if (!emit_token_is_prompt(e, e->parts[p].role.stage))
                emit_pass_forward(e, &e->parts[p], m);
    arena_fini(&lives);
}

/* The second token receives from the prompt's last stage, the last one is not sent on; those between are
 * alike. */
static void emit_token_fold(struct emitter *e)
{
    struct recur recur;
    struct arena arena;
    uint32_t micro_batches = e->plan->micro_batches, last = e->plan->tokens - 1;
    arena_init(&arena);
    e->places = EMIT_TOKEN_SECTIONS;
    VECTOR_PUSH(&e->sections, 0);
    for (e->place = e->token = 1; e->place <= 2; e->token = ++e->place) {
        VECTOR_PUSH(&e->sections, e->builder.ops.count);
        struct builder_mark begin = builder_mark(&e->builder, &arena);
        emit_token_pass(e, micro_batches);
        if (e->place == 2)
            emit_recur_begin(&recur, &e->builder, begin, last - 2, micro_batches);
    }
    for (e->place = 2; e->token < last && !recur.uneven; e->token++) {
        emit_token_pass(e, micro_batches / recur.copies);
        emit_recur_next(&recur, &e->builder);
    }
    e->plan->folded &= !recur.uneven;
    emit_recur_end(&recur, &e->builder, &e->series);
    VECTOR_PUSH(&e->sections, e->builder.ops.count);
    e->token = last;
    e->place = 3;
    emit_token_pass(e, micro_batches);
    arena_fini(&arena);
}

/* One after the other; at a glance the last only. */
static void emit_token_all(struct emitter *e)
{
    const struct plan *plan = e->plan;
    e->places = plan->tokens;
    for (e->token = plan->glance && plan->tokens > 1 ? plan->tokens - 1 : 1; e->token < plan->tokens;
         e->token++) {
        e->place = e->token;
        emit_token_pass(e, plan->micro_batches);
    }
}

void emit_token_step(struct emitter *e)
{
    e->token = e->builder.token = 0;
    emit_token_prompt(e);
    if (e->plan->folded)
        emit_token_fold(e);
    else if (!e->folds) /* otherwise all is written again */
        emit_token_all(e);
    emit_token_end(e);
    e->token = e->builder.token = 0;
}

bool emit_token_folds(const struct plan *plan)
{
    return plan->tokens > EMIT_TOKEN_SECTIONS + 1 && plan->steps == 1 && !plan->glance && !offload_any(plan);
}

void emit_token_sections(struct emitter *e, struct program *program, struct arena *arena)
{
    if (!e->plan->folded)
        return;
    while (e->sections.count <= EMIT_TOKEN_SECTIONS) /* also of a rank that only sends the prompts */
        VECTOR_PUSH(&e->sections, e->builder.ops.count);
    program->sections = arena_copy(arena, e->sections.at, e->sections.count * sizeof *e->sections.at);
    e->sections.count = 0;
}

void emit_token_job(struct emitter *e, struct job *job)
{
    struct emit_series_list *costs = &e->series.costs, *sizes = &e->series.sizes;
    if (e->plan->folded) {
        job->section_count = EMIT_TOKEN_SECTIONS;
        job->section_times = ARENA_ARRAY(&job->arena, uint32_t, EMIT_TOKEN_SECTIONS);
        for (uint32_t s = 0; s < EMIT_TOKEN_SECTIONS; s++)
            job->section_times[s] = s == 2 ? e->plan->tokens - 3 : 1;
        job->costs = arena_copy(&job->arena, costs->bytes.at, costs->bytes.count);
        job->sizes = arena_copy(&job->arena, sizes->bytes.at, sizes->bytes.count);
    }
    VECTOR_FREE(&costs->bytes);
    VECTOR_FREE(&costs->starts);
    VECTOR_FREE(&sizes->bytes);
    VECTOR_FREE(&sizes->starts);
    VECTOR_FREE(&e->sections);
}
