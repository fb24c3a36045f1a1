/* Array: a named row-major array of elements, such as the devices gpu[0,0] … gpu[7,7] or the cables of one
 * entry of `links:`. Rank 0 is a single element, written without indices. */
#ifndef PARTITA_PLATFORM_ARRAY_H
#define PARTITA_PLATFORM_ARRAY_H

#include "base/report.h"

#include <stddef.h>
#include <stdint.h>

enum { ARRAY_RANK = 8, ARRAY_NAME = 64, ARRAY_TEXT = 192 };

struct array {
    const char *name;
    struct place place; /* of its key */
    uint32_t rank, size[ARRAY_RANK];
    uint32_t first, count; /* its elements are first .. first + count - 1; the last index runs fastest */
};

/* Element (0 .. count - 1) to indices and back. */
void array_indices(const struct array *array, uint32_t element, uint32_t *indices);
uint32_t array_element(const struct array *array, const uint32_t *indices);

/* Writes "name[3,5]" and a suffix; "name" and the suffix for rank 0. Returns `text`, of ARRAY_TEXT bytes. */
char *array_text(const char *name, uint32_t rank, const uint32_t *indices, const char *suffix, char *text);

#endif
