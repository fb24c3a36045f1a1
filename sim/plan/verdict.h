/* Verdict: does every device have the memory that its share of the plan needs? */
#ifndef PARTITA_PLAN_VERDICT_H
#define PARTITA_PLAN_VERDICT_H

#include "plan/plan.h"

/* Fills each stage's memory (of its fullest device), that of hosts and drives, plan->fits and
 * plan->model_flops from the programs of a job. */
void verdict_fill(struct plan *plan, const struct job *job);

#endif
