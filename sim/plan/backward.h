/* Backward: the gradients, as ordinary tensors. */
#ifndef PARTITA_PLAN_BACKWARD_H
#define PARTITA_PLAN_BACKWARD_H

#include "plan/derive.h"

/* Derives the backward list of one stage; all later stages are done. */
void backward_derive(struct derivation *derivations, uint32_t stage);

#endif
