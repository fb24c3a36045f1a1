/* Round: collectives at the level of steps. Each transfer of the algorithm is a flow of its own. It starts
 * when all transfers of earlier rounds in which its sender or its receiver takes part have ended. A
 * collective can be cut into pieces, each of which passes all rounds by the same rule; of two pieces the
 * later one waits, transfer by transfer, for the earlier one to have made the same transfer. */
#ifndef PARTITA_ENGINE_ROUND_H
#define PARTITA_ENGINE_ROUND_H

#include "base/arena.h"
#include "collective/collective.h"
#include "engine/network_model.h"

#define ROUND_TAG (1u << 31) /* set in the network tags of steps */

struct round_step {
    uint32_t from, to; /* members */
    double fraction;
};

/* A member's transfers of one round, or of `times` equal rounds. */
struct round_visit {
    uint32_t first, count; /* in `entries` */
    uint32_t times;
};

/* The transfers of one algorithm, kind and shape, shared by all collectives that are alike. */
struct round_plan {
    int kind;
    uint32_t shares; /* as in struct op */
    struct shape shape;
    struct round_step *steps;
    uint32_t step_count;
    struct round_visit *visits; /* by member, then by round */
    uint32_t *first_visit;      /* per member + 1 */
    uint32_t *entries;          /* steps, by visit */
    uint64_t transfers;         /* of all rounds */
    uint32_t free;              /* first unused state + 1 */
};

struct round_member {
    uint32_t visit, times; /* where it is: visit of the plan, and which of its equal rounds */
    uint32_t left;         /* transfers of this round that have not ended */
};

/* One piece of a collective on its way. */
struct round_state {
    uint32_t plan, transfer;
    uint32_t before, after; /* the pieces before and after it; PROGRAM_NONE: none, or over */
    uint32_t next;          /* next unused state + 1, while unused */
    uint64_t left;          /* transfers not yet ended */
    double bytes;           /* payload of the piece */
    double start;           /* seconds that transfers which start now wait besides; 0 after the start */
    uint8_t traffic;        /* as in struct op */
    const uint32_t *ranks;  /* members */
    struct round_member *members;
    uint32_t *ended; /* per step: how many of its rounds have ended */
    uint8_t *waits;  /* per step: how many of its two ends are not there yet; ROUND_RUNS: it is on its way */
};

struct round_flow {
    uint32_t state, step; /* while unused: `state` is the next unused flow + 1 */
};

struct round_route {
    uint32_t from, to, protocol;
    uint32_t first, count;      /* usage in `usages` */
    uint32_t path, path_length; /* links in `paths` */
    double latency, cap;
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

/* Starts a collective in that many pieces; transfer: index of its engine_transfer, whose activity has been
 * set. Returns false when it ends at once. */
bool round_start(struct run *run, uint32_t group, int kind, double bytes, uint32_t pieces, uint32_t transfer,
                 uint8_t traffic);

/* A step has ended. Returns true with the transfer when it was the last one of its collective. */
bool round_advance(struct run *run, uint32_t tag, uint32_t *transfer);

#endif
