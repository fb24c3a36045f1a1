/* ZB-H2 (Qi et al. 2024): device d of p starts with 2(p-d)-1 forward passes, and its weight gradients are 2d
 * micro-batches late. With equal passes no device waits between its first and its last pass. */
#include "plan/zero_bubble.h"

#include <math.h>

static void zb_h2_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        zero_bubble_list(d, 2 * (shape->devices - d) - 1, 2 * d, shape->micro_batches, &lists[d]);
}

static double zb_h2_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double f, i, w, m = shape->micro_batches, p = shape->devices;
    if (!schedule_equal(&zb_h2_schedule, shape, times, &f, &i, &w) || m < 2 * p - 1 || f != i || f != w)
        return NAN;
    return m * (f + i + w) + (p - 1) * f;
}

static double zb_h2_span(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double f, i, w, m = shape->micro_batches, p = shape->devices;
    if (!schedule_equal(&zb_h2_schedule, shape, times, &f, &i, &w) || m < 2 * p - 1 || f != i || f != w)
        return NAN;
    return m * (f + i + w);
}

static double zb_h2_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    if (shape->micro_batches < 2 * shape->devices - 1)
        return NAN;
    return (2.0 * shape->devices - 2.0 * device - 1) * whole + 2.0 * device * weight;
}

const struct schedule zb_h2_schedule = {
    .name = "zb-h2",
    .about = "weight gradients fill the whole bubble, for twice the activations of 1f1b",
    .source = "Qi et al. 2024, Zero Bubble Pipeline Parallelism (arXiv 2401.10241)",
    .training = true,
    .order = zb_h2_order,
    .makespan = zb_h2_makespan,
    .span = zb_h2_span,
    .peak = zb_h2_peak,
};
