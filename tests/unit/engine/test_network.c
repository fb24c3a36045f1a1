/* The network against hand-computed cases and against the slow network on random ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "near.h"
#include "slow_network.h"

static struct slow shared_case; /* too large for the stack of a sanitized build */

static void small_random_networks_match_progressive_filling(void **state)
{
    (void)state;
    for (unsigned long long number = 0; number < 6000; number++) {
        slow_random_case(&shared_case, number, 10, 14);
        slow_run(&shared_case, SLOW_ALL_CHECKS);
    }
}

/* Enough flows for the full solve to take over from the local repair. */
static void large_random_networks_match_progressive_filling(void **state)
{
    (void)state;
    for (unsigned long long number = 100000; number < 100012; number++) {
        slow_random_case(&shared_case, number, SLOW_LINKS, SLOW_FLOWS);
        slow_run(&shared_case, SLOW_ALL_CHECKS);
    }
}

static void completes(double capacity, uint32_t count, const struct slow_flow *flows, const double *expected)
{
    struct slow slow = {.link_count = 3, .flow_count = count, .capacities = {capacity, capacity, capacity}};
    for (uint32_t f = 0; f < count; f++)
        slow.flows[f] = flows[f];
    slow_run(&slow, SLOW_ALL_CHECKS);
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
    slow_run(&slow, SLOW_ALL_CHECKS);
    assert_near(slow.flows[3].completion, 3, 1e-12);
    assert_near(slow.flows[0].completion, 6, 1e-12);
}

static void a_link_without_capacity_stalls_and_returns(void **state)
{
    (void)state;
    struct slow slow = {.link_count = 1, .flow_count = 1, .change_count = 2, .capacities = {10}};
    slow.flows[0] = (struct slow_flow){ON(0), PLAIN, .bytes = 30};
    slow.changes[0] = (struct slow_change){.time = 1, .value = 0};
    slow.changes[1] = (struct slow_change){.time = 6, .value = 5};
    slow_run(&slow, SLOW_ALL_CHECKS);
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
            if (a != b) {
                const struct network_usage usage[] = {{2 * a, 1}, {2 * b + 1, 1}};
                const struct network_flow wanted = {.usage = usage,
                                                    .usage_count = 2,
                                                    .bytes = 1e6,
                                                    .latency = 1e-6,
                                                    .weight = 1,
                                                    .cap = INFINITY};
                network_start(network, 0, &wanted);
            }
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
