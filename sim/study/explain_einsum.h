/* Explain an operator in index notation: "Y[b,o,y,x] += X[b,i,y·2+ky-1,x·2+kx-1] W[o,i,ky,kx]". The output is
 * Y, the only operand X, several ones A, B …, parameters W or W1, W2 …; the gradient of each has a d before
 * it. */
#ifndef PARTITA_STUDY_EXPLAIN_EINSUM_H
#define PARTITA_STUDY_EXPLAIN_EINSUM_H

#include "model/model.h"

#include <stdio.h>

enum { EXPLAIN_LETTER = 8 };

/* The letter of operand `index`; of the output where `index` is the number of operands. Returns `buffer`. */
const char *explain_einsum_letter(const struct model *model, const struct layer_op *layer_op, uint32_t index,
                                  char buffer[EXPLAIN_LETTER]);

/* What the operator computes. */
void explain_einsum_text(const struct model *model, const struct layer_op *layer_op, FILE *out);

/* " b=2 o=64": names and sizes of its iteration space. */
void explain_einsum_sizes(const struct model *model, const struct layer_op *layer_op, FILE *out);

/* What its backward pass computes for operand `index`: "dX[b,i] += dY[b,o] W[i,o]". */
void explain_einsum_gradient(const struct model *model, const struct layer_op *layer_op, uint32_t index,
                             FILE *out);

/* How dimension `dim` of an operand's tensor is indexed: "y·2+ky-1". */
void explain_einsum_index(const struct model *model, const struct layer_op *layer_op,
                          const struct operand *operand, uint32_t dim, FILE *out);

/* Whether an operand (or the output) is indexed by an iteration dimension. */
bool explain_einsum_has(const struct model *model, const struct operand *operand, int dim);

#endif
