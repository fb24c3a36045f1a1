/* Plan: what is split how. A plan is a list of stages; a stage is a range of the model's units on a mesh of
 * devices. Each axis of the mesh names, in order of preference, the dimensions that it splits; layouts, work,
 * bytes and gradients follow from the operators (derive.h). */
#ifndef PARTITA_PLAN_PLAN_H
#define PARTITA_PLAN_PLAN_H

#include "base/precision.h"
#include "base/vector.h"
#include "model/model.h"
#include "platform/platform.h"
#include "program/program.h"

enum { PLAN_AXES = 6, PLAN_LABELS = 8, PLAN_MESHES = 8 };

/* What an axis is for, where it comes from a degree of the plan. */
enum plan_axis_role { AXIS_PLAIN, AXIS_REPLICA, AXIS_DATA, AXIS_CONTEXT, AXIS_TENSOR };

struct plan_axis {
    uint32_t name; /* interned: "data", "tensor", "y" … */
    enum plan_axis_role role;
    uint32_t size;                /* devices along it */
    bool nests;                   /* it splits what the axis before it splits, inside its shares */
    bool inside;                  /* it may split what an axis before it splits, inside its shares */
    bool shards;                  /* what parameters and optimizer keep is shared out along it (shard.h) */
    uint32_t labels[PLAN_LABELS]; /* interned names of the dimensions it splits, the first that an operator
                           has wins; 0 ends */
    bool combiner; /* what it cannot split, its first device does alone; by default every device does it */
    uint32_t within[PLAN_LABELS]; /* instead of `labels` for the core of attention; then several axes may
                                     split one dimension there. The first is 0: the same labels */
    bool late;   /* what `within` names it splits inside the shares of all other axes, also of later ones */
    bool joined; /* with the axis before: both are one to the user, and an operator that one of them splits
                    along a label is split along labels of the same place, or not at all, by the other */
    const double *weights; /* per device along it: its part of whatever is split, in any unit; NULL: equal
                              parts. Not owned. */
    bool rounds_up; /* with weights: every share is rounded up, the last ones have what is left; otherwise
                       the edges between shares are rounded */
    const struct owners_list *owned; /* instead: which indices of experts or tables each device along it has
                                        (owners.h). Not owned. */
};

/* Part of what a device holds: tensors of one category whose names differ only in indices. */
struct plan_holding {
    uint32_t what; /* interned: "block[*].attention.softmax" */
    uint8_t category;
    double bytes;
    uint32_t count; /* of those tensors */
};

enum { PLAN_HOLDINGS = 8 };

/* One way to factorise a stage's devices, for a class of its operators: d·t for attention, d'·e·t' for
 * experts, over the same devices. Its axes are made of neighbouring axes of the stage, which are fine enough
 * for all its meshes (data 4 x tensor 2 and data 2 x expert 4: 2 x 2 x 2). */
struct plan_mesh {
    struct plan_axis axes[PLAN_AXES]; /* the last varies fastest */
    uint32_t parts[PLAN_AXES];        /* bit set over the stage's axes, per axis of this mesh */
    uint32_t axis_count;
};

/* Bytes that one device holds, at its peak. */
struct plan_memory {
    union { /* by enum memory_category, and by name */
        double of[MEMORY_CATEGORY_COUNT];
        struct {
            double parameters, gradients, optimizer, activations, temporaries, communication, gathered, cache;
        };
    };
    double total;                               /* the sum, at the moment of the peak */
    double capacity;                            /* of the device */
    struct plan_holding largest[PLAN_HOLDINGS]; /* at that moment, the largest first */
    uint32_t largest_count;
};

/* Where something is kept: by the device that works on it, in the memory of its host, or on its drive. */
enum plan_place { PLAN_DEVICE, PLAN_HOST, PLAN_DRIVE };

/* What is kept elsewhere than on the devices that work on it (offload.h). */
struct plan_offload {
    uint8_t optimizer, gradients, parameters, activations; /* enum plan_place */
    bool host_step;    /* the host updates the parameters, not the device */
    uint32_t prefetch; /* units ahead of the one at work for which parameters and activations come back */
};

/* How gradients are compressed where they are all-reduced (compression.h). */
struct plan_compression {
    uint8_t kind;        /* 0: they are not; else 1 + its place in the table */
    uint32_t bits, rank; /* of the kinds of these names */
    double top;          /* a share, 0 to 1 */
};

/* A host or a drive that keeps something for devices. */
struct plan_store {
    uint32_t device, rank; /* of the platform; in the job */
    struct plan_memory memory;
};

/* Layers of a stage that are computed tile by tile (fuse.h). */
struct plan_fused {
    uint32_t first_unit, unit_count;
    struct place place;
};

struct plan_stage {
    uint32_t first_unit, unit_count;
    struct index_list devices; /* of the platform, in mesh order: the last axis varies fastest. Owned. */
    struct plan_axis axes[PLAN_AXES];
    uint32_t axis_count;
    struct plan_mesh *meshes; /* NULL: the axes are those of every operator. Not owned */
    uint32_t mesh_count;
    const uint8_t *mesh_of; /* per operator of the model: its mesh. Not owned */
    uint32_t direction;     /* 1: a second copy of the model, whose micro-batches go the other way */
    uint32_t late; /* bit set: axes that split dimensions of these names inside the shares of all others;
                      everywhere else a later axis splits inside those of earlier ones ... */
    uint32_t late_labels[2]; /* ... interned; 0: none */
    uint32_t balanced; /* the sequence is dealt out in so many shares of equal causal work (causal.h); 0:
                          in order */
    bool lazy;         /* partial sums are reduced as late as they can be (lazy.h) */
    struct plan_fused *fused; /* not owned */
    uint32_t fused_count;
    struct plan_axis tile_axes[PLAN_AXES]; /* a grid of tiles, where there are others than members: they are
                                              dealt to the members in turn, along the stage's one axis */
    uint32_t tile_axis_count;              /* 0: every member is a tile */
    uint32_t first_rank;                   /* that of its first member */
    uint32_t *ranks;           /* per member: its rank in the job; filled by emit_job(), in the job's arena */
    struct place place;        /* where the user wrote it */
    struct plan_memory memory; /* of its fullest device */
    uint32_t fullest_rank;
};

enum plan_recompute { RECOMPUTE_NONE, RECOMPUTE_FULL, RECOMPUTE_SELECTIVE, RECOMPUTE_COUNT };
/* How long parameters that are kept in shares stay whole: for one pass over their unit, from its forward to
 * its backward pass, or for all micro-batches of a step. */
enum plan_keep { KEEP_PASS, KEEP_MICRO_BATCH, KEEP_STEP };
enum plan_optimizer {
    OPTIMIZER_SGD,
    OPTIMIZER_MOMENTUM,
    OPTIMIZER_ADAM,
    OPTIMIZER_ADAFACTOR,
    OPTIMIZER_COUNT
};

/* How a sequence that is split meets all of its keys and values. */
enum plan_attention { ATTENTION_GATHER, ATTENTION_ULYSSES, ATTENTION_RING, ATTENTION_COUNT };

/* How a product split in two dimensions meets what it lacks of its operands. */
enum plan_product { PRODUCT_GATHER, PRODUCT_SUMMA, PRODUCT_COUNT };

struct schedule;
struct orders;
struct workload_carrier;

struct plan {
    struct model *model;       /* not owned */
    struct platform *platform; /* not owned */
    bool training;
    uint64_t global_batch,
        micro_batch;                 /* samples per step; samples per micro-batch and data-parallel member */
    uint32_t micro_batches;          /* per step */
    uint32_t steps;                  /* written out, >= 1; the last one is reported */
    uint32_t lead;                   /* simulated before those, each like the first of them */
    enum precision precision;        /* of activations, their gradients and messages, and of arithmetic */
    enum precision weight_precision; /* of the weights that kernels read */
    enum precision gradient_precision;      /* of parameters' gradients */
    enum precision accumulation_precision;  /* of their sums over several micro-batches */
    enum precision communication_precision; /* in which they are synchronised */
    enum precision optimizer_precision;     /* of moments and master copies */
    enum precision cache_precision;         /* of keys and values that are kept for later tokens */
    enum plan_optimizer optimizer;
    enum plan_recompute recompute;
    uint32_t recompute_every; /* full: every n-th unit of a stage; the others keep everything. 0: all */
    uint32_t recompute_chunk; /* full: so many units share one kept input and run again together. 0: one */
    bool save_produced;       /* what was gathered for its use is kept in shares and gathered again */
    uint32_t zero; /* shared out along the axes marked so: 1 optimizer states, 2 also gradients, 3 also
                      parameters; 0 nothing */
    uint32_t zero_prefetch; /* units whose parameters are gathered ahead */
    struct plan_offload offload;
    struct plan_compression compression;
    enum plan_keep zero_keep;
    double bucket;   /* bytes of gradients that are synchronised together; 0: those of a unit */
    bool no_overlap; /* gradients are synchronised after the backward pass, parameters before the forward */
    enum plan_attention attention;
    enum plan_product product;
    uint32_t panels; /* in which a streamed product comes at least; 0: as many as its shares make */
    const struct schedule *schedule;
    uint32_t chunks;           /* stages per device and direction */
    uint16_t *device_of;       /* the schedule's device of each stage, where stages stand anywhere: those that
                                  share devices have the same one. NULL: as the schedule places them; owned */
    uint32_t schedule_devices; /* of device_of */
    uint32_t time_chunks;      /* in which a stage passes on its sequence (wavefront.h); 0, 1: whole */
    uint32_t in_flight;        /* limit of micro-batches for the schedule `list`; 0: as many as devices */
    struct orders *orders;     /* read from a file, instead of those that the schedule makes; owned */
    bool barrier;              /* all ranks meet before the optimizer (gradient norm, overflow check) */
    bool rendezvous;           /* pipeline transfers meet rather than start eagerly */
    bool blocking;             /* pipeline transfers occupy the compute stream */
    bool synchronise_statistics; /* batch norm over the whole batch */
    uint32_t input_device;       /* where samples come from; MODEL_NONE: every device has its own */
    const struct workload_carrier *carriers; /* which algorithms the network will use; not owned */
    uint32_t carrier_count;
    double chunk;  /* bytes of the pieces that collectives are cut into; 0: whole */
    double pieces; /* … and into at least so many; 0: one */
    VECTOR(struct plan_stage) stages;
    VECTOR(struct plan_store) stores; /* what keeps something for their devices; filled with the verdict */
    double model_flops; /* of one step on all devices: forward, and twice that backward where gradients flow;
                           no recomputation */
    bool fits;          /* every device has the memory */
    bool replayed;      /* the job was read from a trace: there are no model and no stages */
    uint64_t prompt;    /* tokens that are given, of a step that generates (generate.h); else 0 */
    uint32_t tokens;    /* that each sample gets in a step; 0: it generates none */
    bool folded; /* tokens that are alike are one section of the programs, which recurs (emit_token.h) */
    bool glance; /* of those only the last is written out, for its memory and its work: it cannot run */
    struct plan *token; /* of the second half of the stages, which make one token. NULL: none. Not owned */
    bool past;          /* this is such a plan of one token */
};

void plan_init(struct plan *plan);
void plan_fini(struct plan *plan);

/* Weights and activations in one precision; parameters' gradients and the optimizer in fp32. */
void plan_precisions(struct plan *plan, enum precision precision);

#endif
