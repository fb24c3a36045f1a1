/* 1F1B with a flush (PipeDream-flush, Narayanan et al. 2021): stage s of p runs min(m, p-1-s) forward passes,
 * then alternates one forward and one backward pass, then drains. */
#include "plan/one_f_one_b.h"

#include <math.h>

void one_f_one_b_list(uint32_t stage, uint32_t warm_up, uint32_t micro_batches, struct schedule_list *out)
{
    uint32_t forward = 0;
    while (forward < warm_up && forward < micro_batches)
        schedule_add(out, PASS_F, stage, forward++);
    for (uint32_t backward = 0; backward < micro_batches; backward++) {
        if (forward < micro_batches)
            schedule_add(out, PASS_F, stage, forward++);
        schedule_add(out, PASS_B, stage, backward);
    }
}

void one_f_one_b_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        one_f_one_b_list(d, shape->devices - 1 - d, shape->micro_batches, &lists[d]);
}

double one_f_one_b_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double forward, input, weight;
    if (!schedule_equal(&one_f_one_b_schedule, shape, times, &forward, &input, &weight))
        return NAN;
    return (shape->micro_batches + shape->devices - 1) * (forward + input + weight);
}

double one_f_one_b_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)weight;
    return fmin(shape->micro_batches, shape->devices - device) * whole;
}

const struct schedule one_f_one_b_schedule = {
    .name = "1f1b",
    .about = "one forward, one backward in turn after a short warm-up; flush after each step",
    .source = "Narayanan et al. 2021, PipeDream-flush",
    .training = true,
    .order = one_f_one_b_order,
    .makespan = one_f_one_b_makespan,
    .peak = one_f_one_b_peak,
};
