/* Eager 1F1B (Zhuang et al. 2023): 1F1B with twice as many forward passes before the first backward pass, so
 * that transfers have time. */
#include "plan/one_f_one_b.h"

#include <math.h>

static void eager_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        one_f_one_b_list(d, 2 * (shape->devices - 1 - d), shape->micro_batches, &lists[d]);
}

static double eager_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)weight;
    return fmin(shape->micro_batches, 2.0 * (shape->devices - device) - 1) * whole;
}

const struct schedule eager_schedule = {
    .name = "eager-1f1b",
    .about = "1f1b with twice the warm-up, so that transfers have time: more activations",
    .source = "Zhuang et al. 2023, On Optimizing the Communication of Model Parallelism",
    .training = true,
    .order = eager_order,
    .makespan = one_f_one_b_makespan,
    .peak = eager_peak,
};
