/* Exchange: the messages by which the members of a stage get what others hold: windows that reach over the
 * edge of a share, shares that differ. They go straight from device to device, or, along axes whose halo
 * exchanges the workload gives to the algorithm `via-root` (network.algorithm), through a coordinator: the
 * first member along those axes. Then there are two exchanges. In the first, members send it what others
 * want, each element once however many want it; in the second, it sends to each what that one wants, of the
 * others' and of its own. Where contributions to a gradient meet, the coordinator adds them and sends sums.
 * A coordinator that should relay only is a first member without a share: `split: {y: [0, 1, 1]}`. */
#ifndef PARTITA_PLAN_EXCHANGE_H
#define PARTITA_PLAN_EXCHANGE_H

#include "plan/convert.h"

/* Which of the two exchanges through a coordinator an action is (struct action's `leg`). */
enum exchange_leg { EXCHANGE_STRAIGHT, EXCHANGE_TO_ROOT, EXCHANGE_FROM_ROOT };

/* Appends what gives each member of `to` what it wants of `from` and lacks; both are of the derivation's
 * stage, and of one tensor. `base` says for whom: operator, unit, part, and of a loop carried and transient.
 * Returns the action that it is complete with; MODEL_NONE when there is nothing to send. */
uint32_t exchange_append(struct derivation *d, bool backward, struct action base,
                         const struct convert_side *from, const struct convert_side *to,
                         const uint32_t *dependencies, uint32_t count);

/* Bit set: the axes of a stage along which exchanges go through coordinators. */
uint32_t exchange_axes(const struct plan *plan, const struct plan_stage *stage);

/* The coordinator of a member, where an exchange goes through coordinators along `axes`. */
uint32_t exchange_root(const struct plan_stage *stage, uint32_t axes, uint32_t member);

/* Bit set: the axes along which two members stand at different places. */
uint32_t exchange_between(const struct plan_stage *stage, uint32_t one, uint32_t other);

#endif
