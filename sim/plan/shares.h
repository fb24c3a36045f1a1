/* Shares: of an all-to-all whose members send each other different amounts (experts with unequal loads, sizes
 * that do not divide), the part that each sends to each. Equal blocks are kept once. */
#ifndef PARTITA_PLAN_SHARES_H
#define PARTITA_PLAN_SHARES_H

#include "plan/derive.h"

struct shares {
    VECTOR(double) parts;   /* becomes the job's `shares` */
    VECTOR(uint32_t) first; /* of each block */
};

void shares_fini(struct shares *shares);

/* What struct op's `shares` is for an action of a member: 0 where all parts are equal, or the action is no
 * all-to-all. Costs the square of the group's size. */
uint32_t shares_of(struct shares *shares, const struct derivation *d, const struct action *action,
                   uint32_t member);

#endif
