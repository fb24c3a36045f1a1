#include "trace/trace.h"

#include <stdio.h>
#include <stdlib.h>

const int trace_collectives[TRACE_COLLECTIVES] = {ALL_REDUCE,     REDUCE,    ALL_GATHER, GATHER,
                                                  SCATTER,        BROADCAST, ALL_TO_ALL, REDUCE_SCATTER,
                                                  REDUCE_SCATTER, BARRIER};

void trace_init(struct trace *trace, struct names *names)
{
    *trace = (struct trace){.names = names};
    arena_init(&trace->arena);
}

void trace_fini(struct trace *trace)
{
    for (uint32_t i = 0; i < trace->ranks.count; i++) {
        struct trace_rank *rank = &trace->ranks.at[i];
        VECTOR_FREE(&rank->nodes);
        VECTOR_FREE(&rank->ids);
        VECTOR_FREE(&rank->shares);
        VECTOR_FREE(&rank->dependencies);
    }
    for (uint32_t i = 0; i < trace->groups.count; i++)
        VECTOR_FREE(&trace->groups.at[i].members);
    VECTOR_FREE(&trace->ranks);
    VECTOR_FREE(&trace->groups);
    arena_fini(&trace->arena);
}

const struct trace_group *trace_group_find(const struct trace *trace, uint32_t name)
{
    for (uint32_t i = 0; i < trace->groups.count; i++)
        if (trace->groups.at[i].name == name)
            return &trace->groups.at[i];
    return NULL;
}

const char *trace_node_text(struct trace *trace, const struct trace_rank *rank, const struct trace_node *node)
{
    char when[64] = "";
    if (node->start > 0)
        snprintf(when, sizeof when, " (recorded at %.9g s)", node->start);
    return arena_format(&trace->arena, "rank %u, node %llu '%.200s'%s", rank->rank,
                        (unsigned long long)node->id, names_text(trace->names, node->name), when);
}

struct identity {
    uint64_t id;
    uint32_t index;
};

static int identity_order(const void *left, const void *right)
{
    const struct identity *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static uint32_t identity_find(const struct identity *at, uint32_t count, uint64_t id)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && at[low].id == id ? at[low].index : TRACE_NONE;
}

static bool trace_resolve(struct trace *trace, struct trace_rank *rank, const struct identity *known,
                          struct report *report)
{
    bool good = true;
    struct place place = {rank->path, 0, 0};
    for (uint32_t i = 0; i < rank->ids.count; i++)
        VECTOR_PUSH(&rank->dependencies,
                    TRACE_NONE); /* where the identity stands, whatever the nodes' order */
    for (uint32_t i = 0; i < rank->nodes.count; i++) {
        const struct trace_node *node = &rank->nodes.at[i];
        if (i && known[i].id == known[i - 1].id)
            good = report_error(report, place, "%s: there are two nodes with this identity",
                                trace_node_text(trace, rank, &rank->nodes.at[known[i].index]));
        for (uint32_t d = 0; d < node->dependency_count; d++) {
            uint64_t id = rank->ids.at[node->first_dependency + d];
            uint32_t index = identity_find(known, rank->nodes.count, id);
            rank->dependencies.at[node->first_dependency + d] = index;
            if (index == TRACE_NONE)
                good = report_error(report, place, "%s waits for node %llu, which is not there",
                                    trace_node_text(trace, rank, node), (unsigned long long)id);
        }
    }
    return good;
}

/* Depth-first along dependencies; `state`: 0 new, 1 on the path, 2 done. Returns a node on a circle. */
static uint32_t trace_circle(const struct trace_rank *rank, uint8_t *state, uint32_t *path, uint32_t *next)
{
    for (uint32_t root = 0; root < rank->nodes.count; root++) {
        uint32_t depth = 0;
        if (state[root])
            continue;
        path[depth++] = root;
        state[root] = 1;
        while (depth) {
            uint32_t at = path[depth - 1];
            const struct trace_node *node = &rank->nodes.at[at];
            if (next[at] == node->dependency_count) {
                state[at] = 2;
                depth--;
                continue;
            }
            uint32_t to = rank->dependencies.at[node->first_dependency + next[at]++];
            if (state[to] == 1) {
                path[depth] = to; /* ends the circle, which the caller reads backwards */
                return depth;
            }
            if (!state[to]) {
                state[to] = 1;
                path[depth++] = to;
            }
        }
    }
    return 0;
}

static bool trace_acyclic(struct trace *trace, const struct trace_rank *rank, struct report *report)
{
    enum { SHOWN = 8 };
    struct arena scratch;
    arena_init(&scratch);
    uint32_t count = rank->nodes.count;
    uint32_t *path = ARENA_ARRAY(&scratch, uint32_t, count + 1);
    uint32_t end = trace_circle(rank, ARENA_ARRAY(&scratch, uint8_t, count + 1), path,
                                ARENA_ARRAY(&scratch, uint32_t, count + 1));
    if (end) {
        uint32_t first = end - 1, shown = 0;
        while (path[first] != path[end])
            first--;
        const char *text = trace_node_text(trace, rank, &rank->nodes.at[path[first]]);
        for (uint32_t i = first + 1; i <= end && shown < SHOWN; i++, shown++)
            text = arena_format(&trace->arena, "%s waits for node %llu '%.60s'%s", text,
                                (unsigned long long)rank->nodes.at[path[i]].id,
                                names_text(trace->names, rank->nodes.at[path[i]].name),
                                i == end             ? ""
                                : shown + 1 == SHOWN ? ", …"
                                                     : ", which");
        report_error(report, (struct place){rank->path, 0, 0}, "waits go in a circle: %s", text);
    }
    arena_fini(&scratch);
    return !end;
}

bool trace_link(struct trace *trace, struct report *report)
{
    bool good = true;
    for (uint32_t r = 0; r < trace->ranks.count; r++) {
        struct trace_rank *rank = &trace->ranks.at[r];
        struct arena scratch;
        arena_init(&scratch);
        struct identity *known = ARENA_ARRAY(&scratch, struct identity, rank->nodes.count + 1);
        for (uint32_t i = 0; i < rank->nodes.count; i++)
            known[i] = (struct identity){rank->nodes.at[i].id, i};
        qsort(known, rank->nodes.count, sizeof *known, identity_order);
        bool well = trace_resolve(trace, rank, known, report) && trace_acyclic(trace, rank, report);
        arena_fini(&scratch);
        good = well && good;
    }
    return good;
}
