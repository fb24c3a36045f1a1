/* Incidence: which flow crosses which link, and how much of it. Each pair is stored twice, once in the
 * link's list and once in the flow's, and the two entries know each other's place: leaving a list is a swap
 * with its last entry, and a scan of a list is contiguous. Lists are power-of-two blocks of one pool. */
#ifndef PARTITA_ENGINE_INCIDENCE_H
#define PARTITA_ENGINE_INCIDENCE_H

#include "base/vector.h"

struct incidence {
    double coefficient; /* capacity taken per unit of level: weight · coefficient of the flow's usage */
    uint32_t other;     /* in a link's list: the flow; in a flow's list: the link */
    uint32_t at;        /* index of the twin entry in the other's list */
};

struct incidence_pool {
    struct incidence *at;
    uint32_t count, room;
    uint32_t free[32]; /* per size class: first free block + 1; chained through `other` */
};

/* First entry of a block of 2^size_class entries. May move pool->at. */
uint32_t incidence_take(struct incidence_pool *pool, unsigned size_class);
void incidence_give(struct incidence_pool *pool, uint32_t first, unsigned size_class);

/* The smallest class whose blocks hold `count` entries. */
unsigned incidence_class(uint32_t count);

void incidence_fini(struct incidence_pool *pool);

#endif
