/* Shapes that algorithms find in a network (dimensions of a torus, levels of a tree, a tree of reducing
 * switches), and their closed forms there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collective/collective.h"
#include "platform/graph.h"

#include <math.h>

enum { MOST = 64 };

struct fixture {
    struct names names;
    struct platform platform;
    uint32_t devices[MOST], count;
};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.count = 0};
    names_init(&fixture->names);
    platform_init(&fixture->platform, &fixture->names);
}

static void finish(struct fixture *fixture)
{
    platform_fini(&fixture->platform);
    names_fini(&fixture->names);
}

static uint32_t add_device(struct fixture *fixture)
{
    fixture->devices[fixture->count] = fixture->count;
    uint32_t device = graph_add_device(&fixture->platform, (struct device){.speed = 1}, false);
    return fixture->platform.devices.at[fixture->devices[fixture->count++] = device].node;
}

static uint32_t add_switch(struct fixture *fixture, bool reduces)
{
    uint32_t node = graph_add_switch(&fixture->platform, 0);
    fixture->platform.nodes.at[node].reduces = reduces;
    return node;
}

/* A full-duplex cable: two links. */
static void add_cable(struct fixture *fixture, uint32_t a, uint32_t b, double bandwidth, double latency)
{
    struct link link = {.bandwidth = bandwidth, .latency = latency};
    graph_add_arc(&fixture->platform, a, b, graph_add_link(&fixture->platform, link));
    graph_add_arc(&fixture->platform, b, a, graph_add_link(&fixture->platform, link));
}

/* Rows of x, columns of y, layers of z; neighbours and ends of a line are linked. */
static void torus(struct fixture *fixture, uint32_t x, uint32_t y, uint32_t z)
{
    const uint32_t sizes[] = {x, y, z};
    begin(fixture);
    for (uint32_t i = 0; i < x * y * z; i++)
        add_device(fixture);
    for (uint32_t i = 0; i < x * y * z; i++)
        for (uint32_t d = 0, weight = 1; d < 3; weight *= sizes[d++]) {
            uint32_t own = i / weight % sizes[d], to = i + ((own + 1) % sizes[d]) * weight - own * weight;
            if (sizes[d] > 2 || (sizes[d] == 2 && own == 0))
                add_cable(fixture, i, to, 1e9, 1e-6);
        }
    graph_close(&fixture->platform);
}

static struct activity activity_of(struct fixture *fixture, const struct algorithm *algorithm, int kind)
{
    const struct collective_request asked = {algorithm,      kind, &fixture->platform, fixture->devices,
                                             fixture->count, NULL, UINT32_MAX};
    struct activity activity;
    const char *problem;
    if (!collective_activity(&asked, &activity, &fixture->platform.arena, &problem))
        fail_msg("%s", problem ? problem : "does not apply");
    return activity;
}

static double seconds_of(struct fixture *fixture, const struct algorithm *algorithm, int kind, double bytes)
{
    double latency, cap;
    struct activity activity = activity_of(fixture, algorithm, kind);
    double seconds = collective_pieces(&activity, bytes, 1, &latency, &cap);
    collective_activity_fini(&activity);
    return seconds;
}

static void assert_close(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12 * expected))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void a_torus_is_found_and_takes_its_closed_form(void **state)
{
    (void)state;
    static const uint32_t cases[][3] = {{4, 4, 1}, {2, 2, 1}, {3, 4, 1}, {4, 3, 1}, {2, 4, 4},
                                        {4, 4, 4}, {3, 3, 3}, {8, 2, 1}, {5, 3, 2}, {2, 2, 2}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fixture fixture;
        torus(&fixture, cases[c][0], cases[c][1], cases[c][2]);
        struct activity activity = activity_of(&fixture, &torus_algorithm, ALL_REDUCE);
        assert_int_equal(activity.shape->depth, cases[c][2] > 1 ? 3 : 2);
        for (uint32_t d = 0; d < activity.shape->depth; d++)
            assert_int_equal(activity.shape->sizes[d], cases[c][d]);
        static const int kinds[] = {ALL_REDUCE, REDUCE_SCATTER, ALL_GATHER};
        for (uint32_t k = 0; k < 3; k++)
            assert_close(seconds_of(&fixture, &torus_algorithm, kinds[k], 1e6),
                         torus_algorithm.seconds(kinds[k], activity.shape, 1e6, 1e-6, 1e9));
        collective_activity_fini(&activity);
        finish(&fixture);
    }
}

static void a_bidirectional_ring_takes_half_the_time_of_a_ring_on_a_ring(void **state)
{
    (void)state;
    for (uint32_t n = 3; n <= 33; n++) {
        struct fixture fixture;
        torus(&fixture, n, 1, 1);
        double ring = (n - 1) * (1e-6 + 1e6 / n / 1e9);
        double both = n / 2 * 1e-6 + (n - 1) / 2.0 * 1e6 / n / 1e9;
        assert_close(seconds_of(&fixture, &ring_algorithm, ALL_GATHER, 1e6), ring);
        assert_close(seconds_of(&fixture, &bidirectional_algorithm, ALL_GATHER, 1e6), both);
        assert_close(seconds_of(&fixture, &bidirectional_algorithm, ALL_REDUCE, 1e6), 2 * both);
        finish(&fixture);
    }
}

/* Two levels of switches: `inside` devices on each leaf, leaves on one spine. */
static void tree(struct fixture *fixture, uint32_t leaves, uint32_t inside, bool reduces)
{
    begin(fixture);
    for (uint32_t i = 0; i < leaves * inside; i++)
        add_device(fixture);
    uint32_t spine = add_switch(fixture, reduces);
    for (uint32_t l = 0; l < leaves; l++) {
        uint32_t leaf = add_switch(fixture, reduces);
        add_cable(fixture, leaf, spine, 1e9, 3e-6);
        for (uint32_t i = 0; i < inside; i++)
            add_cable(fixture, l * inside + i, leaf, 1e10, 1e-6);
    }
    graph_close(&fixture->platform);
}

static void levels_are_found_where_members_are_near_to_each_other(void **state)
{
    (void)state;
    struct fixture fixture;
    tree(&fixture, 3, 4, false);
    struct activity activity = activity_of(&fixture, &hierarchical_algorithm, ALL_REDUCE);
    assert_int_equal(activity.shape->depth, 2);
    assert_int_equal(activity.shape->sizes[0], 4);
    assert_int_equal(activity.shape->sizes[1], 3);
    collective_activity_fini(&activity);
    /* rings of 4 inside; between leaves rings of 3 on a quarter, four of them on each leaf's cable */
    double inside = 3 * (2e-6 + 1e6 / 4 / 1e10), between = 4 * (8e-6 + 1e6 / 4 / 3 * 4 / 1e9);
    assert_close(seconds_of(&fixture, &hierarchical_algorithm, ALL_REDUCE, 1e6), 2 * inside + between);
    uint32_t shuffled[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}, straight[12];
    struct shape shape;
    const char *problem;
    for (uint32_t i = 0; i < 12; i++)
        straight[i] = i;
    struct collective_request asked = {
        &hierarchical_algorithm, ALL_REDUCE, &fixture.platform, straight, 12, NULL, UINT32_MAX};
    assert_true(collective_shape(&asked, &shape, &fixture.platform.arena, &problem));
    asked.count = 11;
    assert_false(collective_shape(&asked, &shape, &fixture.platform.arena, &problem));
    asked.count = 12;
    asked.devices = shuffled;
    assert_false(collective_shape(&asked, &shape, &fixture.platform.arena, &problem));
    assert_null(problem);
    finish(&fixture);
}

static void switches_that_reduce_carry_the_payload_once_each_way(void **state)
{
    (void)state;
    struct fixture fixture;
    tree(&fixture, 3, 4, true);
    struct activity activity = activity_of(&fixture, &in_network_algorithm, ALL_REDUCE);
    assert_int_equal(activity.usage.count, 2 * (12 + 3));
    for (uint32_t i = 0; i < activity.usage.count; i++)
        assert_true(activity.usage.at[i].coefficient == 1);
    collective_activity_fini(&activity);
    assert_close(seconds_of(&fixture, &in_network_algorithm, ALL_REDUCE, 1e6), 8e-6 + 1e-3);
    assert_close(seconds_of(&fixture, &in_network_algorithm, BARRIER, 1e6), 8e-6);
    fixture.count = 4; /* one leaf: its switch does it alone */
    assert_close(seconds_of(&fixture, &in_network_algorithm, ALL_REDUCE, 1e6), 2e-6 + 1e-4);
    activity = activity_of(&fixture, &in_network_algorithm, BROADCAST);
    assert_int_equal(activity.usage.count, 4); /* up from the root, down to the others */
    collective_activity_fini(&activity);
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torus_is_found_and_takes_its_closed_form),
        cmocka_unit_test(a_bidirectional_ring_takes_half_the_time_of_a_ring_on_a_ring),
        cmocka_unit_test(levels_are_found_where_members_are_near_to_each_other),
        cmocka_unit_test(switches_that_reduce_carry_the_payload_once_each_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
