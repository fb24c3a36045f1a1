/* Fuse: blocks of layers that are computed tile by tile. A tile is a part of what the block gives; every
 * layer of the block computes what the tile needs of it, so that tiles of neighbours overlap and the overlap
 * is computed by each of them, where layer-wise halos would be sent. Only what the first layer reads and what
 * the last one gives is communicated. (Fused tile partitioning: Zhao, Barijough and Gerstlauer 2018,
 * DeepThings.)
 *
 * A member computes its tiles in turn, in *rounds*: tile round · members + member. The parts of one round
 * that stay inside the block carry its number, so that nothing of another tile is taken for them. Backward,
 * each tile's copy of a value has the gradient that came through that tile; their sum is the gradient, which
 * is why nothing is exchanged inside the block then either. */
#ifndef PARTITA_PLAN_FUSE_H
#define PARTITA_PLAN_FUSE_H

#include "plan/derive.h"

struct fuse_block {
    const struct plan_fused *where;
    uint32_t first_unit, unit_count;
    uint32_t *operators; /* of the model, those that run, in order */
    uint32_t count, rounds;
    bool dealt;      /* tiles are dealt to the members: no member has its share of the output whole */
    uint32_t output; /* the one tensor that leaves */
    uint32_t *entries, entry_count; /* tensors read inside and made outside; no parameters */
    struct assignment *assignments; /* [round · count + operator] */
    struct box **entry_boxes;       /* [round · entry_count + entry][member] */
    struct layout *entry_layouts;   /* per entry */
};

/* Prepares the blocks of a stage in the derivation's arena; reports, at the block, what cannot be fused. */
bool fuse_prepare(struct derivation *d, struct report *report);

/* The block that begins with a unit, or NULL. */
const struct fuse_block *fuse_at(const struct derivation *d, uint32_t unit);

/* The unit that a unit of the model counts as: where tiles are dealt, the whole block is its first. */
uint32_t fuse_unit(const struct derivation *d, uint32_t unit);

/* The mark of what a stage operator reads (or gives) of a tensor: its tile's, where only this tile may use
 * it; else 0. */
uint32_t fuse_mark(const struct derivation *d, const struct stage_operator *so, uint32_t tensor);

#endif
