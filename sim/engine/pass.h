/* Pass: the arrays of one pass of all ranks through their programs (struct run_pass), from its beginning to
 * its end. */
#ifndef PARTITA_ENGINE_PASS_H
#define PARTITA_ENGINE_PASS_H

#include "engine/run.h"

/* Begins the first pass. Once the sections are laid out. */
void pass_init(struct run *run);
void pass_fini(struct run *run);

/* Begins a pass if it is not under way. */
void pass_begin(struct run *run, uint32_t p);

/* The pass in which a stream goes on after pass p, which has begun then; PROGRAM_NONE: in none. */
uint32_t pass_after(struct run *run, uint32_t p, uint32_t stream);

/* The arrays of passes that are over are used again, once they are booked and shown to the observer or, of
 * the job's own steps behind a lead, their records are kept. A single pass keeps its arrays. */
void pass_close(struct run *run);

/* Hands the records and transfers over to the result. */
void pass_hand_over(struct run *run, struct engine_result *result);

#endif
