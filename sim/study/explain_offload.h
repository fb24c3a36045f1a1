/* Explain offload: what a plan keeps in the memory of hosts and on drives, what that sends, and who updates.
 */
#ifndef PARTITA_STUDY_EXPLAIN_OFFLOAD_H
#define PARTITA_STUDY_EXPLAIN_OFFLOAD_H

#include "study/scenario.h"

/* What a stage keeps elsewhere, and the bytes of its first device per step; nothing when it keeps nothing. */
void explain_offload_stage(const struct scenario *scenario, uint32_t stage, FILE *out);

/* What each host and drive holds; those that are alike once. */
void explain_offload_stores(const struct scenario *scenario, FILE *out);

#endif
