/* Wanted: the scenario that the options of the public interface ask for. */
#ifndef PARTITA_STUDY_WANTED_H
#define PARTITA_STUDY_WANTED_H

#include "partita.h"
#include "study/scenario.h"

struct scenario_options wanted_scenario(const struct partita_options *options);

#endif
