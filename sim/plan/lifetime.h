/* Lifetime: from which action of a pass to which a member holds what its actions make.
 *
 * What an action makes is held until the last action that depends on it: with its own name or in its place (a
 * view, the activation inside a product's kernel, an all-reduce). What the backward pass of another time
 * reads (saved.h) is an activation and outlives the pass. Everything else is temporary: outputs that the next
 * kernel reads, gradients of activations on their way, whole copies of what is kept in shares, received
 * messages. Gradients of one tensor are added in the buffer of the first; what only passes a gradient on (a
 * residual's addition) makes no copy of it. */
#ifndef PARTITA_PLAN_LIFETIME_H
#define PARTITA_PLAN_LIFETIME_H

#include "plan/builder.h"

struct lifetime {
    uint32_t from, to; /* actions; to MODEL_NONE: beyond the pass */
    double bytes;
    uint32_t label; /* interned: the tensor */
    uint8_t category;
    uint32_t next_from, next_to; /* of those that begin, and end, with the same action; MODEL_NONE ends */
};

struct lifetimes {
    VECTOR(struct lifetime) at;
    uint32_t *first_from, *first_to; /* per action; in the arena */
};

/* Of the forward actions of a member; with `again` of those that it marks, as recomputation runs them. */
void lifetime_forward(const struct derivation *d, uint32_t member, const bool *again, struct arena *arena,
                      struct lifetimes *lifetimes);
/* Of the backward actions of a member. */
void lifetime_backward(const struct derivation *d, uint32_t member, struct arena *arena,
                       struct lifetimes *lifetimes);
void lifetime_fini(struct lifetimes *lifetimes);

/* The next kernel of `builder`, or (op not PROGRAM_NONE) an operation that is there, takes what begins with
 * an action. */
void lifetime_begin(const struct lifetimes *lifetimes, uint32_t action, struct builder *builder, uint32_t op);
/* An operation gives back what ends with an action. */
void lifetime_end(const struct lifetimes *lifetimes, uint32_t action, struct builder *builder, uint32_t op);

/* The bytes of weight gradients that a backward kernel makes before they are added to sums of another
 * precision. Where precisions are the same the product adds to the sum itself. */
double lifetime_weights(const struct derivation *d, uint32_t layer_op, uint32_t member);

#endif
