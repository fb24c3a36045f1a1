/* A pipeline built by hand for the tests of recording and drawing: stages in a row, each of `data` members
 * that synchronise gradients; one F and one B per micro-batch in 1F1B order, messages between the stages, one
 * all-reduce and one optimizer operation per layer. Its own small executor fills in the engine's result, so
 * these tests need neither planner nor engine. Times are exact in binary where the inputs are. */
#ifndef PARTITA_TEST_PIPELINE_H
#define PARTITA_TEST_PIPELINE_H

#include "plan/plan.h"
#include "plan/schedule.h"
#include "record/recorder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* cmocka's own comparison rounds to float. */
#define ASSERT_CLOSE(actual, expected, tolerance)                                                            \
    do {                                                                                                     \
        double actual_ = (actual), expected_ = (expected);                                                   \
        if (!(fabs(actual_ - expected_) <= (tolerance)))                                                     \
            fail_msg("%s is %.17g, expected %.17g", #actual, actual_, expected_);                            \
    } while (0)

struct pipeline_shape {
    uint32_t stages, data, micro_batches, layers, steps;
    bool inference;
    double forward;   /* seconds per layer; B takes twice that, O half */
    double message;   /* bytes between stages */
    double gradient;  /* bytes per layer */
    double bandwidth; /* bytes per second, of every link */
    double latency;   /* seconds */
};

static const struct pipeline_shape pipeline_small = {.stages = 2,
                                                     .data = 2,
                                                     .micro_batches = 4,
                                                     .layers = 2,
                                                     .steps = 1,
                                                     .forward = 0x1p-7,
                                                     .message = 0x1p20,
                                                     .gradient = 0x1p22,
                                                     .bandwidth = 0x1p28,
                                                     .latency = 0x1p-14};

struct pipeline {
    struct pipeline_shape shape;
    struct names names;
    struct arena arena; /* of the result */
    struct platform platform;
    struct model model;
    struct plan plan;
    struct job job;
    struct engine_result result;
};

enum { PIPELINE_GROUPS = 5 }; /* a rank's table: data, forward out and in, backward out and in */
enum { STREAM_COMPUTE, STREAM_DATA, STREAM_SEND, STREAM_RECEIVE, PIPELINE_STREAMS };

struct pipeline_list {
    VECTOR(struct op) ops;
    VECTOR(uint32_t) dependencies;
};

/* Appends an operation that depends on at most one slot; returns its own. */
static inline uint32_t pipeline_add(struct pipeline_list *list, struct op op, uint32_t dependency)
{
    op.first_dependency = list->dependencies.count;
    if (dependency != PROGRAM_NONE) {
        VECTOR_PUSH(&list->dependencies, dependency);
        op.dependency_count = 1;
    }
    VECTOR_PUSH(&list->ops, op);
    return list->ops.count - 1;
}

/* F or B of one micro-batch on a stage: receive, compute, send. */
static inline void pipeline_pass(struct pipeline *p, struct pipeline_list *list, uint32_t stage,
                                 uint32_t step, uint32_t micro_batch, uint8_t pass)
{
    const struct pipeline_shape *shape = &p->shape;
    bool forward = pass == PASS_F;
    bool first = stage == (forward ? 0 : shape->stages - 1),
         last = stage == (forward ? shape->stages - 1 : 0);
    uint32_t match = step * shape->micro_batches + micro_batch, slot = PROGRAM_NONE;
    struct op op = {.micro_batch = micro_batch, .step = step, .pass = pass, .match = match};
    op.label = names_add(&p->names, forward ? "activations" : "gradients");
    op.bytes = shape->message;
    if (!first) {
        op.kind = OP_RECEIVE;
        op.stream = STREAM_RECEIVE;
        op.group = forward ? 2 : 4;
        slot = pipeline_add(list, op, PROGRAM_NONE);
    }
    for (uint32_t i = 0; i < shape->layers; i++) {
        uint32_t layer = stage * shape->layers + (forward ? i : shape->layers - 1 - i);
        struct op work = {.micro_batch = micro_batch,
                          .step = step,
                          .pass = pass,
                          .group = PROGRAM_NONE,
                          .seconds = shape->forward * (forward ? 1 : 2),
                          .flops = forward ? 1e9 : 2e9,
                          .memory_bytes = 1e6};
        char name[32];
        snprintf(name, sizeof name, "block[%u]", layer);
        work.label = names_add(&p->names, name);
        work.model_flops = work.flops;
        slot = pipeline_add(list, work, slot);
    }
    if (!last) {
        op.kind = OP_SEND;
        op.stream = STREAM_SEND;
        op.group = forward ? 1 : 3;
        pipeline_add(list, op, slot);
    }
}

/* Gradient synchronisation and optimizer, layer by layer from the last. */
static inline void pipeline_update(struct pipeline *p, struct pipeline_list *list, uint32_t step)
{
    const struct pipeline_shape *shape = &p->shape;
    uint32_t backward = list->ops.count;
    while (list->ops.at[backward - 1].kind != OP_COMPUTE)
        backward--;
    backward -= shape->layers;
    for (uint32_t i = 0; i < shape->layers; i++) {
        struct op op = {.step = step, .pass = PASS_S, .kind = OP_COLLECTIVE, .collective = ALL_REDUCE};
        op.label = list->ops.at[backward + i].label;
        op.bytes = shape->gradient;
        op.stream = STREAM_DATA;
        op.match = step * shape->layers + i;
        uint32_t slot = backward + i;
        if (shape->data > 1)
            slot = pipeline_add(list, op, slot);
        struct op update = {.step = step, .pass = PASS_O, .label = op.label, .group = PROGRAM_NONE};
        update.seconds = shape->forward / 2;
        pipeline_add(list, update, slot);
    }
}

/* Each forward kernel leaves a message's bytes, which the backward kernel gives back; 4 MB stay throughout.
 */
static inline void pipeline_memory(struct pipeline *p, struct program *program)
{
    static const double held[] = {1e6, 1e6, 2e6};
    program->memory = ARENA_ARRAY(&p->job.arena, struct memory_change, program->op_count + 3);
    program->held_count = 3;
    for (uint8_t i = 0; i < 3; i++)
        program->memory[program->memory_count++] =
            (struct memory_change){.bytes = held[i], .op = PROGRAM_NONE, .label = 1, .category = i};
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        bool forward = op->pass == PASS_F, counts = op->kind == OP_COMPUTE && op->pass != PASS_O;
        if (counts && !(forward && p->shape.inference))
            program->memory[program->memory_count++] =
                (struct memory_change){.bytes = forward ? p->shape.message : -p->shape.message,
                                       .op = i,
                                       .label = op->label,
                                       .category = MEMORY_ACTIVATIONS,
                                       .at_end = !forward};
    }
}

static inline void pipeline_program(struct pipeline *p, uint32_t stage)
{
    const struct pipeline_shape *shape = &p->shape;
    struct program *program = &p->job.programs[stage];
    struct pipeline_list list = {0};
    for (uint32_t step = 0; step < shape->steps; step++) {
        uint32_t ahead = shape->inference ? shape->micro_batches : shape->stages - 1 - stage;
        if (ahead > shape->micro_batches)
            ahead = shape->micro_batches;
        for (uint32_t i = 0; i < ahead; i++)
            pipeline_pass(p, &list, stage, step, i, PASS_F);
        for (uint32_t i = 0; i < shape->micro_batches && !shape->inference; i++) {
            if (ahead + i < shape->micro_batches)
                pipeline_pass(p, &list, stage, step, ahead + i, PASS_F);
            pipeline_pass(p, &list, stage, step, i, PASS_B);
        }
        if (!shape->inference)
            pipeline_update(p, &list, step);
    }
    program->op_count = list.ops.count;
    program->ops = arena_copy(&p->job.arena, list.ops.at, list.ops.count * sizeof *list.ops.at);
    pipeline_memory(p, program);
    program->dependency_count = list.dependencies.count;
    program->dependencies = arena_copy(&p->job.arena, list.dependencies.at, 4u * list.dependencies.count);
    program->stream_count = PIPELINE_STREAMS;
    program->streams = ARENA_ARRAY(&p->job.arena, struct program_stream, PIPELINE_STREAMS);
    static const char *const streams[] = {"compute", "data", "send", "receive"};
    for (uint32_t i = 0; i < PIPELINE_STREAMS; i++)
        program->streams[i] = (struct program_stream){names_add(&p->names, streams[i]), i == STREAM_COMPUTE};
    VECTOR_FREE(&list.ops);
    VECTOR_FREE(&list.dependencies);
}

/* Groups: one "data" per stage, then per neighbouring pair of ranks one "pipeline" in each direction. */
static inline void pipeline_groups(struct pipeline *p)
{
    const struct pipeline_shape *shape = &p->shape;
    struct job *job = &p->job;
    uint32_t pairs = (shape->stages - 1) * shape->data;
    job->group_count = shape->stages + 2 * pairs;
    job->groups = ARENA_ARRAY(&job->arena, struct group, job->group_count);
    job->member_count = job->rank_count + 4 * pairs;
    job->members = ARENA_ARRAY(&job->arena, uint32_t, job->member_count);
    job->group_table_count = PIPELINE_GROUPS * job->rank_count;
    job->group_table = ARENA_ARRAY(&job->arena, uint32_t, job->group_table_count);
    for (uint32_t rank = 0; rank < job->rank_count; rank++) {
        job->members[rank] = rank;
        job->group_table[rank * PIPELINE_GROUPS] = rank / shape->data;
    }
    for (uint32_t stage = 0; stage < shape->stages; stage++)
        job->groups[stage] = (struct group){.name = names_add(&p->names, "data"),
                                            .first_member = stage * shape->data,
                                            .member_count = shape->data,
                                            .match_count = shape->steps * shape->layers};
    for (uint32_t pair = 0; pair < pairs; pair++)
        for (uint32_t back = 0; back < 2; back++) {
            uint32_t group = shape->stages + 2 * pair + back, first = job->rank_count + 4 * pair + 2 * back;
            uint32_t from = back ? pair + shape->data : pair, to = back ? pair : pair + shape->data;
            job->members[first] = from;
            job->members[first + 1] = to;
            job->groups[group] = (struct group){.name = names_add(&p->names, "pipeline"),
                                                .first_member = first,
                                                .member_count = 2,
                                                .match_count = shape->steps * shape->micro_batches};
            job->group_table[from * PIPELINE_GROUPS + (back ? 3 : 1)] = group;
            job->group_table[to * PIPELINE_GROUPS + (back ? 4 : 2)] = group;
        }
}

struct pipeline_run {
    double *arrivals; /* per communication: when its flow ends, or how many members are ready so far */
    double *starts;
    uint32_t *first, *last_rank, *last_slot, *ready;
    bool *done; /* per record */
    VECTOR(struct engine_transfer) transfers;
};

/* When an operation's own rank lets it start; false while something before it has not ended. */
static inline bool pipeline_ready(struct pipeline *p, struct pipeline_run *run, uint32_t rank, uint32_t slot,
                                  struct engine_record *record)
{
    const struct program *program = &p->job.programs[p->job.ranks[rank].program];
    const struct op *op = &program->ops[slot];
    uint32_t base = p->result.first_record[rank];
    for (uint32_t i = slot; i-- > 0;)
        if (program->ops[i].stream == op->stream) {
            if (!run->done[base + i])
                return false;
            *record = (struct engine_record){.ready = p->result.records[base + i].end,
                                             .cause = CAUSE_STREAM,
                                             .cause_rank = rank,
                                             .cause_slot = i};
            break;
        }
    for (uint32_t i = 0; i < op->dependency_count; i++) {
        uint32_t on = program->dependencies[op->first_dependency + i];
        if (!run->done[base + on])
            return false;
        if (p->result.records[base + on].end > record->ready || record->cause == CAUSE_BEGIN)
            *record = (struct engine_record){.ready = p->result.records[base + on].end,
                                             .cause = CAUSE_DEPENDENCY,
                                             .cause_rank = rank,
                                             .cause_slot = on};
    }
    return true;
}

static inline void pipeline_transfer(struct pipeline *p, struct pipeline_run *run, const struct op *op,
                                     uint32_t group, double start, double end)
{
    struct engine_transfer transfer = {start, end,       op->bytes, p->shape.latency,
                                       group, op->match, group,     op->label};
    const struct activity *activity = &p->result.activities[group];
    for (uint32_t i = 0; i < activity->usage.count; i++)
        p->result.link_bytes[activity->usage.at[i].link] +=
            op->bytes * activity->bytes_factor * activity->usage.at[i].coefficient;
    VECTOR_PUSH(&run->transfers, transfer);
}

/* Runs one operation if it can: messages are eager, collectives wait for all members. */
static inline bool pipeline_try(struct pipeline *p, struct pipeline_run *run, uint32_t rank, uint32_t slot)
{
    const struct op *op = &p->job.programs[p->job.ranks[rank].program].ops[slot];
    struct engine_record *record = &p->result.records[p->result.first_record[rank] + slot], found = {0};
    if (!pipeline_ready(p, run, rank, slot, &found))
        return false;
    found.start = found.ready;
    found.end = found.start + op->seconds;
    uint32_t group = 0, at = 0;
    if (op->kind != OP_COMPUTE) {
        group = p->job.group_table[rank * PIPELINE_GROUPS + op->group];
        at = run->first[group] + op->match;
        found.end = found.start + p->shape.latency + op->bytes / p->shape.bandwidth;
    }
    if (op->kind == OP_RECEIVE) {
        if (!run->ready[at])
            return false;
        found.start = run->starts[at];
        found.end = fmax(run->arrivals[at], found.ready);
        if (run->arrivals[at] > found.ready) {
            found.cause = CAUSE_PEER;
            found.cause_rank = run->last_rank[at];
            found.cause_slot = run->last_slot[at];
        }
    } else if (op->kind == OP_SEND) {
        run->ready[at] = 1;
        run->starts[at] = found.start;
        run->arrivals[at] = found.end;
        run->last_rank[at] = rank;
        run->last_slot[at] = slot;
        pipeline_transfer(p, run, op, group, found.start, found.end);
    } else if (op->kind == OP_COLLECTIVE) {
        uint32_t members = p->job.groups[group].member_count;
        if (!isfinite(record->ready)) { /* seen for the first time */
            record->ready = found.ready;
            if (!run->ready[at] || found.ready > run->starts[at]) {
                run->starts[at] = found.ready;
                run->last_rank[at] = rank;
                run->last_slot[at] = slot;
            }
            if (++run->ready[at] == members)
                run->arrivals[at] = run->starts[at] + p->shape.latency +
                                    2.0 * (members - 1) / members * op->bytes / p->shape.bandwidth;
            if (run->ready[at] == members)
                pipeline_transfer(p, run, op, group, run->starts[at], run->arrivals[at]);
        }
        if (run->ready[at] < members)
            return false;
        found.start = run->starts[at];
        found.end = run->arrivals[at];
        if (rank != run->last_rank[at]) {
            found.cause = CAUSE_PEER;
            found.cause_rank = run->last_rank[at];
            found.cause_slot = run->last_slot[at];
        }
    }
    *record = found;
    run->done[p->result.first_record[rank] + slot] = true;
    if (found.end > p->result.makespan)
        p->result.makespan = found.end;
    return true;
}

/* A message loads its sender's link, a collective one link of each member. */
static inline void pipeline_activities(struct pipeline *p)
{
    struct job *job = &p->job;
    p->result.activity_count = job->group_count;
    p->result.activities = ARENA_ARRAY(&p->arena, struct activity, job->group_count);
    p->result.link_bytes = ARENA_ARRAY(&p->arena, double, p->platform.links.count);
    for (uint32_t i = 0; i < job->group_count; i++) {
        const struct group *group = &job->groups[i];
        struct activity *activity = &p->result.activities[i];
        bool message = i >= p->shape.stages;
        activity->usage.count = activity->usage.room = message ? 1 : group->member_count;
        activity->usage.at = ARENA_ARRAY(&p->arena, struct usage, activity->usage.count);
        activity->bytes_factor = message ? 1 : 2.0 * (group->member_count - 1) / group->member_count;
        for (uint32_t j = 0; j < activity->usage.count; j++)
            activity->usage.at[j] = (struct usage){job->members[group->first_member + j], 1};
    }
}

static inline void pipeline_execute(struct pipeline *p)
{
    struct job *job = &p->job;
    struct pipeline_run run = {0};
    uint32_t records = 0, matches = 0;
    p->result.first_record = ARENA_ARRAY(&p->arena, uint32_t, job->rank_count + 1);
    for (uint32_t i = 0; i < job->rank_count; i++) {
        p->result.first_record[i] = records;
        records += job->programs[job->ranks[i].program].op_count;
    }
    p->result.first_record[job->rank_count] = records;
    p->result.records = ARENA_ARRAY(&p->arena, struct engine_record, records);
    run.first = ARENA_ARRAY(&p->arena, uint32_t, job->group_count);
    for (uint32_t i = 0; i < job->group_count; i++) {
        run.first[i] = matches;
        matches += job->groups[i].match_count;
    }
    run.starts = ARENA_ARRAY(&p->arena, double, matches);
    run.arrivals = ARENA_ARRAY(&p->arena, double, matches);
    run.last_rank = ARENA_ARRAY(&p->arena, uint32_t, matches);
    run.last_slot = ARENA_ARRAY(&p->arena, uint32_t, matches);
    run.ready = ARENA_ARRAY(&p->arena, uint32_t, matches);
    run.done = ARENA_ARRAY(&p->arena, bool, records);
    for (uint32_t i = 0; i < records; i++)
        p->result.records[i].ready = INFINITY;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t rank = 0; rank < job->rank_count; rank++)
            for (uint32_t slot = 0; slot < job->programs[job->ranks[rank].program].op_count; slot++)
                if (!run.done[p->result.first_record[rank] + slot] && pipeline_try(p, &run, rank, slot))
                    moved = true;
    }
    for (uint32_t i = 0; i < records; i++)
        assert(run.done[i]);
    p->result.transfer_count = run.transfers.count;
    p->result.transfers =
        arena_copy(&p->arena, run.transfers.at, run.transfers.count * sizeof *run.transfers.at);
    p->result.events = records;
    VECTOR_FREE(&run.transfers);
}

static inline void pipeline_platform(struct pipeline *p)
{
    char name[32];
    struct device_type type = {.name = names_add(&p->names, "Test GPU"), .memory = 8e6, .power_busy = 300};
    type.kind = names_add(&p->names, "gpu");
    type.peak[FP32] = 1e12;
    type.power_idle = 100;
    p->platform = (struct platform){.names = &p->names, .name = names_add(&p->names, "test")};
    VECTOR_PUSH(&p->platform.device_types, type);
    for (uint32_t i = 0; i < p->shape.stages * p->shape.data; i++) {
        snprintf(name, sizeof name, "gpu[%u]", i);
        VECTOR_PUSH(&p->platform.devices, ((struct device){.name = names_add(&p->names, name), .speed = 1}));
        snprintf(name, sizeof name, "cable[%u]>", i);
        VECTOR_PUSH(&p->platform.links, ((struct link){.bandwidth = p->shape.bandwidth,
                                                       .latency = p->shape.latency,
                                                       .name = names_add(&p->names, name),
                                                       .group = names_add(&p->names, "cable")}));
    }
}

static inline void pipeline_plan(struct pipeline *p)
{
    static const struct schedule schedule = {.name = "1f1b"};
    const struct pipeline_shape *shape = &p->shape;
    p->model = (struct model){.names = &p->names, .name = names_add(&p->names, "blocks"), .tokens = 128};
    p->model.sample = "sequence";
    p->plan = (struct plan){.model = &p->model,
                            .platform = &p->platform,
                            .training = !shape->inference,
                            .global_batch = (uint64_t)shape->micro_batches * shape->data,
                            .micro_batch = 1,
                            .micro_batches = shape->micro_batches,
                            .steps = shape->steps,
                            .optimizer = OPTIMIZER_ADAM,
                            .schedule = &schedule,
                            .fits = true};
    plan_precisions(&p->plan, FP32);
    p->plan.model_flops =
        3e9 * shape->layers * shape->stages * shape->micro_batches * shape->data / (shape->inference ? 3 : 1);
    for (uint32_t i = 0; i < shape->stages; i++) {
        char name[32];
        snprintf(name, sizeof name, "unit[%u]", i);
        VECTOR_PUSH(&p->model.units, ((struct model_unit){.name = names_add(&p->names, name)}));
        struct plan_stage stage = {.first_unit = i, .unit_count = 1, .axis_count = 1};
        stage.axes[0] = (struct plan_axis){.name = names_add(&p->names, "data"), .size = shape->data};
        stage.ranks = ARENA_ARRAY(&p->job.arena, uint32_t, shape->data);
        for (uint32_t j = 0; j < shape->data; j++) {
            stage.ranks[j] = i * shape->data + j;
            VECTOR_PUSH(&stage.devices, i * shape->data + j);
        }
        stage.fullest_rank = i * shape->data;
        stage.memory = (struct plan_memory){.parameters = 1e6, .gradients = 1e6, .optimizer = 2e6};
        stage.memory.activations = shape->message * shape->layers * (shape->stages - i);
        stage.memory.total = 4e6 + stage.memory.activations;
        stage.memory.capacity = 8e6;
        stage.memory.largest[0] = (struct plan_holding){1, MEMORY_ACTIVATIONS, stage.memory.activations, 1};
        stage.memory.largest_count = 1;
        VECTOR_PUSH(&p->plan.stages, stage);
    }
}

static inline void pipeline_init(struct pipeline *p, const struct pipeline_shape *shape)
{
    *p = (struct pipeline){.shape = *shape};
    names_init(&p->names);
    arena_init(&p->arena);
    arena_init(&p->job.arena);
    p->job.names = &p->names;
    p->job.steps = shape->steps;
    p->job.program_count = shape->stages;
    p->job.programs = ARENA_ARRAY(&p->job.arena, struct program, shape->stages);
    p->job.rank_count = shape->stages * shape->data;
    p->job.ranks = ARENA_ARRAY(&p->job.arena, struct rank, p->job.rank_count);
    for (uint32_t i = 0; i < p->job.rank_count; i++)
        p->job.ranks[i] = (struct rank){.device = i,
                                        .program = i / shape->data,
                                        .stage = i / shape->data,
                                        .first_group = i * PIPELINE_GROUPS};
    for (uint32_t stage = 0; stage < shape->stages; stage++)
        pipeline_program(p, stage);
    pipeline_groups(p);
    pipeline_platform(p);
    pipeline_plan(p);
    pipeline_activities(p);
    pipeline_execute(p);
}

static inline void pipeline_fini(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->plan.stages.count; i++)
        VECTOR_FREE(&p->plan.stages.at[i].devices);
    VECTOR_FREE(&p->plan.stages);
    VECTOR_FREE(&p->model.units);
    VECTOR_FREE(&p->platform.device_types);
    VECTOR_FREE(&p->platform.devices);
    VECTOR_FREE(&p->platform.links);
    arena_fini(&p->job.arena);
    arena_fini(&p->arena);
    names_fini(&p->names);
}

/* Records the run under a name; returns its id, 0 with *error on failure. Texts live in the arena. */
static inline int64_t pipeline_record(struct pipeline *p, const char *database, const char *name,
                                      struct arena *arena, const char **error)
{
    const struct recorder_run run = {.name = name,
                                     .workload = "workloads/test.yaml",
                                     .topology = "test",
                                     .input = "name: test\nmodel: blocks\n",
                                     .version = "0.1.0",
                                     .seed = 7};
    struct metrics metrics;
    struct recorder *recorder = recorder_open(database, &run, arena, error);
    if (!recorder)
        return 0;
    int64_t id = 0;
    if (metrics_compute(&p->plan, &p->job, &p->result, &metrics, error)) {
        if (recorder_finish(recorder, &p->plan, &p->job, &p->result, &metrics, 0.25, error))
            id = recorder_run_id(recorder);
        metrics_fini(&metrics);
    }
    recorder_close(recorder);
    return id;
}

#endif
