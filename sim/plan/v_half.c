/* V-half (Qi et al. 2024, Pipeline Parallelism with Controllable Memory): half of the activations of 1F1B. */
#include "plan/controllable.h"

#include <math.h>

static void v_half_first(uint32_t devices, uint32_t device, uint32_t *first)
{
    uint32_t gap = devices % 2 == 0 ? 3 : 0;
    first[CONTROLLABLE_F0] = 2 * device;
    first[CONTROLLABLE_F1] = 3 * devices - device - 2;
    first[CONTROLLABLE_I1] = 3 * devices + gap + 2 * device - 1;
    first[CONTROLLABLE_I0] = 6 * devices + gap - device - 2;
}

static void v_half_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    controllable_order(v_half_first, shape, lists);
}

static double v_half_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double each, p = shape->devices;
    if (!controllable_exact(&v_half_schedule, shape, times, &each) || shape->devices < 2)
        return NAN;
    double rest = p == 2 ? 1 : shape->devices % 2 ? 3 * p - 4 : 3 * p - 7;
    return (6 * shape->micro_batches + rest) * each;
}

static double v_half_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)device, (void)weight;
    uint32_t p = shape->devices;
    return shape->micro_batches >= p + 2 && p >= 2 ? (p + 2 - p % 2) / 2 * whole : NAN;
}

const struct schedule v_half_schedule = {
    .name = "v-half",
    .about = "two stages per device, there and back: half the activations of 1f1b",
    .source = "Qi et al. 2024, Pipeline Parallelism with Controllable Memory (arXiv 2405.15362)",
    .placement = SCHEDULE_V,
    .fewest_chunks = 2,
    .most_chunks = 2,
    .training = true,
    .order = v_half_order,
    .makespan = v_half_makespan,
    .peak = v_half_peak,
};
