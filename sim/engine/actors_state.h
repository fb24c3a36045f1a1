/* Actors state: a run of actors, which the files actors*.c share. Internal to them. */
#ifndef PARTITA_ENGINE_ACTORS_STATE_H
#define PARTITA_ENGINE_ACTORS_STATE_H

#include "engine/actors.h"
#include "engine/chronicle.h"
#include "engine/queue.h"
#include "engine/ways.h"

struct actors_item { /* something to compute */
    struct actors_work work;
    struct actors_then then;
    struct chronicle_cause cause;
    double asked; /* seconds */
};

struct actors_rank {
    VECTOR(struct actors_item) items; /* items.at[first] is at work if `busy` */
    uint32_t first, slot, event;      /* of the one at work: its operation, its end in the queue */
    bool busy;
};

struct actors_flight { /* a message or a collective under way */
    struct actors_then then;
    uint32_t group, pair; /* of a message: PROGRAM_NONE and its pair */
    uint32_t transfer, from_slot, to_slot;
    bool under_way;
};

struct actors_member {
    struct actors_then then;
    struct chronicle_cause cause;
    double ready; /* seconds; < 0: not joined */
    uint32_t group_slot, op_slot;
    uint16_t stream;
};

struct actors_group {
    uint32_t group, count, joined, last;
    struct actors_member *members;
    struct actors_collective collective;
    uint32_t *ways; /* per kind, PROGRAM_NONE: not yet asked for */
};

struct actors_due { /* a call to be made in this instant */
    struct actors_then then;
    struct chronicle_cause cause;
};

struct actors_timer {
    struct actors_then then;
    struct chronicle_cause cause;
};

struct actors {
    struct arena arena; /* owns this record */
    struct platform *platform;
    struct engine_options options;
    struct engine_change *changes; /* by time */
    struct engine_change drawn;    /* the next random one, if has_drawn */
    struct chronicle chronicle;
    struct ways ways;
    struct queue *queue; /* identity: rank, or rank count + timer */
    const struct network_model *model;
    void *network; /* tag: flight */
    void *state;
    struct actors_rank *ranks;
    VECTOR(struct actors_flight) flights;
    struct index_list free_flights;
    VECTOR(struct actors_group) groups;
    VECTOR(struct actors_timer) timers;
    struct index_list free_timers;
    VECTOR(struct actors_due) due;
    struct chronicle_cause cause; /* of what the present call starts */
    double now;
    uint64_t events;
    uint32_t rank_count, next_change;
    bool has_drawn;
    const char *error;
};

/* Makes a call later in this instant. */
static inline void actors_state_soon(struct actors *actors, struct actors_then then,
                                     struct chronicle_cause cause)
{
    if (then.call)
        VECTOR_PUSH(&actors->due, ((struct actors_due){then, cause}));
}

#endif
