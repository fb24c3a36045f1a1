/* Causal: how many products a causal mask leaves of a share of the queries with a share of the keys.
 *
 * Positions of a balanced sequence are dealt out so that every member has as much to do: of 2·ways chunks,
 * member i has number i and number 2·ways − 1 − i ("zig-zag"). In the order of the members, these chunks one
 * after the other, a share is an interval like any other; only this file knows which positions it means. */
#ifndef PARTITA_PLAN_CAUSAL_H
#define PARTITA_PLAN_CAUSAL_H

#include "model/model.h"

/* The position that stands at a place of a sequence of `length` that is dealt out in `ways` (0 or 1: in
 * order). */
uint64_t causal_position(uint64_t place, uint64_t length, uint32_t ways);

/* Pairs of a query in one interval of places and a key in another, the key not after the query and, with a
 * `window` > 0, among the last `window` positions up to the query's. */
double causal_pairs(struct interval queries, struct interval keys, uint64_t length, uint32_t ways,
                    uint64_t window);

#endif
