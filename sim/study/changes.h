/* Changes: reads `network.changes` of a workload: when which link has which bandwidth. */
#ifndef PARTITA_STUDY_CHANGES_H
#define PARTITA_STUDY_CHANGES_H

#include "engine/engine.h"
#include "input/fields.h"

/* `list` NULL: none. A link is named by its entry in the topology's `links:` (all its cables), by one cable
 * ("nvlink[3,5]", both directions), or by one direction of it ("nvlink[3,5]>"). A bandwidth with a unit is
 * what one direction can carry from then on; a number or percentage is a share of what it has in the
 * topology. Allocates in `arena`; reports and returns false on bad input. */
bool changes_read(struct input *input, const struct value *list, const struct platform *platform,
                  struct arena *arena, struct engine_change **changes, uint32_t *count);

/* Appends the links that `link: name` of a map means: an entry's cables, one cable, or one direction of it.
 * Reports an unknown one at that key. */
bool changes_links(struct input *input, const struct value *map, const struct platform *platform,
                   const char *name, struct index_list *out);

#endif
