/* Recursive doubling: in log2 n rounds pairs at distance 1, 2, 4 … exchange all that they have. All-reduce
 * exchanges whole payloads (fewest rounds: for short messages), all-gather what has been gathered. Members
 * beyond a power of two are folded in (folding.h).
 *
 * Thakur, Rabenseifner, Gropp: Optimization of collective communication operations in MPICH, IJHPCA 19
 * (2005). */
#include "collective/collective.h"
#include "collective/folding.h"

static void doubling_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    struct folding folding = folding_of(shape->members);
    transfer_begin(out, kind, shape->members, kind == ALL_GATHER ? shape->members : 1);
    if (kind == ALL_GATHER) {
        folding_gather(&folding, 0, false, out);
        return;
    }
    folding_in(&folding, 0, out);
    uint32_t first = transfer_rounds(out);
    for (uint32_t j = 0; j < folding.rounds; j++)
        for (uint32_t g = 0; g < folding.groups; g++)
            transfer_add(out, first + j, folding_leader(&folding, g), folding_leader(&folding, g ^ 1u << j),
                         0, 1, true);
    folding_out(&folding, transfer_rounds(out), out);
}

static double doubling_seconds(int kind, const struct shape *shape, double bytes, double latency,
                               double bandwidth)
{
    struct folding folding = folding_of(shape->members);
    if (kind == ALL_GATHER)
        return folding_gather_seconds(shape->members, bytes, latency, bandwidth);
    double each = latency + (kind == BARRIER ? 0 : bytes / bandwidth);
    return (folding.rounds + (folding.rest ? 2 : 0)) * each;
}

const struct algorithm doubling_algorithm = {
    .name = "recursive-doubling",
    .about = "pairs exchange all that they have, at distances 1, 2, 4 …: fewest rounds, for short payloads",
    .kinds = 1u << ALL_REDUCE | 1u << ALL_GATHER | 1u << BARRIER,
    .steps = doubling_steps,
    .seconds = doubling_seconds,
};
