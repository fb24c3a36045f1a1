/* Held: what a rank's device holds in the course of a run. The plan's verdict follows the order of the
 * program; here are the times of the run, in which messages and collectives that wait for the network hold
 * what they carry for longer. */
#ifndef PARTITA_RECORD_HELD_H
#define PARTITA_RECORD_HELD_H

#include "engine/engine.h"

struct held_event {
    double time;
    const struct memory_change *change;
};
struct held_list {
    struct held_event *at;
    uint32_t count, room;
};

/* All changes of a rank, of every step, by time; at equal times memory is given back first. What is held
 * throughout is not among them. */
void held_changes(const struct job *job, const struct engine_result *result, uint32_t rank,
                  struct held_list *list);

/* The most that the rank holds at any time, bytes. */
double held_peak(const struct job *job, const struct engine_result *result, uint32_t rank);

#endif
