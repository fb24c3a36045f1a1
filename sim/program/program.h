/* Program: the contract between planning and running. A job is everything that the engine executes: one
 * program per class of ranks, the ranks that run them, and the groups in which they communicate. The engine
 * knows operations, streams, dependencies and groups; it does not know what a layer is (names are carried for
 * reports only).
 *
 * An operation becomes *ready* when the operations before it in its stream have ended (a stream is in-order,
 * one at a time) and its dependencies (earlier slots of the same program) have ended. Then
 *  - compute runs for `seconds`;
 *  - a collective waits until every member of its group is ready at the same `match`, then all members run it
 * together;
 *  - send and receive pair up by (group, match): a group of two ranks [source, destination]. Eager: the flow
 * starts when the send is ready. Rendezvous: when both are. A send ends with its flow; a receive ends when
 * the flow has ended and it is itself ready.
 *
 * What recurs is written once. A job may be cut into *sections*: stretches of every program that a run goes
 * through one after the other, some of them several times, each time at other costs. It is as if they were
 * written out: streams stay in order from one to the next. Dependencies and collectives stay inside a
 * section, and so does a message, unless the next section receives it: then each time sends to the next one.
 * In a section that is not the first only receives may wait for nothing. */
#ifndef PARTITA_PROGRAM_PROGRAM_H
#define PARTITA_PROGRAM_PROGRAM_H

#include "base/arena.h"
#include "base/communication.h"
#include "base/names.h"

#include <stdbool.h>
#include <stdint.h>

enum op_kind { OP_COMPUTE, OP_SEND, OP_RECEIVE, OP_COLLECTIVE, OP_KIND_COUNT };

/* What a pass computes: F forward, I input gradient, W weight gradient, B both, R recomputed forward, O
 * optimizer, S synchronisation of gradients, N none (input and output of the step), D forward over one token
 * of a text that is being generated (decode). */
enum op_pass { PASS_F, PASS_I, PASS_W, PASS_B, PASS_R, PASS_O, PASS_S, PASS_N, PASS_D, PASS_COUNT };

enum { PROGRAM_NONE = UINT32_MAX };

struct op {
    double seconds; /* compute: how long it runs */
    double bytes;   /* send, receive: of the message. collective: of the whole buffer: the vector that every
                       member contributes to (all-reduce, reduce-scatter, broadcast), the gathered result
                       (all-gather), or what one member holds (all-to-all) */
    double flops;   /* compute: floating-point operations (2 per MAC), of which ... */
    double model_flops;  /* ... these count for the model (no recomputation) */
    double memory_bytes; /* compute: bytes moved to and from memory */
    uint32_t label;      /* interned: the layer part, e.g. "block[3].attention" */
    uint32_t micro_batch;
    uint32_t step;
    uint32_t token;  /* which of the tokens that the step generates it helps to make; 0: the first, or none */
    uint32_t group;  /* slot in the rank's group table; PROGRAM_NONE for compute */
    uint32_t match;  /* which communication of that group this is; each is used once per member */
    uint32_t shares; /* collective of unequal shares: 1 + where they begin in the job's `shares`: one per
                        member (reduce-scatter, all-gather, scatter, gather), or for all-to-all [from ·
                        members + to], each a part of `bytes`; 0: equal ones */
    uint32_t costs;  /* of a section that recurs: 1 + where its costs begin in the job's `costs`, one per
                        time; 0: always those above */
    uint32_t first_dependency, dependency_count; /* in the program's `dependencies` */
    uint16_t stream;                             /* index into the program's streams */
    uint8_t kind, pass, collective;              /* enums */
    uint8_t traffic; /* of a communication: index into the job's `traffic` + 1; 0: weight 1, no cap */
};

/* What an operation costs at one of several times, as in struct op. */
struct op_cost {
    double seconds, bytes, flops, model_flops, memory_bytes;
};

/* What a device's memory is used for. */
enum memory_category {
    MEMORY_PARAMETERS,
    MEMORY_GRADIENTS,     /* of parameters */
    MEMORY_OPTIMIZER,     /* its states */
    MEMORY_ACTIVATIONS,   /* what the backward pass reads; in inference, what kernels hand on */
    MEMORY_TEMPORARIES,   /* what else kernels of a pass hand on, and what they need while they run */
    MEMORY_COMMUNICATION, /* what communications bring, and buffers that they work in */
    MEMORY_GATHERED,      /* parameters that are kept in shares, while they are here whole */
    MEMORY_CACHE,         /* keys and values of earlier tokens */
    MEMORY_CATEGORY_COUNT
};

/* A change of what a rank's device holds. */
struct memory_change {
    double bytes;   /* > 0: taken; < 0: given back */
    uint32_t op;    /* slot; PROGRAM_NONE: held throughout */
    uint32_t label; /* interned: what it is, a tensor or a unit of the model */
    uint32_t sizes; /* of a section that recurs: 1 + where its bytes begin in the job's `sizes`, one per time;
                       0: always `bytes` */
    uint8_t category;
    bool at_end; /* when the operation ends; otherwise when it starts */
};

/* How the network treats a class of communications. Of a collective this is about its busiest link; carried
 * as steps, about each of its messages. */
struct traffic_class {
    double weight; /* > 0: its share of a link beside others */
    double cap;    /* bytes per second of one message or collective, >= 0; INFINITY: none */
};

struct program_stream {
    uint32_t name; /* interned: "compute", "tensor", "pipeline", "data", "send", "receive", … */
    bool compute;  /* the stream whose gaps are exposed communication, bubble and idle time */
};

struct program {
    struct op *ops; /* in an order that respects dependencies: a dependency has a lower slot */
    uint32_t op_count;
    uint32_t *dependencies; /* slots; grouped by operation */
    uint32_t dependency_count;
    struct program_stream *streams;
    uint32_t stream_count;
    struct memory_change *memory; /* first `held_count` that are held throughout, the others by operation,
                                     those at its start first */
    uint32_t memory_count, held_count;
    uint32_t *sections; /* where each of the job's sections begins, then op_count; NULL: there are none */
};

struct rank {
    uint32_t device;      /* of the platform */
    uint32_t program;     /* index into the job's programs */
    uint32_t stage;       /* for reports */
    uint32_t first_group; /* this rank's group table: group slot g is job->group_table[first_group + g] */
    bool store; /* a host or a drive that keeps what others leave with it: it serves them, and is not one of
                   those that train or infer */
};

struct group {
    uint32_t name; /* interned: the axis or purpose: "tensor", "data", "pipeline", "halo" … */
    uint32_t first_member, member_count; /* ranks, in job->members, in ring order */
    uint32_t match_count;                /* communications of this group: match < match_count */
    bool rendezvous;                     /* point-to-point: meet before the flow starts */
};

struct job {
    struct arena arena;  /* owns all arrays */
    struct names *names; /* not owned */
    struct program *programs;
    struct rank *ranks;
    struct group *groups;
    uint32_t *group_table;
    uint32_t *members;
    struct traffic_class *traffic; /* NULL if there is none */
    double *shares; /* of collectives of unequal shares, see struct op; NULL if there are none */
    uint32_t program_count, rank_count, group_count, group_table_count, member_count, share_count;
    uint32_t traffic_count; /* <= 255 */
    uint32_t section_count; /* 0: the programs are one, once */
    uint32_t *section_times;
    struct op_cost *costs; /* of operations that recur */
    double *sizes;         /* bytes of their changes of memory */
    uint32_t steps;        /* steps that the programs contain, >= 1 */
    uint32_t lead; /* steps that run before those: each like the first one of the programs, whose steps must
                      be alike then (task_alike()); of these no records are kept */
};

/* NULL-terminated: "compute", "send", "receive", "collective"; "F", "I", "W", "B", "R", "O", "S", "-", "D".
 */
extern const char *const program_kind_names[OP_KIND_COUNT + 1];
extern const char *const program_pass_names[PASS_COUNT + 1];
/* NULL-terminated: "parameters", "gradients", "optimizer", "activations", "temporaries", "communication",
 * "gathered", "cache". */
extern const char *const program_memory_names[MEMORY_CATEGORY_COUNT + 1];

/* What an operation costs, or a change of memory takes, at this time of its section. */
struct op_cost program_cost(const struct job *job, const struct op *op, uint32_t time);
struct op program_op(const struct job *job, const struct op *op, uint32_t time); /* with its token */
double program_size(const struct job *job, const struct memory_change *change, uint32_t time);

/* A stretch of a program at one of its times: operations [first, end). */
struct program_stretch {
    uint32_t section, time, first, end;
};

/* The stretches of a program in the order of time, from one of section PROGRAM_NONE on. False: there are no
 * more. */
bool program_next(const struct job *job, const struct program *program, struct program_stretch *at);

#endif
