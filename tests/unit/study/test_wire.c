/* What each device puts on its cable in a step, after planning, programs and simulation, against the closed
 * forms of the surveys, rings assumed: (N - 1) / N of a vector for a gather or a scatter, twice that for a
 * sum. */
#include "job_run.h"

#include <string.h>

enum { MEMBERS = 4, SAMPLES = 8, WIDTH = 12, INNER = 24, BYTES = 4 };

static const char layers[] =
    "name: m\nlayers:\n  - {input: x, dims: {h: 12}}\n  - {fc: a, out: {h: 12}, bias: no}\n"
    "  - {fc: u, out: {f: 24}, bias: no}\n  - {fc: w, over: f, out: {h: 12}, bias: no}\n"
    "  - {act: t, function: relu}\n";
static const double parameters = WIDTH * WIDTH + 2.0 * WIDTH * INNER;
static const double ring = (MEMBERS - 1.0) / MEMBERS;

/* Bytes that device `d` sends in one step; all steps are alike. */
static double sent_by(const struct run *run, uint32_t d)
{
    return run->result.link_bytes[2 * d];
}

static void wire_run(struct plan_case *c, struct run *run)
{
    c->plan.barrier = false;
    case_connect(c, 1e9, 0);
    assert_true(case_derive(c));
    run_job(c, run);
}

static void expect_each(struct plan_case *c, double bytes)
{
    struct run run;
    wire_run(c, &run);
    for (uint32_t d = 0; d < c->platform.devices.count; d++)
        ASSERT_NEAR(sent_by(&run, d), bytes, 1e-9);
    run_fini(&run);
    case_fini(c);
}

/* Data parallel: 2 (N - 1) / N · P b, whatever the batch. */
static void a_batch_split_sends_each_parameter_nearly_twice(void **state)
{
    (void)state;
    for (uint64_t batch = SAMPLES; batch <= 4 * SAMPLES; batch *= 2) {
        struct plan_case c;
        case_init(&c, layers, batch);
        case_stage(&c, 0, "b:4");
        expect_each(&c, 2 * ring * parameters * BYTES);
    }
}

/* ZeRO 1: as much; ZeRO 3 and FSDP: gathered twice and scattered once, half as much again. */
static void shares_of_parameters_send_half_as_much_again(void **state)
{
    (void)state;
    static const double times[] = {2, 2, 2, 3};
    for (uint32_t level = 0; level <= 3; level++) {
        struct plan_case c;
        case_init(&c, layers, SAMPLES);
        c.plan.zero = level;
        case_stage(&c, 0, "b:4");
        c.plan.stages.at[0].axes[0].shards = level > 0;
        struct run run;
        wire_run(&c, &run);
        /* Gathers after the update belong to the step: two steps would show it too. */
        for (uint32_t d = 0; d < MEMBERS; d++)
            ASSERT_NEAR(sent_by(&run, d), times[level] * ring * parameters * BYTES, 1e-9);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Megatron's column and row: a sum of b · h forward, one backward. */
static void a_column_and_a_row_sum_two_activations(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, layers, SAMPLES);
    case_stage(&c, 0, "f:4");
    expect_each(&c, 2 * 2 * ring * SAMPLES * WIDTH * BYTES);
}

/* Outputs split (LOP): each layer gathers its input, three activations but the first, which all have;
 * backward as much is scattered. The last layer's output stays divided. */
static void outputs_split_gather_the_inputs_of_each_layer(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, layers, SAMPLES);
    case_stage(&c, 0, "o:4");
    expect_each(&c, 2 * ring * SAMPLES * (WIDTH + INNER) * BYTES);
}

/* Inputs split (LIP): sums are scattered to shares for the next layer; the last is summed and scattered
 * alike. */
static void inputs_split_scatter_the_sums_of_each_layer(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, layers, SAMPLES);
    case_stage(&c, 0, "i:4");
    struct run run;
    wire_run(&c, &run);
    double inner = 2 * ring * SAMPLES * (WIDTH + INNER) * BYTES, last = 2 * ring * SAMPLES * WIDTH * BYTES;
    for (uint32_t d = 0; d < MEMBERS; d++)
        ASSERT_NEAR(sent_by(&run, d), inner + last, 1e-9); /* the activation wants the last one whole */
    run_fini(&run);
    case_fini(&c);
}

/* A cut of the model: a · b · S forward and as much backward, once per micro-batch. */
static void a_stage_sends_its_activation_and_gets_its_gradient(void **state)
{
    (void)state;
    for (uint32_t micro_batches = 1; micro_batches <= 3; micro_batches++) {
        struct plan_case c;
        struct run run;
        case_init(&c, layers, SAMPLES);
        c.plan.micro_batches = micro_batches;
        c.plan.global_batch = SAMPLES * micro_batches;
        case_stage(&c, 3, "");
        case_stage(&c, 0, "");
        wire_run(&c, &run);
        ASSERT_NEAR(sent_by(&run, 0), micro_batches * SAMPLES * INNER * BYTES, 1e-12);
        ASSERT_NEAR(sent_by(&run, 1), micro_batches * SAMPLES * INNER * BYTES, 1e-12);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Rows of a map: its border rows forward, those of its gradient backward, to each neighbour; kernels summed.
 */
static void rows_send_borders_and_kernels(void **state)
{
    (void)state;
    enum { KERNEL = 3, CHANNELS = 2, ROWS = 8, COLUMNS = 5 };
    struct plan_case c;
    struct run run;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 8, x: 5}}\n  - {conv: z, out: 2, kernel: 1, "
              "bias: no}\n"
              "  - {conv: a, out: 2, kernel: 3, pad: 1, bias: no}\n",
              SAMPLES);
    case_stage(&c, 0, "y:4");
    wire_run(&c, &run);
    double row = SAMPLES * CHANNELS * COLUMNS * BYTES, weights = (1 + KERNEL * KERNEL) * CHANNELS * CHANNELS;
    for (uint32_t d = 0; d < MEMBERS; d++) {
        double neighbours = d == 0 || d == MEMBERS - 1 ? 1 : 2;
        ASSERT_NEAR(sent_by(&run, d), 2 * neighbours * row + 2 * ring * weights * BYTES, 1e-9);
    }
    run_fini(&run);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_split_sends_each_parameter_nearly_twice),
        cmocka_unit_test(shares_of_parameters_send_half_as_much_again),
        cmocka_unit_test(a_column_and_a_row_sum_two_activations),
        cmocka_unit_test(outputs_split_gather_the_inputs_of_each_layer),
        cmocka_unit_test(inputs_split_scatter_the_sums_of_each_layer),
        cmocka_unit_test(a_stage_sends_its_activation_and_gets_its_gradient),
        cmocka_unit_test(rows_send_borders_and_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
