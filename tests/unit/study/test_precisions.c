/* Each class of tensor in each precision: the bytes that follow, and only those. Data parallel, so that every
 * device has all parameters and sends 2 (N - 1) / N of their gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/precision.h"
#include "partita.h"
#include "study/scenario.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEVICES = 4, CLASSES = 6 };
enum class { WEIGHTS, ACTIVATIONS, GRADIENTS, ACCUMULATION, COMMUNICATION, OPTIMIZER };
static const char *const classes[CLASSES] = {"weights",      "activations",   "gradients",
                                             "accumulation", "communication", "optimizer"};
static const struct {
    const char *name;
    double bytes;
} formats[] = {{"fp64", 8}, {"fp32", 4}, {"tf32", 4}, {"fp16", 2}, {"bf16", 2},
               {"fp8", 1},  {"int8", 1}, {"fp4", .5}, {"int4", .5}};
enum { FORMATS = sizeof formats / sizeof formats[0], BF16_FORMAT = 4, FP32_FORMAT = 1 };

struct outcome {
    struct plan_memory memory;
    double parameters, payload; /* elements; bytes that a rank synchronises in a step */
};

static struct outcome outcome_of(const uint32_t *format)
{
    char text[1024];
    int length =
        snprintf(text, sizeof text,
                 "topology: dgx-h100\nset: {nodes: 1}\nmodel: {name: gpt2, layers: 1, sequence: 16}\n"
                 "batch: {global: 8, micro: 1}\noptimizer: adam\nplan: {data: 4, devices: \"gpu[0,0..3]\"}\n"
                 "precision: {");
    for (int k = 0; k < CLASSES; k++)
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%s: %s", k ? ", " : "", classes[k],
                           formats[format[k]].name);
    snprintf(text + length, sizeof text - (size_t)length, "}\n");
    struct scenario scenario;
    struct scenario_options how = {
        .workload = "precisions", .text = text, .data_root = partita_data_folder(), .brief = true};
    if (!scenario_load(&scenario, &how)) {
        report_print(&scenario.input.report, stderr);
        fail_msg("not planned:\n%s", text);
    }
    struct outcome outcome = {.memory = scenario.plan.stages.at[0].memory,
                              .parameters = (double)model_parameters(scenario.plan.model)};
    const struct program *program = &scenario.job.programs[scenario.job.ranks[0].program];
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_COLLECTIVE && program->ops[i].pass == PASS_S &&
            program->ops[i].step == 0)
            outcome.payload += program->ops[i].bytes;
    scenario_fini(&scenario);
    return outcome;
}

static void expect_near(const char *class, const char *format, const char *what, double got, double wanted)
{
    if (!(fabs(got - wanted) <= 1e-9 * (1 + fabs(wanted))))
        fail_msg("%s in %s: %s are %g bytes, expected %g", class, format, what, got, wanted);
}

static void each_class_takes_each_precision(void **state)
{
    (void)state;
    const uint32_t usual[CLASSES] = {BF16_FORMAT, BF16_FORMAT, FP32_FORMAT,
                                     FP32_FORMAT, FP32_FORMAT, FP32_FORMAT};
    struct outcome before = outcome_of(usual);
    for (uint32_t k = 0; k < CLASSES; k++)
        for (uint32_t f = 0; f < FORMATS; f++) {
            uint32_t format[CLASSES];
            memcpy(format, usual, sizeof format);
            format[k] = f;
            struct outcome now = outcome_of(format);
            double p = now.parameters, weights = formats[format[WEIGHTS]].bytes,
                   states = formats[format[OPTIMIZER]].bytes;
            const char *class = classes[k], *name = formats[f].name;
            expect_near(class, name, "parameters", now.memory.parameters, p * weights);
            expect_near(class, name, "gradients", now.memory.gradients,
                        p * formats[format[ACCUMULATION]].bytes); /* two micro-batches are summed up */
            expect_near(class, name, "moments and master copy", now.memory.optimizer,
                        p * states * (weights < states ? 3 : 2));
            expect_near(class, name, "synchronised gradients", now.payload,
                        p * formats[format[COMMUNICATION]].bytes);
            if (k == ACTIVATIONS) /* masks and statistics keep their bytes */
                assert_true(formats[f].bytes < 2   ? now.memory.activations < before.memory.activations
                            : formats[f].bytes > 2 ? now.memory.activations > before.memory.activations
                                                   : !(now.memory.activations < before.memory.activations));
            else if (k == WEIGHTS || k == OPTIMIZER) /* copies of gradients move the peak elsewhere */
                expect_near(class, name, "activations", now.memory.activations, before.memory.activations);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_takes_each_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
