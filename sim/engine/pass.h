/* Pass: the arrays of one pass of all ranks through their programs (struct run_pass), from its beginning to
 * its end. */
#ifndef PARTITA_ENGINE_PASS_H
#define PARTITA_ENGINE_PASS_H

#include "engine/run.h"

/* Lays out what does not change from pass to pass. Once the ranks, streams and groups are. */
void pass_init(struct run *run);
void pass_fini(struct run *run);

/* Begins a pass if it is not under way. */
void pass_begin(struct run *run, uint32_t p);

/* The arrays of passes that are over are used again, once their books are checked and, of the last `steps`
 * ones, their records are kept. A single pass keeps its arrays. */
void pass_close(struct run *run);

/* Hands the records and transfers over to the result. */
void pass_hand_over(struct run *run, struct engine_result *result);

#endif
