/* Binomial tree: in round r the members that have something hand it to one 2^(k-1-r) places on, so the number
 * of those that have it doubles. Scatter hands each subtree the chunks of its members; reduce and gather are
 * broadcast and scatter backwards, all-reduce is reduce, then broadcast. Any number of members.
 *
 * Thakur, Rabenseifner, Gropp: Optimization of collective communication operations in MPICH, IJHPCA 19
 * (2005). */
#include "collective/binomial.h"

#include "collective/collective.h"

uint32_t binomial_rounds(uint32_t members)
{
    uint32_t rounds = 0;
    while ((uint64_t)1 << rounds < members)
        rounds++;
    return rounds;
}

void binomial_down(uint32_t first, bool whole, struct transfer_list *out)
{
    uint32_t n = out->members, rounds = binomial_rounds(n), parts = out->chunks / n;
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t distance = 1u << (rounds - 1 - round);
        for (uint32_t i = 0; i + distance < n; i += 2 * distance) {
            uint32_t subtree = n - i < 2 * distance ? n - i - distance : distance;
            if (whole)
                transfer_add(out, first + round, i, i + distance, 0, out->chunks, false);
            else
                transfer_add(out, first + round, i, i + distance, (i + distance) * parts, subtree * parts,
                             false);
        }
    }
}

static void binomial_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    bool whole = kind != SCATTER && kind != GATHER;
    transfer_begin(out, kind, shape->members, whole ? 1 : shape->members);
    if (kind != BROADCAST && kind != SCATTER) {
        binomial_down(0, whole, out);
        transfer_reverse(out, 0, kind != GATHER);
    }
    if (kind != REDUCE && kind != GATHER)
        binomial_down(transfer_rounds(out), whole, out);
}

static double binomial_seconds(int kind, const struct shape *shape, double bytes, double latency,
                               double bandwidth)
{
    double n = shape->members, rounds = binomial_rounds(shape->members);
    if (kind == SCATTER || kind == GATHER)
        return rounds * latency + (n - 1) / n * bytes / bandwidth;
    if (kind == BARRIER)
        return 2 * rounds * latency;
    return (kind == ALL_REDUCE ? 2 : 1) * rounds * (latency + bytes / bandwidth);
}

const struct algorithm binomial_algorithm = {
    .name = "binomial-tree",
    .about =
        "down (and up) a tree in which the members reached double each round; few rounds, whole payloads",
    .kinds = 1u << ALL_REDUCE | 1u << BROADCAST | 1u << REDUCE | 1u << SCATTER | 1u << GATHER | 1u << BARRIER,
    .steps = binomial_steps,
    .seconds = binomial_seconds,
};
