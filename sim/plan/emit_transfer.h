/* Messages of programs: between stages, exchanges within one, and the samples that the input device sends. */
#ifndef PARTITA_PLAN_EMIT_TRANSFER_H
#define PARTITA_PLAN_EMIT_TRANSFER_H

#include "plan/emitter.h"

/* What this rank sends and receives of a send, receive or exchange; sends wait for `after`. */
void emit_transfer(struct emitter *e, struct part *part, bool backward, uint32_t index,
                   const struct index_list *after);

/* The input device's sends of one step, in the order of the micro-batches. */
void emit_transfer_input(struct emitter *e);

#endif
