/* Decode: the two models of generating text. The *prompt* is the model as it is, ending in the choice of one
 * token. A *token* is the same model built for a sequence of one position, whose attention reads the keys and
 * values of earlier positions from a cache:
 *
 *     S[b,g,r,q,k] = Q[b,q,g,r,d] (K.cache ++ K)[b,k,g,d]      k = past + 1, q = 1
 *
 * What is kept is what the attention layers say (model.h: `cached`): keys and values, or with latent
 * attention the narrow vectors that both are made from. In the latter case products are reassociated, so that
 * the cache is never expanded (absorb.h). A recurrent layer keeps its state, which does not grow.
 *
 * The operators of both models stand at the same indices, and so do the tensors; caches come after those. */
#ifndef PARTITA_MODEL_DECODE_H
#define PARTITA_MODEL_DECODE_H

#include "model/model.h"

/* Why a model cannot generate its sequence token by token, for a message, in `arena`; NULL: it can. */
const char *decode_obstacle(const struct model *model, struct arena *arena);

/* Rows of the shortest table of positions: the longest sequence that it can have. 0: there is none. */
uint64_t decode_positions(const struct model *model);

/* Ends a model that can generate in the choice of the next token: logits are made at one position, and a new
 * last layer `sample` takes the largest. */
void decode_sample(struct model *model);

/* Makes a token of a model that was built for one position: adds the caches. */
void decode_step(struct model *token);

/* Sets how many positions the caches hold. */
void decode_past(struct model *token, uint64_t past);

/* The tokens that the model reads, and the one that it chose. */
uint32_t decode_input(const struct model *model);
uint32_t decode_output(const struct model *model);

#endif
