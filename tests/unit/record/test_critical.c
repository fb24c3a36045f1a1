#include "pipeline.h"

#include "record/critical.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct path {
    struct pipeline pipeline;
    struct metrics metrics;
    struct critical critical;
};

static void path_init(struct path *path, const struct pipeline_shape *shape)
{
    const char *error = "";
    pipeline_init(&path->pipeline, shape);
    struct pipeline *p = &path->pipeline;
    assert_true(metrics_compute(&p->plan, &p->job, &p->result, &path->metrics, &error));
    if (!critical_path(&p->job, &p->result, &path->metrics, &path->critical, &error))
        fail_msg("%s", error);
}

static void path_fini(struct path *path)
{
    critical_fini(&path->critical);
    metrics_fini(&path->metrics);
    pipeline_fini(&path->pipeline);
}

static double share_of(const struct path *path, const char *group)
{
    for (uint32_t i = 0; i < path->critical.groups.count; i++)
        if (path->critical.groups.at[i].name == names_find(&path->pipeline.names, group))
            return path->critical.groups.at[i].seconds;
    return 0;
}

static void one_micro_batch_goes_through_every_stage_and_back(void **state)
{
    (void)state;
    struct pipeline_shape shape = pipeline_small;
    shape.micro_batches = 1;
    shape.data = 1;
    struct path path;
    path_init(&path, &shape);
    /* F on both stages, B on both, one O on the first: exactly; and a message each way */
    double layer = shape.forward, message = shape.message / shape.bandwidth + shape.latency;
    ASSERT_CLOSE(path.critical.seconds[CRITICAL_COMPUTE],
                 2 * 2 * layer + 2 * 2 * 2 * layer + shape.layers * layer / 2, 1e-15);
    ASSERT_CLOSE(path.critical.seconds[CRITICAL_COMMUNICATION], 2 * message, 1e-15);
    ASSERT_CLOSE(share_of(&path, "pipeline"), 2 * message, 1e-15);
    ASSERT_CLOSE(path.critical.seconds[CRITICAL_WAITING], 0, 0);
    assert_int_equal(path.critical.segments.at[0].rank, 0);
    assert_int_equal(path.critical.segments.at[0].slot, 0);
    path_fini(&path);
}

static void segments_touch_and_fill_the_window(void **state)
{
    (void)state;
    for (uint32_t steps = 1; steps <= 3; steps++)
        for (uint32_t stages = 1; stages <= 4; stages++) {
            struct pipeline_shape shape = pipeline_small;
            shape.stages = stages;
            shape.steps = steps;
            struct path path;
            path_init(&path, &shape);
            double now = path.metrics.window_start, labels = 0;
            for (uint32_t i = 0; i < path.critical.segments.count; i++) {
                ASSERT_CLOSE(path.critical.segments.at[i].start, now, 1e-12);
                assert_true(path.critical.segments.at[i].seconds > 0);
                now = path.critical.segments.at[i].start + path.critical.segments.at[i].seconds;
            }
            ASSERT_CLOSE(now, path.metrics.window_start + path.metrics.window, 1e-12);
            for (uint32_t i = 0; i < path.critical.labels.count; i++)
                labels += path.critical.labels.at[i].seconds;
            ASSERT_CLOSE(labels, path.metrics.window, 1e-12);
            path_fini(&path);
        }
}

static void slow_gradients_put_their_group_on_the_path(void **state)
{
    (void)state;
    struct pipeline_shape shape = pipeline_small;
    shape.gradient *= 64;
    struct path path;
    path_init(&path, &shape);
    /* both all-reduces of a stage are serial on their stream: the path holds them entirely */
    double one = shape.gradient / shape.bandwidth + shape.latency;
    ASSERT_CLOSE(share_of(&path, "data"), 2 * one, 1e-12);
    path_fini(&path);
}

static void causes_in_a_circle_are_an_error(void **state)
{
    (void)state;
    struct pipeline pipeline;
    pipeline_init(&pipeline, &pipeline_small);
    struct metrics metrics;
    struct critical critical;
    const char *error = "";
    assert_true(metrics_compute(&pipeline.plan, &pipeline.job, &pipeline.result, &metrics, &error));
    for (uint32_t i = 0; i < pipeline.result.first_record[4]; i++) { /* everything is caused by itself */
        pipeline.result.records[i].cause = CAUSE_DEPENDENCY;
        pipeline.result.records[i].cause_slot = i - pipeline.result.first_record[i / 28];
    }
    pipeline.result.first_record[4] = 0; /* a low limit; the walk does not read this entry otherwise */
    assert_false(critical_path(&pipeline.job, &pipeline.result, &metrics, &critical, &error));
    assert_non_null(strstr(error, "circle"));
    metrics_fini(&metrics);
    pipeline_fini(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_micro_batch_goes_through_every_stage_and_back),
        cmocka_unit_test(segments_touch_and_fill_the_window),
        cmocka_unit_test(slow_gradients_put_their_group_on_the_path),
        cmocka_unit_test(causes_in_a_circle_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
