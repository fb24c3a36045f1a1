/* Field: the platforms and jobs that the network's benchmarks run on. All links have no latency, so that the
 * same case can be given to other simulators without their latency models.
 *
 * Routes are D-mod-k, as in a fat-tree: the destination decides the spine. Routing takes shortest paths, so
 * the way down is a chain of ports of its own for each destination; many arcs share one link. */
#ifndef PARTITA_BENCH_FIELD_H
#define PARTITA_BENCH_FIELD_H

#include "engine/engine.h"

static const double field_bandwidth = 12.5e9; /* bytes per second, of every link */

/* A message between two hosts (device = rank). */
struct field_message {
    double start; /* seconds */
    double bytes;
    uint32_t from, to;
    uint32_t
        hops; /* 1, or a chain: the next hop goes from `to` to the host after it, when this one has ended */
};

struct field {
    struct names names;
    struct platform platform;
    struct job job;
    VECTOR(struct field_message) messages; /* the case as plain messages, by ascending start */
};

/* `hosts` around one switch, `planes` times: host h of plane p is device p · hosts + h. */
void field_star(struct field *field, uint32_t hosts, uint32_t planes);

/* leaves · per_leaf hosts, one spine per host of a leaf: full bisection. */
void field_leaf_spine(struct field *field, uint32_t leaves, uint32_t per_leaf);

/* pods · leaves · hosts in three levels: each leaf has as many links up as hosts, each aggregation switch as
 * many as leaves. Full bisection. */
void field_fat_tree(struct field *field, uint32_t pods, uint32_t leaves, uint32_t per_leaf);

/* Writes the job and, unless apart, the messages. Every rank takes part in `count` all-reduces of `bytes` at
 * once, each on its own stream. Apart: collective c is among the hosts of plane c. */
void field_all_reduces(struct field *field, uint32_t ranks, uint32_t count, bool apart, double bytes);

/* The job of field->messages. Each is a send on a stream of its own, after a computation that ends at its
 * start, and a receive; each pair of hosts is a group. */
void field_messages(struct field *field);

/* Platform, routes and messages as plain text, for other simulators. */
void field_describe(struct field *field, FILE *file);

void field_fini(struct field *field);

#endif
