/* Frontier: the layouts that a search (search.h) has reached, each once, and those of them that are to be
 * looked at next, the nearest first. A layout is known by its number. Memory grows with what is reached, by
 * doubling in an arena, and is used again by the next search. */
#ifndef PARTITA_PLAN_FRONTIER_H
#define PARTITA_PLAN_FRONTIER_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { FRONTIER_NONE = UINT32_MAX };

struct frontier_node {
    double seconds;                 /* from the start, by the best way so far; INFINITY: by none yet */
    double left;                    /* at least so many more to the end */
    uint32_t code;                  /* the number of its layout */
    uint32_t before;                /* node that the way comes from; FRONTIER_NONE: it is the start */
    uint8_t collective, axis, axes; /* of the edge from there (convert.h) */
    uint8_t edges;                  /* collectives from the start */
    bool done;                      /* no better way is possible */
};

struct frontier_entry {
    double whole; /* seconds from the start to the end by this layout, at least */
    uint32_t node, edges;
};

struct frontier {
    struct frontier_node *nodes;
    struct frontier_entry *heap; /* binary; a node that was reached again by a better way is in it again */
    uint32_t *slots;             /* 1 + node, by the hash of its code; 0: free */
    uint32_t node_count, node_room, heap_count, heap_room, slot_count; /* the last: a power of two */
    struct arena *arena;                                               /* not owned */
};

void frontier_init(struct frontier *frontier, struct arena *arena);
/* Forgets every layout; keeps the memory for the next search. */
void frontier_clear(struct frontier *frontier);

/* The node of a layout, new where it has not been reached before. Nodes move when one is added. */
uint32_t frontier_find(struct frontier *frontier, uint32_t code, bool *added);

/* A node has a new way. */
void frontier_push(struct frontier *frontier, uint32_t node);

/* The node that is nearest to the end over all, and marks it as done; of equally near ones that of the fewest
 * collectives, then the lowest code. FRONTIER_NONE: none is left. */
uint32_t frontier_pop(struct frontier *frontier);

#endif
