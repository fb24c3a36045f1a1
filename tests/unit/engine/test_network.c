/* The network against hand-computed cases and against a slow model: progressive filling from its definition
 * after every instant, on random networks. Half of them draw capacities, sizes and times from {1, 2, 3}, so
 * that almost everything ties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/vector.h"
#include "engine/network.h"
#include "near.h"

#include <math.h>
#include <stdio.h>

enum { LINKS = 24, FLOWS = 400, USAGES = 6, CHANGES = 8 };

struct slow_flow {
    struct network_usage usage[USAGES];
    uint32_t usage_count;
    double start, latency, bytes, weight, cap;
    double remaining, rate, completion; /* of the slow model; completion: as the network said */
    uint32_t identity;
    enum { PLANNED, WAITING, ACTIVE, DONE } state;
};

struct slow_change {
    double time, capacity;
    uint32_t link;
    bool done;
};

struct slow {
    double capacities[LINKS], carried[LINKS];
    struct slow_flow flows[FLOWS];
    struct slow_change changes[CHANGES];
    uint32_t link_count, flow_count, change_count;
    unsigned long long seed;
};

/* The level at which a link fills when the flows without a rate yet go up together. */
static double filling_level(const struct slow *slow, uint32_t link, const bool *frozen)
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

static void freeze_link(struct slow *slow, uint32_t link, double level, bool *frozen)
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

static void fill(struct slow *slow)
{
    bool frozen[FLOWS] = {false};
    for (;;) {
        double least = INFINITY;
        uint32_t link = LINKS, capped = FLOWS;
        for (uint32_t l = 0; l < slow->link_count; l++) {
            double level = filling_level(slow, l, frozen);
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
        if (capped < FLOWS) {
            slow->flows[capped].rate = slow->flows[capped].cap;
            frozen[capped] = true;
        } else {
            freeze_link(slow, link, least, frozen);
        }
    }
}

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fmax(fabs(a), fabs(b));
}

static void progress(struct slow *slow, double seconds)
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

static double next_planned(const struct slow *slow)
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

static void check_rates(const struct slow *slow, const struct network *network, double now)
{
    uint32_t active = 0;
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        const struct slow_flow *flow = &slow->flows[f];
        active += flow->state == ACTIVE || flow->state == WAITING;
        if (flow->state != ACTIVE)
            continue;
        double rate = network_rate(network, flow->identity);
        if (!near(rate, flow->rate, 1e-9))
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
static void check_property(const struct slow *slow, const struct network *network)
{
    double used[LINKS] = {0}, fastest[LINKS] = {0};
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
        bool limited = near(rate, flow->cap, 1e-9);
        for (uint32_t i = 0; i < flow->usage_count; i++) {
            uint32_t l = flow->usage[i].link;
            limited |=
                near(used[l], slow->capacities[l], 1e-9) && rate / flow->weight >= fastest[l] * (1 - 1e-9);
        }
        if (!limited)
            fail_msg("seed %llu: nothing limits flow %u at %.17g", slow->seed, f, rate);
    }
}

static void start_planned(struct slow *slow, struct network *network, double now)
{
    for (uint32_t f = 0; f < slow->flow_count; f++) {
        struct slow_flow *flow = &slow->flows[f];
        if (flow->state != PLANNED || flow->start > now)
            continue;
        flow->identity = network_start(network, now, flow->usage, flow->usage_count, flow->bytes,
                                       flow->latency, flow->weight, flow->cap, f);
        flow->remaining = flow->bytes;
        flow->start = now;
        bool idle = flow->bytes == 0 || (!flow->usage_count && flow->cap == INFINITY);
        flow->state = flow->latency > 0 || idle ? WAITING : ACTIVE;
    }
    for (uint32_t i = 0; i < slow->change_count; i++) {
        struct slow_change *change = &slow->changes[i];
        if (change->done || change->time > now)
            continue;
        network_set_capacity(network, now, change->link, change->capacity);
        slow->capacities[change->link] = change->capacity;
        change->done = true;
    }
}

static void take_completed(struct slow *slow, struct network *network, double now)
{
    const uint32_t *tags;
    uint32_t count = network_advance(network, now, &tags);
    for (uint32_t i = 0; i < count; i++) {
        struct slow_flow *flow = &slow->flows[tags[i]];
        assert_true(flow->state == ACTIVE || flow->state == WAITING);
        bool idle = flow->bytes == 0 || (!flow->usage_count && flow->cap == INFINITY);
        if (idle)
            assert_true(near(now, flow->start + flow->latency, 1e-14));
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

static void run(struct slow *slow, bool check)
{
    double start[LINKS];
    for (uint32_t l = 0; l < slow->link_count; l++)
        start[l] = slow->capacities[l];
    struct network *network = network_new(start, slow->link_count);
    double last = 0;
    for (;;) {
        double now = fmin(network_next(network), next_planned(slow));
        if (now == INFINITY)
            break;
        assert_true(now >= last);
        progress(slow, now - last);
        take_completed(slow, network, now);
        start_planned(slow, network, now);
        network_solve(network, now);
        last = now;
        if (check) {
            fill(slow);
            check_rates(slow, network, now);
            check_property(slow, network);
        }
    }
    for (uint32_t l = 0; l < slow->link_count; l++)
        if (check && fabs(network_carried(network, l) - slow->carried[l]) > 1e-9 * (1 + slow->carried[l]))
            fail_msg("seed %llu: link %u carried %.17g bytes, expected %.17g", slow->seed, l,
                     network_carried(network, l), slow->carried[l]);
    for (uint32_t f = 0; f < slow->flow_count; f++)
        assert_true(slow->flows[f].state == DONE || slow->flows[f].rate == 0);
    network_free(network);
}

static unsigned long long draw(unsigned long long *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint32_t below(unsigned long long *seed, uint32_t limit)
{
    return (uint32_t)((draw(seed) >> 20) % limit);
}

/* A number from {1, 2, 3}, or from (0.1, 10) spread over the logarithm. */
static double quantity(unsigned long long *seed, bool ties)
{
    if (ties)
        return 1 + below(seed, 3);
    return exp2((double)below(seed, 1u << 20) * 0x1p-20 * 6.6 - 3.3);
}

static void random_flow(struct slow *slow, struct slow_flow *flow, unsigned long long *seed, bool ties)
{
    *flow = (struct slow_flow){.weight = 1, .cap = INFINITY};
    flow->start = ties ? below(seed, 4) : quantity(seed, false);
    flow->latency = below(seed, 2) ? 0 : quantity(seed, ties);
    flow->bytes = below(seed, 12) ? quantity(seed, ties) * (ties ? 1 : 3) : 0;
    if (!below(seed, 3))
        flow->weight = quantity(seed, ties);
    if (!below(seed, 6))
        flow->cap = quantity(seed, ties) / 2;
    uint32_t hops = below(seed, 30) ? 1 + below(seed, USAGES - 1) : 0;
    bool fluid = !below(seed, 4);
    for (uint32_t i = 0; i < hops; i++) {
        uint32_t link = below(seed, slow->link_count), k = 0;
        while (k < flow->usage_count && flow->usage[k].link != link)
            k++;
        double coefficient = fluid ? (ties ? 0.5 : quantity(seed, false) / 10) : 1;
        if (k == flow->usage_count)
            flow->usage[flow->usage_count++] = (struct network_usage){link, 0};
        flow->usage[k].coefficient += coefficient; /* a repeated link counts again */
    }
}

static void random_case(struct slow *slow, unsigned long long number, uint32_t links, uint32_t flows)
{
    unsigned long long seed = (number + 1) * 0x9e3779b97f4a7c15u;
    bool ties = number % 2;
    *slow = (struct slow){.seed = number};
    slow->link_count = 1 + below(&seed, links);
    slow->flow_count = flows / 2 + below(&seed, flows / 2) + 1;
    slow->change_count = below(&seed, 3) ? 0 : below(&seed, CHANGES);
    for (uint32_t l = 0; l < slow->link_count; l++)
        slow->capacities[l] = quantity(&seed, ties);
    for (uint32_t f = 0; f < slow->flow_count; f++)
        random_flow(slow, &slow->flows[f], &seed, ties);
    for (uint32_t i = 0; i < slow->change_count; i++) {
        struct slow_change *change = &slow->changes[i];
        change->time = quantity(&seed, ties) * 2;
        change->capacity = below(&seed, 4) ? quantity(&seed, ties) : 0;
        change->link = below(&seed, slow->link_count);
    }
}

static struct slow shared_case; /* too large for the stack of a sanitized build */

static void small_random_networks_match_progressive_filling(void **state)
{
    (void)state;
    for (unsigned long long number = 0; number < 6000; number++) {
        random_case(&shared_case, number, 10, 14);
        run(&shared_case, true);
    }
}

/* Enough flows for the full solve to take over from the local repair. */
static void large_random_networks_match_progressive_filling(void **state)
{
    (void)state;
    for (unsigned long long number = 100000; number < 100012; number++) {
        random_case(&shared_case, number, LINKS, FLOWS);
        run(&shared_case, true);
    }
}

static void completes(double capacity, uint32_t count, const struct slow_flow *flows, const double *expected)
{
    struct slow slow = {.link_count = 3, .flow_count = count, .capacities = {capacity, capacity, capacity}};
    for (uint32_t f = 0; f < count; f++)
        slow.flows[f] = flows[f];
    run(&slow, true);
    for (uint32_t f = 0; f < count; f++)
        assert_near(slow.flows[f].completion, expected[f], 1e-12 * expected[f]);
}

#define ON(link) .usage = {{link, 1}}, .usage_count = 1
#define PLAIN .weight = 1, .cap = INFINITY

static void two_flows_share_a_link_and_the_longer_speeds_up(void **state)
{
    (void)state;
    struct slow_flow flows[] = {{ON(0), PLAIN, .bytes = 10}, {ON(0), PLAIN, .bytes = 20}};
    completes(10, 2, flows, (double[]){2, 3});
}

static void weights_divide_a_link_in_proportion(void **state)
{
    (void)state;
    struct slow_flow flows[] = {{ON(0), .weight = 3, .cap = INFINITY, .bytes = 30},
                                {ON(0), .weight = 1, .cap = INFINITY, .bytes = 20}};
    completes(10, 2, flows, (double[]){4, 5}); /* 7.5 and 2.5; then 10 left at 10 */
}

static void a_cap_leaves_the_rest_to_the_others(void **state)
{
    (void)state;
    struct slow_flow flows[] = {{ON(0), .weight = 1, .cap = 2, .bytes = 10}, {ON(0), PLAIN, .bytes = 40}};
    completes(10, 2, flows, (double[]){5, 5});
}

static void a_repeated_link_takes_twice_the_capacity(void **state)
{
    (void)state;
    struct slow_flow flows[] = {{.usage = {{0, 2}}, .usage_count = 1, PLAIN, .bytes = 10}};
    completes(10, 1, flows, (double[]){2});
}

static void latency_holds_no_bandwidth(void **state)
{
    (void)state;
    struct slow_flow flows[] = {{ON(0), PLAIN, .bytes = 20, .latency = 1}, {ON(0), PLAIN, .bytes = 20}};
    completes(10, 2, flows, (double[]){4, 3}); /* alone to 1, shared to 3, alone to 4 */
}

static void zero_bytes_and_no_links_cost_latency_only(void **state)
{
    (void)state;
    struct slow_flow flows[] = {{ON(0), PLAIN, .bytes = 0, .latency = 3},
                                {PLAIN, .bytes = 1e9, .latency = 2},
                                {ON(0), PLAIN, .bytes = 10},
                                {.weight = 1, .cap = 5, .bytes = 10, .latency = 2}};
    completes(10, 4, flows, (double[]){3, 2, 1, 4});
}

/* Levels 10/3 on link 1 (three flows), so link 0 leaves 20/3 to its other flow. */
static void the_classic_line_has_two_levels(void **state)
{
    (void)state;
    struct slow slow = {.link_count = 2, .flow_count = 4, .capacities = {10, 10}};
    for (uint32_t f = 0; f < 4; f++)
        slow.flows[f] = (struct slow_flow){PLAIN, .bytes = 20, .usage = {{1, 1}}, .usage_count = 1};
    slow.flows[0].usage[1] = (struct network_usage){0, 1};
    slow.flows[0].usage_count = 2;
    slow.flows[3].usage[0].link = 0;
    run(&slow, true);
    assert_near(slow.flows[3].completion, 3, 1e-12);
    assert_near(slow.flows[0].completion, 6, 1e-12);
}

static void a_link_without_capacity_stalls_and_returns(void **state)
{
    (void)state;
    struct slow slow = {.link_count = 1, .flow_count = 1, .change_count = 2, .capacities = {10}};
    slow.flows[0] = (struct slow_flow){ON(0), PLAIN, .bytes = 30};
    slow.changes[0] = (struct slow_change){.time = 1, .capacity = 0};
    slow.changes[1] = (struct slow_change){.time = 6, .capacity = 5};
    run(&slow, true);
    assert_near(slow.flows[0].completion, 10, 1e-12);
}

/* All-to-all among `hosts`: the number of instants until all flows have ended. */
static unsigned all_to_all_instants(uint32_t hosts)
{
    enum { MOST = 512 };
    double capacities[2 * MOST];
    assert_true(hosts <= MOST);
    for (uint32_t i = 0; i < 2 * hosts; i++)
        capacities[i] = 7e9 / 3;
    struct network *network = network_new(capacities, 2 * hosts);
    for (uint32_t a = 0; a < hosts; a++)
        for (uint32_t b = 0; b < hosts; b++)
            if (a != b)
                network_start(network, 0, (struct network_usage[]){{2 * a, 1}, {2 * b + 1, 1}}, 2, 1e6, 1e-6,
                              1, INFINITY, 0);
    unsigned instants = 0;
    uint32_t completed = 0;
    for (double now; (now = network_next(network)) < INFINITY; instants++) {
        const uint32_t *tags;
        completed += network_advance(network, now, &tags);
        network_solve(network, now);
    }
    assert_int_equal(completed, hosts * (hosts - 1));
    network_free(network);
    return instants;
}

/* Flows whose ends tie must end in one instant, not in many that are ulps apart. */
static void equal_flows_end_in_one_instant(void **state)
{
    (void)state;
    for (uint32_t hosts = 8; hosts <= 512; hosts *= 8)
        assert_int_equal(all_to_all_instants(hosts), 2); /* the latencies, the ends */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_flows_share_a_link_and_the_longer_speeds_up),
        cmocka_unit_test(weights_divide_a_link_in_proportion),
        cmocka_unit_test(a_cap_leaves_the_rest_to_the_others),
        cmocka_unit_test(a_repeated_link_takes_twice_the_capacity),
        cmocka_unit_test(latency_holds_no_bandwidth),
        cmocka_unit_test(zero_bytes_and_no_links_cost_latency_only),
        cmocka_unit_test(the_classic_line_has_two_levels),
        cmocka_unit_test(a_link_without_capacity_stalls_and_returns),
        cmocka_unit_test(equal_flows_end_in_one_instant),
        cmocka_unit_test(small_random_networks_match_progressive_filling),
        cmocka_unit_test(large_random_networks_match_progressive_filling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
