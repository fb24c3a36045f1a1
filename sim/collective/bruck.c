/* Bruck: round j goes to the member 2^j places away, for any number of members: log2 n rounds, rounded up. An
 * all-gather sends what has been gathered so far, and a reduce-scatter is that backwards. An all-to-all sends
 * the blocks whose way has bit j in its length: fewer messages than the direct exchange, about log2(n)/2
 * times the bytes. A barrier is the same without bytes (dissemination).
 *
 * Bruck, Ho, Kipnis, Upfal, Weathersby: Efficient algorithms for all-to-all communications in multiport
 * message-passing systems, IEEE TPDS 8 (1997). Hensgen, Finkel, Manber: Two algorithms for barrier
 * synchronization, IJPP 17 (1988). */
#include "collective/binomial.h"
#include "collective/collective.h"

/* Of the places 0 … n-1 those with bit j: full runs of 2^j, then what is left of one. */
static void bruck_blocks(uint32_t j, struct transfer_list *out)
{
    uint32_t n = out->members, bit = 1u << j, full = n / (2 * bit), last = n - full * 2 * bit;
    for (uint32_t i = 0; i < n; i++) {
        transfer_add_runs(out, j, i, (i + bit) % n, bit, bit, 2 * bit, full);
        transfer_add_runs(out, j, i, (i + bit) % n, (2 * full + 1) * bit, last > bit ? last - bit : 0, 0, 1);
    }
}

static void bruck_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    uint32_t n = shape->members;
    transfer_begin(out, kind, n, kind == BARRIER ? 1 : n);
    for (uint32_t j = 0; j < binomial_rounds(n); j++) {
        uint32_t bit = 1u << j;
        if (kind == ALL_TO_ALL)
            bruck_blocks(j, out);
        for (uint32_t i = 0; i < n && kind == BARRIER; i++)
            transfer_add(out, j, i, (i + bit) % n, 0, 1, true);
        for (uint32_t i = 0; i < n && kind != BARRIER && kind != ALL_TO_ALL; i++)
            transfer_add(out, j, i, (i + n - bit) % n, i, bit < n - bit ? bit : n - bit, false);
    }
    if (kind == REDUCE_SCATTER)
        transfer_reverse(out, 0, true);
}

static double bruck_seconds(int kind, const struct shape *shape, double bytes, double latency,
                            double bandwidth)
{
    uint32_t n = shape->members;
    double rounds = binomial_rounds(n), blocks = 0;
    if (kind == BARRIER)
        return rounds * latency;
    for (uint32_t p = 1; p < n && kind == ALL_TO_ALL; p++)
        for (uint32_t rest = p; rest; rest &= rest - 1)
            blocks++; /* a block moves once for each set bit */
    if (kind != ALL_TO_ALL)
        blocks = n - 1;
    return rounds * latency + blocks / n * bytes / bandwidth;
}

const struct algorithm bruck_algorithm = {
    .name = "bruck",
    .about = "to the members 1, 2, 4 … places away, any number of members: fewest rounds for small blocks",
    .kinds = 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << ALL_TO_ALL | 1u << BARRIER,
    .steps = bruck_steps,
    .seconds = bruck_seconds,
};
