/* Emit offload: what leaves a device in the course of a step and comes back: activations between their
 * passes, and what an update needs and gives where that is kept, or made, elsewhere. */
#ifndef PARTITA_PLAN_EMIT_OFFLOAD_H
#define PARTITA_PLAN_EMIT_OFFLOAD_H

#include "plan/emitter.h"

/* Decides when each thing that is saved leaves. */
void emit_offload_init(struct emitter *emitter, struct part *part);

/* The forward pass has left a unit: what nothing reads any more before its backward pass goes. */
void emit_offload_leave(struct emitter *emitter, struct part *part, uint32_t unit);

/* A backward pass begins. */
void emit_offload_begin(struct part *part);

/* A backward pass begins to work on a unit, which needs what left for units from `first` on: the next kernel
 * waits for it; that of the units before is asked for ahead of its use. */
void emit_offload_enter(struct emitter *emitter, struct part *part, uint32_t unit, uint32_t first);

/* The update, share by share; the emitter's `syncs` are what it waits for. */
void emit_offload_update(struct emitter *emitter);

/* Notes what the rank's stores hold throughout. */
void emit_offload_hold(struct emitter *emitter);

#endif
