/* Any bytes as a platform of SimGrid. */
#include "platform/import.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    input_init(&input, NULL);
    char *text = arena_alloc(&input.arena, length + 1); /* with a NUL, as document_bytes() gives it */
    if (length)
        memcpy(text, bytes, length);
    const struct value *made = import_simgrid.read(&input, "fuzzed.xml", text, length, NULL);
    fuzz_said(made, &input.report);
    input_fini(&input);
    return 0;
}
