/* A slow network: max-min rates by progressive filling from the definition, after every instant, in step with
 * the network under test; and random cases for it. Half of them draw capacities, sizes and times from
 * {1, 2, 3}, so that almost everything ties. Include after cmocka.h. */
#ifndef PARTITA_TEST_SLOW_NETWORK_H
#define PARTITA_TEST_SLOW_NETWORK_H

#include "base/vector.h"
#include "engine/network.h"

#include <math.h>

enum { SLOW_LINKS = 24, SLOW_FLOWS = 400, SLOW_USAGES = 6, SLOW_CHANGES = 16 };

/* After every instant: rates and bytes against progressive filling, and the max-min property; and a full
 * solve besides. */
enum slow_checks { SLOW_NO_CHECKS, SLOW_CHECKS, SLOW_ALL_CHECKS };

struct slow_flow {
    struct network_usage usage[SLOW_USAGES];
    uint32_t usage_count;
    double start, latency, bytes, weight, cap;
    double remaining, rate, completion; /* of the slow model; completion: as the network said */
    uint32_t identity;
    enum { PLANNED, WAITING, ACTIVE, DONE } state;
};

struct slow_change {
    double time, value;
    uint32_t of; /* a link, or a flow */
    enum { SLOW_CAPACITY, SLOW_WEIGHT, SLOW_CAP } what;
    bool done;
};

struct slow {
    double capacities[SLOW_LINKS], carried[SLOW_LINKS];
    struct slow_flow flows[SLOW_FLOWS];
    struct slow_change changes[SLOW_CHANGES];
    uint32_t link_count, flow_count, change_count;
    unsigned long long seed;
    enum network_solver solver;
};

/* The level at which a link fills when the flows without a rate yet go up together. */
static inline double slow_filling_level(const struct slow *slow, uint32_t link, const bool *frozen)
{
    double left = slow->capacities[link], open = 0;
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        const struct slow_flow *flow = &slow->flows[f];
        for (uint32_t i = 0; flow->state == ACTIVE && i < flow->usage_count; i++) {
            if (flow->usage[i].link != link)
                continue;
            if (frozen[f])
                left -= flow->usage[i].coefficient * flow->rate;
            else
                open += flow->usage[i].coefficient * flow->weight;
        }
    }
    return open > 0 ? fmax(left, 0) / open : INFINITY;
}

static inline void slow_freeze_link(struct slow *slow, uint32_t link, double level, bool *frozen)
{
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        struct slow_flow *flow = &slow->flows[f];
        for (uint32_t i = 0; flow->state == ACTIVE && !frozen[f] && i < flow->usage_count; i++) {
            if (flow->usage[i].link == link) {
                flow->rate = flow->weight * level;
                frozen[f] = true;
            }
        }
    }
}

static inline void slow_fill(struct slow *slow)
{
    bool frozen[SLOW_FLOWS] = {false};
    for (;;) {
        double least = INFINITY;
        uint32_t link = SLOW_LINKS, capped = SLOW_FLOWS;
        for (uint32_t l = 0; l < slow->link_count; l++) {
            double level = slow_filling_level(slow, l, frozen);
            if (level < least) {
                least = level;
                link = l;
            }
        }
        for (uint32_t f = 0; f < slow->flow_count; f++) {
            const struct slow_flow *flow = &slow->flows[f];
            if (flow->state == ACTIVE && !frozen[f] && flow->cap / flow->weight < least) {
                least = flow->cap / flow->weight;
                capped = f;
            }
        }
        if (least == INFINITY)
            return;
        if (capped < SLOW_FLOWS) {
            slow->flows[capped].rate = slow->flows[capped].cap;
            frozen[capped] = true;
        } else {
            slow_freeze_link(slow, link, least, frozen);
        }
    }
}

static inline bool slow_near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fmax(fabs(a), fabs(b));
}

static inline void slow_progress(struct slow *slow, double seconds)
{
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        struct slow_flow *flow = &slow->flows[f];
        if (flow->state != ACTIVE)
            continue;
        flow->remaining -= flow->rate * seconds;
        for (uint32_t i = 0; i < flow->usage_count; i++)
            slow->carried[flow->usage[i].link] += flow->usage[i].coefficient * flow->rate * seconds;
    }
}

static inline double slow_next_planned(const struct slow *slow)
{
    double next = INFINITY;
    for (uint32_t f = 0; f < slow->flow_count; f++)
        if (slow->flows[f].state == PLANNED)
            next = fmin(next, slow->flows[f].start);
    for (uint32_t i = 0; i < slow->change_count; i++)
        if (!slow->changes[i].done)
            next = fmin(next, slow->changes[i].time);
    return next;
}

static inline void slow_check_rates(const struct slow *slow, const struct network *network, double now)
{
    uint32_t active = 0;
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        const struct slow_flow *flow = &slow->flows[f];
        active += flow->state == ACTIVE || flow->state == WAITING;
        if (flow->state != ACTIVE)
            continue;
        double rate = network_rate(network, flow->identity);
        if (!slow_near(rate, flow->rate, 1e-9))
            fail_msg("seed %llu, t = %.17g: flow %u has rate %.17g, progressive filling says %.17g",
                     slow->seed, now, f, rate, flow->rate);
        double remaining = network_remaining(network, flow->identity, now);
        if (fabs(remaining - flow->remaining) > 1e-9 * flow->bytes)
            fail_msg("seed %llu, t = %.17g: flow %u has %.17g bytes left, expected %.17g", slow->seed, now, f,
                     remaining, flow->remaining);
    }
    assert_int_equal(active, network_active(network));
}

/* Feasible, and each flow is at its cap or has a saturated link on which no flow of its weight is faster. */
static inline void slow_check_property(const struct slow *slow, const struct network *network)
{
    double used[SLOW_LINKS] = {0}, fastest[SLOW_LINKS] = {0};
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        const struct slow_flow *flow = &slow->flows[f];
        double rate = flow->state == ACTIVE ? network_rate(network, flow->identity) : 0;
        for (uint32_t i = 0; flow->state == ACTIVE && i < flow->usage_count; i++) {
            used[flow->usage[i].link] += flow->usage[i].coefficient * rate;
            fastest[flow->usage[i].link] = fmax(fastest[flow->usage[i].link], rate / flow->weight);
        }
    }
    for (uint32_t l = 0; l < slow->link_count; l++)
        assert_true(used[l] <= slow->capacities[l] * (1 + 1e-9));
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        const struct slow_flow *flow = &slow->flows[f];
        if (flow->state != ACTIVE)
            continue;
        double rate = network_rate(network, flow->identity);
        bool limited = slow_near(rate, flow->cap, 1e-9);
        for (uint32_t i = 0; i < flow->usage_count; i++) {
            uint32_t l = flow->usage[i].link;
            limited |= slow_near(used[l], slow->capacities[l], 1e-9) &&
                       rate / flow->weight >= fastest[l] * (1 - 1e-9);
        }
        if (!limited)
            fail_msg("seed %llu: nothing limits flow %u at %.17g", slow->seed, f, rate);
    }
}

/* A flow as the network is asked for it; its tag is its number. */
static inline struct network_flow slow_wanted(const struct slow_flow *flow, uint32_t number)
{
    return (struct network_flow){.usage = flow->usage,
                                 .usage_count = flow->usage_count,
                                 .tag = number,
                                 .bytes = flow->bytes,
                                 .latency = flow->latency,
                                 .weight = flow->weight,
                                 .cap = flow->cap};
}

/* A network that has never seen but this instant, so its solve is a full one. */
static inline void slow_check_full(const struct slow *slow, const struct network *network, double now)
{
    struct network *fresh = network_new(slow->capacities, slow->link_count);
    network_set_solver(fresh, NETWORK_SCRATCH);
    uint32_t identity[SLOW_FLOWS];
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        struct network_flow wanted = slow_wanted(&slow->flows[f], f);
        wanted.latency = 0; /* it is over */
        if (slow->flows[f].state == ACTIVE)
            identity[f] = network_start(fresh, now, &wanted);
    }
    network_solve(fresh, now);
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        if (slow->flows[f].state != ACTIVE)
            continue;
        double local = network_rate(network, slow->flows[f].identity),
               full = network_rate(fresh, identity[f]);
        if (!slow_near(local, full, 1e-9))
            fail_msg("seed %llu, t = %.17g: flow %u has rate %.17g, a full solve says %.17g", slow->seed, now,
                     f, local, full);
    }
    network_free(fresh);
}

/* A change for a flow that is over has none to reach; its identity may be another flow's by now. */
static inline void slow_apply(struct slow *slow, struct network *network, double now,
                              const struct slow_change *change)
{
    struct slow_flow *flow = &slow->flows[change->of];
    bool under_way = change->what != SLOW_CAPACITY && (flow->state == WAITING || flow->state == ACTIVE);
    if (change->what == SLOW_CAPACITY) {
        network_set_capacity(network, now, change->of, change->value);
        slow->capacities[change->of] = change->value;
    } else if (change->what == SLOW_WEIGHT) {
        flow->weight = change->value;
        if (under_way)
            network_set_weight(network, now, flow->identity, change->value);
    } else {
        flow->cap = change->value;
        if (under_way)
            network_set_cap(network, now, flow->identity, change->value);
    }
}

static inline void slow_start_planned(struct slow *slow, struct network *network, double now)
{
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        struct slow_flow *flow = &slow->flows[f];
        if (flow->state != PLANNED || flow->start > now)
            continue;
        const struct network_flow wanted = slow_wanted(flow, f);
        flow->identity = network_start(network, now, &wanted);
        flow->remaining = flow->bytes;
        flow->start = now;
        bool idle = flow->bytes == 0 || (!flow->usage_count && flow->cap == INFINITY);
        flow->state = flow->latency > 0 || idle ? WAITING : ACTIVE;
    }
    for (uint32_t i = 0; i < slow->change_count; i++) {
        struct slow_change *change = &slow->changes[i];
        if (change->done || change->time > now)
            continue;
        slow_apply(slow, network, now, change);
        change->done = true;
    }
}

static inline void slow_take_completed(struct slow *slow, struct network *network, double now)
{
    const uint32_t *tags;
    uint32_t count = network_advance(network, now, &tags);
    for (uint32_t i = 0; i < count; i++) {
        struct slow_flow *flow = &slow->flows[tags[i]];
        assert_true(flow->state == ACTIVE || flow->state == WAITING);
        bool idle = flow->bytes == 0 || (!flow->usage_count && flow->cap == INFINITY);
        if (idle)
            assert_true(slow_near(now, flow->start + flow->latency, 1e-14));
        else if (fabs(flow->remaining) > 1e-9 * flow->bytes)
            fail_msg("seed %llu, t = %.17g: flow %u completed with %.17g of %.17g bytes left", slow->seed,
                     now, tags[i], flow->remaining, flow->bytes);
        flow->state = DONE;
        flow->completion = now;
    }
    for (uint32_t f = 0; f < slow->flow_count; f++)
        if (slow->flows[f].state == WAITING &&
            slow->flows[f].start + slow->flows[f].latency <= now * (1 + 4 * 0x1p-52))
            slow->flows[f].state = ACTIVE;
}

static inline void slow_run(struct slow *slow, enum slow_checks checks)
{
    double start[SLOW_LINKS];
    for (uint32_t l = 0; l < slow->link_count; l++)
        start[l] = slow->capacities[l];
    struct network *network = network_new(start, slow->link_count);
    network_set_solver(network, slow->solver);
    double last = 0;
    for (;;) {
        double now = fmin(network_next(network), slow_next_planned(slow));
        if (now == INFINITY)
            break;
        assert_true(now >= last);
        slow_progress(slow, now - last);
        slow_take_completed(slow, network, now);
        slow_start_planned(slow, network, now);
        network_solve(network, now);
        last = now;
        if (checks == SLOW_NO_CHECKS)
            continue;
        slow_fill(slow);
        slow_check_rates(slow, network, now);
        slow_check_property(slow, network);
        if (checks == SLOW_ALL_CHECKS)
            slow_check_full(slow, network, now);
    }
    for (uint32_t l = 0; l < slow->link_count; l++)
        if (checks && fabs(network_carried(network, l) - slow->carried[l]) > 1e-9 * (1 + slow->carried[l]))
            fail_msg("seed %llu: link %u carried %.17g bytes, expected %.17g", slow->seed, l,
                     network_carried(network, l), slow->carried[l]);
    for (uint32_t f = 0; f < slow->flow_count; f++)
        assert_true(slow->flows[f].state == DONE || slow->flows[f].rate == 0);
    network_free(network);
}

static inline unsigned long long slow_draw(unsigned long long *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline uint32_t slow_below(unsigned long long *seed, uint32_t limit)
{
    return (uint32_t)((slow_draw(seed) >> 20) % limit);
}

/* A number from {1, 2, 3}, or from (0.1, 10) spread over the logarithm. */
static inline double slow_quantity(unsigned long long *seed, bool ties)
{
    if (ties)
        return 1 + slow_below(seed, 3);
    return exp2((double)slow_below(seed, 1u << 20) * 0x1p-20 * 6.6 - 3.3);
}

static inline void slow_random_flow(struct slow *slow, struct slow_flow *flow, unsigned long long *seed,
                                    bool ties)
{
    *flow = (struct slow_flow){.weight = 1, .cap = INFINITY};
    flow->start = ties ? slow_below(seed, 4) : slow_quantity(seed, false);
    flow->latency = slow_below(seed, 2) ? 0 : slow_quantity(seed, ties);
    flow->bytes = slow_below(seed, 12) ? slow_quantity(seed, ties) * (ties ? 1 : 3) : 0;
    if (!slow_below(seed, 3))
        flow->weight = slow_quantity(seed, ties);
    if (!slow_below(seed, 6))
        flow->cap = slow_quantity(seed, ties) / 2;
    uint32_t hops = slow_below(seed, 30) ? 1 + slow_below(seed, SLOW_USAGES - 1) : 0;
    bool fluid = !slow_below(seed, 4);
    for (uint32_t i = 0; i < hops; i++) {
        uint32_t link = slow_below(seed, slow->link_count), k = 0;
        while (k < flow->usage_count && flow->usage[k].link != link)
            k++;
        double coefficient = fluid ? (ties ? 0.5 : slow_quantity(seed, false) / 10) : 1;
        if (k == flow->usage_count)
            flow->usage[flow->usage_count++] = (struct network_usage){link, 0};
        flow->usage[k].coefficient += coefficient; /* a repeated link counts again */
    }
}

/* A link's capacity, a flow's weight, or its cap, which may come, go, or be 0. */
static inline void slow_random_change(struct slow *slow, struct slow_change *change, unsigned long long *seed,
                                      bool ties)
{
    change->time = slow_quantity(seed, ties) * 2;
    change->what = slow_below(seed, 3);
    change->of = slow_below(seed, change->what == SLOW_CAPACITY ? slow->link_count : slow->flow_count);
    change->value = slow_quantity(seed, ties);
    if (change->what == SLOW_CAPACITY && !slow_below(seed, 4))
        change->value = 0;
    if (change->what != SLOW_CAP)
        return;
    uint32_t kind = slow_below(seed, 8);
    change->value = kind == 0 ? 0 : change->value / 2;
    if (kind < 4 && kind && slow->flows[change->of].usage_count)
        change->value = INFINITY;
}

/* Flows come in batches: some are the one before again, so that equal flows start and end together. */
static inline void slow_random_case(struct slow *slow, unsigned long long number, uint32_t links,
                                    uint32_t flows)
{
    unsigned long long seed = (number + 1) * 0x9e3779b97f4a7c15u;
    bool ties = number % 2;
    *slow = (struct slow){.seed = number};
    slow->solver = number / 2 % 4 < 3 ? NETWORK_REPAIR : NETWORK_CHEAPER;
    slow->link_count = 1 + slow_below(&seed, links);
    slow->flow_count = flows / 2 + slow_below(&seed, flows / 2) + 1;
    slow->change_count = slow_below(&seed, 3) ? slow_below(&seed, SLOW_CHANGES) : 0;
    for (uint32_t l = 0; l < slow->link_count; l++)
        slow->capacities[l] = slow_quantity(&seed, ties);
    for (uint32_t f = 0; f < slow->flow_count; f++)
        if (f && !slow_below(&seed, 5))
            slow->flows[f] = slow->flows[f - 1];
        else
            slow_random_flow(slow, &slow->flows[f], &seed, ties);
    for (uint32_t i = 0; i < slow->change_count; i++)
        slow_random_change(slow, &slow->changes[i], &seed, ties);
}

#endif
