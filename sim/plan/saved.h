/* Saved: what the forward pass leaves for the backward pass, and in which layout.
 *
 * A tensor is kept as it was used. Where the plan says `saved: produced`, one that was gathered for its use
 * is kept in the shares that it was gathered from, and gathered again in the backward pass (Korthikanti et
 * al. 2022: two more all-gathers per layer of a transformer). What is recomputed is not kept. */
#ifndef PARTITA_PLAN_SAVED_H
#define PARTITA_PLAN_SAVED_H

#include "plan/derive.h"

/* Notes what the backward pass of stage operator `index` reads of an operand that it got in a form. */
void saved_operand(struct derivation *d, uint32_t index, const struct operand *operand, uint32_t form);

/* Notes what it reads of its own output. */
void saved_output(struct derivation *d, uint32_t index, uint32_t form);

/* The form that `form` was gathered from, by all-gathers alone; itself when there is none. */
uint32_t saved_source(const struct derivation *d, uint32_t tensor, uint32_t form);

/* Appends to the backward list the all-gathers of what stage operator `index` reads whole and finds in
 * shares, once per unit. */
void saved_regather(struct derivation *d, uint32_t index, struct action base, struct index_list *ready);

#endif
