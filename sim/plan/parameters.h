/* Parameters: the communication of a member's parameters and their gradients while its program is built:
 * gathers of what is kept in shares, ahead of their use; reductions of gradients as they become ready, in
 * buckets; gathers after the update.
 *
 * A unit's gather is issued when the unit `prefetch` before it begins, so it overlaps that much computation.
 */
#ifndef PARTITA_PLAN_PARAMETERS_H
#define PARTITA_PLAN_PARAMETERS_H

#include "plan/compression.h"
#include "plan/offload.h"
#include "plan/shard.h"

/* Gradients that go together: their reduction is the same. */
struct parameter_bucket {
    struct shard_reduction how;
    uint32_t shard_axes, label;
    bool late; /* other stages hold it too: it is complete only after they have met */
    double elements;
    struct compression_sizes sizes; /* of the same, where they are compressed */
};

/* Gradients that are being summed in compressed form: each phase goes on when the next bucket is sent off, so
 * that its collective has had that long. */
struct parameters_squeezed {
    struct compression_sizes sizes;
    uint32_t axes, label;
    uint32_t phase; /* the next one */
    uint32_t op;    /* what it waits for */
    double held;    /* bytes that its collectives have brought */
};

/* Gradients of a bucket that are complete. */
struct parameters_left {
    struct offload_share share;
    bool late; /* they are still here */
};

struct parameters {
    const struct derivation *d; /* not owned */
    struct builder *builder;    /* not owned */
    struct role role;
    uint32_t *gathered; /* per parameter: the operation that brought it here; PROGRAM_NONE: none did */
    bool *whole;        /* per parameter: it is here whole */
    bool *deferred;     /* per parameter: it is left to another stage of the rank, which has the same copy and
                           comes later: gradients of both are summed here and go once */
    uint32_t unreduced; /* interned: what whole gradients are called of which shares stay */
    VECTOR(struct parameter_bucket) buckets;
    VECTOR(struct parameters_squeezed) squeezed; /* those of which phases are left */
    struct index_list awaited; /* the last operation of each stream that brings parts of gradients */
    struct index_list *waits;  /* what the optimizer waits for. Not owned. */
    struct offload *offload;   /* not owned */
    uint32_t *uploaded;        /* per parameter: the operation that brought it here after its update */
    uint32_t *bucket_of;       /* per parameter: 1 + the bucket that its gradient waits in; 0: none */
    bool *copied;     /* per parameter: an earlier stage of this rank has the same one, which is updated */
    uint32_t *key_of; /* per parameter: the share that it is updated with */
    uint32_t first_key, next_key;        /* of shares: the first of this stage, that of the next bucket */
    bool *seen;                          /* per key from the first: some gradient of this step has left */
    VECTOR(struct parameters_left) left; /* shares of this step, in the order of their gradients */
};

void parameters_init(struct parameters *parameters, const struct derivation *d, struct role role,
                     struct builder *builder, struct index_list *waits, struct offload *offload,
                     struct arena *arena);
void parameters_fini(struct parameters *parameters);

/* A pass begins to work on a unit: what it needs is gathered, and the next kernel waits for it. */
void parameters_enter(struct parameters *parameters, uint32_t unit, bool backward);

/* The backward pass of a unit begins: it makes whole gradients, of which shares may stay. */
void parameters_expect(struct parameters *parameters, uint32_t unit);

/* A pass has done with a unit: what need not be kept is dropped. `last`: of the step's micro-batches. */
void parameters_leave(struct parameters *parameters, uint32_t unit, bool backward, bool last);

/* An operation brings a part of a parameter's gradient (summa.h): what is reduced further, and the optimizer,
 * wait for it. */
void parameters_await(struct parameters *parameters, uint32_t op);

/* The backward kernel of stage operator `index` has run: with buckets, gradients that it completes go. */
void parameters_ready(struct parameters *parameters, uint32_t index, bool last);

/* The backward pass has left all units from `unit` on: without buckets, their gradients go; at the stage's
 * first unit, whatever is left. */
void parameters_reduce(struct parameters *parameters, uint32_t unit, bool last);

/* After all passes: whatever is left of compressed sums is done. */
void parameters_settle(struct parameters *parameters);

/* Sends the gradients of a share to the host, or to the drive by way of it. `after`: what they wait for. */
void parameters_depart(struct parameters *parameters, const struct offload_share *share, double elements,
                       bool last, const struct index_list *after);

/* The values of a share's parameters, updated elsewhere, are here after operation `op`. */
void parameters_arrive(struct parameters *parameters, uint32_t key, uint32_t op);

/* After the update: members that updated a share get the others. `update`: the optimizer's operation;
 * PROGRAM_NONE: each share arrives by itself. */
void parameters_publish(struct parameters *parameters, uint32_t update);

/* The sets of axes along which a stage's parameters communicate, each once, in the order of the parameters.
 */
void parameters_axes(const struct derivation *d, struct index_list *axes);

#endif
