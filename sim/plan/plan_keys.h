/* Plan keys: what a user wrote under `plan:`, with defaults where nothing is written, before any of it is
 * applied to a model and devices. */
#ifndef PARTITA_PLAN_PLAN_KEYS_H
#define PARTITA_PLAN_PLAN_KEYS_H

#include "plan/workload.h"

struct plan_keys {
    int64_t tensor, data, pipeline, context;
    const struct value *convert;
    int attention, product; /* enum plan_attention, enum plan_product */
    int64_t panels;
    bool balanced;
    const char *schedule;
    int64_t chunks, in_flight, time_chunks;
    struct plan_keys_recompute {
        int mode;             /* enum plan_recompute */
        int64_t every, chunk; /* 0: not given */
    } recompute;
    int saved; /* 0 used, 1 produced, -1: produced if sequence-parallel */
    const struct value *recompute_value;
    int64_t zero, group, prefetch;
    int keep; /* enum plan_keep */
    double bucket;
    bool overlap;
    bool lazy, sequence_parallel, barrier, rendezvous, blocking, synchronise_statistics;
    const struct value *stages, *devices, *input, *layers, *order;
    int64_t expert, expert_tensor;
    const struct value *offload_value;
    struct plan_offload offload;
    const struct value *compression_value;
    struct plan_compression compression;
    const struct value *experts;
    const struct owners_list *owned; /* what `experts` says */
};

/* Reads workload->plan, and reports keys that cannot stand beside each other. */
bool plan_keys_read(struct input *input, const struct workload *workload, struct plan_keys *plan);

/* Whether a schedule is a file of actions rather than a name. */
bool plan_keys_is_file(const char *schedule);

#endif
