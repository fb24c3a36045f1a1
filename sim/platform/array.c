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

char *array_text(const char *name, uint32_t rank, const uint32_t *indices, const char *suffix, char *text)
{
    int length = snprintf(text, ARRAY_TEXT, "%.*s", ARRAY_NAME, name);
    for (uint32_t i = 0; i < rank; i++)
        length += snprintf(text + length, ARRAY_TEXT - (size_t)length, "%c%u", i ? ',' : '[', indices[i]);
    snprintf(text + length, ARRAY_TEXT - (size_t)length, "%s%s", rank ? "]" : "", suffix);
    return text;
}
