/* Topology: reads topologies/NAME.yaml into a platform (docs/topologies.md describes the format). */
#ifndef PARTITA_PLATFORM_TOPOLOGY_H
#define PARTITA_PLATFORM_TOPOLOGY_H

#include "input/fields.h"
#include "platform/platform.h"

extern const char *const topology_layouts[]; /* "auto", "layers", "circle", "grid"; NULL-terminated */

/* Builds the platform of a topology document. `set`: a map of parameter values that override the declared
 * defaults (the workload's `set:`), or NULL. Reports and returns false on bad input. */
bool topology_read(struct input *input, const struct value *document, const struct value *set,
                   struct platform *platform);

/* Resolves a device pattern of a plan to device indices, in order: "gateway", "pi[0]", "pi[0..3]", "pi[*]",
 * "gpu[2,*]", "*" (all devices), or a YAML list of such. Reports unknown names (with the nearest), indices
 * out of range, and a device named twice. */
bool topology_select(struct input *input, const struct platform *platform, const struct value *pattern,
                     struct index_list *out);

#endif
