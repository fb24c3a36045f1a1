/* Builder: appends operations to the program of one rank. Kernels of one layer part that follow one another
 * without waiting for a communication become one compute operation. */
#ifndef PARTITA_PLAN_BUILDER_H
#define PARTITA_PLAN_BUILDER_H

#include "plan/cast.h"
#include "plan/work.h"

struct builder {
    struct cast *cast;
    struct names *names;
    uint32_t rank; /* whose program this is */
    VECTOR(struct op) ops;
    VECTOR(uint32_t) dependencies;
    VECTOR(bool)
    waited;         /* per operation: compute has waited for it, so later compute need not say so again */
    uint32_t *used; /* per group slot: collectives and exchanges so far */
    /* The pass that is being built. */
    uint8_t pass;
    uint32_t step, micro_batch, token;
    uint32_t mark; /* how far the pass is, noted with each operation (overlap.c) */
    VECTOR(uint32_t) marks;
    uint32_t open;                       /* the compute operation that still takes kernels; PROGRAM_NONE */
    uint32_t last_compute;               /* of the whole program; PROGRAM_NONE */
    struct index_list gate;              /* operations that the next kernel waits for besides its own */
    VECTOR(struct memory_change) memory; /* of closed operations, in any order; held throughout */
    uint32_t merged; /* so many of those are of operations before the last overlapped pair */
    VECTOR(struct memory_change) pending; /* to be taken by the next kernel */
    VECTOR(struct memory_change) inside;  /* of the open operation, in the order of its kernels */
    struct index_list places;             /* builder_finish()'s own */
};

/* How far a program is, between two passes. */
struct builder_mark {
    uint32_t ops, dependencies, memory, last_compute;
    uint32_t pending; /* changes that the next kernel, of another pass, will take */
    uint32_t *used;   /* in the arena */
};
struct builder_mark builder_mark(const struct builder *builder, struct arena *arena);
/* Forgets what was added since. */
void builder_back(struct builder *builder, const struct builder_mark *mark);

/* Begins a program, in the room of the one before it: zero the builder to start. */
void builder_init(struct builder *builder, struct cast *cast, uint32_t rank, struct names *names);
void builder_fini(struct builder *builder);

/* Adds the work of one kernel. `after`: operations that it waits for. Returns the operation that it became
 * part of. */
uint32_t builder_kernel(struct builder *builder, uint32_t label, const struct work *work,
                        const struct index_list *after);

/* Ends the open compute operation: the next kernel begins another. */
void builder_close(struct builder *builder);

/* Adds one communication in a group of the registry. `match` MODEL_NONE: the next one of that group. */
uint32_t builder_communicate(struct builder *builder, enum op_kind kind, int collective, uint32_t group,
                             uint32_t match, double bytes, uint32_t label, const struct index_list *after);

/* The next kernel takes memory (bytes > 0). */
void builder_take(struct builder *builder, uint8_t category, uint32_t label, double bytes);

/* Operation `op` (PROGRAM_NONE: the last one of the compute stream) takes memory when it starts (bytes > 0),
 * or gives it back when it ends. Kernels that are one operation take and give back in turn, but it is charged
 * as if it held at its start what it holds at most; so peaks are exact. */
void builder_change(struct builder *builder, uint32_t op, uint8_t category, uint32_t label, double bytes);

/* What is held throughout. */
void builder_hold(struct builder *builder, uint8_t category, uint32_t label, double bytes);

/* Copies what was built into a program in `arena`. Changes of no bytes are left out, unless they have sizes.
 */
void builder_finish(struct builder *builder, struct arena *arena, struct program *program);

#endif
