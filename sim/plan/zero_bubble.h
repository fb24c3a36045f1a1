/* Zero bubble: the order that ZB-H1 and ZB-H2 share (Qi et al. 2024, arXiv 2401.10241). The backward pass is
 * two passes, I and W, and W waits for a gap. */
#ifndef PARTITA_PLAN_ZERO_BUBBLE_H
#define PARTITA_PLAN_ZERO_BUBBLE_H

#include "plan/schedule.h"

/* Appends `ahead` forward passes, then I, W, F in turn, W being that of `late` micro-batches before, then
 * what is left. */
void zero_bubble_list(uint32_t stage, uint32_t ahead, uint32_t late, uint32_t micro_batches,
                      struct schedule_list *out);

#endif
