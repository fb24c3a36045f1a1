/* Halves: what a backward pass keeps when its input gradients (I) and weight gradients (W) are passes apart.
 * W needs the inputs of the einsums that have parameters, which F left, and the gradients of their outputs,
 * which I makes. */
#ifndef PARTITA_PLAN_HALVES_H
#define PARTITA_PLAN_HALVES_H

#include "plan/derive.h"

/* Of what the forward pass of a stage leaves on a member, and of what recomputation makes again for a unit:
 * bytes that W needs (memory_saved() of what is kept, memory_remade()). */
double halves_saved(const struct derivation *d, uint32_t member);
double halves_remade(const struct derivation *d, uint32_t unit, uint32_t member);

/* Bytes of output gradients that a unit's I leaves for its W on a member. */
double halves_gradients(const struct derivation *d, uint32_t unit, uint32_t member);

#endif
