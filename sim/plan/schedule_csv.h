/* Schedule CSV: orders in the notation of PyTorch and torchtitan: a line per device, its actions separated by
 * commas, empty ones for idle slots. "0F1" is the forward pass of micro-batch 1 at stage 0; I input gradient,
 * W weight gradient, B both; "(0F3;1B2)OVERLAP_F_B" two passes at the same time; "0SEND_F1", "1RECV_F1",
 * "1SEND_B1", "0RECV_B1" transfers: what the stage sends, and what it receives. UNSHARD, RESHARD and
 * REDUCE_GRAD are read over.
 *
 * Stages stand wherever the file has them. When every micro-batch passes only one half of the stages, the
 * second half is a second copy of the model that goes the other way. */
#ifndef PARTITA_PLAN_SCHEDULE_CSV_H
#define PARTITA_PLAN_SCHEDULE_CSV_H

#include "input/document.h"
#include "plan/orders.h"

#include <stdio.h>

/* Reads a file, which is named at `from`, and checks it (orders_check(), and that transfers fit the passes).
 * False after reporting with line and column. orders_fini() also after false. */
bool schedule_csv_read(struct input *input, const char *path, bool training, struct place from,
                       struct orders *orders);

/* The same of a text with a NUL at its end; `path` is what messages call it. */
bool schedule_csv_parse(struct input *input, const char *path, const char *text, bool training,
                        struct orders *orders);

/* Whether the file has backward passes. */
bool schedule_csv_training(const struct orders *orders);

/* Writes orders; `transfers`: with their SEND and RECV, each next to its pass. */
void schedule_csv_write(const struct orders *orders, bool transfers, FILE *out);

/* Is what a plan's orders belong to when they came from a file. Not in the table. */
extern const struct schedule schedule_csv_file;

#endif
