/* Summary: what a run amounts to, for people and (JSON) for programs. */
#ifndef PARTITA_STUDY_SUMMARY_H
#define PARTITA_STUDY_SUMMARY_H

#include "record/metrics.h"
#include "study/scenario.h"

/* For people: what ran and where, the verdict on memory, the metrics, where the time goes. */
void summary_print(const struct scenario *scenario, const struct metrics *metrics, FILE *out);

/* One JSON object; keys are documented in docs/cli.md and stable. */
void summary_json(const struct scenario *scenario, const struct metrics *metrics, uint64_t events,
                  double wall_seconds, FILE *out);

#endif
