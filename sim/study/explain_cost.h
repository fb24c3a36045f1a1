/* Explain a communication's cost: who carries it, how many bytes, and predicted seconds alone on the network.
 */
#ifndef PARTITA_STUDY_EXPLAIN_COST_H
#define PARTITA_STUDY_EXPLAIN_COST_H

#include "study/explain_stage.h"

#include <stdio.h>

/* Predicted seconds of an action, all time steps together: of a collective by the algorithm that the workload
 * names (price.h); of messages, all at once, the busiest link and the longest latency. */
double explain_cost_seconds(struct explain_stage *stage, const struct action *action);

/* "ring in 14 rounds, 88.1 MB on the busiest link: 0.313 ms predicted" */
void explain_cost_text(struct explain_stage *stage, const struct action *action, FILE *out);

#endif
