/* Whole passes of a stage for one micro-batch, unit by unit: parameters are gathered before a unit and
 * gradients synchronised after it, and what was kept for it is made again and given back. */
#ifndef PARTITA_PLAN_EMIT_PASS_H
#define PARTITA_PLAN_EMIT_PASS_H

#include "plan/emitter.h"

/* Pass F. */
void emit_pass_forward(struct emitter *e, struct part *part, uint32_t micro_batch);

/* Pass B, or I, which leaves for W what that needs. `last`: the gradients of the stage are complete after it.
 */
void emit_pass_backward(struct emitter *e, struct part *part, uint8_t pass, uint32_t micro_batch, bool last);

/* Pass W: the einsums that make weight gradients, unit by unit as I met them. They wait for nothing but I. */
void emit_pass_weights(struct emitter *e, struct part *part, uint32_t micro_batch, bool last);

#endif
