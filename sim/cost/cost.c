#include "cost/cost.h"

double cost_peak(const struct device_type *type, enum precision precision)
{
    static const enum precision wider[] = {INT4, INT8, FP4, FP8, BF16, FP16, TF32, FP32, FP64};
    enum { COUNT = sizeof wider / sizeof wider[0] };
    int i = 0;
    while (i < COUNT && wider[i] != precision)
        i++;
    for (; i < COUNT; i++)
        if (type->peak[wider[i]] > 0)
            return type->peak[wider[i]];
    return 0;
}

double cost_seconds(const struct device_type *type, double speed, enum precision precision,
                    const struct kernel *kernel)
{
    double arithmetic = 0, memory = 0;
    if (kernel->flops > 0)
        arithmetic = kernel->flops / (cost_peak(type, precision) * type->efficiency[kernel->kind] * speed);
    if (kernel->bytes > 0)
        memory = kernel->bytes / (type->memory_bandwidth * type->efficiency[KERNEL_MEMORY] * speed);
    return (arithmetic > memory ? arithmetic : memory) + kernel->launches * type->launch;
}
