/* Looped breadth-first (Lamy-Poirier 2023): GPipe with several stages per device. All micro-batches go
 * through a chunk before the first goes through the next one. */
#include "plan/schedule.h"

#include <math.h>

static void looped_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    for (uint32_t d = 0; d < shape->devices; d++) {
        for (uint32_t c = 0; c < shape->chunks; c++)
            for (uint32_t m = 0; m < shape->micro_batches; m++)
                schedule_add(&lists[d], PASS_F, c * shape->devices + d, m);
        for (uint32_t c = shape->chunks; c-- > 0;)
            for (uint32_t m = shape->micro_batches; m-- > 0;)
                schedule_add(&lists[d], PASS_B, c * shape->devices + d, m);
    }
}

static double looped_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double forward, input, weight, m = shape->micro_batches, p = shape->devices;
    if (!schedule_equal(&looped_schedule, shape, times, &forward, &input, &weight))
        return NAN;
    return (forward + input + weight) / shape->chunks * ((shape->chunks - 1) * fmax(m, p) + m + p - 1);
}

static double looped_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)device, (void)weight;
    return shape->micro_batches * whole;
}

const struct schedule looped_schedule = {
    .name = "looped-bfs",
    .about = "gpipe with several stages per device (chunks), breadth first",
    .source = "Lamy-Poirier 2023, Breadth-First Pipeline Parallelism",
    .fewest_chunks = 1,
    .most_chunks = 1024,
    .training = true,
    .order = looped_order,
    .makespan = looped_makespan,
    .peak = looped_peak,
};
