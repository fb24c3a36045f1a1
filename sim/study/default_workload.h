/* Default_workload: what a bare model is trained as when nobody says how: a sensible precision, batch and
 * plan that fit the memory of the topology's devices. Not the fastest plan: the one with the least model
 * parallelism, and of those the one with the least recomputation. */
#ifndef PARTITA_STUDY_DEFAULT_WORKLOAD_H
#define PARTITA_STUDY_DEFAULT_WORKLOAD_H

#include "study/scenario.h"

/* Loads the scenario of a model's file on options->topology, trying plans until one fits; if none does, the
 * one that splits most. What was chosen is in scenario->chosen. options->sets go before any choice. Reports
 * and returns false on bad input; fini the scenario in either case. */
bool default_workload_load(struct scenario *scenario, const struct scenario_options *options,
                           const char *model);

#endif
