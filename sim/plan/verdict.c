#include "plan/verdict.h"

#include "plan/alike.h"
#include "plan/memory.h"
#include "plan/scheduled.h"
#include "plan/shard.h"

/* Most bytes of activations alive at once: operations of the compute stream run one after another, so the
 * order of the program is the order of time, whatever the network does. */
static double verdict_activations(const struct program *program)
{
    double now = 0, most = 0;
    for (uint32_t i = 0; i < program->op_count; i++) {
        now += program->ops[i].allocates;
        if (now > most)
            most = now;
        now -= program->ops[i].frees;
    }
    return most;
}

static double verdict_model_flops(const struct program *program, uint32_t step)
{
    double flops = 0;
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].step == step && program->ops[i].pass != PASS_R)
            flops += program->ops[i].model_flops;
    return flops;
}

/* Versions of its weights that a rank keeps. */
static double verdict_versions(const struct plan *plan, const struct rank *rank)
{
    struct schedule_shape shape = scheduled_shape(plan);
    if (!plan->schedule->versions || rank->stage == PROGRAM_NONE)
        return 1;
    return plan->schedule->versions(&shape, schedule_device(plan->schedule, &shape, rank->stage));
}

/* Takes off what an earlier stage of the same rank holds already. */
static void verdict_shared(const struct plan *plan, const struct derivation *derivations, uint32_t stage,
                           uint32_t member, struct memory_held *held)
{
    const struct derivation *d = &derivations[stage];
    for (uint32_t t = 0; t < stage; t++) {
        const struct plan_stage *other = &plan->stages.at[t];
        if (member >= other->devices.count || other->ranks[member] != plan->stages.at[stage].ranks[member])
            continue;
        for (uint32_t i = 0; i < d->parameters.count; i++)
            for (uint32_t k = 0; k < derivations[t].parameters.count; k++) {
                if (derivations[t].parameters.at[k].tensor != d->parameters.at[i].tensor)
                    continue;
                double elements = memory_parameter(d, i, member);
                double share = elements / shard_ways(d, &d->parameters.at[i]);
                held->parameters -=
                    (plan->zero >= 3 ? share : elements) * precision_bytes(plan->weight_precision);
                held->gradients -=
                    plan->training ? (plan->zero >= 2 ? share : elements) * memory_gradient_bytes(plan) : 0;
                held->optimizer -= plan->training ? memory_state(d, i, member) : 0;
            }
    }
}

/* `held`: what the rank stores throughout, of all stages that it works on. */
static struct plan_memory verdict_rank(const struct plan *plan, const struct rank *rank,
                                       const struct memory_held *held, const struct job *job)
{
    const struct device *device = &plan->platform->devices.at[rank->device];
    struct plan_memory memory = {
        .parameters = held->parameters * verdict_versions(plan, rank),
        .gradients = held->gradients,
        .optimizer = held->optimizer,
        .activations = verdict_activations(&job->programs[rank->program]),
        .capacity = plan->platform->device_types.at[device->type].memory,
    };
    memory.total = memory.parameters + memory.gradients + memory.optimizer + memory.activations;
    return memory;
}

/* Adds what the members of a stage store: it has the same size for all that stand at one place along
 * the axes that tell their parameters apart. */
static void verdict_hold_stage(const struct plan *plan, const struct derivation *derivations, uint32_t stage,
                               struct memory_held *held)
{
    const struct derivation *d = &derivations[stage];
    uint32_t axes = alike_parameters(d);
    VECTOR(struct memory_held) at = {0}; /* per place */
    VECTOR(bool) known = {0};
    for (uint32_t i = 0; i < alike_places(d->stage, axes); i++) {
        VECTOR_PUSH(&at, (struct memory_held){0});
        VECTOR_PUSH(&known, false);
    }
    for (uint32_t m = 0; m < d->member_count; m++) {
        uint32_t place = alike_place(d->stage, axes, m);
        if (!known.at[place])
            memory_hold(d, m, &at.at[place]);
        known.at[place] = true;
        held[d->stage->ranks[m]].parameters += at.at[place].parameters;
        held[d->stage->ranks[m]].gradients += at.at[place].gradients;
        held[d->stage->ranks[m]].optimizer += at.at[place].optimizer;
        verdict_shared(plan, derivations, stage, m, &held[d->stage->ranks[m]]);
    }
    VECTOR_FREE(&at);
    VECTOR_FREE(&known);
}

void verdict_fill(struct plan *plan, const struct derivation *derivations, const struct job *job)
{
    plan->fits = true;
    plan->model_flops = 0;
    double *flops = vector_grow(NULL, &(uint32_t){job->program_count}, sizeof(double));
    for (uint32_t p = 0; p < job->program_count; p++)
        flops[p] = verdict_model_flops(&job->programs[p], job->steps - 1);
    for (uint32_t r = 0; r < job->rank_count; r++)
        plan->model_flops += flops[job->ranks[r].program];
    vector_release(flops);
    struct memory_held *held = vector_grow(NULL, &(uint32_t){job->rank_count}, sizeof *held);
    for (uint32_t r = 0; r < job->rank_count; r++)
        held[r] = (struct memory_held){0};
    for (uint32_t s = 0; s < plan->stages.count; s++)
        verdict_hold_stage(plan, derivations, s, held);
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        struct plan_stage *stage = &plan->stages.at[s];
        for (uint32_t m = 0; m < stage->devices.count; m++) {
            uint32_t r = stage->ranks[m];
            if (m && job->ranks[r].program == job->ranks[stage->ranks[m - 1]].program)
                continue; /* alike */
            struct plan_memory memory = verdict_rank(plan, &job->ranks[r], &held[r], job);
            if (memory.total - memory.capacity > stage->memory.total - stage->memory.capacity || m == 0) {
                stage->memory = memory;
                stage->fullest_rank = r;
            }
            plan->fits &= memory.total <= memory.capacity;
        }
    }
    vector_release(held);
}
