/* 1F1B and its relatives: some forward passes, then one forward and one backward pass in turn. */
#ifndef PARTITA_PLAN_ONE_F_ONE_B_H
#define PARTITA_PLAN_ONE_F_ONE_B_H

#include "plan/schedule.h"

/* Appends the order of stage `stage`: `warm_up` forward passes, then pairs, then what is left. */
void one_f_one_b_list(uint32_t stage, uint32_t warm_up, uint32_t micro_batches, struct schedule_list *out);

/* (m + p - 1) (F + I + W) with equal stages, else NAN. */
double one_f_one_b_makespan(const struct schedule_shape *shape, const struct schedule_times *times);

/* Micro-batches in flight under 1F1B: min(m, p - s). */
double one_f_one_b_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight);
void one_f_one_b_order(const struct schedule_shape *shape, struct schedule_list *lists);

#endif
