/* Route tree: the shortest paths from one device to every node that forwards traffic. For route.c.
 *
 * The search runs over states. Plainly, a state is a node of the *core*: one that forwards and has more than
 * one neighbour. With up-down routing there are two per core node: reached by going up only, and after having
 * gone down. A terminal (a device with `forward: no`, or a node with one neighbour, which no shortest path
 * can pass through) is never expanded nor stored: the best arc into it is found when its route is asked for.
 * So a tree has one 16-byte entry per switch, not per GPU; and devices whose only way out leads to the same
 * switch share the tree of that switch. A tree grows as far as the routes that are asked for need it: on a
 * large machine the way to a neighbour is found without a look at the rest. */
#ifndef PARTITA_PLATFORM_ROUTE_TREE_H
#define PARTITA_PLATFORM_ROUTE_TREE_H

#include "platform/platform.h"

#include <assert.h>

struct route_entry {
    uint64_t cost;  /* femtoseconds (or hops) from the source */
    uint32_t nodes; /* of the path, both ends included; 0: not reached */
    uint32_t arc;   /* the last arc of the best path; UINT32_MAX at the source */
};
static_assert(sizeof(struct route_entry) == 16, "one tree entry is 16 bytes");

struct route_step {
    uint64_t cost;
    uint32_t nodes, state;
};

struct route_edge { /* an arc between two states, as Dijkstra's inner loop reads it */
    uint64_t cost;
    uint32_t state, arc; /* the state it leads to */
};

struct route_tree {
    uint32_t root; /* the node where it starts: the source's or, where the source has one way out only, its
                      neighbour */
    struct route_entry *entries; /* per state; final where it is not above the heap's top */
    double *paths;               /* per state, how many paths are equally good; NULL unless they are spread */
    VECTOR(struct route_step) heap; /* states whose edges are still to be looked at; empty: grown whole */
};

struct route_cache {
    struct arena arena;   /* owns the arrays and the trees */
    struct arena paths;   /* routes handed out for `source` */
    uint32_t source;      /* device; UINT32_MAX: none yet */
    uint32_t core_count;  /* nodes that forward */
    uint32_t state_count; /* core_count, twice that for up-down */
    uint32_t *core;       /* node -> its index in the core, UINT32_MAX for a terminal */
    uint32_t *first_edge; /* per state + 1: rows of edges */
    struct route_edge *edges;
    uint32_t *first_in; /* per node + 1: rows of in_arcs, ascending arcs into a node from core nodes; rows of
                           core nodes are empty unless something needs them */
    uint32_t *in_arcs;
    uint32_t *slot; /* node -> slot of the tree that starts there, UINT32_MAX for none */
    uint32_t slot_count, slots_used, slot_next;
    uint32_t *owner; /* slot -> node */
    struct route_tree *trees;
};

/* What an arc costs. */
uint64_t route_tree_cost(const struct platform *platform, uint32_t arc);
/* Whether an arc goes up; of nodes of one level, the lower one is above. Only with up-down routing. */
bool route_tree_up(const struct platform *platform, uint32_t arc);

/* The only arc out of a device that has one way out, to a core node (with up-down routing, upwards);
 * UINT32_MAX: it has others. Its routes are that arc and what follows from there. */
uint32_t route_tree_only(const struct platform *platform, uint32_t device);

/* Makes the platform's cache when there is none, and the tree of a device when it is not in it. Valid until
 * many others were asked for. */
struct route_tree *route_tree_get(struct platform *platform, uint32_t device);

/* Looks at the edges of the nearest `states` states that are nearer than `limit` (any, where that is not
 * reached); false when there was none. Whole trees cost O(core arcs · log core nodes). */
bool route_tree_grow(const struct platform *platform, struct route_tree *tree, struct route_entry limit,
                     uint32_t states);

void route_tree_fini(struct platform *platform);

/* Whether `a` has less cost than `b`, or as much and fewer nodes; what was not reached is the farthest. */
bool route_tree_nearer(const struct route_entry *a, const struct route_entry *b);

/* Whether the path that costs `offer` beats `entry`: nearer, then a lower node before the last arc (then the
 * lower arc, when arcs are tried in ascending order per node). */
bool route_tree_improves(const struct platform *platform, const struct route_entry *entry,
                         const struct route_entry *offer);

#endif
