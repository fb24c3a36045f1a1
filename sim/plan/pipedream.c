/* PipeDream (Narayanan et al. 2019): 1F1B that never drains. Each backward pass is followed by an update of
 * the stage's weights, so a stage keeps the versions that its micro-batches in flight were computed with:
 * p - s of them, and its gradients are p-1-s updates old. PipeDream-2BW (Narayanan et al. 2021) accumulates a
 * step's gradients before each update, and two versions are enough. */
#include "plan/one_f_one_b.h"

#include <math.h>

static uint32_t pipedream_update(const struct schedule_shape *shape)
{
    (void)shape;
    return 1;
}

static uint32_t pipedream_versions(const struct schedule_shape *shape, uint32_t device)
{
    return shape->devices - device;
}

static uint32_t pipedream_2bw_update(const struct schedule_shape *shape)
{
    return shape->micro_batches;
}

static uint32_t pipedream_2bw_versions(const struct schedule_shape *shape, uint32_t device)
{
    (void)shape, (void)device;
    return 2;
}

/* With fewer micro-batches per update than stages, more than two versions would be in flight. */
static const char *pipedream_2bw_problem(const struct schedule_shape *shape)
{
    return shape->micro_batches < shape->devices
               ? "keeps two versions of the weights, which needs at least as many micro-batches as devices"
               : NULL;
}

const struct schedule pipedream_schedule = {
    .name = "pipedream",
    .about = "1f1b without a flush: an update after each backward pass, with versions of the weights",
    .source = "Narayanan et al. 2019, PipeDream",
    .training = true,
    .asynchronous = true,
    .update = pipedream_update,
    .order = one_f_one_b_order,
    .makespan = one_f_one_b_makespan,
    .peak = one_f_one_b_peak,
    .versions = pipedream_versions,
};

const struct schedule pipedream_2bw_schedule = {
    .name = "pipedream-2bw",
    .about = "1f1b without a flush: an update per step, with two versions of the weights",
    .source = "Narayanan et al. 2021, Memory-Efficient Pipeline-Parallel DNN Training",
    .training = true,
    .asynchronous = true,
    .update = pipedream_2bw_update,
    .problem = pipedream_2bw_problem,
    .order = one_f_one_b_order,
    .makespan = one_f_one_b_makespan,
    .peak = one_f_one_b_peak,
    .versions = pipedream_2bw_versions,
};
