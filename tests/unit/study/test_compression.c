/* Compressed sums of gradients: bytes, memory and seconds against the closed forms of those who proposed
 * them. */
#include "../plan/plan_case.h"

#include "engine/engine.h"
#include "plan/compression.h"
#include "plan/emit.h"
#include "plan/verdict.h"

struct run {
    struct job job;
    struct engine_result result;
};

enum {
    UNITS = 4,
    HIDDEN = 16,
    MEMBERS = 4,
    MATRIX = HIDDEN * HIDDEN,
    PARAMETERS = UNITS * (MATRIX + HIDDEN)
};

/* Four products of 16 x 16 with biases on four members that divide the batch; fp32. */
static void compression_case(struct plan_case *c, struct plan_compression how)
{
    case_init(c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 6, h: 16}}\n  - {fc: u, repeat: 4, out: {h: 16}}\n",
              MEMBERS);
    c->plan.compression = how;
    c->plan.schedule = &one_f_one_b_schedule;
    case_stage(c, 0, "b:4");
}

static void compression_run(struct plan_case *c, struct run *run)
{
    const char *error = NULL;
    case_connect(c, 1e9, 0);
    assert_true(case_derive(c));
    *run = (struct run){0};
    arena_init(&run->job.arena);
    run->job.names = &c->names;
    assert_true(emit_job(&c->plan, c->derivations, &run->job, &c->input.report));
    if (!engine_run(&c->platform, &run->job, &(struct engine_options){0}, &run->result, &error))
        fail_msg("%s", error);
    verdict_fill(&c->plan, &run->job);
}

static void compression_fini(struct plan_case *c, struct run *run)
{
    engine_result_fini(&run->result);
    arena_fini(&run->job.arena);
    case_fini(c);
}

static double payload(const struct run *run, int kind)
{
    const struct program *program = &run->job.programs[0];
    double bytes = 0;
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_COLLECTIVE && program->ops[i].collective == kind &&
            program->ops[i].pass == PASS_S)
            bytes += program->ops[i].bytes;
    return bytes;
}

/* Buckets of a unit, of several and of all send the same: but for the scales, one per part and bucket. */
static const struct {
    double bucket;
    uint32_t buckets;
} cuts[] = {{0, UNITS}, {3000, 1}, {2000, 2}};

/* k values and as many indices of 4 bytes from each of p members: p k (4 + 4). */
static void the_largest_values_are_gathered_with_their_indices(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (uint32_t micro_batches = 1; micro_batches <= 3; micro_batches += 2) {
            struct plan_case c;
            struct run run;
            compression_case(&c, (struct plan_compression){.kind = 1, .top = 0.01});
            c.plan.bucket = cuts[k].bucket;
            c.plan.micro_batches = micro_batches;
            compression_run(&c, &run);
            ASSERT_NEAR(payload(&run, ALL_GATHER), MEMBERS * 0.01 * PARAMETERS * (4 + 4), 1e-12);
            ASSERT_NEAR(payload(&run, ALL_REDUCE), c.plan.barrier ? 4 : 0, 0);
            compression_fini(&c, &run);
        }
}

/* Each of p members gets its part of n b / 8 bytes, and gives the mean of it to all; p scales of 4 bytes. */
static void quantised_values_go_to_their_owner_and_back(void **state)
{
    (void)state;
    for (uint32_t bits = 1; bits <= 8; bits *= 2) {
        struct plan_case c;
        struct run run;
        compression_case(&c, (struct plan_compression){.kind = 2, .bits = bits});
        c.plan.bucket = 1e9;
        compression_run(&c, &run);
        double bytes = PARAMETERS * bits / 8.0 + 4 * MEMBERS;
        ASSERT_NEAR(payload(&run, ALL_TO_ALL), bytes, 1e-12);
        ASSERT_NEAR(payload(&run, ALL_GATHER), bytes, 1e-12);
        compression_fini(&c, &run);
    }
}

/* (n + m) r values of each matrix, vectors whole; a rank that saves nothing changes nothing. */
static void matrices_go_as_two_factors(void **state)
{
    (void)state;
    for (uint32_t rank = 1; rank <= 8; rank *= 2) {
        struct plan_case c;
        struct run run;
        compression_case(&c, (struct plan_compression){.kind = 3, .rank = rank});
        compression_run(&c, &run);
        double matrix = rank < 8 ? 2 * HIDDEN * rank : MATRIX;
        ASSERT_NEAR(payload(&run, ALL_REDUCE), 4.0 * UNITS * (matrix + HIDDEN), 1e-12);
        compression_fini(&c, &run);
    }
}

/* Vogels et al. 2019, table 10: of ResNet-18's layer4.1.conv2, 512 x 4608, a factor of 461 / r is saved. */
static void a_convolution_shrinks_as_published(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 512, y: 4, x: 4}}\n"
              "  - {conv: v, out: 512, kernel: 3, pad: 1, bias: no}\n",
              2);
    case_stage(&c, 0, "b:2");
    assert_true(case_derive(&c));
    for (uint32_t rank = 1; rank <= 4; rank *= 2) {
        struct compression_sizes sizes = {0};
        c.plan.compression = (struct plan_compression){.kind = 3, .rank = rank};
        compression_add(c.derivations, 0, 0, &sizes);
        ASSERT_NEAR(sizes.rows, 4608, 0);
        ASSERT_NEAR(sizes.columns, 512, 0);
        double factor = sizes.elements / ((sizes.rows + sizes.columns) * rank);
        assert_true(fabs(factor - 461.0 / rank) < 0.5 / rank);
    }
    case_fini(&c);
}

/* One product; PowerSGD at rank r does three products of 2 n m r operations and the orthogonalisation's 2 n
 * r², between its collectives: nothing overlaps with the last bucket. */
static void factors_cost_their_products(void **state)
{
    (void)state;
    double seconds[2];
    enum { RANK = 2 };
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_case c;
        struct run run;
        case_init(&c,
                  "name: m\nlayers:\n  - {input: x, dims: {h: 16}}\n  - {fc: u, out: {h: 16}, bias: no}\n",
                  MEMBERS);
        c.plan.schedule = &one_f_one_b_schedule;
        if (i)
            c.plan.compression = (struct plan_compression){.kind = 3, .rank = RANK};
        case_stage(&c, 0, "b:4");
        compression_run(&c, &run);
        seconds[i] = run.result.makespan;
        compression_fini(&c, &run);
    }
    double ring = 2 * 0.75 / 1e9, whole = 4 * MATRIX * ring, factors = 4 * 2 * HIDDEN * RANK * ring;
    double work = (3 * 2 * MATRIX * RANK + 2 * HIDDEN * RANK * RANK) / 1e9;
    ASSERT_NEAR((seconds[1] - seconds[0]) * 1e6, (factors + work - whole) * 1e6, 1e-9);
}

/* What was left out is kept for the next step: as many bytes as gradients. */
static void the_residual_is_kept(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind <= 3; kind++) {
        struct plan_case c;
        struct run run;
        compression_case(&c, (struct plan_compression){.kind = kind, .top = 0.5, .bits = 4, .rank = 1});
        compression_run(&c, &run);
        ASSERT_NEAR(c.plan.stages.at[0].memory.gradients, (kind ? 2 : 1) * 4 * PARAMETERS, 0);
        const struct program *program = &run.job.programs[0];
        double sum = 0;
        for (uint32_t i = program->held_count; i < program->memory_count; i++)
            sum += program->memory[i].bytes;
        ASSERT_NEAR(sum, 0, 1e-6);
        compression_fini(&c, &run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_values_are_gathered_with_their_indices),
        cmocka_unit_test(quantised_values_go_to_their_owner_and_back),
        cmocka_unit_test(matrices_go_as_two_factors),
        cmocka_unit_test(a_convolution_shrinks_as_published),
        cmocka_unit_test(factors_cost_their_products),
        cmocka_unit_test(the_residual_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
