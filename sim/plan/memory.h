/* Memory: what one member of a stage keeps. */
#ifndef PARTITA_PLAN_MEMORY_H
#define PARTITA_PLAN_MEMORY_H

#include "plan/derive.h"

/* Elements that a member updates: all, or its share. */
double memory_updated(const struct derivation *d, uint32_t member);

/* Bytes per parameter of the buffer that gradients are kept in. */
double memory_gradient_bytes(const struct plan *plan);

/* Bytes of optimizer states that a member keeps of one parameter of its stage, and of all. */
double memory_state(const struct derivation *d, uint32_t index, uint32_t member);
double memory_states(const struct derivation *d, uint32_t member);

/* Elements of one parameter of its stage that a member computes with, and of all. */
double memory_parameter(const struct derivation *d, uint32_t index, uint32_t member);
double memory_parameters(const struct derivation *d, uint32_t member);

/* Bytes. */
struct memory_held {
    double parameters, gradients, optimizer;
};
/* Adds what a member stores throughout for one of its stage's parameters in a place (enum plan_place). */
void memory_hold(const struct derivation *d, uint32_t index, uint32_t member, int place,
                 struct memory_held *held);

/* Bytes of one thing that is kept for the backward pass on a member. */
double memory_copy(const struct derivation *d, const struct stage_saved *saved, uint32_t member);

/* Bytes that the backward pass of one micro-batch reads on a member: of one unit, or of all (unit =
 * MODEL_NONE), where a tensor that several units read in the same layout is one; `kept`: just what the
 * forward pass leaves there, the rest is recomputed. */
double memory_saved(const struct derivation *d, uint32_t unit, bool kept, uint32_t member);

/* Bytes that recomputation makes again for the backward pass of one unit. */
double memory_remade(const struct derivation *d, uint32_t unit, uint32_t member);

/* Bytes of a kernel's output on a member, and whether it is stored at all. */
double memory_output(const struct derivation *d, uint32_t layer_op, uint32_t member);

#endif
