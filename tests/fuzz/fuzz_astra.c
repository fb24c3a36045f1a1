/* Any bytes as a network of ASTRA-sim. */
#include "platform/import.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    input_init(&input, NULL);
    const struct value *root = document_parse(&input, "fuzzed.yml", (const char *)bytes, length, false);
    if (root && import_astra.is_document(root))
        fuzz_said(import_astra.convert(&input, root, NULL), &input.report);
    input_fini(&input);
    return 0;
}
