/* Activities: what an algorithm asks of the links, compared with its steps and with its closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collective/collective.h"
#include "platform/route.h"

#include "../star.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 12 };

static uint32_t steps_of(int kind, uint32_t members, struct transfer_list *list)
{
    *list = (struct transfer_list){0};
    struct shape shape = transfer_flat(members);
    collective_steps(&ring_algorithm, kind, &shape, false, list);
    return list->count ? list->at[list->count - 1].round + 1 : 0;
}

static void a_group_of_one_sends_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind <= REDUCE; kind++) {
        struct transfer_list list;
        assert_int_equal(steps_of(kind, 1, &list), 0);
        transfer_fini(&list);
    }
}

struct fixture {
    struct names names;
    struct platform platform;
};

/* A star (star.h). Device 3 of an uneven one is slower and farther. */
static void star(struct fixture *fixture, uint32_t devices, bool uneven)
{
    names_init(&fixture->names);
    platform_init(&fixture->platform, &fixture->names);
    star_build(&fixture->platform, devices, 10, 0.5);
    for (uint32_t l = 2 * 3; uneven && l < 2 * 4; l++) {
        fixture->platform.links.at[l].bandwidth = 5;
        fixture->platform.links.at[l].latency = 2;
    }
}

static void fixture_fini(struct fixture *fixture)
{
    platform_fini(&fixture->platform);
    names_fini(&fixture->names);
}

static bool ring_activity(struct fixture *fixture, int kind, const uint32_t *devices, uint32_t count,
                          struct activity *activity)
{
    const struct collective_request asked = {&ring_algorithm, kind, &fixture->platform, devices,
                                             count,           NULL, UINT32_MAX};
    const char *problem;
    return collective_activity(&asked, activity, &fixture->platform.arena, &problem);
}

/* Seconds of an activity alone on the platform. */
static double alone(const struct platform *platform, const struct activity *activity, double bytes)
{
    double rate = activity->cap;
    for (uint32_t i = 0; i < activity->usage.count; i++)
        rate = fmin(rate, platform->links.at[activity->usage.at[i].link].bandwidth /
                              activity->usage.at[i].coefficient);
    return activity->latency + activity->bytes_factor * bytes / rate;
}

static void activities_match_the_closed_form_on_a_star(void **state)
{
    (void)state;
    uint32_t devices[MEMBERS];
    for (uint32_t n = 2; n <= MEMBERS; n++) {
        struct fixture fixture;
        star(&fixture, n, false);
        for (uint32_t i = 0; i < n; i++)
            devices[i] = n - 1 - i;
        for (int kind = 0; kind <= REDUCE; kind++) {
            struct activity activity;
            assert_true(ring_activity(&fixture, kind, devices, n, &activity));
            double expected = ring_algorithm.seconds(kind, &(struct shape){.members = n}, 120, 1, 10);
            assert_true(fabs(alone(&fixture.platform, &activity, 120) - expected) < 1e-12 * expected);
            double largest = 0;
            for (uint32_t i = 0; i < activity.usage.count; i++) {
                largest = fmax(largest, activity.usage.at[i].coefficient);
                assert_true(!i || activity.usage.at[i].link > activity.usage.at[i - 1].link);
            }
            assert_true(largest == 1);
            assert_true((activity.cap == INFINITY) == ((kind != BROADCAST && kind != REDUCE) || n == 2));
            collective_activity_fini(&activity);
        }
        fixture_fini(&fixture);
    }
}

/* A slower member: each round lasts as long as its slowest transfer. */
static void each_round_waits_for_its_slowest_route(void **state)
{
    (void)state;
    struct fixture fixture;
    star(&fixture, 4, true);
    uint32_t devices[] = {0, 1, 2, 3};
    struct activity activity;
    assert_true(ring_activity(&fixture, ALL_REDUCE, devices, 4, &activity));
    assert_true(activity.latency == 6 * 2.5 && activity.rounds == 6 && activity.usage.count == 8);
    assert_true(activity.bytes_factor == 1.5);
    assert_true(fabs(alone(&fixture.platform, &activity, 100) - (15 + 150 / 5.0)) < 1e-12);
    collective_activity_fini(&activity);
    fixture_fini(&fixture);
}

static void a_ring_of_1024_needs_no_millions_of_steps(void **state)
{
    (void)state;
    enum { MANY = 1024 };
    struct fixture fixture;
    star(&fixture, MANY, false);
    uint32_t devices[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        devices[i] = i;
    struct transfer_list list = {0};
    collective_steps(&ring_algorithm, ALL_REDUCE, &(struct shape){.members = MANY}, true, &list);
    assert_int_equal(list.count, MANY);
    struct activity activity;
    assert_true(ring_activity(&fixture, ALL_REDUCE, devices, MANY, &activity));
    double expected = ring_algorithm.seconds(ALL_REDUCE, &(struct shape){.members = MANY}, 1e6, 1, 10);
    assert_true(fabs(alone(&fixture.platform, &activity, 1e6) - expected) < 1e-12 * expected);
    collective_activity_fini(&activity);
    transfer_fini(&list);
    fixture_fini(&fixture);
}

static bool same_step(const struct transfer_step *a, const struct transfer_step *b)
{
    return a->from == b->from && a->to == b->to && a->fraction == b->fraction;
}

static void patterns_are_the_steps_with_equal_rounds_once(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= MEMBERS; n++) {
        for (int kind = 0; kind <= REDUCE; kind++) {
            struct transfer_list steps, pattern = {0};
            steps_of(kind, n, &steps);
            collective_steps(&ring_algorithm, kind, &(struct shape){.members = n}, true, &pattern);
            uint32_t at = 0;
            for (uint32_t begin = 0, end; begin < pattern.count; begin = end) {
                uint32_t round = pattern.at[begin].round;
                for (end = begin; end < pattern.count && pattern.at[end].round == round; end++)
                    ;
                for (uint32_t k = 0; k < (pattern.times.count ? pattern.times.at[round] : 1); k++)
                    for (uint32_t i = begin; i < end; i++)
                        assert_true(at < steps.count && same_step(&steps.at[at++], &pattern.at[i]));
            }
            assert_int_equal(at, steps.count);
            transfer_fini(&steps);
            transfer_fini(&pattern);
        }
    }
}

static void messages_follow_their_route(void **state)
{
    (void)state;
    struct fixture fixture;
    star(&fixture, 4, true);
    struct activity activity;
    assert_true(collective_message(&fixture.platform, 0, 3, UINT32_MAX, &activity));
    assert_int_equal(activity.usage.count, 2);
    assert_int_equal(activity.usage.at[0].link, 0);
    assert_int_equal(activity.usage.at[1].link, 7);
    assert_true(activity.latency == 2.5 && activity.bytes_factor == 1);
    collective_activity_fini(&activity);
    assert_true(collective_message(&fixture.platform, 2, 2, UINT32_MAX, &activity));
    assert_true(activity.usage.count == 0 && activity.latency == 0);
    collective_activity_fini(&activity);
    fixture_fini(&fixture);
}

/* Station to station through the access point crosses the air twice. */
static void a_medium_crossed_twice_counts_twice(void **state)
{
    (void)state;
    struct fixture fixture;
    star(&fixture, 3, false);
    for (uint32_t a = 0; a < fixture.platform.arcs.count; a++)
        fixture.platform.arcs.at[a].link = 0;
    struct activity activity;
    assert_true(collective_message(&fixture.platform, 1, 2, UINT32_MAX, &activity));
    assert_int_equal(activity.usage.count, 1);
    assert_true(activity.usage.at[0].coefficient == 2 && activity.latency == 1);
    collective_activity_fini(&activity);
    uint32_t devices[] = {0, 1, 2};
    assert_true(ring_activity(&fixture, ALL_GATHER, devices, 3, &activity));
    assert_true(activity.usage.at[0].coefficient == 1);
    assert_true(fabs(activity.bytes_factor - 4) < 1e-12); /* 3 members, 2 rounds, 2 crossings of a third */
    collective_activity_fini(&activity);
    fixture_fini(&fixture);
}

static void members_without_a_route_are_named(void **state)
{
    (void)state;
    struct fixture fixture;
    star(&fixture, 3, false);
    fixture.platform.arcs.at[5].to = 0; /* nothing leads to device 2 */
    uint32_t devices[] = {0, 1, 2};
    const struct collective_request asked = {&ring_algorithm, ALL_GATHER, &fixture.platform, devices, 3, NULL,
                                             UINT32_MAX};
    const char *problem;
    struct activity activity;
    assert_false(collective_activity(&asked, &activity, &fixture.platform.arena, &problem));
    assert_string_equal(problem, "there is no route from device[1] to device[2]");
    collective_activity_fini(&activity);
    fixture_fini(&fixture);
}

static void algorithms_are_found_by_name(void **state)
{
    (void)state;
    for (const struct algorithm *const *each = collective_algorithms; *each; each++)
        assert_ptr_equal(collective_find((*each)->name), *each);
    assert_null(collective_find("rong"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_of_one_sends_nothing),
        cmocka_unit_test(activities_match_the_closed_form_on_a_star),
        cmocka_unit_test(each_round_waits_for_its_slowest_route),
        cmocka_unit_test(a_ring_of_1024_needs_no_millions_of_steps),
        cmocka_unit_test(patterns_are_the_steps_with_equal_rounds_once),
        cmocka_unit_test(messages_follow_their_route),
        cmocka_unit_test(a_medium_crossed_twice_counts_twice),
        cmocka_unit_test(members_without_a_route_are_named),
        cmocka_unit_test(algorithms_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
