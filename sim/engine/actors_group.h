/* Actors group: collectives of a run of actors. */
#ifndef PARTITA_ENGINE_ACTORS_GROUP_H
#define PARTITA_ENGINE_ACTORS_GROUP_H

#include "engine/actors_state.h"

/* The collective of group g is over: its members may join again, and are called. */
void actors_group_end(struct actors *actors, uint32_t g);

#endif
