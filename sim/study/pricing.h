/* Pricing: what a step of a discipline costs on each of its devices, by planning the workload's model on one
 * such device: kernels by the layer, of every pass. Devices of one type and speed are planned once. */
#ifndef PARTITA_STUDY_PRICING_H
#define PARTITA_STUDY_PRICING_H

#include "study/scenario.h"

/* A workload's `plan:` for one device alone: the user's, which may not split anything, and that device. NULL
 * after reporting. */
const struct value *pricing_plan(struct scenario *scenario, const struct value *plan, uint32_t device);

/* Fills the script's costs and sizes. The scenario's model has been built. Reports and returns false when a
 * device cannot do it. */
bool pricing_fill(struct scenario *scenario);

#endif
