/* Stages on the same devices are one program in parts: cutting a model changes neither what is sent nor what
 * is held nor how long it takes, and a parameter that two of them use (tied embeddings) is there, and
 * reduced, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "partita.h"
#include "study/scenario.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MEMBERS = 4, LAYERS = 3, SEQUENCE = 32, HIDDEN = 768, VOCABULARY = 50257 };
static const char batches[] = "{b: 4}", heads[] = "{tensor: {shares: 4, of: [g, f, v]}}";

struct outcome {
    double seconds, sums, scatters, gathers; /* of collectives of parameters: payloads of a rank and step */
    double sent, received;                   /* bytes of messages of parameters: of all ranks in a step */
    struct plan_memory memory;
};

/* Messages of parameters in the first step. */
static void outcome_messages(struct outcome *outcome, const struct job *job)
{
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        for (uint32_t i = 0; i < program->op_count; i++) {
            const struct op *op = &program->ops[i];
            if (op->pass == PASS_S && op->step == 0)
                *(op->kind == OP_SEND ? &outcome->sent : &outcome->received) +=
                    op->kind == OP_SEND || op->kind == OP_RECEIVE ? op->bytes : 0;
        }
    }
}

static const char *const same[] = {"gpu[0,0..3]", "gpu[0,0..3]", "gpu[0,0..3]"};

/* GPT-2 with three blocks, cut before block[cuts[i]], each stage with a split and devices of its own. */
static struct outcome outcome_on(const char *options, const int *cuts, int stages, const char *const *splits,
                                 const char *const *devices)
{
    char text[2048];
    int length =
        snprintf(text, sizeof text,
                 "topology: dgx-a100\nset: {nodes: 1}\nmodel: {name: gpt2, layers: %d, sequence: %d}\n"
                 "batch: {global: 16, micro: 8}\nprecision: fp32\noptimizer: adam\nplan:\n%s  stages:\n",
                 LAYERS, SEQUENCE, options);
    for (int s = 0; s < stages; s++) {
        char first[32] = "embed", last[32] = "loss";
        if (s > 0)
            snprintf(first, sizeof first, "block[%d]", cuts[s - 1]);
        if (s + 1 < stages)
            snprintf(last, sizeof last, "block[%d]", cuts[s] - 1);
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "    - {layers: \"%s..%s\", split: %s, devices: \"%s\"}\n", first, last, splits[s],
                           devices[s]);
    }
    struct scenario scenario;
    struct engine_result result = {0};
    const char *error = NULL;
    struct scenario_options how = {
        .workload = "tied", .text = text, .data_root = partita_data_folder(), .brief = true};
    if (!scenario_load(&scenario, &how)) {
        report_print(&scenario.input.report, stderr);
        fail_msg("not planned:\n%s", text);
    }
    struct engine_options engine = scenario_engine(&scenario);
    if (!engine_run(&scenario.platform, &scenario.job, &engine, &result, &error))
        fail_msg("%s\n%s", error, text);
    struct outcome outcome = {.seconds = result.makespan, .memory = scenario.plan.stages.at[0].memory};
    outcome_messages(&outcome, &scenario.job);
    const struct program *program = &scenario.job.programs[scenario.job.ranks[0].program];
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != OP_COLLECTIVE || op->pass != PASS_S || op->step != 0)
            continue;
        *(op->collective == ALL_REDUCE       ? &outcome.sums
          : op->collective == REDUCE_SCATTER ? &outcome.scatters
                                             : &outcome.gathers) += op->bytes;
    }
    engine_result_fini(&result);
    scenario_fini(&scenario);
    return outcome;
}

static struct outcome outcome_of(const char *options, const int *cuts, int stages, const char *const *splits)
{
    return outcome_on(options, cuts, stages, splits, same);
}

static void expect_near(const char *what, double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance * (1 + fabs(wanted))))
        fail_msg("%s: %.17g, expected %.17g", what, got, wanted);
}

/* Radford et al. 2019: 12 h² + 13 h in a block, the table, which is also that of the logits, positions (as
 * many as the model has), a norm. */
static double parameters(double positions)
{
    double h = HIDDEN;
    return LAYERS * (12 * h * h + 13 * h) + VOCABULARY * h + positions * h + 2 * h;
}

static void a_tied_table_is_reduced_once_wherever_the_model_is_cut(void **state)
{
    (void)state;
    static const int cuts[][2] = {{0, 0}, {1, 0}, {2, 0}, {1, 2}};
    static const int stages[] = {1, 2, 2, 3};
    const char *const splits[] = {batches, batches, batches};
    for (int k = 0; k < 4; k++) {
        struct outcome plain = outcome_of("", cuts[k], stages[k], splits);
        expect_near("gradients", plain.sums / 4, parameters(1024), 1e-12);
        struct outcome shared = outcome_of("  zero: 1\n", cuts[k], stages[k], splits);
        expect_near("scattered", shared.scatters / 4, parameters(1024), 1e-12);
        expect_near("gathered", shared.gathers / 4, parameters(1024), 1e-12);
    }
}

static void cutting_a_model_on_the_same_devices_changes_nothing(void **state)
{
    (void)state;
    static const char *const options[] = {"", "  recompute: full\n", "  recompute: selective\n",
                                          "  barrier: no\n  bucket: 4 MB\n"};
    static const int cuts[] = {1, 2};
    for (int o = 0; o < 4; o++)
        for (int way = 0; way < 2; way++) {
            const char *split = way ? heads : batches;
            const char *const splits[] = {split, split, split};
            struct outcome whole = outcome_of(options[o], cuts, 1, splits);
            for (int stages = 2; stages <= 3; stages++) {
                struct outcome cut = outcome_of(options[o], cuts, stages, splits);
                if (o < 3) /* buckets are closed where a stage ends; so are operations, a little sooner */
                    expect_near("seconds", cut.seconds, whole.seconds, 2e-3);
                expect_near("gradients", cut.sums, whole.sums, 1e-12);
                expect_near("parameters", cut.memory.parameters, whole.memory.parameters, 1e-12);
                expect_near("optimizer", cut.memory.optimizer, whole.memory.optimizer, 1e-12);
                expect_near("activations", cut.memory.activations, whole.memory.activations, 1e-12);
                expect_near("memory", cut.memory.total, whole.memory.total, 1e-12);
            }
        }
}

/* Where one stage has all of the table and the other a quarter, a device has all of it, in either order. */
static void of_unequal_copies_a_device_holds_the_larger(void **state)
{
    (void)state;
    const char *const first[] = {batches, heads}, *const last[] = {heads, batches};
    static const int cut[] = {1};
    double block = 12.0 * HIDDEN * HIDDEN, all = VOCABULARY * (double)HIDDEN;
    double one = outcome_of("", cut, 2, first).memory.parameters / 4;
    double two = outcome_of("", cut, 2, last).memory.parameters / 4;
    double small = (1024 + 2 + 13.0 * LAYERS) * HIDDEN; /* positions, norms and biases, some of them whole */
    assert_true(one >= all + block + 2 * block / 4 && one <= all + block + 2 * block / 4 + small);
    assert_true(two >= all + block / 4 + 2 * block && two <= all + block / 4 + 2 * block + small);
}

/* A table in quarters and in halves, or in quarters and whole: each stage sends the other its sum of all
 * rows once, 4 bytes an element. On the same devices, everybody has their own part of it already. */
static void unequal_copies_send_each_other_their_sums_once(void **state)
{
    (void)state;
    static const char halves[] = "{tensor: {shares: 2, of: [g, f, v]}}";
    static const char *const apart[] = {"gpu[0,0..3]", "gpu[0,4..5]"}, *const single[] = {"gpu[0,0..3]",
                                                                                          "gpu[0,7]"};
    static const int cut[] = {1};
    double table = 4.0 * VOCABULARY * HIDDEN;
    struct outcome two = outcome_on("", cut, 2, (const char *const[]){heads, halves}, apart);
    struct outcome one = outcome_on("", cut, 2, (const char *const[]){heads, "{}"}, single);
    struct outcome here = outcome_of("", cut, 2, (const char *const[]){batches, heads});
    expect_near("sent between quarters and halves", two.sent, 2 * table, 1e-12);
    expect_near("received between quarters and halves", two.received, 2 * table, 1e-12);
    expect_near("sent between quarters and a whole", one.sent, 2 * table, 1e-12);
    expect_near("sent by quarters to wholes of the same devices", here.sent, 3 * table, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tied_table_is_reduced_once_wherever_the_model_is_cut),
        cmocka_unit_test(cutting_a_model_on_the_same_devices_changes_nothing),
        cmocka_unit_test(of_unequal_copies_a_device_holds_the_larger),
        cmocka_unit_test(unequal_copies_send_each_other_their_sums_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
