/* Explain a layer: its operators as einsums, and what a derivation makes of them. */
#ifndef PARTITA_STUDY_EXPLAIN_LAYER_H
#define PARTITA_STUDY_EXPLAIN_LAYER_H

#include "plan/derive.h"

#include <jansson.h>
#include <stdio.h>

/* "Y[b,o,y,x] += X[b,i,y,x] W[o,i,ky,kx]" with sizes of the iteration space. */
void explain_layer_einsum(const struct model *model, const struct operator* operator, FILE * out);

/* "64 x 224 x 224" without the batch. */
void explain_layer_shape(const struct model *model, const struct tensor *tensor, FILE *out);

/* One layer of a stage in words. `prefix`: length of the unit's name, which is left out of layer names. */
void explain_layer_text(const struct derivation *d, uint32_t layer, size_t prefix, FILE *out);

/* One layer as JSON; `d` NULL: of a bare model. */
json_t *explain_layer_json(const struct model *model, const struct derivation *d, uint32_t layer);

#endif
