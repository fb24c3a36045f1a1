#include "plan/plan.h"

#include "plan/orders.h"

void plan_init(struct plan *plan)
{
    *plan = (struct plan){.steps = 1, .input_device = MODEL_NONE};
}

void plan_precisions(struct plan *plan, enum precision precision)
{
    plan->precision = plan->weight_precision = plan->cache_precision = precision;
    plan->gradient_precision = plan->accumulation_precision = FP32;
    plan->communication_precision = plan->optimizer_precision = FP32;
}

void plan_fini(struct plan *plan)
{
    for (uint32_t s = 0; s < plan->stages.count; s++)
        VECTOR_FREE(&plan->stages.at[s].devices);
    VECTOR_FREE(&plan->stages);
    VECTOR_FREE(&plan->stores);
    if (plan->orders)
        orders_fini(plan->orders);
    vector_release(plan->orders);
    vector_release(plan->device_of);
}
