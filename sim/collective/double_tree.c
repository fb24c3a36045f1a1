/* Double binary tree: two binary trees, each for one half of the payload, such that almost every member is a
 * leaf of one and an inner node of the other, so that both directions of its port are used. All-reduce goes
 * up both trees and down again. The first tree is in order (the lowest set bit of a member's number is its
 * height); the second is its mirror image, or for odd numbers of members the first one shifted by one.
 *
 * Sanders, Speck, Träff: Two-tree algorithms for full bandwidth broadcast, reduction and scan, Parallel
 * Computing 35 (2009); as in NCCL since 2.4. */
#include "collective/binomial.h"
#include "collective/collective.h"

/* The parent in the in-order tree; a member's own number is that of the root, 0. */
static uint32_t double_tree_parent(uint32_t n, uint32_t i)
{
    uint32_t bit = i & (~i + 1), up = (i ^ bit) | bit << 1;
    return up < n ? up : i ^ bit;
}

/* Position in the second tree <-> member. */
static uint32_t double_tree_member(uint32_t n, uint32_t tree, uint32_t position)
{
    if (tree == 0)
        return position;
    return n % 2 ? (position + 1) % n : n - 1 - position;
}

static void double_tree_up(struct transfer_list *out)
{
    uint32_t n = out->members, rounds = binomial_rounds(n);
    for (uint32_t round = 0; round < rounds; round++)
        for (uint32_t tree = 0; tree < 2; tree++)
            for (uint32_t i = 1u << round; i < n; i += 2u << round)
                transfer_add(out, round, double_tree_member(n, tree, i),
                             double_tree_member(n, tree, double_tree_parent(n, i)), tree, 1, true);
}

static void double_tree_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    transfer_begin(out, kind, shape->members, 2);
    double_tree_up(out);
    uint32_t count = out->count, rounds = transfer_rounds(out);
    for (uint32_t i = 0; i < count; i++) { /* the same once more, then turned round */
        struct transfer_step step = out->at[i];
        step.round += rounds;
        VECTOR_PUSH(out, step);
    }
    transfer_reverse(out, count, false);
}

/* A round up takes as long as the fullest port: two halves where a member has two children of the round's
 * height (positions 2^r and 3·2^r exist), else one; down takes as long. */
static double double_tree_seconds(int kind, const struct shape *shape, double bytes, double latency,
                                  double bandwidth)
{
    double seconds = 0;
    (void)kind;
    for (uint32_t round = 0; round < binomial_rounds(shape->members); round++)
        seconds += latency + (3ull << round < shape->members ? 2 : 1) * (bytes / 2) / bandwidth;
    return 2 * seconds;
}

const struct algorithm double_tree_algorithm = {
    .name = "double-binary-tree",
    .about =
        "each half of the payload up and down a tree of its own; few rounds and, in pieces, full bandwidth",
    .kinds = 1u << ALL_REDUCE,
    .steps = double_tree_steps,
    .seconds = double_tree_seconds,
};
