/* Any bytes as a profile of PyTorch, of two ranks: read, made nodes of, linked and made a job. */
#include "trace/kineto_group.h"
#include "trace/replay.h"

#include "fuzz.h"

static void fuzz_job(struct input *input, struct trace *trace, struct names *names)
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
    for (uint32_t i = 0; i < 2; i++)
        VECTOR_PUSH(&platform.devices, ((struct device){.speed = 1}));
    replay_job(trace, &platform, &options, &job, &compute, &input->report);
    arena_fini(&job.arena);
    platform_fini(&platform);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    struct names names;
    struct trace trace;
    struct kineto_counts counts = {0};
    bool good = true;
    input_init(&input, NULL);
    names_init(&names);
    trace_init(&trace, &names);
    for (uint32_t r = 0; r < 2 && good; r++) {
        struct kineto kineto = {0};
        struct trace_rank rank = {.path = "fuzzed.json", .rank = r};
        good = kineto_read_bytes(&input, &names, "fuzzed.json", bytes, length, &kineto) &&
               kineto_build(&input, &trace, &kineto, &rank, &counts);
        VECTOR_PUSH(&trace.ranks, rank);
        kineto_fini(&kineto);
    }
    fuzz_said(good, &input.report);
    if (good) {
        kineto_group_exchange(&trace);
        if (trace_link(&trace, &input.report))
            fuzz_job(&input, &trace, &names);
    }
    VECTOR_FREE(&counts.unused);
    trace_fini(&trace);
    names_fini(&names);
    input_fini(&input);
    return 0;
}
