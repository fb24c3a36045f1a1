/* Fuzzer of the .onnx reader (libFuzzer): any bytes give a document or a message. Seeds stand in onnx/. */
#include "model/onnx.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size)
{
    struct input input;
    input_init(&input, ".");
    onnx_read_bytes(&input, "fuzz.onnx", bytes, size);
    input_fini(&input);
    return 0;
}
