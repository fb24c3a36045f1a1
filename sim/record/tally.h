/* Tally: how often which algorithm carried the collectives of which groups. */
#ifndef PARTITA_RECORD_TALLY_H
#define PARTITA_RECORD_TALLY_H

#include "engine/engine.h"

struct tally {
    uint32_t group; /* interned name of the groups */
    int kind;       /* enum collective_kind */
    const struct algorithm *algorithm;
    uint32_t times; /* in all simulated steps */
};
struct tally_list {
    struct tally *at;
    uint32_t count, room;
};

/* By first appearance; groups of one are left out. The caller frees the list. */
void tally_collectives(const struct job *job, const struct engine_result *result, struct tally_list *out);

#endif
