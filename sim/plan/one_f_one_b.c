/* 1F1B with a flush (PipeDream-flush, Narayanan et al. 2021): stage s of p runs min(m, p-1-s) forward passes,
 * then alternates one forward and one backward pass, then drains. */
#include "plan/schedule.h"

static uint32_t one_f_one_b_warm_up(uint32_t stage, uint32_t stages, uint32_t micro_batches)
{
    uint32_t ahead = stages - 1 - stage;
    return ahead < micro_batches ? ahead : micro_batches;
}

static void one_f_one_b_order(uint32_t stage, uint32_t stages, uint32_t micro_batches,
                              struct schedule_list *out)
{
    uint32_t forward = 0, warm_up = one_f_one_b_warm_up(stage, stages, micro_batches);
    while (forward < warm_up)
        VECTOR_PUSH(out, ((struct schedule_item){.pass = PASS_F, .micro_batch = forward++}));
    for (uint32_t backward = 0; backward < micro_batches; backward++) {
        if (forward < micro_batches)
            VECTOR_PUSH(out, ((struct schedule_item){.pass = PASS_F, .micro_batch = forward++}));
        VECTOR_PUSH(out, ((struct schedule_item){.pass = PASS_B, .micro_batch = backward}));
    }
}

static double one_f_one_b_makespan(uint32_t stages, uint32_t micro_batches, double forward, double backward)
{
    return (micro_batches + stages - 1) * (forward + backward);
}

static uint32_t one_f_one_b_in_flight(uint32_t stage, uint32_t stages, uint32_t micro_batches)
{
    return micro_batches < stages - stage ? micro_batches : stages - stage;
}

const struct schedule one_f_one_b_schedule = {
    .name = "1f1b",
    .about = "one forward, one backward in turn after a short warm-up; flush after each step",
    .training = true,
    .order = one_f_one_b_order,
    .makespan = one_f_one_b_makespan,
    .in_flight = one_f_one_b_in_flight,
};
