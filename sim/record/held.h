/* Held: what a rank's device holds in the course of a run. The plan's verdict follows the order of the
 * program; here are the times of the run, in which messages and collectives that wait for the network hold
 * what they carry for longer. */
#ifndef PARTITA_RECORD_HELD_H
#define PARTITA_RECORD_HELD_H

#include "engine/engine.h"

struct held_event {
    double time, bytes;
    const struct memory_change *change;
    uint32_t pass; /* in the course of the run, as far as that matters for the order */
};
struct held_list {
    struct held_event *at;
    uint32_t count, room;
};

/* Adds what operations of a stretch of a rank's program take and give back. `records`: of its slot 0, as it
 * were. */
void held_add(const struct job *job, const struct program *program, const struct program_stretch *stretch,
              uint32_t pass, const struct engine_record *records, uint32_t base, struct held_list *list);

/* By time; at equal times memory is given back first. */
void held_sort(struct held_list *list);

/* All changes of a rank, of every step, sorted. What is held throughout is not among them. */
void held_changes(const struct job *job, const struct engine_result *result, uint32_t rank,
                  struct held_list *list);

/* What a rank holds, in parts: `list` has what has not been dealt with. */
struct held {
    double now, most; /* bytes */
    struct held_list list;
};

void held_begin(struct held *held, const struct program *program);
/* Deals with what happens before `limit` (seconds; INFINITY: with all), all of which has been added. */
void held_until(struct held *held, double limit);

/* The most that the rank holds at any time, bytes. */
double held_peak(const struct job *job, const struct engine_result *result, uint32_t rank);

#endif
