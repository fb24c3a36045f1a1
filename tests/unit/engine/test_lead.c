/* Steps that run before those in the programs: the same run as with all steps written out, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job.h"

#include <string.h>

enum { RANKS = 5, STEPS = 9 };

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 20) % below;
}

/* What differs from case to case. */
struct shape_of_step {
    uint64_t seed;
    bool barrier;    /* an all-reduce of all ends each step; otherwise the first ranks run ahead */
    bool rendezvous; /* of messages */
    uint32_t messages;
};

/* One step: messages down a line of ranks, each after a computation and before another; then maybe a barrier.
 */
static void add_step(struct test_job *test, const struct shape_of_step *shape, uint32_t pairs, uint32_t step)
{
    uint64_t seed = shape->seed;
    for (uint32_t m = 0; m < shape->messages; m++) {
        for (uint32_t r = 0; r < RANKS; r++) {
            uint32_t match = step * shape->messages + m, received = PROGRAM_NONE;
            double bytes = 10;
            if (r)
                received = job_message(test, r, 1, OP_RECEIVE, pairs + r - 1, match, bytes, NULL);
            uint32_t work = job_compute(test, r, 0, draw(&seed, 4), AFTER(received));
            if (r + 1 < RANKS)
                job_message(test, r, 2, OP_SEND, pairs + r, match, bytes, AFTER(work));
        }
    }
    for (uint32_t r = 0; shape->barrier && r < RANKS; r++) {
        uint32_t last = test->programs[r].ops.count - 1;
        job_collective(test, r, 3, ALL_REDUCE, 0, step, 20, AFTER(last));
        job_compute(test, r, 0, 1, AFTER(last + 1));
    }
    for (uint32_t r = 0; r < RANKS; r++)
        for (uint32_t i = 0; i < test->programs[r].ops.count; i++)
            if (i >= test->programs[r].ops.count / (step + 1) * step)
                test->programs[r].ops.at[i].step = step;
}

static struct test_job *steps_of(const struct shape_of_step *shape, uint32_t steps, uint32_t lead)
{
    struct test_job *test = job_new(RANKS, 10, 0.25);
    uint32_t all[RANKS] = {0, 1, 2, 3, 4};
    job_group(test, "all", RANKS, all, steps);
    uint32_t pairs = job_pair(test, 0, 1, steps * shape->messages, shape->rendezvous);
    for (uint32_t r = 1; r + 1 < RANKS; r++)
        job_pair(test, r, r + 1, steps * shape->messages, shape->rendezvous);
    for (uint32_t s = 0; s < steps; s++)
        add_step(test, shape, pairs, s);
    job_finish(test);
    test->job.steps = steps;
    test->job.lead = lead;
    return test;
}

static void run(struct test_job *test, enum engine_level level)
{
    struct engine_options options = {.level = level};
    if (!engine_run(&test->platform, &test->job, &options, &test->result, &test->error))
        fail_msg("%s", test->error);
}

static void same_bits(double a, double b)
{
    if (memcmp(&a, &b, sizeof a) != 0)
        fail_msg("%.17g and %.17g", a, b);
}

/* The records of the last `kept` steps of a run with all steps written out, and of a run that kept so many.
 */
static void same_records(const struct test_job *whole, const struct test_job *brief, uint32_t kept)
{
    for (uint32_t r = 0; r < RANKS; r++) {
        uint32_t ops = whole->programs[r].ops.count / STEPS, before = (STEPS - kept) * ops;
        for (uint32_t i = 0; i < kept * ops; i++) {
            struct engine_record a = job_record(whole, r, before + i), b = job_record(brief, r, i);
            same_bits(a.ready, b.ready);
            same_bits(a.start, b.start);
            same_bits(a.end, b.end);
            if (b.cause == CAUSE_BEGIN) { /* the cause was in a step that is not kept */
                assert_true(a.cause == CAUSE_STREAM && a.cause_slot < before);
                continue;
            }
            assert_int_equal(a.cause, b.cause);
            assert_int_equal(a.cause_rank, b.cause_rank);
            if (a.cause_slot != PROGRAM_NONE)
                assert_int_equal(a.cause_slot -
                                     (STEPS - kept) * (whole->programs[b.cause_rank].ops.count / STEPS),
                                 b.cause_slot);
        }
        for (uint32_t stream = 0; stream < 4; stream++)
            for (int cause = 0; cause < 4; cause++)
                same_bits(job_waits(whole, r, stream)[cause], job_waits(brief, r, stream)[cause]);
    }
}

static void a_lead_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t c = 0; c < 60; c++) {
        struct shape_of_step shape = {(c + 1) * 0x9e3779b97f4a7c15u, c % 2, c / 2 % 2, 1 + (uint32_t)c % 5};
        enum engine_level level = c / 4 % 2 ? ENGINE_STEPS : ENGINE_FLUID;
        struct test_job *whole = steps_of(&shape, STEPS, 0);
        run(whole, level);
        for (uint32_t kept = 1; kept <= 3; kept++) {
            struct test_job *brief = steps_of(&shape, kept, STEPS - kept);
            run(brief, level);
            same_bits(whole->result.makespan, brief->result.makespan);
            assert_true(whole->result.events == brief->result.events);
            same_records(whole, brief, kept);
            for (uint32_t l = 0; l < 2 * RANKS; l++)
                same_bits(whole->result.link_bytes[l], brief->result.link_bytes[l]);
            assert_int_equal(whole->result.transfer_count * kept, brief->result.transfer_count * STEPS);
            for (uint32_t t = 0; t < brief->result.transfer_count; t++) {
                const struct engine_transfer *transfer = &brief->result.transfers[t];
                assert_true(transfer->match < brief->groups.at[transfer->group].match_count);
            }
            job_free(brief);
        }
        job_free(whole);
    }
}

/* The last rank's receive of a message that nobody sends, in the second step at the latest. */
static void a_deadlock_in_the_lead_is_reported(void **state)
{
    (void)state;
    struct shape_of_step shape = {7, true, true, 1};
    struct test_job *test = steps_of(&shape, 2, 4);
    for (uint32_t i = 0; i < test->programs[3].ops.count; i++) {
        struct op *op = &test->programs[3].ops.at[i];
        if (op->kind == OP_SEND)
            *op = (struct op){.kind = OP_COMPUTE, .group = PROGRAM_NONE, .stream = op->stream};
    }
    assert_false(job_run(test, ENGINE_FLUID) && "job_run() sets one step: its own deadlock");
    test->job.steps = 2;
    test->job.lead = 4;
    assert_false(engine_run(&test->platform, &test->job, NULL, &test->result, &test->error));
    if (!strstr(test->error, "deadlock") || !strstr(test->error, "no operation that sends it"))
        fail_msg("%s", test->error);
    job_free(test);
}

static void steps_that_differ_cannot_stand_for_others(void **state)
{
    (void)state;
    struct shape_of_step shape = {9, true, false, 2};
    struct test_job *test = steps_of(&shape, 3, 4);
    test->programs[2].ops.at[test->programs[2].ops.count - 1].seconds += 1;
    assert_false(engine_run(&test->platform, &test->job, NULL, &test->result, &test->error));
    assert_non_null(strstr(test->error, "the steps of a program differ"));
    job_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lead_changes_nothing),
        cmocka_unit_test(a_deadlock_in_the_lead_is_reported),
        cmocka_unit_test(steps_that_differ_cannot_stand_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
