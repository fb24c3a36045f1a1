/* Any bytes as a platform of SimGrid. */
#include "fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    fuzz_import(&import_simgrid, "fuzzed.xml", bytes, length);
    return 0;
}
