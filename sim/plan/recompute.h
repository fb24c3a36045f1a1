/* Recompute: which units run (parts of) their forward pass again before their backward pass, and which of
 * their actions that takes.
 *
 * full: a run of units (by default one) keeps what it was given and runs again. selective: the operators that
 * the model marks as cheap against what they leave behind (operator->recomputed: an attention core's scores,
 * softmax, dropout and context; Korthikanti et al. 2022) run again; what they hand to others is kept. */
#ifndef PARTITA_PLAN_RECOMPUTE_H
#define PARTITA_PLAN_RECOMPUTE_H

#include "plan/derive.h"

extern const char *const recompute_names[RECOMPUTE_COUNT + 1]; /* NULL-terminated */

/* What a unit of a stage recomputes. */
enum plan_recompute recompute_unit(const struct plan *plan, const struct plan_stage *stage, uint32_t unit);

/* Units [first, end). */
struct recompute_chunk {
    uint32_t first, end;
};
/* Those that run again together with `unit`. */
struct recompute_chunk recompute_chunk(const struct plan *plan, const struct plan_stage *stage,
                                       uint32_t unit);

/* Marks the forward actions that the backward pass repeats, each in its unit's run: kernels (if selective,
 * those marked in the model) and what leads to them from what is kept. `again` has one entry per forward
 * action. */
void recompute_actions(const struct derivation *d, struct arena *scratch, bool *again);

#endif
