/* Any bytes as the output of nvidia-smi topo -m. */
#include "fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    fuzz_import(&import_nvidia, "fuzzed.txt", bytes, length);
    return 0;
}
