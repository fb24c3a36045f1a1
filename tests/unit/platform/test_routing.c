/* Routing: every route is a chain of links from source to target; what each kind of routing promises beyond
 * that is checked for all pairs of several topologies. */
#include "platform_fixture.h"

#include <stdlib.h>

static void load(struct fixture *f, const char *name, const char *set, const char *routing)
{
    fixture_init(f);
    const char *path = document_find(&f->input, "topologies", name, (struct place){0});
    struct value *document = document_load(&f->input, path);
    const struct value *values = set ? fixture_parse(f, "set.yaml", set) : NULL;
    bool well = (!routing || document_set(&f->input, document, "routing", routing)) &&
                topology_read(&f->input, document, values, &f->platform);
    if (!well || f->input.report.list.count)
        fail_msg("%s: %s", name, fixture_messages(f));
}

/* The nodes along a chain of links from a device; returns how many, 0 when some link does not start there. */
static uint32_t walk(const struct platform *p, uint32_t from, const uint32_t *links, uint32_t count,
                     uint32_t *nodes)
{
    nodes[0] = p->devices.at[from].node;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = nodes[i], next = UINT32_MAX;
        for (uint32_t a = p->first_arc[at]; a < p->first_arc[at + 1]; a++)
            if (p->arcs.at[a].link == links[i])
                next = p->arcs.at[a].to;
        if (next == UINT32_MAX)
            return 0;
        nodes[i + 1] = next;
    }
    return count + 1;
}

enum { MOST = 64 };

/* Walks the route of a pair, which must exist, end at the target and pass through no terminal. */
static uint32_t valid(struct platform *p, uint32_t from, uint32_t to, uint32_t *nodes)
{
    uint32_t count;
    const uint32_t *links = route_links(p, from, to, &count);
    assert_int_not_equal(count, UINT32_MAX);
    assert_true(count < MOST);
    assert_int_equal(walk(p, from, links, count, nodes), count + 1);
    assert_int_equal(nodes[count], p->devices.at[to].node);
    for (uint32_t i = 1; i < count; i++)
        assert_false(p->nodes.at[nodes[i]].terminal);
    return count;
}

static uint32_t ring_distance(uint32_t a, uint32_t b, uint32_t size)
{
    uint32_t up = (b + size - a) % size;
    return up < size - up ? up : size - up;
}

static void dimension_order_corrects_one_index_after_the_other(void **state)
{
    (void)state;
    static const uint32_t sizes[][3] = {{4, 4, 4}, {5, 3, 2}, {8, 2, 1}, {1, 6, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct fixture f;
        char set[64];
        const uint32_t *n = sizes[s];
        snprintf(set, sizeof set, "{x: %u, y: %u, z: %u}", n[0], n[1], n[2]);
        load(&f, "torus-3d", set, NULL);
        uint32_t devices = n[0] * n[1] * n[2], nodes[MOST];
        for (uint32_t from = 0; from < devices; from++)
            for (uint32_t to = 0; to < devices; to++) {
                uint32_t count = valid(&f.platform, from, to, nodes), dimension = 0, wanted = 0;
                uint32_t a[] = {from / (n[1] * n[2]), from / n[2] % n[1], from % n[2]};
                uint32_t b[] = {to / (n[1] * n[2]), to / n[2] % n[1], to % n[2]};
                for (int d = 0; d < 3; d++)
                    wanted += ring_distance(a[d], b[d], n[d]);
                assert_int_equal(count, wanted);
                for (uint32_t i = 0; i < count; i++) { /* which index changes: never a lower one later */
                    uint32_t changed = nodes[i] / (n[1] * n[2]) != nodes[i + 1] / (n[1] * n[2]) ? 0
                                       : nodes[i] / n[2] % n[1] != nodes[i + 1] / n[2] % n[1]   ? 1
                                                                                                : 2;
                    assert_true(changed >= dimension);
                    dimension = changed;
                }
            }
        fixture_fini(&f);
    }
}

static void dimension_order_goes_the_other_way_around_a_missing_link(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {d: {count: [6], " TINY "}}\n"
                 "links: {r: {bandwidth: 1 GB/s, latency: 1 us, from: \"d[i]\", to: \"d[(i+1)%6]\"}}\n"
                 "overrides: {\"r[1]\": {failed: yes}}\nrouting: dimension-order\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "d[0]", "d[2]"), "r[5]< r[4]< r[3]< r[2]<");
    assert_string_equal(fixture_route(&f, "d[2]", "d[0]"), "r[2]> r[3]> r[4]> r[5]>");
    assert_string_equal(fixture_route(&f, "d[5]", "d[1]"), "r[5]> r[0]>");
    fixture_fini(&f);
}

/* Steps from the nearest device, as the manual says. */
static void levels_of(const struct platform *p, uint32_t *level)
{
    for (uint32_t n = 0; n < p->nodes.count; n++)
        level[n] = p->nodes.at[n].device == UINT32_MAX ? 1000 : 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t a = 0; a < p->arcs.count; a++)
            if (level[p->arcs.at[a].from] + 1 < level[p->arcs.at[a].to]) {
                level[p->arcs.at[a].to] = level[p->arcs.at[a].from] + 1;
                changed = true;
            }
    }
}

static void up_down_never_goes_up_again(void **state)
{
    (void)state;
    static const char *const spreads[] = {"{paths: up-down}", "{paths: up-down, spread: ecmp, seed: 5}",
                                          "{paths: up-down, cost: hops}"};
    for (size_t s = 0; s < sizeof spreads / sizeof spreads[0]; s++) {
        struct fixture f;
        uint32_t level[128], nodes[MOST];
        load(&f, "fat-tree", "arity: 4", spreads[s]);
        levels_of(&f.platform, level);
        for (uint32_t from = 0; from < 16; from++)
            for (uint32_t to = 0; to < 16; to++) {
                uint32_t count = valid(&f.platform, from, to, nodes);
                bool down = false;
                for (uint32_t i = 0; i < count; i++) {
                    assert_int_not_equal(level[nodes[i]], level[nodes[i + 1]]);
                    assert_false(down && level[nodes[i + 1]] > level[nodes[i]]);
                    down = level[nodes[i + 1]] < level[nodes[i]];
                }
                uint32_t wanted = from == to ? 0 : from / 2 == to / 2 ? 2 : from / 4 == to / 4 ? 4 : 6;
                assert_int_equal(count, wanted);
            }
        fixture_fini(&f);
    }
}

/* With a broken cable the shortest path may zigzag; up-down refuses and takes the way over another core. */
static void up_down_avoids_valleys_that_shortest_paths_take(void **state)
{
    (void)state;
    static const char *const text =
        "devices: {h: {count: 3, forward: no, " TINY "}}\n"
        "switches: {leaf: {count: 3}, low: {count: 2}, high: }\n"
        "links:\n"
        "  down: {bandwidth: 1 GB/s, latency: 1 us, from: \"h[i]\", to: \"leaf[i]\"}\n"
        "  a: {bandwidth: 1 GB/s, latency: 1 us, from: \"leaf[i]\", to: \"low[0]\", where: "
        "\"i < 2\"}\n"
        "  b: {bandwidth: 1 GB/s, latency: 1 us, from: \"leaf[i]\", to: \"low[1]\", where: "
        "\"i > 0\"}\n"
        "  c: {bandwidth: 1 GB/s, latency: 9 us, from: \"low[i]\", to: high}\n";
    struct fixture f;
    fixture_load(&f, text, NULL);
    assert_string_equal(fixture_route(&f, "h[0]", "h[2]"), "down[0]> a[0]> a[1]< b[1]> b[2]< down[2]<");
    fixture_fini(&f);
    fixture_init(&f);
    struct value *document = fixture_parse(&f, "t.yaml", text);
    assert_true(document_set(&f.input, document, "routing", "up-down"));
    assert_true(topology_read(&f.input, document, NULL, &f.platform));
    assert_string_equal(fixture_route(&f, "h[0]", "h[2]"), "down[0]> a[0]> c[0]> c[1]< b[2]< down[2]<");
    fixture_fini(&f);
}

static uint32_t spine_of(const struct platform *p, const uint32_t *nodes)
{
    const char *name = names_text(p->names, p->nodes.at[nodes[2]].name);
    assert_memory_equal(name, "spine[", 6);
    return (uint32_t)atoi(name + 6);
}

static void ecmp_spreads_pairs_evenly_and_keeps_to_its_choice(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t uses[4] = {0}, nodes[MOST], other[MOST], moved = 0, pairs = 0;
    load(&f, "leaf-spine", "{leaves: 8, spines: 4, devices: 16}", "{spread: ecmp, seed: 1}");
    struct fixture g;
    load(&g, "leaf-spine", "{leaves: 8, spines: 4, devices: 16}", "{spread: ecmp, seed: 2}");
    for (uint32_t from = 0; from < 128; from++)
        for (uint32_t to = 0; to < 128; to++) {
            uint32_t count = valid(&f.platform, from, to, nodes);
            if (from / 16 == to / 16)
                continue;
            assert_int_equal(count, 4);
            uint32_t spine = spine_of(&f.platform, nodes);
            valid(&f.platform, from, to, nodes); /* the same again */
            assert_int_equal(spine_of(&f.platform, nodes), spine);
            valid(&g.platform, from, to, other); /* another seed */
            moved += spine_of(&g.platform, other) != spine;
            uses[spine]++;
            pairs++;
        }
    for (int s = 0; s < 4; s++) /* binomial: 6 standard deviations */
        assert_near(uses[s], pairs / 4.0, 6 * sqrt(pairs * 0.25 * 0.75));
    assert_near(moved, pairs * 0.75, 6 * sqrt(pairs * 0.75 * 0.25));
    fixture_fini(&f);
    fixture_fini(&g);
}

/* Flow conservation of the shares at every node: 1 leaves the source, 1 reaches the target, and what enters a
 * node in between leaves it; so each cut is crossed by 1. Links of full-duplex cables have one arc each. */
static void conserved(struct platform *p, uint32_t from, uint32_t to)
{
    struct route route;
    double *balance = calloc(p->nodes.count, sizeof *balance);
    assert_true(route_find(p, from, to, &route));
    for (uint32_t i = 0; i < route.count; i++)
        for (uint32_t a = 0; a < p->arcs.count; a++)
            if (p->arcs.at[a].link == route.links[i].link) {
                balance[p->arcs.at[a].from] -= route.links[i].share;
                balance[p->arcs.at[a].to] += route.links[i].share;
            }
    for (uint32_t n = 0; n < p->nodes.count; n++) {
        double wanted = from == to                      ? 0
                        : n == p->devices.at[from].node ? -1
                        : n == p->devices.at[to].node   ? 1
                                                        : 0;
        assert_near(balance[n], wanted, 1e-12);
    }
    free(balance);
}

static void an_even_split_sends_everything_once(void **state)
{
    (void)state;
    static const struct {
        const char *name, *set, *routing;
    } list[] = {{"fat-tree", "arity: 4", "even-split"},
                {"fat-tree", "arity: 4", "{paths: up-down, spread: even-split}"},
                {"leaf-spine", "{spines: 3}", "even-split"},
                {"torus-2d", "{x: 4, y: 4}", "even-split"},
                {"hypercube", "dimensions: 4", "{cost: hops, spread: even-split}"},
                {"dragonfly", "{routers: 3, devices: 1, globals: 1}", "even-split"},
                {"ring", "count: 6", "even-split"}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct fixture f;
        load(&f, list[i].name, list[i].set, list[i].routing);
        for (uint32_t from = 0; from < f.platform.devices.count; from++)
            for (uint32_t to = 0; to < f.platform.devices.count; to++) {
                uint32_t nodes[MOST];
                conserved(&f.platform, from, to);
                valid(&f.platform, from, to, nodes);
            }
        fixture_fini(&f);
    }
}

static double share_of(struct fixture *f, const char *from, const char *to, const char *link)
{
    struct route route;
    double share = 0;
    assert_true(route_find(&f->platform, fixture_device(f, from), fixture_device(f, to), &route));
    for (uint32_t i = 0; i < route.count; i++)
        if (&f->platform.links.at[route.links[i].link] == fixture_link(f, link))
            share += route.links[i].share;
    return share;
}

static void an_even_split_gives_each_path_the_same(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "fat-tree", "arity: 4", "even-split"); /* 4 paths between pods, over 2 aggregation switches */
    assert_near(share_of(&f, "device[0,0,0]", "device[1,0,0]", "down[0,0,0]>"), 1, 0);
    assert_near(share_of(&f, "device[0,0,0]", "device[1,0,0]", "middle[0,0,1]>"), 0.5, 0);
    assert_near(share_of(&f, "device[0,0,0]", "device[1,0,0]", "up[0,1,0]>"), 0.25, 0);
    fixture_fini(&f);
    /* Three paths, two of them through b: b gets two thirds. */
    fixture_load(&f,
                 "devices: {a: {" TINY "}, z: {" TINY "}}\nswitches: {b: , c: , p: , q: , r: }\n"
                 "links:\n"
                 "  ab: {bandwidth: 1 GB/s, from: a, to: b}\n  ac: {bandwidth: 1 GB/s, from: a, to: c}\n"
                 "  bp: {bandwidth: 1 GB/s, from: b, to: p}\n  bq: {bandwidth: 1 GB/s, from: b, to: q}\n"
                 "  cr: {bandwidth: 1 GB/s, from: c, to: r}\n  pz: {bandwidth: 1 GB/s, from: p, to: z}\n"
                 "  qz: {bandwidth: 1 GB/s, from: q, to: z}\n  rz: {bandwidth: 1 GB/s, from: r, to: z}\n"
                 "routing: even-split\n",
                 NULL);
    assert_near(share_of(&f, "a", "z", "ab>"), 2.0 / 3, 1e-15);
    assert_near(share_of(&f, "a", "z", "rz>"), 1.0 / 3, 1e-15);
    assert_near(share_of(&f, "z", "a", "pz<"), 1.0 / 3, 1e-15);
    fixture_fini(&f);
}

static void the_nvswitches_of_a_rack_share_the_traffic(void **state)
{
    (void)state;
    struct fixture f;
    struct route route;
    load(&f, "nvl72", NULL, NULL);
    assert_true(route_find(&f.platform, 0, 71, &route));
    assert_int_equal(route.count, 36);
    for (uint32_t i = 0; i < 36; i++)
        assert_near(route.links[i].share, 1.0 / 18, 1e-15);
    assert_near(route.latency, 0.6e-6 + 1e-6, 1e-18); /* the wires and the switch; the overhead */
    fixture_fini(&f);
}

static void fewest_hops_may_take_longer(void **state)
{
    (void)state;
    static const char *const text = "parameters: {how: latency}\n"
                                    "devices: {a: {" TINY "}, b: {" TINY "}, c: {" TINY "}}\n"
                                    "links:\n"
                                    "  direct: {bandwidth: 1 GB/s, latency: 10 us, from: a, to: c}\n"
                                    "  first: {bandwidth: 1 GB/s, latency: 4 us, from: a, to: b}\n"
                                    "  second: {bandwidth: 1 GB/s, latency: 5 us, from: b, to: c}\n"
                                    "routing: how\n";
    struct fixture f;
    fixture_load(&f, text, NULL);
    assert_string_equal(fixture_route(&f, "a", "c"), "first> second>");
    fixture_fini(&f);
    fixture_load(&f, text, "how: hops");
    assert_string_equal(fixture_route(&f, "a", "c"), "direct>");
    fixture_fini(&f);
}

static void explicit_routes_win(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {h: {count: 4, forward: no, " TINY "}}\nswitches: {l: {count: 2}, s: {count: 2}}\n"
                 "links:\n"
                 "  d: {bandwidth: 1 GB/s, latency: 1 us, from: \"h[i]\", to: \"l[floor(i/2)]\"}\n"
                 "  u: {bandwidth: 1 GB/s, latency: 1 us, from: \"l[i]\", to: \"s[j]\"}\n"
                 "routes:\n"
                 "  - {from: \"h[0..1]\", to: \"h[2]\", via: [\"l[0]\", \"s[1]\", \"l[1]\"]}\n"
                 "  - {from: \"h[0]\", to: \"h[3]\", via: [\"l[0]\", \"s[1]\", \"l[1]\"], one-way: yes}\n",
                 NULL);
    assert_string_equal(fixture_route(&f, "h[0]", "h[2]"), "d[0]> u[0,1]> u[1,1]< d[2]<");
    assert_string_equal(fixture_route(&f, "h[2]", "h[1]"), "d[2]> u[1,1]> u[0,1]< d[1]<");
    assert_string_equal(fixture_route(&f, "h[0]", "h[3]"), "d[0]> u[0,1]> u[1,1]< d[3]<");
    assert_string_equal(fixture_route(&f, "h[3]", "h[0]"), "d[3]> u[1,0]> u[0,0]< d[0]<");
    fixture_fini(&f);
}

#define TWO                                                                                                  \
    "devices: {h: {count: 2, forward: no, " TINY "}}\nswitches: {s: , t: }\n"                                \
    "links: {c: {bandwidth: 1 GB/s, from: \"h[i]\", to: s}, e: {bandwidth: 1 GB/s, from: s, to: t}}\n"

static void wrong_routing_is_reported(void **state)
{
    (void)state;
    fixture_expect(
        TWO "routing: ecpm\n", NULL,
        "t.yaml:4:10: expected one of latency, hops, dimension-order, up-down, ecmp, even-split; got 'ecpm'; "
        "did you mean 'ecmp'?");
    fixture_expect(
        TWO "routing: dimension-order\n", NULL,
        "t.yaml:4:10: dimension-order needs an array of devices that are linked along its indices, such as a "
        "torus chip[x,y]");
    fixture_expect(
        TWO "routing: {paths: dimension-order, spread: ecmp}\n", NULL,
        "t.yaml:4:10: dimension-order gives each pair one path, whatever it costs: it goes with neither "
        "'spread' nor 'cost'");
    fixture_expect(TWO "routing: {spread: one, seed: 3}\n", NULL,
                   "t.yaml:4:24: a seed goes with spread: ecmp only");
    fixture_expect("devices: {d: {count: 2, " TINY "}}\n"
                   "links: {c: {bandwidth: 1 GB/s, from: \"d[0]\", to: \"d[1]\"}}\nrouting: up-down\n",
                   NULL, "t.yaml:3:10: up-down needs switches above the devices; there is none");
    fixture_expect(TWO "routes: [{from: \"h[0]\", to: \"h[2]\", via: s}]\n", NULL,
                   "t.yaml:4:32: there is no 'h[2]': it goes from 0 to 1");
    fixture_expect(TWO "routes: [{from: \"h[0]\", to: nowhere, via: s}]\n", NULL,
                   "t.yaml:4:29: there is no device 'nowhere'; expected one of h, s, t");
    fixture_expect(TWO "routes: [{from: \"h[0]\", to: t}]\n", NULL,
                   "t.yaml:4:29: a route ends at devices; 't' is a switch");
    fixture_expect(TWO "routes: [{from: \"h[0]\", to: \"h[1]\", via: t}]\n", NULL,
                   "t.yaml:4:10: there is no link from 'h[0]' to 't' on the route from 'h[0]' to 'h[1]'");
    fixture_expect(TWO "routes: [{from: \"h[0]\", to: \"h[1]\", via: [s, h]}]\n", NULL,
                   "t.yaml:4:46: expected one device or switch on the way; 'h' names 2");
    fixture_expect(TWO "routes: [{from: \"h[0]\", to: \"h[1]\", via: s}, {from: \"h[1]\", to: h, via: s}]\n",
                   NULL, "t.yaml:4:9: two routes lead from 'h[0]' to 'h[1]'");
}

static void a_failed_switch_is_avoided_or_cuts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    const char *path = document_find(&f.input, "topologies", "leaf-spine", (struct place){0});
    struct value *document = document_load(&f.input, path);
    assert_true(document_set(&f.input, document, "overrides",
                             "{\"spine[1]\": {failed: yes}, \"leaf[3]\": {failed: "
                             "yes}}"));
    assert_true(topology_read(&f.input, document, NULL, &f.platform));
    for (uint32_t to = 8; to < 24; to++) {
        uint32_t nodes[MOST];
        valid(&f.platform, 0, to, nodes);
        assert_int_equal(spine_of(&f.platform, nodes), 0);
    }
    assert_string_equal(fixture_route(&f, "device[0,0]", "device[3,0]"), "none");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimension_order_corrects_one_index_after_the_other),
        cmocka_unit_test(dimension_order_goes_the_other_way_around_a_missing_link),
        cmocka_unit_test(up_down_never_goes_up_again),
        cmocka_unit_test(up_down_avoids_valleys_that_shortest_paths_take),
        cmocka_unit_test(ecmp_spreads_pairs_evenly_and_keeps_to_its_choice),
        cmocka_unit_test(an_even_split_sends_everything_once),
        cmocka_unit_test(an_even_split_gives_each_path_the_same),
        cmocka_unit_test(the_nvswitches_of_a_rack_share_the_traffic),
        cmocka_unit_test(fewest_hops_may_take_longer),
        cmocka_unit_test(explicit_routes_win),
        cmocka_unit_test(wrong_routing_is_reported),
        cmocka_unit_test(a_failed_switch_is_avoided_or_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
