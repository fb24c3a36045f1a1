/* State: what the forward and the backward derivation share while they fill a struct derivation. */
#ifndef PARTITA_PLAN_STATE_H
#define PARTITA_PLAN_STATE_H

#include "plan/convert.h"

/* Appends an action to one of the two lists with its dependencies (MODEL_NONE entries are dropped); returns
 * its index. */
uint32_t state_action(struct derivation *d, bool backward, struct action action, const uint32_t *dependencies,
                      uint32_t count);

/* In how many pieces, one after the other, a stage operator gets a tensor: time steps where both belong to
 * the same recurrent layer, else 1. `operator` may be MODEL_NONE. */
uint32_t state_steps(const struct derivation *d, uint32_t tensor, uint32_t layer_op);

/* Why a tensor is a partial sum along an axis: the dimension that its producer, or who made what that only
 * passes on, splits there; interned. */
uint32_t state_contracted(const struct derivation *d, uint32_t tensor, uint32_t axis);

/* Fills in why a collective from one layout to another is needed. `contracted`: the dimension that makes it
 * partial along its axis. */
void state_reason(const struct derivation *d, struct action *action, uint32_t contracted);

/* Moves a list of messages into the derivation and notes their range in the action. */
void state_messages(struct derivation *d, struct action *action, const struct message_list *messages);

/* Adds a form of a tensor, last in its list; returns its index. */
uint32_t state_form(struct derivation *d, uint32_t tensor, struct form form);

/* Marks a communication of the forward list, and all forms that it makes (also what the last one is a slice
 * of), as never there at once. */
void state_stream(struct derivation *d, uint32_t action);

/* The boxes of an operand for every member, in the arena; NULL when they are the layout's own. */
struct box *state_boxes(struct derivation *d, const struct layer_op *layer_op,
                        const struct assignment *assignment, const struct operand *operand);

/* True when every member's box of a form covers its share in the form's layout: exchanges may then start from
 * the shares. */
bool state_owns_shares(const struct derivation *d, const struct form *form, uint32_t tensor);

/* The axes, as a bit set, along which a collective of an operator's statistics runs with `axis`: the pieces
 * of one axis that split the same dimension. */
uint8_t state_together(const struct derivation *d, const struct assignment *assignment, uint32_t axis);

/* Marks the tensors that get a gradient: those that depend on a parameter. `needs` has one entry per tensor.
 */
void state_needs_gradient(const struct model *model, bool *needs);

/* In inference, operators of training only do not run: their outputs are their first operands. */
void state_same_as(const struct plan *plan, uint32_t *same_as);

static inline const struct tensor *state_tensor(const struct derivation *d, uint32_t tensor)
{
    return &d->plan->model->tensors.at[tensor];
}

static inline const struct layer_op *state_operator(const struct derivation *d, uint32_t index)
{
    return &d->plan->model->operators.at[d->operators.at[index].layer_op];
}

#endif
