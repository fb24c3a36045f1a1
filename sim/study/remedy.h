/* Remedies: what would make a plan fit that does not: the same workload, planned again with other settings.
 */
#ifndef PARTITA_STUDY_REMEDY_H
#define PARTITA_STUDY_REMEDY_H

#include "study/scenario.h"

/* Prints the settings of a fixed list that make every device's memory suffice, those with the least predicted
 * work first; or, if none does, the one that comes nearest. `options`: how the scenario was loaded. */
void remedy_print(struct scenario *scenario, const struct scenario_options *options, FILE *out);

#endif
