/* Bidirectional ring: every chunk travels from its home both ways round the ring at once and so arrives after
 * half as many rounds; with an even number of members each half of it goes the last step one way. A
 * reduce-scatter is an all-gather backwards. On a ring of full-duplex cables it takes half the time of a
 * ring.
 *
 * Chan, Heimlich, Purkayastha, van de Geijn: Collective communication: theory, practice, and experience,
 * Concurrency and Computation 19 (2007), section on rings with bidirectional links. */
#include "collective/collective.h"

static void bidirectional_gather(uint32_t first, uint32_t n, struct transfer_list *out)
{
    for (uint32_t d = 1; d <= n / 2; d++) {
        bool half = 2 * d == n;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t left = (i + n - (d - 1)) % n, right = (i + d - 1) % n; /* whose chunk goes on */
            if (n == 2) {
                transfer_add(out, first, i, 1 - i, 2 * i, 2, false);
                continue;
            }
            transfer_add(out, first + d - 1, i, (i + 1) % n, 2 * left, half ? 1 : 2, false);
            transfer_add(out, first + d - 1, i, (i + n - 1) % n, 2 * right + half, half ? 1 : 2, false);
        }
    }
}

static void bidirectional_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    uint32_t n = shape->members;
    transfer_begin(out, kind, n, 2 * n);
    if (kind != ALL_GATHER) {
        bidirectional_gather(0, n, out);
        transfer_reverse(out, 0, true);
    }
    if (kind != REDUCE_SCATTER)
        bidirectional_gather(transfer_rounds(out), n, out);
}

static double bidirectional_seconds(int kind, const struct shape *shape, double bytes, double latency,
                                    double bandwidth)
{
    double n = shape->members, passes = kind == ALL_REDUCE ? 2 : 1;
    return passes * (shape->members / 2 * latency + (n - 1) / n * bytes / bandwidth);
}

const struct algorithm bidirectional_algorithm = {
    .name = "bidirectional-ring",
    .about = "chunks go both ways round the ring at once: half the rounds, and half the time on a real ring",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER,
    .most = 1024,
    .steps = bidirectional_steps,
    .seconds = bidirectional_seconds,
};
