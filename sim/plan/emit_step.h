/* One step of a rank: its passes in the order of the schedule. */
#ifndef PARTITA_PLAN_EMIT_STEP_H
#define PARTITA_PLAN_EMIT_STEP_H

#include "plan/emitter.h"

/* Of an asynchronous schedule all steps, with their updates. */
void emit_step(struct emitter *e);

#endif
