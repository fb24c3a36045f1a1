/* Casting: from patterns of devices to the ranks of a script. A device is one rank, whatever it does. */
#ifndef PARTITA_DISCIPLINE_CASTING_H
#define PARTITA_DISCIPLINE_CASTING_H

#include "discipline/discipline.h"

/* The rank of a device, added if it has none. */
uint32_t casting_rank(struct script *script, uint32_t device);

/* Adds the devices of a pattern to a list of ranks. Reports and returns false when it is wrong, or names
 * none; `what` names the list in messages ("clients"). */
bool casting_select(struct input *input, struct script *script, const struct value *pattern, const char *what,
                    struct index_list *ranks);

/* Servers, and as learners what the pattern says: by default every device that does not serve. */
bool casting_learners(struct input *input, struct script *script, const struct value *pattern,
                      const char *what);

/* Where a key of the discipline's map stands, or the map itself. */
struct place casting_place(const struct value *map, const char *key);

#endif
