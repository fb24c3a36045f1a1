/* Binomial: the tree on which several algorithms hand things down from member 0. */
#ifndef PARTITA_COLLECTIVE_BINOMIAL_H
#define PARTITA_COLLECTIVE_BINOMIAL_H

#include "collective/transfer.h"

/* Rounds from the root to the last leaf: log2 of the members, rounded up. */
uint32_t binomial_rounds(uint32_t members);

/* Appends, from round `first` on, the way down: whole (all chunks, to everyone) or of each member's own chunk
 * (chunks: a multiple of the members). */
void binomial_down(uint32_t first, bool whole, struct transfer_list *out);

#endif
