/* Order: the nodes of all ranks in one order that every dependency agrees with. Streams of the engine take
 * their operations in the order of a program; when the programs of all ranks follow one common order, streams
 * make nobody wait in a circle.
 *
 * Nodes that happen together (members of a collective, two ends of a rendezvous) form a unit. Of the units
 * that nothing holds back, the one with the earliest recorded start comes first; in a trace without recorded
 * starts the one that could start first if each node took its seconds and a device did one thing at a time.
 * O(n log n).
 */
#ifndef PARTITA_TRACE_ORDER_H
#define PARTITA_TRACE_ORDER_H

#include "trace/trace.h"

/* Nodes of all ranks have one number: first[rank] + index. */
struct order_task {
    struct trace *trace;
    const uint32_t *first; /* per rank + 1 */
    const uint32_t *unit;  /* per node */
    uint32_t unit_count;
    const uint32_t *after; /* per node: another rank's node that it waits for, or TRACE_NONE */
    const double *seconds; /* per node: about how long it takes */
};

/* Fills `out` with all nodes. False after reporting units that wait in a circle. */
bool order_nodes(const struct order_task *task, uint32_t *out, struct report *report);

/* The rank that a node belongs to. */
uint32_t order_rank(const struct order_task *task, uint32_t node);

#endif
