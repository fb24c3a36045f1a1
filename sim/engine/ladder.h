/* Ladder: the far end of the event queue. Keys lie unsorted in buckets, each of which covers a span of time;
 * the earliest bucket is cut finer and finer until it is small enough for the heap (queue.c). So a far key is
 * written a few times to the end of a bucket, where a heap would wait for memory at each of its levels:
 * amortised O(log(n) / log(32)) sequential writes. After W. T. Tang, R. S. M. Goh, I. L.-J. Thng, "Ladder
 * queue: an O(1) priority queue structure for large-scale discrete event simulation", ACM TOMACS 15(3), 2005;
 * here the spans are cut at sampled keys, so they follow any distribution.
 *
 * Buckets are a stack: the last one is the earliest, and only that one is ever cut. Their keys are in blocks
 * of one pool; a key's slot there is its handle's position. */
#ifndef PARTITA_ENGINE_LADDER_H
#define PARTITA_ENGINE_LADDER_H

#include "base/vector.h"

#include <stdbool.h>

__extension__ typedef unsigned __int128 queue_key; /* time bits, what, handle: see queue.c */

#define LADDER_FAR (1u << 31) /* in a handle's position: a slot of the ladder, not a place in the heap */
enum { LADDER_BLOCK = 64, LADDER_FAN = 32 };

struct ladder_bucket {
    uint32_t block, fill; /* its newest block, and the keys in it; the older ones are full */
    uint32_t count;       /* keys in all; 0: it has no block */
};

struct ladder_block {
    uint32_t older;  /* of the same bucket; of a free block: the next free one + 1 */
    uint32_t bucket; /* index */
};

struct ladder {
    VECTOR(queue_key) keys; /* LADDER_BLOCK per block */
    VECTOR(struct ladder_block) blocks;
    VECTOR(struct ladder_bucket) buckets;
    VECTOR(uint64_t) bounds; /* per bucket: time bits from which on it holds keys, descending */
    uint32_t free;           /* first free block + 1 */
    uint32_t count;          /* keys in all buckets */
};

void ladder_fini(struct ladder *ladder);

/* Time bits from which on a key belongs into the ladder; before that into the heap. */
static inline uint64_t ladder_limit(const struct ladder *ladder)
{
    return ladder->bounds.count ? ladder->bounds.at[ladder->bounds.count - 1] : UINT64_MAX;
}

/* Below, `position` is the queue's table of handles: it is kept up to date for keys that have one. */

/* Adds a key at or beyond the limit. */
void ladder_add(struct ladder *ladder, queue_key key, uint32_t *position);
/* Removes the key in a slot. */
void ladder_remove(struct ladder *ladder, uint32_t slot, uint32_t *position);
/* Replaces the key in a slot, if its bucket stays the same; false: nothing was done. */
bool ladder_replace(struct ladder *ladder, uint32_t slot, queue_key key);

/* Cuts the earliest bucket until it holds at most `most` keys, or keys of one time only. Returns how many it
 * holds; 0 when there are none left. */
uint32_t ladder_cut(struct ladder *ladder, uint32_t most, uint32_t *position);
/* Takes the earliest bucket's keys, in no order. */
void ladder_take(struct ladder *ladder, queue_key *keys);

/* Moves the later ones of these keys into new buckets, which become the earliest. Returns how many stay, in
 * no order; all when they are of one time. */
uint32_t ladder_spill(struct ladder *ladder, queue_key *keys, uint32_t count, uint32_t *position);

#endif
