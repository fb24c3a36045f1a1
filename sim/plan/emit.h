/* Emit: from the derived actions and the schedule to programs: what each rank executes, step after step.
 * Ranks whose work, shares and communications are alike share one program. */
#ifndef PARTITA_PLAN_EMIT_H
#define PARTITA_PLAN_EMIT_H

#include "plan/derive.h"
#include "plan/registry.h"

/* Fills `job` (in job->arena, which the caller has initialised, as job->names) and each stage's `ranks`.
 * Reports what cannot be scheduled. */
bool emit_job(struct plan *plan, struct derivation *derivations, struct job *job, struct report *report);

#endif
