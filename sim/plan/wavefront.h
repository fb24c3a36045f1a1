/* Wavefront: stages that pass on their sequence in chunks, so that layers over time steps work at the same
 * time: while a stage is at chunk c, the one after it is at chunk c - 1. In the forward pass chunks go from
 * the first to the last, in the backward pass the other way round. A stage can do so when none of its
 * operators needs, for one position, another position that comes later; recurrent layers need those before
 * only. */
#ifndef PARTITA_PLAN_WAVEFRONT_H
#define PARTITA_PLAN_WAVEFRONT_H

#include "plan/derive.h"

struct wavefront {
    uint32_t steps;  /* length of the sequence */
    uint32_t chunks; /* 1: the stage works on it whole */
};

/* How a stage goes about its sequence. Where plan->time_chunks asks for chunks and the stage works on it
 * whole, *operator (of the model) is one that needs that; else MODEL_NONE. */
struct wavefront wavefront_stage(const struct derivation *derivation, uint32_t *layer_op);

/* The chunks in which two stages send each other what crosses: those of both, if they are the same, else 1.
 */
uint32_t wavefront_between(const struct wavefront *one, const struct wavefront *other);

/* The same for what a stage sends to, or receives from, stage `peer` (MODEL_NONE: the input device) of its
 * plan, whose derivations stand in one array. */
uint32_t wavefront_transfer(const struct derivation *derivation, uint32_t peer);

/* The time steps of a chunk: [low, high), in time. */
struct interval wavefront_chunk(const struct wavefront *wave, uint32_t chunk);

/* Reports that chunks were asked for, but all stages work on their sequence whole. */
bool wavefront_check(const struct plan *plan, const struct derivation *derivations, struct report *report);

#endif
