/* What a rank's program needs to know of one of its roles before its first pass. */
#ifndef PARTITA_PLAN_EMIT_PART_H
#define PARTITA_PLAN_EMIT_PART_H

#include "plan/emitter.h"

void emit_part_init(struct emitter *e, struct part *part, struct role role);
/* Where stages of the rank hold the same copy of a parameter (tied embeddings), its gradient is left to the
 * stage whose passes end last. Once all parts are there. */
void emit_part_tie(struct emitter *e);

void emit_part_fini(struct part *part);

#endif
