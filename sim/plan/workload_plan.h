/* Workload plan: from what the keys say to the plan of a model on a platform. */
#ifndef PARTITA_PLAN_WORKLOAD_PLAN_H
#define PARTITA_PLAN_WORKLOAD_PLAN_H

#include "plan/workload.h"

/* Makes the plan: stages, meshes, schedule, micro-batches. The model must have been built for
 * degrees_batch() samples. Reports and returns false on bad input. */
bool workload_plan(struct input *input, const struct workload *workload, struct platform *platform,
                   struct model *model, struct plan *plan);

#endif
