/* Halves: what a backward pass keeps when its input gradients (I) and weight gradients (W) are passes apart.
 * W needs the inputs of the einsums that have parameters, which F left, and the gradients of their outputs,
 * which I makes. */
#ifndef PARTITA_PLAN_HALVES_H
#define PARTITA_PLAN_HALVES_H

#include "plan/derive.h"

/* Whether an operator makes weight gradients. */
bool halves_makes_weights(const struct derivation *d, const struct layer_op *layer_op);
/* Bytes of something kept for the backward pass that W reads on a member. */
double halves_read(const struct derivation *d, const struct stage_saved *saved, uint32_t member);

#endif
