/* Trace: what several ranks did, as recorded or as planned elsewhere: one graph of nodes per rank, and the
 * process groups in which they communicate. Read from files of several forms (trace_format.h) or from YAML
 * (trace_yaml.h), replayed as a job on the engine (replay.c), and written from a job (trace_export.c).
 *
 * A node waits for the nodes of its own rank that its dependencies name, by identities that are unique per
 * rank only and in any order; trace_link() turns them into indices. Which communications of different ranks
 * are one is found by match.c. */
#ifndef PARTITA_TRACE_TRACE_H
#define PARTITA_TRACE_TRACE_H

#include "base/communication.h"
#include "base/names.h"
#include "base/report.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

enum trace_type {
    TRACE_INVALID,
    TRACE_METADATA,
    TRACE_LOAD,
    TRACE_STORE,
    TRACE_COMPUTE,
    TRACE_SEND,
    TRACE_RECEIVE,
    TRACE_COLLECTIVE,
    TRACE_TYPE_COUNT
};

enum { TRACE_NONE = UINT32_MAX };

/* By the number that Chakra gives a collective: which one it is (enum collective_kind). */
enum { TRACE_COLLECTIVES = 10 };
extern const int trace_collectives[TRACE_COLLECTIVES];

struct trace_node {
    uint64_t id;
    uint32_t name; /* interned */
    enum trace_type type;
    double start, duration; /* recorded, seconds; 0: not recorded */
    double seconds;         /* the same as `duration`, not rounded to microseconds; NAN: not given */
    double flops, bytes;    /* compute: operations; of it and of loads and stores: bytes of memory */
    double size;            /* communication: bytes as Chakra counts them; NAN: not given */
    int64_t kind;           /* collective: as Chakra numbers it, one of trace_collectives; else -1 */
    int64_t source, target; /* send, receive: ranks; -1: not given */
    int64_t tag;            /* a send meets the receive of the same tag */
    uint32_t pg;            /* interned name of the process group; 0: all ranks */
    bool host;              /* runs on the host's processor, not on the device */
    bool fixed;             /* takes its recorded time on any device, and is no computation */
    uint32_t without;       /* collective of no named group: bit d is set when dimension d of the devices, the
                             * innermost first, takes no part in it */
    uint32_t first_dependency, dependency_count;
    uint32_t control_count; /* the last so many are written as control dependencies */
    /* Partita's own, so that what it has written reads back the same. Absent from others' traces. */
    uint32_t stream, label;          /* interned; 0: by the rules of replay.c */
    double model_flops;              /* NAN: all */
    double allocates, frees;         /* bytes */
    int64_t pass, micro_batch, step; /* pass: enum op_pass, -1: none */
    bool rendezvous;
    uint32_t first_share, share_count; /* collective of unequal shares: in the rank's `shares` */
};

struct trace_rank {
    uint32_t rank;
    const char *path;
    uint32_t device; /* interned name of the platform's device; 0: not given */
    VECTOR(struct trace_node) nodes;
    VECTOR(uint64_t) ids; /* dependencies: identities of nodes */
    VECTOR(double) shares;
    struct index_list dependencies; /* the same as indices, after trace_link() */
};

struct trace_group {
    uint32_t name;             /* interned, as nodes name it */
    struct index_list members; /* ranks; until all files are read, none: all ranks */
    const char *path;          /* where it was read */
};

struct trace {
    struct arena arena;
    struct names *names;             /* not owned */
    VECTOR(struct trace_rank) ranks; /* by ascending rank; after reading, rank r stands at [r] */
    VECTOR(struct trace_group) groups;
    const char *groups_path; /* the file of groups; NULL: none */
    uint32_t world;          /* at least so many ranks there must be */
    const char *contents;    /* what the files hold, for people; in the arena; NULL: nothing is known */
    uint32_t copies;         /* ranks that stand for files which are not there */
};

void trace_init(struct trace *trace, struct names *names);
void trace_fini(struct trace *trace);

/* Turns the identities of dependencies into indices. Reports a node that is there twice, a dependency on one
 * that is not there, and waits in a circle. */
bool trace_link(struct trace *trace, struct report *report);

const struct trace_group *trace_group_find(const struct trace *trace, uint32_t name);

/* "rank 3, node 17 'all_reduce' (recorded at 0.00025 s)": in the trace's arena. */
const char *trace_node_text(struct trace *trace, const struct trace_rank *rank,
                            const struct trace_node *node);

#endif
