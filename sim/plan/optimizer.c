#include "plan/optimizer.h"

const struct optimizer optimizer_table[OPTIMIZER_COUNT] = {
    [OPTIMIZER_SGD] = {"sgd", 0, false},
    [OPTIMIZER_MOMENTUM] = {"momentum", 1, false},
    [OPTIMIZER_ADAM] = {"adam", 2, false},
    [OPTIMIZER_ADAFACTOR] = {"adafactor", 0, true},
};

const char *const optimizer_names[OPTIMIZER_COUNT + 1] = {
    [OPTIMIZER_SGD] = "sgd",
    [OPTIMIZER_MOMENTUM] = "momentum",
    [OPTIMIZER_ADAM] = "adam",
    [OPTIMIZER_ADAFACTOR] = "adafactor",
};

bool optimizer_master(const struct plan *plan)
{
    return precision_bytes(plan->weight_precision) < precision_bytes(plan->optimizer_precision);
}

double optimizer_bytes(const struct plan *plan)
{
    return (optimizer_table[plan->optimizer].moments + (optimizer_master(plan) ? 1 : 0)) *
           precision_bytes(plan->optimizer_precision);
}

double optimizer_states(const struct plan *plan, const struct tensor *tensor, const struct box *box,
                        uint32_t rows)
{
    double elements = layout_volume(tensor, box), high = 1, wide = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        *(rows >> d & 1 ? &high : &wide) *= (double)(box->dims[d].high - box->dims[d].low);
    bool matrix = high > 1 && wide > 1;
    double factored = !optimizer_table[plan->optimizer].factored || elements <= 0 ? 0
                      : matrix                                                    ? high + wide
                                                                                  : elements;
    return elements * optimizer_bytes(plan) + factored * precision_bytes(plan->optimizer_precision);
}
