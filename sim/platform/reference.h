/* Reference: the text "name" or "name[index, …]" taken apart, before anyone knows what its indices mean. */
#ifndef PARTITA_PLATFORM_REFERENCE_H
#define PARTITA_PLATFORM_REFERENCE_H

#include "input/document.h"
#include "platform/array.h"

#include <stdbool.h>

struct reference {
    const char *text, *name;
    struct place place; /* of the text's first character */
    bool indexed;       /* has brackets */
    uint32_t rank;
    const char *index[ARRAY_RANK]; /* trimmed; "" is reported */
    struct place index_place[ARRAY_RANK];
};

/* Reports what is not of this form. Everything lives in the input's arena. */
bool reference_parse(struct input *input, const char *text, struct place place, struct reference *out);
bool reference_read(struct input *input, const struct value *value, const char *what, struct reference *out);

/* The array that it names; reports an unknown name with the nearest one, and the wrong number of indices.
 * `what` is what the arrays hold: "device". Without brackets it may stand for a whole array if `whole`. */
const struct array *reference_find(struct input *input, const struct reference *reference, const char *what,
                                   const struct array *arrays, uint32_t count, bool whole);

/* Reports that an index does not exist. */
bool reference_out_of_range(struct input *input, struct place place, const char *text,
                            const struct array *array, uint32_t dimension, const char *needed_by);

/* Whether a text can name a device, a switch, a link or a parameter: a letter, then letters, digits, '_',
 * '-'. */
bool reference_is_name(const char *text);

#endif
