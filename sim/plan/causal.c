#include "plan/causal.h"

/* Chunk c of a sequence dealt out in `ways`. */
static struct interval causal_chunk(uint64_t length, uint32_t ways, uint32_t chunk)
{
    return (struct interval){length * chunk / (2 * ways), length * (chunk + 1) / (2 * ways)};
}

/* The chunk that comes `n`-th in the order of the members. */
static uint32_t causal_nth(uint32_t ways, uint32_t n)
{
    return n % 2 ? 2 * ways - 1 - n / 2 : n / 2;
}

uint64_t causal_position(uint64_t place, uint64_t length, uint32_t ways)
{
    uint64_t before = 0;
    for (uint32_t n = 0; ways > 1 && n < 2 * ways; n++) {
        struct interval chunk = causal_chunk(length, ways, causal_nth(ways, n));
        if (place < before + (chunk.high - chunk.low))
            return chunk.low + (place - before);
        before += chunk.high - chunk.low;
    }
    return place;
}

/* Pairs among the first x queries and the first y keys. */
static double causal_corner(uint64_t x, uint64_t y)
{
    double both = (double)(x < y ? x : y);
    return both * (both + 1) / 2 + ((double)x - both) * (double)y;
}

/* The same without those that are `window` or more before their query: as many as if queries came so much
 * earlier. */
static double causal_band(uint64_t x, uint64_t y, uint64_t window)
{
    return causal_corner(x, y) - (window && x > window ? causal_corner(x - window, y) : 0);
}

/* Intervals of positions. */
static double causal_block(struct interval q, struct interval k, uint64_t window)
{
    return causal_band(q.high, k.high, window) - causal_band(q.low, k.high, window) -
           causal_band(q.high, k.low, window) + causal_band(q.low, k.low, window);
}

/* The part of an interval of places that lies in the n-th chunk, as positions. */
static struct interval causal_part(struct interval places, uint64_t length, uint32_t ways, uint32_t n,
                                   uint64_t *before)
{
    struct interval chunk = causal_chunk(length, ways, causal_nth(ways, n));
    uint64_t size = chunk.high - chunk.low, first = *before;
    uint64_t low = places.low > first ? places.low - first : 0;
    uint64_t high = places.high > first ? places.high - first : 0;
    *before += size;
    return (struct interval){chunk.low + (low < size ? low : size), chunk.low + (high < size ? high : size)};
}

double causal_pairs(struct interval queries, struct interval keys, uint64_t length, uint32_t ways,
                    uint64_t window)
{
    if (ways < 2)
        return causal_block(queries, keys, window);
    double pairs = 0;
    uint64_t before = 0;
    for (uint32_t i = 0; i < 2 * ways; i++) {
        struct interval q = causal_part(queries, length, ways, i, &before);
        uint64_t inner = 0;
        if (q.low >= q.high)
            continue;
        for (uint32_t j = 0; j < 2 * ways; j++) {
            struct interval k = causal_part(keys, length, ways, j, &inner);
            if (k.low < k.high)
                pairs += causal_block(q, k, window);
        }
    }
    return pairs;
}
