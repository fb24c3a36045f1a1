/* Products of a program whose operands come in panels (summa.h). */
#ifndef PARTITA_PLAN_EMIT_PANELS_H
#define PARTITA_PLAN_EMIT_PANELS_H

#include "plan/emitter.h"

/* All panels of loop `l`. */
void emit_panels(struct emitter *e, struct part *part, bool backward, uint32_t l);

#endif
