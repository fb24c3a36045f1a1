/* Pattern: names some elements of an array: "gateway", "pi[0]", "pi[0..3]" (both ends included), "gpu[2,*]",
 * or "gpu" for all of them; "box[2].gpu[*]" inside a part. Bounds may be expressions of the scope. */
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

/* The pattern that a reference spells. Reports and returns false where an index is neither `*` nor a bound or
 * two. */
bool pattern_parse(struct input *input, const struct reference *reference, const struct scope *scope,
                   struct pattern *out);

/* Gives the pattern one index per dimension of the array (levels without brackets match all) and reports
 * bounds that the array does not have. Its ranks were checked by reference_find. */
bool pattern_fit(struct input *input, struct pattern *pattern, const struct array *array);

/* Makes a pattern written inside a part one of all its instances: gpu[0] becomes box[*].gpu[0]. Reports when
 * there are too many indices. */
bool pattern_within(struct input *input, struct pattern *pattern, const struct array *part);

/* After pattern_fit(). */
bool pattern_matches(const struct pattern *pattern, uint32_t rank, const uint32_t *indices);

/* Appends the elements that match, as array->first + element, in the array's order. */
void pattern_elements(const struct pattern *pattern, const struct array *array, struct index_list *out);

#endif
