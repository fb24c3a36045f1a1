/* What is kept in host memory and on drives: bytes, memory and seconds against the published formulas
 * (ZeRO-Offload, Ren et al. 2021; ZeRO-Infinity, Rajbhandari et al. 2021), and that nothing is used before it
 * has arrived. */
#include "../plan/plan_case.h"

#include "engine/engine.h"
#include "plan/emit.h"
#include "plan/memory.h"
#include "plan/offload.h"
#include "plan/shard.h"
#include "plan/verdict.h"
#include "plan/work.h"
#include "platform/topology.h"
#include "record/held.h"
#include "record/metrics.h"

struct run {
    struct job job;
    struct engine_result result;
};

enum { UNITS = 5, HIDDEN = 8, TOKENS = 6, PARAMETERS = UNITS * HIDDEN * HIDDEN, BATCH = 4 };

static const char chain[] = "name: m\nlayers:\n  - {input: x, dims: {s: 6, h: 8}}\n"
                            "  - {fc: u, repeat: 5, out: {h: 8}, bias: no}\n";

static void away_device(struct plan_case *c, uint8_t role, double bandwidth, double memory)
{
    struct device_type type = c->platform.device_types.at[0];
    type.memory_bandwidth = bandwidth;
    type.memory = memory;
    VECTOR_PUSH(&c->platform.device_types, type);
    uint32_t device = case_device(c);
    c->platform.devices.at[device].type = c->platform.device_types.count - 1;
    c->platform.devices.at[device].role = role;
}

/* A chain of products on one axis of members, a host and a drive, everything on one switch; mixed precision
 * with Adam. */
static void away_case(struct plan_case *c, const char *model, const char *axes)
{
    case_init(c, model, BATCH);
    plan_precisions(&c->plan, BF16);
    c->plan.gradient_precision = c->plan.accumulation_precision = c->plan.communication_precision = BF16;
    c->plan.schedule = &one_f_one_b_schedule;
    c->plan.offload.prefetch = 1;
    c->plan.zero_prefetch = 1;
    c->plan.barrier = true;
    if (axes)
        case_stage(c, 0, axes);
}

static void away_run(struct plan_case *c, struct run *run, double bandwidth)
{
    const char *error = NULL;
    shard_mark(&c->plan);
    away_device(c, DEVICE_HOST, 1e9, 1e12);
    away_device(c, DEVICE_DRIVE, 1e9, 1e12);
    case_connect(c, bandwidth, 0);
    assert_true(case_derive(c));
    *run = (struct run){0};
    arena_init(&run->job.arena);
    run->job.names = &c->names;
    assert_true(emit_job(&c->plan, c->derivations, &run->job, &c->input.report));
    if (!engine_run(&c->platform, &run->job, &(struct engine_options){0}, &run->result, &error))
        fail_msg("%s: %s", case_describe(c), error);
    verdict_fill(&c->plan, &run->job);
}

static void away_fini(struct plan_case *c, struct run *run)
{
    engine_result_fini(&run->result);
    arena_fini(&run->job.arena);
    case_fini(c);
}

/* Bytes of a step that go from ranks with a stage to stores (`down`), back, or between stores. */
enum { DOWN, UP, BETWEEN };
static double moved(const struct run *run, int way)
{
    const struct job *job = &run->job;
    double bytes = 0;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        for (uint32_t i = 0; i < program->op_count; i++) {
            const struct op *op = &program->ops[i];
            if (op->kind != OP_SEND || op->step + 1 != job->steps)
                continue;
            const struct group *group = &job->groups[job->group_table[job->ranks[r].first_group + op->group]];
            bool from = job->ranks[job->members[group->first_member]].store;
            bool to = job->ranks[job->members[group->first_member + 1]].store;
            if (from || to)
                bytes += (from && to ? BETWEEN : to ? DOWN : UP) == way ? op->bytes : 0;
        }
    }
    return bytes;
}

static const struct plan_memory *store_memory(const struct plan_case *c, uint8_t role)
{
    for (uint32_t i = 0; i < c->plan.stores.count; i++)
        if (c->platform.devices.at[c->plan.stores.at[i].device].role == role)
            return &c->plan.stores.at[i].memory;
    return NULL;
}

/* 2 bytes of gradients down and 2 of parameters up per parameter and step, each device its share; 2 bytes
 * stay on the device, 2 of gradients and 12 of states are on the host. As many devices as there are share its
 * memory. */
static void zero_offload_moves_and_keeps_what_was_published(void **state)
{
    (void)state;
    for (uint32_t members = 1; members <= 4; members *= 2)
        for (uint32_t zero = members > 1 ? 1 : 0; zero <= 2; zero++) {
            struct plan_case c;
            struct run run;
            away_case(&c, chain, members == 1 ? "" : members == 2 ? "b:2" : "b:4");
            c.plan.zero = zero;
            c.plan.steps = 2;
            c.plan.offload.optimizer = c.plan.offload.gradients = PLAN_HOST;
            c.plan.offload.host_step = true;
            away_run(&c, &run, 1e9);
            ASSERT_NEAR(moved(&run, DOWN), 2 * PARAMETERS + 4 * members, 0); /* and the norm, 4 bytes each */
            ASSERT_NEAR(moved(&run, UP), 2 * PARAMETERS, 0);
            const struct plan_memory *here = &c.plan.stages.at[0].memory,
                                     *host = store_memory(&c, DEVICE_HOST);
            ASSERT_NEAR(here->parameters, 2 * PARAMETERS, 0);
            ASSERT_NEAR(here->gradients + here->optimizer, 0, 0);
            ASSERT_NEAR(host->gradients, 2 * PARAMETERS, 0);
            ASSERT_NEAR(host->optimizer, 12 * PARAMETERS, 0);
            ASSERT_NEAR(host->total, 14 * PARAMETERS, 0);
            assert_null(store_memory(&c, DEVICE_DRIVE));
            away_fini(&c, &run);
        }
}

/* Bytes per parameter of this rank, by who updates and where things are: down, up, between host and drive. */
static void each_place_moves_what_it_must(void **state)
{
    (void)state;
    static const struct {
        struct plan_offload to;
        double down, up, between, host, drive;
    } cases[] = {
        {{.optimizer = PLAN_HOST, .host_step = true}, 2, 2, 0, 14, 0},
        {{.optimizer = PLAN_HOST, .gradients = PLAN_HOST, .host_step = true}, 2, 2, 0, 14, 0},
        {{.optimizer = PLAN_HOST, .gradients = PLAN_HOST, .parameters = PLAN_HOST, .host_step = true},
         2,
         4,
         0,
         16,
         0},
        {{.optimizer = PLAN_HOST}, 12, 12, 0, 12, 0},
        {{.optimizer = PLAN_DRIVE}, 12, 12, 0, 0, 12},
        {{.optimizer = PLAN_HOST, .gradients = PLAN_HOST}, 14, 14, 0, 14, 0},
        {{.parameters = PLAN_HOST}, 2, 4, 0, 2, 0},
        {{.parameters = PLAN_DRIVE}, 2, 4, 0, 0, 2},
        {{.gradients = PLAN_DRIVE}, 2, 2, 2, 0, 2},
        {{.optimizer = PLAN_DRIVE, .gradients = PLAN_HOST, .host_step = true}, 2, 2, 24, 2, 12},
        {{.optimizer = PLAN_DRIVE, .gradients = PLAN_DRIVE, .parameters = PLAN_DRIVE, .host_step = true},
         2,
         4,
         24 + 2 + 2 + 2,
         2,
         16},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct plan_case c;
        struct run run;
        away_case(&c, chain, "");
        c.plan.steps = 2;
        c.plan.barrier = false;
        c.plan.offload = cases[k].to;
        c.plan.offload.prefetch = 1;
        away_run(&c, &run, 1e9);
        ASSERT_NEAR(moved(&run, DOWN), cases[k].down * PARAMETERS, 0);
        ASSERT_NEAR(moved(&run, UP), cases[k].up * PARAMETERS, 0);
        ASSERT_NEAR(moved(&run, BETWEEN), cases[k].between * PARAMETERS, 0);
        const struct plan_memory *host = store_memory(&c, DEVICE_HOST),
                                 *drive = store_memory(&c, DEVICE_DRIVE);
        double held = host ? host->parameters + host->gradients : 0;
        held += host && cases[k].to.optimizer == PLAN_HOST ? host->optimizer : 0; /* else on its way */
        if (cases[k].to.gradients != PLAN_DRIVE)
            ASSERT_NEAR(held, cases[k].host * PARAMETERS, 0);
        ASSERT_NEAR(drive ? drive->total : 0, cases[k].drive * PARAMETERS, 0);
        away_fini(&c, &run);
    }
}

/* Parameters in shares on the host: a device fetches its own for each pass over each micro-batch, the others'
 * come from the other devices; in inference once. */
static void parameters_come_for_every_pass(void **state)
{
    (void)state;
    for (uint32_t training = 0; training < 2; training++)
        for (uint32_t micro_batches = 1; micro_batches <= 3; micro_batches++) {
            struct plan_case c;
            struct run run;
            away_case(&c, chain, training ? "b:4" : "");
            c.plan.training = training;
            c.plan.zero = training ? 3 : 0;
            c.plan.schedule = training ? &one_f_one_b_schedule : &inference_schedule;
            c.plan.micro_batches = micro_batches;
            c.plan.steps = 2;
            c.plan.offload = (struct plan_offload){.parameters = PLAN_HOST, .prefetch = 1};
            away_run(&c, &run, 1e9);
            ASSERT_NEAR(moved(&run, UP), (training ? 2.0 : 1.0) * micro_batches * 2 * PARAMETERS, 0);
            ASSERT_NEAR(moved(&run, DOWN), training ? 2 * PARAMETERS : 0, 0);
            ASSERT_NEAR(c.plan.stages.at[0].memory.parameters, 0, 0);
            double whole = 2.0 * HIDDEN * HIDDEN; /* two units at a time */
            ASSERT_NEAR(c.plan.stages.at[0].memory.gathered, 2 * whole, 0);
            away_fini(&c, &run);
        }
}

/* Of one layer nothing overlaps: a step is forward, backward, gradients down, update, parameters up. The
 * update reads and writes 30 bytes per parameter: 2 of gradient, 2 x 2 of weights, 2 x 12 of states. */
static void a_single_layer_pays_every_transfer(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    double bandwidth = 5e8, parameters = HIDDEN * HIDDEN, link = 2 * parameters / bandwidth;
    away_case(
        &c, "name: m\nlayers:\n  - {input: x, dims: {s: 6, h: 8}}\n  - {fc: u, out: {h: 8}, bias: no}\n", "");
    c.plan.steps = 3;
    c.plan.barrier = false;
    c.plan.offload.optimizer = c.plan.offload.gradients = PLAN_HOST;
    c.plan.offload.host_step = true;
    away_run(&c, &run, bandwidth);
    double product = 2.0 * BATCH * TOKENS * parameters / 1e9; /* the input wants no gradient */
    double step = 2 * product + link + 30 * parameters / 1e9 + link;
    ASSERT_NEAR(run.result.makespan * 1e6, 3 * step * 1e6, 1e-12);
    const struct engine_record *records = &run.result.records[run.result.first_record[0]];
    const struct program *program = &run.job.programs[run.job.ranks[0].program];
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_COMPUTE && program->ops[i].pass == PASS_F)
            ASSERT_NEAR(records[i].start * 1e6, program->ops[i].step * step * 1e6, 1e-12);
    away_fini(&c, &run);
}

/* Fetched one unit ahead, parameters hide behind the unit at work when its product takes longer. */
static void fetches_ahead_hide_behind_the_products(void **state)
{
    (void)state;
    double product = 2.0 * BATCH * TOKENS * HIDDEN * HIDDEN / 1e9, bandwidth = 5e8;
    double fetch = 2.0 * HIDDEN * HIDDEN / bandwidth;
    assert_true(fetch < product);
    for (uint32_t ahead = 0; ahead <= 2; ahead++) {
        struct plan_case c;
        struct run run;
        away_case(&c, chain, "");
        c.plan.training = false;
        c.plan.schedule = &inference_schedule;
        c.plan.offload = (struct plan_offload){.parameters = PLAN_HOST, .prefetch = ahead};
        away_run(&c, &run, bandwidth);
        ASSERT_NEAR(run.result.makespan * 1e6, 1e6 * (UNITS * product + (ahead ? 1 : UNITS) * fetch), 1e-9);
        away_fini(&c, &run);
    }
}

/* ZeRO-Infinity, equation 3: with full recomputation 2 · batch · sequence · hidden · layers bytes of
 * activations go to the host, here without the layer whose backward pass follows at once. */
static void checkpoints_of_activations_are_those_of_the_formula(void **state)
{
    (void)state;
    for (uint32_t ahead = 0; ahead <= 2; ahead++) {
        struct plan_case c;
        struct run run;
        away_case(&c, chain, "");
        c.plan.recompute = RECOMPUTE_FULL;
        c.plan.offload = (struct plan_offload){.activations = PLAN_HOST, .prefetch = ahead};
        away_run(&c, &run, 1e9);
        double each = 2.0 * BATCH * TOKENS * HIDDEN;
        ASSERT_NEAR(moved(&run, DOWN), (UNITS - ahead) * each, 0);
        ASSERT_NEAR(moved(&run, UP), (UNITS - ahead) * each, 0);
        ASSERT_NEAR(store_memory(&c, DEVICE_HOST)->activations, (UNITS - ahead) * each, 0);
        away_fini(&c, &run);
    }
}

/* Four devices below one cable of the host share it: their gradients take four times as long as one's. */
static void transfers_contend_on_the_hosts_cable(void **state)
{
    (void)state;
    double makespan[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_case c;
        struct run run;
        away_case(&c, chain, i ? "b:4" : "");
        for (uint32_t m = 0; m < c.plan.stages.at[0].devices.count; m++)
            c.platform.devices.at[m].speed = 1e12; /* nothing but transfers takes time */
        c.plan.offload.optimizer = c.plan.offload.gradients = PLAN_HOST;
        c.plan.barrier = false;
        away_run(&c, &run, 1);
        makespan[i] = run.result.makespan;
        away_fini(&c, &run);
    }
    double all_reduce = 2 * 0.75 * 2 * PARAMETERS; /* a ring, at the speed of a device's own cable */
    double one =
        (2 + 14 + 12.0 / UNITS) * PARAMETERS; /* down, up while others go down, and the last one down */
    ASSERT_NEAR(makespan[0], one, 1e-9);
    assert_true(makespan[1] >= 4 * one && makespan[1] <= 4 * one + all_reduce);
}

/* Of each node's GPUs its own host and drive; a host that works in a stage keeps nothing for others. */
static void things_go_to_the_nearest_host_and_drive(void **state)
{
    (void)state;
    struct plan_case c;
    away_case(&c, chain, NULL);
    struct platform platform;
    char path[1024];
    snprintf(path, sizeof path, "%s/topologies/dgx-a100.yaml", PARTITA_SOURCE);
    platform_init(&platform, &c.names);
    struct value *document = document_load(&c.input, path);
    assert_true(document && topology_read(&c.input, document, NULL, &platform));
    c.plan.platform = &platform;
    c.plan.offload = (struct plan_offload){.optimizer = PLAN_HOST, .activations = PLAN_DRIVE};
    uint32_t workers = platform_workers(&platform), hosts = 0;
    for (uint32_t d = 0; d < workers; d++) { /* eight per node, in order */
        char host[32], drive[32];
        snprintf(host, sizeof host, "host[%u]", d / 8);
        snprintf(drive, sizeof drive, "drive[%u]", d / 8);
        uint32_t near = offload_store(&c.plan, d, PLAN_HOST), behind = offload_store(&c.plan, d, PLAN_DRIVE);
        assert_string_equal(names_text(&c.names, platform.devices.at[near].name), host);
        assert_string_equal(names_text(&c.names, platform.devices.at[behind].name), drive);
        hosts = near;
    }
    struct plan_stage stage = {0};
    VECTOR_PUSH(&stage.devices, hosts);
    VECTOR_PUSH(&c.plan.stages, stage);
    assert_int_not_equal(offload_store(&c.plan, workers - 1, PLAN_HOST), hosts);
    c.plan.offload = (struct plan_offload){0};
    assert_int_equal(offload_store(&c.plan, 0, PLAN_HOST), MODEL_NONE);
    platform_fini(&platform);
    case_fini(&c);
}

static void a_host_without_room_does_not_fit(void **state)
{
    (void)state;
    for (uint32_t room = 0; room < 2; room++) {
        struct plan_case c;
        struct run run;
        away_case(&c, chain, "");
        c.plan.offload.optimizer = c.plan.offload.gradients = PLAN_HOST;
        c.plan.offload.host_step = true;
        away_device(&c, DEVICE_HOST, 1e9, 14.0 * PARAMETERS - 1 + room);
        away_run(&c, &run, 1e9); /* another host, as near, comes after it */
        assert_true(c.plan.fits == (room == 1));
        away_fini(&c, &run);
    }
}

/* However slow the way to the host is, a device holds no more of what leaves than of `prefetch` + 1 units, as
 * the verdict says before the run; and it then waits for the way. */
static void what_leaves_does_not_pile_up(void **state)
{
    (void)state;
    for (uint32_t prefetch = 0; prefetch < 3; prefetch++) {
        struct plan_case c;
        struct run run;
        away_case(&c, chain, "b:2");
        c.plan.micro_batches = 3;
        c.plan.offload.activations = PLAN_HOST;
        c.plan.offload.prefetch = prefetch;
        away_run(&c, &run, 1e3);
        const struct plan_stage *stage = &c.plan.stages.at[0];
        double peak = held_peak(&run.job, &run.result, stage->ranks[0]),
               kept = BATCH / 2 * TOKENS * HIDDEN * 2;
        if (peak > stage->memory.total * (1 + 1e-12) || stage->memory.of[MEMORY_ACTIVATIONS] < kept)
            fail_msg("prefetch %u: held %g bytes, the verdict says %g", prefetch, peak, stage->memory.total);
        away_fini(&c, &run);
    }
}

/* The same device, with room for what the verdict says and less than it comes to hold when gradients wait for
 * a slow network. */
static void what_a_run_comes_to_hold_counts(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    struct metrics metrics;
    const char *error = NULL;
    away_case(&c, chain, "b:2");
    c.plan.zero = 2;
    c.plan.micro_batches = 2;
    away_run(&c, &run, 1e2);
    double verdict = c.plan.stages.at[0].memory.total, peak = held_peak(&run.job, &run.result, 0);
    assert_true(peak > verdict);
    c.platform.device_types.at[c.platform.devices.at[0].type].memory = (verdict + peak) / 2;
    verdict_fill(&c.plan, &run.job);
    assert_true(c.plan.fits);
    assert_true(metrics_compute(&c.plan, &run.job, &run.result, &metrics, &error));
    assert_float_equal(metrics.peak_memory, peak, 1e-9);
    assert_int_equal(metrics.crowded_rank, 0);
    assert_float_equal(metrics.crowd, (peak - verdict) / 2, 1e-9);
    metrics_fini(&metrics);
    away_fini(&c, &run);
}

static void check_arrivals(const struct plan_case *c, const struct run *run, uint64_t seed)
{
    const struct job *job = &run->job;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        const struct engine_record *records = &run->result.records[run->result.first_record[r]];
        for (uint32_t i = 0; i < program->op_count; i++) {
            const struct op *op = &program->ops[i];
            for (uint32_t k = 0; k < program->op_count && !job->ranks[r].store; k++) {
                const struct op *other = &program->ops[k];
                /* What came back for a unit was away before, and is there before the unit's backward pass. */
                bool backward = op->pass == PASS_B || op->pass == PASS_I;
                if (op->kind != OP_RECEIVE || !backward || other->micro_batch != op->micro_batch ||
                    other->step != op->step || other->label != op->label)
                    continue;
                bool away = other->kind == OP_SEND && other->pass == PASS_F;
                bool used = other->kind == OP_COMPUTE && other->pass == op->pass;
                if ((away && records[k].end > records[i].start * (1 + 1e-12)) ||
                    (used && records[k].start < records[i].end * (1 - 1e-12)))
                    fail_msg("seed %llu, %s: %s is used before it has arrived", (unsigned long long)seed,
                             names_text(&c->names, op->label), away ? "what is away" : "what came back");
            }
        }
    }
}

/* Random places, levels, schedules, buckets and precisions: every run ends, its books are right, what goes
 * away comes back, and bytes are those of the parts. */
static void anything_may_be_anywhere(void **state)
{
    (void)state;
    static const struct schedule *const schedules[] = {&gpipe_schedule, &one_f_one_b_schedule,
                                                       &zb_h1_schedule};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct plan_case c;
        struct run run;
        uint64_t random = seed;
        uint32_t stages = case_between(&random, 1, 2);
        away_case(&c, chain, NULL);
        const char *axes[] = {"", "b:2", "b:2 h:2", "b:2 s:2"};
        for (uint32_t s = 0; s < stages; s++)
            case_stage(&c, s + 1 < stages ? 3 : 0, axes[case_between(&random, 0, 3)]);
        c.plan.micro_batches = case_between(&random, 1, 4);
        c.plan.schedule = schedules[case_between(&random, 0, 2)];
        c.plan.recompute = (enum plan_recompute)case_between(&random, 0, 1);
        c.plan.steps = case_between(&random, 1, 3);
        c.plan.barrier = case_between(&random, 0, 1);
        c.plan.no_overlap = case_between(&random, 0, 3) == 0;
        c.plan.bucket = case_between(&random, 0, 2) * 100.0;
        struct plan_offload *to = &c.plan.offload;
        to->optimizer = (uint8_t)case_between(&random, 0, 2);
        to->gradients = (uint8_t)case_between(&random, 0, 2);
        to->parameters = (uint8_t)case_between(&random, 0, 2);
        to->activations = (uint8_t)case_between(&random, 0, 2);
        to->host_step = to->optimizer && case_between(&random, 0, 1);
        to->prefetch = case_between(&random, 0, 3);
        c.plan.zero = to->parameters ? 3 * case_between(&random, 0, 1) : case_between(&random, 0, 3);
        if (c.plan.schedule == &zb_h1_schedule && c.plan.micro_batches < stages)
            c.plan.micro_batches = stages;
        if (case_between(&random, 0, 2) == 0)
            c.plan.optimizer_precision = BF16; /* no copy of the weights */
        away_run(&c, &run, 1e9);
        struct metrics metrics;
        const char *error = NULL;
        if (!metrics_compute(&c.plan, &run.job, &run.result, &metrics, &error))
            fail_msg("seed %llu: %s", (unsigned long long)seed, error);
        metrics_fini(&metrics);
        check_arrivals(&c, &run, seed);
        for (uint32_t p = 0; p < run.job.program_count;
             p++) { /* what is taken in the course of a step is given back */
            double sum = 0;
            const struct program *program = &run.job.programs[p];
            for (uint32_t i = program->held_count; i < program->memory_count; i++)
                sum += program->memory[i].bytes;
            if (fabs(sum) > 1e-6)
                fail_msg("seed %llu: %g bytes are left over in program %u", (unsigned long long)seed, sum, p);
        }
        away_fini(&c, &run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_offload_moves_and_keeps_what_was_published),
        cmocka_unit_test(each_place_moves_what_it_must),
        cmocka_unit_test(parameters_come_for_every_pass),
        cmocka_unit_test(a_single_layer_pays_every_transfer),
        cmocka_unit_test(fetches_ahead_hide_behind_the_products),
        cmocka_unit_test(checkpoints_of_activations_are_those_of_the_formula),
        cmocka_unit_test(transfers_contend_on_the_hosts_cable),
        cmocka_unit_test(things_go_to_the_nearest_host_and_drive),
        cmocka_unit_test(a_host_without_room_does_not_fit),
        cmocka_unit_test(what_leaves_does_not_pile_up),
        cmocka_unit_test(what_a_run_comes_to_hold_counts),
        cmocka_unit_test(anything_may_be_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
