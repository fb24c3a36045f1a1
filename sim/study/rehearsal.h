/* Rehearsal: a schedule's orders by themselves, executed by the engine with given times of the passes and
 * free transfers: what the schedule does before layers, networks and memories come in. */
#ifndef PARTITA_STUDY_REHEARSAL_H
#define PARTITA_STUDY_REHEARSAL_H

#include "base/arena.h"
#include "plan/orders.h"

struct rehearsal_box {
    double start, end; /* seconds */
    struct schedule_item item;
    bool second; /* of an overlapped pair, both of which last as long */
};

struct rehearsal_device {
    struct rehearsal_box *boxes; /* in the order of the list */
    uint32_t box_count;
    double start, end, busy; /* first start, last end, seconds of work */
    double peak;             /* bytes of activations */
};

struct rehearsal {
    struct rehearsal_device *devices;
    uint32_t device_count;
    double makespan; /* first start to last end */
    double span;     /* the longest of a device */
};

/* Runs orders that orders_check() has found right. A micro-batch leaves whole[s] bytes at stage s, of which
 * weight[s] wait from the end of I to the end of W. Everything is allocated in `arena`. False with *error
 * when the engine fails. */
bool rehearsal_run(const struct orders *orders, const struct schedule_times *times, const double *whole,
                   const double *weight, struct rehearsal *out, struct arena *arena, const char **error);

/* What a device holds just after a time: its boxes' activations, as above. */
double rehearsal_memory(const struct rehearsal_device *device, double time, const double *whole,
                        const double *weight);

#endif
