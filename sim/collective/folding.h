/* Folding: recursive doubling and halving for any number of members. The largest power of two p <= n
 * exchanges in pairs; the n - p members left over stand behind a member each (1 behind 0, 3 behind 2, …) that
 * acts for both. */
#ifndef PARTITA_COLLECTIVE_FOLDING_H
#define PARTITA_COLLECTIVE_FOLDING_H

#include "collective/transfer.h"

struct folding {
    uint32_t members, groups, rest; /* groups: p; rest: n - p, the groups of two */
    uint32_t rounds;                /* log2 p */
};

struct folding folding_of(uint32_t members);
/* The member that acts for a group. */
uint32_t folding_leader(const struct folding *folding, uint32_t group);

/* Sends everything of the members left over to their leaders (in), or back (out), as round `round`. */
void folding_in(const struct folding *folding, uint32_t round, struct transfer_list *out);
void folding_out(const struct folding *folding, uint32_t round, struct transfer_list *out);

/* An all-gather by recursive doubling from round `first` on. Chunks: one per member, or (`leaders`) one per
 * group among the leaders only. */
void folding_gather(const struct folding *folding, uint32_t first, bool leaders, struct transfer_list *out);

/* Closed form of the all-gather of one chunk per member. */
double folding_gather_seconds(uint32_t members, double bytes, double latency, double bandwidth);

#endif
