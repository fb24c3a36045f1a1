/* bench_engine [STEPS]: a synthetic training job of 64 ranks in 8 NVSwitch nodes: tensor groups of 8 inside
 * the nodes, pipeline messages between them. 21,000 operations a rank, 1.4 million in all, with 82,000
 * collectives and 29,000 messages. Prints seconds of processor time. `bench_engine 8 steps` carries the
 * collectives as their steps, `bench_engine 8 packet` (or any level) has that level of the network. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NODES = 8, PER_NODE = 8, RANKS = NODES * PER_NODE, MICRO_BATCHES = 32, LAYERS = 20 };

struct builder {
    struct arena *arena;
    VECTOR(struct op) ops;
    struct index_list dependencies;
};

static void add_link(struct platform *platform, uint32_t from, uint32_t to, double bandwidth, double latency)
{
    VECTOR_PUSH(&platform->links, ((struct link){.bandwidth = bandwidth, .latency = latency}));
    VECTOR_PUSH(&platform->arcs, ((struct arc){from, to, platform->links.count - 1}));
}

static int compare_arcs(const void *a, const void *b)
{
    const struct arc *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Nodes: 64 devices, 8 NVSwitches, 8 rails (rail i joins device i of every node). */
static void build_platform(struct platform *platform)
{
    for (uint32_t n = 0; n < RANKS + NODES + PER_NODE; n++)
        VECTOR_PUSH(&platform->nodes, ((struct node){.device = n < RANKS ? n : UINT32_MAX}));
    for (uint32_t d = 0; d < RANKS; d++) {
        VECTOR_PUSH(&platform->devices, ((struct device){.node = d, .speed = 1}));
        uint32_t nvswitch = RANKS + d / PER_NODE, rail = RANKS + NODES + d % PER_NODE;
        add_link(platform, d, nvswitch, 300e9, 1e-6);
        add_link(platform, nvswitch, d, 300e9, 1e-6);
        add_link(platform, d, rail, 25e9, 2e-6);
        add_link(platform, rail, d, 25e9, 2e-6);
    }
    qsort(platform->arcs.at, platform->arcs.count, sizeof *platform->arcs.at, compare_arcs);
    uint32_t nodes = platform->nodes.count;
    platform->first_arc = ARENA_ARRAY(&platform->arena, uint32_t, nodes + 1);
    for (uint32_t a = 0; a < platform->arcs.count; a++)
        platform->first_arc[platform->arcs.at[a].from + 1]++;
    for (uint32_t n = 0; n < nodes; n++)
        platform->first_arc[n + 1] += platform->first_arc[n];
}

static uint32_t add_op(struct builder *builder, struct op op, uint32_t dependency)
{
    op.first_dependency = builder->dependencies.count;
    if (dependency != PROGRAM_NONE) {
        op.dependency_count = 1;
        VECTOR_PUSH(&builder->dependencies, dependency);
    }
    VECTOR_PUSH(&builder->ops, op);
    return builder->ops.count - 1;
}

enum { COMPUTE_STREAM, TENSOR_STREAM, PIPELINE_STREAM, STREAMS };
enum { TENSOR_SLOT, FORWARD_IN, FORWARD_OUT, BACKWARD_IN, BACKWARD_OUT, SLOTS };

/* One pass of a micro-batch over the stage's layers: receive, computations with an all-reduce every fifth,
 * send. */
static void add_pass(struct builder *builder, uint32_t stage, uint32_t *tensor, uint32_t message,
                     bool forward)
{
    bool first = forward ? stage == 0 : stage == NODES - 1, last = forward ? stage == NODES - 1 : stage == 0;
    uint32_t before = PROGRAM_NONE;
    if (!first)
        before = add_op(builder,
                        (struct op){.kind = OP_RECEIVE,
                                    .stream = PIPELINE_STREAM,
                                    .group = forward ? FORWARD_IN : BACKWARD_IN,
                                    .match = message,
                                    .bytes = 8e6},
                        PROGRAM_NONE);
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        before = add_op(builder,
                        (struct op){.kind = OP_COMPUTE,
                                    .stream = COMPUTE_STREAM,
                                    .group = PROGRAM_NONE,
                                    .seconds = (1 + layer % 3) * 1e-4 * (forward ? 1 : 2)},
                        before);
        before = add_op(builder,
                        (struct op){.kind = OP_COLLECTIVE,
                                    .collective = ALL_REDUCE,
                                    .stream = TENSOR_STREAM,
                                    .group = TENSOR_SLOT,
                                    .match = (*tensor)++,
                                    .bytes = 16e6},
                        before);
    }
    if (!last)
        add_op(builder,
               (struct op){.kind = OP_SEND,
                           .stream = PIPELINE_STREAM,
                           .group = forward ? FORWARD_OUT : BACKWARD_OUT,
                           .match = message,
                           .bytes = 8e6},
               before);
}

static void build_program(struct arena *arena, struct program *program, uint32_t stage, uint32_t steps,
                          uint32_t *tensor)
{
    struct builder builder = {.arena = arena};
    *tensor = 0;
    for (uint32_t step = 0; step < steps; step++) {
        for (uint32_t m = 0; m < MICRO_BATCHES; m++)
            add_pass(&builder, stage, tensor, step * MICRO_BATCHES + m, true);
        for (uint32_t m = 0; m < MICRO_BATCHES; m++)
            add_pass(&builder, stage, tensor, step * MICRO_BATCHES + m, false);
    }
    program->op_count = builder.ops.count;
    program->ops = arena_copy(arena, builder.ops.at, builder.ops.count * sizeof *builder.ops.at);
    program->dependency_count = builder.dependencies.count;
    program->dependencies =
        arena_copy(arena, builder.dependencies.at, builder.dependencies.count * sizeof(uint32_t));
    program->stream_count = STREAMS;
    program->streams = ARENA_ARRAY(arena, struct program_stream, STREAMS);
    VECTOR_FREE(&builder.ops);
    VECTOR_FREE(&builder.dependencies);
}

/* Groups 0 … 7: tensor; then per device of a node and per boundary: forward and backward. */
static void build_job(struct job *job, uint32_t steps)
{
    struct arena *arena = &job->arena;
    job->program_count = NODES;
    job->programs = ARENA_ARRAY(arena, struct program, NODES);
    job->rank_count = RANKS;
    job->ranks = ARENA_ARRAY(arena, struct rank, RANKS);
    job->group_count = NODES + 2 * PER_NODE * (NODES - 1);
    job->groups = ARENA_ARRAY(arena, struct group, job->group_count);
    job->members = ARENA_ARRAY(arena, uint32_t, RANKS + 2 * (job->group_count - NODES));
    job->group_table_count = RANKS * SLOTS;
    job->group_table = ARENA_ARRAY(arena, uint32_t, job->group_table_count);
    job->steps = steps;
    uint32_t tensor = 0;
    for (uint32_t stage = 0; stage < NODES; stage++)
        build_program(arena, &job->programs[stage], stage, steps, &tensor);
    for (uint32_t r = 0; r < RANKS; r++) {
        job->ranks[r] = (struct rank){
            .device = r, .program = r / PER_NODE, .stage = r / PER_NODE, .first_group = r * SLOTS};
        job->group_table[r * SLOTS] = r / PER_NODE;
        job->members[r] = r;
    }
    for (uint32_t g = 0; g < NODES; g++)
        job->groups[g] =
            (struct group){.first_member = g * PER_NODE, .member_count = PER_NODE, .match_count = tensor};
    job->member_count = RANKS;
    for (uint32_t b = 0; b < (NODES - 1) * PER_NODE; b++) {
        for (uint32_t back = 0; back < 2; back++) {
            uint32_t from = back ? b + PER_NODE : b, to = back ? b : b + PER_NODE, g = NODES + 2 * b + back;
            job->groups[g] = (struct group){
                .first_member = job->member_count, .member_count = 2, .match_count = steps * MICRO_BATCHES};
            job->members[job->member_count++] = from;
            job->members[job->member_count++] = to;
            job->group_table[from * SLOTS + (back ? BACKWARD_OUT : FORWARD_OUT)] = g;
            job->group_table[to * SLOTS + (back ? BACKWARD_IN : FORWARD_IN)] = g;
        }
    }
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* FNV-1a of all times: the same for every compiler and build type. */
static uint64_t hash_times(const struct engine_result *result)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < result->first_record[RANKS]; i++) {
        double times[] = {result->records[i].ready, result->records[i].start, result->records[i].end};
        unsigned char bytes[sizeof times];
        memcpy(bytes, times, sizeof bytes);
        for (size_t b = 0; b < sizeof bytes; b++)
            hash = (hash ^ bytes[b]) * 0x100000001b3u;
    }
    return hash;
}

int main(int count, char **arguments)
{
    uint32_t steps = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 8;
    bool by_steps = count > 2 && !strcmp(arguments[2], "steps");
    struct engine_options options = {.level = by_steps ? ENGINE_STEPS : ENGINE_FLUID,
                                     .network = count > 2 ? network_model_find(arguments[2]) : NULL};
    struct names names;
    names_init(&names);
    struct platform platform;
    platform_init(&platform, &names);
    build_platform(&platform);
    struct job job = {.names = &names};
    arena_init(&job.arena);
    build_job(&job, steps);
    struct engine_result result;
    const char *error;
    double begin = seconds_now();
    if (!engine_run(&platform, &job, &options, &result, &error)) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    double seconds = seconds_now() - begin;
    printf("%u operations, %u transfers, %llu events, makespan %.9f s: %.3f s, %.0f ns per operation\n",
           result.first_record[RANKS], result.transfer_count, (unsigned long long)result.events,
           result.makespan, seconds, 1e9 * seconds / result.first_record[RANKS]);
    printf("times %016llx\n", (unsigned long long)hash_times(&result));
    engine_result_fini(&result);
    arena_fini(&job.arena);
    platform_fini(&platform);
    names_fini(&names);
    return 0;
}
