/* Dijkstra's algorithm over the layouts of one tensor. A layout is a number in base 3 + rank, one digit per
 * axis: 0 replicated, 1 partial, 2 on one member, 3 + d split along d. Prices are never negative, and
 * convert_steps() gives a bound from the start, so few layouts are ever looked at and few collectives priced.
 * An axis that keeps its split is left alone unless its shares lie inside those of an axis that must change:
 * moving it could only make the others' payloads larger. */
#include "plan/search.h"

#include "plan/owners.h"

#include <math.h>
#include <string.h>

enum { SEARCH_BUCKETS = 64, SEARCH_START = UINT16_MAX };

struct search_node {
    double seconds; /* from the start; INFINITY: not reached */
    uint16_t before;
    uint8_t collective; /* of the edge from `before`; COLLECTIVE_KIND_COUNT: a slice */
    uint8_t axis, edges;
    bool done;
};

struct search_entry {
    struct layout from, to;
    struct tensor_dim dims[TENSOR_DIMS];
    uint32_t rank, count;
    double element_bytes, seconds;
    struct convert_step *steps;
    struct search_entry *next;
};

struct search {
    const struct plan_stage *stage;
    struct prices *prices;
    struct arena *arena;       /* not owned */
    struct search_node *nodes; /* one per layout of the largest rank; NULL: too many, nothing is looked for */
    struct search_entry *entries[SEARCH_BUCKETS];
};

/* What one look-up works on. */
struct search_case {
    struct search *search;
    const struct tensor *tensor;
    double element_bytes, bound;
    struct layout from, to;
    uint32_t base, layouts, movable; /* movable: bit set of axes that may change */
};

struct search *search_new(const struct plan *plan, const struct plan_stage *stage, struct arena *arena)
{
    struct search *search = ARENA_NEW(arena, struct search);
    search->stage = stage;
    search->arena = arena;
    search->prices = price_new(plan, stage, arena);
    size_t nodes = 1;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        nodes *= 3 + TENSOR_DIMS;
    if (nodes < SEARCH_START)
        search->nodes = ARENA_ARRAY(arena, struct search_node, nodes);
    return search;
}

/* Elements of the largest share of so many along an axis. */
static uint64_t search_share(const struct plan_stage *stage, uint32_t a, const struct owners *owners,
                             uint64_t size)
{
    const struct plan_axis *axis = &stage->axes[a];
    if (owners)
        return owners_largest(owners, stage, a, size);
    uint64_t largest = (size + axis->size - 1) / axis->size;
    for (uint32_t i = 0; axis->weights && i < axis->size; i++) {
        struct interval share = layout_share((struct interval){0, size}, axis, i);
        largest = i && largest > share.high - share.low ? largest : share.high - share.low;
    }
    return largest;
}

/* Elements of the largest share in a layout, with some axes (bit set) left out; partly filled dimensions
 * count as evenly filled. */
static double search_elements(const struct plan_stage *stage, const struct tensor *tensor,
                              const struct layout *layout, uint32_t ignore)
{
    uint64_t share[TENSOR_DIMS];
    double elements = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        share[d] = tensor->dims[d].size;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (layout->place[a] == PLACE_SPLIT && !(ignore >> a & 1)) {
            const struct owners *owners = tensor->dims[layout->dim[a]].owners;
            share[layout->dim[a]] = search_share(stage, a, owners, share[layout->dim[a]]);
        }
    for (uint32_t d = 0; d < tensor->rank; d++)
        elements *= (double)share[d] *
                    model_extent(tensor->dims[d].filling, (struct interval){0, tensor->dims[d].size}) /
                    (double)tensor->dims[d].size;
    return elements;
}

double search_step_seconds(struct search *search, const struct tensor *tensor, double element_bytes,
                           const struct convert_step *step)
{
    const struct layout *whole = step->collective == ALL_GATHER ? &step->after : &step->before;
    double elements = search_elements(search->stage, tensor, whole, step->axes);
    for (uint32_t a = 0; a < search->stage->axis_count; a++)
        if (step->collective == ALL_TO_ALL && step->axes >> a & 1)
            elements /= search->stage->axes[a].size;
    return price_seconds(search->prices, step->collective, step->axes, elements * element_bytes);
}

static uint32_t search_code(const struct search_case *c, const struct layout *layout)
{
    uint32_t code = 0;
    for (uint32_t a = c->search->stage->axis_count; a-- > 0;)
        code = code * c->base + (layout->place[a] == PLACE_REPLICATED ? 0
                                 : layout->place[a] == PLACE_PARTIAL  ? 1
                                 : layout->place[a] == PLACE_ONE      ? 2
                                                                      : 3u + layout->dim[a]);
    return code;
}

static struct layout search_layout(const struct search_case *c, uint32_t code)
{
    struct layout layout = {{0}, {0}};
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++, code /= c->base) {
        uint32_t digit = code % c->base;
        layout.place[a] = digit == 0   ? PLACE_REPLICATED
                          : digit == 1 ? PLACE_PARTIAL
                          : digit == 2 ? PLACE_ONE
                                       : PLACE_SPLIT;
        layout.dim[a] = (uint8_t)(digit > 2 ? digit - 3 : 0);
    }
    return layout;
}

static bool search_settled(const struct layout *one, const struct layout *other, uint32_t axis)
{
    return one->place[axis] == other->place[axis] &&
           (one->place[axis] != PLACE_SPLIT || one->dim[axis] == other->dim[axis]);
}

/* Whether some axis that must change starts or ends inside or around this one's shares, or has no dimension
 * of its own to be scattered over. */
static bool search_blocks(const struct search_case *c, uint32_t axis)
{
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++) {
        if (a == axis || search_settled(&c->from, &c->to, a))
            continue;
        uint8_t dim = c->from.dim[axis];
        if ((c->from.place[a] == PLACE_SPLIT && c->from.dim[a] == dim) ||
            (c->to.place[a] == PLACE_SPLIT && c->to.dim[a] == dim) ||
            (a < axis && c->tensor->rank <= c->search->stage->axis_count))
            return true;
    }
    return false;
}

static void search_prepare(struct search_case *c)
{
    c->base = 3 + c->tensor->rank;
    c->layouts = 1;
    c->movable = 0;
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++) {
        c->layouts *= c->base;
        if (c->from.place[a] != PLACE_SPLIT || !search_settled(&c->from, &c->to, a) || search_blocks(c, a))
            c->movable |= 1u << a;
    }
    for (uint32_t i = 0; i < c->layouts; i++)
        c->search->nodes[i] = (struct search_node){.seconds = INFINITY};
}

/* Notes a way to the layout in which an axis has another place. */
static void search_edge(struct search_case *c, uint32_t at, const struct layout *now, uint32_t axis,
                        enum placement place, uint8_t dim, int collective)
{
    struct layout after = *now;
    after.place[axis] = (uint8_t)place;
    after.dim[axis] = dim;
    uint32_t code = search_code(c, &after);
    struct search_node *node = &c->search->nodes[code], *from = &c->search->nodes[at];
    double seconds = from->seconds;
    if (node->done || seconds >= c->bound || from->edges >= CONVERT_STEPS - 1)
        return;
    if (collective < COLLECTIVE_KIND_COUNT) {
        struct convert_step step = {(uint8_t)collective, (uint8_t)axis, (uint8_t)(1u << axis), *now, after};
        seconds += search_step_seconds(c->search, c->tensor, c->element_bytes, &step);
    }
    uint8_t edges = (uint8_t)(from->edges + (collective < COLLECTIVE_KIND_COUNT));
    if (seconds >= c->bound ||
        !(seconds < node->seconds || (!(seconds > node->seconds) && edges < node->edges)))
        return;
    *node = (struct search_node){seconds, (uint16_t)at, (uint8_t)collective, (uint8_t)axis, edges, false};
}

/* All that can be done next. Shares of one dimension nest: an axis takes or gives up a dimension only while
 * no later axis splits it. */
static void search_expand(struct search_case *c, uint32_t at)
{
    const struct plan_stage *stage = c->search->stage;
    struct layout now = search_layout(c, at);
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        if (!(c->movable >> a & 1) ||
            (now.place[a] == PLACE_SPLIT && !convert_loose(stage, &now, a, now.dim[a])))
            continue;
        if (now.place[a] == PLACE_PARTIAL && c->to.place[a] != PLACE_PARTIAL)
            search_edge(c, at, &now, a, PLACE_REPLICATED, 0, ALL_REDUCE);
        if (now.place[a] == PLACE_SPLIT)
            search_edge(c, at, &now, a, PLACE_REPLICATED, 0, ALL_GATHER);
        if (now.place[a] == PLACE_ONE)
            search_edge(c, at, &now, a, PLACE_REPLICATED, 0, BROADCAST);
        else if (c->to.place[a] == PLACE_ONE)
            search_edge(c, at, &now, a, PLACE_ONE, 0,
                        now.place[a] == PLACE_PARTIAL ? REDUCE
                        : now.place[a] == PLACE_SPLIT ? GATHER
                                                      : COLLECTIVE_KIND_COUNT);
        for (uint8_t d = 0; d < c->tensor->rank; d++) {
            bool same = now.place[a] == PLACE_SPLIT && now.dim[a] == d;
            bool stays = now.place[a] == PLACE_PARTIAL && c->to.place[a] == PLACE_PARTIAL;
            if (!same && !stays && convert_loose(stage, &now, a, d))
                search_edge(c, at, &now, a, PLACE_SPLIT, d,
                            now.place[a] == PLACE_PARTIAL ? REDUCE_SCATTER
                            : now.place[a] == PLACE_ONE   ? SCATTER
                            : now.place[a] == PLACE_SPLIT ? ALL_TO_ALL
                                                          : COLLECTIVE_KIND_COUNT);
        }
    }
}

/* The nearest layout that is not done; UINT32_MAX when there is none. */
static uint32_t search_nearest(const struct search_case *c)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < c->layouts; i++) {
        const struct search_node *node = &c->search->nodes[i];
        if (!node->done && node->seconds < INFINITY &&
            (best == UINT32_MAX || node->seconds < c->search->nodes[best].seconds))
            best = i;
    }
    return best;
}

/* The steps of the path that ends at a layout. */
static uint32_t search_path(const struct search_case *c, uint32_t end, struct convert_step *steps)
{
    uint32_t count = c->search->nodes[end].edges, left = count;
    for (uint32_t at = end; c->search->nodes[at].before != SEARCH_START;) {
        const struct search_node *node = &c->search->nodes[at];
        if (node->collective < COLLECTIVE_KIND_COUNT)
            steps[--left] = (struct convert_step){node->collective, node->axis, (uint8_t)(1u << node->axis),
                                                  search_layout(c, node->before), search_layout(c, at)};
        at = node->before;
    }
    return count;
}

/* The cheapest sequence below c->bound, or none: false. */
static bool search_run(struct search_case *c, struct search_entry *entry)
{
    search_prepare(c);
    uint32_t start = search_code(c, &c->from), end = search_code(c, &c->to);
    c->search->nodes[start] = (struct search_node){.before = SEARCH_START};
    for (uint32_t at = start; at != UINT32_MAX && at != end; at = search_nearest(c)) {
        c->search->nodes[at].done = true;
        search_expand(c, at);
    }
    if (!(c->search->nodes[end].seconds < c->bound))
        return false;
    struct convert_step steps[CONVERT_STEPS];
    entry->count = convert_join(c->search->stage, steps, search_path(c, end, steps));
    entry->steps = arena_copy(c->search->arena, steps, (entry->count + 1) * sizeof *steps);
    entry->seconds = 0;
    for (uint32_t i = 0; i < entry->count; i++)
        entry->seconds += search_step_seconds(c->search, c->tensor, c->element_bytes, &steps[i]);
    return true;
}

static bool search_same(const struct search *search, const struct search_entry *entry,
                        const struct search_case *c)
{
    bool same = entry->rank == c->tensor->rank && !(entry->element_bytes > c->element_bytes) &&
                !(entry->element_bytes < c->element_bytes) &&
                layout_equal(&entry->from, &c->from, search->stage->axis_count) &&
                layout_equal(&entry->to, &c->to, search->stage->axis_count);
    for (uint32_t d = 0; same && d < entry->rank; d++)
        same = entry->dims[d].size == c->tensor->dims[d].size &&
               entry->dims[d].filling == c->tensor->dims[d].filling &&
               entry->dims[d].owners == c->tensor->dims[d].owners;
    return same;
}

static struct search_entry *search_new_entry(const struct search_case *c)
{
    struct search_entry *entry = ARENA_NEW(c->search->arena, struct search_entry);
    struct convert_step steps[CONVERT_STEPS];
    *entry = (struct search_entry){
        .from = c->from, .to = c->to, .rank = c->tensor->rank, .element_bytes = c->element_bytes};
    memcpy(entry->dims, c->tensor->dims, sizeof entry->dims);
    entry->count = convert_steps(c->search->stage, c->from, c->to, steps);
    entry->steps = arena_copy(c->search->arena, steps, (entry->count + 1) * sizeof *steps);
    for (uint32_t i = 0; i < entry->count; i++)
        entry->seconds += search_step_seconds(c->search, c->tensor, c->element_bytes, &steps[i]);
    return entry;
}

uint32_t search_steps(struct search *search, const struct tensor *tensor, double element_bytes,
                      struct layout from, struct layout to, struct convert_step steps[CONVERT_STEPS],
                      double *seconds)
{
    struct search_case c = {.search = search, .tensor = tensor, .element_bytes = element_bytes};
    c.from = from;
    c.to = to;
    uint32_t bucket = tensor->rank * 31;
    for (uint32_t a = 0; a < search->stage->axis_count; a++)
        bucket = bucket * 31 + from.place[a] * 7u + from.dim[a] + (to.place[a] * 7u + to.dim[a]) * 17u;
    struct search_entry **at = &search->entries[bucket % SEARCH_BUCKETS], *entry = *at;
    while (entry && !search_same(search, entry, &c))
        entry = entry->next;
    if (!entry) {
        entry = search_new_entry(&c);
        c.bound = entry->seconds * (1 - 1e-9);
        if (entry->count && search->nodes)
            search_run(&c, entry);
        entry->next = *at;
        *at = entry;
    }
    for (uint32_t i = 0; i < entry->count; i++)
        steps[i] = entry->steps[i];
    if (seconds)
        *seconds = entry->seconds;
    return entry->count;
}
