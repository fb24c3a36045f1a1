/* Helpers of the tests of generated text: a workload on chips without overheads, planned and run. */
#ifndef PARTITA_TESTS_GENERATED_H
#define PARTITA_TESTS_GENERATED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "record/metrics.h"
#include "study/scenario.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ASSERT_NEAR(found, wanted, share)                                                                    \
    do {                                                                                                     \
        double found_ = (found), wanted_ = (wanted);                                                         \
        if (!(fabs(found_ - wanted_) <= (share)*fabs(wanted_)))                                              \
            fail_msg("%s is %.17g; expected %.17g", #found, found_, wanted_);                                \
    } while (0)

struct generated {
    struct scenario scenario;
    struct engine_result result;
    struct metrics metrics;
    bool run;
};

/* Plans what `body` says (YAML without topology and step), or only what of it decides its memory. */
static inline void generated_plan_as(struct generated *g, const char *body, bool glance)
{
    char text[2048];
    *g = (struct generated){.run = false};
    snprintf(text, sizeof text,
             "name: generated\ntopology: %s/tests/unit/study/ideal/line\nstep: inference\n%s", PARTITA_SOURCE,
             body);
    struct scenario_options options = {
        .workload = "generated", .text = text, .data_root = PARTITA_SOURCE, .glance = glance};
    if (!scenario_load(&g->scenario, &options)) {
        report_print(&g->scenario.input.report, stdout);
        fail_msg("%s", text);
    }
}

static inline void generated_plan(struct generated *g, const char *body)
{
    generated_plan_as(g, body, false);
}

static inline void generated_run(struct generated *g, const char *body)
{
    const char *error = NULL;
    generated_plan(g, body);
    struct engine_options engine = scenario_engine(&g->scenario);
    if (!engine_run(&g->scenario.platform, &g->scenario.job, &engine, &g->result, &error) ||
        !metrics_compute(&g->scenario.plan, &g->scenario.job, &g->result, &g->metrics, &error))
        fail_msg("%s", error);
    g->run = true;
}

static inline void generated_fini(struct generated *g)
{
    if (g->run) {
        metrics_fini(&g->metrics);
        engine_result_fini(&g->result);
    }
    scenario_fini(&g->scenario);
}

/* Bytes that a rank has put into its cache by the end of a step; `left`: and has not given back. */
static inline double generated_cache(const struct generated *g, uint32_t rank, bool left)
{
    const struct program *program = &g->scenario.job.programs[g->scenario.job.ranks[rank].program];
    double bytes = 0;
    for (uint32_t i = 0; i < program->memory_count; i++)
        if (program->memory[i].category == MEMORY_CACHE && (left || program->memory[i].bytes > 0))
            bytes += program->memory[i].bytes;
    return bytes;
}

/* Model FLOPs of all ranks, of one token or (PROGRAM_NONE) of all. */
static inline double generated_flops(const struct generated *g, uint32_t token)
{
    const struct job *job = &g->scenario.job;
    double flops = 0;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        for (uint32_t i = 0; i < program->op_count; i++)
            if (token == PROGRAM_NONE || program->ops[i].token == token)
                flops += program->ops[i].model_flops;
    }
    return flops;
}

#endif
