/* A plan built by hand for the tests of this room: a model from a few lines of YAML, devices that are all
 * alike, and stages whose axes are written as text. */
#ifndef PARTITA_TESTS_PLAN_CASE_H
#define PARTITA_TESTS_PLAN_CASE_H

#include "model/build.h"
#include "plan/derive.h"
#include "plan/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct plan_case {
    struct input input;
    struct names names;
    struct arena arena;
    struct model model;
    struct platform platform;
    struct plan plan;
    struct derivation *derivations;
};

/* A small generator of the tests' own (splitmix64), so that a printed seed is enough to repeat a case. */
static inline uint64_t case_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [low, high]. */
static inline uint32_t case_between(uint64_t *state, uint32_t low, uint32_t high)
{
    return low + (uint32_t)(case_random(state) % (high - low + 1));
}

static inline struct value *case_parse(struct plan_case *c, const char *name, const char *text)
{
    return document_parse(&c->input, name, text, strlen(text), false);
}

/* Builds a model document with parameters (or NULL), and a training plan without stages: fp32, one
 * micro-batch, one step. */
static inline void case_init_from(struct plan_case *c, const char *file, const char *model,
                                  const char *parameters, uint64_t batch)
{
    *c = (struct plan_case){0};
    input_init(&c->input, PARTITA_SOURCE);
    names_init(&c->names);
    arena_init(&c->arena);
    model_init(&c->model, &c->names);
    platform_init(&c->platform, &c->names);
    plan_init(&c->plan);
    struct value *document = file ? document_load(&c->input, file) : case_parse(c, "model", model);
    struct value *set = parameters ? case_parse(c, "parameters", parameters) : NULL;
    bool well = document && build_model(&c->input, document, set, batch, &c->model);
    if (!well) {
        report_print(&c->input.report, stderr);
        fail_msg("this model cannot be built:\n%s", file ? file : model);
    }
    struct device_type type = {.name = names_add(&c->names, "Unit"), .kind = names_add(&c->names, "gpu")};
    type.memory = 1e12;
    type.memory_bandwidth = 1e30;
    for (int p = 0; p < PRECISION_COUNT; p++)
        type.peak[p] = 1e9;
    for (int k = 0; k < KERNEL_COUNT; k++)
        type.efficiency[k] = 1;
    VECTOR_PUSH(&c->platform.device_types, type);
    c->plan.model = &c->model;
    c->plan.platform = &c->platform;
    c->plan.training = true;
    c->plan.global_batch = c->plan.micro_batch = batch;
    c->plan.micro_batches = c->plan.steps = 1;
    plan_precisions(&c->plan, FP32);
    c->plan.optimizer = OPTIMIZER_ADAM;
    c->plan.schedule = &gpipe_schedule;
    c->plan.synchronise_statistics = true;
    c->plan.input_device = MODEL_NONE;
}

static inline void case_init(struct plan_case *c, const char *model, uint64_t batch)
{
    case_init_from(c, NULL, model, NULL, batch);
}

/* A shipped model. */
static inline void case_init_shipped(struct plan_case *c, const char *name, const char *parameters,
                                     uint64_t batch)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/workloads/models/%s.yaml", PARTITA_SOURCE, name);
    case_init_from(c, path, NULL, parameters, batch);
}

static inline uint32_t case_device(struct plan_case *c)
{
    char name[32];
    snprintf(name, sizeof name, "device[%u]", c->platform.devices.count);
    uint32_t node = c->platform.nodes.count;
    VECTOR_PUSH(&c->platform.nodes,
                ((struct node){.name = names_add(&c->names, name), .device = c->platform.devices.count}));
    VECTOR_PUSH(&c->platform.devices,
                ((struct device){.name = names_add(&c->names, name), .node = node, .speed = 1}));
    return c->platform.devices.count - 1;
}

/* Weights as text, "3/0/1", in memory that the process keeps. Returns how many there are. */
static inline uint32_t case_weights(struct arena *arena, const char *text, const double **weights)
{
    uint32_t count = 1;
    for (const char *at = text; *at; at++)
        count += *at == '/';
    double *read = ARENA_ARRAY(arena, double, count);
    char *at = (char *)(uintptr_t)text;
    for (uint32_t i = 0; i < count; i++)
        read[i] = strtod(at + (i > 0), &at);
    *weights = read;
    return count;
}

static inline const double *case_equal(struct arena *arena, uint32_t count)
{
    double *weights = ARENA_ARRAY(arena, double, count);
    for (uint32_t i = 0; i < count; i++)
        weights[i] = 1;
    return weights;
}

/* "y:2 g,r,f:4" gives two axes: the first splits y over 2 members, the second g, else r, else f over 4;
 * "y:3/0/1" splits y over three in these proportions (an arena is then needed). */
static inline uint32_t case_axes(struct names *names, struct arena *arena, const char *text,
                                 struct plan_stage *stage)
{
    char copy[256], *save_axis = NULL;
    uint32_t members = 1;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *axis = strtok_r(copy, " ", &save_axis); axis; axis = strtok_r(NULL, " ", &save_axis)) {
        char *size = strchr(axis, ':'), *save_label = NULL;
        struct plan_axis *at = &stage->axes[stage->axis_count++];
        assert_non_null(size);
        *size++ = 0;
        at->size =
            strchr(size, '/') ? case_weights(arena, size, &at->weights) : (uint32_t)strtoul(size, NULL, 10);
        at->name = names_add(names, axis);
        uint32_t labels = 0;
        for (char *label = strtok_r(axis, ",", &save_label); label; label = strtok_r(NULL, ",", &save_label))
            at->labels[labels++] = names_add(names, label);
        members *= at->size;
    }
    return members;
}

/* Appends a stage of `units` units (0: all that are left) on new devices. */
static inline void case_stage(struct plan_case *c, uint32_t units, const char *axes)
{
    struct plan_stage stage = {0};
    struct plan *plan = &c->plan;
    if (plan->stages.count) {
        const struct plan_stage *before = &plan->stages.at[plan->stages.count - 1];
        stage.first_unit = before->first_unit + before->unit_count;
    }
    stage.unit_count = units ? units : c->model.units.count - stage.first_unit;
    uint32_t members = case_axes(&c->names, &c->arena, axes, &stage);
    for (uint32_t i = 0; i < members; i++)
        VECTOR_PUSH(&stage.devices, case_device(c));
    VECTOR_PUSH(&plan->stages, stage);
}

/* Makes the newest stage one fused block. `tiles`: axes of a grid of tiles that are dealt to its devices
 * (which then stand on one axis, or none), or NULL: each device is a tile. */
static inline void case_fuse(struct plan_case *c, const char *tiles)
{
    struct plan_stage *stage = &c->plan.stages.at[c->plan.stages.count - 1], grid = {0};
    stage->fused = ARENA_ARRAY(&c->arena, struct plan_fused, 1);
    stage->fused[0] = (struct plan_fused){stage->first_unit, stage->unit_count, {"fuse.yaml", 1, 1}};
    stage->fused_count = 1;
    if (!tiles)
        return;
    case_axes(&c->names, &c->arena, tiles, &grid);
    stage->tile_axis_count = grid.axis_count;
    memcpy(stage->tile_axes, grid.axes, sizeof grid.axes);
}

/* Cables from every device to one switch; call it once all devices are there. */
static inline void case_connect(struct plan_case *c, double bandwidth, double latency)
{
    struct platform *platform = &c->platform;
    uint32_t devices = platform->devices.count;
    VECTOR_PUSH(&platform->nodes, ((struct node){.device = UINT32_MAX}));
    platform->first_arc = ARENA_ARRAY(&platform->arena, uint32_t, devices + 2);
    for (uint32_t d = 0; d < devices; d++) {
        struct link link = {.bandwidth = bandwidth, .latency = latency, .name = platform->devices.at[d].name};
        VECTOR_PUSH(&platform->links, link);
        VECTOR_PUSH(&platform->links, link);
        VECTOR_PUSH(&platform->arcs, ((struct arc){d, devices, 2 * d}));
        platform->first_arc[d + 1] = d + 1;
    }
    for (uint32_t d = 0; d < devices; d++)
        VECTOR_PUSH(&platform->arcs, ((struct arc){devices, d, 2 * d + 1}));
    platform->first_arc[devices + 1] = 2 * devices;
}

static inline bool case_derive(struct plan_case *c)
{
    c->derivations = ARENA_ARRAY(&c->arena, struct derivation, c->plan.stages.count);
    return derive_plan(&c->plan, c->derivations, &c->arena, &c->input.report);
}

static inline void case_fini(struct plan_case *c)
{
    for (uint32_t s = 0; c->derivations && s < c->plan.stages.count; s++)
        derive_fini(&c->derivations[s]);
    plan_fini(&c->plan);
    model_fini(&c->model);
    platform_fini(&c->platform);
    arena_fini(&c->arena);
    names_fini(&c->names);
    input_fini(&c->input);
}

/* The plan in one line, for messages. */
static inline const char *case_describe(struct plan_case *c)
{
    const char *text = "";
    for (uint32_t s = 0; s < c->plan.stages.count; s++) {
        const struct plan_stage *stage = &c->plan.stages.at[s];
        text = arena_format(&c->arena, "%s [units %u+%u", text, stage->first_unit, stage->unit_count);
        for (uint32_t a = 0; a < stage->axis_count; a++) {
            text = arena_format(&c->arena, "%s %s:%u%s", text, names_text(&c->names, stage->axes[a].name),
                                stage->axes[a].size, stage->axes[a].combiner ? " to one" : "");
            for (uint32_t i = 0; stage->axes[a].weights && i < stage->axes[a].size; i++)
                text = arena_format(&c->arena, "%s/%g", text, stage->axes[a].weights[i]);
        }
        for (uint32_t a = 0; a < stage->tile_axis_count; a++)
            text = arena_format(&c->arena, "%s tiles %s:%u", text,
                                names_text(&c->names, stage->tile_axes[a].name), stage->tile_axes[a].size);
        text = arena_format(&c->arena, "%s%s]", text, stage->fused_count ? " fused" : "");
    }
    return text;
}

/* cmocka compares floats only. */
#define ASSERT_NEAR(actual, expected, tolerance)                                                             \
    do {                                                                                                     \
        double actual_ = (actual), expected_ = (expected);                                                   \
        if (!(fabs(actual_ - expected_) <= (tolerance) * (1 + fabs(expected_))))                             \
            fail_msg("%s is %.17g, expected %.17g", #actual, actual_, expected_);                            \
    } while (0)

#endif
