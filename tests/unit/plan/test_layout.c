/* Shares and boxes. */
#include "plan_case.h"

#include "plan/layout.h"

static struct plan_stage mesh(struct names *names, const char *axes)
{
    struct plan_stage stage = {0};
    uint32_t members = case_axes(names, NULL, axes, &stage);
    for (uint32_t m = 0; m < members; m++)
        VECTOR_PUSH(&stage.devices, m);
    return stage;
}

static void shares_partition_an_interval_for_any_size_and_ways(void **state)
{
    (void)state;
    for (uint64_t low = 0; low < 3; low++)
        for (uint64_t size = 0; size <= 40; size++)
            for (uint32_t ways = 1; ways <= 50; ways++) {
                uint64_t next = low, least = UINT64_MAX, most = 0;
                for (uint32_t i = 0; i < ways; i++) {
                    struct plan_axis axis = {.size = ways};
                    struct interval share = layout_share((struct interval){low, low + size}, &axis, i);
                    assert_true(share.low == next);
                    assert_true(share.high >= share.low);
                    next = share.high;
                    uint64_t length = share.high - share.low;
                    least = length < least ? length : least;
                    most = length > most ? length : most;
                }
                assert_true(next == low + size);
                assert_true(most - least <= 1);
            }
}

static void shares_of_huge_dimensions_do_not_overflow(void **state)
{
    (void)state;
    uint64_t size = 1000000000; /* the largest dimension of a model file */
    struct plan_axis axis = {.size = 1000000};
    for (uint32_t i = 0; i < 1000000; i += 999)
        assert_true(layout_share((struct interval){0, size}, &axis, i).low == 1000 * (uint64_t)i);
}

static void weighted_shares_partition_an_interval_in_proportion(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (int n = 0; n < 20000; n++) {
        double weights[8], total = 0, error = 0;
        struct plan_axis axis = {.size = case_between(&random, 1, 8), .weights = weights};
        for (uint32_t i = 0; i < axis.size; i++)
            total += weights[i] = case_between(&random, 0, 3) * 0.1;
        if (total == 0)
            total = weights[0] = 1;
        uint64_t size = case_between(&random, 0, 300), next = 5;
        for (uint32_t i = 0; i < axis.size; i++) {
            struct interval share = layout_share((struct interval){5, 5 + size}, &axis, i);
            assert_true(share.low == next && share.high >= share.low);
            next = share.high;
            error = fmax(error, fabs((double)(share.high - share.low) - (double)size * weights[i] / total));
        }
        assert_true(next == 5 + size);
        assert_true(error < 1 + 1e-9);
    }
}

/* Shares of ⌈n w / W⌉ elements, as long as there are any; who weighs nothing has none. */
static void shares_that_are_rounded_up_leave_the_rest_to_the_last(void **state)
{
    (void)state;
    const double equal[] = {1, 1, 1, 1, 1, 1, 1}, unequal[] = {0, 3, 0, 1, 2, 0};
    for (uint64_t size = 0; size <= 60; size++) {
        uint64_t left[2] = {size, size};
        for (uint32_t i = 0; i < 7; i++) {
            struct plan_axis axis = {.size = 7, .weights = equal, .rounds_up = true};
            struct interval share = layout_share((struct interval){5, 5 + size}, &axis, i);
            uint64_t most = (size + 6) / 7, mine = most < left[0] ? most : left[0];
            assert_int_equal(share.low, 5 + size - left[0]);
            assert_int_equal(share.high - share.low, mine);
            left[0] -= mine;
        }
        for (uint32_t i = 0; i < 6; i++) {
            struct plan_axis axis = {.size = 6, .weights = unequal, .rounds_up = true};
            struct interval share = layout_share((struct interval){0, size}, &axis, i);
            uint64_t most = (size * (uint64_t)unequal[i] + 5) / 6, mine = most < left[1] ? most : left[1];
            assert_int_equal(share.high - share.low, mine);
            left[1] -= mine;
        }
        assert_int_equal(left[0] + left[1], 0);
    }
}

static void equal_weights_give_equal_shares(void **state)
{
    (void)state;
    double weights[12];
    for (int i = 0; i < 12; i++)
        weights[i] = 0.1;
    for (uint32_t ways = 1; ways <= 12; ways++)
        for (uint64_t size = 0; size < 100; size++)
            for (uint32_t i = 0; i < ways; i++) {
                struct plan_axis equal = {.size = ways}, weighted = {.size = ways, .weights = weights};
                struct interval whole = {3, 3 + size};
                struct interval a = layout_share(whole, &equal, i), b = layout_share(whole, &weighted, i);
                assert_true(a.low == b.low && a.high == b.high);
            }
}

/* Combs against a look at every position: what is in them, how many there are, what a box covers. */
static void a_comb_has_the_positions_of_windows_that_lie_apart(void **state)
{
    (void)state;
    enum { SIZE = 12 };
    struct tensor tensor = {.rank = 1, .dims = {{.size = SIZE}}};
    uint64_t random = 7;
    for (uint32_t n = 0; n < 20000; n++) {
        struct box boxes[2] = {0};
        uint16_t step = (uint16_t)case_between(&random, 2, 5);
        for (uint32_t b = 0; b < 2; b++) {
            uint16_t run = (uint16_t)case_between(&random, 1, step - 1u);
            boxes[b].dims[0].low = case_between(&random, 0, SIZE);
            boxes[b].dims[0].high = case_between(&random, (uint32_t)boxes[b].dims[0].low, SIZE);
            if (case_between(&random, 0, 2))
                boxes[b].combs[0] = (struct comb){step, run, (uint16_t)case_between(&random, 0, step - 1u)};
            layout_trim(&boxes[b], 0);
        }
        struct box both = layout_intersection(&boxes[0], &boxes[1], 1);
        uint32_t in[2] = {0}, in_both = 0, counted = 0;
        for (uint64_t p = 0; p < SIZE; p++) {
            bool one = layout_has(&boxes[0], 0, p), other = layout_has(&boxes[1], 0, p);
            in[0] += one;
            in[1] += other;
            in_both += one && other;
            counted += layout_has(&both, 0, p);
            assert_true(layout_has(&both, 0, p) || !(one && other));
        }
        ASSERT_NEAR(layout_volume(&tensor, &boxes[0]), in[0], 0);
        ASSERT_NEAR(layout_elements(&both, 1), counted, 0);
        if (!boxes[0].combs[0].step || !boxes[1].combs[0].step) /* of two combs, what both span */
            assert_int_equal(counted, in_both);
        if (layout_covers(&boxes[0], &boxes[1], 1))
            assert_int_equal(in_both, in[1]);
        if (boxes[0].combs[0].step == 0 && in_both == in[1])
            assert_true(layout_covers(&boxes[0], &boxes[1], 1));
    }
}

static void coordinates_and_members_are_inverses_with_the_last_axis_fastest(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    struct plan_stage stage = mesh(&names, "a:2 b:3 c:4");
    for (uint32_t m = 0; m < 24; m++) {
        struct coordinates at = layout_coordinates(&stage, m);
        assert_int_equal(at.at[0], m / 12);
        assert_int_equal(at.at[1], m / 4 % 3);
        assert_int_equal(at.at[2], m % 4);
        assert_int_equal(layout_member(&stage, at), m);
    }
    VECTOR_FREE(&stage.devices);
    names_fini(&names);
}

/* Every element is in as many members' boxes as the axes that do not split allow. */
static void boxes_hold_every_element_once_per_copy(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    struct plan_stage stage = mesh(&names, "a:2 b:3 c:2");
    struct tensor tensor = {.rank = 2, .dims = {{.size = 5}, {.size = 3}}};
    for (uint32_t code = 0; code < 64; code++) { /* per axis: R, P, S(0), S(1) */
        struct layout layout = {.late = 0};
        uint32_t copies = 1, bits = code;
        for (uint32_t a = 0; a < 3; a++, bits /= 4) {
            layout.place[a] = bits % 4 == 0 ? PLACE_REPLICATED : bits % 4 == 1 ? PLACE_PARTIAL : PLACE_SPLIT;
            layout.dim[a] = bits % 4 == 3;
            copies *= bits % 4 < 2 ? stage.axes[a].size : 1;
        }
        for (uint64_t y = 0; y < 5; y++)
            for (uint64_t x = 0; x < 3; x++) {
                uint32_t held = 0;
                for (uint32_t m = 0; m < 12; m++) {
                    struct box box = layout_box(&stage, &tensor, &layout, layout_coordinates(&stage, m), 0);
                    held += y >= box.dims[0].low && y < box.dims[0].high && x >= box.dims[1].low &&
                            x < box.dims[1].high;
                }
                assert_int_equal(held, copies);
            }
        struct box whole = layout_box(&stage, &tensor, &layout, layout_coordinates(&stage, 7), 7);
        assert_true(layout_elements(&whole, 2) == 15);
    }
    VECTOR_FREE(&stage.devices);
    names_fini(&names);
}

static void a_later_axis_splits_the_share_of_an_earlier_one(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    struct plan_stage stage = mesh(&names, "a:2 b:2");
    struct tensor tensor = {.rank = 1, .dims = {{.size = 10}}};
    struct layout layout = {{PLACE_SPLIT, PLACE_SPLIT}, {0, 0}, 0};
    static const uint64_t bounds[] = {0, 2, 5, 7, 10};
    for (uint32_t m = 0; m < 4; m++) {
        struct box box = layout_box(&stage, &tensor, &layout, layout_coordinates(&stage, m), 0);
        assert_int_equal(box.dims[0].low, bounds[m]);
        assert_int_equal(box.dims[0].high, bounds[m + 1]);
    }
    VECTOR_FREE(&stage.devices);
    names_fini(&names);
}

static void a_layout_is_described_by_axis(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    struct plan_stage stage = mesh(&names, "b:2 y:3 tensor:4");
    struct tensor tensor = {.rank = 2, .dims = {{.size = 5}, {.size = 3}}};
    tensor.dims[1].label = names_add(&names, "rows");
    struct layout layout = {{PLACE_REPLICATED, PLACE_SPLIT, PLACE_PARTIAL}, {0, 1, 0}, 0};
    char text[64], small[8];
    assert_string_equal(layout_describe(&stage, &tensor, &layout, &names, text, sizeof text),
                        "b:R y:S(rows) tensor:P");
    assert_string_equal(layout_describe(&stage, &tensor, &layout, &names, small, sizeof small), "b:R y:S");
    struct plan_stage one = {0};
    assert_string_equal(layout_describe(&one, &tensor, &layout, &names, text, sizeof text), "whole");
    VECTOR_FREE(&stage.devices);
    names_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_partition_an_interval_for_any_size_and_ways),
        cmocka_unit_test(shares_of_huge_dimensions_do_not_overflow),
        cmocka_unit_test(weighted_shares_partition_an_interval_in_proportion),
        cmocka_unit_test(shares_that_are_rounded_up_leave_the_rest_to_the_last),
        cmocka_unit_test(equal_weights_give_equal_shares),
        cmocka_unit_test(a_comb_has_the_positions_of_windows_that_lie_apart),
        cmocka_unit_test(coordinates_and_members_are_inverses_with_the_last_axis_fastest),
        cmocka_unit_test(boxes_hold_every_element_once_per_copy),
        cmocka_unit_test(a_later_axis_splits_the_share_of_an_earlier_one),
        cmocka_unit_test(a_layout_is_described_by_axis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
