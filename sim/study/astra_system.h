/* Astra_system: the system layer of ASTRA-sim (a JSON file beside its network and its traces), as far as it
 * says something that a simulation here can be told: by which algorithms collectives go, in how many pieces,
 * and how fast NPUs are. Keys that are not used are named in a warning. */
#ifndef PARTITA_STUDY_ASTRA_SYSTEM_H
#define PARTITA_STUDY_ASTRA_SYSTEM_H

#include "study/scenario.h"

/* Reads the file that `name` names, and takes from it how fast the devices of a scenario's topology are and
 * in how many pieces collectives go. *compute is changed where it is REPLAY_AUTOMATIC. NULL after reporting.
 */
const struct value *astra_system_read(struct scenario *scenario, const struct value *name,
                                      enum replay_compute *compute);

/* Once the job is there: the algorithms of its collectives. What the workload says itself goes before. False
 * after reporting. */
bool astra_system_collectives(struct scenario *scenario, const struct value *system);

#endif
