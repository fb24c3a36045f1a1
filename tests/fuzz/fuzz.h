/* What the fuzzers share: the function that libFuzzer calls. Without libFuzzer, a main() that gives it each
 * file that it is given, and DAMAGED damaged copies of each: bytes changed, cut off, put in, repeated,
 * lengths and digits turned. A reader that refuses its input must have said why. */
#ifndef PARTITA_TESTS_FUZZ_H
#define PARTITA_TESTS_FUZZ_H

#include "base/arena.h"
#include "base/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What is being read, to be repeated alone. */
struct fuzz_input {
    const char *path;
    uint32_t copy; /* 0: the file itself */
    const uint8_t *bytes;
    size_t length;
};
static struct fuzz_input fuzz_now;

/* Ends the program when something was refused without a message. */
static inline void fuzz_said(bool good, const struct report *report)
{
    if (!good && !report->errors) {
        fprintf(stderr, "refused without a message: copy %u of %s\n", fuzz_now.copy,
                fuzz_now.path ? fuzz_now.path : "what libFuzzer made");
        FILE *file = fuzz_now.path ? fopen("refused", "wb") : NULL;
        if (file) {
            fwrite(fuzz_now.bytes, 1, fuzz_now.length, file);
            fclose(file);
        }
        abort();
    }
}

/* The bytes with a NUL after them (an arena is zeroed), as document_bytes() gives a file. */
static inline char *fuzz_text(struct arena *arena, const uint8_t *bytes, size_t length)
{
    char *text = arena_alloc(arena, length + 1);
    if (length)
        memcpy(text, bytes, length);
    return text;
}

#ifndef PARTITA_LIBFUZZER
enum { FUZZ_ROOM = 1 << 20, DAMAGED = 200 };

static uint32_t fuzz_random(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return below ? (*state >> 8) % below : 0;
}

/* One change of a copy; returns its new length. */
static size_t fuzz_damage(uint8_t *bytes, size_t length, uint32_t *state)
{
    size_t at = fuzz_random(state, (uint32_t)length), count = 1 + fuzz_random(state, 16);
    switch (fuzz_random(state, 7)) {
    case 0: /* a bit */
        bytes[at] ^= (uint8_t)(1 << fuzz_random(state, 8));
        return length;
    case 1: /* the end is missing */
        return at;
    case 2: /* extreme lengths and numbers */
        bytes[at] = (uint8_t[]){0, 0x7f, 0x80, 0xff, '9', '-', '"', '{'}[fuzz_random(state, 8)];
        return length;
    case 3: /* a part is missing */
        count = count < length - at ? count : length - at;
        memmove(bytes + at, bytes + at + count, length - at - count);
        return length - count;
    case 4: /* a part is there twice */
        count = count < length - at ? count : length - at;
        memmove(bytes + at + count, bytes + at, length - at);
        return length + count;
    case 5: /* a digit */
        for (size_t i = at; i < length; i++)
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                bytes[i] = (uint8_t)('0' + fuzz_random(state, 10));
                break;
            }
        return length;
    default: /* something from elsewhere in it */
        bytes[at] = bytes[fuzz_random(state, (uint32_t)length)];
        return length;
    }
}

/* In memory of its own length, so that a byte too many is found. */
static void fuzz_one(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);
    memcpy(copy, bytes, length);
    fuzz_now.bytes = bytes;
    fuzz_now.length = length;
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

int main(int count, char **paths)
{
    static uint8_t whole[FUZZ_ROOM], damaged[FUZZ_ROOM + 1024];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        if (!file)
            return EXIT_FAILURE;
        size_t length = fread(whole, 1, sizeof whole, file);
        fclose(file);
        fuzz_now = (struct fuzz_input){.path = paths[i]};
        fuzz_one(whole, length);
        for (uint32_t n = 0; n < DAMAGED && length; n++) {
            uint32_t state = n * 2654435761u + (uint32_t)length;
            size_t left = length;
            memcpy(damaged, whole, length);
            for (uint32_t changes = 1 + fuzz_random(&state, 4); changes > 0 && left > 0; changes--)
                left = fuzz_damage(damaged, left, &state);
            fuzz_now.copy = n + 1;
            fuzz_one(damaged, left);
        }
    }
    return count > 1 ? EXIT_SUCCESS : EXIT_FAILURE; /* without a corpus nothing was tested */
}
#endif

#endif
