/* Stage: what the disciplines have in common when they perform: computing a step, sending models and
 * gradients, marking what recurs. */
#ifndef PARTITA_DISCIPLINE_STAGE_H
#define PARTITA_DISCIPLINE_STAGE_H

#include "discipline/discipline.h"

/* Computes `times` such pieces of work in one operation. */
void stage_work(struct stage *stage, uint32_t rank, const struct script_work *work, double times,
                const char *label, enum op_pass pass, uint32_t round, struct actors_then then);

/* A step: forward, backward and, with `update`, the optimizer; `then` after the last. */
void stage_step(struct stage *stage, uint32_t rank, uint32_t round, bool update, struct actors_then then);

/* A message of a purpose, which also labels it. */
uint32_t stage_send(struct stage *stage, uint32_t from, uint32_t to, double bytes, const char *purpose,
                    uint32_t round, struct actors_then then);

/* What recurs has ended once more, having learned from so many samples. */
void stage_mark(struct stage *stage, double samples);

/* The name of a rank's device. */
const char *stage_name(const struct stage *stage, uint32_t rank);

#endif
