/* V-min (Qi et al. 2024, Pipeline Parallelism with Controllable Memory): a third of the activations of 1F1B.
 */
#include "plan/controllable.h"

#include <math.h>

static void v_min_first(uint32_t devices, uint32_t device, uint32_t *first)
{
    uint32_t gap = devices % 3 == 0 ? 2 : 0;
    first[CONTROLLABLE_F0] = device;
    first[CONTROLLABLE_F1] = 2 * devices - device - 1;
    first[CONTROLLABLE_I1] = 2 * devices + gap + device;
    first[CONTROLLABLE_I0] = 4 * devices + gap - device - 1;
}

static void v_min_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    controllable_order(v_min_first, shape, lists);
}

static double v_min_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double each, p = shape->devices;
    if (!controllable_exact(&v_min_schedule, shape, times, &each) || shape->devices < 2)
        return NAN;
    return (6 * shape->micro_batches + (shape->devices % 3 ? 4 * p - 5 : 4 * p - 7)) * each;
}

/* Of p = 2 modulo 3 the first devices hold half a micro-batch less than the others. */
static double v_min_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)device, (void)weight;
    uint32_t p = shape->devices;
    return shape->micro_batches >= p + 2 && p >= 2 && p % 3 != 2 ? (p + 4) / 3 * whole : NAN;
}

const struct schedule v_min_schedule = {
    .name = "v-min",
    .about = "two stages per device, there and back: a third of the activations of 1f1b",
    .source = "Qi et al. 2024, Pipeline Parallelism with Controllable Memory (arXiv 2405.15362)",
    .placement = SCHEDULE_V,
    .fewest_chunks = 2,
    .most_chunks = 2,
    .training = true,
    .order = v_min_order,
    .makespan = v_min_makespan,
    .peak = v_min_peak,
};
