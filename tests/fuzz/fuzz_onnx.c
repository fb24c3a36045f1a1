/* Any bytes as an .onnx file: walked, shapes found and written as layers. */
#include "model/onnx.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    input_init(&input, NULL);
    fuzz_said(onnx_read_bytes(&input, "fuzzed.onnx", bytes, length), &input.report);
    input_fini(&input);
    return 0;
}
