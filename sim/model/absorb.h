/* Absorb: attention over a cache of latent vectors without expanding it. Where the keys of an attention are a
 * product of a cached tensor with weights, its two products can be done in the other order (DeepSeek-AI 2024,
 * arXiv 2405.04434, section 2.1.2):
 *
 *     S[q,k] = Q[q,d] (C[k,l] W[l,d]) = (Q[q,d] W[l,d]) C[k,l]       O[q,e] = P[q,k] (C[k,l] W'[l,e])
 *                                                                         = (P[q,k] C[k,l]) W'[l,e]
 *
 * Per head and position of the cache that takes 2 l multiply-accumulates instead of l (d + e), and the cache
 * is read as it is. */
#ifndef PARTITA_MODEL_ABSORB_H
#define PARTITA_MODEL_ABSORB_H

#include "model/model.h"

/* Reassociates the products of all attention layers of a model of one position where both keys and values are
 * made so by layers of the same unit. Operators keep their indices, tensors and layers too but that what is
 * kept in the layer of the values comes after the attention. */
void absorb(struct model *token);

#endif
