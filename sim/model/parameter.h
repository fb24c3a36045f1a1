/* Parameters of a model or block: declared with defaults, overridden where it is used, and then names for
 * every expression inside. A parameter is a number, a text (a choice such as `rms`) or a list of numbers; its
 * default says which. */
#ifndef PARTITA_MODEL_PARAMETER_H
#define PARTITA_MODEL_PARAMETER_H

#include "input/document.h"
#include "input/expression.h"

/* Binds every declared parameter in `to`, in order: a default may use those before it. An override is
 * evaluated in the scope `from`. A parameter without default must be overridden; that is reported at `where`.
 * `declared` is a map or NULL. */
bool parameter_bind(struct input *input, struct scope *to, const struct value *declared,
                    const struct value *overrides, const struct scope *from, struct place where);

/* Reports the keys of `overrides` that are neither declared nor among `others` (NULL-terminated). */
bool parameter_check(struct input *input, const struct value *declared, const struct value *overrides,
                     const char *const others[], const char *what);

#endif
