/* Derive: from the operators of a stage and the axes of its mesh to everything that its members do for one
 * micro-batch: kernels and communications, forward and backward, in order and with their dependencies.
 *
 * Forward, each operator states the layout that it needs its operands in (assign.h); a tensor that exists in
 * another layout is converted (all-reduce, reduce-scatter, all-gather, all-to-all, exchange of the
 * difference), once per layout, and the converted form is kept for later consumers. Backward, the gradient of
 * an operand is partial on the axes that split a dimension which the operand lacks; contributions of several
 * consumers are added in a common layout and then converted, by the same routine, to the layout in which the
 * tensor was computed, partial read as replicated. Nothing is tabulated per partitioning scheme. */
#ifndef PARTITA_PLAN_DERIVE_H
#define PARTITA_PLAN_DERIVE_H

#include "plan/assign.h"

struct fuse_block;

enum action_kind { ACTION_KERNEL, ACTION_COLLECTIVE, ACTION_EXCHANGE, ACTION_SEND, ACTION_RECEIVE };

/* Why a communication is needed, for `partita explain`. */
enum reason {
    REASON_NONE,
    REASON_CONTRACTED,   /* dimension `because` is contracted and split: partial sums */
    REASON_WANTED_WHOLE, /* the next operator does not split what this tensor is split along */
    REASON_OTHER_DIM,    /* the next operator splits another dimension */
    REASON_HALO,         /* windows reach into rows or columns of other members, or shares differ */
    REASON_TO_ROOT,      /* the same, through a coordinator (exchange.h): what others want of a member … */
    REASON_FROM_ROOT,    /* … and what a member wants of others */
    REASON_COMBINED,     /* only the first member of the axis does the next operator */
    REASON_SPREAD,       /* only the first member of the axis has it */
    REASON_STATISTICS,   /* a normalised dimension is split: its statistics are combined */
    REASON_STAGE,        /* the tensor crosses to another stage */
    REASON_SAVED,        /* the backward pass reads whole what was kept in shares */
    REASON_COUNT
};

struct message_part {
    uint32_t from, to; /* members of the sending and the receiving stage */
    double elements;
};

struct action {
    uint8_t kind;       /* enum action_kind */
    uint8_t collective; /* enum collective_kind */
    uint8_t axis;       /* of a collective: the axis, or one of them */
    uint8_t axes;   /* of a collective: bit set, all axes that it runs over together; of an exchange: along
                       which it goes through coordinators */
    uint8_t reason; /* enum reason */
    uint8_t leg;    /* EXCHANGE: enum exchange_leg */
    bool backward;
    bool streamed;     /* ALL_GATHER, REDUCE_SCATTER: block by block around a ring, while others are worked on
                          (streamed.h, summa.h) */
    bool uneven;       /* COLLECTIVE: groups along its axis have different payloads; set by state_action() */
    uint32_t layer_op; /* KERNEL: index into the derivation's operators; else the operator that asked, or
                          MODEL_NONE */
    uint32_t tensor;   /* communications */
    uint32_t because;  /* interned name of a dimension, or 0 */
    uint32_t unit, part;         /* of the model; part interned */
    struct layout before, after; /* collectives */
    double elements;             /* > 0: elements per point instead of the tensor's (statistics) */
    double element_bytes;
    uint32_t loop;  /* of the derivation: this happens in every time step; MODEL_NONE: once */
    bool carried;   /* waits, besides, for what the step before made of the loop's `carry` */
    bool transient; /* only for the next step: not done in the last one (backward: the first one has nothing
                       to do it with) */
    bool feeds;     /* SEND, RECEIVE: of the token that was chosen, for the next pass (generate.h) */
    uint32_t peer;  /* SEND, RECEIVE: the other stage; MODEL_NONE: plan->input_device */
    uint32_t slot;  /* SEND, RECEIVE: which of the transfers between the two stages this is */
    uint32_t first_message, message_count;
    uint32_t first_dependency, dependency_count; /* earlier actions of the same list */
};

/* One form in which a tensor exists on this mesh. */
struct form {
    struct layout layout;
    struct box *boxes;      /* per member, where they are not the layout's own; else NULL. In the arena. */
    uint32_t action;        /* that made it; MODEL_NONE: it was there */
    uint32_t next;          /* next form of the tensor; MODEL_NONE ends */
    uint32_t tile;          /* of a fused block: only this tile may use it; 0: everyone */
    bool streamed;          /* never there at once: only who made it reads it, block by block */
    bool saved, saved_kept; /* read by some unit's backward pass; kept for it since the forward pass */
    uint32_t saved_chunk;   /* 1 + first unit of the last recomputed run of units that reads it */
};

struct stage_operator {
    uint32_t layer_op; /* of the model */
    uint32_t unit;
    struct assignment assignment;
    const struct fuse_block *fused;  /* that it is part of; NULL */
    uint32_t tile;                   /* which tile of a fused block, counted over the stage from 1; 0: none */
    uint8_t lazy[OPERATOR_OPERANDS]; /* per operand, bit set: axes along which it stays a partial sum (lazy.h)
                                      */
    uint8_t streamed;                /* bit set: operands that come block by block (streamed.h) ... */
    uint8_t ring_axes;               /* ... around these axes together (bit set) */
    uint8_t panels;                  /* bit set: operands of a product that come in panels (summa.h) ... */
    int8_t panel_dim;                /* ... of this contracted dimension; -1: none do */
    uint8_t panel_axes[OPERATOR_OPERANDS]; /* per such operand: axes (bit set) along which it is shared out */
    uint32_t panel_count;
    uint64_t *panel_edges; /* where each begins, and where the last one ends; in the arena */
};

struct stage_parameter {
    uint32_t tensor;
    uint32_t unit, last_unit; /* the first and the last that use it */
    struct layout layout;     /* in which it is used, and stored but for ... */
    uint32_t shard_axes;      /* bit set: ... these, along which what is used is kept in shares (shard.h) */
    uint32_t partial_axes;    /* bit set: its gradient is a partial sum along these */
    uint32_t layer_op;        /* of the derivation: the first that uses it, whose backward pass completes its
                                 gradient */
    uint32_t rows; /* bit set: its dimensions that this operator contracts; the others are columns */
};

struct stage_saved {
    uint32_t tensor, unit;
    uint32_t form; /* index into forms; the layout it is kept in */
    double extra;  /* bytes per element kept besides or instead (dropout mask); 0: the tensor itself in the
                      plan's precision */
    bool kept;     /* from the forward pass on; otherwise it is made again in the backward pass */
    bool first, first_kept, first_of_chunk; /* no earlier unit (of those that run again together) reads, or
                                               keeps, the same: the one copy is counted here */
};

/* What an operator's backward pass reads in another form than the one that is kept. */
struct stage_regather {
    uint32_t layer_op;           /* of the derivation */
    uint32_t tensor, used, kept; /* the latter two: forms */
    uint32_t action;             /* of the backward list, that makes it again; MODEL_NONE: not yet */
};

/* A tensor that another stage made. */
struct stage_import {
    uint32_t tensor, source; /* stage; MODEL_NONE: plan->input_device */
    uint32_t form;           /* in this stage */
    uint32_t source_form;    /* in the source stage */
    uint32_t slot;           /* it is the slot-th import from that source */
    uint32_t tile;           /* of this stage, that alone reads it; 0: none */
    bool gradient;
    struct layout returned; /* where there is one: in which it is added up and goes back */
};

/* One summand of a tensor's gradient. */
struct contribution {
    struct layout layout;
    struct box *boxes;           /* per member, where windows overlap; else NULL */
    uint32_t because[PLAN_AXES]; /* where it is partial: the consumer's dimension that is split; interned */
    uint32_t action;             /* of the backward list */
    uint32_t tile;               /* of a fused block: only this tile's producer wants it; 0: everyone */
    uint32_t next;
    bool feedback; /* of the step before: what a later time step gives to the state that it started from */
};

/* Operators that go through a sequential dimension step by step and communicate in each step (a recurrent
 * layer whose hidden units are split): a range of one of the two lists, of which the actions with this `loop`
 * are done once per step, each time a share 1 / steps of it, backward from the last step to the first. */
struct step_loop {
    uint32_t first, end; /* actions */
    uint32_t steps;
    uint32_t carry;   /* action whose result the next step waits for */
    uint32_t because; /* the sequential dimension; interned */
    bool ring;        /* no time steps, but the blocks of a sequence in turn (streamed.h) ... */
    bool panels;      /* ... or the panels of a product's contracted dimension (summa.h) ... */
    uint8_t axes;     /* ... along these axes together (bit set) */
};

struct search;

struct derivation {
    const struct plan *plan;
    const struct plan_stage *stage;
    uint32_t stage_index, member_count;
    struct arena *arena;      /* not owned */
    struct fuse_block *fused; /* per block of the stage; in the arena */
    uint32_t tiles;           /* numbers of tiles given so far */
    VECTOR(struct stage_operator) operators;
    VECTOR(struct action) forward;
    VECTOR(struct action) backward;
    VECTOR(struct message_part) messages;
    VECTOR(uint32_t) dependencies;
    VECTOR(struct form) forms;
    uint32_t *first_form; /* per tensor of the model; MODEL_NONE: not here */
    VECTOR(struct stage_parameter) parameters;
    VECTOR(struct stage_saved) saved;
    VECTOR(struct stage_regather) regathers;
    VECTOR(struct stage_import) imports;
    VECTOR(struct contribution) contributions;
    VECTOR(struct step_loop) forward_loops;
    VECTOR(struct step_loop) backward_loops;
    uint32_t opened; /* while deriving: first action of the backward loop that is not closed yet */
    uint32_t *first_contribution; /* per tensor of the model */
    const bool *needs_gradient;   /* per tensor of the model */
    struct search *search;        /* the cheapest conversions on this mesh */
    const uint32_t *same_as;      /* per tensor: itself, or in inference what dropout was given */
};

/* Derives all stages of a plan; `derivations` has one entry per stage. Reports (at the stage's place) what
 * cannot be derived. */
bool derive_plan(const struct plan *plan, struct derivation *derivations, struct arena *arena,
                 struct report *report);
void derive_fini(struct derivation *derivation);

/* Bytes of an action's payload for one member of a group (struct op's `bytes`): the whole buffer along the
 * action's axis; of an all-to-all the mean of what its members hold. The same for all members of the group.
 */
double derive_payload(const struct derivation *derivation, const struct action *action,
                      struct coordinates member);

/* Bytes of an element of a tensor in memory and in messages. */
double derive_element_bytes(const struct plan *plan, const struct tensor *tensor);

/* The box of a form that a member holds. */
struct box derive_box(const struct derivation *derivation, uint32_t tensor, uint32_t form, uint32_t member);

extern const char *const derive_reasons[REASON_COUNT];

#endif
