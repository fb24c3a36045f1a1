#include "hold.h"

#include "clock.h"
#include "engine/queue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 1 << 16 };

/* Exponential increments, drawn before the clock runs. */
static const double *increments(void)
{
    static double steps[STEPS];
    uint64_t seed = 88172645463325252u;
    for (uint32_t i = 0; i < STEPS; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        steps[i] = -log((double)(seed >> 11) * 0x1p-53 + 0x1p-54);
    }
    return steps;
}

double hold_queue(uint32_t pending, uint32_t holds)
{
    const double *step = increments();
    struct queue *queue = queue_new();
    for (uint32_t i = 0; i < pending; i++)
        queue_push(queue, step[i % STEPS] + i * 1e-9, PHASE_COMPLETION, i);
    struct queue_event event = {0};
    double begin = 0, end = 0;
    for (uint32_t warm = 2; warm-- > 0;) { /* the first time over brings the heap to its steady state */
        begin = clock_cpu();
        for (uint32_t i = 0; i < holds; i++) {
            queue_pop(queue, &event);
            queue_push(queue, event.time + step[i % STEPS], PHASE_COMPLETION, event.identity);
        }
        end = clock_cpu();
    }
    queue_free(queue);
    return holds / (end - begin) * 1e-6;
}

struct plain_event {
    double time;
    int what;
};

static void plain_up(struct plain_event *heap, uint32_t place)
{
    struct plain_event event = heap[place];
    for (; place && event.time < heap[(place - 1) / 2].time; place = (place - 1) / 2)
        heap[place] = heap[(place - 1) / 2];
    heap[place] = event;
}

static void plain_down(struct plain_event *heap, uint32_t count)
{
    struct plain_event event = heap[0];
    uint32_t place = 0;
    for (uint32_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && heap[child + 1].time < heap[child].time)
            child++;
        if (event.time <= heap[child].time)
            break;
        heap[place] = heap[child];
    }
    heap[place] = event;
}

double hold_plain(uint32_t pending, uint32_t holds)
{
    const double *step = increments();
    struct plain_event *heap = calloc(pending, sizeof *heap);
    for (uint32_t i = 0; i < pending; i++) {
        heap[i] = (struct plain_event){step[i % STEPS] + i * 1e-9, (int)i};
        plain_up(heap, i);
    }
    double begin = 0, end = 0;
    for (uint32_t warm = 2; warm-- > 0;) {
        begin = clock_cpu();
        for (uint32_t i = 0; i < holds; i++) {
            struct plain_event event = heap[0];
            heap[0] = heap[pending - 1];
            plain_down(heap, pending - 1);
            heap[pending - 1] = (struct plain_event){event.time + step[i % STEPS], event.what};
            plain_up(heap, pending - 1);
        }
        end = clock_cpu();
    }
    free(heap);
    return holds / (end - begin) * 1e-6;
}
