/* Job: builds small jobs and platforms by hand for the engine's tests. All ranks share one group table, so a
 * group slot is a group's index; every rank has a program of its own. */
#ifndef PARTITA_TEST_JOB_H
#define PARTITA_TEST_JOB_H

#include "engine/engine.h"

#include <stdlib.h>

enum { JOB_RANKS = 16, JOB_STREAMS = 6 };

struct test_job {
    struct names names;
    struct platform platform;
    struct job job;
    struct engine_result result;
    const char *error;
    uint32_t ranks;
    struct {
        VECTOR(struct op) ops;
        struct index_list dependencies;
    } programs[JOB_RANKS];
    VECTOR(struct group) groups;
    struct index_list members;
};

/* Devices around one switch: device i's link 2i goes up, 2i + 1 down. */
static inline void job_star(struct test_job *test, uint32_t ranks, double bandwidth, double latency)
{
    names_init(&test->names);
    platform_init(&test->platform, &test->names);
    struct platform *platform = &test->platform;
    for (uint32_t n = 0; n <= ranks; n++)
        VECTOR_PUSH(&platform->nodes, ((struct node){.device = n < ranks ? n : UINT32_MAX}));
    platform->first_arc = ARENA_ARRAY(&platform->arena, uint32_t, ranks + 2);
    for (uint32_t d = 0; d < ranks; d++) {
        struct link link = {.bandwidth = bandwidth, .latency = latency};
        link.name = names_add(&test->names, arena_format(&platform->arena, "cable[%u]", d));
        VECTOR_PUSH(&platform->devices, ((struct device){.node = d, .speed = 1, .name = link.name}));
        VECTOR_PUSH(&platform->links, link);
        VECTOR_PUSH(&platform->links, link);
        VECTOR_PUSH(&platform->arcs, ((struct arc){d, ranks, 2 * d}));
        platform->first_arc[d + 1] = d + 1;
    }
    for (uint32_t d = 0; d < ranks; d++)
        VECTOR_PUSH(&platform->arcs, ((struct arc){ranks, d, 2 * d + 1}));
    platform->first_arc[ranks + 1] = 2 * ranks;
}

static inline struct test_job *job_new(uint32_t ranks, double bandwidth, double latency)
{
    struct test_job *test = calloc(1, sizeof *test);
    job_star(test, ranks, bandwidth, latency);
    test->ranks = ranks;
    arena_init(&test->job.arena);
    test->job.names = &test->names;
    return test;
}

static inline void job_free(struct test_job *test)
{
    engine_result_fini(&test->result);
    for (uint32_t r = 0; r < test->ranks; r++) {
        VECTOR_FREE(&test->programs[r].ops);
        VECTOR_FREE(&test->programs[r].dependencies);
    }
    VECTOR_FREE(&test->groups);
    VECTOR_FREE(&test->members);
    arena_fini(&test->job.arena);
    platform_fini(&test->platform);
    names_fini(&test->names);
    free(test);
}

/* A group of the ranks listed, with room for `matches` communications. */
static inline uint32_t job_group(struct test_job *test, const char *name, uint32_t count,
                                 const uint32_t *members, uint32_t matches)
{
    struct group group = {names_add(&test->names, name), test->members.count, count, matches, false};
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(&test->members, members[i]);
    VECTOR_PUSH(&test->groups, group);
    return test->groups.count - 1;
}

static inline uint32_t job_pair(struct test_job *test, uint32_t from, uint32_t to, uint32_t matches,
                                bool rendezvous)
{
    uint32_t group = job_group(test, "pair", 2, (uint32_t[]){from, to}, matches);
    test->groups.at[group].rendezvous = rendezvous;
    return group;
}

/* Appends an operation; the dependencies end with PROGRAM_NONE. Returns its slot. */
static inline uint32_t job_op(struct test_job *test, uint32_t rank, struct op op,
                              const uint32_t *dependencies)
{
    op.first_dependency = test->programs[rank].dependencies.count;
    for (; dependencies && *dependencies != PROGRAM_NONE; dependencies++, op.dependency_count++)
        VECTOR_PUSH(&test->programs[rank].dependencies, *dependencies);
    if (op.kind == OP_COMPUTE)
        op.group = PROGRAM_NONE;
    VECTOR_PUSH(&test->programs[rank].ops, op);
    return test->programs[rank].ops.count - 1;
}

#define AFTER(...) ((const uint32_t[]){__VA_ARGS__, PROGRAM_NONE})

static inline uint32_t job_compute(struct test_job *test, uint32_t rank, uint16_t stream, double seconds,
                                   const uint32_t *dependencies)
{
    return job_op(test, rank, (struct op){.kind = OP_COMPUTE, .stream = stream, .seconds = seconds},
                  dependencies);
}

static inline uint32_t job_message(struct test_job *test, uint32_t rank, uint16_t stream, enum op_kind kind,
                                   uint32_t group, uint32_t match, double bytes, const uint32_t *dependencies)
{
    struct op op = {.kind = (uint8_t)kind, .stream = stream, .group = group, .match = match, .bytes = bytes};
    return job_op(test, rank, op, dependencies);
}

static inline uint32_t job_collective(struct test_job *test, uint32_t rank, uint16_t stream, int collective,
                                      uint32_t group, uint32_t match, double bytes,
                                      const uint32_t *dependencies)
{
    struct op op = {.kind = OP_COLLECTIVE,
                    .collective = (uint8_t)collective,
                    .stream = stream,
                    .group = group,
                    .match = match,
                    .bytes = bytes};
    return job_op(test, rank, op, dependencies);
}

/* Fills the job in from what was added. */
static inline void job_finish(struct test_job *test)
{
    struct job *job = &test->job;
    struct arena *arena = &job->arena;
    job->program_count = job->rank_count = test->ranks;
    job->programs = ARENA_ARRAY(arena, struct program, test->ranks);
    job->ranks = ARENA_ARRAY(arena, struct rank, test->ranks);
    for (uint32_t r = 0; r < test->ranks; r++) {
        job->ranks[r] = (struct rank){.device = r, .program = r, .stage = r};
        job->programs[r] = (struct program){.ops = test->programs[r].ops.at,
                                            .op_count = test->programs[r].ops.count,
                                            .dependencies = test->programs[r].dependencies.at,
                                            .dependency_count = test->programs[r].dependencies.count,
                                            .stream_count = JOB_STREAMS};
        job->programs[r].streams = ARENA_ARRAY(arena, struct program_stream, JOB_STREAMS);
    }
    job->groups = test->groups.at;
    job->group_count = job->group_table_count = test->groups.count;
    job->group_table = ARENA_ARRAY(arena, uint32_t, test->groups.count + 1);
    for (uint32_t g = 0; g < test->groups.count; g++)
        job->group_table[g] = g;
    job->members = test->members.at;
    job->member_count = test->members.count;
    job->steps = 1;
}

static inline bool job_run(struct test_job *test, enum engine_level level)
{
    job_finish(test);
    struct engine_options options = {.level = level};
    return engine_run(&test->platform, &test->job, &options, &test->result, &test->error);
}

static inline struct engine_record job_record(const struct test_job *test, uint32_t rank, uint32_t slot)
{
    return test->result.records[test->result.first_record[rank] + slot];
}

static inline const double *job_waits(const struct test_job *test, uint32_t rank, uint32_t stream)
{
    return test->result.stream_waits[test->result.first_stream[rank] + stream];
}

#endif
