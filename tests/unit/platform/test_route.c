#include "platform_fixture.h"

#include "platform/graph.h"

static void goes_by_latency_before_hops(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {a: {" TINY "}, b: {" TINY "}, c: {" TINY "}}\n"
                 "links:\n"
                 "  direct: {bandwidth: 1 GB/s, latency: 10 us, from: a, to: c}\n"
                 "  first: {bandwidth: 1 GB/s, latency: 4 us, from: a, to: b}\n"
                 "  second: {bandwidth: 1 GB/s, latency: 5 us, from: b, to: c}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "a", "c"), "first> second>");
    assert_string_equal(fixture_route(&f, "c", "a"), "second< first<");
    assert_string_equal(fixture_route(&f, "a", "a"), "");
    fixture_fini(&f);
}

static void goes_by_hops_where_latencies_are_equal(void **state)
{
    (void)state;
    struct fixture f; /* 0.1 + 0.2 us is not 0.3 us in binary, but it is in femtoseconds */
    fixture_load(&f,
                 "devices: {a: {" TINY "}, b: {" TINY "}, c: {" TINY "}}\n"
                 "links:\n"
                 "  first: {bandwidth: 1 GB/s, latency: 0.1 us, from: a, to: b}\n"
                 "  second: {bandwidth: 1 GB/s, latency: 0.2 us, from: b, to: c}\n"
                 "  direct: {bandwidth: 1 GB/s, latency: 0.3 us, from: a, to: c}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "a", "c"), "direct>");
    fixture_fini(&f);
}

static void goes_by_the_lowest_node_where_hops_are_equal(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {a: {" TINY "}, b: {" TINY "}}\n"
                 "switches: {first: , second: }\n"
                 "links:\n"
                 "  a-second: {bandwidth: 1 GB/s, from: a, to: second}\n"
                 "  second-b: {bandwidth: 1 GB/s, from: second, to: b}\n"
                 "  a-first: {bandwidth: 1 GB/s, from: a, to: first}\n"
                 "  first-b: {bandwidth: 1 GB/s, from: first, to: b}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "a", "b"), "a-first> first-b>");
    assert_string_equal(fixture_route(&f, "b", "a"), "first-b< a-first<");
    fixture_fini(&f);
}

static void says_where_there_is_no_route(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {a: {count: 2, " TINY "}, b: {count: 2, " TINY "}}\n"
                 "links:\n"
                 "  a-a: {bandwidth: 1 GB/s, from: \"a[0]\", to: \"a[1]\"}\n"
                 "  b-b: {bandwidth: 1 GB/s, from: \"b[0]\", to: \"b[1]\"}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "a[0]", "b[1]"), "none");
    assert_string_equal(fixture_route(&f, "a[0]", "a[1]"), "a-a>");
    fixture_fini(&f);
}

static void a_device_that_does_not_forward_is_an_end_only(void **state)
{
    (void)state;
    static const char *const text =
        "parameters: {passes: yes}\n"
        "devices: {d: {count: 4, forward: passes, " TINY "}}\n"
        "links: {ring: {bandwidth: 1 GB/s, from: \"d[i]\", to: \"d[(i+1)%4]\"}}\n";
    struct fixture f;
    fixture_load(&f, text, NULL);
    assert_string_equal(fixture_route(&f, "d[0]", "d[2]"), "ring[0]> ring[1]>");
    fixture_fini(&f);
    fixture_load(&f, text, "passes: no");
    assert_string_equal(fixture_route(&f, "d[0]", "d[2]"), "none");
    assert_string_equal(fixture_route(&f, "d[0]", "d[3]"), "ring[3]<");
    fixture_fini(&f);
}

static void half_duplex_is_one_link_for_both_directions(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {a: {" TINY "}, b: {" TINY "}}\n"
                 "links: {bus: {bandwidth: 1 GB/s, mode: half-duplex, from: a, to: b}}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "a", "b"), "bus");
    assert_string_equal(fixture_route(&f, "b", "a"), "bus");
    assert_int_equal(f.platform.links.count, 1);
    fixture_fini(&f);
}

static void an_ad_hoc_medium_is_used_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(
        &f,
        "devices: {pi: {count: 3, " TINY "}, gateway: {" TINY "}}\n"
        "links: {air: {bandwidth: 54 Mbps, latency: 1 ms, mode: shared, stations: [\"pi[*]\", gateway]}}\n",
        NULL);
    assert_int_equal(f.platform.links.count, 1);
    assert_string_equal(fixture_route(&f, "pi[0]", "pi[2]"), "air");
    assert_string_equal(fixture_route(&f, "gateway", "pi[1]"), "air");
    fixture_fini(&f);
}

static void through_an_access_point_the_medium_is_used_twice(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {pi: {count: 3, " TINY "}, gateway: {" TINY "}}\n"
                 "links: {air: {bandwidth: 54 Mbps, mode: shared, stations: pi, access-point: gateway}}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "pi[0]", "pi[2]"), "air air");
    assert_string_equal(fixture_route(&f, "pi[0]", "gateway"), "air");
    assert_string_equal(fixture_route(&f, "gateway", "pi[0]"), "air");
    fixture_fini(&f);
}

static void routes_of_one_source_stay_valid_together(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {d: {count: 40, " TINY "}}\nswitches: {hub: }\n"
                 "links: {cable: {bandwidth: 1 GB/s, from: \"d[i]\", to: hub}}\n",
                 NULL);
    const uint32_t *route[40];
    uint32_t count;
    for (uint32_t d = 1; d < 40; d++)
        route[d] = route_links(&f.platform, 0, d, &count);
    for (uint32_t d = 1; d < 40; d++) {
        assert_int_equal(route[d][0], 0);         /* cable[0]> */
        assert_int_equal(route[d][1], 2 * d + 1); /* cable[d]< */
    }
    fixture_fini(&f);
}

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 11;
}

/* A random graph of devices, some of which do not forward, and switches; latencies are whole microseconds,
 * many of them equal. The last device has no cable. */
static void random_graph(struct platform *platform, uint64_t *random)
{
    uint32_t devices = 2 + (uint32_t)(next_random(random) % 10),
             switches = (uint32_t)(next_random(random) % 6);
    for (uint32_t d = 0; d < devices; d++)
        graph_add_device(platform, (struct device){.speed = 1}, next_random(random) % 3 == 0);
    for (uint32_t s = 0; s < switches; s++)
        graph_add_switch(platform, 0);
    uint32_t nodes = devices + switches, arcs = (uint32_t)(next_random(random) % (nodes * 4));
    graph_add_device(platform, (struct device){.speed = 1}, false);
    for (uint32_t a = 0; a < arcs; a++) {
        uint32_t link = UINT32_MAX;
        if (next_random(random) % 5)
            link =
                graph_add_link(platform, (struct link){.bandwidth = 1e9,
                                                       .latency = 1e-6 * (double)(next_random(random) % 4)});
        graph_add_arc(platform, (uint32_t)(next_random(random) % nodes),
                      (uint32_t)(next_random(random) % nodes), link);
    }
    graph_close(platform);
}

/* Bellman-Ford over (microseconds, arcs) from a node: the cost of the best path to every node. */
static void relax_until_nothing_changes(const struct platform *platform, uint32_t source, uint64_t *cost)
{
    for (uint32_t n = 0; n < platform->nodes.count; n++)
        cost[n] = n == source ? 0 : UINT64_MAX;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t a = 0; a < platform->arcs.count; a++) {
            const struct arc *arc = &platform->arcs.at[a];
            if (cost[arc->from] == UINT64_MAX ||
                (platform->nodes.at[arc->from].terminal && arc->from != source))
                continue;
            double latency = arc->link == UINT32_MAX ? 0 : platform->links.at[arc->link].latency;
            uint64_t offer = cost[arc->from] + (uint64_t)llround(latency * 1e6) * 1000 + 1;
            if (offer < cost[arc->to]) {
                cost[arc->to] = offer;
                changed = true;
            }
        }
    }
}

static void agrees_with_bellman_ford_on_random_graphs(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct platform platform;
        uint64_t random = seed * 0x9e3779b97f4a7c15u, cost[32];
        platform_init(&platform, &names);
        random_graph(&platform, &random);
        for (uint32_t from = 0; from < platform.devices.count; from++) {
            relax_until_nothing_changes(&platform, platform.devices.at[from].node, cost);
            for (uint32_t to = 0; to < platform.devices.count; to++) {
                uint32_t count, node = platform.devices.at[to].node;
                const uint32_t *links = route_links(&platform, from, to, &count);
                if ((count == UINT32_MAX) != (cost[node] == UINT64_MAX))
                    fail_msg("seed %llu: %u -> %u is reached by one only", (unsigned long long)seed, from,
                             to);
                double latency = 0;
                for (uint32_t i = 0; i < count && count != UINT32_MAX; i++)
                    latency += platform.links.at[links[i]].latency * 1e6;
                if (count != UINT32_MAX && (uint64_t)llround(latency) != cost[node] / 1000)
                    fail_msg("seed %llu: %u -> %u takes %g us, not %llu us", (unsigned long long)seed, from,
                             to, latency, (unsigned long long)(cost[node] / 1000));
            }
        }
        platform_fini(&platform);
    }
    names_fini(&names);
}

/* A random one of the ways to route that trees of paths serve. `level`: room for all nodes. */
static void random_routing(struct platform *platform, uint64_t *random, uint32_t *level)
{
    platform->routing.paths = next_random(random) % 2 ? ROUTING_SHORTEST : ROUTING_UP_DOWN;
    platform->routing.cost = next_random(random) % 2 ? ROUTING_LATENCY : ROUTING_HOPS;
    platform->routing.spread = (int)(next_random(random) % 3); /* one, ecmp, even split */
    platform->routing.level = level;
    for (uint32_t n = 0; n < platform->nodes.count; n++)
        level[n] = platform->nodes.at[n].device == UINT32_MAX ? 1 + (uint32_t)(next_random(random) % 3) : 0;
}

static void same_route(struct platform *whole, struct platform *part, uint32_t from, uint32_t to,
                       uint64_t seed)
{
    struct route a, b;
    bool known = route_find(whole, from, to, &a), found = route_find(part, from, to, &b);
    bool same = known == found && (!known || (a.count == b.count && a.latency == b.latency));
    for (uint32_t i = 0; i < a.count && known && same; i++)
        same = a.links[i].link == b.links[i].link && a.links[i].share == b.links[i].share;
    if (!same)
        fail_msg("seed %llu: %u -> %u depends on what was asked for before", (unsigned long long)seed, from,
                 to);
}

/* Asked for the way to a device that cannot be reached, a tree grows whole; else as far as it must. */
static void a_route_does_not_depend_on_those_asked_for_before(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct platform whole, part;
        struct route none;
        uint64_t random = seed * 0x9e3779b97f4a7c15u, again = random;
        uint32_t level[64];
        platform_init(&whole, &names);
        platform_init(&part, &names);
        random_graph(&whole, &random);
        random_graph(&part, &again);
        random_routing(&whole, &random, level);
        random_routing(&part, &again, level);
        uint32_t devices = whole.devices.count;
        for (uint32_t from = 0; from + 1 < devices; from++) {
            assert_false(route_find(&whole, from, devices - 1, &none));
            for (uint32_t i = 0; i + 1 < devices; i++)
                same_route(&whole, &part, from, (i * 7 + (uint32_t)seed) % (devices - 1), seed);
        }
        whole.routing.level = part.routing.level = NULL;
        platform_fini(&whole);
        platform_fini(&part);
    }
    names_fini(&names);
}

#define SAID                                                                                                 \
    "devices: {a: {" TINY "}, b: {" TINY "}, c: {" TINY "}}\n"                                               \
    "switches: {hub: }\n"                                                                                    \
    "links:\n"                                                                                               \
    "  cable: {bandwidth: 1 GB/s, from: a, to: hub}\n"                                                       \
    "  other: {bandwidth: 1 GB/s, from: b, to: hub}\n"                                                       \
    "  bus: {bandwidth: 1 GB/s, latency: 1 s, mode: half-duplex}\n"                                          \
    "  pair: {bandwidth: 1 GB/s, reverse: {bandwidth: 2 GB/s}}\n"

static void a_route_that_is_said_comes_before_the_shortest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 SAID "routes:\n"
                      "  a: {b: \"bus pair> bus\", c: pair<}\n"
                      "  c: {a: ''}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "a", "b"), "bus pair> bus");
    assert_string_equal(fixture_route(&f, "b", "a"), "other> cable<"); /* not said: the shortest */
    assert_string_equal(fixture_route(&f, "a", "c"), "pair<");
    assert_string_equal(fixture_route(&f, "c", "a"), ""); /* said to cost nothing */
    assert_string_equal(fixture_route(&f, "b", "c"), "none");
    assert_near(fixture_link(&f, "pair<")->bandwidth, 2e9, 0);
    fixture_fini(&f);
}

static void a_route_that_is_said_comes_before_any_routing(void **state)
{
    (void)state;
    static const char *const words[] = {"latency", "hops", "up-down", "ecmp", "even-split"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 SAID "routing: %s\n"
                      "routes: {a: {b: \"bus pair> bus\"}, c: {b: bus}}\n"
                      "overrides: {pair: {latency: 3 s}}\n",
                 words[i]);
        struct fixture f;
        struct route route;
        fixture_load(&f, text, NULL);
        assert_string_equal(fixture_route(&f, "a", "b"), "bus pair> bus");
        assert_true(route_find(&f.platform, 0, 1, &route));
        assert_int_equal(route.count, 3);
        assert_near(route.latency, 5, 0);
        assert_near(route.links[1].share, 1, 0);
        assert_true(route_find(&f.platform, 1, 0, &route));
        assert_int_equal(route.count, 2);
        assert_false(route_find(&f.platform, 0, 2, &route));
        fixture_fini(&f);
    }
}

static void wrong_routes_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *routes, *messages;
    } cases[] = {
        {"routes: bus\n",
         "t.yaml:8:9: expected a list (by nodes) or a map (by links) for routes; got the text 'bus'"},
        {"routes: {a: {b: bus}}\noverrides: {bus: {failed: yes}}\n",
         "t.yaml:8:17: there is no link 'bus'; expected one of cable>, cable<, other>, other<, pair>, pair<"},
        {"routes: [{from: a, to: b, via: hub}]\n",
         "t.yaml:6:3: link 'bus' needs 'from' and 'to', or 'stations'\n"
         "t.yaml:7:3: link 'pair' needs 'from' and 'to', or 'stations'"},
        {"routes: {a: {b: cabel>}}\n", "t.yaml:8:17: there is no link 'cabel>'; did you mean 'cable>'?"},
        {"routes: {a: {b: 'bus  buz'}}\n", "t.yaml:8:23: there is no link 'buz'; did you mean 'bus'?"},
        {"routes: {a: {d: bus}}\n", "t.yaml:8:14: there is no device 'd'; expected one of a, b, c"},
        {"routes: {hub: {a: bus}}\n", "t.yaml:8:10: there is no device 'hub'; expected one of a, b, c"},
        {"routes: {a: {a: bus}}\n",
         "t.yaml:8:14: a route from 'a' to itself: what a device sends to itself costs nothing"},
        {"routes: {a: {b: [bus]}}\n",
         "t.yaml:8:17: expected the links of a route with blanks between them, such "
         "as 'up[0]> down[1]<'; got a list"},
        {"routes: {a: bus}\n", "t.yaml:8:13: expected a map for the routes from 'a'; got the text 'bus'"},
        {"", "t.yaml:6:3: link 'bus' needs 'from' and 'to', or 'stations'\n"
             "t.yaml:7:3: link 'pair' needs 'from' and 'to', or 'stations'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text, "%s%s", SAID, cases[i].routes);
        fixture_expect(text, NULL, cases[i].messages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_by_latency_before_hops),
        cmocka_unit_test(goes_by_hops_where_latencies_are_equal),
        cmocka_unit_test(goes_by_the_lowest_node_where_hops_are_equal),
        cmocka_unit_test(says_where_there_is_no_route),
        cmocka_unit_test(a_device_that_does_not_forward_is_an_end_only),
        cmocka_unit_test(half_duplex_is_one_link_for_both_directions),
        cmocka_unit_test(an_ad_hoc_medium_is_used_once),
        cmocka_unit_test(through_an_access_point_the_medium_is_used_twice),
        cmocka_unit_test(routes_of_one_source_stay_valid_together),
        cmocka_unit_test(agrees_with_bellman_ford_on_random_graphs),
        cmocka_unit_test(a_route_does_not_depend_on_those_asked_for_before),
        cmocka_unit_test(a_route_that_is_said_comes_before_the_shortest),
        cmocka_unit_test(a_route_that_is_said_comes_before_any_routing),
        cmocka_unit_test(wrong_routes_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
