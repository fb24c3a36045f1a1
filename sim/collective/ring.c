/* Ring: members pass chunks to their right-hand neighbour. All-reduce is a reduce-scatter (n - 1 rounds of a
 * chunk of 1/n) followed by an all-gather; in each round a member sends what it received in the round before.
 * All-to-all is the pairwise exchange (round r: to the member r places on), broadcast hands the whole payload
 * round from member 0, without cutting it into chunks.
 *
 * Patarasuk, Yuan: Bandwidth optimal all-reduce algorithms for clusters of workstations, JPDC 69 (2009). */
#include "collective/collective.h"

static uint32_t ring_rounds(int kind, uint32_t members)
{
    return (kind == ALL_REDUCE ? 2 : 1) * (members - 1);
}

static void everyone_to_the_right(uint32_t round, uint32_t distance, uint32_t members,
                                  struct transfer_list *out)
{
    for (uint32_t i = 0; i < members; i++) {
        struct transfer_step step = {round, i, (i + distance) % members, 1.0 / members};
        VECTOR_PUSH(out, step);
    }
}

static void ring_steps(int kind, uint32_t members, struct transfer_list *out)
{
    uint32_t rounds = ring_rounds(kind, members);
    for (uint32_t round = 0; round < rounds; round++) {
        if (kind == BROADCAST)
            VECTOR_PUSH(out, ((struct transfer_step){round, round, round + 1, 1}));
        else
            everyone_to_the_right(round, kind == ALL_TO_ALL ? round + 1 : 1, members, out);
    }
}

static void ring_pattern(int kind, uint32_t members, struct transfer_list *out, struct index_list *times)
{
    if (kind == BROADCAST || kind == ALL_TO_ALL) {
        ring_steps(kind, members, out);
        return;
    }
    everyone_to_the_right(0, 1, members, out);
    VECTOR_PUSH(times, ring_rounds(kind, members));
}

static double ring_seconds(int kind, uint32_t members, double bytes, double latency, double bandwidth)
{
    double chunk = kind == BROADCAST ? bytes : bytes / members;
    return ring_rounds(kind, members) * (latency + chunk / bandwidth);
}

const struct algorithm ring_algorithm = {
    .name = "ring",
    .about = "each member passes chunks to the next; least bytes on every link, latency grows with members",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << ALL_TO_ALL | 1u << BROADCAST,
    .steps = ring_steps,
    .pattern = ring_pattern,
    .seconds = ring_seconds,
};
