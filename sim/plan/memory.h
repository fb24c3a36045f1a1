/* Memory: what one member of a stage keeps. */
#ifndef PARTITA_PLAN_MEMORY_H
#define PARTITA_PLAN_MEMORY_H

#include "plan/derive.h"

/* Bytes of optimizer state per parameter: SGD 0, momentum one fp32 value, Adam two; and an fp32 master copy
 * where the weights are kept in fewer than 4 bytes (Rajbhandari et al. 2020, ZeRO: 12 bytes for Adam in mixed
 * precision). */
double memory_optimizer_bytes(const struct plan *plan);

/* Elements that a member stores of one parameter of its stage, and of all. */
double memory_parameter(const struct derivation *d, uint32_t index, uint32_t member);
double memory_parameters(const struct derivation *d, uint32_t member);

/* Bytes that one micro-batch leaves for the backward pass on a member: of one unit, or of all (unit =
 * MODEL_NONE), where a tensor that several units keep in the same layout is one; `inputs_only`: just what
 * full recomputation keeps. */
double memory_saved(const struct derivation *d, uint32_t unit, bool inputs_only, uint32_t member);

/* Bytes of a kernel's output on a member, and whether it is stored at all. */
double memory_output(const struct derivation *d, uint32_t operator, uint32_t member);

#endif
