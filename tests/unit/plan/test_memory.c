/* Memory against sums by hand. */
#include "plan_case.h"

#include "plan/memory.h"
#include "plan/optimizer.h"
#include "plan/work.h"

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
        struct plan plan = {.optimizer = cases[k].optimizer};
        plan_precisions(&plan, cases[k].precision);
        assert_true(optimizer_bytes(&plan) == cases[k].bytes);
    }
}

static double state_bytes(struct plan_case *c, const char *name)
{
    for (uint32_t p = 0; p < c->derivations->parameters.count; p++)
        if (strcmp(names_text(&c->names, c->model.tensors.at[c->derivations->parameters.at[p].tensor].name),
                   name) == 0)
            return memory_state(c->derivations, p, 0);
    fail_msg("there is no parameter %s", name);
    return 0;
}

/* Shazeer and Stern 2018: a matrix of n x m has n + m values, a vector as many as elements. */
static void adafactor_keeps_a_row_and_a_column(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 5, x: 5}}\n  - {conv: a, out: 8, kernel: 3}\n"
              "  - {flatten: f}\n  - {fc: b, out: 10}\n",
              2);
    c.plan.optimizer = OPTIMIZER_ADAFACTOR;
    case_stage(&c, 0, "o:2");
    assert_true(case_derive(&c));
    ASSERT_NEAR(state_bytes(&c, "a.weight"), 4 * (4 + 3 * 3 * 3), 0);
    ASSERT_NEAR(state_bytes(&c, "a.bias"), 4 * 4, 0);
    ASSERT_NEAR(state_bytes(&c, "b.weight"), 4 * (5 + 72), 0);
    plan_precisions(&c.plan, BF16); /* and a master copy */
    ASSERT_NEAR(state_bytes(&c, "b.weight"), 4 * (5 + 72) + 4 * 5 * 72, 0);
    case_fini(&c);
}

/* The buffer of gradients holds sums where there are several micro-batches. */
static void each_class_of_tensor_has_its_precision(void **state)
{
    (void)state;
    struct plan plan = {.optimizer = OPTIMIZER_ADAM, .micro_batches = 1};
    plan_precisions(&plan, BF16);
    plan.gradient_precision = BF16;
    assert_true(memory_gradient_bytes(&plan) == 2);
    plan.micro_batches = 4;
    assert_true(memory_gradient_bytes(&plan) == 4);
    plan.optimizer_precision = BF16; /* works in the weights' own precision: no master copy */
    assert_true(optimizer_bytes(&plan) == 4);
    plan.weight_precision = INT4;
    assert_true(optimizer_bytes(&plan) == 6);
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

static void every_second_unit_recomputes_or_two_together(void **state)
{
    (void)state;
    static const char chain[] = "name: m\nlayers:\n  - {input: x, dims: {c: 4}}\n"
                                "  - {fc: a, out: 5, bias: no}\n  - {act: b, function: gelu}\n"
                                "  - {fc: c, out: 7, bias: no}\n  - {act: d, function: gelu}\n";
    for (int chunk = 0; chunk < 2; chunk++) {
        struct plan_case c;
        case_init(&c, chain, 1);
        c.plan.recompute = RECOMPUTE_FULL;
        *(chunk ? &c.plan.recompute_chunk : &c.plan.recompute_every) = 2;
        case_stage(&c, 0, "");
        assert_true(case_derive(&c));
        const struct derivation *d = c.derivations;
        /* units x, a, b, c, d. every: x, b and d recompute, all keep what they read. chunks: {x, a}, {b, c},
         * {d}: a reads x inside its chunk, b's input a is kept, c reads b inside, d's input c is kept */
        ASSERT_NEAR(memory_saved(d, MODEL_NONE, false, 0), 4 * (4 + 5 + 5 + 7), 0);
        ASSERT_NEAR(memory_saved(d, MODEL_NONE, true, 0), 4 * (4 + 5 + (chunk ? 0 : 5) + 7), 0);
        ASSERT_NEAR(memory_remade(d, 3, 0), chunk ? 4 * 5 : 0, 0);
        case_fini(&c);
    }
}

static double backward_flops(const char *attention, bool model)
{
    struct plan_case c;
    char text[512];
    snprintf(text, sizeof text,
             "name: m\nlayers:\n  - {input: x, dims: {s: 8, h: 4}}\n  - {fc: q, out: {g: 2, d: 2}}\n"
             "  - {fc: k, from: x, out: {g: 2, d: 2}}\n  - {fc: v, from: x, out: {g: 2, d: 2}}\n"
             "  - {attention: a, from: [q, k, v]%s}\n",
             attention);
    case_init(&c, text, 1);
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    double flops = 0;
    for (uint32_t o = 0; o < c.derivations->operators.count; o++) {
        const struct layer_op *layer_op = &c.model.operators.at[c.derivations->operators.at[o].layer_op];
        struct work work = work_backward(c.derivations, o, 0);
        if (layer_op->kind == OPERATOR_EINSUM)
            flops += model ? work.model_flops : work.flops;
    }
    case_fini(&c);
    return flops;
}

/* Dao et al. 2022: the backward kernel has five products, of which the first makes the scores again. */
static void flash_attention_computes_its_scores_again(void **state)
{
    (void)state;
    double product = 2.0 * 8 * 8 * 4; /* 2 s s h */
    ASSERT_NEAR(backward_flops(", flash: yes", false) - backward_flops("", false), product, 0);
    ASSERT_NEAR(backward_flops(", flash: yes", true), backward_flops("", true), 0);
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
        cmocka_unit_test(adafactor_keeps_a_row_and_a_column),
        cmocka_unit_test(each_class_of_tensor_has_its_precision),
        cmocka_unit_test(every_second_unit_recomputes_or_two_together),
        cmocka_unit_test(flash_attention_computes_its_scores_again),
        cmocka_unit_test(saved_activations_are_what_the_backward_pass_reads),
        cmocka_unit_test(full_recomputation_keeps_the_inputs_of_units),
        cmocka_unit_test(a_tensor_that_two_units_read_is_kept_once_a_unit),
        cmocka_unit_test(an_output_that_the_next_unit_reads_is_one_tensor),
        cmocka_unit_test(shares_of_activations_and_parameters_are_kept_where_they_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
