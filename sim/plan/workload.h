/* Workload: reads workloads/NAME.yaml: which model on which topology, what a step is, and the plan
 * (docs/workloads.md). The maps under `plan:` and `network:` have readers of their own (plan_keys.h,
 * workload_network.h). */
#ifndef PARTITA_PLAN_WORKLOAD_H
#define PARTITA_PLAN_WORKLOAD_H

#include "collective/collective.h"
#include "input/fields.h"
#include "plan/plan.h"

/* Which algorithm carries which collectives. */
struct workload_carrier {
    const char *group; /* name of the groups meant; NULL: all */
    int kind;          /* enum collective_kind; COLLECTIVE_KIND_COUNT: all */
    const struct algorithm *algorithm;
    struct place place;
};

struct workload {
    const char *name, *about;
    const struct value *topology;   /* a name, or NULL */
    const struct value *set;        /* parameters of the topology, or NULL */
    const struct value *model;      /* a name, or a map with `name` and parameters; NULL beside a trace */
    const struct value *trace;      /* instead of model and plan: a path or a map, or NULL */
    const struct value *batch;      /* a number or a map */
    const struct value *plan;       /* a map, or NULL */
    const struct value *network;    /* a map, or NULL */
    const struct value *random;     /* a map, or NULL */
    const struct value *discipline; /* a map, or NULL: the plan's own synchronous steps */
    int step;                       /* 0 training, 1 inference */
    const struct value *precision;  /* a name or a map, or NULL */
    struct workload_precision {     /* enum precision, -1: by default */
        int weights, activations, gradients, communication, optimizer, accumulation, cache;
    } precisions;
    int gradients; /* enum precision, or -1: fp32 */
    int optimizer; /* enum plan_optimizer */
    int64_t steps; /* simulated; 0: by default 2 for training, 1 for inference */
    int64_t seed;
    int64_t global_batch, micro_batch; /* samples; micro 0: by default */
    const struct value *sequence;      /* batch.sequence, or NULL */
    int64_t generate;                  /* batch.generate: tokens that each sample gets; 0: not said */
    int collectives;                   /* network.collectives: 0 fluid, 1 steps */
    int level;                         /* network.level: index into workload_network_levels */
    double mtu, header, buffer;        /* network.…: bytes, of the packet level */
    int64_t packets;                   /* network.packets: limit of the packet level, 0: by default */
    const struct value *changes;       /* network.changes: a list, or NULL */
    double chunk;                      /* network.chunk: bytes; 0: collectives are not cut into pieces */
    double pieces;                     /* network.pieces: at least so many; 0: one */
    const struct value *algorithm;     /* network.algorithm: a name or a map, or NULL; read into the next */
    const struct workload_carrier *carriers; /* the most specific first */
    uint32_t carrier_count;
    struct place place;
};

extern const struct field workload_fields[]; /* of a workload file */
extern const uint32_t workload_field_count;

/* Reads the workload's own keys; model, topology and plan stay values for the rooms that know them. */
bool workload_read(struct input *input, const struct value *document, struct workload *workload);

#endif
