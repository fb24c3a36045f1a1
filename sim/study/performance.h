/* Performance: one run of a workload that has a discipline, and what there is to say about it besides its
 * metrics. */
#ifndef PARTITA_STUDY_PERFORMANCE_H
#define PARTITA_STUDY_PERFORMANCE_H

#include "base/steady.h"
#include "record/metrics.h"
#include "study/scenario.h"

#include <jansson.h>

/* As replicate_once(). The scenario's job becomes the run's, and its account and steady state are filled. The
 * metrics are those of the whole run, but for the step time: the period of what recurs. */
bool performance_once(struct scenario *scenario, const struct engine_options *engine, uint64_t seed,
                      struct engine_result *result, struct metrics *metrics, const char **error);

/* The steady state of a run of many steps without a discipline, from the first start of each step. */
struct steady performance_steps(const struct job *job, const struct engine_result *result);

/* The account as an object: numbers by name, and histograms as lists of [value, count]. The caller's. */
json_t *performance_json(const struct scenario *scenario);
/* The lines of the summary that a discipline adds. */
void performance_print(const struct scenario *scenario, const struct metrics *metrics, FILE *out);

#endif
