/* Ring: members pass chunks to their right-hand neighbour. All-reduce is a reduce-scatter (n - 1 rounds of a
 * chunk of 1/n) followed by an all-gather; in each round a member sends what it received in the round before.
 * All-to-all is the pairwise exchange (round r: to the member r places on), broadcast hands the whole payload
 * round from member 0, without cutting it into chunks (pieces of it follow each other, if it is cut), and
 * reduce is the same backwards.
 *
 * Patarasuk, Yuan: Bandwidth optimal all-reduce algorithms for clusters of workstations, JPDC 69 (2009). */
#include "collective/collective.h"

static uint32_t ring_rounds(int kind, uint32_t members)
{
    return kind == HALO_EXCHANGE ? 2 : (kind == ALL_REDUCE ? 2 : 1) * (members - 1);
}

/* Up the row, then down, as shifts: one message of each member at a time. */
static void ring_halos(uint32_t n, struct transfer_list *out)
{
    transfer_begin(out, HALO_EXCHANGE, n, 2 * n);
    for (uint32_t i = 0; i + 1 < n; i++)
        transfer_add(out, 0, i, i + 1, 2 * i, 1, false);
    for (uint32_t i = 0; i + 1 < n; i++)
        transfer_add(out, 1, i + 1, i, 2 * (i + 1) + 1, 1, false);
}

/* Round r of a reduce-scatter, or of the all-gather after it. */
static void ring_round(uint32_t round, uint32_t members, bool reduce, struct transfer_list *out)
{
    uint32_t behind = round % (members - 1) + reduce;
    for (uint32_t i = 0; i < members; i++)
        transfer_add(out, round, i, (i + 1) % members, (i + members - behind) % members, 1, reduce);
}

static void ring_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    uint32_t n = shape->members, rounds = ring_rounds(kind, n);
    if (kind == HALO_EXCHANGE) {
        ring_halos(n, out);
        return;
    }
    transfer_begin(out, kind, n, kind == BROADCAST || kind == REDUCE ? 1 : n);
    for (uint32_t round = 0; round < rounds; round++) {
        if (kind == BROADCAST)
            transfer_add(out, round, round, round + 1, 0, 1, false);
        else if (kind == REDUCE)
            transfer_add(out, round, n - 1 - round, n - 2 - round, 0, 1, true);
        else if (kind == ALL_TO_ALL)
            for (uint32_t i = 0; i < n; i++)
                transfer_add(out, round, i, (i + round + 1) % n, round + 1, 1, false);
        else
            ring_round(round, n, kind == REDUCE_SCATTER || (kind == ALL_REDUCE && round < n - 1), out);
    }
}

static void ring_pattern(int kind, const struct shape *shape, struct transfer_list *out)
{
    uint32_t n = shape->members;
    if (kind == BROADCAST || kind == REDUCE || kind == ALL_TO_ALL || kind == HALO_EXCHANGE) {
        ring_steps(kind, shape, out);
        return;
    }
    transfer_begin(out, kind, n, n);
    ring_round(0, n, kind != ALL_GATHER, out);
    VECTOR_PUSH(&out->times, ring_rounds(kind, n));
}

static double ring_seconds(int kind, const struct shape *shape, double bytes, double latency,
                           double bandwidth)
{
    double chunk = kind == BROADCAST || kind == REDUCE ? bytes : bytes / shape->members;
    if (kind == HALO_EXCHANGE)
        chunk = bytes / 2;
    return ring_rounds(kind, shape->members) * (latency + chunk / bandwidth);
}

const struct algorithm ring_algorithm = {
    .name = "ring",
    .about = "each member passes chunks to the next; least bytes on every link, latency grows with members",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << ALL_TO_ALL | 1u << BROADCAST |
             1u << REDUCE | 1u << HALO_EXCHANGE,
    .steps = ring_steps,
    .pattern = ring_pattern,
    .seconds = ring_seconds,
};
