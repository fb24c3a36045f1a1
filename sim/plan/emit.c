#include "plan/emit.h"

#include "plan/emit_offload.h"
#include "plan/emit_part.h"
#include "plan/emit_step.h"
#include "plan/emit_token.h"
#include "plan/emit_transfer.h"
#include "plan/emit_update.h"
#include "plan/scheduled.h"
#include "plan/stores.h"

static void emit_program(struct emitter *e, uint32_t rank, struct names *names, struct arena *arena,
                         struct program *program)
{
    const struct cast_rank *cast_rank = &e->cast->ranks.at[rank];
    bool asynchronous = e->plan->schedule->asynchronous;
    builder_init(&e->builder, e->cast, rank, names);
    offload_init(&e->offload, e->plan, &e->builder);
    e->part_count = cast_rank->roles.count;
    e->parts = ARENA_ARRAY(e->arena, struct part, e->part_count);
    for (uint32_t i = 0; i < e->part_count; i++)
        emit_part_init(e, &e->parts[i], cast_rank->roles.at[i]);
    emit_part_tie(e);
    for (uint32_t step = 0; step < e->plan->steps; step++) {
        e->builder.step = step;
        if (cast_rank->input)
            emit_transfer_input(e);
        if (!asynchronous || step == 0)
            emit_step(e);
        if (e->plan->training && e->part_count && !asynchronous)
            emit_update(e);
    }
    emit_update_hold(e);
    emit_offload_hold(e);
    for (uint32_t i = 0; i < e->part_count; i++)
        emit_part_fini(&e->parts[i]);
    builder_finish(&e->builder, arena, program);
    emit_token_sections(e, program, arena);
    offload_script(&e->offload, program, arena, &e->scripts[rank]);
    offload_fini(&e->offload);
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
                                      .stage = rank->roles.count ? rank->roles.at[0].stage : PROGRAM_NONE,
                                      .store = r >= cast->first_store};
        for (uint32_t g = 0; g < rank->groups.count; g++)
            job->group_table[next++] = rank->groups.at[g];
    }
    job->group_count = registry->groups.count;
    job->groups = arena_copy(&job->arena, registry->groups.at, job->group_count * sizeof(struct group));
    job->member_count = registry->members.count;
    job->members = arena_copy(&job->arena, registry->members.at, job->member_count * sizeof(uint32_t));
}

/* The programs of all ranks that are like no earlier one, in the order of `program_of`. */
static void emit_programs(struct emitter *e, struct job *job, const uint32_t *program_of)
{
    for (uint32_t r = 0; r < e->cast->ranks.count; r++) {
        if (e->cast->ranks.at[r].like != r || r >= e->cast->first_store)
            continue;
        struct arena scratch;
        arena_init(&scratch);
        e->arena = &scratch;
        emit_program(e, r, job->names, &job->arena, &job->programs[program_of[r]]);
        arena_fini(&scratch);
    }
    builder_fini(&e->builder);
    VECTOR_FREE(&e->after);
    VECTOR_FREE(&e->syncs);
    emit_token_job(e, job);
    job->share_count = e->shares.count;
    job->shares = arena_copy(&job->arena, e->shares.at, job->share_count * sizeof *job->shares);
    VECTOR_FREE(&e->shares);
    VECTOR_FREE(&e->drawn);
}

/* Alike ranks use their own groups in the same way. */
static void emit_alike(const struct cast *cast, struct registry *registry)
{
    for (uint32_t r = 0; r < cast->ranks.count; r++) {
        const struct cast_rank *rank = &cast->ranks.at[r], *like = &cast->ranks.at[rank->like];
        for (uint32_t g = 0; rank->like != r && g < rank->groups.count; g++)
            if (registry->groups.at[like->groups.at[g]].match_count)
                registry_use(registry, rank->groups.at[g],
                             registry->groups.at[like->groups.at[g]].match_count - 1);
    }
}

/* Fills the job; `orders`: NULL where there are none. */
static void emit_all(struct plan *plan, struct cast *cast, struct registry *registry,
                     const struct orders *orders, struct job *job)
{
    uint32_t *program_of = ARENA_ARRAY(&job->arena, uint32_t, cast->ranks.count);
    for (uint32_t r = 0; r < cast->ranks.count; r++)
        if (cast->ranks.at[r].like == r)
            program_of[r] = job->program_count++;
    job->programs = ARENA_ARRAY(&job->arena, struct program, job->program_count);
    struct wavefront *waves = ARENA_ARRAY(&job->arena, struct wavefront, plan->stages.count);
    uint32_t whole;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        waves[s] = wavefront_stage(&cast->derivations[s], &whole);
    struct emitter emitter = {.plan = plan,
                              .cast = cast,
                              .orders = orders,
                              .halves = orders && emit_halves(orders),
                              .waves = waves,
                              .folds = plan->folded};
    emitter.scripts = ARENA_ARRAY(&job->arena, struct offload_script, cast->ranks.count);
    emit_programs(&emitter, job, program_of);
    stores_emit(plan, cast, emitter.scripts, job, program_of);
    emit_alike(cast, registry);
    emit_tables(cast, registry, job, program_of);
    job->steps = plan->steps;
    job->lead = plan->lead;
}

/* Products in panels make both gradients from the same panels, so they cannot be passes of their own. */
static bool emit_whole_backward(const struct plan *plan, const struct derivation *derivations,
                                const struct orders *orders, struct report *report)
{
    for (uint32_t s = 0; s < plan->stages.count && orders && emit_halves(orders); s++)
        for (uint32_t o = 0; o < derivations[s].operators.count; o++)
            if (derivations[s].operators.at[o].panels)
                return report_error(
                    report, plan->stages.at[s].place,
                    "schedule %s makes the gradients of inputs and weights in passes of their "
                    "own; convert.fc: summa makes both from the same panels",
                    plan->schedule->name);
    return true;
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
    good = good && emit_whole_backward(plan, derivations, ordered ? &orders : NULL, report);
    if (good)
        emit_all(plan, &cast, &registry, ordered ? &orders : NULL, job);
    orders_fini(&orders);
    cast_fini(&cast);
    registry_fini(&registry);
    return good;
}
