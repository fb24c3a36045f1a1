/* Streamed: attention over a sequence that an axis splits, streamed. Its members stand in a ring and each
 * keeps its queries; the blocks of keys and values go round, so that in step j member i works on the block of
 * member i - j while the next one arrives. In the backward pass keys and values go round again, and behind
 * each block the sum of its gradients, which begins one step after its owner's own part and ends with it.
 * p - 1 steps pass as many bytes as the all-gathers and reduce-scatters that they replace; of what is
 * gathered a member holds the block at work and the next. (Liu, Zaharia, Abbeel 2023, "Ring attention with
 * blockwise transformers".)
 *
 * In the derivation these stay all-gathers and reduce-scatters, marked `streamed`, in a step_loop with the
 * kernels between: who gathers nothing in pieces can read them as such. */
#ifndef PARTITA_PLAN_STREAMED_H
#define PARTITA_PLAN_STREAMED_H

#include "plan/derive.h"

/* Marks what an operand of an attention core was just gathered by (`form`) as streamed, where it is: the plan
 * says so, and the last step is an all-gather of the keys' sequence along an axis that splits the queries, or
 * along several together (pieces of one axis of a mesh): the ring then goes through all their members. */
void streamed_mark(struct derivation *d, uint32_t layer_op, uint32_t operand, uint32_t form);

/* Makes loops of the streamed actions and kernels of an operator's layer, which is complete in one of the two
 * lists. Where other actions stand between that need their results, nothing is streamed after all. */
void streamed_close(struct derivation *d, bool backward, uint32_t layer_op);

/* Turns a contribution to the gradient of a streamed operand into its owner's share. */
void streamed_scatter(struct derivation *d, uint32_t layer_op, uint32_t operand, struct contribution *given);

/* The member so many places on along some axes (bit set) together, in the order of the mesh. */
uint32_t streamed_member(const struct plan_stage *stage, uint32_t member, uint32_t axes, uint32_t places);

/* Whether shares of a dimension along some axes can be made of a partial sum along all of them. */
bool streamed_scatters(const struct plan_stage *stage, const struct layout *layout, uint32_t axes,
                       uint8_t dim);

/* Elements of the block that a streamed action passes on from a member in a step. */
double streamed_elements(const struct derivation *d, const struct action *action, uint32_t member,
                         uint32_t step);

/* The part of its points that a kernel does in a step. */
double streamed_share(const struct derivation *d, uint32_t layer_op, uint32_t axes, uint32_t member,
                      uint32_t step);

/* Bit set: the axes of an action's ring, where its members do not all pass on, or do, as much in each step.
 */
uint32_t streamed_apart(const struct derivation *d, const struct action *action);

/* Bytes of the blocks that a member holds at once besides its own, in one of a list's loops. */
double streamed_buffer(const struct derivation *d, bool backward, uint32_t loop, uint32_t member);

/* Says where the plan asks for rings, but a stage's keys and values are gathered, and why. */
void streamed_warn(const struct derivation *d, struct report *report);

#endif
