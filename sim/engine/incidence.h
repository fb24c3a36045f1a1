/* Incidence: which flow crosses which link, and how much of it. Each pair is stored twice, once in the
 * link's list and once in the flow's, and the two entries know each other's place: leaving a list is a swap
 * with its last entry, and a scan of a list is contiguous. Lists are power-of-two blocks of one pool.
 *
 * An entry's parts stand in arrays of their own, so that a list of links or flows is 4 bytes per entry where
 * only that is read. Coefficients are kept from the first one that is not 1 on: plain messages have none. */
#ifndef PARTITA_ENGINE_INCIDENCE_H
#define PARTITA_ENGINE_INCIDENCE_H

#include "base/vector.h"

struct incidence_pool {
    uint32_t *other;     /* in a link's list: the flow; in a flow's list: the link */
    uint32_t *twin;      /* index of the other entry of the pair in the other's list */
    double *coefficient; /* capacity taken per unit of level: weight · coefficient of the flow's usage; NULL:
                            all are 1 */
    uint32_t count, room;
    uint32_t free[32]; /* per size class: first free block + 1; chained through `other` */
};

/* First entry of a block of 2^size_class entries. May move the arrays. */
uint32_t incidence_take(struct incidence_pool *pool, unsigned size_class);
void incidence_give(struct incidence_pool *pool, uint32_t first, unsigned size_class);

/* Copies entries to another block. */
void incidence_copy(struct incidence_pool *pool, uint32_t to, uint32_t from, uint32_t count);

/* Writes one coefficient; the first that is not 1 makes the array. */
void incidence_set_coefficient(struct incidence_pool *pool, uint32_t at, double coefficient);

static inline double incidence_coefficient(const struct incidence_pool *pool, uint32_t at)
{
    return pool->coefficient ? pool->coefficient[at] : 1;
}

/* The smallest class whose blocks hold `count` entries. */
unsigned incidence_class(uint32_t count);

void incidence_fini(struct incidence_pool *pool);

#endif
