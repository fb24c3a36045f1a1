/* Any bytes as an .onnx file: walked, shapes found and written as layers. Built with libFuzzer where the
 * compiler has it; else main() runs the files that it is given, so that the corpus is always tested. */
#include "model/onnx.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    input_init(&input, NULL);
    onnx_read_bytes(&input, "fuzzed.onnx", bytes, length);
    input_fini(&input);
    return 0;
}

#ifndef PARTITA_LIBFUZZER
int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        static uint8_t bytes[1 << 20];
        FILE *file = fopen(paths[i], "rb");
        if (!file)
            return EXIT_FAILURE;
        size_t length = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, length);
    }
    return count > 1 ? EXIT_SUCCESS : EXIT_FAILURE; /* without a corpus nothing was tested */
}
#endif
