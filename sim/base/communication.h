/* Communication: the collective operations, by the names the field uses. */
#ifndef PARTITA_BASE_COMMUNICATION_H
#define PARTITA_BASE_COMMUNICATION_H

/* Broadcast, reduce, scatter and gather have member 0 of the group as their root. */
enum collective_kind {
    ALL_REDUCE,
    REDUCE_SCATTER,
    ALL_GATHER,
    ALL_TO_ALL,
    BROADCAST,
    REDUCE,
    SCATTER,
    GATHER,
    BARRIER,
    COLLECTIVE_KIND_COUNT
};

/* NULL-terminated: "all-reduce", "reduce-scatter", … */
extern const char *const communication_names[COLLECTIVE_KIND_COUNT + 1];

#endif
