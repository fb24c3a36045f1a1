/* The queue against a naive list that is searched for its least element, and its documented order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/vector.h"
#include "engine/queue.h"
#include "near.h"

#include <math.h>
#include <stdio.h>

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void events_leave_by_time_then_phase_then_identity(void **state)
{
    (void)state;
    struct queue *queue = queue_new();
    queue_add(queue, 2.0, PHASE_COMPLETION, 1);
    queue_add(queue, 1.0, PHASE_START, 0);
    queue_add(queue, 1.0, PHASE_COMPLETION, 9);
    queue_add(queue, 1.0, PHASE_COMPLETION, 3);
    queue_add(queue, 1.0, PHASE_LATENCY, 2);
    queue_add(queue, -0.0, PHASE_START, (1u << 30) - 1);
    queue_add(queue, 0.0, PHASE_START, 4);
    static const struct {
        double time;
        uint32_t phase, identity;
    } expected[] = {{0, PHASE_START, 4},      {0, PHASE_START, (1u << 30) - 1},
                    {1, PHASE_COMPLETION, 3}, {1, PHASE_COMPLETION, 9},
                    {1, PHASE_LATENCY, 2},    {1, PHASE_START, 0},
                    {2, PHASE_COMPLETION, 1}};
    struct queue_event event;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_true(queue_pop(queue, &event));
        assert_near(event.time, expected[i].time, 0);
        assert_int_equal(event.phase, expected[i].phase);
        assert_int_equal(event.identity, expected[i].identity);
    }
    assert_false(queue_pop(queue, &event));
    assert_false(queue_peek(queue, &event));
    queue_free(queue);
}

struct list {
    VECTOR(struct queue_event) events;
};

static uint32_t list_least(const struct list *list)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < list->events.count; i++) {
        const struct queue_event *a = &list->events.at[i], *b = &list->events.at[least];
        if (a->time != b->time ? a->time < b->time
            : a->phase != b->phase
                ? a->phase < b->phase
                : (a->identity != b->identity ? a->identity < b->identity : a->handle < b->handle))
            least = i;
    }
    return least;
}

static void pop_both(struct queue *queue, struct list *list)
{
    struct queue_event event, expected;
    assert_true(queue_peek(queue, &event));
    uint32_t least = list_least(list);
    expected = list->events.at[least];
    list->events.at[least] = list->events.at[--list->events.count];
    assert_true(queue_pop(queue, &event));
    assert_near(event.time, expected.time, 0);
    assert_int_equal(event.phase, expected.phase);
    assert_int_equal(event.identity, expected.identity);
    assert_int_equal(event.handle, expected.handle);
}

static void random_operation(struct queue *queue, struct list *list, uint64_t *seed, uint64_t times)
{
    uint32_t what = (uint32_t)(draw(seed) % 10);
    double time = (double)(draw(seed) % times) / 4;
    uint32_t any = list->events.count ? (uint32_t)(draw(seed) % list->events.count) : 0;
    if (what < 4 || !list->events.count) {
        struct queue_event event = {
            .time = time, .phase = (uint32_t)(draw(seed) % 4), .identity = (uint32_t)(draw(seed) % 8)};
        event.handle = queue_add(queue, time, (enum queue_phase)event.phase, event.identity);
        VECTOR_PUSH(&list->events, event);
    } else if (what < 6) {
        queue_move(queue, list->events.at[any].handle, time);
        list->events.at[any].time = time;
    } else if (what < 7) {
        queue_cancel(queue, list->events.at[any].handle);
        list->events.at[any] = list->events.at[--list->events.count];
    } else {
        pop_both(queue, list);
    }
    assert_int_equal(queue_count(queue), list->events.count);
}

static void random_operations_match_a_naive_list(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 300; run++) {
        uint64_t seed = run * 0x9e3779b97f4a7c15u;
        struct queue *queue = queue_new();
        struct list list = {0};
        for (int i = 0; i < 400; i++)
            random_operation(queue, &list, &seed, 16);
        while (list.events.count)
            pop_both(queue, &list);
        assert_int_equal(queue_count(queue), 0);
        VECTOR_FREE(&list.events);
        queue_free(queue);
    }
}

/* So many that most are in the ladder; of one time, of a few, of many. */
static void far_events_move_and_leave_like_near_ones(void **state)
{
    (void)state;
    static const uint64_t times[] = {1, 2, 16, 1 << 20};
    for (uint32_t run = 0; run < 8; run++) {
        uint64_t seed = (run + 1) * 0x9e3779b97f4a7c15u;
        struct queue *queue = queue_new();
        struct list list = {0};
        for (uint32_t i = 0; i < 6000; i++) {
            struct queue_event event = {.time = (double)(draw(&seed) % times[run % 4]) / 4, .identity = i};
            event.handle = queue_add(queue, event.time, PHASE_COMPLETION, i);
            VECTOR_PUSH(&list.events, event);
        }
        for (int i = 0; i < 4000; i++)
            random_operation(queue, &list, &seed, times[run % 4]);
        while (list.events.count > 2000 * (run / 4))
            pop_both(queue, &list);
        while (list.events.count) { /* the last ones are cancelled */
            queue_cancel(queue, list.events.at[--list.events.count].handle);
            assert_int_equal(queue_count(queue), list.events.count);
        }
        struct queue_event event;
        assert_false(queue_peek(queue, &event));
        VECTOR_FREE(&list.events);
        queue_free(queue);
    }
}

static void a_million_events_come_out_sorted(void **state)
{
    (void)state;
    struct queue *queue = queue_new();
    uint64_t seed = 7;
    for (uint32_t i = 0; i < 200000; i++)
        queue_add(queue, (double)(draw(&seed) >> 20), PHASE_COMPLETION, i);
    struct queue_event event;
    double before = 0;
    for (uint32_t i = 0; i < 1000000; i++) {
        assert_true(queue_pop(queue, &event));
        assert_true(event.time >= before);
        before = event.time;
        if (i < 800000)
            queue_add(queue, before + (double)(draw(&seed) >> 20), PHASE_COMPLETION, i);
    }
    assert_false(queue_pop(queue, &event));
    queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_leave_by_time_then_phase_then_identity),
        cmocka_unit_test(random_operations_match_a_naive_list),
        cmocka_unit_test(far_events_move_and_leave_like_near_ones),
        cmocka_unit_test(a_million_events_come_out_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
