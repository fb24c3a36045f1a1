/* Inference: each stage runs its forward passes in the order of the micro-batches. */
#include "plan/schedule.h"

#include <math.h>

static void inference_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++)
        for (uint32_t m = 0; m < shape->micro_batches; m++)
            schedule_add(&lists[d], PASS_F, d, m);
}

static double inference_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double way = 0, slowest = 0;
    for (uint32_t s = 0; s < shape->devices; s++) {
        way += times->forward[s];
        slowest = fmax(slowest, times->forward[s]);
    }
    return way + (shape->micro_batches - 1) * slowest;
}

const struct schedule inference_schedule = {
    .name = "inference",
    .about = "forward passes only, micro-batch after micro-batch",
    .source = "a straight pipeline",
    .order = inference_order,
    .makespan = inference_makespan,
};
