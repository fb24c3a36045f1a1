/* Offload keys: what a user wrote under `plan.offload`. */
#ifndef PARTITA_PLAN_OFFLOAD_KEYS_H
#define PARTITA_PLAN_OFFLOAD_KEYS_H

#include "input/fields.h"
#include "plan/plan.h"

/* Reads the map, or nothing when it is NULL. Of a kind that is not said, gradients follow the optimizer to
 * the host that updates, and the host updates when the optimizer is not on the device. */
bool offload_keys_read(struct input *input, const struct value *value, struct plan_offload *offload);

/* Whether the plan, with its stages, can have it: `beside` says what the step is besides ("a discipline"), or
 * is NULL. Reports what cannot be, at the key. */
bool offload_keys_check(struct input *input, const struct value *value, const char *beside,
                        const struct plan *plan);

#endif
