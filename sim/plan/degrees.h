/* Degrees: into how many parts a plan of degrees divides the batch, given the devices there are. */
#ifndef PARTITA_PLAN_DEGREES_H
#define PARTITA_PLAN_DEGREES_H

#include "plan/plan_keys.h"

/* Devices that a plan of degrees may use; false after reporting. */
bool degrees_devices(struct input *input, const struct plan_keys *plan, const struct platform *platform,
                     struct index_list *devices);

/* The data-parallel degree: as given, or what tensor and pipeline leave of the devices in training. 0 after
 * reporting. */
int64_t degrees_data(struct input *input, const struct workload *workload, const struct plan_keys *plan,
                     const struct index_list *devices);

/* Samples for which the model's shapes must hold: one micro-batch over all data-parallel members of a stage.
 * Reports what does not divide and returns 0. */
uint64_t degrees_batch(struct input *input, const struct workload *workload, const struct platform *platform);

#endif
