#include "study/default_workload.h"

#include "model/decode.h"
#include "plan/recompute.h"
#include "platform/route.h"
#include "study/default_plan.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_FILL = 4,    /* micro-batches per stage, so that a pipeline's bubble stays below a fifth */
    DEFAULT_SPLITS = 16, /* splits that are tried */
    DEFAULT_NEAR = 8,    /* devices that are asked how fast the first one reaches them */
    DEFAULT_TOKENS = 128 /* that an inference of a language model generates */
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
    while (count < devices->count && count < DEFAULT_NEAR &&
           default_bandwidth(platform, devices->at[0], devices->at[count]) >= nearest * (1 - 1e-9))
        count++;
    return count;
}

/* Degrees and sizes that may be given by --set, and where they are kept. */
struct default_key {
    const char *name;
    size_t offset;
};
static const struct default_key default_keys[] = {
    {"plan.tensor", offsetof(struct default_given, tensor)},
    {"plan.pipeline", offsetof(struct default_given, pipeline)},
    {"plan.context", offsetof(struct default_given, context)},
    {"plan.data", offsetof(struct default_given, data)},
    {"plan.expert", offsetof(struct default_given, expert)},
    {"batch.micro", offsetof(struct default_given, micro)},
    {"batch.global", offsetof(struct default_given, global)},
    {"plan.zero", offsetof(struct default_given, zero)},
};

/* What --set plan.offload may leave with a host or a drive. */
static const struct default_key default_away[] = {
    {"plan.offload.optimizer", offsetof(struct default_given, no_optimizer)},
    {"plan.offload.parameters", offsetof(struct default_given, no_parameters)},
    {"plan.offload.activations", offsetof(struct default_given, no_activations)},
};

/* One --set of a plan, a batch or what its bytes depend on. What is not a plain number is left to the reader
 * of workloads. */
static void default_note(struct default_given *given, const char *set)
{
    const char *equals = strchr(set, '=');
    char *end;
    size_t length = equals ? (size_t)(equals - set) : 0;
    long number = equals ? strtol(equals + 1, &end, 10) : -1;
    bool plain = equals && end != equals + 1 && *end == '\0' && number >= 0 && number < INT32_MAX;
    for (size_t k = 0; plain && k < sizeof default_keys / sizeof default_keys[0]; k++)
        if (strlen(default_keys[k].name) == length && strncmp(set, default_keys[k].name, length) == 0) {
            memcpy((char *)given + default_keys[k].offset, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
            return;
        }
    for (size_t k = 0; equals && k < sizeof default_away / sizeof default_away[0]; k++)
        if (strlen(default_away[k].name) == length && strncmp(set, default_away[k].name, length) == 0) {
            *((bool *)given + default_away[k].offset) = true;
            return;
        }
    for (int r = 0; equals && length == strlen("plan.recompute") && r < RECOMPUTE_COUNT; r++)
        if (strncmp(set, "plan.recompute", length) == 0 && strcmp(equals + 1, recompute_names[r]) == 0) {
            given->recompute = r;
            return;
        }
    given->others = true;
}

static struct default_given default_read(const struct scenario_options *options)
{
    static const char *const about[] = {"plan", "batch", "precision", "optimizer"};
    struct default_given given = {.zero = -1, .recompute = -1};
    for (uint32_t i = 0; i < options->set_count; i++)
        for (size_t k = 0; k < sizeof about / sizeof about[0]; k++)
            if (strncmp(options->sets[i], about[k], strlen(about[k])) == 0 &&
                strncmp(options->sets[i], "batch.sequence", strlen("batch.sequence")) != 0)
                default_note(&given, options->sets[i]);
    return given;
}

/* A prompt as long as the model's sequences, or as its table of positions leaves room for. */
static void default_lengths(const struct scenario *scenario, struct default_facts *facts)
{
    uint64_t rows = decode_positions(&scenario->model), most = (uint64_t)scenario->model.tokens;
    if (facts->training || !scenario->generates)
        return;
    facts->generate = rows && rows < 2 * DEFAULT_TOKENS ? rows / 2 : DEFAULT_TOKENS;
    facts->prompt = rows && most + facts->generate - 1 > rows ? rows - facts->generate : most;
}

/* 16 bits where the devices are made for them. */
static enum precision default_precision(const struct device_type *type)
{
    if (type->peak[BF16] > 0)
        return BF16;
    return type->peak[FP16] > type->peak[FP32] ? FP16 : FP32;
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
    const struct model *model = &scenario->model;
    const struct device_type *type = &platform->device_types.at[platform->devices.at[devices.at[0]].type];
    bool sequences = strcmp(model->sample, "sequence") == 0;
    *facts = (struct default_facts){.devices = devices.count,
                                    .neighbours = default_neighbours(&scenario->platform, &devices),
                                    .memory = INFINITY,
                                    .tokens = sequences ? fmax(model->tokens, 1) : 0,
                                    .precision = default_precision(type),
                                    .training = scenario->workload.step == 0};
    for (uint32_t i = 0; i < devices.count; i++) {
        const struct device *device = &platform->devices.at[devices.at[i]];
        facts->memory = fmin(facts->memory, platform->device_types.at[device->type].memory);
    }
    VECTOR_FREE(&devices);
    default_plan_measure(model, facts, &scenario->arena);
    default_lengths(scenario, facts);
    return true;
}

/* The samples of a step, and what is generated of them. */
static const char *default_batch(struct arena *arena, const struct default_facts *facts,
                                 const struct default_choice *choice, uint32_t micro_batches)
{
    if (facts->generate)
        return arena_format(arena, "{global: %u, micro: %u, sequence: %llu, generate: %llu}", choice->micro,
                            choice->micro, (unsigned long long)facts->prompt,
                            (unsigned long long)facts->generate);
    return arena_format(arena, "{global: %u, micro: %u}",
                        facts->training ? choice->data * choice->micro * micro_batches : choice->micro,
                        choice->micro);
}

/* The workload as a file would say it. */
static const char *default_text(struct arena *arena, const struct default_facts *facts,
                                const struct default_choice *choice, const char *name, const char *model)
{
    uint32_t micro_batches = default_plan_samples(facts) / choice->micro;
    if (choice->pipeline > 1 && micro_batches < DEFAULT_FILL * choice->pipeline)
        micro_batches = DEFAULT_FILL * choice->pipeline;
    micro_batches = micro_batches ? micro_batches : 1;
    const char *plan = arena_format(arena, "tensor: %u, pipeline: %u", choice->tensor, choice->pipeline);
    if (choice->expert > 1)
        plan = arena_format(arena, "%s, expert: %u", plan, choice->expert);
    if (facts->training)
        plan = arena_format(arena, "%s, recompute: %s, zero: %u", plan, recompute_names[choice->recompute],
                            choice->zero);
    if (facts->training && choice->tensor > 1)
        plan = arena_format(arena, "%s, sequence-parallel: yes", plan);
    return arena_format(arena,
                        "name: '%s'\nmodel: {name: '%s'}\nstep: %s\nprecision: %s\n%sbatch: %s\n"
                        "plan: {%s}\n",
                        name, model, facts->training ? "training" : "inference",
                        precision_names[facts->precision], facts->training ? "optimizer: adam\n" : "",
                        default_batch(arena, facts, choice, micro_batches), plan);
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

/* The workloads to try, in this order, and the one to take where none fits. */
struct default_texts {
    const char **at;
    uint32_t *split; /* of each: equal where only recomputation and micro-batch differ */
    uint32_t count;
    const char *least;
    double least_over; /* bytes by which that is over its memory at least */
};

static struct default_texts default_write(struct arena *arena, const struct scenario_options *options,
                                          const struct default_facts *facts, const char *model)
{
    const char *slash = strrchr(model, '/');
    const char *name = arena_format(arena, "%s on %s", slash ? slash + 1 : model, options->topology);
    struct default_given given = default_read(options);
    struct default_choice_list choices = {0};
    struct default_choice least;
    default_plan_list(facts, &given, &choices, &least);
    if (least.tensor == 0) /* what is given does not go with these devices: planning says why */
        least = (struct default_choice){1, 1, 1, facts->devices, 1, 1, 0, RECOMPUTE_NONE};
    struct default_texts texts = {
        .least = default_text(arena, facts, &least, name, model),
        .least_over = given.others ? -INFINITY : default_plan_bound(facts, &given, &least) - facts->memory};
    texts.at = ARENA_ARRAY(arena, const char *, choices.count + 1);
    texts.split = ARENA_ARRAY(arena, uint32_t, choices.count + 1);
    texts.count = choices.count;
    for (uint32_t i = 0; i < choices.count; i++) {
        const struct default_choice *c = &choices.at[i], *before = i ? c - 1 : c;
        bool same = c->tensor == before->tensor && c->pipeline == before->pipeline &&
                    c->expert == before->expert && c->zero == before->zero;
        texts.at[i] = default_text(arena, facts, c, name, model);
        texts.split[i] = i ? texts.split[i - 1] + !same : 0;
    }
    VECTOR_FREE(&choices);
    return texts;
}

/* From `first` on, those that differ in recomputation and micro-batch only. The last one needs least. */
static uint32_t default_split_end(const struct default_texts *texts, uint32_t first)
{
    uint32_t end = first + 1;
    while (end < texts->count && texts->split[end] == texts->split[first])
        end++;
    return end;
}

/* One candidate; with `probe`, as far as it takes to see whether it can fit. */
static bool default_try(struct scenario *scenario, const struct scenario_options *options, const char *text,
                        bool probe)
{
    struct scenario_options tried = *options;
    tried.text = text;
    tried.unplanned = false;
    tried.probe = probe;
    scenario_fini(scenario);
    bool good = scenario_load(scenario, &tried);
    if (good)
        scenario->chosen = default_chosen(&scenario->arena, text);
    return good;
}

static bool default_may_fit(struct scenario *scenario, const struct scenario_options *options,
                            const char *text)
{
    return default_try(scenario, options, text, true) && scenario->plan.fits;
}

/* Takes the first that fits. Where not even the last of a split may, the others of it are passed over. */
static bool default_search(struct scenario *scenario, const struct scenario_options *options,
                           const struct default_texts *texts)
{
    uint32_t splits = 0;
    for (uint32_t first = 0, end; first < texts->count && splits < DEFAULT_SPLITS; first = end) {
        end = default_split_end(texts, first);
        splits++;
        if (end - first > 1 && !default_may_fit(scenario, options, texts->at[end - 1]))
            continue;
        for (uint32_t i = first; i < end; i++)
            if (default_may_fit(scenario, options, texts->at[i]) && scenario_finish(scenario, options) &&
                scenario->plan.fits)
                return true;
    }
    if (options->nearer && texts->least_over >= options->over)
        return false;
    return default_try(scenario, options, texts->least, false);
}

bool default_workload_load(struct scenario *scenario, const struct scenario_options *options,
                           const char *model)
{
    struct arena arena;
    struct default_facts facts;
    arena_init(&arena);
    struct scenario_options look = *options;
    bool inference = default_is_set(options, "step=inference");
    look.unplanned = true;
    look.text = arena_format(&arena, "model: {name: '%s'}\nstep: %s\nbatch: {global: 1, micro: 1}\n", model,
                             inference ? "inference" : "training");
    bool good = default_look(scenario, &look, &facts);
    if (good) {
        struct default_texts texts = default_write(&arena, options, &facts, model);
        good = default_search(scenario, options, &texts);
    }
    arena_fini(&arena);
    return good;
}
