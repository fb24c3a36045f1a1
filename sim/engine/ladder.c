/* A cut chooses at most LADDER_FAN − 1 bounds from a sample of the keys, all of them after the least key and
 * none after the greatest, so that every cut makes buckets that are smaller. The sample is every n-th key: no
 * random numbers. The order in which keys leave the queue depends on the keys alone, not on where they were.
 */
#include "engine/ladder.h"

#include <assert.h>
#include <string.h>

enum { SAMPLES = 4 * LADDER_FAN };

/* The bounds of a cut, and what they are made from. */
struct cut {
    uint64_t at[LADDER_FAN - 1]; /* ascending; the rest is UINT64_MAX */
    uint32_t count;
    uint64_t least, greatest;
    uint64_t sample[SAMPLES];
    uint32_t sampled, stride, skip;
};

void ladder_fini(struct ladder *ladder)
{
    VECTOR_FREE(&ladder->keys);
    VECTOR_FREE(&ladder->blocks);
    VECTOR_FREE(&ladder->buckets);
    VECTOR_FREE(&ladder->bounds);
}

static uint64_t time_of(queue_key key)
{
    return (uint64_t)(key >> 64);
}

static void place(struct ladder *ladder, uint32_t slot, queue_key key, uint32_t *position)
{
    uint32_t handle = (uint32_t)key;
    ladder->keys.at[slot] = key;
    if (handle != UINT32_MAX)
        position[handle] = LADDER_FAR | slot;
}

static uint32_t take_block(struct ladder *ladder, uint32_t bucket, uint32_t older)
{
    uint32_t block = ladder->free - 1;
    if (ladder->free) {
        ladder->free = ladder->blocks.at[block].older;
    } else {
        block = ladder->blocks.count;
        assert(block < LADDER_FAR / LADDER_BLOCK - 1);
        VECTOR_PUSH(&ladder->blocks, ((struct ladder_block){0}));
        VECTOR_RESERVE(&ladder->keys, ladder->blocks.count * LADDER_BLOCK);
    }
    ladder->blocks.at[block] = (struct ladder_block){older, bucket};
    return block;
}

static void give_block(struct ladder *ladder, uint32_t block)
{
    ladder->blocks.at[block].older = ladder->free;
    ladder->free = block + 1;
}

static void append(struct ladder *ladder, uint32_t b, queue_key key, uint32_t *position)
{
    struct ladder_bucket *bucket = &ladder->buckets.at[b];
    if (!bucket->count || bucket->fill == LADDER_BLOCK) {
        bucket->block = take_block(ladder, b, bucket->block);
        bucket->fill = 0;
    }
    place(ladder, bucket->block * LADDER_BLOCK + bucket->fill, key, position);
    bucket->fill++;
    bucket->count++;
}

/* The last bucket whose bound is not after the key's time. */
static uint32_t bucket_of(const struct ladder *ladder, uint64_t time)
{
    const uint64_t *base = ladder->bounds.at;
    for (uint32_t n = ladder->bounds.count; n > 1;) {
        uint32_t half = n / 2;
        base += base[half - 1] > time ? half : 0;
        n -= half;
    }
    return (uint32_t)(base - ladder->bounds.at) + (*base > time);
}

void ladder_add(struct ladder *ladder, queue_key key, uint32_t *position)
{
    append(ladder, bucket_of(ladder, time_of(key)), key, position);
    ladder->count++;
}

void ladder_remove(struct ladder *ladder, uint32_t slot, uint32_t *position)
{
    struct ladder_bucket *bucket = &ladder->buckets.at[ladder->blocks.at[slot / LADDER_BLOCK].bucket];
    uint32_t last = bucket->block * LADDER_BLOCK + --bucket->fill;
    if (slot != last)
        place(ladder, slot, ladder->keys.at[last], position);
    bucket->count--;
    ladder->count--;
    if (!bucket->fill) {
        uint32_t older = ladder->blocks.at[bucket->block].older;
        give_block(ladder, bucket->block);
        bucket->block = older;
        bucket->fill = LADDER_BLOCK;
    }
}

bool ladder_replace(struct ladder *ladder, uint32_t slot, queue_key key)
{
    uint32_t b = ladder->blocks.at[slot / LADDER_BLOCK].bucket;
    uint64_t time = time_of(key);
    if (time < ladder->bounds.at[b] || (b && time >= ladder->bounds.at[b - 1]))
        return false;
    ladder->keys.at[slot] = key;
    return true;
}

static void note(struct cut *cut, const queue_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t time = time_of(keys[i]);
        cut->least = time < cut->least ? time : cut->least;
        cut->greatest = time > cut->greatest ? time : cut->greatest;
        if (cut->skip-- == 0) {
            cut->skip = cut->stride - 1;
            cut->sample[cut->sampled++] = time;
        }
    }
}

static void sort_sample(struct cut *cut)
{
    for (uint32_t i = 1; i < cut->sampled; i++) {
        uint64_t time = cut->sample[i];
        uint32_t k = i;
        for (; k && time < cut->sample[k - 1]; k--)
            cut->sample[k] = cut->sample[k - 1];
        cut->sample[k] = time;
    }
}

/* False when all keys are of one time. */
static bool choose(struct cut *cut)
{
    if (cut->least == cut->greatest)
        return false;
    sort_sample(cut);
    memset(cut->at, 0xff, sizeof cut->at);
    for (uint32_t i = 1; i < LADDER_FAN; i++) {
        uint64_t time = cut->sample[i * cut->sampled / LADDER_FAN];
        if (time > cut->least && (!cut->count || time > cut->at[cut->count - 1]))
            cut->at[cut->count++] = time;
    }
    if (!cut->count)
        cut->at[cut->count++] = cut->greatest;
    return true;
}

static struct cut begin_cut(uint32_t count)
{
    return (struct cut){.least = UINT64_MAX, .stride = (count - 1) / SAMPLES + 1};
}

/* How many bounds are not after this time. */
static uint32_t part_of(const struct cut *cut, uint64_t time)
{
    uint32_t part = 0;
    for (uint32_t step = LADDER_FAN / 2; step; step /= 2)
        part += cut->at[part + step - 1] <= time ? step : 0;
    return part;
}

static void push_bucket(struct ladder *ladder, uint64_t bound)
{
    VECTOR_PUSH(&ladder->buckets, ((struct ladder_bucket){0}));
    VECTOR_PUSH(&ladder->bounds, bound);
}

/* Replaces the earliest bucket by as many as the cut has parts. Its blocks are used again as they empty. */
static void divide(struct ladder *ladder, const struct cut *cut, uint32_t *position)
{
    struct ladder_bucket old = ladder->buckets.at[--ladder->buckets.count];
    uint64_t bound = ladder->bounds.at[--ladder->bounds.count];
    for (uint32_t i = cut->count; i-- > 0;)
        push_bucket(ladder, cut->at[i]);
    push_bucket(ladder, bound);
    uint32_t first = ladder->buckets.count - 1;
    for (uint32_t block = old.block, fill = old.fill, left = old.count; left;) {
        queue_key keys[LADDER_BLOCK];
        memcpy(keys, ladder->keys.at + (size_t)block * LADDER_BLOCK, fill * sizeof *keys);
        uint32_t older = ladder->blocks.at[block].older;
        give_block(ladder, block);
        for (uint32_t i = 0; i < fill; i++)
            append(ladder, first - part_of(cut, time_of(keys[i])), keys[i], position);
        left -= fill;
        block = older;
        fill = LADDER_BLOCK;
    }
}

uint32_t ladder_cut(struct ladder *ladder, uint32_t most, uint32_t *position)
{
    while (ladder->buckets.count) {
        const struct ladder_bucket *bucket = &ladder->buckets.at[ladder->buckets.count - 1];
        if (!bucket->count) {
            ladder->buckets.count--;
            ladder->bounds.count--;
            continue;
        }
        if (bucket->count <= most)
            return bucket->count;
        struct cut cut = begin_cut(bucket->count);
        for (uint32_t block = bucket->block, fill = bucket->fill, left = bucket->count; left;) {
            note(&cut, ladder->keys.at + (size_t)block * LADDER_BLOCK, fill);
            left -= fill;
            block = ladder->blocks.at[block].older;
            fill = LADDER_BLOCK;
        }
        if (!choose(&cut))
            return bucket->count;
        divide(ladder, &cut, position);
    }
    return 0;
}

void ladder_take(struct ladder *ladder, queue_key *keys)
{
    struct ladder_bucket bucket = ladder->buckets.at[--ladder->buckets.count];
    ladder->bounds.count--;
    ladder->count -= bucket.count;
    for (uint32_t left = bucket.count; left;) {
        memcpy(keys, ladder->keys.at + (size_t)bucket.block * LADDER_BLOCK, bucket.fill * sizeof *keys);
        keys += bucket.fill;
        left -= bucket.fill;
        uint32_t older = ladder->blocks.at[bucket.block].older;
        give_block(ladder, bucket.block);
        bucket.block = older;
        bucket.fill = LADDER_BLOCK;
    }
}

uint32_t ladder_spill(struct ladder *ladder, queue_key *keys, uint32_t count, uint32_t *position)
{
    struct cut cut = begin_cut(count);
    note(&cut, keys, count);
    if (!choose(&cut))
        return count;
    for (uint32_t i = cut.count; i-- > 0;)
        push_bucket(ladder, cut.at[i]);
    uint32_t stay = 0, first = ladder->buckets.count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t part = part_of(&cut, time_of(keys[i]));
        if (part)
            append(ladder, first - part, keys[i], position);
        else
            keys[stay++] = keys[i];
    }
    ladder->count += count - stay;
    return stay;
}
