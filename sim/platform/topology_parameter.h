/* Topology parameter: binds the `parameters:` of a topology, with the workload's `set:` laid over the
 * defaults. */
#ifndef PARTITA_PLATFORM_TOPOLOGY_PARAMETER_H
#define PARTITA_PLATFORM_TOPOLOGY_PARAMETER_H

#include "input/expression.h"

/* Binds each parameter in order, so that one may be computed from those before it. A default that reads as a
 * number or a quantity makes a number; yes and no make 1 and 0; anything else is a text, such as the name of
 * a device type. A value set must be of the default's kind, and may compute with the names
 * of `set_scope` (NULL: with the parameters before it). Either map may be NULL. */
bool topology_parameter_bind(struct input *input, const struct value *declared, const struct value *set,
                             const struct scope *set_scope, struct scope *scope);

/* Checks the section `require:`, a map from conditions on the parameters to what is wrong when one is false.
 * It is reported where a parameter in it was set. */
bool topology_parameter_require(struct input *input, const struct value *section, const struct value *set,
                                const struct scope *scope);

#endif
