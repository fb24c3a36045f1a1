/* Section: the stretches of the programs that a run passes through (struct run_section), laid out once. */
#ifndef PARTITA_ENGINE_SECTION_H
#define PARTITA_ENGINE_SECTION_H

#include "engine/run.h"

/* Once ranks, streams and groups are there. False with run->error when the job's sections break their
 * contract. O(sections · (streams + groups) + operations of all ranks). */
bool section_lay_out(struct run *run);

/* The section that a pass goes through. */
const struct run_section *section_of(const struct run *run, uint32_t p);

/* The communication that a match of an operation of pass p stands for: pass *p, which is the next one where
 * the message is sent to it, and the match there. Returns whether it is the next one. */
bool section_meeting(const struct run *run, uint32_t group, uint32_t *p, uint32_t *match);

#endif
