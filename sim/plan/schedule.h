/* Schedule: in which order a stage works on the passes of its micro-batches. A schedule is one file and one
 * entry of the table; an order is data: a list of {pass, micro-batch} that the stage's compute stream
 * follows. */
#ifndef PARTITA_PLAN_SCHEDULE_H
#define PARTITA_PLAN_SCHEDULE_H

#include "base/vector.h"
#include "program/program.h"

struct schedule_item {
    uint8_t pass; /* PASS_F, PASS_B (PASS_I and PASS_W where a schedule tells them apart) */
    uint8_t chunk;
    uint32_t micro_batch;
};

struct schedule_list {
    struct schedule_item *at;
    uint32_t count, room;
};

struct schedule {
    const char *name;
    const char *about; /* one sentence for `partita list schedules` */
    bool training;     /* has backward passes */
    /* Appends the order of one step for stage 0 <= stage < stages. */
    void (*order)(uint32_t stage, uint32_t stages, uint32_t micro_batches, struct schedule_list *out);
    /* Closed form with equal stages and free transfers: makespan of a step, seconds, for passes that take F
     * and B. */
    double (*makespan)(uint32_t stages, uint32_t micro_batches, double forward, double backward);
    /* Micro-batches whose activations stage `stage` holds at its peak. */
    uint32_t (*in_flight)(uint32_t stage, uint32_t stages, uint32_t micro_batches);
};

extern const struct schedule *const schedule_table[]; /* NULL-terminated */
extern const struct schedule gpipe_schedule, one_f_one_b_schedule, inference_schedule;

const struct schedule *schedule_find(const char *name); /* NULL when there is none */

#endif
