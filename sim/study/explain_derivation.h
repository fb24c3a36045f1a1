/* Explain a layer in full, for teaching: for each operator the einsum, what its dimensions are and how they
 * index the operands, which axis splits which dimension and why, the layout of each operand in the three
 * passes, the conversions with their predicted seconds and bytes, and the memory that is kept. */
#ifndef PARTITA_STUDY_EXPLAIN_DERIVATION_H
#define PARTITA_STUDY_EXPLAIN_DERIVATION_H

#include "study/explain_stage.h"

#include <stdio.h>

void explain_derivation_text(struct explain_stage *stage, uint32_t layer, FILE *out);

#endif
