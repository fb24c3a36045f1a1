/* Any bytes as a Chakra trace of one rank: read, linked and made a job on a device. */
#include "input/document.h"
#include "trace/chakra.h"

#include "fuzz.h"
#include "fuzz_replay.h"

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
        fuzz_replay(&input, &trace, &names, 1);
    trace_fini(&trace);
    names_fini(&names);
    input_fini(&input);
    return 0;
}
