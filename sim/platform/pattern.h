/* Pattern: names some elements of an array: "gateway", "pi[0]", "pi[0..3]" (both ends included), "gpu[2,*]",
 * or "gpu" for all of them. Bounds may be expressions of the scope. */
#ifndef PARTITA_PLATFORM_PATTERN_H
#define PARTITA_PLATFORM_PATTERN_H

#include "input/expression.h"
#include "platform/reference.h"

struct pattern {
    struct reference reference;
    struct {
        bool all;
        uint32_t low, high;
    } index[ARRAY_RANK];
};

bool pattern_parse(struct input *input, const struct reference *reference, const struct scope *scope,
                   struct pattern *out);

/* Reports bounds that the array does not have (its rank was checked by reference_find). */
bool pattern_fits(struct input *input, const struct pattern *pattern, const struct array *array);

bool pattern_matches(const struct pattern *pattern, uint32_t rank, const uint32_t *indices);

/* Appends the elements that match, as array->first + element, in the array's order. */
void pattern_elements(const struct pattern *pattern, const struct array *array, struct index_list *out);

#endif
