/* Luck on the engine: queues built from its parts against queueing theory (Kleinrock 1975), stragglers and
 * varying links against numbers by hand, and the share of replications whose interval holds the true mean. */
#include "base/estimate.h"
#include "study/randomness.h"

#include "../engine/job.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { CUSTOMERS = 1200, WARM = 200 };

/* `factor` on the kernels of the first `devices` devices. */
static struct randomness luck_of(struct distribution factor, uint32_t devices)
{
    struct randomness randomness = {0};
    struct randomness_kernels kernels = {.factor = factor};
    for (uint32_t d = 0; d < devices; d++)
        VECTOR_PUSH(&kernels.devices, d);
    VECTOR_PUSH(&randomness.kernels, kernels);
    return randomness;
}

static struct distribution exponential(void)
{
    return (struct distribution){.kind = distribution_find("exponential"), .parameter = {1}};
}

static void run_with(struct test_job *test, const struct randomness *randomness, uint64_t seed)
{
    engine_result_fini(&test->result);
    struct arena arena;
    arena_init(&arena);
    struct engine_options options = {0};
    options.random = randomness_start(randomness, &test->platform, &test->job, seed, &arena);
    if (!engine_run(&test->platform, &test->job, &options, &test->result, &test->error))
        fail_msg("seed %llu: %s", (unsigned long long)seed, test->error);
    arena_fini(&arena);
}

/* Customers come to rank 0, walk to rank 1 for nothing and are served there first come, first served. */
static struct test_job *single_server(double between, double service)
{
    struct test_job *test = job_new(2, 1e9, 0);
    uint32_t pair = job_pair(test, 0, 1, CUSTOMERS, false);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        uint32_t come = job_compute(test, 0, 0, between, NULL);
        job_message(test, 0, 1, OP_SEND, pair, i, 0, AFTER(come));
        uint32_t arrived = job_message(test, 1, 1, OP_RECEIVE, pair, i, 0, NULL);
        job_compute(test, 1, 0, service, AFTER(arrived));
    }
    job_finish(test);
    return test;
}

/* Mean time in the system of those after the warm-up. */
static double time_in_system(const struct test_job *test)
{
    double sum = 0;
    for (uint32_t i = WARM; i < CUSTOMERS; i++)
        sum += job_record(test, 1, 2 * i + 1).end - job_record(test, 0, 2 * i).end;
    return sum / (CUSTOMERS - WARM);
}

/* Of 40 intervals of 15 runs each, 38 are expected to hold the truth; fewer than 33 come in one of 5,000
 * cases. */
static void expect_in_intervals(struct test_job *test, const struct randomness *randomness, double truth,
                                double (*observe)(const struct test_job *))
{
    int held = 0;
    struct estimate all = {0};
    for (uint64_t group = 0; group < 40; group++) {
        struct estimate estimate = {0};
        for (uint64_t i = 0; i < 15; i++) {
            run_with(test, randomness, 100 * group + i);
            estimate_add(&estimate, observe(test));
            estimate_add(&all, observe(test));
        }
        held += fabs(estimate.mean - truth) <= estimate_half_width(&estimate);
    }
    if (held < 33 || fabs(all.mean - truth) > 2 * estimate_half_width(&all))
        fail_msg("expected %g; got %g +- %g, and %d of 40 intervals hold it", truth, all.mean,
                 estimate_half_width(&all), held);
}

/* M/M/1: 1 / (mu - lambda). */
static void exponential_arrivals_and_services_make_an_m_m_1_queue(void **state)
{
    (void)state;
    struct randomness randomness = luck_of(exponential(), 2);
    struct test_job *test = single_server(2, 1);
    expect_in_intervals(test, &randomness, 1 / (1 - 0.5), time_in_system);
    job_free(test);
    randomness_fini(&randomness);
}

/* M/D/1 (Pollaczek and Khinchine): service plus rho / (2 (1 - rho)) services of waiting. */
static void exponential_arrivals_alone_make_an_m_d_1_queue(void **state)
{
    (void)state;
    struct randomness randomness = luck_of(exponential(), 1);
    struct test_job *test = single_server(2, 1);
    expect_in_intervals(test, &randomness, 1 + 0.5 / (2 * (1 - 0.5)), time_in_system);
    job_free(test);
    randomness_fini(&randomness);
}

enum { MACHINES = 5, ROUNDS = 400 };

/* Machines run for an exponential time, then send a message over a link that all of them share. */
static struct test_job *machines(double runs, double repair)
{
    struct test_job *test = job_new(MACHINES + 1, 1e9, 0);
    test->platform.links.at[2 * MACHINES + 1].bandwidth = 1e6;
    for (uint32_t m = 0; m < MACHINES; m++) {
        uint32_t pair = job_pair(test, m, MACHINES, ROUNDS, false), last = PROGRAM_NONE;
        for (uint32_t i = 0; i < ROUNDS; i++) {
            uint32_t run = job_compute(test, m, 0, runs, last == PROGRAM_NONE ? NULL : AFTER(last));
            last = job_message(test, m, 1, OP_SEND, pair, i, 1e6 * repair, AFTER(run));
            job_message(test, MACHINES, (uint16_t)m, OP_RECEIVE, pair, i, 1e6 * repair, NULL);
        }
    }
    job_finish(test);
    return test;
}

/* Seconds of a round of one machine, between its 50th and 350th. */
static double seconds_per_round(const struct test_job *test)
{
    double sum = 0;
    for (uint32_t m = 0; m < MACHINES; m++)
        sum += (job_record(test, m, 2 * 350 + 1).end - job_record(test, m, 2 * 50 + 1).end) / 300;
    return sum / MACHINES;
}

/* The machine-repair model: with r = repair / run, P(0 broken) = 1 / sum_k N! / (N - k)! r^k, and repairs end
 * at (1 - P0) / repair. A shared server needs the repair's mean only (Baskett, Chandy, Muntz, Palacios 1975).
 */
static void machines_that_share_a_link_are_repaired_at_the_rate_of_theory(void **state)
{
    (void)state;
    struct randomness randomness = luck_of(exponential(), MACHINES);
    double repair = 0.4, term = 1, sum = 1;
    for (int k = 1; k <= MACHINES; k++)
        sum += term *= (MACHINES - k + 1) * repair;
    struct test_job *test = machines(1, repair);
    double truth = MACHINES * repair / (1 - 1 / sum);
    expect_in_intervals(test, &randomness, truth, seconds_per_round);
    job_free(test);
    randomness_fini(&randomness);
}

static void a_replicated_run_holds_the_true_mean_in_95_of_100_cases(void **state)
{
    (void)state;
    struct distribution gamma = {.kind = distribution_find("gamma"), .parameter = {4, 0.25}};
    struct randomness randomness = luck_of(gamma, 1);
    struct test_job *test = job_new(1, 1e9, 0);
    for (int i = 0; i < 20; i++)
        job_compute(test, 0, 0, 0.5, NULL);
    job_finish(test);
    int held = 0;
    for (uint64_t repetition = 0; repetition < 1000; repetition++) {
        struct estimate estimate = {0};
        for (uint64_t i = 0; i < 10; i++) {
            run_with(test, &randomness, 1000 * repetition + i);
            estimate_add(&estimate, test->result.makespan);
        }
        held += fabs(estimate.mean - 10) <= estimate_half_width(&estimate);
    }
    assert_in_range(held, 930, 970);
    job_free(test);
    randomness_fini(&randomness);
}

static void a_straggler_is_slow_for_whole_steps(void **state)
{
    (void)state;
    struct randomness randomness = {0};
    struct randomness_straggler straggler = {.factor = distribution_fixed(3), .probability = 0.25};
    VECTOR_PUSH(&straggler.devices, 0u);
    VECTOR_PUSH(&randomness.stragglers, straggler);
    struct test_job *test = job_new(2, 1e9, 0);
    enum { STEPS = 2000 };
    for (uint32_t r = 0; r < 2; r++)
        for (uint32_t i = 0; i < 4 * STEPS; i++)
            job_op(test, r, (struct op){.kind = OP_COMPUTE, .seconds = 1, .step = i / 4}, NULL);
    job_finish(test);
    run_with(test, &randomness, 1);
    int slow = 0;
    for (uint32_t i = 0; i < 4 * STEPS; i++) {
        struct engine_record record = job_record(test, 0, i);
        double seconds = record.end - record.start;
        assert_true(seconds == 1 || seconds == 3);
        assert_true(i % 4 == 0 ||
                    seconds == job_record(test, 0, i - 1).end - job_record(test, 0, i - 1).start);
        slow += seconds == 3;
    }
    assert_in_range(slow, 4 * (500 - 78), 4 * (500 + 78)); /* four standard deviations */
    assert_true(job_record(test, 1, 4 * STEPS - 1).end == 4 * STEPS);
    job_free(test);
    randomness_fini(&randomness);
}

/* Half the bandwidth in the first and every other second. */
static void a_varying_link_changes_when_it_says(void **state)
{
    (void)state;
    static const double values[] = {0.5};
    struct randomness randomness = {0};
    struct randomness_link link = {.factor = {.kind = &distribution_empirical, .values = values, .count = 1},
                                   .every = 1};
    VECTOR_PUSH(&link.links, 0u);
    VECTOR_PUSH(&randomness.links, link);
    struct test_job *test = job_new(2, 10, 0);
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 0, 0, OP_SEND, pair, 0, 40, NULL);
    job_message(test, 1, 0, OP_RECEIVE, pair, 0, 40, NULL);
    job_finish(test);
    run_with(test, &randomness, 1);
    assert_true(fabs(test->result.makespan - 8) < 1e-12);
    job_free(test);
    randomness_fini(&randomness);
}

/* A deadlock is found although the next change of a link is always pending. */
static void varying_links_do_not_hide_a_deadlock(void **state)
{
    (void)state;
    struct randomness randomness = {0};
    struct randomness_link link = {.factor = distribution_fixed(0.5), .every = 1};
    VECTOR_PUSH(&link.links, 0u);
    VECTOR_PUSH(&randomness.links, link);
    struct test_job *test = job_new(2, 10, 0);
    uint32_t pair = job_pair(test, 0, 1, 1, true);
    job_message(test, 0, 0, OP_SEND, pair, 0, 40, NULL);
    job_finish(test);
    struct arena arena;
    arena_init(&arena);
    struct engine_options options = {0};
    options.random = randomness_start(&randomness, &test->platform, &test->job, 1, &arena);
    assert_false(engine_run(&test->platform, &test->job, &options, &test->result, &test->error));
    assert_non_null(strstr(test->error, "rank 0"));
    arena_fini(&arena);
    job_free(test);
    randomness_fini(&randomness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponential_arrivals_and_services_make_an_m_m_1_queue),
        cmocka_unit_test(exponential_arrivals_alone_make_an_m_d_1_queue),
        cmocka_unit_test(machines_that_share_a_link_are_repaired_at_the_rate_of_theory),
        cmocka_unit_test(a_replicated_run_holds_the_true_mean_in_95_of_100_cases),
        cmocka_unit_test(a_straggler_is_slow_for_whole_steps),
        cmocka_unit_test(a_varying_link_changes_when_it_says),
        cmocka_unit_test(varying_links_do_not_hide_a_deadlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
