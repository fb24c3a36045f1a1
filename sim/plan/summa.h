/* SUMMA: a product Y = X W on a grid of devices that splits it in two dimensions, streamed. The rows of the
 * grid split what only X has (batch, sequence), its columns what only W has (outputs). X is split along its
 * contracted dimension too, over the columns, as the layer before left it; W over the rows, so that no two
 * devices keep the same part of any of the three. The contracted dimension comes in panels: of X a panel goes
 * along each row from who has it, of W along each column, from neighbour to neighbour; everybody multiplies
 * what has arrived while the next panels are on their way, and holds two at most. In the backward pass the
 * same panels come again; dX = dY Wᵀ is then a partial sum over the columns, dW = Xᵀ dY one over the rows,
 * and each panel's sums go along the grid to who has that panel. A device receives (1 - 1/c) of its row's X
 * and (1 - 1/r) of its column's W, and as much of gradients. (van de Geijn, Watts 1997, "SUMMA: scalable
 * universal matrix multiplication algorithm", with broadcasts passed on around rings; its variants that keep
 * A or B in place are the two products of the backward pass.)
 *
 * In the derivation these are all-gathers and reduce-scatters of both operands, marked `streamed`, in a
 * step_loop with the product. An operand that is there whole is not streamed. */
#ifndef PARTITA_PLAN_SUMMA_H
#define PARTITA_PLAN_SUMMA_H

#include "plan/derive.h"

/* Decides whether a stage operator is such a product: the plan says so, and axes split it in two dimensions.
 */
void summa_prepare(struct derivation *d, uint32_t layer_op);

/* The layout in which its weights are kept, given that in which they are used: unchanged where it is none. */
struct layout summa_stored(const struct derivation *d, uint32_t layer_op, const struct operand *operand,
                           struct layout used);

/* Appends what brings an operand's panels to the product: to the forward list that of its weights; MODEL_NONE
 * where it is no such product. */
uint32_t summa_weight(struct derivation *d, uint32_t layer_op, const struct operand *operand);

/* Marks what an operand was just gathered by (`form`) as streamed, where that is along the panels. */
void summa_mark(struct derivation *d, uint32_t layer_op, uint32_t operand, uint32_t form);

/* The same in the backward list, before the product's kernel. */
void summa_regather(struct derivation *d, uint32_t layer_op, struct action base, struct index_list *ready);

/* Turns a contribution to the gradient of a streamed operand into its owner's share. */
void summa_scatter(struct derivation *d, uint32_t layer_op, uint32_t operand, struct contribution *given);

/* Appends the sum of the weights' gradient, of which everybody gets what it keeps. */
void summa_scatter_weight(struct derivation *d, uint32_t layer_op, uint32_t kernel);

/* Makes a loop of the product, which is complete in one of the two lists. */
void summa_close(struct derivation *d, bool backward, uint32_t layer_op);

/* Says where the plan asks for it but nothing is split so. */
void summa_warn(const struct derivation *d, struct report *report);

#endif
