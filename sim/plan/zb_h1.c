/* ZB-H1 (Qi et al. 2024): device d of p starts with p-d forward passes, as under 1F1B, and its weight
 * gradients are d micro-batches late. */
#include "plan/zero_bubble.h"

#include <math.h>

static void zb_h1_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        zero_bubble_list(d, shape->devices - d, d, shape->micro_batches, &lists[d]);
}

static double zb_h1_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double f, i, w, m = shape->micro_batches, p = shape->devices;
    if (!schedule_equal(&zb_h1_schedule, shape, times, &f, &i, &w) || m < p || w > fmin(f, i))
        return NAN;
    return m * (f + i + w) + (p - 1) * (f + i - w);
}

static double zb_h1_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    if (shape->micro_batches < shape->devices)
        return NAN;
    return (shape->devices - device) * whole + device * weight;
}

const struct schedule zb_h1_schedule = {
    .name = "zb-h1",
    .about = "1f1b with weight gradients apart (I, W), which fill the bubble; memory of 1f1b",
    .source = "Qi et al. 2024, Zero Bubble Pipeline Parallelism (arXiv 2401.10241)",
    .training = true,
    .order = zb_h1_order,
    .makespan = zb_h1_makespan,
    .peak = zb_h1_peak,
};
