/* Shares: how unequally the members of a group divide the payload of a collective. */
#ifndef PARTITA_PLAN_SHARES_H
#define PARTITA_PLAN_SHARES_H

#include "plan/derive.h"

struct share_list {
    double *at;
    uint32_t count, room;
};

/* The shares of a reduce-scatter or an all-gather, one per member along the action's axes in the order
 * of the mesh, or of an all-to-all ([from · members + to]), as parts of derive_payload(); as struct op has
 * them. None when they are all equal, or the action is something else. `member`: one of the group. */
void shares_of(const struct derivation *derivation, const struct action *action, uint32_t member,
               struct share_list *out);

#endif
