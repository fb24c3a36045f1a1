/* Hierarchical: collectives over several levels, dimension after dimension. Level 0 is the innermost. */
#ifndef PARTITA_COLLECTIVE_HIERARCHICAL_H
#define PARTITA_COLLECTIVE_HIERARCHICAL_H

#include "collective/collective.h"

/* Levels that the user gave. */
struct hierarchical_levels {
    uint32_t depth, sizes[SHAPE_DEPTH];
    const struct algorithm *inner[SHAPE_DEPTH];
};

/* Takes the levels given, if any, over into the shape. False with *problem when they do not multiply to the
 * members; *given: whether there are any. */
bool hierarchical_given(const struct algorithm *self, struct shape *shape, bool *given, struct arena *arena,
                        const char **problem);

/* The algorithm's functions (collective.h), which levels that were given use too. */
void hierarchical_steps(int kind, const struct shape *shape, struct transfer_list *out);
void hierarchical_pattern(int kind, const struct shape *shape, struct transfer_list *out);
double hierarchical_seconds(int kind, const struct shape *shape, double bytes, double latency,
                            double bandwidth);

#endif
