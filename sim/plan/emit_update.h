/* The update of a rank's weights, and what it holds for them. */
#ifndef PARTITA_PLAN_EMIT_UPDATE_H
#define PARTITA_PLAN_EMIT_UPDATE_H

#include "plan/emitter.h"

/* Gradients of tied parameters, the barrier, and the update of the weights. All ranks take the parameters in
 * one order, so that none waits for another that waits for it. */
void emit_update(struct emitter *e);

/* Parameters, gradients and the optimizer's states, of which stages of one rank share one copy. */
void emit_update_hold(struct emitter *e);

#endif
