/* Actors flight: what is under way on the network of a run of actors, a message or a collective. */
#ifndef PARTITA_ENGINE_ACTORS_FLIGHT_H
#define PARTITA_ENGINE_ACTORS_FLIGHT_H

#include "engine/actors_state.h"

/* A place for a flight; the caller gives it its transfer. */
uint32_t actors_flight_take(struct actors *actors, struct actors_flight flight);

/* Adds a transfer of a group's next match to the books and gives it to the network. `cap`: bytes per second,
 * 0: none. Returns its number in the books. */
uint32_t actors_flight_start(struct actors *actors, uint32_t group, uint32_t way, double bytes, double cap,
                             uint32_t label, uint32_t flight);

/* Closes the books of a flight and frees it. */
void actors_flight_end(struct actors *actors, uint32_t index);

#endif
