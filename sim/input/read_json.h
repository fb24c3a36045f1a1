/* Read JSON: RFC 8259 text to the same values as YAML. Strings become quoted scalars; numbers, true and false
 * plain ones with their text as it stands (so no digit is lost); null becomes VALUE_NULL. */
#ifndef PARTITA_INPUT_READ_JSON_H
#define PARTITA_INPUT_READ_JSON_H

#include "input/document.h"

/* NULL after reporting one error: not well formed or not UTF-8, a duplicate key, the character U+0000,
 * nesting beyond READ_DEPTH. Text without anything but white space is VALUE_NULL. `name` must live as long as
 * the values. */
struct value *read_json_text(struct input *input, const char *name, const char *text, size_t length);

#endif
