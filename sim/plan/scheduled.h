/* Scheduled: the orders that a plan's devices follow. */
#ifndef PARTITA_PLAN_SCHEDULED_H
#define PARTITA_PLAN_SCHEDULED_H

#include "plan/derive.h"
#include "plan/orders.h"

/* Devices of the plan's schedule: groups of devices that work on the same stages. */
struct schedule_shape scheduled_shape(const struct plan *plan);

/* The fewest micro-batches, more than there are devices, with which each device holds as many activations at
 * once as with all of them, by the schedule's closed form; all of them where there is none. */
uint32_t scheduled_fewest(const struct plan *plan);

/* Gives stages that share devices, directly or through others, one device of the schedule (plan->device_of).
 * False: none do. */
bool scheduled_join(struct plan *plan);

/* Says so where a device works on two stages that have different devices: it may be a slip. */
void scheduled_warn(const struct plan *plan, struct report *report);

/* Seconds of each stage's passes on its first member, in `arena`. */
struct schedule_times scheduled_times(const struct plan *plan, const struct derivation *derivations,
                                      struct arena *arena);

/* Makes the orders: of one step, or for an asynchronous schedule of all steps. Reports, at a stage's place,
 * what does not stand where the schedule wants it. orders_fini() also after false. */
bool scheduled_orders(const struct plan *plan, const struct derivation *derivations, struct orders *orders,
                      struct report *report);

#endif
