/* Recursive halving and doubling (Rabenseifner): a reduce-scatter in which pairs exchange halves of what they
 * are still about, at half the distance each time, then the all-gather backwards. Least bytes in 2 log2 n
 * rounds where n is a power of two. Otherwise the members left over are folded in (folding.h): an all-reduce
 * sends their whole payload before and after. Broadcast is a binomial scatter and an all-gather (van de
 * Geijn), reduce its reverse.
 *
 * Rabenseifner: Optimization of collective reduction operations, ICCS 2004. Thakur, Rabenseifner, Gropp 2005.
 */
#include "collective/binomial.h"
#include "collective/collective.h"
#include "collective/folding.h"

static void halving_all_reduce(const struct folding *folding, struct transfer_list *out)
{
    transfer_begin(out, ALL_REDUCE, folding->members, folding->groups);
    folding_in(folding, 0, out);
    uint32_t first = out->count;
    folding_gather(folding, folding->rest > 0, true, out);
    transfer_reverse(out, first, true);
    folding_gather(folding, transfer_rounds(out), true, out);
    folding_out(folding, transfer_rounds(out), out);
}

static void halving_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    struct folding folding = folding_of(shape->members);
    if (kind == ALL_REDUCE) {
        halving_all_reduce(&folding, out);
        return;
    }
    transfer_begin(out, kind, shape->members, shape->members);
    if (kind == BROADCAST)
        binomial_down(0, false, out);
    folding_gather(&folding, transfer_rounds(out), false, out);
    if (kind == REDUCE_SCATTER || kind == REDUCE)
        transfer_reverse(out, 0, true);
    if (kind == REDUCE) { /* a gather: its chunks are complete */
        uint32_t first = out->count;
        binomial_down(transfer_rounds(out), false, out);
        transfer_reverse(out, first, false);
    }
}

static double halving_seconds(int kind, const struct shape *shape, double bytes, double latency,
                              double bandwidth)
{
    struct folding folding = folding_of(shape->members);
    double p = folding.groups, n = shape->members;
    if (kind == ALL_REDUCE)
        return 2 * (folding.rounds * latency + (p - 1) / p * bytes / bandwidth) +
               (folding.rest ? 2 * (latency + bytes / bandwidth) : 0);
    double seconds = folding_gather_seconds(shape->members, bytes, latency, bandwidth);
    if (kind == BROADCAST || kind == REDUCE)
        seconds += binomial_rounds(shape->members) * latency + (n - 1) / n * bytes / bandwidth;
    return seconds;
}

const struct algorithm halving_algorithm = {
    .name = "halving-doubling",
    .about = "pairs exchange halves, quarters … and back: least bytes in few rounds for powers of two",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << BROADCAST | 1u << REDUCE,
    .steps = halving_steps,
    .seconds = halving_seconds,
};
