/* GPipe (Huang et al. 2019): every stage runs all forward passes, then all backward passes, last micro-batch
 * first. */
#include "plan/schedule.h"

static void gpipe_order(uint32_t stage, uint32_t stages, uint32_t micro_batches, struct schedule_list *out)
{
    (void)stage, (void)stages;
    for (uint32_t m = 0; m < micro_batches; m++)
        VECTOR_PUSH(out, ((struct schedule_item){.pass = PASS_F, .micro_batch = m}));
    for (uint32_t m = micro_batches; m-- > 0;)
        VECTOR_PUSH(out, ((struct schedule_item){.pass = PASS_B, .micro_batch = m}));
}

static double gpipe_makespan(uint32_t stages, uint32_t micro_batches, double forward, double backward)
{
    return (micro_batches + stages - 1) * (forward + backward);
}

static uint32_t gpipe_in_flight(uint32_t stage, uint32_t stages, uint32_t micro_batches)
{
    (void)stage, (void)stages;
    return micro_batches;
}

const struct schedule gpipe_schedule = {
    .name = "gpipe",
    .about = "all forward passes, then all backward passes; flush after each step",
    .training = true,
    .order = gpipe_order,
    .makespan = gpipe_makespan,
    .in_flight = gpipe_in_flight,
};
