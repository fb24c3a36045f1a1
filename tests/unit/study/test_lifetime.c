/* What passes hold besides what they save, and communication buffers, against sums by hand. */
#include "../plan/plan_case.h"

#include "engine/engine.h"
#include "plan/emit.h"
#include "plan/verdict.h"

enum { BATCH = 6 };

struct peaks {
    double forward[MEMORY_CATEGORY_COUNT],
        backward[MEMORY_CATEGORY_COUNT]; /* bytes: the most during such passes */
};

/* Plans the case and walks the first rank's program: the largest of each category while kernels of a pass
 * run. */
static void peaks_of(struct plan_case *c, struct peaks *peaks)
{
    struct job job = {.names = &c->names};
    arena_init(&job.arena);
    case_connect(c, 1e9, 0);
    assert_true(case_derive(c));
    assert_true(emit_job(&c->plan, c->derivations, &job, &c->input.report));
    verdict_fill(&c->plan, &job);
    const struct program *program = &job.programs[0];
    double now[MEMORY_CATEGORY_COUNT] = {0};
    uint32_t next = program->held_count;
    *peaks = (struct peaks){{0}, {0}};
    for (uint32_t op = 0; op < program->op_count; op++) {
        bool forward = program->ops[op].pass == PASS_F;
        for (int end = 0; end < 2; end++) {
            for (; next < program->memory_count && program->memory[next].op == op &&
                   program->memory[next].at_end == (end == 1);
                 next++)
                now[program->memory[next].category] += program->memory[next].bytes;
            for (int k = 0; k < MEMORY_CATEGORY_COUNT; k++) {
                double *most = forward ? &peaks->forward[k] : &peaks->backward[k];
                *most = fmax(*most, now[k]);
            }
        }
    }
    assert_int_equal(next, program->memory_count);
    for (int k = 0; k < MEMORY_CATEGORY_COUNT; k++)
        ASSERT_NEAR(now[k], 0, 1e-9);
    arena_fini(&job.arena);
}

static void check(const char *model, const char *axes, void (*change)(struct plan *), struct peaks expected)
{
    struct plan_case c;
    struct peaks peaks;
    case_init(&c, model, BATCH);
    plan_precisions(&c.plan, BF16);
    if (change)
        change(&c.plan);
    case_stage(&c, 0, axes);
    peaks_of(&c, &peaks);
    for (int k = MEMORY_ACTIVATIONS; k < MEMORY_CATEGORY_COUNT; k++)
        if (fabs(peaks.forward[k] - expected.forward[k]) > 1e-9 ||
            fabs(peaks.backward[k] - expected.backward[k]) > 1e-9)
            fail_msg("%s of '%s': forward %g, expected %g; backward %g, expected %g", program_memory_names[k],
                     axes, peaks.forward[k], expected.forward[k], peaks.backward[k], expected.backward[k]);
    case_fini(&c);
}

static const char chain[] = "name: m\nlayers:\n  - {input: t, dims: {s: 1}, discrete: yes}\n"
                            "  - {embedding: e, vocabulary: 4, out: 8}\n"
                            "  - {fc: u, repeat: 4, out: {h: 8}, bias: no}\n";

/* Forward every output but the last is saved. Backward a kernel reads one gradient and makes another. */
static void a_chain_holds_two_gradients(void **state)
{
    (void)state;
    double one = 2.0 * BATCH * 8, tokens = 4.0 * BATCH;
    struct peaks expected = {{[MEMORY_ACTIVATIONS] = 4 * one + tokens, [MEMORY_TEMPORARIES] = one},
                             {[MEMORY_ACTIVATIONS] = 4 * one + tokens, [MEMORY_TEMPORARIES] = 2 * one}};
    check(chain, "", NULL, expected);
}

/* y = x + w(x): the gradient of the sum is that of both summands, and w's is added to it: no third one. */
static void a_residual_adds_no_gradient(void **state)
{
    (void)state;
    double one = 2.0 * BATCH * 8, tokens = 4.0 * BATCH;
    struct peaks expected = {{[MEMORY_ACTIVATIONS] = 3 * one + tokens, [MEMORY_TEMPORARIES] = one},
                             {[MEMORY_ACTIVATIONS] = 3 * one + tokens, [MEMORY_TEMPORARIES] = 2 * one}};
    check("name: m\nlayers:\n  - {input: t, dims: {s: 1}, discrete: yes}\n"
          "  - {embedding: e, vocabulary: 4, out: 8}\n  - {fc: a, out: {h: 8}, bias: no}\n"
          "  - {fc: w, out: {h: 8}, bias: no}\n  - {add: y, from: [w, a]}\n"
          "  - {fc: b, out: {h: 8}, bias: no}\n",
          "", NULL, expected);
}

/* Korthikanti et al. 2022, section 4.3: logits are worked on as fp32, over a split vocabulary in shares. */
static void a_loss_works_on_its_logits_in_fp32(void **state)
{
    (void)state;
    for (int ways = 1; ways <= 2; ways++) {
        double logits = BATCH * 32.0 / ways, one = 2.0 * BATCH * 8, tokens = 4.0 * BATCH, loss = 2.0 * BATCH;
        double numbers = ways > 1 ? 3 * 4.0 * BATCH : 0; /* per sample: maximum, sum, the target's logit */
        /* the loss reads two bytes per logit and works on four; then their gradient meets that of h */
        struct peaks expected = {
            {[MEMORY_ACTIVATIONS] = tokens + one + 2 * logits,
             [MEMORY_TEMPORARIES] = 4 * logits + loss,
             [MEMORY_COMMUNICATION] = numbers},
            {[MEMORY_ACTIVATIONS] = tokens + one + 2 * logits, [MEMORY_TEMPORARIES] = 6 * logits}};
        check("name: m\nlayers:\n  - {input: t, dims: {s: 1}, discrete: yes}\n"
              "  - {embedding: e, vocabulary: 4, out: 8}\n  - {fc: z, out: {v: 32}, bias: no}\n"
              "  - {loss: l, over: v}\n",
              ways > 1 ? "z,v:2" : "", NULL, expected);
    }
}

/* Sequence parallelism: the whole sequence is there while a product reads it; backward that of w's gradient,
 * then that of u's input once more. */
static void a_gathered_sequence_is_a_buffer(void **state)
{
    (void)state;
    double whole = 2.0 * BATCH * 4 * 8, share = whole / 2, wide = 2.0 * BATCH * 4 * 16 / 2;
    struct plan_case c;
    struct peaks peaks;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 8}}\n  - {norm: n}\n"
              "  - {fc: u, out: {f: 16}, bias: no, act: gelu}\n  - {fc: w, over: f, out: {h: 8}, bias: no}\n"
              "  - {norm: z}\n",
              BATCH);
    plan_precisions(&c.plan, BF16);
    c.plan.save_produced = true;
    case_stage(&c, 0, "f,s:2");
    peaks_of(&c, &peaks);
    /* norms keep their input, u its input in shares, gelu u's product, w its output */
    ASSERT_NEAR(peaks.forward[MEMORY_ACTIVATIONS], 3 * share + 2 * wide, 0);
    ASSERT_NEAR(peaks.forward[MEMORY_COMMUNICATION], whole, 0);
    ASSERT_NEAR(peaks.backward[MEMORY_COMMUNICATION], whole, 0);
    case_fini(&c);
}

static void accumulates(struct plan *plan)
{
    plan->micro_batches = 2;
    plan->gradient_precision = BF16;
    plan->accumulation_precision = FP32;
    plan->schedule = &one_f_one_b_schedule;
}

/* A bf16 gradient of weights is there until it is added to the fp32 sum. */
static void a_gradient_of_another_precision_than_its_sum_is_temporary(void **state)
{
    (void)state;
    double one = 2.0 * BATCH * 8, tokens = 4.0 * BATCH, weights = 2.0 * 8 * 8;
    struct peaks expected = {
        {[MEMORY_ACTIVATIONS] = 4 * one + tokens, [MEMORY_TEMPORARIES] = one},
        {[MEMORY_ACTIVATIONS] = 4 * one + tokens, [MEMORY_TEMPORARIES] = 2 * one + weights}};
    check(chain, "", accumulates, expected);
}

static void sums_in_bf16(struct plan *plan)
{
    plan->communication_precision = BF16;
}

static void gradients_are_copied_to_be_sent_in_another_precision(void **state)
{
    (void)state;
    double one = 2.0 * BATCH * 8 / 2, tokens = 4.0 * BATCH / 2, unit = 2.0 * 8 * 8;
    struct peaks expected = {{[MEMORY_ACTIVATIONS] = 4 * one + tokens, [MEMORY_TEMPORARIES] = one},
                             {[MEMORY_ACTIVATIONS] = 4 * one + tokens,
                              [MEMORY_TEMPORARIES] = 2 * one,
                              [MEMORY_COMMUNICATION] = unit}};
    check(chain, "b:2", sums_in_bf16, expected);
}

static void the_verdict_names_the_largest_tensors(void **state)
{
    (void)state;
    struct plan_case c;
    struct peaks peaks;
    case_init(&c, chain, BATCH);
    c.plan.optimizer = OPTIMIZER_ADAM;
    plan_precisions(&c.plan, FP32);
    case_stage(&c, 0, "");
    peaks_of(&c, &peaks);
    const struct plan_memory *m = &c.plan.stages.at[0].memory;
    double sum = 0;
    for (int k = 0; k < MEMORY_CATEGORY_COUNT; k++)
        sum += m->of[k];
    ASSERT_NEAR(m->total, sum, 1e-12);
    assert_string_equal(names_text(&c.names, m->largest[0].what), "u[*].weight");
    assert_int_equal(m->largest[0].category, MEMORY_OPTIMIZER);
    assert_int_equal(m->largest[0].count, 4);
    ASSERT_NEAR(m->largest[0].bytes, 4 * 2 * 4 * 8 * 8, 0);
    for (uint32_t i = 1; i < m->largest_count; i++)
        assert_true(m->largest[i].bytes <= m->largest[i - 1].bytes);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_holds_two_gradients),
        cmocka_unit_test(a_residual_adds_no_gradient),
        cmocka_unit_test(a_loss_works_on_its_logits_in_fp32),
        cmocka_unit_test(a_gathered_sequence_is_a_buffer),
        cmocka_unit_test(a_gradient_of_another_precision_than_its_sum_is_temporary),
        cmocka_unit_test(gradients_are_copied_to_be_sent_in_another_precision),
        cmocka_unit_test(the_verdict_names_the_largest_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
