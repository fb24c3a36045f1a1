#include "study/pricing.h"

#include "cost/cost.h"
#include "plan/emit.h"

#include <string.h>

const struct value *pricing_plan(struct scenario *scenario, const struct value *plan, uint32_t device)
{
    static const char *const split[] = {"stages",  "data",    "tensor", "pipeline",
                                        "context", "devices", "input"};
    struct arena *arena = &scenario->input.arena;
    struct place place = plan ? plan->place : scenario->script.place;
    struct value *alone = plan ? value_clone(arena, plan) : value_new(arena, place, VALUE_MAP);
    for (size_t i = 0; plan && i < sizeof split / sizeof split[0]; i++)
        if (value_get(plan, split[i])) {
            report_error(&scenario->input.report, value_get(plan, split[i])->place,
                         "plan.%s cannot stand beside a discipline, which says who takes part; each of its "
                         "devices computes alone",
                         split[i]);
            return NULL;
        }
    const char *name = names_text(&scenario->names, scenario->platform.devices.at[device].name);
    value_put(arena, alone, "data", place, value_new_scalar(arena, place, "1", false));
    value_put(arena, alone, "devices", place, value_new_scalar(arena, place, name, true));
    return alone;
}

static void add_op(struct script_work *work, const struct op *op)
{
    work->seconds += op->seconds;
    work->flops += op->flops;
    work->memory_bytes += op->memory_bytes;
}

/* The computations of one rank by pass. Recomputation belongs to the backward pass. */
static void sum_program(const struct program *program, struct script_cost *cost)
{
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != OP_COMPUTE)
            continue;
        bool forward = op->pass == PASS_F || op->pass == PASS_N;
        add_op(op->pass == PASS_O ? &cost->optimizer : forward ? &cost->forward : &cost->backward, op);
    }
}

static void price_sum(const struct scenario *scenario, uint32_t device, struct script_work *add)
{
    const struct device *at = &scenario->platform.devices.at[device];
    const struct device_type *type = &scenario->platform.device_types.at[at->type];
    double bytes = precision_bytes(scenario->plan.weight_precision);
    *add = (struct script_work){.flops = scenario->script.parameters,
                                .memory_bytes = 3 * bytes * scenario->script.parameters};
    struct kernel kernel = {KERNEL_MEMORY, add->flops, add->memory_bytes, 1};
    add->seconds = cost_seconds(type, at->speed, scenario->plan.precision, &kernel);
}

/* Plans the model on one device alone. */
static bool price_device(struct scenario *scenario, uint32_t device, struct script_cost *cost)
{
    struct workload workload = scenario->workload;
    struct plan plan;
    struct job job = {.names = &scenario->names};
    workload.plan = pricing_plan(scenario, scenario->given_plan, device);
    workload.steps = 1;
    plan_init(&plan);
    arena_init(&job.arena);
    bool good = workload.plan &&
                workload_plan(&scenario->input, &workload, &scenario->platform, &scenario->model, &plan);
    struct derivation *derivations = ARENA_ARRAY(&scenario->arena, struct derivation, plan.stages.count + 1);
    bool derived = good && derive_plan(&plan, derivations, &scenario->arena, &scenario->input.report);
    good = derived && emit_job(&plan, derivations, &job, &scenario->input.report);
    for (uint32_t r = 0; good && r < job.rank_count; r++)
        sum_program(&job.programs[job.ranks[r].program], cost);
    for (uint32_t s = 0; derived && s < plan.stages.count; s++)
        derive_fini(&derivations[s]);
    price_sum(scenario, device, &cost->add);
    arena_fini(&job.arena);
    plan_fini(&plan);
    return good;
}

/* An earlier rank whose device is alike; `rank` itself if there is none. */
static uint32_t alike(const struct script *script, uint32_t rank)
{
    const struct device *devices = script->platform->devices.at;
    const struct device *device = &devices[script->devices.at[rank]];
    for (uint32_t r = 0; r < rank; r++) {
        const struct device *other = &devices[script->devices.at[r]];
        if (other->type == device->type && other->speed == device->speed)
            return r;
    }
    return rank;
}

bool pricing_fill(struct scenario *scenario)
{
    struct script *script = &scenario->script;
    const struct plan *plan = &scenario->plan;
    bool good = true;
    script->parameters = (double)model_parameters(&scenario->model);
    script->weight_bytes = script->parameters * precision_bytes(plan->weight_precision);
    script->gradient_bytes = script->parameters * precision_bytes(plan->communication_precision);
    script->batch = (double)scenario->workload.global_batch;
    script->costs = ARENA_ARRAY(&scenario->arena, struct script_cost, script->devices.count + 1);
    for (uint32_t r = 0; good && r < script->devices.count; r++) {
        uint32_t same = alike(script, r);
        if (same == r)
            good = price_device(scenario, script->devices.at[r], &script->costs[r]);
        else
            script->costs[r] = script->costs[same];
    }
    return good;
}
