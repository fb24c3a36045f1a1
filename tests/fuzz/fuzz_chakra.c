/* Any bytes as a Chakra trace of one rank: read, linked and made a job on two devices. */
#include "input/document.h"
#include "platform/platform.h"
#include "trace/chakra.h"
#include "trace/replay.h"

#include "fuzz.h"

static void fuzz_replay(struct input *input, struct trace *trace, struct names *names)
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
    input_init(&input, NULL);
    names_init(&names);
    trace_init(&trace, &names);
    struct trace_rank rank = {.path = "fuzzed.0.et"};
    bool good = chakra_read(&input, &trace, &rank, bytes, length);
    fuzz_said(good, &input.report);
    VECTOR_PUSH(&trace.ranks, rank);
    if (good && trace_link(&trace, &input.report))
        fuzz_replay(&input, &trace, &names);
    trace_fini(&trace);
    names_fini(&names);
    input_fini(&input);
    return 0;
}
