/* Round: collectives at the level of steps. Each transfer of the algorithm is a flow of its own; it starts
 * when its sender has received all its transfers of earlier rounds. */
#ifndef PARTITA_ENGINE_ROUND_H
#define PARTITA_ENGINE_ROUND_H

#include "base/arena.h"
#include "collective/collective.h"
#include "engine/network_model.h"

#define ROUND_TAG (1u << 31) /* set in the network tags of steps */

/* The transfers of one (kind, member count), shared by all collectives of that shape. */
struct round_plan {
    int kind;
    uint32_t members;
    struct transfer_list list;
    uint32_t *first_out; /* per member + 1: rows of `out` */
    uint32_t *out;       /* its transfers, by round */
    uint32_t *needs;     /* per transfer: how many of the sender's arrivals must be there */
    uint32_t *order;     /* per transfer: which arrival of its receiver it is, by round */
    uint32_t *first_in;  /* per member + 1: rows of the receivers' arrival flags */
    uint32_t free;       /* first unused state + 1 */
};

/* One collective on its way. */
struct round_state {
    uint32_t plan, transfer, left; /* transfers not yet ended */
    uint32_t next;                 /* next unused state + 1, while unused */
    double bytes;                  /* payload */
    const uint32_t *members;       /* ranks */
    uint8_t *arrived;              /* first_in[member] + order */
    uint32_t *prefix;              /* per member: arrivals there, from the first without a gap */
    uint32_t *sent;                /* per member: transfers started */
};

struct round_flow {
    uint32_t state, step; /* while unused: `state` is the next unused flow + 1 */
};

struct round_route {
    uint32_t from, to, first, count; /* usage in `usages` */
    uint32_t path, path_length;      /* links in `paths` */
    double latency;
};

struct round_table {
    struct arena arena;
    VECTOR(struct round_plan) plans;
    VECTOR(struct round_state) states;
    VECTOR(struct round_flow) flows;
    VECTOR(struct round_route) routes;
    VECTOR(struct network_usage) usages;
    struct index_list paths;
    struct index_list slots; /* open-addressing hash of routes: index + 1 */
    uint32_t free_flow;      /* + 1 */
};

struct run;

void round_init(struct round_table *table);
void round_fini(struct round_table *table);

/* Starts a collective; transfer: index of its engine_transfer. Returns false when it ends at once. */
bool round_start(struct run *run, uint32_t group, int kind, double bytes, uint32_t transfer);

/* A step has ended. Returns true with the transfer when it was the last one of its collective. */
bool round_advance(struct run *run, uint32_t tag, uint32_t *transfer);

#endif
