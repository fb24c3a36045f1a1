/* Via the root: all members send to member 0, which sends back to all: what a gateway or a parameter server
 * does. Two rounds; the root's port carries everything. */
#include "collective/collective.h"

/* Both of a member's chunks go to the root (that of the last one for its one neighbour); from the root comes
 * what the member before has for this one, and then what the member after has. */
static void via_root_halos(uint32_t n, struct transfer_list *out)
{
    transfer_begin(out, HALO_EXCHANGE, n, 2 * n);
    for (uint32_t i = 1; i + 1 < n; i++)
        transfer_add(out, 0, i, 0, 2 * i, 2, false);
    transfer_add(out, 0, n - 1, 0, 2 * (n - 1) + 1, 1, false);
    for (uint32_t i = 1; i < n; i++)
        transfer_add_runs(out, 1, 0, i, 2 * (i - 1), 1, 5, i + 1 < n ? 2 : 1);
}

static void via_root_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    uint32_t n = shape->members;
    if (kind == HALO_EXCHANGE) {
        via_root_halos(n, out);
        return;
    }
    bool up = kind != BROADCAST && kind != SCATTER, down = kind != REDUCE && kind != GATHER,
         round = up && down;
    bool parts = kind == ALL_GATHER || kind == REDUCE_SCATTER || kind == SCATTER || kind == GATHER;
    bool spread = kind == REDUCE_SCATTER; /* it is an all-gather backwards */
    transfer_begin(out, kind, n, parts ? n : 1);
    for (uint32_t i = 1; i < n && up; i++)
        transfer_add(out, 0, i, 0, parts ? i : 0, 1, !parts);
    for (uint32_t i = 1; i < n && down; i++) {
        uint32_t chunk = kind == SCATTER ? i : i + 1, count = kind == SCATTER ? 1 : n - 1;
        transfer_add(out, round, 0, i, parts ? chunk % n : 0, parts ? count : 1, false);
    }
    if (spread)
        transfer_reverse(out, 0, true);
}

static double via_root_seconds(int kind, const struct shape *shape, double bytes, double latency,
                               double bandwidth)
{
    double n = shape->members, others = n - 1;
    switch (kind) {
    case BARRIER:
        return 2 * latency;
    case ALL_REDUCE:
        return 2 * (latency + others * bytes / bandwidth);
    case ALL_GATHER:
    case REDUCE_SCATTER:
        return 2 * latency + (others + others * others) / n * bytes / bandwidth;
    case HALO_EXCHANGE: /* the last member has one neighbour only */
        return 2 * (latency + (n - 1.5) * bytes / bandwidth);
    case SCATTER:
    case GATHER:
        return latency + others / n * bytes / bandwidth;
    default:
        return latency + others * bytes / bandwidth;
    }
}

const struct algorithm via_root_algorithm = {
    .name = "via-root",
    .about = "all members send to the first one, which sends back to all: gateways and parameter servers",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << BROADCAST | 1u << REDUCE |
             1u << SCATTER | 1u << GATHER | 1u << BARRIER | 1u << HALO_EXCHANGE,
    .steps = via_root_steps,
    .seconds = via_root_seconds,
};
