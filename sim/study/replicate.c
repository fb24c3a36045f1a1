#include "study/replicate.h"

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
    bool good = engine_run(&scenario->platform, &scenario->job, &options, result, error);
    if (good && !metrics_compute(&scenario->plan, &scenario->job, result, metrics, error)) {
        metrics_fini(metrics);
        engine_result_fini(result);
        good = false;
    }
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
