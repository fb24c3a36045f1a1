/* Ways: by which algorithms and protocols the communications of actors can go, and which of them is fastest
 * for so many bytes on idle links. Those of one route, or of one group and kind, are a chain. */
#ifndef PARTITA_ENGINE_WAYS_H
#define PARTITA_ENGINE_WAYS_H

#include "engine/engine.h"

struct ways_entry {
    const struct network_usage *usage; /* of its activity, in the network's terms */
    uint32_t next;                     /* in its chain; PROGRAM_NONE ends */
};

struct ways {
    struct platform *platform;            /* not owned */
    const struct engine_options *options; /* not owned */
    struct arena arena;
    VECTOR(struct activity) activities;
    VECTOR(struct ways_entry) entries; /* beside `activities` */
};

void ways_init(struct ways *ways, struct platform *platform, const struct engine_options *options);
void ways_fini(struct ways *ways);

/* The chain of messages from a device to another; PROGRAM_NONE: there is no route. */
uint32_t ways_message(struct ways *ways, uint32_t from, uint32_t to);

/* The chain of a collective of the groups of this name; PROGRAM_NONE with *problem (in the ways' arena). */
uint32_t ways_collective(struct ways *ways, uint32_t name, int kind, const uint32_t *devices, uint32_t count,
                         const char **problem);

/* The activity of a chain that is fastest for so many bytes, and what these ask of the network then. */
uint32_t ways_best(const struct ways *ways, uint32_t chain, double bytes, double *latency, double *cap);

/* Moves the activities into a result. */
void ways_hand_over(struct ways *ways, struct engine_result *result);

#endif
