/* Controllable: V-half and V-min (Qi et al. 2024, Pipeline Parallelism with Controllable Memory, arXiv
 * 2405.15362): two stages per device, there and back again, in a pattern that repeats every six slots and
 * holds a half or a third of the activations of 1F1B. Weight gradients go to the first slots that are free.
 * As published, the repeated pattern is then tightened: passes of the warm-up and the drain move to the
 * earliest free slot that the memory of the pattern allows; weight gradients are put anew; and the drain is
 * tightened once more.
 *
 * A pass is one slot long here, so that the order is the same whatever F, I and W are. */
#ifndef PARTITA_PLAN_CONTROLLABLE_H
#define PARTITA_PLAN_CONTROLLABLE_H

#include "plan/schedule.h"

/* Forward passes and input gradients of chunk 0 and 1 in the order in which a micro-batch meets a device. */
enum { CONTROLLABLE_F0, CONTROLLABLE_F1, CONTROLLABLE_I1, CONTROLLABLE_I0, CONTROLLABLE_KINDS };

/* First slot of each kind on a device, before they repeat every six slots. */
typedef void controllable_first(uint32_t devices, uint32_t device, uint32_t *first);

/* Appends the order of one step to each device's list (struct schedule). */
void controllable_order(controllable_first *first, const struct schedule_shape *shape,
                        struct schedule_list *lists);

/* Whether all passes are equal, of one chunk `each` long, and there are enough micro-batches for a steady
 * state. */
bool controllable_exact(const struct schedule *schedule, const struct schedule_shape *shape,
                        const struct schedule_times *times, double *each);

#endif
