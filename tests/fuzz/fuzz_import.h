/* What the fuzzers of importers of text share. */
#ifndef PARTITA_TESTS_FUZZ_IMPORT_H
#define PARTITA_TESTS_FUZZ_IMPORT_H

#include "platform/import.h"

#include "fuzz.h"

/* Any bytes as a file that an importer reads. */
static inline void fuzz_import(const struct importer *importer, const char *path, const uint8_t *bytes,
                               size_t length)
{
    struct input input;
    input_init(&input, NULL);
    const char *text = fuzz_text(&input.arena, bytes, length);
    fuzz_said(importer->read(&input, path, text, length, NULL), &input.report);
    input_fini(&input);
}

#endif
