/* Actions of a pass one after the other, with the loops over time steps and the chunks of a sequence. */
#ifndef PARTITA_PLAN_EMIT_LOOP_H
#define PARTITA_PLAN_EMIT_LOOP_H

#include "plan/emitter.h"

/* Emits an action, or all of a loop over time steps when the action is its first; returns the one after.
 * Inside a loop's range, what does not happen in every step (inputs converted for all steps at once) comes
 * before it, in recomputation only if it is repeated. */
uint32_t emit_loop_next(struct emitter *e, struct part *part, bool backward, uint32_t index);

/* How far a pass is, of 2^32: the same for all members of a stage. */
void emit_loop_mark(struct emitter *e, const struct part *part, bool backward, uint32_t index);

#endif
