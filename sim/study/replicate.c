#include "study/replicate.h"

#include "record/gather.h"
#include "study/performance.h"

#include <math.h>

#define AT(member) offsetof(struct metrics, member)
const struct replicate_metric replicate_metrics[REPLICATE_METRICS] = {
    {"step time", "step_time_s", UNIT_SECONDS, AT(step_time)},
    {"samples per second", "samples_per_s", UNIT_NONE, AT(samples_per_s)},
    {"compute", "compute_s", UNIT_SECONDS, AT(compute)},
    {"bubble", "bubble_s", UNIT_SECONDS, AT(bubble)},
    {"MFU", "mfu", UNIT_NONE, AT(mfu)},
    {"energy", "energy_j", UNIT_JOULES, AT(energy)},
};
#undef AT

/* Runs the job, and finds the metrics as it goes if there are no records of it afterwards. */
static bool replicate_run(struct scenario *scenario, struct engine_options *options,
                          struct engine_result *result, struct metrics *metrics, const char **error)
{
    struct gather gather;
    bool whole = scenario->job.section_count == 0;
    gather_init(&gather, &scenario->plan, &scenario->job, metrics);
    if (!whole)
        options->observer = (struct engine_observer){&gather, gather_pass};
    bool good = engine_run(&scenario->platform, &scenario->job, options, result, error);
    if (good && whole)
        gather_result(&gather, result);
    if (good && !metrics_gathered(&gather, metrics, error)) {
        engine_result_fini(result);
        good = false;
    }
    gather_fini(&gather);
    if (!good)
        metrics_fini(metrics);
    return good;
}

bool replicate_once(struct scenario *scenario, const struct engine_options *engine, uint64_t seed,
                    struct engine_result *result, struct metrics *metrics, const char **error)
{
    if (scenario->script.discipline)
        return performance_once(scenario, engine, seed, result, metrics, error);
    struct engine_options options = *engine;
    struct arena arena;
    arena_init(&arena);
    options.random =
        randomness_start(&scenario->randomness, &scenario->platform, &scenario->job, seed, &arena);
    *metrics = (struct metrics){0};
    bool good = replicate_run(scenario, &options, result, metrics, error);
    if (good)
        scenario->steady = performance_steps(&scenario->job, result);
    arena_fini(&arena);
    return good;
}

bool replicate_enough(const struct estimate *estimate, double share)
{
    return share > 0 && estimate->count >= REPLICATE_LEAST &&
           estimate_half_width(estimate) <= share * fabs(estimate->mean);
}
