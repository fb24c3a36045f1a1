/* One action of a derivation as operations of a rank: a kernel, a collective or messages, with the memory
 * that they take and give back. */
#ifndef PARTITA_PLAN_EMIT_ACTION_H
#define PARTITA_PLAN_EMIT_ACTION_H

#include "plan/emitter.h"

/* The share e->share of it. */
void emit_action(struct emitter *e, struct part *part, bool backward, uint32_t index);

/* What operations from `first` on take, when they are communications, and give back. Called alone where the
 * action has no operation in this step. */
void emit_action_behind(struct emitter *e, struct part *part, bool backward, uint32_t index, uint32_t first);

/* A collective among members none of which has anything of the tensor: along another axis it is on the first
 * member only. */
bool emit_action_absent(const struct part *part, const struct action *action);

#endif
