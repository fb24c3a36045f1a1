/* The engine on jobs small enough to be timed by hand, pipelines against their closed form, and its reports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job.h"
#include "near.h"

#include <dirent.h>
#include <string.h>

static void must_run(struct test_job *test, enum engine_level level)
{
    if (!job_run(test, level))
        fail_msg("%s", test->error);
}

static void must_fail(struct test_job *test, const char *const *parts)
{
    assert_false(job_run(test, ENGINE_FLUID));
    for (; *parts; parts++)
        if (!strstr(test->error, *parts))
            fail_msg("'%s' is not in: %s", *parts, test->error);
}

static void assert_times(const struct test_job *test, uint32_t rank, uint32_t slot, double ready,
                         double start, double end)
{
    struct engine_record record = job_record(test, rank, slot);
    assert_near(record.ready, ready, 1e-12);
    assert_near(record.start, start, 1e-12);
    assert_near(record.end, end, 1e-12);
}

static void assert_cause(const struct test_job *test, uint32_t rank, uint32_t slot, enum engine_cause cause,
                         uint32_t cause_rank, uint32_t cause_slot)
{
    struct engine_record record = job_record(test, rank, slot);
    assert_int_equal(record.cause, cause);
    if (cause == CAUSE_BEGIN)
        return;
    assert_int_equal(record.cause_rank, cause_rank);
    assert_int_equal(record.cause_slot, cause_slot);
}

static void a_stream_is_in_order_and_dependencies_join(void **state)
{
    (void)state;
    struct test_job *test = job_new(1, 10, 0);
    uint32_t a = job_compute(test, 0, 0, 2, NULL), b = job_compute(test, 0, 1, 3, NULL);
    uint32_t c = job_compute(test, 0, 0, 1, NULL), d = job_compute(test, 0, 0, 1, AFTER(b));
    uint32_t e = job_compute(test, 0, 1, 0, AFTER(d, a));
    must_run(test, ENGINE_FLUID);
    assert_times(test, 0, a, 0, 0, 2);
    assert_times(test, 0, c, 2, 2, 3);
    assert_times(test, 0, d, 3, 3, 4);
    assert_times(test, 0, e, 4, 4, 4);
    assert_cause(test, 0, a, CAUSE_BEGIN, 0, 0);
    assert_cause(test, 0, c, CAUSE_STREAM, 0, a);
    assert_cause(test, 0, d, CAUSE_DEPENDENCY, 0, b); /* b and c end together: the dependency goes first */
    assert_cause(test, 0, e, CAUSE_DEPENDENCY, 0, d);
    assert_near(job_waits(test, 0, 1)[CAUSE_DEPENDENCY], 1, 1e-12);
    assert_near(test->result.makespan, 4, 1e-12);
    job_free(test);
}

static void among_equal_dependencies_the_lowest_slot_is_the_cause(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct test_job *test = job_new(1, 10, 0);
        uint32_t a = job_compute(test, 0, 3, 2, NULL), b = job_compute(test, 0, 1, 2, NULL);
        uint32_t c = job_compute(test, 0, 0, 1, swap ? AFTER(b, a) : AFTER(a, b));
        must_run(test, ENGINE_FLUID);
        assert_cause(test, 0, c, CAUSE_DEPENDENCY, 0, a);
        job_free(test);
    }
}

/* 100 bytes at 10 B/s over two links of 0.5 s: 11 s. */
static void an_eager_message_leaves_when_the_send_is_ready(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0.5);
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    uint32_t work = job_compute(test, 0, 0, 1, NULL);
    uint32_t send = job_message(test, 0, 1, OP_SEND, pair, 0, 100, AFTER(work));
    uint32_t receive = job_message(test, 1, 1, OP_RECEIVE, pair, 0, 100, NULL);
    uint32_t next = job_compute(test, 1, 0, 1, AFTER(receive));
    must_run(test, ENGINE_FLUID);
    assert_times(test, 0, send, 1, 1, 12);
    assert_times(test, 1, receive, 0, 1, 12);
    assert_times(test, 1, next, 12, 12, 13);
    assert_cause(test, 1, receive, CAUSE_PEER, 0, send);
    assert_near(job_waits(test, 1, 1)[CAUSE_PEER], 1, 1e-12);
    assert_near(test->result.link_bytes[0], 100, 1e-9);
    assert_near(test->result.link_bytes[3], 100, 1e-9);
    assert_near(test->result.link_bytes[1], 0, 0);
    assert_int_equal(test->result.transfer_count, 1);
    assert_near(test->result.transfers[0].latency, 1, 1e-12);
    job_free(test);
}

static void a_late_receive_ends_when_it_is_ready(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) { /* ready after the flow, or while it is on its way */
        struct test_job *test = job_new(2, 10, 0.5);
        uint32_t pair = job_pair(test, 0, 1, 1, false);
        uint32_t send = job_message(test, 0, 1, OP_SEND, pair, 0, 100, NULL);
        uint32_t work = job_compute(test, 1, 0, late ? 20 : 4, NULL);
        uint32_t receive = job_message(test, 1, 1, OP_RECEIVE, pair, 0, 100, AFTER(work));
        must_run(test, ENGINE_FLUID);
        assert_times(test, 0, send, 0, 0, 11);
        if (late) {
            assert_times(test, 1, receive, 20, 20, 20);
            assert_cause(test, 1, receive, CAUSE_DEPENDENCY, 1, work);
        } else {
            assert_times(test, 1, receive, 4, 4, 11);
            assert_cause(test, 1, receive, CAUSE_PEER, 0, send);
        }
        job_free(test);
    }
}

static void a_rendezvous_starts_when_both_are_ready(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0.5);
    uint32_t pair = job_pair(test, 0, 1, 1, true);
    uint32_t send = job_message(test, 0, 1, OP_SEND, pair, 0, 100, NULL);
    uint32_t work = job_compute(test, 1, 0, 4, NULL);
    uint32_t receive = job_message(test, 1, 1, OP_RECEIVE, pair, 0, 100, AFTER(work));
    must_run(test, ENGINE_FLUID);
    assert_times(test, 0, send, 0, 4, 15);
    assert_times(test, 1, receive, 4, 4, 15);
    assert_cause(test, 0, send, CAUSE_PEER, 1, receive);
    assert_cause(test, 1, receive, CAUSE_DEPENDENCY, 1, work);
    assert_near(job_waits(test, 0, 1)[CAUSE_PEER], 4, 1e-12);
    job_free(test);
}

static void zero_bytes_cost_latency_and_the_same_device_costs_nothing(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0.5);
    uint32_t pair = job_pair(test, 0, 1, 1, false), self = job_pair(test, 0, 0, 1, false);
    uint32_t send = job_message(test, 0, 0, OP_SEND, pair, 0, 0, NULL);
    uint32_t receive = job_message(test, 1, 0, OP_RECEIVE, pair, 0, 0, NULL);
    uint32_t to_self = job_message(test, 0, 1, OP_SEND, self, 0, 1e9, NULL);
    uint32_t from_self = job_message(test, 0, 2, OP_RECEIVE, self, 0, 1e9, NULL);
    must_run(test, ENGINE_FLUID);
    assert_times(test, 0, send, 0, 0, 1);
    assert_times(test, 1, receive, 0, 0, 1);
    assert_times(test, 0, to_self, 0, 0, 0);
    assert_times(test, 0, from_self, 0, 0, 0);
    job_free(test);
}

static void a_collective_waits_for_its_last_member(void **state)
{
    (void)state;
    struct test_job *test = job_new(4, 10, 0.5);
    uint32_t all = job_group(test, "data", 4, (uint32_t[]){0, 1, 2, 3}, 2);
    for (uint32_t r = 0; r < 4; r++) {
        uint32_t work = job_compute(test, r, 0, r == 1 || r == 2 ? 5 : r, NULL);
        job_collective(test, r, 1, ALL_REDUCE, all, 0, 80, AFTER(work));
    }
    must_run(test, ENGINE_FLUID);
    double end = 5 + 6 * (1 + 80 / 4 / 10.0); /* 2(n - 1) rounds */
    for (uint32_t r = 0; r < 4; r++)
        assert_times(test, r, 1, r == 1 || r == 2 ? 5 : r, 5, end);
    assert_cause(test, 0, 1, CAUSE_PEER, 1, 1); /* 1 and 2 were last together: the lower place */
    assert_cause(test, 3, 1, CAUSE_PEER, 1, 1);
    assert_cause(test, 2, 1, CAUSE_DEPENDENCY, 2, 0);
    assert_near(job_waits(test, 3, 1)[CAUSE_DEPENDENCY], 3, 1e-12);
    assert_near(job_waits(test, 3, 1)[CAUSE_PEER], 2, 1e-12);
    job_free(test);
}

static void collectives_match_their_closed_form_at_both_levels(void **state)
{
    (void)state;
    for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++) {
        for (uint32_t members = 1; members <= 9; members++) {
            for (int kind = 0; kind <= REDUCE; kind++) {
                struct test_job *test = job_new(members, 10, 0.25);
                uint32_t ranks[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
                uint32_t all = job_group(test, "data", members, ranks, 2);
                for (uint32_t r = 0; r < members; r++)
                    for (uint32_t m = 0; m < 2; m++)
                        job_collective(test, r, 1, kind, all, m, 90, NULL);
                must_run(test, (enum engine_level)level);
                double seconds =
                    ring_algorithm.seconds(kind, &(struct shape){.members = members}, 90, 0.5, 10);
                assert_near(test->result.makespan, 2 * seconds, 1e-12 * seconds);
                assert_int_equal(test->result.transfer_count, 2);
                assert_int_equal(test->result.activity_count, 1);
                job_free(test);
            }
        }
    }
}

/* Two all-reduces over the same links: fluid shares as two flows. */
static void collectives_share_links(void **state)
{
    (void)state;
    for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++) {
        struct test_job *test = job_new(2, 10, 0);
        uint32_t a = job_group(test, "a", 2, (uint32_t[]){0, 1}, 1);
        uint32_t b = job_group(test, "b", 2, (uint32_t[]){1, 0}, 1);
        for (uint32_t r = 0; r < 2; r++) {
            job_collective(test, r, 0, ALL_REDUCE, a, 0, 40, NULL);
            job_collective(test, r, 1, ALL_REDUCE, b, 0, 80, NULL);
        }
        must_run(test, (enum engine_level)level);
        assert_times(test, 0, 0, 0, 0, 8);
        assert_times(test, 1, 1, 0, 0, 12);
        job_free(test);
    }
}

struct pipeline {
    struct test_job *test;
    uint32_t stages, forward[JOB_RANKS], backward[JOB_RANKS]; /* pairs: stage to the next, and back */
    double seconds[2];
};

static void add_pass(struct pipeline *pipeline, uint32_t stage, uint32_t micro_batch, bool back)
{
    struct test_job *test = pipeline->test;
    bool first = back ? stage == pipeline->stages - 1 : stage == 0;
    bool last = back ? stage == 0 : stage == pipeline->stages - 1;
    uint32_t in = PROGRAM_NONE;
    uint16_t streams = back ? 3 : 1;
    if (!first)
        in = job_message(test, stage, streams, OP_RECEIVE,
                         back ? pipeline->backward[stage] : pipeline->forward[stage - 1], micro_batch, 0,
                         NULL);
    uint32_t work = job_compute(test, stage, 0, pipeline->seconds[back], AFTER(in));
    if (!last)
        job_message(test, stage, (uint16_t)(streams + 1), OP_SEND,
                    back ? pipeline->backward[stage - 1] : pipeline->forward[stage], micro_batch, 0,
                    AFTER(work));
}

static void build_pipeline(struct pipeline *pipeline, uint32_t micro_batches, bool one_f_one_b)
{
    uint32_t stages = pipeline->stages;
    for (uint32_t s = 0; s + 1 < stages; s++) {
        pipeline->forward[s] = job_pair(pipeline->test, s, s + 1, micro_batches, false);
        pipeline->backward[s] = job_pair(pipeline->test, s + 1, s, micro_batches, false);
    }
    for (uint32_t s = 0; s < stages; s++) {
        uint32_t ahead = one_f_one_b ? stages - 1 - s : micro_batches;
        for (uint32_t step = 0; step < micro_batches + ahead; step++) {
            if (step < micro_batches)
                add_pass(pipeline, s, step, false);
            if (step >= ahead)
                add_pass(pipeline, s, step - ahead, true);
        }
    }
}

static void pipelines_match_their_closed_form(void **state)
{
    (void)state;
    for (int one_f_one_b = 0; one_f_one_b < 2; one_f_one_b++) {
        for (uint32_t p = 1; p <= 6; p++) {
            for (uint32_t m = 1; m <= 12; m++) {
                for (uint32_t f = 1; f <= 2; f++) {
                    struct pipeline pipeline = {
                        .test = job_new(p, 10, 0), .stages = p, .seconds = {f, 2 * f + 1}};
                    build_pipeline(&pipeline, m, one_f_one_b);
                    must_run(pipeline.test, ENGINE_FLUID);
                    double expected = (m + p - 1) * (3 * f + 1);
                    assert_near(pipeline.test->result.makespan, expected, 0);
                    job_free(pipeline.test);
                }
            }
        }
    }
}

static void two_runs_give_the_same_bits(void **state)
{
    (void)state;
    struct engine_record *before = NULL;
    for (int run = 0; run < 2; run++) {
        struct pipeline pipeline = {.test = job_new(6, 7.3, 1e-3), .stages = 6, .seconds = {0.1, 0.3}};
        build_pipeline(&pipeline, 9, true);
        must_run(pipeline.test, ENGINE_FLUID);
        uint32_t count = pipeline.test->result.first_record[6];
        size_t bytes = count * sizeof(struct engine_record);
        if (run)
            assert_memory_equal(before, pipeline.test->result.records, bytes);
        else
            before = memcpy(test_malloc(bytes), pipeline.test->result.records, bytes);
        job_free(pipeline.test);
    }
    test_free(before);
}

static void a_deadlock_names_its_cycle(void **state)
{
    (void)state;
    struct test_job *test = job_new(3, 10, 0);
    uint32_t there = job_pair(test, 1, 2, 1, true), back = job_pair(test, 2, 1, 1, true);
    job_compute(test, 0, 0, 1, NULL);
    for (uint32_t r = 1; r < 3; r++) { /* both send first, in one stream */
        struct op send = {.kind = OP_SEND, .group = r == 1 ? there : back, .bytes = 8, .micro_batch = 4};
        struct op receive = {.kind = OP_RECEIVE, .group = r == 1 ? back : there, .bytes = 8};
        send.label = names_add(&test->names, r == 1 ? "block[3].mlp" : "block[4].mlp");
        send.pass = PASS_B;
        job_op(test, r, send, NULL);
        job_op(test, r, receive, NULL);
    }
    must_fail(test,
              (const char *const[]){"deadlock at 1 s: 4 of 5 operations", "cycle",
                                    "rank 1 (stage 1) send 'block[3].mlp' B, micro-batch 4, group 'pair'",
                                    "rank 2 (stage 2) receive", "rank 2 (stage 2) send 'block[4].mlp'",
                                    "rank 1 (stage 1) receive", NULL});
    assert_null(strstr(test->error, "rank 0"));
    job_free(test);
}

static void a_missing_peer_is_named(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0);
    uint32_t all = job_group(test, "tensor", 2, (uint32_t[]){0, 1}, 8);
    job_collective(test, 0, 0, ALL_GATHER, all, 7, 80, NULL);
    job_compute(test, 1, 0, 1, NULL);
    must_fail(test, (const char *const[]){"deadlock", "rank 0 (stage 0) all-gather", "group 'tensor'",
                                          "rank 1, which has no operation that joins it (match 7)", NULL});
    job_free(test);
}

static void a_link_without_capacity_is_named(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0);
    test->platform.links.at[3].bandwidth = 0;
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 0, 0, OP_SEND, pair, 0, 8, NULL);
    job_message(test, 1, 0, OP_RECEIVE, pair, 0, 8, NULL);
    must_fail(test, (const char *const[]){"deadlock", "stalled", "'cable[1]' has no capacity", NULL});
    job_free(test);
}

static void no_route_is_an_error(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0);
    test->platform.arcs.at[2].to = 0; /* nothing leads to device 1 any more */
    test->platform.arcs.at[3].to = 0;
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 0, 0, OP_SEND, pair, 0, 8, NULL);
    job_message(test, 1, 0, OP_RECEIVE, pair, 0, 8, NULL);
    must_fail(test, (const char *const[]){"group 'pair'", "no route from cable[0] to cable[1]", NULL});
    job_free(test);
}

static void too_many_releases_in_one_instant_are_an_error(void **state)
{
    (void)state;
    struct test_job *test = job_new(1, 10, 0);
    for (uint32_t i = 0; i < 100; i++)
        job_compute(test, 0, 0, 0, NULL);
    job_finish(test);
    struct engine_options options = {.instant_limit = 50};
    assert_false(engine_run(&test->platform, &test->job, &options, &test->result, &test->error));
    assert_non_null(strstr(test->error, "more than 50 operations were released at 0 s"));
    assert_non_null(strstr(test->error, "rank 0"));
    options.instant_limit = 100;
    assert_true(engine_run(&test->platform, &test->job, &options, &test->result, &test->error));
    job_free(test);
}

static void ends_that_disagree_fail_the_run(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0);
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 0, 0, OP_SEND, pair, 0, 8, NULL);
    job_message(test, 1, 0, OP_RECEIVE, pair, 0, 9, NULL);
    must_fail(test, (const char *const[]){"self-check", "8 bytes sent, 9 received", NULL});
    job_free(test);
    test = job_new(2, 10, 0);
    uint32_t all = job_group(test, "tensor", 2, (uint32_t[]){0, 1}, 1);
    job_collective(test, 0, 0, ALL_GATHER, all, 0, 80, NULL);
    job_collective(test, 1, 0, ALL_REDUCE, all, 0, 80, NULL);
    must_fail(test, (const char *const[]){"group 'tensor'", "all-gather", "all-reduce", NULL});
    job_free(test);
}

static void broken_jobs_are_refused(void **state)
{
    (void)state;
    struct test_job *test = job_new(2, 10, 0);
    job_compute(test, 0, 0, 1, AFTER(0));
    must_fail(test, (const char *const[]){"program 0: operation 0 depends on operation 0", NULL});
    job_free(test);
    test = job_new(2, 10, 0);
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 1, 0, OP_SEND, pair, 0, 8, NULL);
    must_fail(test, (const char *const[]){"rank 1", "sends but is not its first member", NULL});
    job_free(test);
    test = job_new(2, 10, 0);
    pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 0, 0, OP_SEND, pair, 1, 8, NULL);
    must_fail(test, (const char *const[]){"rank 0", "uses a match that its group does not have", NULL});
    job_free(test);
}

/* Each book is falsified once; the check must notice. */
static void the_self_check_notices_false_books(void **state)
{
    (void)state;
    struct pipeline pipeline = {.test = job_new(3, 10, 0.01), .stages = 3, .seconds = {1, 2}};
    build_pipeline(&pipeline, 4, true);
    struct test_job *test = pipeline.test;
    must_run(test, ENGINE_FLUID);
    const char *error = NULL;
    assert_true(engine_check(&test->platform, &test->job, &test->result, &error));
    double *books[] = {&test->result.stream_waits[2][CAUSE_PEER], &test->result.link_bytes[3],
                       &test->result.records[test->result.first_record[2] - 1].start,
                       &test->programs[0].ops.at[1].bytes};
    for (size_t i = 0; i < sizeof books / sizeof *books; i++) {
        double right = *books[i];
        *books[i] += 1e-3;
        assert_false(engine_check(&test->platform, &test->job, &test->result, &error));
        *books[i] = right;
    }
    assert_true(engine_check(&test->platform, &test->job, &test->result, &error));
    job_free(test);
}

static void the_event_loop_calls_no_allocator(void **state)
{
    (void)state;
    DIR *folder = opendir(PARTITA_SOURCE "/sim/engine");
    assert_non_null(folder);
    unsigned files = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strstr(entry->d_name, ".c"))
            continue;
        char path[1024], line[512];
        snprintf(path, sizeof path, PARTITA_SOURCE "/sim/engine/%s", entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file))
            if (strstr(line, "alloc(") && !strstr(line, "arena_alloc("))
                fail_msg("%s: %s", path, line);
        fclose(file);
        files++;
    }
    closedir(folder);
    assert_true(files > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_in_order_and_dependencies_join),
        cmocka_unit_test(among_equal_dependencies_the_lowest_slot_is_the_cause),
        cmocka_unit_test(an_eager_message_leaves_when_the_send_is_ready),
        cmocka_unit_test(a_late_receive_ends_when_it_is_ready),
        cmocka_unit_test(a_rendezvous_starts_when_both_are_ready),
        cmocka_unit_test(zero_bytes_cost_latency_and_the_same_device_costs_nothing),
        cmocka_unit_test(a_collective_waits_for_its_last_member),
        cmocka_unit_test(collectives_match_their_closed_form_at_both_levels),
        cmocka_unit_test(collectives_share_links),
        cmocka_unit_test(pipelines_match_their_closed_form),
        cmocka_unit_test(two_runs_give_the_same_bits),
        cmocka_unit_test(a_deadlock_names_its_cycle),
        cmocka_unit_test(a_missing_peer_is_named),
        cmocka_unit_test(a_link_without_capacity_is_named),
        cmocka_unit_test(no_route_is_an_error),
        cmocka_unit_test(too_many_releases_in_one_instant_are_an_error),
        cmocka_unit_test(ends_that_disagree_fail_the_run),
        cmocka_unit_test(broken_jobs_are_refused),
        cmocka_unit_test(the_self_check_notices_false_books),
        cmocka_unit_test(the_event_loop_calls_no_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
