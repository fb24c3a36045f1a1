/* ZB-H1 and ZB-H2 (Qi et al. 2024, arXiv 2401.10241): the backward pass is two passes, I and W, and W waits
 * for a gap. Device d of p starts with p-d forward passes under H1 and 2(p-d)-1 under H2, then repeats I, W,
 * F with its W that of d (H1) or 2d (H2) micro-batches before. */
#include "plan/schedule.h"

#include <math.h>

static void zero_bubble_list(uint32_t stage, uint32_t ahead, uint32_t late, uint32_t micro_batches,
                             struct schedule_list *out)
{
    uint32_t forward = 0, weight = 0;
    while (forward < ahead && forward < micro_batches)
        schedule_add(out, PASS_F, stage, forward++);
    for (uint32_t input = 0; input < micro_batches; input++) {
        schedule_add(out, PASS_I, stage, input);
        if (input >= late)
            schedule_add(out, PASS_W, stage, weight++);
        if (forward < micro_batches)
            schedule_add(out, PASS_F, stage, forward++);
    }
    while (weight < micro_batches)
        schedule_add(out, PASS_W, stage, weight++);
}

static void zb_h1_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        zero_bubble_list(d, shape->devices - d, d, shape->micro_batches, &lists[d]);
}

static void zb_h2_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        zero_bubble_list(d, 2 * (shape->devices - d) - 1, 2 * d, shape->micro_batches, &lists[d]);
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

const struct schedule zb_h1_schedule = {
    .name = "zb-h1",
    .about = "1f1b with weight gradients apart (I, W), which fill the bubble; memory of 1f1b",
    .source = "Qi et al. 2024, Zero Bubble Pipeline Parallelism (arXiv 2401.10241)",
    .training = true,
    .order = zb_h1_order,
    .makespan = zb_h1_makespan,
    .peak = zb_h1_peak,
};

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
