/* Inference: each stage runs its forward passes in the order of the micro-batches. */
#include "plan/schedule.h"

static void inference_order(uint32_t stage, uint32_t stages, uint32_t micro_batches,
                            struct schedule_list *out)
{
    (void)stage, (void)stages;
    for (uint32_t m = 0; m < micro_batches; m++)
        VECTOR_PUSH(out, ((struct schedule_item){.pass = PASS_F, .micro_batch = m}));
}

static double inference_makespan(uint32_t stages, uint32_t micro_batches, double forward, double backward)
{
    (void)backward;
    return (micro_batches + stages - 1) * forward;
}

static uint32_t inference_in_flight(uint32_t stage, uint32_t stages, uint32_t micro_batches)
{
    (void)stage, (void)stages, (void)micro_batches;
    return 1;
}

const struct schedule inference_schedule = {
    .name = "inference",
    .about = "forward passes only, micro-batch after micro-batch",
    .order = inference_order,
    .makespan = inference_makespan,
    .in_flight = inference_in_flight,
};
