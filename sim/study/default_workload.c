#include "study/default_workload.h"

#include "platform/route.h"

#include <math.h>
#include <string.h>

enum {
    DEFAULT_MICRO = 32, /* samples of a micro-batch that are tried first, of models without sequences */
    DEFAULT_FILL = 4,   /* micro-batches per stage, so that a pipeline's bubble stays below a fifth */
    DEFAULT_TENSOR = 8, /* most tensor parallelism that is tried */
    DEFAULT_TRIES = 24  /* plans */
};

/* What is known of a scenario before it is planned. */
struct default_facts {
    uint32_t devices;    /* of the topology */
    uint32_t neighbours; /* devices from the first one on that it reaches as fast as its next one */
    uint64_t parameters;
    double memory; /* bytes of the smallest device */
    uint32_t units;
    bool sequences; /* a sample is a sequence of tokens */
    bool bf16, training;
    const char *name;
};

struct default_choice {
    uint32_t tensor, pipeline, data;
    uint32_t micro;
    const char *recompute;
};

static bool default_is_set(const struct scenario_options *options, const char *key)
{
    for (uint32_t i = 0; i < options->set_count; i++)
        if (strncmp(options->sets[i], key, strlen(key)) == 0)
            return true;
    return false;
}

/* Narrowest link between two devices, bytes per second; 0: no route. */
static double default_bandwidth(struct platform *platform, uint32_t from, uint32_t to)
{
    uint32_t count;
    const uint32_t *links = route_links(platform, from, to, &count);
    double narrowest = count == UINT32_MAX ? 0 : INFINITY;
    for (uint32_t l = 0; count != UINT32_MAX && l < count; l++)
        narrowest = fmin(narrowest, platform->links.at[links[l]].bandwidth);
    return narrowest;
}

static uint32_t default_neighbours(struct platform *platform, const struct index_list *devices)
{
    uint32_t count = 1;
    double nearest = devices->count > 1 ? default_bandwidth(platform, devices->at[0], devices->at[1]) : 0;
    while (count < devices->count && count < DEFAULT_TENSOR &&
           default_bandwidth(platform, devices->at[0], devices->at[count]) >= nearest * (1 - 1e-9))
        count++;
    return count;
}

/* The model and the topology, without a plan. */
static bool default_look(struct scenario *scenario, const struct scenario_options *options,
                         struct default_facts *facts)
{
    if (!scenario_load(scenario, options))
        return false;
    const struct platform *platform = &scenario->platform;
    struct index_list devices = {0};
    platform_list_workers(platform, &devices);
    const struct device_type *type = &platform->device_types.at[platform->devices.at[devices.at[0]].type];
    *facts = (struct default_facts){.devices = devices.count,
                                    .neighbours = default_neighbours(&scenario->platform, &devices),
                                    .parameters = model_parameters(&scenario->model),
                                    .memory = INFINITY,
                                    .units = scenario->model.units.count,
                                    .sequences = strcmp(scenario->model.sample, "sequence") == 0,
                                    .bf16 = type->peak[BF16] > 0,
                                    .training = scenario->workload.step == 0};
    for (uint32_t i = 0; i < devices.count; i++) {
        const struct device *device = &platform->devices.at[devices.at[i]];
        facts->memory = fmin(facts->memory, platform->device_types.at[device->type].memory);
    }
    VECTOR_FREE(&devices);
    return true;
}

/* Bytes that parameters, gradients and Adam's states take at least: 2 + 4 of each, and 12 over all
 * data-parallel members; fp32 needs no copy. */
static double default_states(const struct default_facts *facts, const struct default_choice *choice)
{
    double shares = (double)choice->tensor * choice->pipeline, each = facts->bf16 ? 6 : 8;
    double states = facts->bf16 ? 12 : 8;
    if (!facts->training)
        return (double)facts->parameters * (facts->bf16 ? 2 : 4) / shares;
    return (double)facts->parameters * (each + states / choice->data) / shares;
}

/* Candidates in order: less model parallelism first, then smaller micro-batches, then more recomputation. */
struct default_ladder {
    const struct default_facts *facts;
    struct default_choice at;
    int recompute;
};
static const char *const default_recompute[] = {"none", "selective", "full"};

static bool default_next_split(struct default_ladder *ladder)
{
    struct default_choice *at = &ladder->at;
    const struct default_facts *facts = ladder->facts;
    uint32_t most = facts->neighbours < DEFAULT_TENSOR ? facts->neighbours : DEFAULT_TENSOR;
    bool tensor = facts->sequences && 2 * at->tensor <= most && facts->devices % (2 * at->tensor) == 0;
    if (tensor)
        at->tensor *= 2;
    else
        at->pipeline *= 2;
    return at->pipeline <= facts->units && facts->devices % (at->tensor * at->pipeline) == 0;
}

/* The next candidate; false: there are no more. */
static bool default_next(struct default_ladder *ladder)
{
    struct default_choice *at = &ladder->at;
    int ways = ladder->facts->training ? 3 : 1;
    if (++ladder->recompute == ways) {
        ladder->recompute = 0;
        bool smaller = at->micro > 1;
        if (!smaller && !default_next_split(ladder))
            return false;
        at->micro = smaller                                                ? at->micro / 2
                    : ladder->facts->sequences || !ladder->facts->training ? 1
                                                                           : DEFAULT_MICRO;
    }
    at->data = ladder->facts->devices / (at->tensor * at->pipeline);
    at->recompute = default_recompute[ladder->recompute];
    return true;
}

/* The workload as a file would say it. */
static const char *default_text(struct arena *arena, const struct default_facts *facts,
                                const struct default_choice *choice, const char *model)
{
    uint32_t micro_batches = choice->pipeline > 1 ? DEFAULT_FILL * choice->pipeline : 1;
    const char *plan = arena_format(arena, "tensor: %u, pipeline: %u", choice->tensor, choice->pipeline);
    if (facts->training)
        plan = arena_format(arena, "%s, recompute: %s, zero: %d", plan, choice->recompute, choice->data > 1);
    if (facts->training && choice->tensor > 1)
        plan = arena_format(arena, "%s, sequence-parallel: yes", plan);
    return arena_format(
        arena,
        "name: '%s'\nmodel: {name: '%s'}\nstep: %s\nprecision: %s\n%sbatch: {global: %u, micro: %u}\n"
        "plan: {%s}\n",
        facts->name, model, facts->training ? "training" : "inference", facts->bf16 ? "bf16" : "fp32",
        facts->training ? "optimizer: adam\n" : "",
        facts->training ? choice->data * choice->micro * micro_batches : choice->micro, choice->micro, plan);
}

/* For people: the settings on one line. */
static const char *default_chosen(struct arena *arena, const char *text)
{
    char *line = arena_alloc(arena, 2 * strlen(text) + 1), *to = line;
    for (const char *c = strstr(text, "\nstep: ") + 1; *c; c++) {
        if (*c != '\n')
            *to++ = *c;
        else if (c[1])
            to = stpcpy(to, "; ");
    }
    return line;
}

/* One candidate. `fits` says whether it is worth taking. */
static bool default_try(struct scenario *scenario, const struct scenario_options *options, const char *text,
                        bool *fits)
{
    struct scenario_options tried = *options;
    tried.text = text;
    tried.unplanned = false;
    *fits = false;
    if (!scenario_load(scenario, &tried))
        return false;
    *fits = scenario->plan.fits;
    scenario->chosen = default_chosen(&scenario->arena, text);
    return true;
}

/* Goes down the ladder; `scenario` holds the last candidate tried. */
static bool default_search(struct scenario *scenario, const struct scenario_options *options,
                           struct default_ladder *ladder, const char *model, struct arena *arena)
{
    bool loaded = false, fits = false,
         own = default_is_set(options, "plan.") || default_is_set(options, "batch");
    const char *last = NULL;
    for (uint32_t tries = 0; tries < DEFAULT_TRIES && !fits && default_next(ladder);) {
        const char *text = default_text(arena, ladder->facts, &ladder->at, model);
        last = loaded ? last : text;
        if (!own && default_states(ladder->facts, &ladder->at) > ladder->facts->memory)
            continue;
        scenario_fini(scenario);
        if (default_try(scenario, options, text, &fits)) {
            loaded = true;
            last = text;
        }
        tries++;
    }
    if (fits)
        return true;
    scenario_fini(scenario);
    return default_try(scenario, options, last, &fits);
}

bool default_workload_load(struct scenario *scenario, const struct scenario_options *options,
                           const char *model)
{
    struct arena arena;
    struct default_facts facts;
    arena_init(&arena);
    const char *slash = strrchr(model, '/');
    struct scenario_options look = *options;
    bool inference = default_is_set(options, "step=inference");
    look.unplanned = true;
    look.text = arena_format(&arena, "model: {name: '%s'}\nstep: %s\nbatch: {global: 1, micro: 1}\n", model,
                             inference ? "inference" : "training");
    bool good = default_look(scenario, &look, &facts);
    facts.name = arena_format(&arena, "%s on %s", slash ? slash + 1 : model, options->topology);
    if (good) {
        struct default_ladder ladder = {
            &facts, {.tensor = 1, .pipeline = 1, .micro = facts.sequences ? 1 : DEFAULT_MICRO}, -1};
        if (!facts.training)
            ladder.at.micro = 1;
        good = default_search(scenario, options, &ladder, model, &arena);
    }
    arena_fini(&arena);
    return good;
}
