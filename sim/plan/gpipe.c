/* GPipe (Huang et al. 2019): every stage runs all forward passes, then all backward passes, last micro-batch
 * first. */
#include "plan/schedule.h"

#include <math.h>

static void gpipe_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++) {
        for (uint32_t m = 0; m < shape->micro_batches; m++)
            schedule_add(&lists[d], PASS_F, d, m);
        for (uint32_t m = shape->micro_batches; m-- > 0;)
            schedule_add(&lists[d], PASS_B, d, m);
    }
}

/* Any stages: each pass takes its way through all of them, and then one micro-batch per slowest stage. */
static double gpipe_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double way = 0, forward = 0, backward = 0;
    for (uint32_t s = 0; s < shape->devices; s++) {
        double b = times->input[s] + times->weight[s];
        way += times->forward[s] + b;
        forward = fmax(forward, times->forward[s]);
        backward = fmax(backward, b);
    }
    return way + (shape->micro_batches - 1) * (forward + backward);
}

static double gpipe_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)device, (void)weight;
    return shape->micro_batches * whole;
}

const struct schedule gpipe_schedule = {
    .name = "gpipe",
    .about = "all forward passes, then all backward passes; flush after each step",
    .source = "Huang et al. 2019, GPipe",
    .training = true,
    .order = gpipe_order,
    .makespan = gpipe_makespan,
    .peak = gpipe_peak,
};
