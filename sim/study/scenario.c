#include "study/scenario.h"

#include "engine/task.h"
#include "model/build.h"
#include "model/model_file.h"
#include "model/onnx_file.h"
#include "plan/degrees.h"
#include "plan/emit.h"
#include "plan/emit_token.h"
#include "plan/generate.h"
#include "plan/offload.h"
#include "plan/schedule.h"
#include "plan/scheduled.h"
#include "plan/verdict.h"
#include "plan/workload_network.h"
#include "plan/workload_plan.h"
#include "platform/import.h"
#include "platform/reach.h"
#include "platform/topology.h"
#include "platform/topology_fields.h"
#include "platform/topology_set.h"
#include "study/changes.h"
#include "study/default_workload.h"
#include "study/generation.h"
#include "study/pricing.h"
#include "study/scenario_trace.h"
#include "study/spelling.h"

#include <string.h>

static void scenario_init(struct scenario *scenario, const char *data_root)
{
    memset(scenario, 0, sizeof *scenario);
    input_init(&scenario->input, data_root);
    names_init(&scenario->names);
    arena_init(&scenario->arena);
    arena_init(&scenario->job.arena);
    platform_init(&scenario->platform, &scenario->names);
    model_init(&scenario->model, &scenario->names);
    model_init(&scenario->token_model, &scenario->names);
    plan_init(&scenario->plan);
    scenario->job.names = &scenario->names;
}

void scenario_fini(struct scenario *scenario)
{
    for (uint32_t s = 0; scenario->derivations && s < scenario->plan.stages.count; s++)
        derive_fini(&scenario->derivations[s]);
    randomness_fini(&scenario->randomness);
    account_fini(&scenario->account);
    discipline_fini(&scenario->script);
    plan_fini(&scenario->plan);
    model_fini(&scenario->model);
    model_fini(&scenario->token_model);
    platform_fini(&scenario->platform);
    arena_fini(&scenario->job.arena);
    arena_fini(&scenario->arena);
    names_fini(&scenario->names);
    input_fini(&scenario->input);
}

static bool scenario_is_workload_key(const char *key, size_t length)
{
    for (uint32_t i = 0; i < workload_field_count; i++)
        if (strlen(workload_fields[i].key) == length && strncmp(workload_fields[i].key, key, length) == 0)
            return true;
    return false;
}

static bool scenario_is_topology_key(const char *key, size_t length)
{
    for (uint32_t i = 0; i < topology_field_count; i++)
        if (strlen(topology_fields[i].key) == length && strncmp(topology_fields[i].key, key, length) == 0)
            return true;
    return false;
}

/* Applies the --set options whose first key belongs to the workload (or, with `topology`, to the topology).
 * `topology.KEY` and `parameters.KEY` are values for the topology's parameters, over those of the workload's
 * `set`. */
static bool scenario_set(struct scenario *scenario, const struct scenario_options *options, bool topology)
{
    bool good = true;
    struct arena *arena = &scenario->input.arena;
    for (uint32_t i = 0; i < options->set_count; i++) {
        const char *text = options->sets[i], *equals = strchr(text, '=');
        if (!equals || equals == text) {
            good = report_error(&scenario->input.report, (struct place){"--set", 0, 0},
                                "expected key=value; got '%s'", text);
            continue;
        }
        char *path = arena_format(arena, "%.*s", (int)(equals - text), text);
        size_t first = strcspn(path, ".[");
        bool parameter = strncmp(path, "topology.", 9) == 0 || strncmp(path, "parameters.", 11) == 0;
        bool workload = parameter || scenario_is_workload_key(path, first);
        if (!workload && !scenario_is_topology_key(path, first)) {
            const char *known[64];
            uint32_t count = 0;
            for (uint32_t k = 0; k < workload_field_count; k++)
                known[count++] = workload_fields[k].key;
            for (uint32_t k = 0; k < topology_field_count; k++)
                known[count++] = topology_fields[k].key;
            good = fields_no_such(
                &scenario->input, (struct place){arena_format(arena, "--set %s", path), 0, 0},
                "key of a workload or topology:", arena_format(arena, "%.*s", (int)first, path), known,
                count);
            continue;
        }
        if (workload == topology)
            continue;
        const char *to = parameter ? arena_format(arena, "set.%s", strchr(path, '.') + 1) : path;
        if (topology)
            good = topology_set(&scenario->input, scenario->topology_document, path, equals + 1) && good;
        if (topology)
            continue;
        spelling_set(&scenario->input, scenario->document, path);
        good = document_set_as(&scenario->input, scenario->document, path, to, equals + 1) && good;
        spelling_read(&scenario->input, scenario->document);
    }
    return good;
}

/* Says it when a file is of another kind than wanted, instead of all the keys that are unknown in it. */
static bool scenario_is(struct scenario *scenario, const struct value *document, const char *wanted)
{
    static const struct {
        const char *key, *kind;
    } marks[] = {{"model", "workload"},    {"trace", "workload"},   {"plan", "workload"},
                 {"layers", "model"},      {"devices", "topology"}, {"links", "topology"},
                 {"switches", "topology"}, {"peak", "device type"}, {"bandwidth", "link type"}};
    const char *kind = NULL;
    for (size_t i = 0; i < FIELDS_COUNT(marks); i++) {
        if (!value_get(document, marks[i].key))
            continue;
        if (strcmp(marks[i].kind, wanted) == 0)
            return true;
        kind = kind ? kind : marks[i].kind;
    }
    if (!kind)
        return true; /* whatever it is: its keys will tell */
    return report_error(&scenario->input.report, document->place, "expected a %s; this file is a %s%s",
                        wanted, kind,
                        strcmp(kind, "model") == 0 ? " (`partita explain` shows it; a workload names it as "
                                                     "`model`)"
                                                   : "");
}

/* The documents of a run that a database holds. */
static bool scenario_stored(struct scenario *scenario, const struct scenario_options *options)
{
    const struct value *both =
        document_parse(&scenario->input, options->workload, options->stored, strlen(options->stored), false);
    scenario->document = value_get(both, "workload");
    scenario->topology_document = value_get(both, "topology");
    scenario->stored = true;
    return (scenario->document && scenario->topology_document) ||
           report_error(&scenario->input.report, (struct place){options->workload, 0, 0},
                        "this run does not hold its workload and topology");
}

static bool scenario_topology(struct scenario *scenario, const struct scenario_options *options)
{
    if (scenario->stored)
        return topology_read(&scenario->input, scenario->topology_document, scenario->workload.set,
                             &scenario->platform);
    const char *name = options->topology;
    struct place place = {NULL, 0, 0};
    if (!name && !scenario->workload.topology)
        return report_error(&scenario->input.report, scenario->workload.place,
                            "the workload names no topology; add `topology: NAME` or use --topology");
    if (!name) {
        const struct value *value = scenario->workload.topology;
        place = value->place;
        if (value->kind != VALUE_SCALAR)
            return report_error(&scenario->input.report, place, "expected the name of a topology; got %s",
                                value_describe(value, &scenario->input.arena));
        name = value->text;
    }
    const char *path = document_find(&scenario->input, "topologies", name, place);
    scenario->topology_document = path ? import_load(&scenario->input, path, scenario->workload.set) : NULL;
    scenario->topology_path = path;
    if (!scenario->topology_document || !scenario_is(scenario, scenario->topology_document, "topology") ||
        !scenario_set(scenario, options, true))
        return false;
    return topology_read(&scenario->input, scenario->topology_document, scenario->workload.set,
                         &scenario->platform);
}

/* The model's parameters: everything in `model:` but its name, and the sequence length of `batch:`. */
static struct value *scenario_model_set(struct scenario *scenario)
{
    struct arena *arena = &scenario->input.arena;
    const struct value *model = scenario->workload.model;
    struct value *set = value_new(arena, model->place, VALUE_MAP);
    for (uint32_t i = 0; i < model->count; i++)
        if (strcmp(model->entries[i].key, "name") != 0)
            value_put(arena, set, model->entries[i].key, model->entries[i].place, model->entries[i].value);
    const struct value *sequence = scenario->workload.sequence;
    if (sequence && !value_get(set, "sequence"))
        value_put(arena, set, "sequence", sequence->place, value_clone(arena, sequence));
    return set;
}

/* The model's document; NULL after reporting. */
static const struct value *scenario_model_document(struct scenario *scenario, struct value *set)
{
    const struct value *model = scenario->workload.model;
    const struct value *name = model->kind == VALUE_MAP ? value_get(model, "name") : NULL;
    if (!name || name->kind != VALUE_SCALAR) {
        report_error(&scenario->input.report, model->place,
                     "expected a model's name, or a map with `name`; got %s",
                     value_describe(name ? name : model, &scenario->input.arena));
        return NULL;
    }
    const char *path = document_find(&scenario->input, "workloads/models", name->text, name->place);
    const struct value *document = path ? model_file_load(&scenario->input, path, set) : NULL;
    return document && scenario_is(scenario, document, "model") ? document : NULL;
}

static bool scenario_model(struct scenario *scenario, const struct value *document, const struct value *set,
                           bool one)
{
    uint64_t batch = one ? 1 : degrees_batch(&scenario->input, &scenario->workload, &scenario->platform);
    return batch && build_model(&scenario->input, document, set, batch, &scenario->model);
}

/* Every pair that communicates must have a route; found here, where the message can name the stage. */
static bool scenario_connected(struct scenario *scenario)
{
    const struct job *job = &scenario->job;
    struct reach reach;
    bool good = true;
    reach_init(&reach, &scenario->platform, &scenario->arena);
    for (uint32_t g = 0; g < job->group_count && good; g++) {
        const struct group *group = &job->groups[g];
        for (uint32_t m = 0; m < group->member_count && good; m++) {
            uint32_t from = job->ranks[job->members[group->first_member + m]].device;
            uint32_t to =
                job->ranks[job->members[group->first_member + (m + 1) % group->member_count]].device;
            if (group->member_count == 2 && m == 1 && group->rendezvous)
                continue;
            if (!reach_device(&reach, from, to))
                good = report_error(&scenario->input.report, scenario->topology_document->place,
                                    "no route from %s to %s, which the plan makes communicate (%s)",
                                    names_text(&scenario->names, scenario->platform.devices.at[from].name),
                                    names_text(&scenario->names, scenario->platform.devices.at[to].name),
                                    names_text(&scenario->names, group->name));
        }
    }
    return good;
}

/* Whether steps and tokens that are alike need not be written out. */
static bool scenario_brief(const struct scenario *scenario, const struct scenario_options *options)
{
    return options->brief && !randomness_is_any(&scenario->randomness);
}

static bool scenario_job(struct scenario *scenario)
{
    arena_fini(&scenario->job.arena);
    scenario->job = (struct job){.names = &scenario->names};
    arena_init(&scenario->job.arena);
    return emit_job(&scenario->plan, scenario->derivations, &scenario->job, &scenario->input.report);
}

/* Of tokens that are generated one stands for those that are alike. A long run writes out its last steps
 * only, which stand for those before: unless steps differ, or are random. Three are enough for the period
 * between the last two and for the critical path of the last. */
static bool scenario_emit(struct scenario *scenario, bool brief)
{
    enum { KEPT = 3 };
    struct plan *plan = &scenario->plan;
    uint32_t steps = plan->steps;
    if (brief && steps > KEPT) {
        plan->steps = KEPT;
        plan->lead = steps - KEPT;
    }
    bool folds = plan->folded;
    if (!scenario_job(scenario))
        return false;
    if (folds == plan->folded && (!plan->lead || task_alike(&scenario->job)))
        return true;
    plan->steps = steps;
    plan->lead = 0;
    return generate_writable(plan, scenario->derivations, &scenario->input.report) && scenario_job(scenario);
}

/* Who wants memory and work alone sees them in the first step where nothing is kept elsewhere: each step is
 * like it. Whether a plan may fit, in any case: later steps, and micro-batches beyond those that a device
 * holds at once, only add to the peak. Asynchronous steps are no steps of their own. */
static bool scenario_plan(struct scenario *scenario, const struct scenario_options *options)
{
    struct plan *plan = &scenario->plan;
    uint32_t steps = plan->steps, micro_batches = plan->micro_batches;
    bool apart = !plan->schedule->asynchronous, alike = options->glance && !offload_any(plan);
    bool first = steps > 1 && apart && (alike || options->probe);
    if (apart && options->probe)
        plan->micro_batches = scheduled_fewest(plan);
    scenario->unfinished = (first && !alike) || plan->micro_batches < micro_batches;
    plan->steps = first ? 1 : steps;
    bool good = scenario_emit(scenario, scenario_brief(scenario, options));
    if (good)
        verdict_fill(plan, &scenario->job);
    plan->steps = first ? steps : plan->steps;
    plan->micro_batches = micro_batches;
    return good;
}

bool scenario_finish(struct scenario *scenario, const struct scenario_options *options)
{
    struct scenario_options all = *options;
    all.probe = false;
    return !scenario->unfinished || scenario_plan(scenario, &all);
}

/* Finds the workload's document. *model: its file is a model instead. */
static bool scenario_document(struct scenario *scenario, const struct scenario_options *options,
                              const char **model)
{
    struct input *input = &scenario->input;
    *model = NULL;
    scenario->workload_path = options->workload;
    if (options->stored)
        return scenario_stored(scenario, options);
    if (options->text) {
        scenario->document =
            document_parse(input, "default workload", options->text, strlen(options->text), false);
        return scenario->document;
    }
    scenario->document = scenario_trace_document(input, options->workload);
    if (scenario->document)
        return true;
    const char *path = document_look(input, "workloads", options->workload);
    if (!path)
        path = document_look(input, "workloads/models", options->workload);
    if (!path)
        path = document_find(input, "workloads", options->workload, (struct place){NULL, 0, 0});
    scenario->workload_path = path;
    if (path && onnx_file_is(path)) {
        *model = path;
        return true;
    }
    scenario->document = path ? document_load(input, path) : NULL;
    if (scenario->document && model_file_is(scenario->document))
        *model = path;
    return scenario->document && (*model || scenario_is(scenario, scenario->document, "workload"));
}

/* A bare model: on the topology of the command line, as default_workload.h says. */
static bool scenario_of_model(struct scenario *scenario, const struct scenario_options *options,
                              const char *model)
{
    struct arena arena;
    if (!options->topology)
        return report_error(&scenario->input.report, (struct place){NULL, 0, 0},
                            "'%s' is a model: say where it runs with --topology NAME, or give a workload "
                            "(`partita explain` shows the model alone)",
                            options->workload);
    arena_init(&arena);
    const char *path = arena_text(&arena, model);
    scenario_fini(scenario);
    bool good = default_workload_load(scenario, options, path);
    arena_fini(&arena);
    return good;
}

/* Reads the discipline, if there is one. What is planned then is a step of the first that trains, alone. */
static bool scenario_discipline(struct scenario *scenario)
{
    struct workload *workload = &scenario->workload;
    if (!workload->discipline)
        return true;
    if (workload->step != 0)
        return report_error(&scenario->input.report, workload->discipline->place,
                            "a discipline is for training; this workload's step is inference");
    if (!discipline_read(&scenario->input, workload->discipline, &scenario->platform, &scenario->names,
                         &scenario->script))
        return false;
    scenario->given_plan = workload->plan;
    workload->steps = 1;
    workload->plan =
        pricing_plan(scenario, workload->plan, scenario->script.devices.at[scenario->script.learners.at[0]]);
    return workload->plan;
}

bool scenario_load(struct scenario *scenario, const struct scenario_options *options)
{
    const char *model;
    scenario_init(scenario, options->data_root);
    struct input *input = &scenario->input;
    if (!scenario_document(scenario, options, &model))
        return false;
    if (model)
        return scenario_of_model(scenario, options, model);
    spelling_read(input, scenario->document);
    /* As many errors in one go as do not follow from each other. */
    bool good = scenario_set(scenario, options, false);
    if (options->seed)
        document_set_as(input, scenario->document, "seed", "seed",
                        arena_format(&input->arena, "%lld", (long long)options->seed));
    good = workload_read(input, scenario->document, &scenario->workload) && good;
    good = scenario_topology(scenario, options) && good;
    good = good && changes_read(input, scenario->workload.changes, &scenario->platform, &scenario->arena,
                                &scenario->changes, &scenario->change_count);
    good =
        good && randomness_read(input, scenario->workload.random, &scenario->platform, &scenario->randomness);
    if (good && scenario->workload.trace)
        return scenario_trace_load(scenario) && scenario_connected(scenario);
    good = good && scenario_discipline(scenario);
    struct value *set = scenario->workload.model ? scenario_model_set(scenario) : NULL;
    const struct value *shape = set ? scenario_model_document(scenario, set) : NULL;
    if (!good || !shape || !scenario_model(scenario, shape, set, options->unplanned))
        return false;
    scenario->generates = !generation_obstacle(scenario, shape);
    if (options->unplanned)
        return true;
    if (!generation_model(scenario, shape, set) ||
        !workload_plan(input, &scenario->workload, &scenario->platform, &scenario->model, &scenario->plan) ||
        !generation_plan(scenario))
        return false;
    scenario->plan.glance = options->glance;
    scenario->plan.folded = scenario_brief(scenario, options) && emit_token_folds(&scenario->plan);
    scenario->derivations = ARENA_ARRAY(&scenario->arena, struct derivation, scenario->plan.stages.count);
    if (!derive_plan(&scenario->plan, scenario->derivations, &scenario->arena, &input->report) ||
        !scenario_plan(scenario, options))
        return false;
    return scenario_connected(scenario) && (!scenario->script.discipline || pricing_fill(scenario));
}

struct engine_options scenario_engine(const struct scenario *scenario)
{
    const struct workload *workload = &scenario->workload;
    return (struct engine_options){.chunk = workload->chunk,
                                   .pieces = workload->pieces,
                                   .level = workload->collectives == 0 ? ENGINE_FLUID : ENGINE_STEPS,
                                   .network = network_model_find(workload_network_levels[workload->level]),
                                   .mtu = workload->mtu,
                                   .header = workload->header,
                                   .buffer = workload->buffer,
                                   .packet_limit = (uint64_t)workload->packets,
                                   .changes = scenario->changes,
                                   .change_count = scenario->change_count};
}

bool scenario_is_random(const struct scenario *scenario)
{
    const struct discipline *discipline = scenario->script.discipline;
    return randomness_is_any(&scenario->randomness) || (discipline && discipline->draws);
}

const char *scenario_resolved(struct scenario *scenario)
{
    struct arena *arena = &scenario->input.arena;
    struct place place = scenario->document->place;
    struct value *both = value_new(arena, place, VALUE_MAP);
    value_put(arena, both, "workload", place, scenario->document);
    value_put(arena, both, "topology", place, scenario->topology_document);
    return value_write(both, arena);
}
