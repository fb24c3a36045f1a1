/* Sweep: shares the gaps of a rank's compute stream out between communications and bubble (metrics.h says
 * how). Operations come in any order, in parts: what begins before a given time is dealt with once all of it
 * is known. The sweep walks communications by start and keeps the one that ends last: when that one has ended
 * all have, so each gap is cut in O(communications that start in it). O(n log n) for the sort by start, O(n)
 * when they already stand in that order. */
#ifndef PARTITA_RECORD_SWEEP_H
#define PARTITA_RECORD_SWEEP_H

#include "record/metrics.h"

/* A stretch of time on one rank: an operation of its compute stream or a communication. */
struct sweep_stretch {
    double start, end;
    uint64_t place; /* its place in its stream */
    uint32_t share; /* communications: index into the rank's `exposed` */
    uint32_t stream;
};

struct sweep_list {
    struct sweep_stretch *at;
    uint32_t count, room;
};

/* Zero-initialised. */
struct sweep {
    struct sweep_list busy, communications; /* that have not been dealt with */
    struct sweep_stretch last; /* of the communications that have started, the one that ends last */
    bool begun, any;           /* any: there is a last one */
    double now;                /* up to here the rank is dealt with */
    double worked, covered;    /* seconds of operations; of the time that they cover */
};

/* Deals with what starts before `limit` (seconds; INFINITY: with all), all of which is known; adds to the
 * rank's exposed communications and bubble. */
void sweep_until(struct sweep *sweep, struct metrics_rank *rank, double limit);

/* Ends it: what is left of the rank's span, and its compute time. Empties the lists. Ending it once
 * more changes nothing. */
void sweep_end(struct sweep *sweep, struct metrics_rank *rank, bool several_compute_streams);

void sweep_fini(struct sweep *sweep);

#endif
