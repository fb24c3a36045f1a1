/* Collective: algorithms as a table. An algorithm turns one collective among n devices into what it asks of
 * the network. At the fluid level that is one activity: a usage coefficient for each link it crosses, a
 * number of bytes on its busiest link and a latency. At the step level it is rounds of transfers: a transfer
 * starts when all transfers of earlier rounds in which its sender or its receiver takes part have ended. */
#ifndef PARTITA_COLLECTIVE_COLLECTIVE_H
#define PARTITA_COLLECTIVE_COLLECTIVE_H

#include "base/arena.h"
#include "base/communication.h"
#include "base/vector.h"
#include "collective/transfer.h"
#include "platform/platform.h"

#include <stdbool.h>

struct usage {
    uint32_t link;
    double coefficient; /* 0 < c <= 1 */
};

/* The fluid form of one communication. `rate` 1 is one byte per second on the busiest link, where the
 * coefficient is 1; a link with coefficient c carries c bytes per second. */
struct activity {
    double bytes_factor; /* bytes on the busiest link = bytes_factor · payload bytes (struct op's `bytes`) */
    double start;        /* seconds before the first round: what software and its protocol cost once */
    double latency;      /* seconds, all rounds together */
    uint32_t protocol;   /* interned name; PROTOCOL_NONE: the bare wire */
    double rounds;       /* communication rounds, for reports */
    double cap; /* bytes per second of rate: rounds that are busy on different links follow each other, so no
                   single link can show how long they take together; INFINITY when one does */
    struct index_list path;     /* of a message: its links in the order in which it crosses them */
    VECTOR(struct usage) usage; /* by ascending link, each once */
    VECTOR(double) sent;        /* payload bytes that each member sends, per byte; one entry: all alike */
    const struct algorithm *algorithm; /* NULL: a message */
    const struct shape
        *shape; /* of the group, for the algorithm's steps; in the caller's arena; NULL: a message */
    int kind;   /* enum collective_kind */
    /* Seconds per byte of payload on idle links: all rounds one after the other, the longest round, the link
     * that is busy longest, as the protocol uses it. Seconds of latency: of the farthest round, of the first
     * one. */
    double rounds_seconds, round_seconds, link_seconds;
    double round_latency, first_latency;
    double launch;  /* seconds of `start` that every protocol has */
    bool protocols; /* whether it uses a link by a protocol */
    bool limited;   /* whether a protocol's limit makes link_seconds */
};

/* A collective among devices by an algorithm. */
struct collective_request {
    const struct algorithm *algorithm;
    int kind; /* enum collective_kind, one that the algorithm can do */
    struct platform *platform;
    const uint32_t *devices; /* the members in their order */
    uint32_t count;
    const double *shares; /* of transfer_weigh(); NULL: equal */
    uint32_t protocol;    /* interned name; PROTOCOL_NONE: the bare wire */
};

struct algorithm {
    const char *name;  /* "ring" */
    const char *about; /* one sentence for `partita list collectives` */
    uint32_t kinds;    /* bit set of 1u << enum collective_kind that it can do */
    uint32_t most;     /* members beyond which `auto` leaves it out (but for all-to-all); 0: no limit */
    /* Finds out how the members stand to each other. False with *problem (NULL: it just makes no sense here,
     * so that `auto` leaves it out) when it does not apply. NULL: flat. */
    bool (*form)(const struct algorithm *self, struct platform *platform, const uint32_t *devices,
                 struct shape *shape, struct arena *arena, const char **problem);
    /* Appends the transfers, in order of rounds, after a transfer_begin(). Members >= 2. */
    void (*steps)(int kind, const struct shape *shape, struct transfer_list *out);
    /* The same transfers with equal rounds written once, with their `times`. NULL when no rounds are equal.
     * It keeps a ring of 1,024 from writing two million transfers. */
    void (*pattern)(int kind, const struct shape *shape, struct transfer_list *out);
    /* For what is no rounds of transfers between members: the fluid activity at both levels (latency, rounds,
     * what members send and loads per link, in bytes per byte of payload). NULL: follows from the steps. */
    bool (*loads)(const struct collective_request *asked, struct activity *out, struct arena *arena,
                  const char **problem);
    /* Closed form on an idle star of full-duplex cables: seconds with latency a per route and bandwidth b per
     * cable and direction. */
    double (*seconds)(int kind, const struct shape *shape, double bytes, double latency, double bandwidth);
    /* No network on which a message takes `latency` and a device sends and receives at `bandwidth` is faster.
     * NULL: collective_bound(). */
    double (*bound)(int kind, uint32_t members, double bytes, double latency, double bandwidth);
    const void *data; /* of what collective_parse() made: levels, a table of steps */
};

extern const struct algorithm ring_algorithm, bidirectional_algorithm, binomial_algorithm,
    double_tree_algorithm, halving_algorithm, doubling_algorithm, bruck_algorithm, direct_algorithm,
    via_root_algorithm, torus_algorithm, hierarchical_algorithm, in_network_algorithm;
extern const struct algorithm *const collective_algorithms[]; /* NULL-terminated */

/* Stands for the fastest of the table by predicted seconds, decided for each group, kind and size. */
extern const struct algorithm collective_automatic;

const struct algorithm *collective_find(const char *name); /* "auto" too; NULL when there is none */

/* The algorithm that a text names: a name of the table, "auto", levels from the innermost outwards
 * ("hierarchical/8*ring/4*double-binary-tree", "torus/4/4/4"), or a CSV file of steps. NULL with *problem. */
const struct algorithm *collective_parse(const char *text, struct arena *arena, const char **problem);

/* The first of the table that does this kind: what is used where nothing else is said. */
const struct algorithm *collective_usual(int kind);

/* Bytes of payload that the busiest port must send or receive, per byte: 2(n-1)/n for all-reduce … */
double collective_factor(int kind, uint32_t members);
/* One latency and collective_factor(), for algorithms between members. */
double collective_bound(const struct algorithm *algorithm, int kind, uint32_t members, double bytes,
                        double latency, double bandwidth);

/* The transfers of an algorithm (as a pattern, if `pattern` and it has one). */
void collective_steps(const struct algorithm *algorithm, int kind, const struct shape *shape, bool pattern,
                      struct transfer_list *out);

/* The shape of a group for an algorithm. False with *problem, see `form`. */
bool collective_shape(const struct collective_request *asked, struct shape *shape, struct arena *arena,
                      const char **problem);

/* The fluid activity of a collective: sums its transfers over the routes; per round the latency is the
 * largest route latency. Links without protocols are bare wires in any case; when there are no
 * others, the activity's protocol is PROTOCOL_NONE. An algorithm with `loads` has the protocols of its
 * switches. Returns false with *problem (in the arena) when two members have no route or the algorithm does
 * not fit the group; NULL: see `form`, or a link has other protocols only. */
bool collective_activity(const struct collective_request *asked, struct activity *out, struct arena *arena,
                         const char **problem);

/* The activity of one message from a device to another (coefficients follow repeated links of the route).
 * False when there is no route, or when a link has other protocols only. */
bool collective_message(struct platform *platform, uint32_t from, uint32_t to, uint32_t protocol,
                        struct activity *out);

/* What a payload cut into `pieces`, which follow each other through the rounds, asks of the network: *latency
 * and *cap as in the activity, with its start in the latency. One piece: the activity's own. Returns the
 * seconds on idle links. */
double collective_pieces(const struct activity *activity, double bytes, double pieces, double *latency,
                         double *cap);

/* Pieces of a payload in chunks of at most this size (0: of any), at least so many. */
double collective_piece_count(double bytes, double chunk, double least);

void collective_activity_fini(struct activity *activity);

#endif
