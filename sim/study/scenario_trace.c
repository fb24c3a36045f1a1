#include "study/scenario_trace.h"

#include "study/astra_system.h"

#include "trace/trace_load.h"

#include <stddef.h>
#include <string.h>

/* What stands under `trace:`. */
struct trace_keys {
    const char *path;
    const struct value *groups, *ranks, *system;
    int compute, missing;
};

static const char *const trace_missing[] = {"error", "copy", NULL};

#define AT(member) offsetof(struct trace_keys, member)
static const struct field trace_fields[] = {
    {.key = "path",
     .kind = FIELD_TEXT,
     .offset = AT(path),
     .about = "files of a trace: one of them, what their names begin with, or their folder"},
    {.key = "ranks",
     .kind = FIELD_VALUE,
     .offset = AT(ranks),
     .about = "instead of files, what each rank does: a list of maps `of`, `nodes`"},
    {.key = "compute",
     .kind = FIELD_CHOICE,
     .offset = AT(compute),
     .choices = replay_compute_names,
     .about = "recorded: durations of the trace; roofline: its FLOPs and bytes on the topology's devices"},
    {.key = "groups",
     .kind = FIELD_VALUE,
     .offset = AT(groups),
     .about =
         "process groups: a map name -> ranks, or a JSON file with one; of Chakra PREFIX.json by default"},
    {.key = "system",
     .kind = FIELD_VALUE,
     .offset = AT(system),
     .about = "JSON file of ASTRA-sim's system layer: algorithms, pieces, speed of the NPUs"},
    {.key = "missing",
     .kind = FIELD_CHOICE,
     .offset = AT(missing),
     .choices = trace_missing,
     .about = "a rank without a file is an error, or copies what the lowest rank does"},
};
#undef AT

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

struct value *scenario_trace_document(struct input *input, const char *text)
{
    struct arena *arena = &input->arena;
    const char *prefix = trace_load_find(text, arena);
    struct place place = {text, 0, 0};
    if (!prefix && input->data_root && *text != '/') { /* a shipped one */
        text = arena_format(arena, "%s/workloads/%s", input->data_root, text);
        prefix = trace_load_find(text, arena);
    }
    if (!prefix)
        return NULL;
    struct value *document = value_new(arena, place, VALUE_MAP), *trace = value_new(arena, place, VALUE_MAP);
    value_put(arena, document, "name", place, value_new_scalar(arena, place, base_of(prefix), true));
    value_put(arena, document, "trace", place, trace);
    value_put(arena, trace, "path", place, value_new_scalar(arena, place, arena_text(arena, text), true));
    return document;
}

/* Beside the workload's file, else as it stands. */
static const char *path_beside(struct input *input, const struct value *from, const char *path)
{
    const char *file = from->place.file, *slash = file ? strrchr(file, '/') : NULL;
    if (!slash || *path == '/')
        return path;
    const char *beside = arena_format(&input->arena, "%.*s%s", (int)(slash - file + 1), file, path);
    return trace_load_find(beside, &input->arena) ? beside : path;
}

/* Keys of a workload that say how a model is split have nothing to act on. */
static bool only_trace(struct scenario *scenario)
{
    static const char *const others[] = {"model",     "plan",  "batch", "optimizer",
                                         "gradients", "steps", "step",  "discipline"};
    bool good = true;
    for (size_t i = 0; i < FIELDS_COUNT(others); i++) {
        const struct entry *entry = value_entry(scenario->document, others[i]);
        if (entry)
            good = report_error(&scenario->input.report, entry->place,
                                "'%s' cannot stand beside 'trace', which says all that happens", others[i]);
    }
    return good;
}

static double model_flops(const struct job *job)
{
    double sum = 0;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        for (uint32_t i = 0; i < program->op_count; i++)
            sum += program->ops[i].step + 1 == job->steps ? program->ops[i].model_flops : 0;
    }
    return sum;
}

static void trace_plan(struct scenario *scenario, const struct trace *trace)
{
    struct plan *plan = &scenario->plan;
    plan->model = &scenario->model;
    plan->platform = &scenario->platform;
    plan->global_batch = plan->micro_batch = plan->micro_batches = 1;
    plan->model_flops = model_flops(&scenario->job);
    plan->fits = plan->replayed = true;
    scenario->model.name = names_add(&scenario->names, scenario->workload.name);
    scenario->replay.ranks = trace->ranks.count;
    scenario->replay.copies = trace->copies;
    scenario->replay.contents = trace->contents ? arena_text(&scenario->arena, trace->contents) : NULL;
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        scenario->replay.nodes += trace->ranks.at[r].nodes.count;
}

/* Exactly one of `path` and `ranks`. */
static bool one_source(struct input *input, const struct value *trace, const struct trace_keys *keys)
{
    if (keys->path && keys->ranks)
        return report_error(&input->report, value_entry(trace, "ranks")->place,
                            "'ranks' cannot stand beside 'path': a trace is in files, or written out");
    return keys->path || keys->ranks ||
           report_error(
               &input->report, trace->place,
               "missing key 'path' in trace; expected the files of a trace, or 'ranks', what each does");
}

bool scenario_trace_read(struct input *input, const struct value *trace, uint32_t devices, struct trace *read,
                         struct scenario_trace_said *said)
{
    struct trace_keys keys = {.compute = REPLAY_AUTOMATIC};
    if (!fields_want_map(input, trace, trace->place, "trace") ||
        !fields_read(input, trace, trace->place, "trace", trace_fields, FIELDS_COUNT(trace_fields), NULL,
                     &keys) ||
        !one_source(input, trace, &keys))
        return false;
    const struct value *from = keys.path ? value_get(trace, "path") : trace;
    struct trace_load_options load = {.path = keys.path ? path_beside(input, from, keys.path) : "",
                                      .ranks = keys.ranks,
                                      .copy = keys.missing == 1,
                                      .devices = devices,
                                      .place = from->place};
    if (keys.groups && keys.groups->kind == VALUE_MAP)
        load.group_map = keys.groups;
    else if (keys.groups && keys.groups->kind != VALUE_SCALAR)
        return report_error(&input->report, keys.groups->place,
                            "expected a map of process groups, or the name of a file with one; got %s",
                            value_describe(keys.groups, &input->arena));
    else if (keys.groups &&
             !(load.groups = document_find(input, "workloads", keys.groups->text, keys.groups->place)))
        return false;
    *said = (struct scenario_trace_said){(enum replay_compute)keys.compute, keys.system};
    return trace_load(input, &load, read);
}

/* Traces do not say in which precision was computed: what the workload says, else that of a bare model. */
static enum precision trace_precision(const struct scenario *scenario)
{
    int said = scenario->workload.precisions.activations;
    const struct platform *platform = &scenario->platform;
    if (said >= 0)
        return (enum precision)said;
    return platform->device_types.at[platform->devices.at[0].type].peak[BF16] > 0 ? BF16 : FP32;
}

bool scenario_trace_load(struct scenario *scenario)
{
    struct input *input = &scenario->input;
    struct scenario_trace_said said = {REPLAY_AUTOMATIC, NULL};
    struct trace trace;
    trace_init(&trace, &scenario->names);
    plan_precisions(&scenario->plan, trace_precision(scenario));
    bool good =
        only_trace(scenario) && scenario_trace_read(input, scenario->workload.trace,
                                                    platform_workers(&scenario->platform), &trace, &said);
    const struct value *system =
        good && said.system ? astra_system_read(scenario, said.system, &said.compute) : NULL;
    good = good && (system || !said.system);
    struct replay_options options = {said.compute, scenario->plan.precision,
                                     scenario->topology_document->place};
    good = good && replay_job(&trace, &scenario->platform, &options, &scenario->job,
                              &scenario->replay.compute, &input->report);
    good = good && (!system || astra_system_collectives(scenario, system));
    if (good)
        trace_plan(scenario, &trace);
    trace_fini(&trace);
    return good;
}
