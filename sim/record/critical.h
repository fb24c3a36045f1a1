/* Critical path: the chain of operations that explains a step's length, second by second. Walked backwards
 * from the operation that ends last, over what released each one, to the step's beginning. O(length of the
 * path). */
#ifndef PARTITA_RECORD_CRITICAL_H
#define PARTITA_RECORD_CRITICAL_H

#include "record/metrics.h"

enum critical_kind {
    CRITICAL_COMPUTE,
    CRITICAL_COMMUNICATION,
    CRITICAL_WAITING, /* nothing that the path knows of was under way */
    CRITICAL_KIND_COUNT
};

struct critical_segment {
    double start, seconds; /* start: seconds since the run's start */
    uint32_t rank, slot;   /* the operation; of an earlier step where the path reaches back into one */
    uint32_t group;        /* communication: interned name of its group; PROGRAM_NONE otherwise */
    uint8_t kind;          /* enum critical_kind */
};

struct critical_share {
    uint32_t name; /* interned */
    double seconds;
};

struct critical {
    VECTOR(struct critical_segment) segments; /* in order of time; they touch and fill the window; owned */
    VECTOR(struct critical_share)
    labels, groups; /* by label of the operation; by group, communication only.
                       Largest first; owned */
    double seconds[CRITICAL_KIND_COUNT];
};

/* NULL-terminated: "compute", "communication", "waiting". */
extern const char *const critical_kind_names[CRITICAL_KIND_COUNT + 1];

/* The path through the last step. Its segments sum to the metrics' window to 1e-9; false with *error (in the
 * job's arena) when they do not, or when the causes run in a circle. */
bool critical_path(const struct job *job, const struct engine_result *result, const struct metrics *metrics,
                   struct critical *critical, const char **error);
void critical_fini(struct critical *critical);

#endif
