#include "base/precision.h"

const char *const precision_names[PRECISION_COUNT + 1] = {"fp64", "fp32", "tf32", "fp16", "bf16",
                                                          "fp8",  "int8", "fp4",  "int4", 0};

double precision_bytes(enum precision precision)
{
    static const double bytes[PRECISION_COUNT] = {8, 4, 4, 2, 2, 1, 1, 0.5, 0.5};
    return bytes[precision];
}
