/* Trim: the first micro-batches of an order that was written for more of them. */
#ifndef PARTITA_PLAN_TRIM_H
#define PARTITA_PLAN_TRIM_H

#include "plan/schedule.h"

/* Removes the passes of micro-batches from `micro_batches` on. What was overlapped with one of them stands
 * alone. */
void trim_list(struct schedule_list *list, uint32_t micro_batches);

#endif
