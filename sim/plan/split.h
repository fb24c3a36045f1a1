/* Split: reads a stage's `split:` into the axes of its mesh.
 *
 *     split: {y: 4}                                  four shares, as equal as can be
 *     split: {y: [3, 2, 1]}                          three shares in these proportions
 *     split: {y: {shares: 4, weights: speed}}        in proportion to how fast the devices are
 *     split: {e: {indices: [[0, 3..5], [1, 2]]}}     experts and tables by number (owners.h)
 *     split: {tensor: {shares: 4, of: [g, r, f]}}    an axis that splits the first of these that a layer has
 */
#ifndef PARTITA_PLAN_SPLIT_H
#define PARTITA_PLAN_SPLIT_H

#include "input/fields.h"
#include "plan/plan.h"

/* Appends the axes to a stage whose layers and devices are known. The product of the shares is the caller's
 * to check, and to call split_weigh() after. */
bool split_read(struct input *input, const struct value *split, struct plan *plan, struct plan_stage *stage);

/* Gives the axes with `weights: speed` their weights: along each, the devices' rates for the work of the
 * stage, summed over the other axes. The mesh must be as large as the list of devices. */
void split_weigh(struct input *input, const struct value *split, const struct plan *plan,
                 struct plan_stage *stage);

/* Appends an axis, unless it has one member only. */
void split_axis(struct plan *plan, struct plan_stage *stage, const char *name, uint32_t size,
                const char *const *labels);

/* Grouped queries on more devices than there are groups: makes two joined axes of the last one, if it splits
 * g and then r. The first splits the groups as far as they go, the other one the queries of a group; keys,
 * values and their weights have no r, and are the same along it. */
void split_heads(const struct plan *plan, struct plan_stage *stage);

/* Whether an axis splits anything in its stage. */
bool split_used(const struct plan *plan, const struct plan_stage *stage, uint32_t axis);

#endif
