/* Carriers: which algorithm carries which collectives, as the workload asks for and as it came out. */
#ifndef PARTITA_STUDY_CARRIERS_H
#define PARTITA_STUDY_CARRIERS_H

#include "engine/engine.h"
#include "study/scenario.h"

/* Turns the workload's wishes into the engine's choices. Reports and returns false when the plan has no group
 * of a name given. */
bool carriers_choose(struct scenario *scenario, struct engine_options *options);

/* Prints a line for each group and kind: the algorithms it went by, and how often. */
void carriers_print(const struct scenario *scenario, const struct engine_result *result, FILE *out);

#endif
