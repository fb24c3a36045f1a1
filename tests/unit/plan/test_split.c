/* What `split:` says, and what follows for the members. */
#include "plan_case.h"

#include "plan/split.h"
#include "plan/work.h"

static const char convolution[] = "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 12, x: 6}}\n  - {conv: "
                                  "a, out: 3, kernel: 1, bias: no}\n";

/* A stage of `members` devices of the given speeds with the split of a text. */
static bool split_case(struct plan_case *c, const char *model, uint32_t members, const double *speeds,
                       const char *text)
{
    case_init(c, model, 2);
    struct plan_stage stage = {.unit_count = c->model.units.count, .place = {"w.yaml", 4, 5}};
    for (uint32_t m = 0; m < members; m++) {
        VECTOR_PUSH(&stage.devices, case_device(c));
        c->platform.devices.at[stage.devices.at[m]].speed = speeds ? speeds[m] : 1;
    }
    struct value *split = case_parse(c, "split", text);
    c->platform.names = &c->names;
    bool good = split && split_read(&c->input, split, &c->plan, &stage);
    if (good)
        split_weigh(&c->input, split, &c->plan, &stage);
    VECTOR_PUSH(&c->plan.stages, stage);
    return good && case_derive(c);
}

static void weights_share_the_work_in_proportion(void **state)
{
    (void)state;
    struct plan_case c;
    assert_true(split_case(&c, convolution, 4, NULL, "{y: [3, 0, 2, 1]}"));
    static const double rows[] = {6, 0, 4, 2};
    for (uint32_t m = 0; m < 4; m++)
        ASSERT_NEAR(work_forward(c.derivations, 0, m).flops, 2 * 2 * 3 * 2 * 6 * rows[m], 0);
    case_fini(&c);
}

static void weights_by_speed_let_devices_finish_together(void **state)
{
    (void)state;
    static const double speeds[] = {1, 2, 0.5, 2.5};
    struct plan_case c;
    assert_true(split_case(&c, convolution, 4, speeds, "{y: {shares: 4, weights: speed}}"));
    static const double rows[] = {2, 4, 1, 5}; /* 12 rows in the proportions 1 : 2 : 0.5 : 2.5 */
    double seconds = work_forward(c.derivations, 0, 0).seconds;
    for (uint32_t m = 0; m < 4; m++) {
        ASSERT_NEAR(work_forward(c.derivations, 0, m).flops, 2 * 2 * 3 * 2 * 6 * rows[m], 0);
        ASSERT_NEAR(work_forward(c.derivations, 0, m).seconds, seconds, 1e-12);
    }
    case_fini(&c);
}

static void weights_by_speed_add_up_the_devices_of_a_row_of_the_mesh(void **state)
{
    (void)state;
    static const double speeds[] = {1, 3, 2, 6};
    struct plan_case c;
    assert_true(split_case(&c, convolution, 4, speeds,
                           "{y: {shares: 2, weights: speed}, x: {shares: 2, weights: speed}}"));
    for (uint32_t m = 0; m < 4; m++) { /* rows 4 : 8, columns 3 : 9 */
        double rows = m < 2 ? 4 : 8, columns = m % 2 ? 5 : 1;
        ASSERT_NEAR(work_forward(c.derivations, 0, m).flops, 2 * 2 * 3 * 2 * rows * columns, 0);
    }
    case_fini(&c);
}

static void an_axis_splits_the_first_of_its_dimensions_that_a_layer_has(void **state)
{
    (void)state;
    struct plan_case c;
    assert_true(split_case(&c, convolution, 3, NULL, "{tensor: {shares: 3, of: [g, f, o]}}"));
    assert_string_equal(names_text(&c.names, c.plan.stages.at[0].axes[0].name), "tensor");
    for (uint32_t m = 0; m < 3; m++)
        ASSERT_NEAR(work_forward(c.derivations, 0, m).flops, 2 * 2 * 3 * 2 * 12 * 6 / 3.0, 0);
    case_fini(&c);
}

static void more_members_than_elements_leave_some_idle_and_give_a_warning(void **state)
{
    (void)state;
    struct plan_case c;
    assert_true(split_case(&c, convolution, 30, NULL, "{y: 30}"));
    double flops = 0;
    uint32_t idle = 0;
    for (uint32_t m = 0; m < 30; m++) {
        double mine = work_forward(c.derivations, 0, m).flops;
        flops += mine;
        idle += mine == 0;
    }
    ASSERT_NEAR(flops, 2 * 2 * 3 * 2 * 12 * 6, 0);
    assert_int_equal(idle, 18);
    assert_int_equal(c.input.report.errors, 0);
    assert_int_equal(c.input.report.warnings, 1);
    assert_string_equal(c.input.report.list.at[0].text,
                        "'y' has 30 members, but 'y' of 'a' has only 12 elements: some members have nothing "
                        "to do there");
    assert_int_equal(c.input.report.list.at[0].place.line, 4);
    case_fini(&c);
}

static void enough_elements_give_no_warning(void **state)
{
    (void)state;
    struct plan_case c;
    assert_true(split_case(&c, convolution, 12, NULL, "{y: 12}"));
    assert_int_equal(c.input.report.warnings, 0);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_share_the_work_in_proportion),
        cmocka_unit_test(weights_by_speed_let_devices_finish_together),
        cmocka_unit_test(weights_by_speed_add_up_the_devices_of_a_row_of_the_mesh),
        cmocka_unit_test(an_axis_splits_the_first_of_its_dimensions_that_a_layer_has),
        cmocka_unit_test(more_members_than_elements_leave_some_idle_and_give_a_warning),
        cmocka_unit_test(enough_elements_give_no_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
