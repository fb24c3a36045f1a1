/* Freed blocks wait in a list per size, so a steady state allocates nothing. */
#include "engine/incidence.h"

#include <assert.h>

uint32_t incidence_take(struct incidence_pool *pool, unsigned size_class)
{
    uint32_t head = pool->free[size_class];
    if (head) {
        pool->free[size_class] = pool->at[head - 1].other;
        return head - 1;
    }
    uint32_t first = pool->count;
    uint32_t size = 1u << size_class;
    assert(first <= UINT32_MAX - size);
    while (pool->room < first + size)
        pool->at = vector_grow(pool->at, &pool->room, sizeof *pool->at);
    pool->count = first + size;
    return first;
}

void incidence_give(struct incidence_pool *pool, uint32_t first, unsigned size_class)
{
    pool->at[first].other = pool->free[size_class];
    pool->free[size_class] = first + 1;
}

unsigned incidence_class(uint32_t count)
{
    assert(count <= 1u << 31);
    unsigned size_class = 0;
    while (1u << size_class < count)
        size_class++;
    return size_class;
}

void incidence_fini(struct incidence_pool *pool)
{
    VECTOR_FREE(pool);
}
