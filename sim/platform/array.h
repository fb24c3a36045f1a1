/* Array: a named row-major array of elements, such as the devices gpu[0,0] … gpu[7,7] or the cables of one
 * entry of `links:`. Rank 0 is a single element, written without indices. The name of an array inside a part
 * is a path, "pod.box.gpu"; each part on it takes its share of the indices: pod[1].box[3].gpu[0]. */
#ifndef PARTITA_PLATFORM_ARRAY_H
#define PARTITA_PLATFORM_ARRAY_H

#include "base/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ARRAY_RANK = 8,  /* indices */
    ARRAY_DEPTH = 4, /* parts within parts */
    ARRAY_NAME = 64, /* characters of one name */
    ARRAY_TEXT = (ARRAY_DEPTH + 1) * (ARRAY_NAME + 3) + ARRAY_RANK * 11 + 16
};

struct array {
    const char *name;
    struct place place; /* of its key */
    uint32_t rank, size[ARRAY_RANK];
    uint32_t depth, end[ARRAY_DEPTH]; /* parts on the path; indices up to and with the k-th part */
    uint32_t first, count; /* its elements are first .. first + count - 1; the last index runs fastest */
};

/* Element (0 .. count - 1) to indices and back. */
void array_indices(const struct array *array, uint32_t element, uint32_t *indices);
uint32_t array_element(const struct array *array, const uint32_t *indices);

/* Writes "name[3,5]" and a suffix; "name" and the suffix for rank 0. Returns `text`, of ARRAY_TEXT bytes. */
char *array_text(const struct array *array, const uint32_t *indices, const char *suffix, char *text);

/* `inner`, an array of one instance of the part `outer`, as an array over all instances; `name` is its path.
 * Each instance's elements follow those of the instance before it. False when there are too many indices or
 * levels for it. */
bool array_within(const struct array *outer, const struct array *inner, const char *name, struct array *out);

#endif
