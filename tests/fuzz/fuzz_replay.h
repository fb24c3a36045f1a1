/* What the fuzzers of traces share: a trace that was read, made a job. */
#ifndef PARTITA_TESTS_FUZZ_REPLAY_H
#define PARTITA_TESTS_FUZZ_REPLAY_H

#include "platform/platform.h"
#include "trace/replay.h"

/* Makes a linked trace a job on so many devices. */
static inline void fuzz_replay(struct input *input, struct trace *trace, struct names *names,
                               uint32_t devices)
{
    struct platform platform;
    struct job job = {.names = names};
    enum replay_compute compute;
    struct replay_options options = {REPLAY_RECORDED, FP32, {"topology", 0, 0}};
    platform_init(&platform, names);
    arena_init(&job.arena);
    VECTOR_PUSH(&platform.device_types, ((struct device_type){.memory_bandwidth = 1e9}));
    for (uint32_t i = 0; i < KERNEL_COUNT; i++)
        platform.device_types.at[0].efficiency[i] = 1;
    for (uint32_t i = 0; i < devices; i++)
        VECTOR_PUSH(&platform.devices, ((struct device){.speed = 1}));
    replay_job(trace, &platform, &options, &job, &compute, &input->report);
    arena_fini(&job.arena);
    platform_fini(&platform);
}

#endif
