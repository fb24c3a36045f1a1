/* Read YAML: one document to values, through libyaml's events. Anchors and aliases are followed (an alias is
 * a copy, so that changing one place does not change the other); tags are ignored; `<<` is a key like any
 * other. */
#ifndef PARTITA_INPUT_READ_YAML_H
#define PARTITA_INPUT_READ_YAML_H

#include "input/document.h"

/* How deep lists and maps may nest, in either language. */
enum { READ_DEPTH = 200 };

/* The document's value (VALUE_NULL when it is empty). NULL after reporting one error: not well formed or not
 * UTF-8, a duplicate key, an alias inside its own anchor, aliases that expand beyond a million values,
 * nesting beyond READ_DEPTH, a second document. `name` must live as long as the values. */
struct value *read_yaml_text(struct input *input, const char *name, const char *text, size_t length);

/* The same for a text that is no file: every place is `name` without line and column. */
struct value *read_yaml_option(struct input *input, const char *name, const char *text);

#endif
