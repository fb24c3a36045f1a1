/* What a rank's program needs to know of one of its roles before its first pass. */
#ifndef PARTITA_PLAN_EMIT_PART_H
#define PARTITA_PLAN_EMIT_PART_H

#include "plan/emitter.h"

void emit_part_init(struct emitter *e, struct part *part, struct role role);
void emit_part_fini(struct part *part);

#endif
