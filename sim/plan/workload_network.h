/* Workload network: the keys of `network:`, how closely communication is simulated and which algorithm
 * carries what. */
#ifndef PARTITA_PLAN_WORKLOAD_NETWORK_H
#define PARTITA_PLAN_WORKLOAD_NETWORK_H

#include "plan/workload.h"

extern const char *const workload_network_levels[]; /* names of network models, NULL-terminated */
enum { WORKLOAD_NETWORK_FLUID = 2 };                /* the default's place in it */

/* Reads the map workload->network into the workload. */
bool workload_network_read(struct input *input, struct workload *workload);

#endif
