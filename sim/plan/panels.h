/* Panels: how the contracted dimension of a product whose operands are streamed (summa.h) is cut, who has a
 * panel of an operand, and what it weighs. Where operands are shared out in different ways, panels end where
 * a share of any of them ends, so that each is in one share of every operand. */
#ifndef PARTITA_PLAN_PANELS_H
#define PARTITA_PLAN_PANELS_H

#include "plan/derive.h"

/* Cuts the panels of a stage operator, whose streamed operands are known. */
void panels_cut(struct derivation *d, uint32_t layer_op);

/* The panel of a step. */
struct interval panels_at(const struct derivation *d, uint32_t layer_op, uint32_t step);

/* The part of the contracted dimension that it is. */
double panels_share(const struct derivation *d, uint32_t layer_op, uint32_t step);

/* How many places around the axes of a streamed action a member stands behind the one that has the panel of a
 * step, or, of a sum, that gets it: 0, that is itself. */
uint32_t panels_distance(const struct derivation *d, const struct action *action, uint32_t member,
                         uint32_t step);

/* Elements of that panel, which the members around those axes have, or make sums of, alike. */
double panels_elements(const struct derivation *d, const struct action *action, uint32_t member,
                       uint32_t step);

/* Bytes of panels that a member holds at once besides its own, in one of a list's loops: of every operand
 * that is streamed the one at work and the next, and of sums the one at work and the one on its way. */
double panels_buffer(const struct derivation *d, bool backward, uint32_t loop, uint32_t member);

#endif
