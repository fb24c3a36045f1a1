/* The host of a rank is one thread in what follows: what its threads launch comes in the order and at the
 * distances recorded, whichever thread it was, since one of them works while the others wait for it. Where it
 * waits for the GPU it does not work: only what it does after the end of what it waited for counts.
 *
 * A task starts when the host has launched it, the task before it in its stream has ended and so have those
 * of other streams that it waits for; what was recorded beyond these (the latency of a launch, the gap
 * between two kernels) is a node of its own before it. Replayed with the recorded durations, everything
 * therefore happens when it was recorded. */
#include "trace/kineto_group.h"
#include "trace/kineto_stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A moment of the host. */
struct moment {
    int64_t time;
    uint32_t call;
    uint32_t first_waited, waited_count; /* tasks whose ends it saw, in the builder's `waited` */
    bool returns;                        /* the host goes on after a wait; else the call begins */
};
struct moment_list {
    struct moment *at;
    uint32_t count, room;
};

struct builder {
    struct input *input;
    struct trace *trace;
    struct kineto *kineto;
    struct trace_rank *rank;
    struct kineto_counts *counts;
    struct kineto_streams streams;
    struct arena arena;
    struct moment_list moments;
    struct index_list waited;
    uint64_t *launch;      /* per call: identity of the node after which it is launched; UINT64_MAX: none */
    int64_t origin;        /* nanoseconds: when the rank's replay begins */
    int64_t compute;       /* the stream that computes most */
    bool several;          /* the rank has more than one GPU */
    double *flops, *bytes; /* per task */
};

/* Identities: task i is 2i + 1, what it waits before it begins 2i, the host's nodes come after. */
static uint64_t build_task_id(uint32_t task)
{
    return 2 * (uint64_t)task + 1;
}

static double build_seconds(int64_t nanoseconds)
{
    return (double)nanoseconds / 1e9;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static uint32_t build_name(struct builder *b, const char *text)
{
    return names_add(b->trace->names, text);
}

/* The step that a moment belongs to, from 0. */
static int64_t build_step(const struct builder *b, int64_t time)
{
    int64_t step = 0;
    for (uint32_t i = 1; i < b->kineto->steps.count; i++)
        step += b->kineto->steps.at[i].start <= time;
    return step;
}

static struct trace_node build_node(struct builder *b, uint64_t id, enum trace_type type, int64_t start,
                                    int64_t duration)
{
    return (struct trace_node){.id = id,
                               .type = type,
                               .start = build_seconds(start - b->origin),
                               .duration = build_seconds(duration),
                               .seconds = build_seconds(duration),
                               .size = NAN,
                               .model_flops = NAN,
                               .kind = -1,
                               .source = -1,
                               .target = -1,
                               .pass = -1,
                               .first_dependency = b->rank->ids.count};
}

static void build_wait(struct builder *b, struct trace_node *node, uint64_t id)
{
    VECTOR_PUSH(&b->rank->ids, id);
    node->dependency_count++;
}

static int moment_order(const void *left, const void *right)
{
    const struct moment *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->call != b->call)
        return a->call < b->call ? -1 : 1;
    return (int)a->returns - (int)b->returns;
}

/* What the profile says on a wait of the host; NULL: nothing. */
static const struct kineto_wait *build_told(const struct kineto *kineto, int64_t correlation)
{
    for (uint32_t low = 0, high = kineto->waits.count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        const struct kineto_wait *wait = &kineto->waits.at[middle];
        if (wait->correlation == correlation)
            return wait->host ? wait : NULL;
        if (wait->correlation < correlation)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The tasks that the host waited for in a call, appended to b->waited: the last ones of all streams, or of
 * the one that the profile names, or else the one of them that ended last before the call returned. */
static void build_waited(struct builder *b, const struct kineto_call *call)
{
    const struct kineto_wait *told = build_told(b->kineto, call->correlation);
    int64_t stream = told ? told->record != KINETO_NONE ? told->on : told->stream : KINETO_NONE;
    bool all = call->kind == KINETO_FINISH || told;
    uint32_t record = told ? kineto_stream_call(&b->streams, told->record) : TRACE_NONE, found = TRACE_NONE;
    int64_t before = record != TRACE_NONE ? b->kineto->calls.at[record].start : call->start;
    for (uint32_t q = 0; q < b->streams.queues.count; q++) {
        const struct kineto_queue *queue = &b->streams.queues.at[q];
        uint32_t last = kineto_stream_last(&b->streams, queue, before, call->end);
        if ((stream != KINETO_NONE && queue->stream != stream) || last == TRACE_NONE)
            continue;
        if (all)
            VECTOR_PUSH(&b->waited, last);
        else if (found == TRACE_NONE || b->kineto->tasks.at[last].end > b->kineto->tasks.at[found].end)
            found = last;
    }
    if (found != TRACE_NONE)
        VECTOR_PUSH(&b->waited, found);
}

/* Moments of launches that launched something, and of waits. A copy that has ended when its call returns was
 * waited for. */
static void build_moments(struct builder *b)
{
    const struct kineto *kineto = b->kineto;
    uint32_t *of = ARENA_ARRAY(&b->arena, uint32_t, kineto->calls.count + 1);
    for (uint32_t i = 0; i < kineto->tasks.count; i++)
        if (b->streams.call[i] != TRACE_NONE)
            of[b->streams.call[i]] = i + 1;
    for (uint32_t c = 0; c < kineto->calls.count; c++) {
        const struct kineto_call *call = &kineto->calls.at[c];
        bool waits = call->kind == KINETO_SYNCHRONIZE || call->kind == KINETO_FINISH;
        uint32_t first = b->waited.count;
        if (!waits && !of[c])
            continue;
        const struct kineto_task *task = of[c] ? &kineto->tasks.at[of[c] - 1] : NULL;
        if (waits)
            build_waited(b, call);
        if (task && task->kind == KINETO_COPY && task->end <= call->end) {
            VECTOR_PUSH(&b->waited, of[c] - 1);
            waits = true;
        }
        VECTOR_PUSH(&b->moments, ((struct moment){call->start, c, 0, 0, false}));
        if (waits)
            VECTOR_PUSH(&b->moments, ((struct moment){call->end, c, first, b->waited.count - first, true}));
        b->counts->launches += of[c] > 0;
        b->counts->synchronizations += waits;
    }
    if (b->moments.count)
        qsort(b->moments.at, b->moments.count, sizeof *b->moments.at, moment_order);
}

static void build_host(struct builder *b)
{
    uint64_t id = 2 * (uint64_t)b->kineto->tasks.count;
    int64_t before = b->origin;
    uint32_t work = build_name(b, "host"), wait = build_name(b, "host after a wait");
    for (uint32_t i = 0; i < b->kineto->calls.count; i++)
        b->launch[i] = UINT64_MAX;
    for (uint32_t i = 0; i < b->moments.count; i++) {
        const struct moment *moment = &b->moments.at[i];
        int64_t from = before;
        for (uint32_t w = 0; w < moment->waited_count; w++)
            from = later(from, b->kineto->tasks.at[b->waited.at[moment->first_waited + w]].end);
        struct trace_node node =
            build_node(b, id, TRACE_COMPUTE, from, moment->time > from ? moment->time - from : 0);
        node.name = moment->returns ? wait : work;
        node.host = true;
        node.step = build_step(b, moment->time);
        if (i)
            build_wait(b, &node, id - 1);
        for (uint32_t w = 0; w < moment->waited_count; w++)
            build_wait(b, &node, build_task_id(b->waited.at[moment->first_waited + w]));
        VECTOR_PUSH(&b->rank->nodes, node);
        if (!moment->returns)
            b->launch[moment->call] = id;
        before = moment->time;
        id++;
    }
}

/* The stream's name: the one that computes most is that of every program. */
static uint32_t build_stream(struct builder *b, int64_t stream)
{
    long long device = (long long)(stream >> 32), number = (long long)(stream & INT32_MAX);
    if (stream == b->compute)
        return build_name(b, "compute");
    return build_name(
        b, b->several ? arena_format(&b->arena, "gpu %lld stream %lld", device, number)
                      : arena_format(&b->arena, "%s %lld", b->kineto->host ? "thread" : "stream", number));
}

/* What a task waits for, as dependencies of `node`; returns when the last of it had happened. */
static int64_t build_causes(struct builder *b, uint32_t index, uint32_t *edge, struct trace_node *node)
{
    const struct kineto *kineto = b->kineto;
    uint32_t call = b->streams.call[index], before = b->streams.before[index];
    int64_t ready = b->origin;
    if (call != TRACE_NONE && b->launch[call] != UINT64_MAX) {
        build_wait(b, node, b->launch[call]);
        ready = later(ready, kineto->calls.at[call].start);
    }
    if (before != TRACE_NONE) {
        build_wait(b, node, build_task_id(before));
        ready = later(ready, kineto->tasks.at[before].end);
    }
    for (; *edge < b->streams.edges.count && b->streams.edges.at[*edge].task == index; ++*edge) {
        build_wait(b, node, build_task_id(b->streams.edges.at[*edge].on));
        ready = later(ready, kineto->tasks.at[b->streams.edges.at[*edge].on].end);
    }
    return ready;
}

/* A collective or message instead of a kernel of NCCL. */
static bool build_communication(struct builder *b, const struct kineto_task *task, struct trace_node *node)
{
    const struct kineto_communication *made = &b->kineto->communications.at[task->communication];
    node->name = made->name;
    node->size = made->size;
    node->kind = made->kind;
    if (made->kind == KINETO_NONE) {
        bool sends = made->target >= 0;
        node->type = sends ? TRACE_SEND : TRACE_RECEIVE;
        node->source = sends ? KINETO_NONE : made->source;
        node->target = sends ? made->target : KINETO_NONE;
        b->counts->messages++;
        return true;
    }
    node->type = TRACE_COLLECTIVE;
    node->tag = made->sequence >= 0 ? made->sequence : 0;
    b->counts->collectives++;
    if (!kineto_group_find(b->input, b->trace, b->kineto, made, &node->pg))
        return false;
    const char *called = names_text(b->trace->names, made->description);
    if (*called && strcmp(called, "default_pg") != 0 && strcmp(called, "undefined") != 0)
        node->label = made->description;
    int64_t elements = 0;
    for (uint32_t i = 0; i < made->split_count; i++)
        elements += b->kineto->numbers.at[made->first_split + i];
    if (made->kind != 6 || elements <= 0)
        return true;
    node->first_share = b->rank->shares.count;
    node->share_count = made->split_count;
    for (uint32_t i = 0; i < made->split_count; i++)
        VECTOR_PUSH(&b->rank->shares,
                    made->size * (double)b->kineto->numbers.at[made->first_split + i] / (double)elements);
    return true;
}

static bool build_computes(const struct kineto_task *task)
{
    return task->kind == KINETO_KERNEL || task->kind == KINETO_OPERATOR;
}

static bool build_task(struct builder *b, uint32_t index, uint32_t *edge)
{
    const struct kineto_task *task = &b->kineto->tasks.at[index];
    int64_t length = task->end - task->start;
    struct trace_node node = build_node(b, build_task_id(index), TRACE_COMPUTE, task->start, length);
    int64_t ready = build_causes(b, index, edge, &node);
    node.name = task->name;
    node.stream = build_stream(b, task->stream);
    node.step = build_step(b, b->streams.launched[index]);
    node.flops = b->flops[index];
    node.bytes = b->bytes[index];
    if (ready < task->start) {
        struct trace_node latency = node;
        latency.id--;
        latency.name = build_name(b, b->kineto->host ? "between operators" : "launch latency");
        latency.stream =
            build_name(b, arena_format(&b->arena, "%s launches", names_text(b->trace->names, node.stream)));
        latency.fixed = true;
        latency.flops = latency.bytes = 0;
        latency.start = build_seconds(ready - b->origin);
        latency.duration = latency.seconds = build_seconds(task->start - ready);
        VECTOR_PUSH(&b->rank->nodes, latency);
        node.first_dependency = b->rank->ids.count;
        node.dependency_count = 0;
        build_wait(b, &node, latency.id);
    }
    b->counts->kernels += task->kind == KINETO_KERNEL;
    b->counts->operators += task->kind == KINETO_OPERATOR;
    b->counts->copies += task->kind == KINETO_COPY || task->kind == KINETO_SET;
    bool good = true;
    if (task->communication != TRACE_NONE)
        good = build_communication(b, task, &node);
    else if (task->nccl)
        b->counts->unknown_communications++;
    node.fixed = task->communication == TRACE_NONE &&
                 (task->nccl || (!build_computes(task) && task->stream != b->compute));
    VECTOR_PUSH(&b->rank->nodes, node);
    return good;
}

static int operator_order(const void *left, const void *right)
{
    const struct kineto_operator *a = left, *b = right;
    if (a->external != b->external)
        return a->external < b->external ? -1 : 1;
    return a->communication < b->communication ? -1 : a->communication > b->communication;
}

/* The first operator of a number; TRACE_NONE: nothing is known of it. */
static uint32_t build_operator(const struct kineto *kineto, int64_t external)
{
    uint32_t low = 0, high = kineto->operators.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kineto->operators.at[middle].external < external)
            low = middle + 1;
        else
            high = middle;
    }
    return low < kineto->operators.count && kineto->operators.at[low].external == external ? low : TRACE_NONE;
}

/* FLOPs and bytes of tasks: their own, else the share of their operator's that their time has. Of kernels of
 * NCCL what they send, where only the operator says it. */
static void build_work(struct builder *b)
{
    struct kineto *kineto = b->kineto;
    if (kineto->operators.count)
        qsort(kineto->operators.at, kineto->operators.count, sizeof *kineto->operators.at, operator_order);
    double *time = ARENA_ARRAY(&b->arena, double, kineto->operators.count + 1);
    uint32_t *of = ARENA_ARRAY(&b->arena, uint32_t, kineto->tasks.count + 1);
    for (uint32_t i = 0; i < kineto->tasks.count; i++) {
        struct kineto_task *task = &kineto->tasks.at[i];
        of[i] = build_operator(kineto, task->external);
        if (of[i] != TRACE_NONE && task->nccl && task->communication == TRACE_NONE)
            task->communication = kineto->operators.at[of[i]].communication;
        if (of[i] != TRACE_NONE && task->kind == KINETO_KERNEL)
            time[of[i]] += (double)(task->end - task->start);
    }
    for (uint32_t i = 0; i < kineto->tasks.count; i++) {
        const struct kineto_task *task = &kineto->tasks.at[i];
        bool kernel = build_computes(task), own = task->flops > 0 || (kernel && task->bytes > 0);
        bool moves = task->kind == KINETO_SET || strstr(names_text(b->trace->names, task->name), "DtoD");
        b->flops[i] = kernel ? task->flops : 0;
        b->bytes[i] = kernel ? task->bytes : moves ? task->bytes * (task->kind == KINETO_COPY ? 2 : 1) : 0;
        if (own || !kernel || of[i] == TRACE_NONE || !(time[of[i]] > 0))
            continue;
        double share = (double)(task->end - task->start) / time[of[i]];
        b->flops[i] = share * kineto->operators.at[of[i]].flops;
        b->bytes[i] = share * kineto->operators.at[of[i]].bytes;
    }
}

static int step_order(const void *left, const void *right)
{
    const struct kineto_step *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

static void build_begin(struct builder *b)
{
    const struct kineto *kineto = b->kineto;
    double most = -1;
    if (kineto->steps.count)
        qsort(kineto->steps.at, kineto->steps.count, sizeof *kineto->steps.at, step_order);
    b->origin = kineto->tasks.at[0].start;
    if (kineto->steps.count && kineto->steps.at[0].start < b->origin)
        b->origin = kineto->steps.at[0].start;
    if (b->moments.count && b->moments.at[0].time < b->origin)
        b->origin = b->moments.at[0].time;
    b->compute = KINETO_NONE;
    for (uint32_t q = 0; q < b->streams.queues.count; q++) {
        const struct kineto_queue *queue = &b->streams.queues.at[q];
        b->several = b->several || queue->stream >> 32 != b->streams.queues.at[0].stream >> 32;
        if (queue->work > most) {
            most = queue->work;
            b->compute = queue->stream;
        }
    }
}

static int node_order(const void *left, const void *right)
{
    const struct trace_node *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* In the order of time, and numbered so, for who reads them. */
static void build_renumber(struct builder *b)
{
    struct trace_rank *rank = b->rank;
    uint64_t *number =
        ARENA_ARRAY(&b->arena, uint64_t, 2 * (size_t)b->kineto->tasks.count + b->moments.count + 1);
    qsort(rank->nodes.at, rank->nodes.count, sizeof *rank->nodes.at, node_order);
    for (uint32_t i = 0; i < rank->nodes.count; i++) {
        number[rank->nodes.at[i].id] = i;
        rank->nodes.at[i].id = i;
    }
    for (uint32_t i = 0; i < rank->ids.count; i++)
        rank->ids.at[i] = number[rank->ids.at[i]];
}

bool kineto_build(struct input *input, struct trace *trace, struct kineto *kineto, struct trace_rank *rank,
                  struct kineto_counts *counts)
{
    struct builder b = {.input = input, .trace = trace, .kineto = kineto, .rank = rank, .counts = counts};
    uint32_t edge = 0;
    bool good = true;
    arena_init(&b.arena);
    b.launch = ARENA_ARRAY(&b.arena, uint64_t, kineto->calls.count + 1);
    b.flops = ARENA_ARRAY(&b.arena, double, kineto->tasks.count + 1);
    b.bytes = ARENA_ARRAY(&b.arena, double, kineto->tasks.count + 1);
    kineto_stream_init(&b.streams, kineto, counts);
    build_moments(&b);
    build_begin(&b);
    build_work(&b);
    build_host(&b);
    for (uint32_t i = 0; i < kineto->tasks.count && good; i++)
        good = build_task(&b, i, &edge);
    build_renumber(&b);
    for (uint32_t i = 0; i < kineto->unused.count; i++)
        kineto_count(&counts->unused, kineto->unused.at[i].name, kineto->unused.at[i].count);
    if (kineto->world > trace->world && kineto->world <= 16777216)
        trace->world = (uint32_t)kineto->world;
    VECTOR_FREE(&b.moments);
    VECTOR_FREE(&b.waited);
    kineto_stream_fini(&b.streams);
    arena_fini(&b.arena);
    return good;
}
