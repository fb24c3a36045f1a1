/* Lazy: reductions that wait. A partial sum passes through what is linear in it, and is reduced before the
 * first operator that is not: two branches that meet in an addition then cost one reduction. What is added to
 * a partial sum without being one (a bias, a residual) is added by the first member only; what it is
 * multiplied with, every member has. Einsums want whole sums, as do operators that split the axis. */
#ifndef PARTITA_PLAN_LAZY_H
#define PARTITA_PLAN_LAZY_H

#include "plan/derive.h"

/* Notes in `so` along which axes each of its operands stays a partial sum; none where the stage is not lazy,
 * where another reader of the operand in the stage wants it whole, or where it is whole already. */
void lazy_mark(const struct derivation *d, struct stage_operator *so);

/* Bit set: axes along which an operator's result is a partial sum because an operand is. */
uint32_t lazy_axes(const struct stage_operator *so);

#endif
