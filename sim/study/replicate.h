/* Replicate: one scenario run again and again, each time with other luck: replication i is the run with seed
 * `seed + i`, so that each can be repeated alone, and two scenarios replicated with the same seed meet the
 * same luck (common random numbers). */
#ifndef PARTITA_STUDY_REPLICATE_H
#define PARTITA_STUDY_REPLICATE_H

#include "base/estimate.h"
#include "base/unit.h"
#include "record/metrics.h"
#include "study/scenario.h"

enum { REPLICATE_METRICS = 6, REPLICATE_LEAST = 10 };

/* A metric that is estimated. */
struct replicate_metric {
    const char *name, *key; /* for people, for JSON */
    enum unit unit;
    size_t offset; /* of a double in struct metrics */
};
extern const struct replicate_metric replicate_metrics[REPLICATE_METRICS]; /* the first is the step time */

/* One run of a scenario whose `engine` options were chosen (carriers_choose). On success fills both; fini
 * them. *error is in the scenario's job arena. */
bool replicate_once(struct scenario *scenario, const struct engine_options *engine, uint64_t seed,
                    struct engine_result *result, struct metrics *metrics, const char **error);

/* Whether the mean is known well enough: after REPLICATE_LEAST observations, half its 95 % interval is at
 * most `share` of it. 0: never. */
bool replicate_enough(const struct estimate *estimate, double share);

#endif
