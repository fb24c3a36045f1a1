/* The shipped generators: their counts, their diameters in links and their bisection bandwidths against
 * formulas of the literature, for several parameter values. The bisection is a max-flow between two halves of
 * the devices, whose own cables are the bound where the network is not. */
#include "platform_fixture.h"

#include "platform/array.h"

#include <stdlib.h>

static void load(struct fixture *f, const char *name, const char *set)
{
    fixture_init(f);
    const char *path = document_find(&f->input, "topologies", name, (struct place){0});
    struct value *document = path ? document_load(&f->input, path) : NULL;
    const struct value *values = set ? fixture_parse(f, "set.yaml", set) : NULL;
    bool well = document && topology_read(&f->input, document, values, &f->platform);
    if (!well || f->input.report.list.count)
        fail_msg("%s {%s}: %s", name, set ? set : "", fixture_messages(f));
}

/* Cables: pairs of arcs. */
static uint32_t cables(const struct platform *platform)
{
    return platform->arcs.count / 2;
}

/* The most links on a shortest path between two devices; UINT32_MAX when two are not connected. */
static uint32_t diameter(const struct platform *platform)
{
    uint32_t most = 0, nodes = platform->nodes.count;
    uint32_t *distance = malloc(nodes * sizeof *distance), *queue = malloc(nodes * sizeof *queue);
    for (uint32_t d = 0; d < platform->devices.count; d++) {
        uint32_t count = 1, source = platform->devices.at[d].node;
        memset(distance, 0xff, nodes * sizeof *distance);
        distance[source] = 0;
        queue[0] = source;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t n = queue[i];
            if (platform->nodes.at[n].terminal && n != source)
                continue;
            for (uint32_t a = platform->first_arc[n]; a < platform->first_arc[n + 1]; a++) {
                uint32_t to = platform->arcs.at[a].to;
                if (distance[to] != UINT32_MAX)
                    continue;
                distance[to] = distance[n] + 1;
                queue[count++] = to;
            }
        }
        for (uint32_t e = 0; e < platform->devices.count; e++)
            if (distance[platform->devices.at[e].node] > most)
                most = distance[platform->devices.at[e].node];
    }
    free(distance);
    free(queue);
    return most;
}

/* Max-flow by shortest augmenting paths from the devices of `left` to the others, in units of `rate`. A
 * medium would need a node of its own: not for those. */
static double max_flow(const struct platform *platform, const bool *left, double rate)
{
    uint32_t nodes = platform->nodes.count, arcs = platform->arcs.count;
    double *flow = calloc(arcs, sizeof *flow), total = 0;
    uint32_t *reverse = malloc(arcs * sizeof *reverse), *by = malloc(nodes * sizeof *by),
             *queue = malloc(nodes * sizeof *queue);
    for (uint32_t a = 0; a < arcs; a++) { /* the way back: the same cable's other link */
        const struct arc *arc = &platform->arcs.at[a];
        reverse[a] = UINT32_MAX;
        for (uint32_t b = platform->first_arc[arc->to]; b < platform->first_arc[arc->to + 1]; b++)
            if (platform->arcs.at[b].to == arc->from && (platform->arcs.at[b].link ^ arc->link) == 1 &&
                platform->arcs.at[b].link / 2 == arc->link / 2)
                reverse[a] = b;
        assert_int_not_equal(reverse[a], UINT32_MAX);
    }
    for (;;) {
        uint32_t count = 0, end = UINT32_MAX;
        memset(by, 0xff, nodes * sizeof *by);
        for (uint32_t d = 0; d < platform->devices.count; d++)
            if (left[d]) {
                queue[count++] = platform->devices.at[d].node;
                by[platform->devices.at[d].node] = arcs;
            }
        for (uint32_t i = 0; i < count && end == UINT32_MAX; i++)
            for (uint32_t n = queue[i], a = platform->first_arc[n]; a < platform->first_arc[n + 1]; a++) {
                uint32_t to = platform->arcs.at[a].to, device = platform->nodes.at[to].device;
                double room = platform->links.at[platform->arcs.at[a].link].bandwidth / rate - flow[a];
                if (by[to] != UINT32_MAX || room < 1e-9)
                    continue;
                by[to] = a;
                if (device != UINT32_MAX && !left[device]) {
                    end = to;
                    break;
                }
                queue[count++] = to;
            }
        if (end == UINT32_MAX)
            break;
        double least = INFINITY;
        for (uint32_t n = end; by[n] != arcs; n = platform->arcs.at[by[n]].from)
            least =
                fmin(least, platform->links.at[platform->arcs.at[by[n]].link].bandwidth / rate - flow[by[n]]);
        for (uint32_t n = end; by[n] != arcs; n = platform->arcs.at[by[n]].from) {
            flow[by[n]] += least;
            flow[reverse[by[n]]] -= least;
        }
        total += least;
    }
    free(flow);
    free(reverse);
    free(by);
    free(queue);
    return total;
}

/* Between the first and the second half of the devices, in cables of the group `unit`. */
static double bisection(const struct platform *platform, const char *unit)
{
    double rate = 0;
    bool *left = calloc(platform->devices.count, sizeof *left);
    for (uint32_t l = 0; l < platform->links.count && rate == 0; l++)
        if (strcmp(names_text(platform->names, platform->links.at[l].group), unit) == 0)
            rate = platform->links.at[l].bandwidth;
    for (uint32_t d = 0; d < platform->devices.count / 2; d++)
        left[d] = true;
    double flow = max_flow(platform, left, rate);
    free(left);
    return flow;
}

struct expected {
    const char *name, *set;
    uint32_t devices, switches, cables, diameter;
    const char *unit; /* NULL: no bisection */
    double bisection;
};

static void check(const struct expected *e)
{
    struct fixture f;
    load(&f, e->name, e->set);
    const struct platform *p = &f.platform;
    struct {
        const char *what;
        double is, wanted;
    } values[] = {{"devices", p->devices.count, e->devices},
                  {"switches", p->nodes.count - p->devices.count, e->switches},
                  {"cables", cables(p), e->cables},
                  {"diameter", diameter(p), e->diameter},
                  {"bisection", e->unit ? bisection(p, e->unit) : 0, e->unit ? e->bisection : 0}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (fabs(values[i].is - values[i].wanted) > 1e-9 * (1 + values[i].wanted))
            fail_msg("%s {%s}: %s is %g, expected %g", e->name, e->set ? e->set : "", values[i].what,
                     values[i].is, values[i].wanted);
    fixture_fini(&f);
}

static void checks(const struct expected *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&list[i]);
}
#define CHECK(list) checks(list, sizeof(list) / sizeof((list)[0]))

static void direct_networks_have_their_sizes(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {"star", "count: 8", 8, 1, 8, 2, "cable", 4},
        {"star", "count: 33", 33, 1, 33, 2, "cable", 16},
        {"ring", "count: 2", 2, 0, 1, 1, "ring", 1},
        {"ring", "count: 8", 8, 0, 8, 4, "ring", 2},
        {"ring", "count: 9", 9, 0, 9, 4, "ring", 2},
        {"full-mesh", "count: 2", 2, 0, 1, 1, "cable", 1},
        {"full-mesh", "count: 8", 8, 0, 28, 1, "cable", 16},
        {"full-mesh", "count: 13", 13, 0, 78, 1, "cable", 42},
        /* x·y mesh: cables (x-1)y + x(y-1); cut across the first index: y */
        {"mesh-2d", "{x: 4, y: 4}", 16, 0, 24, 6, "along-x", 4},
        {"mesh-2d", "{x: 6, y: 3}", 18, 0, 27, 7, "along-x", 3},
        {"mesh-2d", "{x: 1, y: 1}", 1, 0, 0, 0, NULL, 0},
        {"mesh-3d", "{x: 4, y: 3, z: 2}", 24, 0, 18 + 16 + 12, 6, "along-x", 6},
        /* torus: twice that */
        {"torus-2d", "{x: 4, y: 4}", 16, 0, 32, 4, "along-x", 8},
        {"torus-2d", "{x: 8, y: 5}", 40, 0, 80, 6, "along-x", 10},
        {"torus-2d", "{x: 2, y: 4}", 8, 0, 12, 3, "along-x", 4},
        {"torus-3d", "{x: 4, y: 4, z: 4}", 64, 0, 192, 6, "along-x", 32},
        {"torus-3d", "{x: 8, y: 4, z: 2}", 64, 0, 64 + 64 + 32, 7, "along-x", 16},
        {"torus-3d", "{x: 4, y: 1, z: 1}", 4, 0, 4, 2, "along-x", 2},
        {"hypercube", "dimensions: 1", 2, 0, 1, 1, "edge", 1},
        {"hypercube", "dimensions: 4", 16, 0, 32, 4, "edge", 8},
        {"hypercube", "dimensions: 7", 128, 0, 448, 7, "edge", 64},
    };
    CHECK(list);
}

static void trees_of_switches_have_their_sizes(void **state)
{
    (void)state;
    static const struct expected list[] = {
        /* arity k: k^3/4 devices, 5k^2/4 switches, 3k^3/4 cables, full bisection */
        {"fat-tree", "arity: 2", 2, 5, 6, 6, "down", 1},
        {"fat-tree", "arity: 4", 16, 20, 48, 6, "down", 8},
        {"fat-tree", "arity: 8", 128, 80, 384, 6, "down", 64},
        {"leaf-spine", "{leaves: 4, spines: 2, devices: 8}", 32, 6, 40, 4, "down", 16},
        {"leaf-spine", "{leaves: 4, spines: 4, devices: 12, oversubscription: 3}", 48, 8, 64, 4, "down", 8},
        {"leaf-spine", "{leaves: 2, spines: 3, devices: 4, oversubscription: 0.5}", 8, 5, 14, 4, "down", 4},
        /* a routers per group, p devices and h global cables each: g = a·h + 1 groups */
        {"dragonfly", NULL, 72, 36, 72 + 54 + 36, 5, NULL, 0},
        {"dragonfly", "{routers: 2, devices: 1, globals: 1}", 6, 6, 6 + 3 + 3, 5, NULL, 0},
        {"dragonfly", "{routers: 4, devices: 2, globals: 2, groups: 5}", 40, 20, 40 + 30 + 10, 5, NULL, 0},
        {"rail-pod", "{nodes: 32, unit: 16, spines: 8}", 256, 32 + 16 + 8, 256 + 256 + 128, 4, "rail", 128},
        {"rail-pod", "{nodes: 8, gpus: 4, unit: 4, spines: 2, oversubscription: 2}", 32, 8 + 8 + 2,
         32 + 32 + 16, 4, "rail", 8},
        {"dgx-a100-superpod", NULL, 640, 80 + 32 + 20, 640 + 640 + 640, 4, NULL, 0},
        {"dgx-h100-superpod", NULL, 1024, 128 + 32 + 16, 1024 + 1024 + 512, 4, NULL, 0},
        {"box-cluster", NULL, 128, 16 * 9 + 8, 128 * 3 + 16, 6, "rail", 64},
    };
    CHECK(list);
}

static void machines_have_their_sizes(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {"dgx-1-p100", NULL, 8, 7, 16 + 8 + 4 + 1 + 4, 4, NULL, 0},
        {"dgx-1-v100", NULL, 8 + 1, 7, 16 + 8 + 4 + 1 + 4 + 2, 4, NULL, 0} /* and the host */,
        {"dgx-a100-box", NULL, 8, 9, 16, 2, "nvlink", 4},
        {"dgx-h100-box", NULL, 8, 9, 16, 2, "nvlink", 4},
        {"nvl72", NULL, 72, 19, 72 * 18 + 72, 2, NULL, 0},
        {"nvl72", "racks: 2", 144, 37, 144 * 19, 2, "infiniband", 72},
        {"tpu-v3-slice", NULL, 256, 0, 480, 30, "along-x", 16},
        {"tpu-v3-slice", "{x: 32, y: 32}", 1024, 0, 2048, 32, "along-x", 64},
        {"tpu-v4-slice", NULL, 64, 0, 192, 6, "along-x", 32},
        {"tpu-v4-slice", "{x: 2, y: 2, z: 4}", 16, 0, 8 + 8 + 12, 5, NULL, 0},
        {"tpu-v4-slice", "{x: 8, y: 8, z: 8}", 512, 0, 1536, 12, "along-x", 128},
        {"tpu-v5e-slice", NULL, 256, 0, 512, 16, "along-x", 32},
        {"tpu-v5e-slice", "{x: 8, y: 16}", 128, 0, 7 * 16 + 128, 15, "along-x", 16},
        {"tpu-v5p-slice", "{x: 4, y: 4, z: 8}", 128, 0, 384, 8, NULL, 0},
        {"pcie-box", NULL, 8 + 2, 2 + 4 + 4, 8 + 4 + 4 + 1 + 2 + 1, 5, NULL, 0}, /* and host and drive */
        {"pcie-box", "{sockets: 1, switches: 1, gpus: 4}", 4 + 2, 3, 6 + 1 + 1, 3, NULL, 0},
        {"cloud-cluster", NULL, 32, 9, 68, 4, "cap", 2},
    };
    CHECK(list);
}

static void wide_and_wireless_networks_have_their_sizes(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {"wan-mesh", NULL, 32, 4, 32 + 6, 3, "wan", 4},
        {"wan-mesh", "{regions: 2, devices: 1}", 2, 2, 3, 3, "wan", 1},
        {"wan-clusters", NULL, 96, 3 * (4 * 9 + 4) + 3, 3 * (3 * 32 + 4 + 2) + 3, 9, NULL, 0},
        {"edge-tree", NULL, 37, 5, 32 + 4 + 4 + 1, 4, NULL, 0},
        {"wifi-cells", NULL, 13, 4, 12 + 3 + 1, 4, NULL, 0},
        {"cellular-cell", NULL, 9, 2, 10, 3, NULL, 0},
        {"bluetooth-star", NULL, 8, 0, 7, 2, NULL, 0},
        {"zigbee-star", NULL, 17, 0, 16, 2, NULL, 0},
    };
    CHECK(list);
}

static double degree(const struct fixture *f, const char *device)
{
    const struct platform *p = &f->platform;
    uint32_t node = p->devices.at[fixture_device(f, device)].node;
    double nvlinks = 0;
    for (uint32_t a = p->first_arc[node]; a < p->first_arc[node + 1]; a++)
        if (p->nodes.at[p->arcs.at[a].to].device != UINT32_MAX)
            nvlinks++;
    return nvlinks;
}

static void each_p100_of_a_dgx_1_has_four_nvlinks(void **state)
{
    (void)state;
    struct fixture f;
    char name[32];
    load(&f, "dgx-1-p100", NULL);
    for (int g = 0; g < 8; g++) {
        snprintf(name, sizeof name, "gpu[0,%d]", g);
        assert_near(degree(&f, name), 4, 0);
    }
    fixture_fini(&f);
}

static void cells_on_one_channel_share_it(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "wifi-cells", "{cells: 4, channels: 2}");
    assert_string_equal(fixture_route(&f, "station[0,0]", "server"), "wifi[0] backhaul[0]> uplink<");
    assert_string_equal(fixture_route(&f, "station[2,1]", "station[2,3]"), "wifi[0] wifi[0]");
    assert_string_equal(fixture_route(&f, "station[3,1]", "server"), "wifi[1] backhaul[3]> uplink<");
    fixture_fini(&f);
}

static void a_phone_is_slower_upwards(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "cellular-cell", NULL);
    assert_near(fixture_link(&f, "radio[0]>")->bandwidth, 150e6 / 8 * 0.24, 1);
    assert_near(fixture_link(&f, "radio[0]<")->bandwidth, 50e6 / 8 * 0.23, 1);
    assert_near(fixture_link(&f, "cell<")->bandwidth, 50e6 / 8, 0);
    fixture_fini(&f);
}

static void oversubscription_thins_the_cables_up(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "leaf-spine", "{spines: 4, devices: 12, oversubscription: 3}");
    assert_near(fixture_link(&f, "up[0,0]>")->bandwidth, fixture_link(&f, "down[0,0]>")->bandwidth, 1e-3);
    fixture_fini(&f);
}

static void wrong_parameters_of_generators_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *name, *set, *message;
    } list[] = {
        {"fat-tree", "arity: 5",
         "set.yaml:1:8: the arity of a fat tree must be even, 2 or more (arity >= 2 and arity % 2 == 0, with "
         "arity = 5)"},
        {"hypercube", "dimensions: 17",
         "set.yaml:1:13: a hypercube has 1 to 16 dimensions (dimensions >= 1 and dimensions <= 16, with "
         "dimensions = "
         "17)"},
        {"leaf-spine", "{leaves: 2, oversubscription: 0}",
         "set.yaml:1:31: the oversubscription must be more than 0 (oversubscription > 0, with "
         "oversubscription = 0)"},
        {"dragonfly", "groups: 10",
         "set.yaml:1:9: a dragonfly has no cable for so many groups (groups <= routers * globals + 1, with "
         "routers = "
         "4, globals = 2, groups = 10)"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct fixture f;
        fixture_init(&f);
        const char *path = document_find(&f.input, "topologies", list[i].name, (struct place){0});
        struct value *document = document_load(&f.input, path);
        assert_false(
            topology_read(&f.input, document, fixture_parse(&f, "set.yaml", list[i].set), &f.platform));
        assert_string_equal(fixture_messages(&f), list[i].message);
        fixture_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(direct_networks_have_their_sizes),
        cmocka_unit_test(trees_of_switches_have_their_sizes),
        cmocka_unit_test(machines_have_their_sizes),
        cmocka_unit_test(wide_and_wireless_networks_have_their_sizes),
        cmocka_unit_test(each_p100_of_a_dgx_1_has_four_nvlinks),
        cmocka_unit_test(cells_on_one_channel_share_it),
        cmocka_unit_test(a_phone_is_slower_upwards),
        cmocka_unit_test(oversubscription_thins_the_cables_up),
        cmocka_unit_test(wrong_parameters_of_generators_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
