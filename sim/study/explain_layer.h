/* Explain a layer: its operators as einsums, and what a derivation makes of them: the layouts of each
 * operand, each device's share of work, weights and activations, and each communication with its reason, for
 * the forward pass, the input gradient and the weight gradient. */
#ifndef PARTITA_STUDY_EXPLAIN_LAYER_H
#define PARTITA_STUDY_EXPLAIN_LAYER_H

#include "base/unit.h"
#include "study/explain_stage.h"

#include <stdio.h>

/* "64 x 224 x 224" without the batch. */
void explain_layer_shape(const struct model *model, const struct tensor *tensor, FILE *out);

/* Name, kind, shape, parameters and MACs in one line. `prefix`: length of the unit's name, which is left out
 * of layer names; `runs`: some of it runs. */
void explain_layer_title(const struct model *model, uint32_t layer, size_t prefix, bool runs, FILE *out);

/* "cache on a device 5.2 MB …", after `before`; nothing where nothing is kept for later tokens. */
void explain_layer_kept(const struct explain_stage *stage, uint32_t layer, const char *before, FILE *out);

/* One layer of a stage in words; `prefix` as above. */
void explain_layer_text(const struct explain_stage *stage, uint32_t layer, size_t prefix, FILE *out);

/* What nobody in this stage asks for: what goes to other stages, and gradients that come back from them.
 * `layer`: of this layer's tensors only, or MODEL_NONE. */
void explain_layer_boundary(const struct explain_stage *stage, uint32_t layer, FILE *out);

/* "12.5 GFLOP", or "12.5 to 14 GFLOP" where devices differ. */
void explain_layer_range(double least, double most, enum unit unit, FILE *out);

/* "o over tensor (8), b over data (4)" */
void explain_layer_split(const struct derivation *d, uint32_t layer_op, FILE *out);

/* The layout that a parameter is kept in, or that an operator needs an operand in, or gives (`index` is the
 * number of operands). */
struct layout explain_layer_layout(const struct explain_stage *stage, uint32_t layer_op, uint32_t index);

/* The communications that an operator asks for in one pass, each on a line after `before`. `tensor`: of this
 * one only, or MODEL_NONE. Returns how many. */
uint32_t explain_layer_communications(const struct explain_stage *stage, uint32_t layer_op, bool backward,
                                      uint32_t tensor, const char *before, FILE *out);

#endif
