/* Metrics: what a finished run amounts to. All of the last step that was simulated ("the step"), all in SI.
 *
 * - window: from the first start to the last end of the step over all devices
 * - span of a device: its own first start to its own last end in the step
 * - compute: its compute stream is busy
 * - exposed, by group: its compute stream is idle inside its span while a communication of that group is
 * under way on it; when several are, the one that ends last has the time. Of a receive that was ready late
 * only its flow counts: waiting in the stream behind a flow that has arrived is not communication
 * - bubble: the rest of its span
 * - idle: window − span
 *
 * so compute + exposed + bubble + idle = window on every device, to 1e-9. */
#ifndef PARTITA_RECORD_METRICS_H
#define PARTITA_RECORD_METRICS_H

#include "engine/engine.h"
#include "plan/plan.h"
#include "record/token_times.h"

struct metrics_share {
    uint32_t group; /* interned name of the communication group: "tensor", "pipeline", "data", "halo" … */
    double seconds;
    double bytes; /* that this device sends in the step */
};

struct metrics_rank {
    double first_start, last_end; /* of the step on this device, seconds since the run's start */
    double compute, bubble, idle;
    VECTOR(struct metrics_share) exposed; /* by group, in order of first appearance; owned */
    double flops, energy;                 /* executed FLOPs; joules per step time (0: power unknown) */
};

struct metrics {
    VECTOR(struct metrics_rank) ranks;
    double window_start, window; /* seconds */
    double step_time;            /* start-to-start period of the last two steps; with one step, the window */
    double samples_per_s, tokens_per_s;
    double flops_per_device;      /* model FLOP/s: model_flops / step_time / devices */
    double peak_flops;            /* FLOP/s of all devices in the run's precision */
    double mfu;                   /* model_flops / (step_time · peak_flops) */
    double compute, bubble, idle; /* seconds, mean over devices */
    double bubble_fraction; /* mean over devices of bubble / span-busy … = bubble / (window − idle) */
    VECTOR(struct metrics_share) exposed; /* mean over devices, by group; bytes: sum over devices */
    double bytes_sent;                    /* all messages and collectives of the step, summed over senders */
    double peak_memory;        /* bytes, of the fullest device, in the run or by the plan's verdict */
    uint32_t crowded_rank;     /* the rank whose device came to hold more than it has, though the plan fits;
                                  PROGRAM_NONE: none did */
    double crowd;              /* by so many bytes */
    double energy;             /* joules, all devices */
    struct token_times tokens; /* of a step that generates them */
};

/* Computes the metrics; false with *error (in the job's arena) when the parts do not sum to the whole. */
bool metrics_compute(const struct plan *plan, const struct job *job, const struct engine_result *result,
                     struct metrics *metrics, const char **error);

/* The same of passes that have been gathered, for `metrics`: of a job with sections, whose result has no
 * records. */
struct gather;
bool metrics_gathered(const struct gather *gather, struct metrics *metrics, const char **error);

void metrics_fini(struct metrics *metrics);

/* Bytes that a member sends in a collective or message: of a collective what its algorithm makes the member
 * at this place of the group send (NULL: it never ran, 0); of a message the sender all, the receiver nothing.
 */
double metrics_member_bytes(const struct op *op, const struct activity *activity, uint32_t place);

#endif
