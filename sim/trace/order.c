#include "trace/order.h"

/* Who may start, the earliest on top. */
struct heap {
    struct index_list units;
    const double *keys;  /* per unit */
    const uint64_t *ids; /* per unit: of its first node; then ties go to the lower unit */
};

/* The nodes of each unit, and who waits for whom. */
struct waits {
    uint32_t *first_node, *nodes;         /* per unit */
    uint32_t *first_follower, *followers; /* per node: units */
    uint32_t *left;                       /* per unit: nodes that it still waits for */
};

static bool heap_before(const struct heap *heap, uint32_t a, uint32_t b)
{
    if (heap->keys[a] != heap->keys[b])
        return heap->keys[a] < heap->keys[b];
    return heap->ids[a] != heap->ids[b] ? heap->ids[a] < heap->ids[b] : a < b;
}

static void heap_push(struct heap *heap, uint32_t unit)
{
    VECTOR_PUSH(&heap->units, unit);
    uint32_t at = heap->units.count - 1;
    while (at && heap_before(heap, unit, heap->units.at[(at - 1) / 2])) {
        heap->units.at[at] = heap->units.at[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->units.at[at] = unit;
}

static uint32_t heap_pop(struct heap *heap)
{
    uint32_t top = heap->units.at[0], last = heap->units.at[--heap->units.count], at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->units.count)
            break;
        if (child + 1 < heap->units.count &&
            heap_before(heap, heap->units.at[child + 1], heap->units.at[child]))
            child++;
        if (!heap_before(heap, heap->units.at[child], last))
            break;
        heap->units.at[at] = heap->units.at[child];
        at = child;
    }
    if (heap->units.count)
        heap->units.at[at] = last;
    return top;
}

uint32_t order_rank(const struct order_task *task, uint32_t node)
{
    uint32_t low = 0, high = task->trace->ranks.count - 1;
    while (low < high) { /* the last rank that does not begin behind the node */
        uint32_t middle = low + (high - low + 1) / 2;
        if (task->first[middle] <= node)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static const struct trace_node *order_node(const struct order_task *task, uint32_t node)
{
    uint32_t rank = order_rank(task, node);
    return &task->trace->ranks.at[rank].nodes.at[node - task->first[rank]];
}

/* Calls for each node and each node that it waits for. */
#define ORDER_EACH_WAIT(task, node, on, body)                                                                \
    for (uint32_t each_rank = 0; each_rank < (task)->trace->ranks.count; each_rank++) {                      \
        const struct trace_rank *each = &(task)->trace->ranks.at[each_rank];                                 \
        for (uint32_t each_index = 0; each_index < each->nodes.count; each_index++) {                        \
            const struct trace_node *each_node = &each->nodes.at[each_index];                                \
            uint32_t node = (task)->first[each_rank] + each_index;                                           \
            for (uint32_t d = 0; d < each_node->dependency_count; d++) {                                     \
                uint32_t on =                                                                                \
                    (task)->first[each_rank] + each->dependencies.at[each_node->first_dependency + d];       \
                body;                                                                                        \
            }                                                                                                \
            if ((task)->after[node] != TRACE_NONE) {                                                         \
                uint32_t on = (task)->after[node];                                                           \
                body;                                                                                        \
            }                                                                                                \
        }                                                                                                    \
    }

/* Turns counts, one place further, into where each part begins. */
static void order_sum(uint32_t *counts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        counts[i + 1] += counts[i];
}

static struct waits order_waits(const struct order_task *task, uint32_t count, struct arena *arena)
{
    struct waits waits = {.first_node = ARENA_ARRAY(arena, uint32_t, task->unit_count + 2),
                          .nodes = ARENA_ARRAY(arena, uint32_t, count + 1),
                          .first_follower = ARENA_ARRAY(arena, uint32_t, count + 2),
                          .left = ARENA_ARRAY(arena, uint32_t, task->unit_count + 1)};
    for (uint32_t i = 0; i < count; i++)
        waits.first_node[task->unit[i] + 2]++;
    order_sum(waits.first_node + 1, task->unit_count);
    for (uint32_t i = 0; i < count; i++)
        waits.nodes[waits.first_node[task->unit[i] + 1]++] = i;
    ORDER_EACH_WAIT(task, node, on, (waits.first_follower[on + 2]++, waits.left[task->unit[node]]++))
    order_sum(waits.first_follower + 1, count);
    waits.followers = ARENA_ARRAY(arena, uint32_t, waits.first_follower[count + 1] + 1);
    ORDER_EACH_WAIT(task, node, on, waits.followers[waits.first_follower[on + 1]++] = task->unit[node])
    return waits;
}

static bool order_recorded(const struct trace *trace)
{
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        for (uint32_t i = 0; i < trace->ranks.at[r].nodes.count; i++)
            if (trace->ranks.at[r].nodes.at[i].start > 0)
                return true;
    return false;
}

/* What a device does one at a time: computing on the device, on its host, moving memory; 0: neither. */
static uint32_t order_resource(const struct trace_node *node)
{
    return node->type == TRACE_COMPUTE                             ? node->host ? 2 : 1
           : node->type == TRACE_LOAD || node->type == TRACE_STORE ? 3
                                                                   : 0;
}

/* When the nodes of a unit that is taken now are over. */
static double order_end(const struct order_task *task, const struct waits *waits, uint32_t unit, double ready,
                        double (*busy)[4])
{
    double end = ready;
    for (uint32_t k = waits->first_node[unit]; k < waits->first_node[unit + 1]; k++) {
        uint32_t node = waits->nodes[k], rank = order_rank(task, node);
        uint32_t resource = order_resource(order_node(task, node));
        double start = resource && busy[rank][resource] > ready ? busy[rank][resource] : ready;
        busy[rank][resource] = start + task->seconds[node];
        end = busy[rank][resource] > end ? busy[rank][resource] : end;
    }
    return end;
}

/* A unit that is left waits for one that is left: follows that until it comes round. */
static bool order_stuck(const struct order_task *task, const struct waits *waits, struct report *report,
                        struct arena *arena)
{
    enum { SHOWN = 8 };
    uint32_t *by = ARENA_ARRAY(arena, uint32_t, task->unit_count);
    uint32_t *seen = ARENA_ARRAY(arena, uint32_t, task->unit_count), unit = 0;
    for (uint32_t i = 0; i < task->unit_count; i++)
        by[i] = TRACE_NONE;
    ORDER_EACH_WAIT(task, node, on, if (waits->left[task->unit[on]]) by[task->unit[node]] = on)
    while (!waits->left[unit])
        unit++;
    for (uint32_t step = 1; !seen[unit]; step++) {
        seen[unit] = step;
        unit = task->unit[by[unit]];
    }
    uint32_t first = waits->nodes[waits->first_node[unit]], rank = order_rank(task, first);
    const char *text = trace_node_text(task->trace, &task->trace->ranks.at[rank], order_node(task, first));
    uint32_t at = unit, shown = 0;
    do {
        uint32_t on = by[at];
        text = arena_format(
            arena, "%s%s %s", text, shown ? ", which waits for" : " waits for",
            trace_node_text(task->trace, &task->trace->ranks.at[order_rank(task, on)], order_node(task, on)));
        at = task->unit[on];
    } while (at != unit && ++shown < SHOWN);
    return report_error(report, (struct place){task->trace->ranks.at[rank].path, 0, 0},
                        "ranks wait for each other in a circle: %s", text);
}

bool order_nodes(const struct order_task *task, uint32_t *out, struct report *report)
{
    struct arena arena;
    arena_init(&arena);
    uint32_t count = task->first[task->trace->ranks.count], done = 0, taken = 0;
    struct waits waits = order_waits(task, count, &arena);
    double *keys = ARENA_ARRAY(&arena, double, task->unit_count + 1);
    uint64_t *ids = ARENA_ARRAY(&arena, uint64_t, task->unit_count + 1);
    double(*busy)[4] = arena_array(&arena, task->trace->ranks.count, sizeof *busy);
    bool recorded = order_recorded(task->trace);
    struct heap heap = {.keys = keys, .ids = ids};
    for (uint32_t unit = 0; unit < task->unit_count; unit++) {
        const struct trace_node *node = order_node(task, waits.nodes[waits.first_node[unit]]);
        ids[unit] = node->id;
        keys[unit] = recorded ? node->start : 0;
    }
    for (uint32_t unit = 0; unit < task->unit_count; unit++)
        if (!waits.left[unit])
            heap_push(&heap, unit);
    for (; heap.units.count; taken++) {
        uint32_t unit = heap_pop(&heap);
        double end = order_end(task, &waits, unit, keys[unit], busy);
        for (uint32_t k = waits.first_node[unit]; k < waits.first_node[unit + 1]; k++) {
            uint32_t node = waits.nodes[k];
            out[done++] = node;
            for (uint32_t f = waits.first_follower[node]; f < waits.first_follower[node + 1]; f++) {
                uint32_t follower = waits.followers[f];
                if (!recorded && end > keys[follower])
                    keys[follower] = end;
                if (!--waits.left[follower])
                    heap_push(&heap, follower);
            }
        }
    }
    bool good = taken == task->unit_count || order_stuck(task, &waits, report, &arena);
    VECTOR_FREE(&heap.units);
    arena_fini(&arena);
    return good;
}
