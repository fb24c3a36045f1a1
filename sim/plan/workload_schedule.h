/* Workload schedule: which schedule a plan has, by name or from a file, and whether it can be made. */
#ifndef PARTITA_PLAN_WORKLOAD_SCHEDULE_H
#define PARTITA_PLAN_WORKLOAD_SCHEDULE_H

#include "plan/plan_keys.h"

/* Sets the plan's schedule, chunks, or orders of a file. */
bool workload_schedule(struct input *input, const struct workload *workload, const struct plan_keys *read,
                       struct plan *plan);

/* Whether the schedule can be made for the plan's devices and micro-batches. Stages that share devices change
 * an open schedule to `list`. */
bool workload_schedule_fits(struct input *input, const struct workload *workload,
                            const struct plan_keys *read, struct plan *plan);

#endif
