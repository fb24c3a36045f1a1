/* Rings (streamed.h) of a program: in each step the blocks of the next are on their way. */
#ifndef PARTITA_PLAN_EMIT_RING_H
#define PARTITA_PLAN_EMIT_RING_H

#include "plan/emitter.h"

/* All steps of loop `l`, which is a ring. */
void emit_ring(struct emitter *e, struct part *part, bool backward, uint32_t l);

#endif
