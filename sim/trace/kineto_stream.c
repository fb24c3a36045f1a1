#include "trace/kineto_stream.h"

#include <stdlib.h>

#define COMPARE(a, b)                                                                                        \
    if ((a) != (b))                                                                                          \
    return (a) < (b) ? -1 : 1

static int task_order(const void *left, const void *right)
{
    const struct kineto_task *a = left, *b = right;
    COMPARE(a->start, b->start);
    COMPARE(a->stream, b->stream);
    COMPARE(a->end, b->end);
    COMPARE(a->correlation, b->correlation);
    COMPARE(a->name, b->name);
    return 0;
}

static int call_order(const void *left, const void *right)
{
    const struct kineto_call *a = left, *b = right;
    COMPARE(a->start, b->start);
    COMPARE(a->end, b->end);
    COMPARE(a->correlation, b->correlation);
    COMPARE(a->kind, b->kind);
    return 0;
}

static int wait_order(const void *left, const void *right)
{
    const struct kineto_wait *a = left, *b = right;
    COMPARE(a->correlation, b->correlation);
    COMPARE(a->stream, b->stream);
    COMPARE(a->record, b->record);
    return 0;
}

static int edge_order(const void *left, const void *right)
{
    const struct kineto_edge *a = left, *b = right;
    COMPARE(a->task, b->task);
    COMPARE(a->on, b->on);
    return 0;
}

/* A number and where what it names stands. */
struct correlated {
    int64_t correlation;
    uint32_t index;
};

static int correlated_order(const void *left, const void *right)
{
    const struct correlated *a = left, *b = right;
    COMPARE(a->correlation, b->correlation);
    COMPARE(a->index, b->index);
    return 0;
}

uint32_t kineto_stream_call(const struct kineto_streams *streams, int64_t correlation)
{
    const struct correlated *at = streams->by_correlation;
    uint32_t low = 0, high = streams->kineto->calls.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at[middle].correlation < correlation)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < streams->kineto->calls.count && at[low].correlation == correlation;
    return found && correlation >= 0 ? at[low].index : TRACE_NONE;
}

const struct kineto_queue *kineto_stream_queue(const struct kineto_streams *streams, int64_t stream)
{
    for (uint32_t i = 0; i < streams->queues.count; i++)
        if (streams->queues.at[i].stream == stream)
            return &streams->queues.at[i];
    return NULL;
}

/* How many tasks of a queue were launched before a time. */
static uint32_t stream_launched(const struct kineto_streams *streams, const struct kineto_queue *queue,
                                int64_t time)
{
    uint32_t low = 0, high = queue->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (streams->launched[streams->order[queue->first + middle]] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t kineto_stream_last(const struct kineto_streams *streams, const struct kineto_queue *queue,
                            int64_t time, int64_t end)
{
    uint32_t low = 0, high = stream_launched(streams, queue, time);
    while (low < high) { /* a stream's tasks end one after the other */
        uint32_t middle = low + (high - low) / 2;
        if (streams->kineto->tasks.at[streams->order[queue->first + middle]].end <= end)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? streams->order[queue->first + low - 1] : TRACE_NONE;
}

static struct kineto_queue *stream_queue(struct kineto_streams *streams, int64_t stream)
{
    struct kineto_queue *known = (struct kineto_queue *)kineto_stream_queue(streams, stream);
    if (known)
        return known;
    VECTOR_PUSH(&streams->queues, ((struct kineto_queue){.stream = stream}));
    return &streams->queues.at[streams->queues.count - 1];
}

static void stream_sort(struct kineto_streams *streams)
{
    struct kineto *kineto = streams->kineto;
    qsort(kineto->tasks.at, kineto->tasks.count, sizeof *kineto->tasks.at, task_order);
    if (kineto->calls.count)
        qsort(kineto->calls.at, kineto->calls.count, sizeof *kineto->calls.at, call_order);
    if (kineto->waits.count)
        qsort(kineto->waits.at, kineto->waits.count, sizeof *kineto->waits.at, wait_order);
    streams->by_correlation = ARENA_ARRAY(&streams->arena, struct correlated, kineto->calls.count + 1);
    streams->record = ARENA_ARRAY(&streams->arena, uint32_t, kineto->calls.count + 1);
    for (uint32_t i = 0, record = TRACE_NONE; i < kineto->calls.count; i++) {
        streams->by_correlation[i] = (struct correlated){kineto->calls.at[i].correlation, i};
        streams->record[i] = record;
        record = kineto->calls.at[i].kind == KINETO_RECORD ? i : record;
    }
    qsort(streams->by_correlation, kineto->calls.count, sizeof *streams->by_correlation, correlated_order);
}

/* Whether a call can have launched a task. Clocks of host and GPU differ a little; what begins long before
 * the call has a number that was used again. */
static bool stream_launches(const struct kineto_call *call, const struct kineto_task *task)
{
    const int64_t clocks = 50000; /* nanoseconds */
    return call->start - task->start <= clocks && call->start <= task->end;
}

/* Tasks by queue, and of each its launch and the one before it. */
static void stream_fill(struct kineto_streams *streams, struct kineto_counts *counts)
{
    const struct kineto *kineto = streams->kineto;
    uint32_t count = kineto->tasks.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct kineto_task *task = &kineto->tasks.at[i];
        struct kineto_queue *queue = stream_queue(streams, task->stream);
        queue->count++;
        bool computes = task->kind == KINETO_KERNEL || task->kind == KINETO_OPERATOR;
        queue->work += computes && !task->nccl ? (double)(task->end - task->start) : 0;
    }
    for (uint32_t q = 1; q < streams->queues.count; q++)
        streams->queues.at[q].first = streams->queues.at[q - 1].first + streams->queues.at[q - 1].count;
    for (uint32_t q = 0; q < streams->queues.count; q++)
        streams->queues.at[q].count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct kineto_task *task = &kineto->tasks.at[i];
        struct kineto_queue *queue = stream_queue(streams, task->stream);
        uint32_t call = kineto_stream_call(streams, task->correlation), before = TRACE_NONE;
        if (queue->count)
            before = streams->order[queue->first + queue->count - 1];
        if (call != TRACE_NONE && !stream_launches(&kineto->calls.at[call], task))
            call = TRACE_NONE;
        streams->call[i] = call;
        streams->before[i] = before;
        streams->launched[i] = call == TRACE_NONE ? task->start : kineto->calls.at[call].start;
        if (before != TRACE_NONE && streams->launched[before] > streams->launched[i])
            streams->launched[i] = streams->launched[before];
        streams->order[queue->first + queue->count++] = i;
        counts->unlaunched += call == TRACE_NONE && !kineto->host;
    }
}

/* A wait that the recorded times contradict is none: the numbers of a CUDA graph's replays are not their own.
 */
static bool stream_edge(struct kineto_streams *streams, uint32_t task, uint32_t on)
{
    if (on == TRACE_NONE || on == task ||
        streams->kineto->tasks.at[on].end > streams->kineto->tasks.at[task].start)
        return false;
    VECTOR_PUSH(&streams->edges, ((struct kineto_edge){task, on}));
    return true;
}

/* When the event for which a stream waits was recorded. Older versions do not say by which call: then by the
 * last one before the wait. INT64_MIN: it was not. */
static int64_t stream_record(const struct kineto_streams *streams, const struct kineto_wait *wait,
                             uint32_t call)
{
    uint32_t record =
        wait->record == KINETO_NONE ? streams->record[call] : kineto_stream_call(streams, wait->record);
    return record == TRACE_NONE ? INT64_MIN : streams->kineto->calls.at[record].start;
}

/* The event was recorded after the last task launched before the record; who waits is the next one that is
 * launched into the waiting stream. */
static bool stream_recorded(struct kineto_streams *streams, const struct kineto_wait *wait)
{
    const struct kineto *kineto = streams->kineto;
    uint32_t call = kineto_stream_call(streams, wait->correlation);
    const struct kineto_queue *to = kineto_stream_queue(streams, wait->stream);
    const struct kineto_queue *from = kineto_stream_queue(streams, wait->on);
    if (wait->host || call == TRACE_NONE || !to || !from || to == from)
        return false;
    int64_t recorded = stream_record(streams, wait, call);
    uint32_t next = stream_launched(streams, to, kineto->calls.at[call].start);
    return next < to->count && stream_edge(streams, streams->order[to->first + next],
                                           kineto_stream_last(streams, from, recorded, INT64_MAX));
}

/* Without a record of who waits for what: a kernel of NCCL waits for what was launched before it into the
 * streams that compute; another task, where the host has called for a wait since the launch before it, for
 * what had ended of the other streams when it began. */
static uint64_t stream_inferred(struct kineto_streams *streams, uint32_t task, int64_t called)
{
    const struct kineto *kineto = streams->kineto;
    bool nccl = kineto->tasks.at[task].nccl;
    uint64_t found = 0;
    if (!nccl && called == INT64_MIN)
        return 0;
    for (uint32_t q = 0; q < streams->queues.count; q++) {
        const struct kineto_queue *queue = &streams->queues.at[q];
        if (queue->stream == kineto->tasks.at[task].stream || (nccl && !(queue->work > 0)))
            continue;
        found += stream_edge(streams, task,
                             kineto_stream_last(streams, queue, nccl ? streams->launched[task] : called,
                                                kineto->tasks.at[task].start));
    }
    return found;
}

/* Tasks by their launches. */
static uint32_t *stream_by_launch(struct kineto_streams *streams)
{
    uint32_t count = streams->kineto->tasks.count;
    struct correlated *by = ARENA_ARRAY(&streams->arena, struct correlated, count + 1);
    uint32_t *order = ARENA_ARRAY(&streams->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        by[i] = (struct correlated){streams->launched[i], i};
    qsort(by, count, sizeof *by, correlated_order);
    for (uint32_t i = 0; i < count; i++)
        order[i] = by[i].index;
    return order;
}

static void stream_infer(struct kineto_streams *streams, struct kineto_counts *counts)
{
    const struct kineto *kineto = streams->kineto;
    const uint32_t *order = stream_by_launch(streams);
    uint32_t call = 0;
    for (uint32_t i = 0; i < kineto->tasks.count; i++) {
        int64_t called = INT64_MIN;
        for (; call < kineto->calls.count && kineto->calls.at[call].start < streams->launched[order[i]];
             call++)
            if (kineto->calls.at[call].kind == KINETO_WAIT)
                called = kineto->calls.at[call].start;
        counts->inferred_waits += stream_inferred(streams, order[i], called);
    }
}

void kineto_stream_init(struct kineto_streams *streams, struct kineto *kineto, struct kineto_counts *counts)
{
    uint32_t count = kineto->tasks.count;
    uint64_t recorded = 0, told = 0;
    *streams = (struct kineto_streams){.kineto = kineto};
    arena_init(&streams->arena);
    streams->call = ARENA_ARRAY(&streams->arena, uint32_t, count + 1);
    streams->before = ARENA_ARRAY(&streams->arena, uint32_t, count + 1);
    streams->order = ARENA_ARRAY(&streams->arena, uint32_t, count + 1);
    streams->launched = ARENA_ARRAY(&streams->arena, int64_t, count + 1);
    stream_sort(streams);
    stream_fill(streams, counts);
    for (uint32_t i = 0; i < kineto->waits.count; i++) {
        told += !kineto->waits.at[i].host;
        recorded += stream_recorded(streams, &kineto->waits.at[i]);
    }
    counts->recorded_waits += recorded;
    if (!told)
        stream_infer(streams, counts);
    if (streams->edges.count)
        qsort(streams->edges.at, streams->edges.count, sizeof *streams->edges.at, edge_order);
}

void kineto_stream_fini(struct kineto_streams *streams)
{
    VECTOR_FREE(&streams->queues);
    VECTOR_FREE(&streams->edges);
    arena_fini(&streams->arena);
}
