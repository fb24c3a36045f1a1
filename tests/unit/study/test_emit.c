/* Plans end to end: programs that the engine runs, against the closed forms of the schedules. */
#include "../plan/fused_families.h"
#include "job_run.h"

#include "plan/memory.h"
#include "plan/state.h"
#include "plan/verdict.h"
#include "plan/work.h"

enum { HIDDEN = 8, TOKENS = 6, EACH = 2 }; /* units per stage */

/* Seconds of one forward pass of a stage: its units are products of [b s, h] and [h, h] at 1 GFLOP/s. */
static double stage_seconds(uint32_t batch)
{
    return EACH * 2.0 * batch * TOKENS * HIDDEN * HIDDEN / 1e9;
}

/* Alike stages on `devices` devices as the schedule wants them. The embedding costs nothing here, but makes
 * the first product's input want a gradient, so that the first stage is like the others. */
static void equal_chunks(struct plan_case *c, uint32_t devices, uint32_t chunks, uint32_t micro_batches,
                         const char *axes, const struct schedule *schedule, uint64_t batch)
{
    char model[512];
    struct schedule_shape shape = {.devices = devices, .chunks = chunks, .micro_batches = micro_batches};
    uint32_t cuts = devices * chunks;
    snprintf(model, sizeof model,
             "name: m\nlayers:\n  - {input: t, dims: {s: 6}, discrete: yes}\n  - {embedding: e, vocabulary: "
             "4, out: 8}\n"
             "  - {fc: u, repeat: %u, out: {h: 8}, bias: no}\n",
             EACH * cuts);
    case_init(c, model, batch);
    for (uint32_t s = 0; s < devices; s++)
        case_stage(c, EACH + (s == 0 ? 2 : 0), axes);
    for (uint32_t s = devices; s < schedule_stages(schedule, &shape); s++) {
        uint32_t cut = s % cuts, device = schedule_device(schedule, &shape, s);
        struct plan_stage stage = c->plan.stages.at[cut < devices ? cut : 0];
        const struct index_list there = c->plan.stages.at[device].devices;
        stage.direction = s / cuts;
        stage.first_unit = cut ? 2 + EACH * cut : 0;
        stage.unit_count = EACH + (cut == 0 ? 2 : 0);
        stage.devices = (struct index_list){0};
        for (uint32_t i = 0; i < there.count; i++)
            VECTOR_PUSH(&stage.devices, there.at[i]);
        VECTOR_PUSH(&c->plan.stages, stage);
    }
    c->plan.micro_batches = micro_batches;
    c->plan.schedule = schedule;
    c->plan.chunks = chunks;
    c->plan.training = schedule->training;
    case_connect(c, 1e30, 0);
    assert_true(case_derive(c));
}

static void equal_stages(struct plan_case *c, uint32_t stages, uint32_t micro_batches, const char *axes,
                         const struct schedule *schedule, uint64_t batch)
{
    equal_chunks(c, stages, 1, micro_batches, axes, schedule, batch);
}

static void check_makespan(const struct schedule *schedule, enum plan_recompute recompute)
{
    for (uint32_t p = 1; p <= 6; p++)
        for (uint32_t m = 1; m <= 12; m++) {
            struct plan_case c;
            struct run run;
            equal_stages(&c, p, m, "", schedule, 3);
            c.plan.recompute = recompute;
            for (uint32_t s = 0; s < p; s++) /* what is kept depends on it */
                derive_fini(&c.derivations[s]);
            assert_true(case_derive(&c));
            run_job(&c, &run);
            verdict_fill(&c.plan, &run.job);
            double f = stage_seconds(3), b = recompute == RECOMPUTE_FULL ? 3 * f : 2 * f;
            double expected = schedule->training ? (m + p - 1) * (f + b) : (m + p - 1) * f;
            ASSERT_NEAR(run.result.makespan / expected, 1, 1e-9);
            for (uint32_t s = 0; s < p && schedule->training; s++) {
                double flight = schedule == &gpipe_schedule ? m : m < p - s ? m : p - s;
                double saved = EACH * 4.0 * 3 * TOKENS * HIDDEN + (s == 0 ? 4.0 * 3 * TOKENS : 0);
                ASSERT_NEAR(c.plan.stages.at[s].memory.activations, flight * saved, 1e-12);
            }
            ASSERT_NEAR(c.plan.model_flops, (schedule->training ? 3 : 1) * f * 1e9 * m * p, 1e-12);
            run_fini(&run);
            case_fini(&c);
        }
}

static void gpipe_takes_its_closed_form_and_keeps_all_micro_batches(void **state)
{
    (void)state;
    check_makespan(&gpipe_schedule, RECOMPUTE_NONE);
}

static void one_f_one_b_takes_its_closed_form_and_keeps_no_more_than_the_stages_after(void **state)
{
    (void)state;
    check_makespan(&one_f_one_b_schedule, RECOMPUTE_NONE);
}

static void recomputation_adds_a_forward_pass_to_each_backward_pass(void **state)
{
    (void)state;
    check_makespan(&gpipe_schedule, RECOMPUTE_FULL);
    check_makespan(&one_f_one_b_schedule, RECOMPUTE_FULL);
}

static void an_inference_pipeline_takes_its_closed_form(void **state)
{
    (void)state;
    check_makespan(&inference_schedule, RECOMPUTE_NONE);
}

static void unequal_stages_take_the_closed_form_of_gpipe(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        uint32_t p = case_between(&random, 1, 5), m = case_between(&random, 1, 9);
        char model[1024] = "name: m\nlayers:\n  - {input: t, dims: {s: 6}, discrete: yes}\n"
                           "  - {embedding: e, vocabulary: 4, out: 8}\n";
        double sum = 0, forward = 0, backward = 0;
        uint32_t width[8] = {8};
        for (uint32_t s = 0; s < p; s++) {
            width[s + 1] = case_between(&random, 1, 30);
            size_t length = strlen(model);
            snprintf(model + length, sizeof model - length, "  - {fc: u%u, out: {h: %u}, bias: no}\n", s,
                     width[s + 1]);
            double f = 2.0 * 2 * TOKENS * width[s] * width[s + 1] / 1e9;
            sum += 3 * f;
            forward = f > forward ? f : forward;
            backward = 2 * forward;
        }
        struct plan_case c;
        struct run run;
        case_init(&c, model, 2);
        for (uint32_t s = 0; s < p; s++)
            case_stage(&c, s == 0 ? 3 : 1, "");
        c.plan.micro_batches = m;
        case_connect(&c, 1e30, 0);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        ASSERT_NEAR(run.result.makespan / (sum + (m - 1) * (forward + backward)), 1, 1e-9);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Products cost as much forward as in either half of their backward pass: F = I = W, where every schedule
 * has its closed form. There an overlapped pair is one operation; here its passes are interleaved, and what
 * the first one to end gives its neighbour comes a little sooner. */
static void plans_of_every_schedule_take_its_closed_form(void **state)
{
    (void)state;
    for (const struct schedule *const *at = schedule_table; *at; at++) {
        uint32_t forms = 0;
        for (uint32_t p = 1; p <= 4; p++)
            for (uint32_t m = 1; m <= 10; m++)
                for (uint32_t chunks = 1; chunks <= 3; chunks++) {
                    struct schedule_shape shape = {.devices = p, .chunks = chunks, .micro_batches = m};
                    char text[128];
                    if (schedule_problem(*at, &shape, text, sizeof text))
                        continue;
                    struct plan_case c;
                    struct run run;
                    equal_chunks(&c, p, chunks, m, "", *at, 3);
                    run_job(&c, &run);
                    double each = stage_seconds(3), times[64];
                    for (uint32_t s = 0; s < 64; s++)
                        times[s] = each;
                    struct schedule_times seconds = {times, times, times, 0};
                    double form = (*at)->makespan ? (*at)->makespan(&shape, &seconds) : NAN;
                    bool pairs = *at == &dualpipe_schedule || *at == &dualpipe_v_schedule;
                    double sooner = pairs ? EACH * p * each : 0; /* one product per pair on its way */
                    if (!isnan(form) && (run.result.makespan > form * (1 + 1e-9) ||
                                         run.result.makespan < (form - sooner) * (1 - 1e-9)))
                        fail_msg("%s, %u devices, %u chunks, %u micro-batches: %.17g s, expected %.17g s",
                                 (*at)->name, p, chunks, m, run.result.makespan, form);
                    forms += isnan(form) ? 0 : 1;
                    run_fini(&run);
                    case_fini(&c);
                }
        assert_true(forms > 0 || !(*at)->makespan);
    }
}

/* With I and W apart, W keeps the inputs of its products and the gradients of their outputs: here everything
 * that F left, and as much again, so one micro-batch that waits for its W holds two. */
static void weight_gradients_hold_their_operands_until_they_are_made(void **state)
{
    (void)state;
    enum { P = 4, M = 9 };
    struct plan_case c;
    struct run run;
    equal_stages(&c, P, M, "", &zb_h1_schedule, 3);
    run_job(&c, &run);
    verdict_fill(&c.plan, &run.job);
    for (uint32_t s = 0; s < P; s++) {
        double saved = EACH * 4.0 * 3 * TOKENS * HIDDEN, tokens = s == 0 ? 4.0 * 3 * TOKENS : 0;
        /* p - s in flight and s waiting, one more of those during I, before its successor starts */
        double most = (P - s) * (saved + tokens) + s * 2 * saved;
        double during = most + saved;
        ASSERT_NEAR(c.plan.stages.at[s].memory.activations, during, 1e-12);
    }
    run_fini(&run);
    case_fini(&c);
}

/* One order for all steps, so that the pipeline never drains: in the steady state a step takes m times F + I
 * + W, and every device keeps the versions of its weights that are in flight. */
static void pipedream_never_drains_and_keeps_versions_of_its_weights(void **state)
{
    (void)state;
    enum { P = 4, M = 5, STEPS = 6 };
    const struct schedule *schedules[] = {&pipedream_schedule, &pipedream_2bw_schedule};
    for (int k = 0; k < 2; k++) {
        struct plan_case c;
        struct run run;
        equal_stages(&c, P, M, "", schedules[k], 3);
        c.plan.steps = STEPS;
        run_job(&c, &run);
        verdict_fill(&c.plan, &run.job);
        double expected = (M * STEPS + P - 1) * 3 * stage_seconds(3);
        ASSERT_NEAR(run.result.makespan / expected, 1, 1e-9);
        for (uint32_t s = 0; s < P; s++) {
            double parameters = EACH * HIDDEN * HIDDEN + (s == 0 ? 4 * HIDDEN : 0);
            double versions = k == 0 ? P - s : 2;
            ASSERT_NEAR(c.plan.stages.at[s].memory.parameters, versions * 4 * parameters, 1e-12);
            uint32_t updates = 0;
            const struct program *program = &run.job.programs[run.job.ranks[s].program];
            for (uint32_t i = 0; i < program->op_count; i++)
                updates += program->ops[i].pass == PASS_O;
            assert_int_equal(updates, k == 0 ? M * STEPS : STEPS);
        }
        run_fini(&run);
        case_fini(&c);
    }
}

/* Transfers that take time: on streams of their own they are hidden where there is slack, on the compute
 * stream each one is paid for by both of its ends. */
static void blocking_transfers_occupy_the_compute_stream(void **state)
{
    (void)state;
    enum { M = 6 };
    double makespan[2];
    for (int blocking = 0; blocking < 2; blocking++) {
        struct plan_case c;
        struct run run;
        equal_stages(&c, 2, M, "", &gpipe_schedule, 3);
        double bytes = 4.0 * 3 * TOKENS * HIDDEN, each = stage_seconds(3);
        for (uint32_t l = 0; l < c.platform.links.count; l++)
            c.platform.links.at[l].bandwidth = bytes / (each / 4); /* a transfer takes a quarter of F */
        c.plan.blocking = blocking == 1;
        run_job(&c, &run);
        makespan[blocking] = run.result.makespan / each;
        run_fini(&run);
        case_fini(&c);
    }
    /* Own streams: F and B of the last stage follow each other; one transfer there and one back. */
    ASSERT_NEAR(makespan[0], (M + 1) * 3 + 2 * 0.25, 1e-9);
    /* Blocking: the sender is held for the transfer after each F, the receiver of gradients before each B. */
    ASSERT_NEAR(makespan[1], M * 1.25 + 1 + M * 2.25 + 2, 1e-9);
}

static void ranks_that_do_the_same_share_a_program(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    equal_stages(&c, 3, 4, "b:4", &one_f_one_b_schedule, 8);
    run_job(&c, &run);
    assert_int_equal(run.job.rank_count, 12);
    assert_int_equal(run.job.program_count, 3);
    run_fini(&run);
    case_fini(&c);
    equal_stages(&c, 2, 4, "b:4", &one_f_one_b_schedule, 6); /* shares of 1, 2, 1, 2 samples */
    run_job(&c, &run);
    assert_int_equal(run.job.program_count, 4);
    run_fini(&run);
    case_fini(&c);
}

/* Every match of a group is used once by each member, or (of a channel) by neither: a collective by all with
 * one kind, a channel by its source as a send and by its destination as a receive of the same bytes. */
static void check_groups(struct plan_case *c, const struct job *job)
{
    uint32_t matches = 0;
    uint32_t *first = ARENA_ARRAY(&c->arena, uint32_t, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count; g++) {
        first[g] = matches;
        matches += job->groups[g].match_count * job->groups[g].member_count;
    }
    const struct op **used = ARENA_ARRAY(&c->arena, const struct op *, matches + 1);
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        for (uint32_t i = 0; i < program->op_count; i++) {
            const struct op *op = &program->ops[i];
            if (op->kind == OP_COMPUTE)
                continue;
            uint32_t g = job->group_table[job->ranks[r].first_group + op->group], m = 0;
            const struct group *group = &job->groups[g];
            while (m < group->member_count && job->members[group->first_member + m] != r)
                m++;
            assert_true(m < group->member_count);
            assert_true(op->match < group->match_count);
            const struct op **slot = &used[first[g] + op->match * group->member_count + m];
            assert_null(*slot);
            *slot = op;
        }
    }
    for (uint32_t g = 0; g < job->group_count; g++)
        for (uint32_t k = 0; k < job->groups[g].match_count * job->groups[g].member_count; k++) {
            uint32_t count = job->groups[g].member_count;
            const struct op *op = used[first[g] + k], *zero = used[first[g] + k / count * count];
            if (!op && !zero && count == 2)
                continue; /* a pair need not take part in every transfer between its stages */
            if (!op || !zero)
                fail_msg("%s: a communication of group '%s' lacks a member", case_describe(c),
                         names_text(&c->names, job->groups[g].name));
            if (op->kind == OP_COLLECTIVE) {
                assert_int_equal(op->collective, zero->collective);
                assert_int_equal(zero->kind, OP_COLLECTIVE);
            } else {
                assert_int_equal(count, 2);
                assert_int_equal(op->kind, k % 2 ? OP_RECEIVE : OP_SEND);
                assert_true(op->bytes == zero->bytes);
            }
        }
}

static void check_memory_returns(const struct job *job)
{
    for (uint32_t p = 0; p < job->program_count; p++) {
        double now[MEMORY_CATEGORY_COUNT] = {0}, most = 0;
        const struct program *program = &job->programs[p];
        for (uint32_t i = program->held_count; i < program->memory_count; i++) {
            const struct memory_change *change = &program->memory[i];
            now[change->category] += change->bytes;
            most = fmax(most, now[change->category]);
            assert_true(i == program->held_count || change->op >= program->memory[i - 1].op);
        }
        for (uint32_t c = 0; c < MEMORY_CATEGORY_COUNT; c++)
            if (fabs(now[c]) > 1e-9 * (1 + most))
                fail_msg("%s do not return: %g bytes of at most %g", program_memory_names[c], now[c], most);
    }
}

/* A rank's program, which it may share, does the work of its own member (or members: stages may share a
 * device). */
static void check_work(const struct plan_case *c, const struct job *job)
{
    for (uint32_t r = 0; r < job->rank_count && c->plan.recompute == RECOMPUTE_NONE; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        double planned = 0, done = 0;
        for (uint32_t s = 0; s < c->plan.stages.count; s++)
            for (uint32_t m = 0; m < c->plan.stages.at[s].devices.count; m++) {
                const struct derivation *d = &c->derivations[s];
                for (uint32_t o = 0; o < d->operators.count && c->plan.stages.at[s].ranks[m] == r; o++) {
                    planned += work_forward(d, o, m).flops;
                    if (c->plan.training && d->needs_gradient[state_operator(d, o)->output.tensor])
                        planned += work_backward(d, o, m).flops;
                }
            }
        for (uint32_t i = 0; i < program->op_count; i++)
            done += program->ops[i].flops;
        ASSERT_NEAR(done, planned * c->plan.steps * c->plan.micro_batches, 1e-12);
    }
}

static void a_device_of_two_stages_holds_the_parameters_of_both(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 4}}\n  - {fc: a, out: 5, bias: no}\n"
              "  - {fc: b, out: 6, bias: no}\n",
              1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 2, "");
    case_stage(&c, 0, "");
    c.plan.stages.at[1].devices.at[0] = 0;
    case_connect(&c, 1e9, 0);
    assert_true(case_derive(&c));
    run_job(&c, &run);
    verdict_fill(&c.plan, &run.job);
    ASSERT_NEAR(c.plan.stages.at[0].memory.parameters, 4 * (4 * 5 + 5 * 6), 0);
    ASSERT_NEAR(c.plan.stages.at[1].memory.parameters, 4 * (4 * 5 + 5 * 6), 0);
    run_fini(&run);
    case_fini(&c);
}

static void random_plans_run_to_their_end_with_complete_groups(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < FAMILIES; f++)
        for (uint64_t n = 1; n <= 40; n++) {
            uint64_t random = n * 1000 + f;
            struct plan_case c;
            struct run run;
            random_case(&c, &families[f], &random);
            c.plan.micro_batches = case_between(&random, 1, 4);
            c.plan.steps = case_between(&random, 1, 2);
            c.plan.barrier = case_between(&random, 0, 1);
            c.plan.rendezvous = case_between(&random, 0, 1);
            c.plan.zero_keep = (enum plan_keep)case_between(&random, 0, 2);
            c.plan.zero_prefetch = case_between(&random, 0, 2);
            c.plan.bucket = case_between(&random, 0, 1) ? 100 : 0;
            c.plan.no_overlap = case_between(&random, 0, 3) == 0;
            if (c.plan.training && case_between(&random, 0, 1))
                c.plan.schedule = &one_f_one_b_schedule;
            if (!c.platform.links.count)
                case_connect(&c, 1e9, 1e-6);
            random_derive(&c, &families[f]);
            if (getenv("PARTITA_VERBOSE"))
                fprintf(stderr, "%s %llu%s\n", families[f].name, (unsigned long long)n, case_describe(&c));
            run_job(&c, &run);
            check_groups(&c, &run.job);
            check_memory_returns(&run.job);
            check_work(&c, &run.job);
            verdict_fill(&c.plan, &run.job);
            assert_true(c.plan.fits);
            run_fini(&run);
            case_fini(&c);
        }
}

/* Elements of a convolution chain's maps that a tile of rows [low, high) of the result touches; 12 columns.
 */
static double tile_peak(uint64_t low, uint64_t high)
{
    enum { LAYERS = 3, ROWS = 12, COLUMNS = 12 };
    static const double channels[LAYERS + 1] = {2, 6, 3, 4};
    double most = 0, outside = (double)(high - low);
    for (uint32_t l = LAYERS; l-- > 0;) {
        low = low ? low - 1 : 0;
        high = high < ROWS ? high + 1 : ROWS;
        double inside = (double)(high - low);
        most = fmax(most, (inside * channels[l] + outside * channels[l + 1]) * COLUMNS);
        outside = inside;
    }
    return most;
}

/* Four tiles of three rows each on one to four devices: memory is that of the fullest tile's input and
 * output, of one layer, however many tiles a device computes. */
static void a_fused_stage_holds_one_tile_of_one_layer_at_a_time(void **state)
{
    (void)state;
    for (uint32_t devices = 1; devices <= 4; devices++) {
        struct plan_case c;
        struct run run;
        char members[16];
        case_init(&c,
                  "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 12, x: 12}}\n"
                  "  - {conv: a, out: 6, kernel: 3, pad: 1, act: relu}\n"
                  "  - {conv: b, out: 3, kernel: 3, pad: 1}\n  - {conv: d, out: 4, kernel: 3, pad: 1}\n"
                  "  - {flatten: result}\n",
                  1);
        c.plan.training = false;
        c.plan.schedule = &inference_schedule;
        snprintf(members, sizeof members, "y:%u", devices);
        case_stage(&c, 4, devices == 1 ? "" : members);
        case_fuse(&c, "y:4");
        case_stage(&c, 0, "");
        c.plan.input_device = case_device(&c);
        case_connect(&c, 1e9, 1e-6);
        assert_true(case_derive(&c));
        run_job(&c, &run);
        verdict_fill(&c.plan, &run.job);
        ASSERT_NEAR(c.plan.stages.at[0].memory.activations, 4 * fmax(tile_peak(0, 3), tile_peak(3, 6)), 0);
        run_fini(&run);
        case_fini(&c);
    }
}

/* Random fused blocks run to their end, and everything that is sent arrives. */
static void fused_blocks_run_to_their_end(void **state)
{
    (void)state;
    uint32_t ran = 0;
    for (uint32_t n = 0; n < 160; n++) {
        uint64_t random = n + 1;
        struct plan_case c;
        struct run run;
        random_fused_case(&c, &fused_families[n % FUSED_FAMILIES], &random);
        c.plan.micro_batches = 1 + n % 3;
        c.plan.recompute = n % 5 ? RECOMPUTE_NONE : RECOMPUTE_FULL;
        case_connect(&c, 1e9, 1e-6);
        if (case_derive(&c)) {
            run_job(&c, &run);
            assert_true(run.result.makespan > 0);
            run_fini(&run);
            ran++;
        }
        case_fini(&c);
    }
    assert_true(ran > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fused_stage_holds_one_tile_of_one_layer_at_a_time),
        cmocka_unit_test(fused_blocks_run_to_their_end),
        cmocka_unit_test(gpipe_takes_its_closed_form_and_keeps_all_micro_batches),
        cmocka_unit_test(one_f_one_b_takes_its_closed_form_and_keeps_no_more_than_the_stages_after),
        cmocka_unit_test(recomputation_adds_a_forward_pass_to_each_backward_pass),
        cmocka_unit_test(an_inference_pipeline_takes_its_closed_form),
        cmocka_unit_test(unequal_stages_take_the_closed_form_of_gpipe),
        cmocka_unit_test(plans_of_every_schedule_take_its_closed_form),
        cmocka_unit_test(weight_gradients_hold_their_operands_until_they_are_made),
        cmocka_unit_test(pipedream_never_drains_and_keeps_versions_of_its_weights),
        cmocka_unit_test(blocking_transfers_occupy_the_compute_stream),
        cmocka_unit_test(ranks_that_do_the_same_share_a_program),
        cmocka_unit_test(a_device_of_two_stages_holds_the_parameters_of_both),
        cmocka_unit_test(random_plans_run_to_their_end_with_complete_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
