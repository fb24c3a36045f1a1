/* Freed blocks wait in a list per size, so a steady state allocates nothing. */
#include "engine/incidence.h"

#include <assert.h>
#include <string.h>

/* The arrays grow together: `room` is theirs all. */
static void grow(struct incidence_pool *pool)
{
    uint32_t room = pool->room, twins = room, coefficients = room;
    pool->other = vector_grow(pool->other, &pool->room, sizeof *pool->other);
    pool->twin = vector_grow(pool->twin, &twins, sizeof *pool->twin);
    if (pool->coefficient)
        pool->coefficient = vector_grow(pool->coefficient, &coefficients, sizeof *pool->coefficient);
}

uint32_t incidence_take(struct incidence_pool *pool, unsigned size_class)
{
    uint32_t head = pool->free[size_class];
    if (head) {
        pool->free[size_class] = pool->other[head - 1];
        return head - 1;
    }
    uint32_t first = pool->count;
    uint32_t size = 1u << size_class;
    assert(first <= UINT32_MAX - size);
    while (pool->room < first + size)
        grow(pool);
    pool->count = first + size;
    return first;
}

void incidence_give(struct incidence_pool *pool, uint32_t first, unsigned size_class)
{
    pool->other[first] = pool->free[size_class];
    pool->free[size_class] = first + 1;
}

void incidence_copy(struct incidence_pool *pool, uint32_t to, uint32_t from, uint32_t count)
{
    memcpy(pool->other + to, pool->other + from, count * sizeof *pool->other);
    memcpy(pool->twin + to, pool->twin + from, count * sizeof *pool->twin);
    if (pool->coefficient)
        memcpy(pool->coefficient + to, pool->coefficient + from, count * sizeof *pool->coefficient);
}

static void make_coefficients(struct incidence_pool *pool)
{
    uint32_t room = 0;
    while (room < pool->room)
        pool->coefficient = vector_grow(pool->coefficient, &room, sizeof *pool->coefficient);
    for (uint32_t i = 0; i < pool->count; i++)
        pool->coefficient[i] = 1;
}

void incidence_set_coefficient(struct incidence_pool *pool, uint32_t at, double coefficient)
{
    if (!pool->coefficient && coefficient != 1)
        make_coefficients(pool);
    if (pool->coefficient)
        pool->coefficient[at] = coefficient;
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
    vector_release(pool->other);
    vector_release(pool->twin);
    vector_release(pool->coefficient);
    *pool = (struct incidence_pool){0};
}
