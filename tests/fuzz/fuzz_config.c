/* Any bytes as a config.json of Hugging Face: read as JSON, and as a model if it is one. */
#include "model/hf.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    input_init(&input, NULL);
    const struct value *root = document_parse(&input, "fuzzed.json", (const char *)bytes, length, true);
    fuzz_said(root, &input.report);
    if (root && hf_is(root))
        fuzz_said(hf_read(&input, root), &input.report);
    input_fini(&input);
    return 0;
}
