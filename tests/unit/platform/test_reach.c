/* Whether a device can send to another, against the search for the route itself. */
#include "platform_fixture.h"

#include "platform/graph.h"
#include "platform/reach.h"

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Compares all pairs, with caches of their own: the answer must not hang on what was asked before. */
static uint32_t compare_all(struct platform *platform, const char *what)
{
    struct arena arena;
    struct reach reach;
    uint32_t routes = 0;
    arena_init(&arena);
    reach_init(&reach, platform, &arena);
    for (uint32_t a = 0; a < platform->devices.count; a++)
        for (uint32_t b = 0; b < platform->devices.count; b++) {
            bool reached = reach_device(&reach, a, b);
            uint32_t count;
            route_links(platform, a, b, &count);
            if (reached != (count != UINT32_MAX))
                fail_msg("%s: from device %u to %u: %d", what, a, b, reached);
            routes += a != b && count != UINT32_MAX;
        }
    arena_fini(&arena);
    return routes;
}

/* Devices, of which some pass on nothing, and switches; arcs one way or both ways, too few to join all. */
static void random_graph(struct platform *platform, uint64_t *random)
{
    uint32_t devices = 2 + (uint32_t)(next(random) % 8), switches = (uint32_t)(next(random) % 5);
    uint32_t nodes = devices + switches, arcs = (uint32_t)(next(random) % (2 * nodes));
    uint32_t type = graph_add_type(platform, &(struct device_type){0});
    for (uint32_t d = 0; d < devices; d++)
        graph_add_device(platform, (struct device){.type = type, .speed = 1}, next(random) % 3 == 0);
    for (uint32_t s = 0; s < switches; s++)
        graph_add_switch(platform, 0);
    for (uint32_t i = 0; i < arcs; i++) {
        uint32_t from = (uint32_t)(next(random) % nodes), to = (uint32_t)(next(random) % nodes);
        if (from == to)
            continue;
        uint32_t link = graph_add_link(
            platform, (struct link){.bandwidth = 1e9, .latency = 1e-6 * (double)(next(random) % 3)});
        graph_add_arc(platform, from, to, link);
        if (next(random) % 2)
            graph_add_arc(platform, to, from, link);
    }
    graph_close(platform);
}

static void a_device_reaches_another_where_there_is_a_route(void **state)
{
    (void)state;
    uint64_t random = 20260117;
    uint32_t some = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        struct names names;
        struct platform platform;
        char what[64];
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)random);
        names_init(&names);
        platform_init(&platform, &names);
        random_graph(&platform, &random);
        uint32_t count = platform.devices.count, routes = compare_all(&platform, what);
        some += routes > 0 && routes < count * (count - 1);
        platform_fini(&platform);
        names_fini(&names);
    }
    assert_true(some > 500); /* most are neither whole nor without any route */
}

static void up_and_down_a_tree_all_devices_are_reached(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {a: {count: 4, " TINY "}, b: {count: 4, " TINY "}}\n"
                 "switches: {left: , right: , top: }\n"
                 "links:\n"
                 "  la: {bandwidth: 1 GB/s, from: \"a[*]\", to: left}\n"
                 "  lb: {bandwidth: 1 GB/s, from: \"b[*]\", to: right}\n"
                 "  up: {bandwidth: 1 GB/s, from: left, to: top}\n"
                 "  up2: {bandwidth: 1 GB/s, from: right, to: top}\n"
                 "routing: {paths: up-down}\n",
                 NULL);
    assert_int_equal(compare_all(&f.platform, "tree"), 8 * 7);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_reaches_another_where_there_is_a_route),
        cmocka_unit_test(up_and_down_a_tree_all_devices_are_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
