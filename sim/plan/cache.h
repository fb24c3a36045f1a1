/* Cache: what a member of a stage keeps of earlier tokens: keys and values, latent vectors, and the states of
 * recurrent layers. A member keeps what its own work reads, in the shares in which it reads it; where these
 * shift as the cache grows (positions that are split evenly), sizes are those of equal shares, as if
 * positions were dealt out in turn, and nothing moves. */
#ifndef PARTITA_PLAN_CACHE_H
#define PARTITA_PLAN_CACHE_H

#include "plan/derive.h"

/* One reader of what is kept of a tensor. */
struct cache_reader {
    uint32_t tensor;            /* of the model: the new key, value or state */
    uint32_t layer_op, operand; /* of the derivation; of the operator */
};

/* All readers in a stage of a token, those of one tensor together. */
struct cache_readers {
    VECTOR(struct cache_reader) at;
};

/* Fills in the readers of a stage that is derived for one token; fini them. */
void cache_find(const struct derivation *token, struct cache_readers *readers);
void cache_fini(struct cache_readers *readers);

/* The first reader of the next tensor after that of reader `first`. */
uint32_t cache_next(const struct cache_readers *readers, uint32_t first);

/* Bytes that a member keeps of the tensor of reader `first` (the first of that tensor), for as many earlier
 * positions as the model of a token has now (decode_past()). */
double cache_bytes(const struct derivation *token, const struct cache_readers *readers, uint32_t first,
                   uint32_t member);

#endif
