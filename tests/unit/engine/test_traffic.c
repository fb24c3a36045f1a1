/* Classes of traffic: weights and caps of communications, and their changes, through the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job.h"
#include "near.h"

#include <math.h>
#include <string.h>

/* Two messages of 120 bytes to device 1, whose link down has 30 B/s: from device 0 (class 1), from device 2
 * (class 2). The result has them as device 1's receives 0 and 1. */
static struct test_job *two_messages(const struct traffic_class *traffic)
{
    struct test_job *test = job_new(3, 30, 0);
    uint32_t a = job_pair(test, 0, 1, 1, false), b = job_pair(test, 2, 1, 1, false);
    struct op op = {.kind = OP_SEND, .group = a, .bytes = 120, .traffic = 1};
    job_op(test, 0, op, NULL);
    op.group = b;
    op.traffic = 2;
    job_op(test, 2, op, NULL);
    job_message(test, 1, 0, OP_RECEIVE, a, 0, 120, NULL);
    job_message(test, 1, 1, OP_RECEIVE, b, 0, 120, NULL);
    job_finish(test);
    test->job.traffic = arena_copy(&test->job.arena, traffic, 2 * sizeof *traffic);
    test->job.traffic_count = 2;
    return test;
}

static void ends(struct test_job *test, struct engine_options options, double first, double second)
{
    engine_result_fini(&test->result);
    if (!engine_run(&test->platform, &test->job, &options, &test->result, &test->error))
        fail_msg("%s", test->error);
    assert_near(job_record(test, 1, 0).end, first, 1e-12);
    assert_near(job_record(test, 1, 1).end, second, 1e-12);
}

static void a_link_is_shared_by_weight(void **state)
{
    (void)state;
    struct test_job *test = two_messages((struct traffic_class[]){{2, INFINITY}, {1, INFINITY}});
    ends(test, (struct engine_options){0}, 6, 8); /* 20 and 10 B/s until 6 s, then 60 bytes at 30 B/s */
    ends(test, (struct engine_options){.network = &alpha_beta_model}, 4, 4);
    job_free(test);
}

static void a_cap_leaves_the_rest_to_others(void **state)
{
    (void)state;
    struct test_job *test = two_messages((struct traffic_class[]){{1, 5}, {1, INFINITY}});
    ends(test, (struct engine_options){0}, 24, 4.8);
    ends(test, (struct engine_options){.network = &alpha_beta_model}, 24, 4);
    ends(test, (struct engine_options){.network = &alpha_beta_ideal}, 0, 0);
    job_free(test);
}

/* 15 and 15 until 2 s; 24 and 6 until 3 s (66 and 84 left); class 1 held up until 5 s (66 and 24 left); 15
 * and 15 until 6.6 s, then 42 bytes at 30. */
static void classes_change_while_their_messages_are_under_way(void **state)
{
    (void)state;
    struct test_job *test = two_messages((struct traffic_class[]){{1, INFINITY}, {1, INFINITY}});
    const struct engine_traffic_change changes[] = {
        {3, 0, {4, 0}}, {2, 0, {4, INFINITY}}, {5, 0, {1, INFINITY}}, {50, 0, {1, 1}}};
    struct engine_options options = {.traffic_changes = changes, .traffic_change_count = 4};
    ends(test, options, 8, 6.6);
    job_free(test);
}

/* The link down falls to 20 B/s and class 2 to 4 B/s in the same instant. */
static void links_and_classes_change_together(void **state)
{
    (void)state;
    struct test_job *test = two_messages((struct traffic_class[]){{1, INFINITY}, {1, 12}});
    const struct engine_traffic_change narrower = {2, 1, {1, 4}};
    const struct engine_change link = {2, 20, 3};
    ends(test,
         (struct engine_options){
             .changes = &link, .change_count = 1, .traffic_changes = &narrower, .traffic_change_count = 1},
         2 + 84 / 16.0, 2 + 96 / 4.0);
    ends(test,
         (struct engine_options){.network = &alpha_beta_model,
                                 .changes = &link,
                                 .change_count = 1,
                                 .traffic_changes = &narrower,
                                 .traffic_change_count = 1},
         2 + 60 / 20.0, 2 + 96 / 4.0);
    job_free(test);
}

/* A ring all-reduce of 4 ranks on 10 B/s: 2·3/4·40 bytes per link; capped at 5 B/s, both as one activity and
 * as its steps. */
static void collectives_have_a_class_too(void **state)
{
    (void)state;
    struct test_job *test = job_new(4, 10, 0);
    uint32_t group = job_group(test, "group", 4, (uint32_t[]){0, 1, 2, 3}, 1);
    for (uint32_t r = 0; r < 4; r++) {
        struct op op = {.kind = OP_COLLECTIVE, .collective = ALL_REDUCE, .group = group, .bytes = 40};
        op.traffic = 1;
        job_op(test, r, op, NULL);
    }
    job_finish(test);
    struct traffic_class traffic = {1, 5};
    test->job.traffic = &traffic;
    test->job.traffic_count = 1;
    for (int level = ENGINE_FLUID; level <= ENGINE_STEPS; level++) {
        struct engine_options options = {.level = (enum engine_level)level};
        engine_result_fini(&test->result);
        assert_true(engine_run(&test->platform, &test->job, &options, &test->result, &test->error));
        assert_near(test->result.makespan, 12, 1e-12);
        const struct engine_traffic_change wider = {6, 0, {1, INFINITY}};
        options.traffic_changes = &wider;
        options.traffic_change_count = 1;
        engine_result_fini(&test->result);
        assert_true(engine_run(&test->platform, &test->job, &options, &test->result, &test->error));
        assert_near(test->result.makespan, 9, 1e-12);
    }
    job_free(test);
}

static void fails(struct test_job *test, struct engine_options options, const char *expected)
{
    engine_result_fini(&test->result);
    assert_false(engine_run(&test->platform, &test->job, &options, &test->result, &test->error));
    if (!strstr(test->error, expected))
        fail_msg("%s", test->error);
}

static void what_cannot_be_is_an_error(void **state)
{
    (void)state;
    struct test_job *test = two_messages((struct traffic_class[]){{1, INFINITY}, {1, INFINITY}});
    struct engine_traffic_change change = {1, 2, {1, 1}};
    struct engine_options options = {.traffic_changes = &change, .traffic_change_count = 1};
    fails(test, options, "change 0 of traffic: class 2");
    change = (struct engine_traffic_change){1, 0, {0, 1}};
    fails(test, options, "weight 0");
    change = (struct engine_traffic_change){NAN, 0, {1, 1}};
    fails(test, options, "change 0 of traffic");
    fails(test, (struct engine_options){.network = &packet_model}, "'packet' knows no weights and caps");
    change = (struct engine_traffic_change){1, 0, {1, 0}};
    fails(test, options, "its class of traffic has a cap of 0");
    test->job.traffic[1].cap = -1;
    fails(test, (struct engine_options){0}, "class 1 of traffic has weight 1 and cap -1");
    test->job.traffic_count = 1;
    fails(test, (struct engine_options){0}, "has traffic 2 of 1");
    job_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_shared_by_weight),
        cmocka_unit_test(a_cap_leaves_the_rest_to_others),
        cmocka_unit_test(classes_change_while_their_messages_are_under_way),
        cmocka_unit_test(links_and_classes_change_together),
        cmocka_unit_test(collectives_have_a_class_too),
        cmocka_unit_test(what_cannot_be_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
