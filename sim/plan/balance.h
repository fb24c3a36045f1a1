/* Balance: cuts the model's units into consecutive stages. */
#ifndef PARTITA_PLAN_BALANCE_H
#define PARTITA_PLAN_BALANCE_H

#include "plan/plan.h"

/* Splits all units over `stages` stages so that the slowest stage is as fast as can be, and among those so
 * that the sum of squared stage times is least (exact dynamic programme, O(stages · units²)); time is the
 * predicted forward and backward time of a unit on the devices of `whole`, a stage that holds the entire
 * model. first[s] is the first unit of stage s; first[stages] the number of units. */
void balance_units(const struct plan *plan, const struct plan_stage *whole, uint32_t stages, uint32_t *first,
                   struct arena *arena);

#endif
