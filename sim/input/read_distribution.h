/* Reads a distribution: a plain number (always that value), or a map such as {distribution: lognormal, mean:
 * 1, sd: 0.1}; {distribution: empirical, values: [9 ms, 11 ms]} or {distribution: empirical, file: times.csv,
 * unit: ms}, the first column of a file, whose first line may be a heading. */
#ifndef PARTITA_INPUT_READ_DISTRIBUTION_H
#define PARTITA_INPUT_READ_DISTRIBUTION_H

#include "base/distribution.h"
#include "input/fields.h"

/* `unit` is that of what is drawn (UNIT_NONE: a factor). Values of an empirical one live in the input's
 * arena. `what` names it in messages ("the slowdown of a straggler"). Reports and returns false on bad input.
 */
bool read_distribution(struct input *input, const struct value *value, const char *what, enum unit unit,
                       const struct scope *scope, struct distribution *out);

#endif
