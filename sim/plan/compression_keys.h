/* Compression keys: what a user wrote under `plan.compress`. */
#ifndef PARTITA_PLAN_COMPRESSION_KEYS_H
#define PARTITA_PLAN_COMPRESSION_KEYS_H

#include "input/fields.h"
#include "plan/plan.h"

/* Reads the map, or nothing when it is NULL. */
bool compression_keys_read(struct input *input, const struct value *value,
                           struct plan_compression *compression);

/* Whether the plan, with its stages, can have it; `beside`: as of offload_keys_check(). */
bool compression_keys_check(struct input *input, const struct value *value, const char *beside,
                            const struct plan *plan);

#endif
