/* Any bytes as a profile of PyTorch, of two ranks: read, made nodes of, linked and made a job. */
#include "trace/kineto_group.h"

#include "fuzz.h"
#include "fuzz_replay.h"

enum { RANKS = 2 };

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
    for (uint32_t r = 0; r < RANKS && good; r++) {
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
            fuzz_replay(&input, &trace, &names, RANKS);
    }
    VECTOR_FREE(&counts.unused);
    trace_fini(&trace);
    names_fini(&names);
    input_fini(&input);
    return 0;
}
