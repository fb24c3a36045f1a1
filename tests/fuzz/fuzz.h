/* What the fuzzers share: the function that libFuzzer calls; without libFuzzer, a main() that calls it with
 * each file that it is given, so that the corpus is always tested. */
#ifndef PARTITA_TESTS_FUZZ_H
#define PARTITA_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#ifndef PARTITA_LIBFUZZER
int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        static uint8_t room[1 << 20];
        FILE *file = fopen(paths[i], "rb");
        if (!file)
            return EXIT_FAILURE;
        size_t length = fread(room, 1, sizeof room, file);
        fclose(file);
        uint8_t *bytes = malloc(length ? length : 1); /* so that a byte too many is found */
        for (size_t b = 0; b < length; b++)
            bytes[b] = room[b];
        LLVMFuzzerTestOneInput(bytes, length);
        free(bytes);
    }
    return count > 1 ? EXIT_SUCCESS : EXIT_FAILURE; /* without a corpus nothing was tested */
}
#endif

#endif
