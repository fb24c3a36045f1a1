/* Direct: everybody sends to everybody at once. One round (all-reduce: a reduce-scatter and an all-gather)
 * and the least bytes on every port, but n - 1 messages of each member at the same time. From and to a root:
 * all its messages at once. */
#include "collective/collective.h"

/* What member i spreads in one round: its own chunk (all-gather), all blocks (all-to-all), or the root's. */
static void direct_spread(uint32_t round, struct transfer_list *out)
{
    uint32_t n = out->members, kind = (uint32_t)out->kind;
    bool rooted = kind == BROADCAST || kind == REDUCE || kind == SCATTER || kind == GATHER;
    bool whole = kind == BROADCAST || kind == REDUCE || kind == BARRIER;
    for (uint32_t i = 0; i < (rooted ? 1 : n); i++)
        for (uint32_t d = 1; d < n; d++) {
            uint32_t to = (i + d) % n;
            uint32_t chunk = whole ? 0 : kind == ALL_TO_ALL ? d : rooted ? to : i;
            transfer_add(out, round, i, to, chunk, 1, kind == BARRIER);
        }
}

/* Everybody to both neighbours. */
static void direct_halos(uint32_t n, struct transfer_list *out)
{
    for (uint32_t i = 0; i + 1 < n; i++) {
        transfer_add(out, 0, i, i + 1, 2 * i, 1, false);
        transfer_add(out, 0, i + 1, i, 2 * (i + 1) + 1, 1, false);
    }
}

static void direct_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    if (kind == HALO_EXCHANGE) {
        transfer_begin(out, kind, shape->members, 2 * shape->members);
        direct_halos(shape->members, out);
        return;
    }
    bool whole = kind == BROADCAST || kind == REDUCE || kind == BARRIER;
    transfer_begin(out, kind, shape->members, whole ? 1 : shape->members);
    direct_spread(0, out);
    if (kind == REDUCE_SCATTER || kind == REDUCE || kind == GATHER || kind == ALL_REDUCE)
        transfer_reverse(out, 0, kind != GATHER);
    if (kind == ALL_REDUCE)
        direct_spread(1, out);
}

static double direct_seconds(int kind, const struct shape *shape, double bytes, double latency,
                             double bandwidth)
{
    double n = shape->members;
    if (kind == BARRIER)
        return latency;
    if (kind == BROADCAST || kind == REDUCE)
        return latency + (n - 1) * bytes / bandwidth;
    if (kind == HALO_EXCHANGE)
        return latency + collective_factor(kind, shape->members) * bytes / bandwidth;
    return (kind == ALL_REDUCE ? 2 : 1) * (latency + (n - 1) / n * bytes / bandwidth);
}

const struct algorithm direct_algorithm = {
    .name = "direct",
    .about = "everybody sends to everybody at once: one round, many messages",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << ALL_TO_ALL | 1u << BROADCAST |
             1u << REDUCE | 1u << SCATTER | 1u << GATHER | 1u << BARRIER | 1u << HALO_EXCHANGE,
    .most = 64,
    .steps = direct_steps,
    .seconds = direct_seconds,
};
