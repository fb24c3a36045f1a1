/* Run activity: how the communications of a run's groups can go: by which algorithm and protocol, over which
 * links. Computed at first use, and kept for the result. */
#ifndef PARTITA_ENGINE_RUN_ACTIVITY_H
#define PARTITA_ENGINE_RUN_ACTIVITY_H

#include "engine/run.h"

/* The activity of a group's collective of this kind (COLLECTIVE_KIND_COUNT: a message) and payload.
 * PROGRAM_NONE with run->error when two members have no route. */
uint32_t run_activity(struct run *run, uint32_t group, uint32_t kind, uint32_t shares, double bytes);

/* The links of an activity as the network wants them; valid until the next call. */
const struct network_usage *run_activity_usage(struct run *run, uint32_t activity);

#endif
