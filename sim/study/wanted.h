/* Wanted: the scenario that the options of the public interface ask for. */
#ifndef PARTITA_STUDY_WANTED_H
#define PARTITA_STUDY_WANTED_H

#include "partita.h"
#include "study/scenario.h"

/* Borrows from the options. */
struct scenario_options wanted_scenario(const struct partita_options *options);

/* The status of a scenario that ran: it may have to fit, and not do so. */
enum partita_status wanted_fit(const struct partita_options *options, const struct scenario *scenario,
                               FILE *err);

#endif
