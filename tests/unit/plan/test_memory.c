/* Memory against sums by hand. */
#include "plan_case.h"

#include "plan/memory.h"

static void optimizer_states_take_the_published_bytes(void **state)
{
    (void)state;
    static const struct {
        enum plan_optimizer optimizer;
        enum precision precision;
        double bytes; /* per parameter; Rajbhandari et al. 2020: 12 for mixed-precision Adam */
    } cases[] = {{OPTIMIZER_ADAM, BF16, 12},    {OPTIMIZER_ADAM, FP32, 8}, {OPTIMIZER_MOMENTUM, FP16, 8},
                 {OPTIMIZER_MOMENTUM, FP32, 4}, {OPTIMIZER_SGD, FP32, 0},  {OPTIMIZER_SGD, BF16, 4}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct plan plan = {.optimizer = cases[k].optimizer, .precision = cases[k].precision};
        assert_true(memory_optimizer_bytes(&plan) == cases[k].bytes);
    }
}

static const char mixed[] =
    "name: m\nlayers:\n  - {input: x, dims: {c: 4}}\n"
    "  - name: one\n    layers:\n      - {fc: a, out: 10, act: gelu}\n      - {fc: b, out: 6, act: relu}\n"
    "  - name: two\n    layers:\n      - {dropout: d}\n      - {fc: e, out: 8}\n      - {softmax: s}\n";

static void saved_activations_are_what_the_backward_pass_reads(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, mixed, 3);
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    const struct derivation *d = c.derivations;
    /* one: x for a, a's product for gelu, a for b, b (relu's output). two: d's mask, d for e, s's output */
    double one = 3 * 4.0 * (4 + 10 + 10 + 6), two = 3 * (6 * 1.0 + 4.0 * (6 + 8));
    ASSERT_NEAR(memory_saved(d, 1, false, 0), one, 0);
    ASSERT_NEAR(memory_saved(d, 2, false, 0), two, 0);
    ASSERT_NEAR(memory_saved(d, MODEL_NONE, false, 0), one + two, 0);
    case_fini(&c);
}

static void full_recomputation_keeps_the_inputs_of_units(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, mixed, 3);
    c.plan.recompute = RECOMPUTE_FULL;
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    ASSERT_NEAR(memory_saved(c.derivations, 1, true, 0), 3 * 4.0 * 4, 0);
    ASSERT_NEAR(memory_saved(c.derivations, 2, true, 0), 3 * 4.0 * 6, 0);
    case_fini(&c);
}

/* Skip connections between units: what several units read is kept for each, but is one tensor. */
static void a_tensor_that_two_units_read_is_kept_once_a_unit(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 4}}\n  - {fc: a, out: 4, bias: no}\n"
              "  - {fc: b, out: 4, bias: no}\n  - {fc: c, out: 4, bias: no}\n  - {add: d, from: [c, a]}\n",
              1);
    c.plan.recompute = RECOMPUTE_FULL;
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    ASSERT_NEAR(memory_saved(c.derivations, 1, true, 0), 16, 0); /* x */
    ASSERT_NEAR(memory_saved(c.derivations, 2, true, 0), 16, 0); /* a */
    ASSERT_NEAR(memory_saved(c.derivations, 3, true, 0), 16, 0); /* b */
    ASSERT_NEAR(memory_saved(c.derivations, 4, true, 0), 32, 0); /* c and a */
    ASSERT_NEAR(memory_saved(c.derivations, MODEL_NONE, true, 0), 4 * 16, 0);
    case_fini(&c);
}

/* A convolution's output (for its activation) is the next one's input: that was counted twice. */
static void an_output_that_the_next_unit_reads_is_one_tensor(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 4, x: 4}}\n"
        "  - {conv: a, out: 3, kernel: 3, pad: 1, act: relu}\n  - {conv: b, out: 2, kernel: 1, act: relu}\n",
        1);
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    ASSERT_NEAR(memory_saved(c.derivations, MODEL_NONE, false, 0), 4 * 16 * (2 + 3 + 2), 0);
    ASSERT_NEAR(memory_saved(c.derivations, 1, false, 0), 4 * 16 * (2 + 3), 0);
    ASSERT_NEAR(memory_saved(c.derivations, 2, false, 0), 4 * 16 * (3 + 2), 0);
    case_fini(&c);
}

static void shares_of_activations_and_parameters_are_kept_where_they_are_split(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, mixed, 6);
    case_stage(&c, 0, "b:3");
    assert_true(case_derive(&c));
    double one = 2 * 4.0 * (4 + 10 + 10 + 6), two = 2 * (6 * 1.0 + 4.0 * (6 + 8));
    for (uint32_t m = 0; m < 3; m++) {
        ASSERT_NEAR(memory_saved(c.derivations, MODEL_NONE, false, m), one + two, 0);
        ASSERT_NEAR(memory_parameters(c.derivations, m), 4 * 10 + 10 + 10 * 6 + 6 + 6 * 8 + 8, 0);
    }
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimizer_states_take_the_published_bytes),
        cmocka_unit_test(saved_activations_are_what_the_backward_pass_reads),
        cmocka_unit_test(full_recomputation_keeps_the_inputs_of_units),
        cmocka_unit_test(a_tensor_that_two_units_read_is_kept_once_a_unit),
        cmocka_unit_test(an_output_that_the_next_unit_reads_is_one_tensor),
        cmocka_unit_test(shares_of_activations_and_parameters_are_kept_where_they_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
