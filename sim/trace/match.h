/* Match: which nodes of different ranks are one communication. A send and a receive meet by source, target
 * and tag, the first with the first. The collectives of a process group are joined by name, kind, size and
 * tag where all members have the same ones, as often; else the first of each member with the first of the
 * others, in the order in which each would run them. */
#ifndef PARTITA_TRACE_MATCH_H
#define PARTITA_TRACE_MATCH_H

#include "platform/platform.h"
#include "trace/trace.h"

struct match_group {
    uint32_t name; /* interned, for reports */
    struct index_list members;
    uint32_t communications;
    bool rendezvous;
};

/* Nodes have numbers as in order.h. */
struct match {
    uint32_t *unit, *after; /* see struct order_task */
    uint32_t unit_count;
    uint32_t *group;  /* per node: index into groups; TRACE_NONE: it communicates with nobody */
    uint32_t *number; /* per node: which communication of that group */
    VECTOR(struct match_group) groups;
};

/* `platform`: for collectives along some dimensions of its devices. `order`: all nodes, each rank's in an
 * order that it can run them in. `first`: per rank + 1. Arrays are in the arena. False after reporting what
 * has no counterpart. */
bool match_find(struct trace *trace, const struct platform *platform, const uint32_t *first,
                const uint32_t *order, struct match *match, struct arena *arena, struct report *report);
void match_fini(struct match *match);

#endif
