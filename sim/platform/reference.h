/* Reference: the text "name" or "name[index, …]", or a path of such through parts ("box[3].gpu[0]"), taken
 * apart before anyone knows what its indices mean. */
#ifndef PARTITA_PLATFORM_REFERENCE_H
#define PARTITA_PLATFORM_REFERENCE_H

#include "input/document.h"
#include "platform/array.h"

#include <stdbool.h>

struct reference {
    const char *text, *name;
    struct place place;               /* of the text's first character */
    uint32_t rank;                    /* indices of all levels together */
    uint32_t depth, end[ARRAY_DEPTH]; /* as in struct array */
    const char *index[ARRAY_RANK];    /* trimmed; "" is reported */
    struct place index_place[ARRAY_RANK];
};

/* Reports what is not of this form. Everything lives in the input's arena. */
bool reference_parse(struct input *input, const char *text, struct place place, struct reference *out);
/* The same of a value, which must be a text; `what` names it in messages. */
bool reference_read(struct input *input, const struct value *value, const char *what, struct reference *out);

/* The array that it names; reports an unknown name with the nearest one, and the wrong number of indices.
 * `what` is what the arrays hold: "device". If `whole`, a level without brackets stands for all its indices.
 */
const struct array *reference_find(struct input *input, const struct reference *reference, const char *what,
                                   const struct array *arrays, uint32_t count, bool whole);

/* How many indices a level of it has: part k, or the name itself for `level` = depth. */
uint32_t reference_level(uint32_t depth, const uint32_t *end, uint32_t rank, uint32_t level);

/* Reports that an index does not exist. */
bool reference_out_of_range(struct input *input, struct place place, const char *text,
                            const struct array *array, uint32_t dimension, const char *needed_by);

/* Whether a text (one level of a path) can name a device, a switch, a link or a parameter: a letter, then
 * letters, digits, '_', '-'. */
bool reference_is_name(const char *text);

#endif
