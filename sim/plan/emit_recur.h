/* Recur: writes the passes of tokens that are alike once, as a section of the program that recurs. The first
 * of them is written as any other; those after it are written too, but only to be compared with it: what they
 * cost and hold goes into series, one number per token, and their operations are forgotten. So the run is,
 * bit for bit, that of all tokens written out. Where micro-batches are alike, one of each token is enough.
 *
 * Memory: O(operations of a token + tokens · different series). */
#ifndef PARTITA_PLAN_EMIT_RECUR_H
#define PARTITA_PLAN_EMIT_RECUR_H

#include "plan/emitter.h"

/* What is kept of one operation, or change of memory, that recurs. */
struct recur_cost {
    struct op_cost *at; /* per token; NULL: always what is written */
};
struct recur_size {
    struct memory_change change; /* as written; its operation counts from the section's start */
    double *at;                  /* bytes per token; NULL: always what is written */
};

struct recur {
    struct arena arena;
    struct builder_mark begin, end; /* of what is written */
    uint32_t times, time;           /* tokens; the one at hand */
    uint32_t copies;                /* micro-batches that are alike; 1: all are written for each token */
    uint32_t op_count;              /* of one copy */
    uint32_t size_count;            /* changes of one copy that are written; the further ones are not */
    struct recur_cost *costs;
    struct {
        struct recur_size *at;
        uint32_t count, room;
    } sizes;
    VECTOR(double) now; /* bytes of the token at hand, per size */
    bool uneven;        /* some token is not like the first: this cannot be folded */
};

/* What was written since `begin` is the first of `times` tokens, of `micro_batches`. */
void emit_recur_begin(struct recur *recur, struct builder *builder, struct builder_mark begin, uint32_t times,
                      uint32_t micro_batches);

/* What was written since then is the next token, or its first micro-batch: takes what it costs, and takes it
 * back. */
void emit_recur_next(struct recur *recur, struct builder *builder);

/* Notes the series of what changes from token to token. */
void emit_recur_end(struct recur *recur, struct builder *builder, struct emit_series *series);

#endif
