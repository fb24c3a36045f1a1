/* Layers over time steps: recurrent stages that pass their sequence on in chunks, and split recurrent layers,
 * against closed forms of their timelines. */
#include "job_run.h"

#include "plan/memory.h"
#include "plan/state.h"
#include "plan/wavefront.h"
#include "plan/work.h"

enum { STEPS = 6, HIDDEN = 8, BATCH = 3, STAGES = 4 };

/* As many stages of one LSTM each; the embedding before the first costs nothing here. */
static void stages_of_lstms(struct plan_case *c, uint32_t stages, uint32_t chunks, bool training)
{
    char model[512];
    snprintf(
        model, sizeof model,
        "name: m\nlayers:\n  - {input: x, dims: {t: 6}, discrete: yes}\n  - {embedding: e, vocabulary: 4, "
        "out: 8}\n  - {lstm: l, repeat: %u, hidden: 8}\n",
        stages);
    case_init(c, model, BATCH);
    c->plan.training = training;
    if (!training)
        c->plan.schedule = &inference_schedule;
    c->plan.time_chunks = chunks;
    for (uint32_t s = 0; s < stages; s++)
        case_stage(c, s ? 1 : 3, "");
}

/* Seconds of a whole forward (or backward) pass of a stage. */
static double pass_seconds(const struct derivation *d, bool backward)
{
    double seconds = 0;
    for (uint32_t i = 0; i < d->operators.count; i++)
        seconds += backward ? work_backward(d, i, 0).seconds : work_forward(d, i, 0).seconds;
    return seconds;
}

/* Chunk c of stage s follows chunk c - 1 of it and chunk c of the stage before: (N + L - 1) / N passes. With
 * as many chunks as time steps, T + L - 1 steps. */
static void a_wave_takes_steps_and_stages_less_one(void **state)
{
    (void)state;
    static const uint32_t chunks[] = {1, 2, 3, STEPS};
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t stages = 1; stages <= STAGES; stages++) {
            struct plan_case c;
            struct run run;
            stages_of_lstms(&c, stages, chunks[i], false);
            case_connect(&c, 1e30, 0);
            assert_true(case_derive(&c));
            run_job(&c, &run);
            double n = chunks[i], each = pass_seconds(&c.derivations[stages - 1], false) / n;
            ASSERT_NEAR(run.result.makespan, (n + stages - 1) * each, 1e-12);
            run_fini(&run);
            case_fini(&c);
        }
}

/* Each cable takes `latency`; a chunk crosses two between neighbours. */
static void a_wave_pays_the_latency_of_each_stage_once(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    double latency = 1e-7;
    stages_of_lstms(&c, STAGES, STEPS, false);
    case_connect(&c, 1e30, latency);
    assert_true(case_derive(&c));
    run_job(&c, &run);
    double each = pass_seconds(&c.derivations[1], false) / STEPS;
    ASSERT_NEAR(run.result.makespan, (STEPS + STAGES - 1) * each + (STAGES - 1) * 2 * latency, 1e-12);
    run_fini(&run);
    case_fini(&c);
}

/* Forward, then backward from the last chunk of the last stage. */
static void training_waves_go_forward_and_back(void **state)
{
    (void)state;
    static const uint32_t chunks[] = {1, 3, STEPS};
    for (uint32_t i = 0; i < 3; i++) {
        struct plan_case c;
        struct run run;
        stages_of_lstms(&c, STAGES, chunks[i], true);
        case_connect(&c, 1e30, 0);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        double n = chunks[i];
        double each = pass_seconds(&c.derivations[1], false) + pass_seconds(&c.derivations[1], true);
        ASSERT_NEAR(run.result.makespan, (n + STAGES - 1) / n * each, 1e-12);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Seconds of a rank's computations in a pass. */
static double computed(const struct run *run, uint32_t rank, uint8_t pass)
{
    const struct program *program = &run->job.programs[run->job.ranks[rank].program];
    double seconds = 0;
    for (uint32_t o = 0; o < program->op_count; o++)
        if (program->ops[o].kind == OP_COMPUTE && program->ops[o].pass == pass)
            seconds += program->ops[o].seconds;
    return seconds;
}

/* A stage runs its whole sequence again once the first gradient is there, which is of the last chunk in time:
 * each stage in turn, as the one before it cannot have its gradient earlier. The work is that of one pass. */
static void waves_recompute_their_sequence_once(void **state)
{
    (void)state;
    static const uint32_t chunks[] = {1, 3, STEPS};
    for (uint32_t i = 0; i < 3; i++) {
        struct plan_case c;
        struct run run;
        stages_of_lstms(&c, STAGES, chunks[i], true);
        c.plan.recompute = RECOMPUTE_FULL;
        case_connect(&c, 1e30, 0);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        double n = chunks[i], forward = pass_seconds(&c.derivations[1], false);
        double each = forward + pass_seconds(&c.derivations[1], true), again = computed(&run, 1, PASS_R);
        assert_true(again > 0.5 * forward && again <= forward * (1 + 1e-12));
        ASSERT_NEAR(run.result.makespan * 1e6, 1e6 * ((n + STAGES - 1) / n * each + STAGES * again), 1e-12);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Two members per stage keep halves of the parameters: whatever the chunks are, each pass gathers them once.
 */
static void waves_gather_parameters_once_per_pass(void **state)
{
    (void)state;
    for (uint32_t chunks = 1; chunks <= STEPS; chunks++) {
        struct plan_case c;
        struct run run;
        uint32_t gathers = 0;
        double gathered = 0, elements = 0;
        case_init(&c,
                  "name: m\nlayers:\n  - {input: x, dims: {t: 6, h: 8}}\n  - {lstm: k, hidden: 8}\n"
                  "  - {lstm: l, hidden: 8}\n",
                  4);
        c.plan.time_chunks = chunks;
        c.plan.zero = 3;
        c.plan.zero_prefetch = 1;
        case_stage(&c, 2, "b:2");
        case_stage(&c, 1, "b:2");
        for (uint32_t s = 0; s < 2; s++)
            c.plan.stages.at[s].axes[0].shards = true;
        case_connect(&c, 1e9, 1e-9);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        const struct program *program = &run.job.programs[run.job.ranks[2].program];
        for (uint32_t o = 0; o < program->op_count; o++)
            if (program->ops[o].kind == OP_COLLECTIVE && program->ops[o].collective == ALL_GATHER) {
                gathers++;
                gathered += program->ops[o].bytes;
            }
        for (uint32_t p = 0; p < c.derivations[1].parameters.count; p++)
            elements += memory_parameter(&c.derivations[1], p, 0);
        assert_int_equal(gathers, 2);
        ASSERT_NEAR(gathered, 2 * 4 * elements, 1e-12);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Chunks that do not divide the steps: 6 steps in 4 chunks are 1, 2, 1, 2. */
static void uneven_chunks_follow_the_recurrence(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    stages_of_lstms(&c, STAGES, 4, false);
    case_connect(&c, 1e30, 0);
    assert_true(case_derive(&c));
    run_job(&c, &run);
    double each = pass_seconds(&c.derivations[1], false) / STEPS, end[4] = {0};
    static const uint32_t steps[4] = {1, 2, 1, 2};
    for (uint32_t s = 0; s < STAGES; s++)
        for (uint32_t k = 0; k < 4; k++)
            end[k] = fmax(end[k], k ? end[k - 1] : 0) + steps[k] * each;
    ASSERT_NEAR(run.result.makespan, end[3], 1e-12);
    run_fini(&run);
    case_fini(&c);
}

static double sent(const struct run *run, uint32_t *messages)
{
    double bytes = 0;
    *messages = 0;
    for (uint32_t r = 0; r < run->job.rank_count; r++) {
        const struct program *program = &run->job.programs[run->job.ranks[r].program];
        for (uint32_t o = 0; o < program->op_count; o++)
            if (program->ops[o].kind == OP_SEND) {
                bytes += program->ops[o].bytes;
                *messages += 1;
            }
    }
    return bytes;
}

/* T · H · b elements cross each boundary, there and back, in N messages each way. */
static void chunks_send_what_the_whole_sends(void **state)
{
    (void)state;
    for (uint32_t chunks = 1; chunks <= STEPS; chunks++) {
        struct plan_case c;
        struct run run;
        uint32_t messages;
        stages_of_lstms(&c, STAGES, chunks, true);
        case_connect(&c, 1e9, 0);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        ASSERT_NEAR(sent(&run, &messages), 2.0 * (STAGES - 1) * STEPS * HIDDEN * BATCH * 4, 1e-12);
        assert_int_equal(messages, 2 * (STAGES - 1) * chunks);
        run_fini(&run);
        case_fini(&c);
    }
}

/* What needs the sequence whole gets it whole. */
static void a_stage_that_mixes_positions_waits_for_all_chunks(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    uint32_t messages, whole;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 6, h: 8}}\n  - {lstm: a, hidden: 8}\n"
              "  - {lstm: b, hidden: 8}\n  - {lstm: c, hidden: 8, directions: 2}\n  - {lstm: d, hidden: 8}\n",
              BATCH);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    c.plan.time_chunks = 3;
    case_stage(&c, 2, "");
    for (uint32_t s = 0; s < 3; s++)
        case_stage(&c, 1, "");
    case_connect(&c, 1e30, 0);
    assert_true(case_derive(&c));
    for (uint32_t s = 0; s < 4; s++)
        assert_int_equal(wavefront_stage(&c.derivations[s], &whole).chunks, s == 2 ? 1 : 3);
    wavefront_stage(&c.derivations[2], &whole);
    assert_string_equal(names_text(&c.names, c.model.layers.at[c.model.operators.at[whole].layer].name), "c");
    run_job(&c, &run);
    sent(&run, &messages);
    assert_int_equal(messages, 3 + 1 + 1);
    double seconds[4];
    for (uint32_t s = 0; s < 4; s++)
        seconds[s] = pass_seconds(&c.derivations[s], false);
    ASSERT_NEAR(run.result.makespan, seconds[0] * 4 / 3 + seconds[2] + seconds[3], 1e-12);
    run_fini(&run);
    case_fini(&c);
}

static void a_plan_without_any_wave_is_an_error(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, "name: m\nlayers:\n  - {input: x, dims: {h: 8}}\n  - {fc: a, out: 8}\n", BATCH);
    c.plan.time_chunks = 3;
    case_stage(&c, 0, "");
    assert_false(case_derive(&c));
    case_fini(&c);
}

/* One LSTM whose units are split over n devices: the input product at once, then T times compute and, but
 * after the last step, a ring all-gather of h: (n - 1) (2 a + H b / n / B). */
static void a_split_lstm_takes_steps_of_compute_and_all_gather(void **state)
{
    (void)state;
    enum { WAYS = 4 };
    struct plan_case c;
    struct run run;
    double latency = 1e-6, bandwidth = 1e9;
    case_init(&c, "name: m\nlayers:\n  - {input: x, dims: {t: 6, h: 8}}\n  - {lstm: l, hidden: 8}\n", BATCH);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 0, "o:4");
    case_connect(&c, bandwidth, latency);
    assert_true(case_derive(&c));
    run_job(&c, &run);
    double input = 2.0 * BATCH * STEPS * HIDDEN * 4 * HIDDEN / WAYS / 1e9;
    double step = (pass_seconds(c.derivations, false) - input) / STEPS;
    double product = 2.0 * BATCH * HIDDEN * 4 * HIDDEN / WAYS / 1e9; /* of one step, besides the gates */
    assert_true(step > product && step < 3 * product);
    double gather = (WAYS - 1) * (2 * latency + HIDDEN * BATCH * 4.0 / WAYS / bandwidth);
    ASSERT_NEAR(run.result.makespan, input + STEPS * step + (STEPS - 1) * gather, 1e-12);
    run_fini(&run);
    case_fini(&c);
}

/* A wave of split layers: chunks of a loop over time steps. Work and bytes are the same in any number of
 * chunks, and a chunk's collectives too. */
static void waves_of_split_layers_do_the_same_work(void **state)
{
    (void)state;
    double seconds[2], bytes[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_case c;
        struct run run;
        case_init(&c,
                  "name: m\nlayers:\n  - {input: x, dims: {t: 6, h: 8}}\n  - {lstm: k, hidden: 8}\n"
                  "  - {lstm: l, hidden: 8}\n",
                  BATCH);
        c.plan.time_chunks = i ? 4 : 1;
        case_stage(&c, 2, "o:2");
        case_stage(&c, 1, "o:2");
        case_connect(&c, 1e9, 1e-9);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        seconds[i] = bytes[i] = 0;
        for (uint32_t r = 0; r < run.job.rank_count; r++) {
            const struct program *program = &run.job.programs[run.job.ranks[r].program];
            for (uint32_t o = 0; o < program->op_count; o++) {
                seconds[i] += program->ops[o].kind == OP_COMPUTE ? program->ops[o].seconds : 0;
                bytes[i] += program->ops[o].kind == OP_COLLECTIVE ? program->ops[o].bytes : 0;
            }
        }
        run_fini(&run);
        case_fini(&c);
    }
    ASSERT_NEAR(seconds[1], seconds[0], 1e-12);
    ASSERT_NEAR(bytes[1], bytes[0], 1e-12);
    assert_true(bytes[0] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wave_takes_steps_and_stages_less_one),
        cmocka_unit_test(a_wave_pays_the_latency_of_each_stage_once),
        cmocka_unit_test(training_waves_go_forward_and_back),
        cmocka_unit_test(waves_recompute_their_sequence_once),
        cmocka_unit_test(waves_gather_parameters_once_per_pass),
        cmocka_unit_test(uneven_chunks_follow_the_recurrence),
        cmocka_unit_test(chunks_send_what_the_whole_sends),
        cmocka_unit_test(a_stage_that_mixes_positions_waits_for_all_chunks),
        cmocka_unit_test(a_plan_without_any_wave_is_an_error),
        cmocka_unit_test(a_split_lstm_takes_steps_of_compute_and_all_gather),
        cmocka_unit_test(waves_of_split_layers_do_the_same_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
