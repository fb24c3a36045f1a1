/* Parameters in shares: bytes, memory and overlap against the published formulas (ZeRO, Rajbhandari et al.
 * 2020; FSDP, Zhao et al. 2023). */
#include "job_run.h"

#include "plan/shard.h"
#include "plan/verdict.h"

enum {
    UNITS = 6,
    HIDDEN = 8,
    TOKENS = 6,
    ROWS = 4,
    MEMBERS = 4,
    PARAMETERS = UNITS * HIDDEN * HIDDEN + ROWS * HIDDEN
};

/* A table and six products of [6 b, 8] and [8, 8]; four members, each with one sample. */
static void zero_case(struct plan_case *c, uint32_t level, const char *axes)
{
    case_init(
        c,
        "name: m\nlayers:\n  - {input: t, dims: {s: 6}, discrete: yes}\n  - {embedding: e, vocabulary: 4, "
        "out: 8}\n  - {fc: u, repeat: 6, out: {h: 8}, bias: no}\n",
        MEMBERS);
    c->plan.zero = level;
    c->plan.zero_prefetch = 1;
    case_stage(c, 0, axes);
    struct plan_stage *stage = &c->plan.stages.at[0];
    stage->axes[stage->axis_count - 1].nests = stage->axis_count > 1;
    stage->axes[stage->axis_count - 1].shards = level > 0; /* an axis before it is of replicas */
}

static void zero_run(struct plan_case *c, struct run *run, double bandwidth)
{
    case_connect(c, bandwidth, 0);
    assert_true(case_derive(c));
    run_job(c, run);
    verdict_fill(&c->plan, &run->job);
}

static void zero_fini(struct plan_case *c, struct run *run)
{
    run_fini(run);
    case_fini(c);
}

/* Payload bytes, and how many, of one kind of collective in a rank's program. */
static double payload(const struct run *run, int kind, uint32_t *count)
{
    const struct program *program = &run->job.programs[0];
    double bytes = 0;
    *count = 0;
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_COLLECTIVE && program->ops[i].collective == kind &&
            program->ops[i].pass == PASS_S) {
            bytes += program->ops[i].bytes;
            ++*count;
        }
    return bytes;
}

/* Of all parameters, in bf16, per step: how often they are gathered, their gradients scattered, and summed.
 */
static void each_level_moves_what_was_published(void **state)
{
    (void)state;
    static const struct {
        uint32_t level, micro_batches;
        enum plan_keep keep;
        double sums, scatters, gathers;
    } cases[] = {
        {0, 3, KEEP_PASS, 1, 0, 0},        {1, 1, KEEP_PASS, 0, 1, 1}, {1, 3, KEEP_PASS, 0, 1, 1},
        {2, 1, KEEP_PASS, 0, 1, 1},        {2, 3, KEEP_PASS, 0, 3, 1}, {3, 1, KEEP_PASS, 0, 1, 2},
        {3, 3, KEEP_PASS, 0, 3, 6},        {3, 3, KEEP_STEP, 0, 3, 1}, {3, 1, KEEP_MICRO_BATCH, 0, 1, 1},
        {3, 3, KEEP_MICRO_BATCH, 0, 3, 3},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct plan_case c;
        struct run run;
        uint32_t count;
        zero_case(&c, cases[k].level, "b:4");
        plan_precisions(&c.plan, BF16);
        c.plan.communication_precision = BF16;
        c.plan.micro_batches = cases[k].micro_batches;
        c.plan.zero_keep = cases[k].keep;
        c.plan.schedule = &one_f_one_b_schedule;
        zero_run(&c, &run, 1e9);
        ASSERT_NEAR(payload(&run, ALL_REDUCE, &count), cases[k].sums * 2 * PARAMETERS, 0);
        ASSERT_NEAR(payload(&run, REDUCE_SCATTER, &count), cases[k].scatters * 2 * PARAMETERS, 0);
        ASSERT_NEAR(payload(&run, ALL_GATHER, &count), cases[k].gathers * 2 * PARAMETERS, 0);
        zero_fini(&c, &run);
    }
}

/* 16 bytes per parameter with Adam in mixed precision, of which a level shares out 12, 14 or all. */
static void each_level_keeps_what_was_published(void **state)
{
    (void)state;
    static const double whole[] = {16, 4, 2, 0}, shared[] = {0, 12, 14, 16};
    for (uint32_t level = 0; level <= 3; level++) {
        struct plan_case c;
        struct run run;
        zero_case(&c, level, "b:4");
        plan_precisions(&c.plan, BF16);
        c.plan.gradient_precision = BF16;
        zero_run(&c, &run, 1e9);
        const struct plan_memory *m = &c.plan.stages.at[0].memory;
        ASSERT_NEAR(m->parameters + m->gradients + m->optimizer,
                    PARAMETERS * (whole[level] + shared[level] / MEMBERS), 1e-12);
        zero_fini(&c, &run);
    }
}

/* Hybrid sharding: scattered inside a group, a share summed over the replicas of the group. */
static void a_group_smaller_than_all_sums_its_shares_over_replicas(void **state)
{
    (void)state;
    struct plan_case c;
    struct run run;
    uint32_t count;
    zero_case(&c, 3, "b:2 b:2");
    c.plan.barrier = false;
    zero_run(&c, &run, 1e9);
    ASSERT_NEAR(payload(&run, REDUCE_SCATTER, &count), 4 * PARAMETERS, 0);
    ASSERT_NEAR(payload(&run, ALL_REDUCE, &count), 4 * PARAMETERS / 2, 0);
    ASSERT_NEAR(payload(&run, ALL_GATHER, &count), 2 * 4 * PARAMETERS, 0);
    ASSERT_NEAR(c.plan.stages.at[0].memory.parameters, 4 * PARAMETERS / 2, 0);
    zero_fini(&c, &run);
}

/* Members that divide samples or positions hold the same parameters: 2 x 2 of them make quarters, by one
 * reduce-scatter of all four; those that divide features keep their own. */
static void shares_are_made_over_samples_and_positions_together(void **state)
{
    (void)state;
    static const double whole[] = {16, 4, 2, 0}, shared[] = {0, 12, 14, 16};
    for (uint32_t level = 0; level <= 3; level++)
        for (uint32_t tensor = 1; tensor <= 2; tensor++) {
            struct plan_case c;
            struct run run;
            uint32_t count;
            zero_case(&c, level, tensor == 1 ? "b:2 s:2" : "b:2 s:2 o,v:2");
            struct plan_stage *stage = &c.plan.stages.at[0];
            stage->axes[1].nests = stage->axes[2].nests = false;
            shard_mark(&c.plan);
            plan_precisions(&c.plan, BF16);
            c.plan.gradient_precision = c.plan.communication_precision = BF16;
            c.plan.barrier = false;
            zero_run(&c, &run, 1e9);
            const struct plan_memory *m = &stage->memory;
            double own = (double)PARAMETERS / tensor;
            ASSERT_NEAR(m->parameters + m->gradients + m->optimizer, own * (whole[level] + shared[level] / 4),
                        1e-12);
            ASSERT_NEAR(payload(&run, REDUCE_SCATTER, &count), level ? 2 * own : 0, 0);
            ASSERT_NEAR(payload(&run, ALL_REDUCE, &count), level ? 0 : 2 * own, 0);
            for (uint32_t i = 0; i < run.job.programs[0].op_count; i++) {
                const struct op *op = &run.job.programs[0].ops[i];
                if (op->kind == OP_COLLECTIVE && op->pass == PASS_S)
                    assert_int_equal(run.job.groups[run.job.group_table[op->group]].member_count, 4);
            }
            zero_fini(&c, &run);
        }
}

/* When the last forward kernel ends. */
static double forward_end(const struct run *run)
{
    const struct program *program = &run->job.programs[run->job.ranks[0].program];
    double end = 0;
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_COMPUTE && program->ops[i].pass == PASS_F)
            end = fmax(end, run->result.records[run->result.first_record[0] + i].end);
    return end;
}

/* A ring gather of S bytes takes 3/4 S / bandwidth; it hides behind the product before it if that is longer.
 */
static void gathers_ahead_hide_behind_the_products(void **state)
{
    (void)state;
    double product = 2.0 * TOKENS * HIDDEN * HIDDEN / 1e9, bandwidth = 5e8;
    double gather = 0.75 * 4 * HIDDEN * HIDDEN / bandwidth, table = 0.75 * 4 * ROWS * HIDDEN / bandwidth;
    assert_true(gather < product);
    for (uint32_t ahead = 0; ahead <= 2; ahead++) {
        struct plan_case c;
        struct run run;
        zero_case(&c, 3, "b:4");
        c.plan.zero_prefetch = ahead;
        zero_run(&c, &run, bandwidth);
        ASSERT_NEAR(forward_end(&run) * 1e6, 1e6 * (table + UNITS * product + (ahead ? 1 : UNITS) * gather),
                    1e-9);
        zero_fini(&c, &run);
    }
}

static void gradients_go_in_buckets_as_they_become_ready(void **state)
{
    (void)state;
    static const struct {
        double bucket;
        bool late;
        uint32_t reductions;
    } cases[] = {
        {0, false, UNITS + 1}, {512, false, 4}, {1, false, UNITS + 1}, {1e9, false, 1}, {0, true, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct plan_case c;
        struct run run;
        uint32_t count;
        zero_case(&c, 0, "b:4");
        c.plan.barrier = false;
        c.plan.bucket = cases[k].bucket;
        c.plan.no_overlap = cases[k].late;
        zero_run(&c, &run, 1e9);
        ASSERT_NEAR(payload(&run, ALL_REDUCE, &count), 4 * PARAMETERS, 0);
        assert_int_equal(count, cases[k].reductions);
        zero_fini(&c, &run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_moves_what_was_published),
        cmocka_unit_test(each_level_keeps_what_was_published),
        cmocka_unit_test(a_group_smaller_than_all_sums_its_shares_over_replicas),
        cmocka_unit_test(shares_are_made_over_samples_and_positions_together),
        cmocka_unit_test(gathers_ahead_hide_behind_the_products),
        cmocka_unit_test(gradients_go_in_buckets_as_they_become_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
