/* Schedule: in which order devices work on the passes of micro-batches. A schedule is data: per device an
 * ordered list of {pass, stage, micro-batch} that its compute stream follows, and two passes that follow each
 * other may be an overlapped pair. An entry of the table is one file: it says where the stages stand, writes
 * the lists, and states its closed forms with the domain in which they are exact.
 *
 * Stages are numbered along the model. A device may have several (its chunks): stage s stands on device
 * s mod p (SCHEDULE_LOOP), or there and back again (SCHEDULE_V: p-1 and p on the same device). Both ways
 * (SCHEDULE_BOTH): stages 0..p-1 on devices 0..p-1 and a second copy of the model, stages p..2p-1, on devices
 * p-1..0; a micro-batch passes one of the copies. */
#ifndef PARTITA_PLAN_SCHEDULE_H
#define PARTITA_PLAN_SCHEDULE_H

#include "base/vector.h"
#include "program/program.h"

enum schedule_placement { SCHEDULE_LOOP, SCHEDULE_V, SCHEDULE_BOTH };

struct schedule_item {
    uint32_t micro_batch;
    uint16_t stage;
    uint8_t pass;    /* PASS_F, PASS_B, or PASS_I and PASS_W where they are apart */
    bool overlapped; /* runs together with the item after it */
};

struct schedule_list {
    struct schedule_item *at;
    uint32_t count, room;
};

/* Seconds of the passes, one number per stage; B takes input + weight. */
struct schedule_times {
    const double *forward, *input, *weight;
    double pair; /* of an overlapped F and B; 0: as long as both one after the other */
};

struct schedule_shape {
    uint32_t devices, chunks; /* p; stages per device and direction */
    uint32_t micro_batches;   /* per step, of both directions together */
    uint32_t limit;           /* micro-batches whose activations a device may hold, for schedules that ask;
                                 0: as many as there are devices */
    const struct schedule_times *times; /* for schedules that ask; NULL: all passes take equally long */
    const uint16_t *device_of; /* where each of `stages` stages stands, for schedules of stages that stand
                                  anywhere; NULL: as the placement says */
    uint32_t stages;
};

struct schedule {
    const char *name;
    const char *about;  /* one sentence for `partita list schedules` */
    const char *source; /* where it was published */
    enum schedule_placement placement;
    uint32_t fewest_chunks, most_chunks; /* per device and direction; 0: 1 */
    bool training;                       /* has backward passes */
    bool timed;                          /* its order depends on shape->times */
    bool anywhere;     /* it can be made for stages that stand anywhere (shape->device_of) */
    bool asynchronous; /* does not drain at the end of a step: the order goes on */
    uint32_t (*update)(const struct schedule_shape *shape); /* asynchronous: weights are updated each time
                                                               that so many micro-batches have come back */
    /* Why it cannot be made for this shape ("needs an even number of devices"), or NULL. NULL: it always can.
     */
    const char *(*problem)(const struct schedule_shape *shape);
    /* Appends the order of one step (asynchronous: of all steps, as micro-batches of one) to each device's
     * list. */
    void (*order)(const struct schedule_shape *shape, struct schedule_list *lists);
    /* Seconds with free transfers, each pass as soon as possible: first start to last end over all devices,
     * and on the device where that is longest. NAN outside the domain in which the form is exact. */
    double (*makespan)(const struct schedule_shape *shape, const struct schedule_times *times);
    double (*span)(const struct schedule_shape *shape, const struct schedule_times *times);
    /* Most bytes of activations that a device holds when a micro-batch leaves `whole` per device, of which
     * `weight` are kept from the end of I to the end of W. NAN where no form is known. */
    double (*peak)(const struct schedule_shape *shape, uint32_t device, double whole, double weight);
    /* Versions of the weights that a device keeps. NULL: one. */
    uint32_t (*versions)(const struct schedule_shape *shape, uint32_t device);
};

extern const struct schedule *const schedule_table[]; /* NULL-terminated */
extern const struct schedule gpipe_schedule, one_f_one_b_schedule, eager_schedule, interleaved_schedule,
    looped_schedule, zb_h1_schedule, zb_h2_schedule, zb_v_schedule, v_half_schedule, v_min_schedule,
    chimera_schedule, dualpipe_schedule, dualpipe_v_schedule, pipedream_schedule, pipedream_2bw_schedule,
    list_schedule, inference_schedule;

const struct schedule *schedule_find(const char *name); /* NULL when there is none */

/* Stages of both directions, and the device of one. */
uint32_t schedule_stages(const struct schedule *schedule, const struct schedule_shape *shape);
uint32_t schedule_device(const struct schedule *schedule, const struct schedule_shape *shape, uint32_t stage);

/* Why the schedule cannot be made for this shape; NULL: it can. Written into `text` if it needs to be. */
const char *schedule_problem(const struct schedule *schedule, const struct schedule_shape *shape, char *text,
                             size_t room);

/* The stage of a device's chunk: of SCHEDULE_BOTH, chunk 1 is that of the other direction. */
uint32_t schedule_stage(enum schedule_placement placement, const struct schedule_shape *shape,
                        uint32_t device, uint32_t chunk);

/* Adds a pass of a micro-batch at a stage. */
void schedule_add(struct schedule_list *list, uint8_t pass, uint32_t stage, uint32_t micro_batch);

/* Adds F of one micro-batch and B of another as an overlapped pair. */
void schedule_add_pair(struct schedule_list *list, struct schedule_item forward,
                       struct schedule_item backward);

/* Whether all stages take equally long; then F, I, W per device and micro-batch: its chunks together. */
bool schedule_equal(const struct schedule *schedule, const struct schedule_shape *shape,
                    const struct schedule_times *times, double *forward, double *input, double *weight);

#endif
