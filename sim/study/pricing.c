#include "study/pricing.h"

#include "cost/cost.h"
#include "plan/emit.h"
#include "plan/workload_plan.h"

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

/* The unit of the model that an operation is a part of, by its label; UINT32_MAX: of none (the optimizer). */
static uint32_t unit_of(const struct scenario *scenario, const struct op *op)
{
    const char *label = names_text(&scenario->names, op->label);
    for (uint32_t u = 0; u < scenario->model.units.count; u++) {
        const char *name = names_text(&scenario->names, scenario->model.units.at[u].name);
        size_t length = strlen(name);
        if (strncmp(label, name, length) == 0 && (label[length] == '\0' || label[length] == '.'))
            return u;
    }
    return UINT32_MAX;
}

/* Where the parts of a cut model begin and end: units below first_body, below first_tail, and the rest. */
struct pricing_cuts {
    uint32_t first_body, first_tail;
    double shares[3]; /* of the parameters: head, body, tail */
};

static uint32_t part_of(const struct pricing_cuts *cuts, uint32_t unit)
{
    return unit < cuts->first_body ? 0 : unit < cuts->first_tail ? 1 : 2;
}

static void scale_work(struct script_work *out, const struct script_work *work, double share)
{
    *out = (struct script_work){share * work->seconds, share * work->flops, share * work->memory_bytes};
}

/* The same operations, part by part; the one update by the parts' parameters. */
static void cut_program(const struct scenario *scenario, const struct program *program,
                        const struct pricing_cuts *cuts, const struct script_work *optimizer,
                        struct script_half *parts[3])
{
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        uint32_t unit = op->kind == OP_COMPUTE && op->pass != PASS_O ? unit_of(scenario, op) : UINT32_MAX;
        if (unit == UINT32_MAX)
            continue;
        bool forward = op->pass == PASS_F || op->pass == PASS_N;
        struct script_half *part = parts[part_of(cuts, unit)];
        add_op(forward ? &part->forward : &part->backward, op);
    }
    for (int p = 0; p < 3; p++) {
        scale_work(&parts[p]->optimizer, optimizer, cuts->shares[p]);
        parts[p]->weight_bytes = cuts->shares[p] * scenario->script.weight_bytes;
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
static bool price_device(struct scenario *scenario, uint32_t rank, const struct pricing_cuts *cuts)
{
    struct script *script = &scenario->script;
    struct script_cost *cost = &script->costs[rank];
    uint32_t device = script->devices.at[rank];
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
    struct script_half *parts[3] = {&script->clients[rank], &script->bodies[rank], &script->tails[rank]};
    if (good && script->cut)
        cut_program(scenario, &job.programs[job.ranks[0].program], cuts, &cost->optimizer, parts);
    for (uint32_t s = 0; derived && s < plan.stages.count; s++)
        derive_fini(&derivations[s]);
    price_sum(scenario, device, &cost->add);
    arena_fini(&job.arena);
    plan_fini(&plan);
    return good;
}

/* The unit that a layer's name means; UINT32_MAX after reporting. */
static uint32_t find_unit(struct scenario *scenario, const struct value *layer)
{
    const char *known[64];
    uint32_t count = 0;
    for (uint32_t u = 0; layer->kind == VALUE_SCALAR && u < scenario->model.units.count; u++) {
        const char *name = names_text(&scenario->names, scenario->model.units.at[u].name);
        if (strcmp(name, layer->text) == 0)
            return u;
        if (count < FIELDS_COUNT(known))
            known[count++] = name;
    }
    if (layer->kind != VALUE_SCALAR)
        report_error(&scenario->input.report, layer->place, "expected the name of a layer; got %s",
                     value_describe(layer, &scenario->input.arena));
    else
        fields_no_such(&scenario->input, layer->place, "layer", layer->text, known, count);
    return UINT32_MAX;
}

static void share_parameters(const struct scenario *scenario, struct pricing_cuts *cuts)
{
    const struct derivation *derivation = &scenario->derivations[0];
    double whole = 0;
    for (uint32_t i = 0; i < derivation->parameters.count; i++) {
        const struct stage_parameter *parameter = &derivation->parameters.at[i];
        double elements = model_elements(&scenario->model.tensors.at[parameter->tensor]);
        cuts->shares[part_of(cuts, parameter->unit)] += elements;
        whole += elements;
    }
    for (int p = 0; p < 3; p++)
        cuts->shares[p] = whole > 0 ? cuts->shares[p] / whole : 0;
}

static void append_stage(struct scenario *scenario, struct value *stages, uint32_t first, uint32_t last,
                         uint32_t device)
{
    struct arena *arena = &scenario->input.arena;
    struct place place = stages->place;
    const struct model_unit *units = scenario->model.units.at;
    struct value *stage = value_new(arena, place, VALUE_MAP);
    char *layers = arena_format(arena, "%s..%s", names_text(&scenario->names, units[first].name),
                                names_text(&scenario->names, units[last].name));
    const char *name = names_text(&scenario->names, scenario->platform.devices.at[device].name);
    value_put(arena, stage, "layers", place, value_new_scalar(arena, place, layers, true));
    value_put(arena, stage, "devices", place, value_new_scalar(arena, place, name, true));
    value_append(arena, stages, stage);
}

/* Bytes of a batch's activations that cross into unit `first`, by a plan of two stages. */
static bool price_crossing(struct scenario *scenario, uint32_t first, double *bytes)
{
    struct script *script = &scenario->script;
    struct arena *arena = &scenario->input.arena;
    struct workload workload = scenario->workload;
    struct value *stages = value_new(arena, script->cut->place, VALUE_LIST);
    struct value *map = value_new(arena, script->cut->place, VALUE_MAP);
    append_stage(scenario, stages, 0, first - 1, script->devices.at[script->learners.at[0]]);
    append_stage(scenario, stages, first, scenario->model.units.count - 1,
                 script->devices.at[script->servers.at[0]]);
    value_put(arena, map, "stages", stages->place, stages);
    workload.plan = map;
    workload.steps = 1;
    workload.micro_batch = (int64_t)scenario->model.batch;
    struct plan plan;
    struct job job = {.names = &scenario->names};
    struct derivation derivations[2];
    plan_init(&plan);
    arena_init(&job.arena);
    bool good = workload_plan(&scenario->input, &workload, &scenario->platform, &scenario->model, &plan);
    bool derived = good && derive_plan(&plan, derivations, &scenario->arena, &scenario->input.report);
    good = derived && emit_job(&plan, derivations, &job, &scenario->input.report);
    const struct program *program = good ? &job.programs[job.ranks[0].program] : NULL;
    for (uint32_t i = 0; good && i < program->op_count; i++)
        if (program->ops[i].kind == OP_SEND && program->ops[i].pass == PASS_F)
            *bytes += program->ops[i].bytes;
    for (uint32_t s = 0; derived && s < 2; s++)
        derive_fini(&derivations[s]);
    arena_fini(&job.arena);
    plan_fini(&plan);
    return good;
}

/* Finds the cuts, and what crosses them. */
static bool price_cuts(struct scenario *scenario, struct pricing_cuts *cuts)
{
    struct script *script = &scenario->script;
    uint32_t units = scenario->model.units.count;
    uint32_t last = find_unit(scenario, script->cut);
    uint32_t tail = script->tail ? find_unit(scenario, script->tail) : units;
    if (last == UINT32_MAX || tail == UINT32_MAX)
        return false;
    if (last + 1 >= tail)
        return report_error(&scenario->input.report, script->tail ? script->tail->place : script->cut->place,
                            "nothing is left for the server after this cut");
    *cuts = (struct pricing_cuts){.first_body = last + 1, .first_tail = tail};
    share_parameters(scenario, cuts);
    return price_crossing(scenario, last + 1, &script->cut_bytes) &&
           (!script->tail || price_crossing(scenario, tail, &script->tail_bytes));
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
    uint32_t count = script->devices.count;
    struct pricing_cuts cuts = {0};
    script->parameters = (double)model_parameters(&scenario->model);
    script->weight_bytes = script->parameters * precision_bytes(plan->weight_precision);
    script->gradient_bytes = script->parameters * precision_bytes(plan->communication_precision);
    script->batch = (double)scenario->workload.global_batch;
    script->costs = ARENA_ARRAY(&scenario->arena, struct script_cost, count);
    script->clients = ARENA_ARRAY(&scenario->arena, struct script_half, count);
    script->bodies = ARENA_ARRAY(&scenario->arena, struct script_half, count);
    script->tails = ARENA_ARRAY(&scenario->arena, struct script_half, count);
    bool good = !script->cut || price_cuts(scenario, &cuts);
    for (uint32_t r = 0; good && r < count; r++) {
        uint32_t same = alike(script, r);
        if (same == r) {
            good = price_device(scenario, r, &cuts);
            continue;
        }
        script->costs[r] = script->costs[same];
        script->clients[r] = script->clients[same];
        script->bodies[r] = script->bodies[same];
        script->tails[r] = script->tails[same];
    }
    return good;
}
