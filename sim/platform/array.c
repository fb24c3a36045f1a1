#include "platform/array.h"

#include <stdio.h>
#include <string.h>

void array_indices(const struct array *array, uint32_t element, uint32_t *indices)
{
    for (uint32_t i = array->rank; i-- > 0; element /= array->size[i])
        indices[i] = element % array->size[i];
}

uint32_t array_element(const struct array *array, const uint32_t *indices)
{
    uint32_t element = 0;
    for (uint32_t i = 0; i < array->rank; i++)
        element = element * array->size[i] + indices[i];
    return element;
}

/* Decimal digits; returns where they end. */
static char *array_number(char *to, uint32_t number)
{
    char digits[10];
    uint32_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

char *array_text(const struct array *array, const uint32_t *indices, const char *suffix, char *text)
{
    const char *name = array->name;
    uint32_t written = 0;
    char *to = text;
    for (uint32_t level = 0; level <= array->depth; level++) {
        size_t length = strcspn(name, ".");
        uint32_t start = written, end = level < array->depth ? array->end[level] : array->rank;
        if (level)
            *to++ = '.';
        memcpy(to, name, length < ARRAY_NAME ? length : ARRAY_NAME);
        to += length < ARRAY_NAME ? length : ARRAY_NAME;
        for (; written < end; written++) {
            *to++ = written > start ? ',' : '[';
            to = array_number(to, indices[written]);
        }
        if (end > start)
            *to++ = ']';
        name += length + (name[length] == '.');
    }
    strcpy(to, suffix);
    return text;
}

bool array_within(const struct array *outer, const struct array *inner, const char *name, struct array *out)
{
    struct array both = *outer;
    if (outer->rank + inner->rank > ARRAY_RANK || outer->depth + 1 + inner->depth > ARRAY_DEPTH)
        return false;
    both.name = name;
    both.place = inner->place;
    both.end[both.depth++] = outer->rank;
    for (uint32_t i = 0; i < inner->depth; i++)
        both.end[both.depth++] = outer->rank + inner->end[i];
    for (uint32_t i = 0; i < inner->rank; i++)
        both.size[both.rank++] = inner->size[i];
    both.first = inner->first;
    both.count = outer->count * inner->count;
    *out = both;
    return true;
}
