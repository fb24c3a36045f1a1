/* Cost: seconds for one kernel on one device: t = max(FLOPs / (peak · eff), bytes / (bandwidth · eff_memory))
 * + launches. */
#ifndef PARTITA_COST_COST_H
#define PARTITA_COST_COST_H

#include "base/precision.h"
#include "platform/platform.h"

struct kernel {
    enum kernel_kind kind;
    double flops;    /* floating-point operations */
    double bytes;    /* moved between the device and its memory */
    double launches; /* how many times it is launched (time steps of a recurrent layer), >= 1 */
};

/* FLOP/s at which a device computes in a precision. A precision that it has no units for runs at the rate of
 * the next wider one that it has (int4 → int8 → fp8 → bf16 → fp16 → tf32 → fp32 → fp64); 0 when there is
 * none. */
double cost_peak(const struct device_type *type, enum precision precision);

/* Seconds of one kernel on a device `speed` times as fast as its type. */
double cost_seconds(const struct device_type *type, double speed, enum precision precision,
                    const struct kernel *kernel);

#endif
