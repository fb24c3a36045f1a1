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
    HALO_EXCHANGE, /* members in a row: half of the buffer goes to the next one, half to the one before */
    COLLECTIVE_KIND_COUNT
};

/* NULL-terminated: "all-reduce", "reduce-scatter", … */
extern const char *const communication_names[COLLECTIVE_KIND_COUNT + 1];

#endif
