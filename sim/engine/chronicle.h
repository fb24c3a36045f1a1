/* Chronicle: what happened in a run without programs, written down as if programs had said so. Each operation
 * is added when it starts and closed when it ends; at the end the books become a job of one program per rank
 * and the engine's result, so that whatever reads a run (metrics, critical path, database, figures) reads
 * this one too. Stream 0 of a rank computes; a communication takes the first of the rank's lanes of its kind
 * that is free, so operations of a stream never overlap. */
#ifndef PARTITA_ENGINE_CHRONICLE_H
#define PARTITA_ENGINE_CHRONICLE_H

#include "engine/engine.h"

struct chronicle_stream {
    uint32_t name; /* interned */
    bool compute, taken;
    double busy, last; /* seconds; last: end of its last operation */
    double waits[4];   /* seconds by enum engine_cause */
};

struct chronicle_rank {
    uint32_t device;
    VECTOR(struct op) ops;
    VECTOR(struct engine_record) records; /* beside `ops`; end < 0: still under way */
    VECTOR(struct chronicle_stream) streams;
    struct index_list groups; /* group slot → group */
    struct index_list out;    /* pairs that begin here */
    struct index_list in;     /* pairs that end here */
};

/* Where messages of one purpose go from one rank to another. */
struct chronicle_pair {
    uint32_t from, to, name;                 /* ranks; interned */
    uint32_t group, from_slot, to_slot, way; /* way: the owner's */
};

struct chronicle {
    struct names *names; /* not owned */
    struct chronicle_rank *ranks;
    uint32_t rank_count;
    VECTOR(struct chronicle_pair) pairs;
    VECTOR(struct group) groups;
    struct index_list members;
    VECTOR(struct engine_transfer) transfers;
    uint32_t send, receive, compute; /* interned names of streams */
};

/* What released an operation: the end of another one. */
struct chronicle_cause {
    uint32_t rank, slot; /* PROGRAM_NONE: nothing */
};

void chronicle_init(struct chronicle *chronicle, struct names *names, const uint32_t *devices, uint32_t count,
                    struct arena *arena);
void chronicle_fini(struct chronicle *chronicle);

/* The pair of this name, made at its first use; its `way` is then PROGRAM_NONE. */
uint32_t chronicle_pair(struct chronicle *chronicle, uint32_t from, uint32_t to, uint32_t name);

/* A group of these ranks in ring order; its members' places in their tables go to `slots`. */
uint32_t chronicle_group(struct chronicle *chronicle, uint32_t name, const uint32_t *ranks, uint32_t count,
                         uint32_t *slots);

/* Takes a free stream of the rank with this name, or adds one. */
uint32_t chronicle_lane(struct chronicle *chronicle, uint32_t rank, uint32_t name);

/* Adds an operation that was ready and starts at these times, on a stream that nothing else is on. Returns
 * its slot. `peer`: the cause is another member of its group; otherwise one of another rank counts as the
 * last that ended on its own. */
uint32_t chronicle_begin(struct chronicle *chronicle, uint32_t rank, const struct op *op, double ready,
                         double start, struct chronicle_cause cause, bool peer);
/* Closes it and frees its stream. */
void chronicle_end(struct chronicle *chronicle, uint32_t rank, uint32_t slot, double now);

/* Moves everything into a job (whose arena and names are set) and a result (zeroed but for its arena). Every
 * operation must have ended. Activities, link_bytes and events are left to the caller. */
void chronicle_hand_over(struct chronicle *chronicle, struct job *job, struct engine_result *result);

#endif
