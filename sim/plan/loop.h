/* Loop: the time steps of a recurrent layer. Operators over a sequential dimension whose operand is their own
 * result of the step before are done once per step, with the communication between them (struct step_loop).
 */
#ifndef PARTITA_PLAN_LOOP_H
#define PARTITA_PLAN_LOOP_H

#include "plan/derive.h"

/* Marks the actions from `first` to the end of a list that happen in every time step; nothing when they do
 * not communicate. `carry`: the one whose result the next step waits for. */
void loop_add(struct derivation *derivation, bool backward, uint32_t first, uint32_t carry);

/* Once the forward lists of all stages are there: the conversions after the operator that closes a loop are
 * for the next step; where nobody else wants their result, the last step needs none. */
void loop_transients(struct derivation *derivation);

#endif
