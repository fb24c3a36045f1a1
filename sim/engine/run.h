/* Run: the state of one execution, and the event loop. Everything is in flat arrays by index; the loop
 * allocates nothing (vectors may double).
 *
 * An *instance* is one operation of one rank in one pass: instance_base[rank] + slot, modulo 2^32, as all
 * bases are, which are of the pass's section. A *meeting* is one communication of a group: meeting_base +
 * match; its members' slots, by place in the group, stand in `arrivals`. */
#ifndef PARTITA_ENGINE_RUN_H
#define PARTITA_ENGINE_RUN_H

#include "engine/engine.h"
#include "engine/network_model.h"
#include "engine/queue.h"
#include "engine/round.h"
#include "engine/task.h"

enum { RUN_ENDED = UINT32_MAX }; /* in `pending`: the operation has ended */

struct run_rank {
    const struct task *tasks;
    const uint32_t *successors;
    const uint32_t *groups; /* its group table */
    uint32_t first_stream, first_place;
};

struct run_stream {
    double free;         /* end of its last operation, seconds */
    uint32_t rank, slot; /* the operation that runs */
    uint32_t pass;       /* in which it is */
};

struct run_group {
    uint32_t member_count;
    uint32_t rendezvous;
    bool repeats; /* a rank stands in it twice */
};

struct run_meeting {
    uint32_t arrived;
    uint32_t transfer; /* in `transfers`, PROGRAM_NONE until it starts */
    bool early;        /* it is sent by the pass before */
};

struct run_release {
    uint32_t rank, slot;
    uint32_t pass;
};

/* What a group does in a section. */
struct run_matches {
    uint32_t first, count; /* matches of its receives and collectives there */
    uint32_t meeting_base, arrival_base;
};

/* A stretch of all programs that is passed through as a whole: all of them, once; where the job has a lead,
 * its first step; or a section of the job. */
struct run_section {
    uint32_t first_pass, times;
    uint32_t instances, meeting_count;
    uint64_t arrival_count;
    uint32_t *first_slot, *end_slot, *instance_base; /* per rank */
    struct run_matches *matches;                     /* per group */
    uint32_t *first; /* per stream: slot of the first operation in it, PROGRAM_NONE: there is none ... */
    uint32_t *next;  /* ... the section after this in which there is one, section_count: in no other ... */
    bool *before;    /* ... whether there is one in a section before this */
    uint32_t *waits; /* per instance: ends it waits for, but for its stream's in passes before */
};

/* One pass of all ranks through a section. A pass begins when an operation of one before releases one of it,
 * or sends to it, and its arrays are used again when all its operations have ended: passes overlap as far as
 * ranks run ahead of each other. */
struct run_pass {
    const struct run_section *section;
    uint32_t time;                 /* which of the section's times it is */
    struct engine_record *records; /* per instance */
    uint32_t *pending;             /* per instance: ends it still waits for */
    struct run_meeting *meetings;
    uint32_t *arrivals; /* slots, PROGRAM_NONE: not there yet */
    uint64_t ended;     /* instances */
};

/* A change of a link's capacity, or of a class of traffic. */
struct run_change {
    double time;
    double capacity, weight, cap;
    uint32_t link;   /* UINT32_MAX: of a class */
    uint8_t traffic; /* the class, as in struct op */
};

/* An activity as the network wants it. */
struct run_activity {
    const struct network_usage *usage; /* NULL: as the activity has it */
    uint32_t usage_count;
    double bytes_factor, latency, cap;
    const uint32_t *path; /* of a message: its links in order */
    uint32_t path_length;
    uint32_t shares; /* as in struct op */
    uint32_t next; /* another algorithm or other shares for the same group and kind; PROGRAM_NONE: no more */
};

struct run {
    struct platform *platform;
    const struct job *job;
    const struct engine_options *options;
    struct arena arena;  /* owns the arrays below */
    struct arena *kept;  /* the result's */
    struct queue *queue; /* ends of computations; identity: stream */
    const struct network_model *model;
    void *network;              /* the model's; tag: transfer, or with ROUND_TAG a step of one */
    double *capacities;         /* per link, at present */
    double *caps;               /* per class of traffic, at present; class 0 has none */
    struct run_change *changes; /* by time; those before next_change have been made */
    uint32_t change_count, next_change;
    struct engine_change drawn; /* the next random one, if has_drawn */
    bool has_drawn;
    uint32_t draws_in_vain; /* since something else was pending */
    struct round_table rounds;
    struct run_rank *ranks;
    struct run_stream *streams;
    struct run_group *groups;
    struct run_pass **passes; /* per pass; NULL: not begun, or over */
    uint32_t pass_count, passes_over;
    struct run_section *sections;
    uint32_t section_count;
    struct index_list flows; /* per communication of the pass that is over: its transfer */
    uint32_t *first_flow;    /* per group: where its communications begin there, as a base */
    uint64_t all_instances;  /* of all passes */
    VECTOR(struct run_pass *) unused;
    struct engine_record *all_records; /* of the job's own steps */
    struct engine_book *books;         /* per stream: of the lead */
    double first_start;                /* seconds */
    VECTOR(struct engine_transfer) kept_transfers;
    VECTOR(struct engine_sum) sums; /* per activity: of transfers that are not kept */
    uint32_t *places;               /* first_place + group slot: the rank's place in that group */
    uint32_t
        *activity_of; /* per group and kind, the last kind being a message; PROGRAM_NONE: not yet asked for */
    double (*waits)[4];
    VECTOR(struct network_usage) usage; /* of the message that starts */
    VECTOR(struct run_activity) activities;
    VECTOR(struct activity) activity_list; /* handed to the result */
    VECTOR(struct engine_transfer) transfers;
    struct index_list transfer_passes; /* beside `transfers`, where there are several passes */
    struct index_list free_transfers;
    VECTOR(struct run_release) ready; /* work due now; emptied in every instant */
    uint32_t streams_count;
    uint32_t instances, meeting_count; /* of the largest pass */
    uint64_t arrival_count, ended;
    uint64_t events, releases; /* releases: of this instant */
    double now;
    const char *error; /* the first failure; ends the loop */
};

/* Executes everything that can be executed; run->error says what stopped it, if something did. */
void run_loop(struct run *run);

/* "rank 3 (stage 1) receive 'block[3]' F, micro-batch 2, group 'pipeline'" */
const char *run_describe(const struct run *run, struct arena *arena, uint32_t rank, uint32_t slot);

#endif
