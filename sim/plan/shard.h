/* Shard: parameters whose storage layout is not their compute layout. Along the axes that are marked so, the
 * numbers that a member computes with (its box of the parameter, flattened) are shared out: each member keeps
 * one contiguous share of the optimizer's states, from level 2 on of the gradients, at level 3 of the
 * parameter itself (ZeRO, Rajbhandari et al. 2020; FSDP, Zhao et al. 2023).
 *
 * The gradient is then wanted in shares: partial -> split along the sharded axes is a reduce-scatter, along
 * the others partial -> replicated an all-reduce, of a share only. Storage -> compute is an all-gather. */
#ifndef PARTITA_PLAN_SHARD_H
#define PARTITA_PLAN_SHARD_H

#include "plan/derive.h"

/* Marks the axes, of every mesh, that share out states: those that split samples or positions (batch,
 * sequence, rows, columns) before anything else, so that their members hold the same parameters; but not the
 * replicas of a shard group. */
void shard_mark(struct plan *plan);

/* The sharded axes (bit set) of a parameter in a stage: those that are marked in the mesh of the operator (of
 * the model) that uses it, and along which it is replicated. */
uint32_t shard_axes(const struct plan_stage *stage, uint32_t layer_op, const struct layout *layout);

/* Axes (bit sets, 0: none) along which a gradient is reduced: a reduce-scatter along `scatter`, then an
 * all-reduce of a share along `sum`. */
struct shard_reduction {
    uint32_t scatter, sum;
};
/* How a parameter's gradient gets from partial sums to what the optimizer works on. */
struct shard_reduction shard_reduction(const struct stage_parameter *parameter);

/* In how many shares a parameter is kept. */
uint32_t shard_ways(const struct derivation *d, const struct stage_parameter *parameter);

/* The share of a member, as an interval of its flattened box. The reduce-scatter's axes come first. */
struct interval shard_own(const struct derivation *d, const struct stage_parameter *parameter,
                          uint32_t member);

/* NULL-terminated: "pass", "micro-batch", "step". */
extern const char *const shard_keep_names[];

#endif
