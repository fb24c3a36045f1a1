/* Gather: keeps of the passes of a run, shown one after the other, what its metrics need. Of a job with
 * sections it holds about two passes' operations at a time, whatever their number is: on every stream what is
 * still to come begins no earlier than the end of what was there last, so all before the earliest of these
 * ends can be dealt with. */
#ifndef PARTITA_RECORD_GATHER_H
#define PARTITA_RECORD_GATHER_H

#include "plan/plan.h"
#include "record/held.h"
#include "record/sweep.h"

struct gather_rank {
    struct sweep sweep;
    double *last; /* per stream: end of its last operation so far */
};

struct gather_program {
    struct held held;
    uint32_t *last_section; /* per stream: the last one in which it has operations */
    uint32_t first_rank;    /* which stands for all that run it; PROGRAM_NONE: there is none */
};

struct gather {
    const struct plan *plan;
    const struct job *job;
    struct arena arena;
    struct metrics *metrics; /* to which it adds the ranks, and what they send */
    struct gather_rank *ranks;
    struct gather_program *programs;
    struct sweep spare; /* lists of a rank that is done with, for the next one */
    bool *ahead;        /* per group: what is sent there begins no step */
    double *ends; /* per token and micro-batch, [token · micro_batches + micro-batch]: when it was there */
    double earlier_start; /* of the step before the last one, seconds */
    uint32_t passes;
};

/* `metrics` is zero and gets a rank per rank of the job. */
void gather_init(struct gather *gather, const struct plan *plan, const struct job *job,
                 struct metrics *metrics);
void gather_fini(struct gather *gather);

/* Takes a pass in; as an observer of the engine. */
void gather_pass(void *gather, const struct engine_pass *pass);

/* Takes in a result that has all its records, as one pass. */
void gather_result(struct gather *gather, const struct engine_result *result);

#endif
