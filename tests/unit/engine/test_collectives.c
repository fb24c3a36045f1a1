/* Every algorithm through the engine: on an idle star both levels take what the closed form says, also in the
 * presence of folded members; `auto` takes the fastest; pieces follow each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/engine.h"

#include "../star.h"

#include <math.h>
#include <string.h>

struct run_case {
    struct names names;
    struct platform platform;
    struct job job;
    struct op op;
    struct engine_result result;
    const char *error;
};

/* `members` ranks on one switch that reduces; all run one program with one collective. Device i's link 2i
 * goes up, 2i + 1 down. */
static void case_init(struct run_case *test, uint32_t members, int kind, double bytes, double bandwidth,
                      double latency)
{
    *test = (struct run_case){.error = NULL};
    names_init(&test->names);
    platform_init(&test->platform, &test->names);
    star_build(&test->platform, members, bandwidth, latency);
    struct job *job = &test->job;
    struct arena *arena = &job->arena;
    arena_init(arena);
    job->names = &test->names;
    job->steps = job->program_count = job->group_count = job->group_table_count = 1;
    job->rank_count = job->member_count = members;
    test->op = (struct op){.kind = OP_COLLECTIVE, .collective = (uint8_t)kind, .bytes = bytes};
    job->programs = ARENA_NEW(arena, struct program);
    *job->programs = (struct program){.ops = &test->op, .op_count = 1, .stream_count = 1};
    job->programs->streams = ARENA_NEW(arena, struct program_stream);
    job->ranks = ARENA_ARRAY(arena, struct rank, members);
    job->members = ARENA_ARRAY(arena, uint32_t, members);
    for (uint32_t r = 0; r < members; r++) {
        job->ranks[r].device = r;
        job->members[r] = r;
    }
    job->groups = ARENA_NEW(arena, struct group);
    *job->groups =
        (struct group){.name = names_add(&test->names, "all"), .member_count = members, .match_count = 1};
    job->group_table = ARENA_ARRAY(arena, uint32_t, 1);
}

static void case_fini(struct run_case *test)
{
    engine_result_fini(&test->result);
    arena_fini(&test->job.arena);
    platform_fini(&test->platform);
    names_fini(&test->names);
}

static bool case_run(struct run_case *test, const struct algorithm *algorithm, enum engine_level level,
                     double chunk)
{
    struct engine_options options = {.algorithm = algorithm, .level = level, .chunk = chunk};
    return engine_run(&test->platform, &test->job, &options, &test->result, &test->error);
}

static void must_run(struct run_case *test, const struct algorithm *algorithm, enum engine_level level,
                     double chunk)
{
    if (!case_run(test, algorithm, level, chunk))
        fail_msg("%s", test->error);
}

static const uint32_t counts[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18,
                                  19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 64, 100};
enum { COUNTS = sizeof counts / sizeof counts[0] };

/* The double tree of these members is lower on one side: there the rounds of the fluid form wait for each
 * other, and the steps do not. */
static bool is_ragged(const struct algorithm *algorithm, uint32_t n)
{
    return algorithm == &double_tree_algorithm && (n == 13 || n == 14 || (n >= 25 && n <= 30) || n == 100);
}

static void check_case(const struct algorithm *algorithm, int kind, uint32_t members, double bytes)
{
    for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++) {
        struct run_case test;
        case_init(&test, members, kind, bytes, 1e10, 5e-6);
        must_run(&test, algorithm, (enum engine_level)level, 0);
        struct shape shape = *test.result.activities[0].shape;
        double seconds = members < 2 ? 0 : algorithm->seconds(kind, &shape, bytes, 1e-5, 1e10);
        double least = level == ENGINE_STEPS && is_ragged(algorithm, members) ? 0.9 : 1 - 1e-12;
        if (!(test.result.makespan >= least * seconds && test.result.makespan <= seconds * (1 + 1e-12)))
            fail_msg("%s of %u by %s, %g bytes, level %d: %.17g is not %.17g", communication_names[kind],
                     members, algorithm->name, bytes, level, test.result.makespan, seconds);
        assert_true(test.result.makespan >=
                    collective_bound(algorithm, kind, members, bytes, 1e-5, 1e10) * (1 - 1e-12));
        case_fini(&test);
    }
}

static void every_algorithm_takes_its_closed_form_at_both_levels(void **state)
{
    (void)state;
    for (const struct algorithm *const *each = collective_algorithms; *each; each++)
        for (uint32_t i = 0; i < COUNTS; i++)
            for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
                if ((*each)->kinds >> kind & 1 && !(*each)->form) {
                    check_case(*each, kind, counts[i], 3e6);
                    if (counts[i] <= 9)
                        check_case(*each, kind, counts[i], 0);
                }
}

static void levels_take_their_closed_form_at_both_levels(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t members;
    } cases[] = {
        {"hierarchical/4/3", 12},     {"hierarchical/8*halving-doubling/4*ring", 32},
        {"hierarchical/2/2/2/2", 16}, {"hierarchical/4*bruck/5*direct/5", 100},
        {"torus/4/4/4", 64},          {"torus/3/11", 33},
        {"hierarchical/1/7", 7},      {"hierarchical/8*bidirectional-ring/8*bidirectional-ring", 64}};
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *problem;
        const struct algorithm *algorithm = collective_parse(cases[i].name, &arena, &problem);
        if (!algorithm)
            fail_msg("%s", problem);
        for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
            if (algorithm->kinds >> kind & 1)
                check_case(algorithm, kind, cases[i].members, 3e6);
    }
    arena_fini(&arena);
}

static void auto_is_never_slower_than_any_other(void **state)
{
    (void)state;
    static const double sizes[] = {1, 1e4, 1e6, 1e9};
    for (uint32_t s = 0; s < 4; s++)
        for (uint32_t i = 1; i < COUNTS; i += 5)
            for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++) {
                struct run_case test;
                case_init(&test, counts[i], kind, sizes[s], 1e10, 5e-6);
                must_run(&test, &collective_automatic, ENGINE_FLUID, 0);
                double chosen = test.result.makespan;
                assert_non_null(test.result.activities[test.result.transfers[0].activity].algorithm);
                case_fini(&test);
                for (const struct algorithm *const *each = collective_algorithms; *each; each++)
                    if ((*each)->kinds >> kind & 1 && !(*each)->form)
                        assert_true(chosen <= (*each)->seconds(kind, &(struct shape){.members = counts[i]},
                                                               sizes[s], 1e-5, 1e10) *
                                                  (1 + 1e-11));
            }
}

/* A chain of n - 1 hops: the first piece takes them all, each further one comes out one hop later. */
static void pieces_of_a_broadcast_follow_each_other_down_the_chain(void **state)
{
    (void)state;
    for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++)
        for (uint32_t pieces = 1; pieces <= 16; pieces *= 2) {
            struct run_case test;
            case_init(&test, 9, BROADCAST, 16e6, 1e10, 5e-6);
            must_run(&test, &ring_algorithm, (enum engine_level)level, 16e6 / pieces);
            double hop = 1e-5 + 16e6 / pieces / 1e10;
            assert_true(fabs(test.result.makespan - (8 + pieces - 1) * hop) <= 1e-12 * test.result.makespan);
            case_fini(&test);
        }
}

/* Pieces never take longer than the whole by more than their own latencies, and never beat the bound. */
static void pieces_stay_above_the_bound_at_both_levels(void **state)
{
    (void)state;
    for (const struct algorithm *const *each = collective_algorithms; *each; each++)
        for (uint32_t n = 2; n <= 12 && !(*each)->form; n++)
            for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
                for (int level = ENGINE_FLUID; level <= ENGINE_STEPS && (*each)->kinds >> kind & 1; level++) {
                    struct run_case test;
                    case_init(&test, n, kind, 8e6, 1e10, 5e-6);
                    must_run(&test, *each, (enum engine_level)level, 1e6);
                    double bound = collective_bound(*each, kind, n, 8e6, 1e-5, 1e10);
                    assert_true(test.result.makespan >= bound * (1 - 1e-12));
                    case_fini(&test);
                }
}

/* Unequal shares: every port's bytes are known, so are the seconds of one round, and both levels agree. */
static void unequal_shares_are_exact(void **state)
{
    (void)state;
    double shares[] = {0.5, 0.125, 0.25, 0, 0.125};
    const struct {
        const struct algorithm *algorithm;
        int kind;
        double seconds; /* of 1e6 bytes at 1e10 per second, without latency */
    } cases[] = {
        {&direct_algorithm, ALL_GATHER, 4 * 0.5e-4}, /* member 0 sends its half to four others */
        {&direct_algorithm, SCATTER, 0.5e-4},        /* the root keeps half */
        {&binomial_algorithm, GATHER, 0.5e-4},       /* 4: 1/8 first, then 2 with 3: 1/4, then 1: 1/8 */
        {&ring_algorithm, ALL_GATHER, 4 * 0.5e-4},   /* the largest share moves in every round */
        {&ring_algorithm, REDUCE_SCATTER, 4 * 0.5e-4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++) {
            struct run_case test;
            case_init(&test, 5, cases[i].kind, 1e6, 1e10, 0);
            test.op.shares = 1;
            test.job.shares = shares;
            test.job.share_count = 5;
            must_run(&test, cases[i].algorithm, (enum engine_level)level, 0);
            double seconds = test.result.makespan;
            /* neighbours of a ring run ahead of the round with the largest share */
            if (level == ENGINE_FLUID || cases[i].algorithm != &ring_algorithm)
                assert_true(fabs(seconds - cases[i].seconds) <= 1e-12 * seconds);
            else
                assert_true(seconds <= cases[i].seconds * (1 + 1e-12));
            case_fini(&test);
        }
}

/* All-to-all(v): each link carries exactly what the matrix says, whichever way the blocks go. */
static void an_uneven_all_to_all_moves_its_matrix(void **state)
{
    (void)state;
    enum { N = 6 };
    double matrix[N * N], sent[N] = {0}, received[N] = {0};
    uint32_t seed = 1;
    for (uint32_t i = 0; i < N * N; i++) {
        seed = seed * 1664525u + 1013904223u;
        matrix[i] = (seed >> 16) % 100 / 100.0;
        if (i / N != i % N) {
            sent[i / N] += matrix[i] * 1e6;
            received[i % N] += matrix[i] * 1e6;
        }
    }
    for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++)
        for (uint32_t a = 0; a < 3; a++) {
            const struct algorithm *algorithms[] = {&direct_algorithm, &ring_algorithm, &bruck_algorithm};
            struct run_case test;
            case_init(&test, N, ALL_TO_ALL, 1e6, 1e10, 1e-6);
            test.op.shares = 1;
            test.job.shares = matrix;
            test.job.share_count = N * N;
            must_run(&test, algorithms[a], (enum engine_level)level, 0);
            for (uint32_t m = 0; m < N; m++) {
                double up = test.result.link_bytes[2 * m], down = test.result.link_bytes[2 * m + 1];
                if (a < 2) {
                    assert_true(fabs(up - sent[m]) <= 1e-9 * up && fabs(down - received[m]) <= 1e-9 * down);
                } else {
                    assert_true(down >= received[m] * (1 - 1e-9)); /* and what it passes on */
                }
            }
            double total = 0, expected = 0;
            for (uint32_t l = 0; l < 2 * N; l += 2)
                total += test.result.link_bytes[l];
            for (uint32_t i = 0; i < N * N; i++)
                for (uint32_t d = (i % N + N - i / N) % N; d; d &= d - 1)
                    expected += matrix[i] * 1e6; /* Bruck: a hop for each bit of the distance */
            if (a == 2)
                assert_true(fabs(total - expected) <= 1e-9 * total);
            case_fini(&test);
        }
    struct run_case test;
    case_init(&test, N, ALL_TO_ALL, 1e6, 1e10, 1e-6);
    test.op.shares = 2;
    test.job.shares = matrix;
    test.job.share_count = N * N;
    assert_false(case_run(&test, &direct_algorithm, ENGINE_FLUID, 0));
    assert_string_equal(test.error, "group 'all': all-to-all of shares that the job does not have");
    case_fini(&test);
}

static void a_kind_that_an_algorithm_lacks_goes_by_the_usual_one(void **state)
{
    (void)state;
    struct run_case test;
    case_init(&test, 8, ALL_GATHER, 1e6, 1e10, 5e-6);
    must_run(&test, &double_tree_algorithm, ENGINE_FLUID, 0);
    assert_ptr_equal(test.result.activities[0].algorithm, &ring_algorithm);
    case_fini(&test);
}

static void choices_go_by_group_and_kind(void **state)
{
    (void)state;
    struct run_case test;
    case_init(&test, 8, ALL_REDUCE, 1e6, 1e10, 5e-6);
    struct engine_choice choices[] = {
        {UINT32_MAX, ALL_GATHER, &bruck_algorithm},
        {names_add(&test.names, "other"), COLLECTIVE_KIND_COUNT, &ring_algorithm},
        {names_add(&test.names, "all"), ALL_REDUCE, &direct_algorithm}};
    struct engine_options options = {.choices = choices, .choice_count = 3};
    assert_true(engine_run(&test.platform, &test.job, &options, &test.result, &test.error));
    assert_ptr_equal(test.result.activities[0].algorithm, &direct_algorithm);
    case_fini(&test);
}

static void what_cannot_be_is_named(void **state)
{
    (void)state;
    struct run_case test;
    struct arena arena;
    const char *problem;
    arena_init(&arena);
    case_init(&test, 8, ALL_REDUCE, 1e6, 1e10, 5e-6);
    test.platform.nodes.at[8].reduces = false;
    assert_false(case_run(&test, &in_network_algorithm, ENGINE_FLUID, 0));
    assert_string_equal(test.error, "group 'all', all-reduce by 'in-network': no switch that reduces "
                                    "(`reduces: yes`) reaches all members over switches that reduce");
    assert_false(case_run(&test, collective_parse("torus/4/4", &arena, &problem), ENGINE_STEPS, 0));
    assert_string_equal(test.error,
                        "group 'all', all-reduce by 'torus/4/4': its levels hold 16 members, and the "
                        "group has 8");
    test.job.members[3] = 2;
    assert_false(case_run(&test, &ring_algorithm, ENGINE_FLUID, 0));
    assert_non_null(strstr(test.error, "a member stands twice in it"));
    assert_null(collective_parse("rnig", &arena, &problem));
    assert_string_equal(problem, "there is no collective algorithm 'rnig'; did you mean 'ring'?");
    assert_null(collective_parse("ring/4", &arena, &problem));
    assert_null(collective_parse("hierarchical/4*auto", &arena, &problem));
    assert_null(collective_parse("hierarchical/x", &arena, &problem));
    assert_null(collective_parse("no such file.csv", &arena, &problem));
    arena_fini(&arena);
    case_fini(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_takes_its_closed_form_at_both_levels),
        cmocka_unit_test(levels_take_their_closed_form_at_both_levels),
        cmocka_unit_test(auto_is_never_slower_than_any_other),
        cmocka_unit_test(pieces_of_a_broadcast_follow_each_other_down_the_chain),
        cmocka_unit_test(pieces_stay_above_the_bound_at_both_levels),
        cmocka_unit_test(unequal_shares_are_exact),
        cmocka_unit_test(an_uneven_all_to_all_moves_its_matrix),
        cmocka_unit_test(a_kind_that_an_algorithm_lacks_goes_by_the_usual_one),
        cmocka_unit_test(choices_go_by_group_and_kind),
        cmocka_unit_test(what_cannot_be_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
