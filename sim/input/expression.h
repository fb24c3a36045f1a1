/* Expression: arithmetic over numbers, quantities and named parameters, used wherever a number is read.
 *
 *   expression = conjunction { "or" conjunction };  conjunction = negation { "and" negation }
 *   negation   = { "not" } sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum | "in" list ]
 *   sum        = term { ("+" | "-") term };  term = factor { ("*" | "/" | "%") factor }
 *   factor     = ["-"] primary
 *   primary    = number [unit] | name | function "(" expression {"," expression} ")" | "(" expression ")"
 *
 * with functions min, max, ceil, floor, log2, pow(x, y), bit(i, d) (bit d of a whole number, 0 the lowest)
 * and xor(i, j); comparisons, "in", "and", "or", "not" give 1 or 0, and what "and" and "or" need not evaluate
 * may divide by zero. A list is the name of one. Numbers are decimal, 1e9 or 1_000_000. Units are checked: 2
 * * 25 GB/s is a bandwidth, 80 GB / 2 s too, 80 GB + 3 s is an error; 0 is of any unit.
 *
 * A unit stands directly after a number (the longest symbol that fits: "10/s" is a rate), never after a name.
 * "%" after a number is percent unless a number, a name or "(" follows: "50%", "50% + n", but "7 % n" is a
 * remainder (with the divisor's sign, so that (i - 1) % n counts around a ring). A name may contain "-" where
 * the whole of it is bound: with `micro-batch` bound, `micro-batch-1` is that less one. */
#ifndef PARTITA_INPUT_EXPRESSION_H
#define PARTITA_INPUT_EXPRESSION_H

#include "base/unit.h"
#include "input/document.h"

struct quantity {
    double number; /* SI */
    enum unit unit;
};

/* Names that an expression may use. Scopes nest: a name not found here is looked up in `outer`. Zero one to
 * start; names and texts are borrowed. Binding a name again replaces it. */
struct binding {
    const char *name;
    struct quantity quantity;
    const char *text;   /* not NULL: the name stands for a text (a choice, a device type), not a number */
    const double *list; /* not NULL: for a list of `count` numbers */
    uint32_t count;
};

struct scope {
    const struct scope *outer;
    VECTOR(struct binding) bindings;
};

/* Binds a name in this scope; and finds it here or further out, NULL when nobody has bound it. */
void scope_bind(struct scope *scope, const char *name, struct quantity quantity);
void scope_bind_text(struct scope *scope, const char *name, const char *text);
void scope_bind_list(struct scope *scope, const char *name, const double *list, uint32_t count);
void scope_fini(struct scope *scope);
const struct binding *scope_find(const struct scope *scope, const char *name);

/* Evaluates; reports at `place` (column advanced to the offending character when the text is a plain scalar)
 * an unknown name with the nearest one, a syntax error, a division by zero, or units that do not fit. */
bool expression_evaluate(struct input *input, const char *text, struct place place, const struct scope *scope,
                         struct quantity *result);

#endif
