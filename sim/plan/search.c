/* A* over the layouts of one tensor. A layout is a number in base 3 + rank, one digit per axis: 0 replicated,
 * 1 partial, 2 on one member, 3 + d split along d. Layouts are made when they are first reached, in a table
 * by their number; those to be looked at next are in a heap. What is left to do costs at least, for each axis
 * that is not yet as it must be, the cheapest collective along it on the smallest payload that there can be
 * (axes that may go together counted once): that estimate never falls by more than an edge costs, so a layout
 * is final when it leaves the heap. convert_steps() gives an upper bound from the start. So few layouts are
 * ever made and few collectives priced, however many axes there are.
 *
 * An axis that keeps its split is left alone unless its shares lie inside those of an axis that must change:
 * moving it could only make the others' payloads larger. */
#include "plan/search.h"

#include "plan/frontier.h"
#include "plan/mesh.h"
#include "plan/owners.h"

#include <math.h>
#include <string.h>

enum { SEARCH_BUCKETS = 64, SEARCH_PLACES = 4 };

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
    struct arena *arena;      /* not owned */
    struct frontier frontier; /* of the search at hand */
    struct search_entry *entries[SEARCH_BUCKETS];
};

/* What one look-up works on. */
struct search_case {
    struct search *search;
    const struct tensor *tensor;
    double element_bytes, bound;
    struct layout from, to;
    uint32_t base, movable;   /* movable: bit set of axes that may change */
    uint8_t units[PLAN_AXES]; /* bit sets of axes that change together */
    uint32_t unit_count;
    double least[PLAN_AXES][SEARCH_PLACES]; /* seconds that settling a unit whose first axis has a place takes
                                               at least; < 0: not yet known */
};

struct search *search_new(const struct plan *plan, const struct plan_stage *stage, struct arena *arena)
{
    struct search *search = ARENA_NEW(arena, struct search);
    search->stage = stage;
    search->arena = arena;
    search->prices = price_new(plan, stage, arena);
    frontier_init(&search->frontier, arena);
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
    struct layout layout = {.late = 0};
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++, code /= c->base) {
        uint32_t digit = code % c->base;
        layout.place[a] = digit == 0   ? PLACE_REPLICATED
                          : digit == 1 ? PLACE_PARTIAL
                          : digit == 2 ? PLACE_ONE
                                       : PLACE_SPLIT;
        layout.dim[a] = (uint8_t)(digit > 2 ? digit - 3 : 0);
    }
    layout.late = c->from.late;
    return layout;
}

static bool search_settled(const struct layout *one, const struct layout *other, uint32_t axis)
{
    return one->place[axis] == other->place[axis] &&
           (one->place[axis] != PLACE_SPLIT || one->dim[axis] == other->dim[axis]);
}

/* Whether some axis that must change starts or ends around this one's shares, or has no dimension
 * of its own to be scattered over. */
static bool search_blocks(const struct search_case *c, uint32_t axis)
{
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++) {
        if (a == axis || search_settled(&c->from, &c->to, a))
            continue;
        uint8_t dim = c->from.dim[axis];
        bool inside = layout_inside(c->search->stage, &c->from, axis, a, dim);
        if ((inside && c->from.place[a] == PLACE_SPLIT && c->from.dim[a] == dim) ||
            (inside && c->to.place[a] == PLACE_SPLIT && c->to.dim[a] == dim) ||
            (a < axis && c->tensor->rank <= c->search->stage->axis_count))
            return true;
    }
    return false;
}

/* Whether two axes must change, and start and end in the same place. */
static bool search_alike(const struct search_case *c, uint32_t a, uint32_t b)
{
    return c->from.place[a] == c->from.place[b] && c->to.place[a] == c->to.place[b] &&
           !search_settled(&c->from, &c->to, a) && !search_settled(&c->from, &c->to, b) &&
           c->from.place[a] != PLACE_ONE && c->to.place[a] != PLACE_ONE;
}

/* What is one axis to the user is one here where its pieces start and end alike: which parts of it to go
 * along first is a matter of the algorithm that carries a collective, not of the plan. */
static void search_units(struct search_case *c)
{
    uint32_t seen = 0;
    c->unit_count = 0;
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++) {
        uint32_t unit = 1u << a;
        for (uint32_t b = a + 1; b < c->search->stage->axis_count; b++)
            if (!(seen >> b & 1) && search_alike(c, a, b) && mesh_joins(c->search->stage, unit | 1u << b))
                unit |= 1u << b;
        if (!(seen >> a & 1))
            c->units[c->unit_count++] = (uint8_t)unit;
        seen |= unit;
    }
}

static void search_prepare(struct search_case *c)
{
    c->base = 3 + c->tensor->rank;
    c->movable = 0;
    for (uint32_t a = 0; a < c->search->stage->axis_count; a++) {
        if (c->from.place[a] != PLACE_SPLIT || !search_settled(&c->from, &c->to, a) || search_blocks(c, a))
            c->movable |= 1u << a;
        for (uint32_t place = 0; place < SEARCH_PLACES; place++)
            c->least[a][place] = place == PLACE_REPLICATED ? 0 : -1;
    }
    search_units(c);
    frontier_clear(&c->search->frontier);
}

/* The least that a collective along some axes can cost: all others split what it moves. */
static double search_floor(const struct search_case *c, int kind, uint32_t axes)
{
    const struct plan_stage *stage = c->search->stage;
    const struct layout whole = {.late = 0};
    double elements = search_elements(stage, c->tensor, &whole, 0);
    for (uint32_t a = 0; a < stage->axis_count; a++)
        elements /= !(axes >> a & 1) || kind == ALL_TO_ALL ? stage->axes[a].size : 1;
    return price_seconds(c->search->prices, kind, axes, elements * c->element_bytes);
}

static uint32_t search_first(uint32_t axes)
{
    uint32_t first = 0;
    while (first + 1 < PLAN_AXES && !(axes >> first & 1))
        first++;
    return first;
}

/* The least that it takes to get a unit from a place to where it must be: by the collective that does it, or
 * by two through another place. A collective that cannot help is not priced, as that may take long (an
 * all-to-all has a way for every two members). */
static double search_least(struct search_case *c, uint32_t unit, enum placement place)
{
    uint32_t axis = search_first(unit);
    enum placement end = (enum placement)c->to.place[axis];
    double *least = &c->least[axis][place];
    if (*least >= 0)
        return *least;
    int into = end == PLACE_ONE ? REDUCE : end == PLACE_SPLIT ? REDUCE_SCATTER : ALL_REDUCE;
    if (place == PLACE_PARTIAL)
        *least = fmin(search_floor(c, into, unit),
                      end == PLACE_REPLICATED
                          ? search_floor(c, REDUCE_SCATTER, unit) + search_floor(c, ALL_GATHER, unit)
                          : search_floor(c, ALL_REDUCE, unit)); /* then a free slice */
    else if (place == PLACE_ONE)
        *least = fmin(search_floor(c, BROADCAST, unit),
                      search_floor(c, SCATTER, unit) +
                          (end == PLACE_SPLIT ? 0 : search_floor(c, ALL_GATHER, unit)));
    else
        *least = search_floor(c, ALL_GATHER, unit);
    if (place == PLACE_SPLIT && end != PLACE_REPLICATED)
        *least = fmin(*least, search_floor(c, end == PLACE_ONE ? GATHER : ALL_TO_ALL, unit));
    if (place == PLACE_PARTIAL && end == PLACE_ONE)
        *least = fmin(*least, search_floor(c, REDUCE_SCATTER, unit) + search_floor(c, GATHER, unit));
    return *least;
}

/* Seconds that are left at least. The axes of a unit are always in the same place. */
static double search_left(struct search_case *c, const struct layout *now)
{
    double left = 0;
    for (uint32_t u = 0; u < c->unit_count; u++) {
        bool settled = true;
        for (uint32_t a = 0; a < c->search->stage->axis_count; a++)
            settled &= !(c->units[u] >> a & 1) || search_settled(now, &c->to, a);
        if (!settled)
            left += search_least(c, c->units[u], now->place[search_first(c->units[u])]);
    }
    return left * (1 - 1e-12); /* never more than the sum of prices, however that is rounded */
}

/* Notes a way to another layout: by a collective along some axes, or by a slice of one. */
static void search_edge(struct search_case *c, uint32_t at, const struct layout *now,
                        const struct layout *after, uint32_t axis, uint32_t axes, int collective)
{
    struct frontier *f = &c->search->frontier;
    const struct frontier_node from = f->nodes[at];
    double seconds = from.seconds;
    bool slice = collective == COLLECTIVE_KIND_COUNT, added;
    struct convert_step step = {(uint8_t)collective, (uint8_t)axis, (uint8_t)axes, *now, *after};
    if (seconds >= c->bound || from.edges >= CONVERT_STEPS - 1)
        return;
    if (collective == ALL_TO_ALL && seconds + search_left(c, after) >= c->bound)
        return; /* without its price */
    seconds += slice ? 0 : search_step_seconds(c->search, c->tensor, c->element_bytes, &step);
    double left = seconds < c->bound ? search_left(c, after) : 0;
    if (seconds + left >= c->bound)
        return;
    uint8_t edges = (uint8_t)(from.edges + !slice);
    uint32_t index = frontier_find(f, search_code(c, after), &added);
    struct frontier_node *node = &f->nodes[index];
    if (node->done || !(seconds < node->seconds || (!(seconds > node->seconds) && edges < node->edges)))
        return;
    node->seconds = seconds;
    node->left = left;
    node->before = at;
    node->collective = (uint8_t)collective;
    node->axis = (uint8_t)axis;
    node->axes = (uint8_t)axes;
    node->edges = edges;
    frontier_push(f, index);
}

/* The same to the layout in which one axis has another place. */
static void search_change(struct search_case *c, uint32_t at, const struct layout *now, uint32_t axis,
                          enum placement place, uint8_t dim, int collective)
{
    struct layout after = *now;
    after.place[axis] = (uint8_t)place;
    after.dim[axis] = dim;
    search_edge(c, at, now, &after, axis, 1u << axis, collective);
}

/* All that can be done next along one axis. Shares of one dimension nest: an axis takes or gives up a
 * dimension only while no later axis splits it. */
static void search_alone(struct search_case *c, uint32_t at, const struct layout *now, uint32_t a)
{
    const struct plan_stage *stage = c->search->stage;
    if (now->place[a] == PLACE_SPLIT && !convert_loose(stage, now, a, now->dim[a]))
        return;
    if (now->place[a] == PLACE_PARTIAL && c->to.place[a] != PLACE_PARTIAL)
        search_change(c, at, now, a, PLACE_REPLICATED, 0, ALL_REDUCE);
    if (now->place[a] == PLACE_SPLIT)
        search_change(c, at, now, a, PLACE_REPLICATED, 0, ALL_GATHER);
    if (now->place[a] == PLACE_ONE)
        search_change(c, at, now, a, PLACE_REPLICATED, 0, BROADCAST);
    else if (c->to.place[a] == PLACE_ONE)
        search_change(c, at, now, a, PLACE_ONE, 0,
                      now->place[a] == PLACE_PARTIAL ? REDUCE
                      : now->place[a] == PLACE_SPLIT ? GATHER
                                                     : COLLECTIVE_KIND_COUNT);
    for (uint8_t d = 0; d < c->tensor->rank; d++) {
        bool same = now->place[a] == PLACE_SPLIT && now->dim[a] == d;
        bool stays = now->place[a] == PLACE_PARTIAL && c->to.place[a] == PLACE_PARTIAL;
        if (!same && !stays && convert_loose(stage, now, a, d))
            search_change(c, at, now, a, PLACE_SPLIT, d,
                          now->place[a] == PLACE_PARTIAL ? REDUCE_SCATTER
                          : now->place[a] == PLACE_ONE   ? SCATTER
                          : now->place[a] == PLACE_SPLIT ? ALL_TO_ALL
                                                         : COLLECTIVE_KIND_COUNT);
    }
}

/* Whether the axes of a set that split a dimension may take it, or give it up, together: no other axis splits
 * it inside the first of theirs. */
static bool search_loose(const struct plan_stage *stage, const struct layout *split,
                         const struct layout *others, uint32_t axes)
{
    struct layout rest = *others;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1)
            rest.place[a] = PLACE_REPLICATED;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1 && !convert_loose(stage, &rest, a, split->dim[a]))
            return false;
    return true;
}

/* The same along all axes of a unit: to whole, or to shares of some dimension for each of them. */
static void search_together(struct search_case *c, uint32_t at, const struct layout *now, uint32_t axes)
{
    const struct plan_stage *stage = c->search->stage;
    uint8_t place = now->place[search_first(axes)];
    struct layout after = *now;
    uint32_t last = 0, choices = 1;
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (axes >> a & 1) {
            after.place[a] = PLACE_REPLICATED;
            after.dim[a] = 0;
            choices *= c->tensor->rank;
            last = a;
        }
    if (place == PLACE_SPLIT && !search_loose(stage, now, now, axes))
        return;
    if (place != PLACE_REPLICATED)
        search_edge(c, at, now, &after, last, axes, place == PLACE_PARTIAL ? ALL_REDUCE : ALL_GATHER);
    for (uint32_t choice = 0; choice < choices; choice++) {
        bool moves = true;
        for (uint32_t a = 0, left = choice; a < PLAN_AXES; a++)
            if (axes >> a & 1) {
                after.place[a] = PLACE_SPLIT;
                after.dim[a] = (uint8_t)(left % c->tensor->rank);
                left /= c->tensor->rank;
                moves &= place != PLACE_SPLIT || after.dim[a] != now->dim[a];
            }
        if (moves && search_loose(stage, &after, now, axes))
            search_edge(c, at, now, &after, last, axes,
                        place == PLACE_PARTIAL ? REDUCE_SCATTER
                        : place == PLACE_SPLIT ? ALL_TO_ALL
                                               : COLLECTIVE_KIND_COUNT);
    }
}

static void search_expand(struct search_case *c, uint32_t at)
{
    struct layout now = search_layout(c, c->search->frontier.nodes[at].code);
    for (uint32_t u = 0; u < c->unit_count; u++) {
        uint32_t axis = search_first(c->units[u]);
        if (c->units[u] & ~c->movable)
            continue;
        if (c->units[u] == 1u << axis)
            search_alone(c, at, &now, axis);
        else
            search_together(c, at, &now, c->units[u]);
    }
}

/* The steps of the path that ends at a layout. */
static uint32_t search_path(const struct search_case *c, uint32_t end, struct convert_step *steps)
{
    const struct frontier_node *nodes = c->search->frontier.nodes;
    uint32_t count = nodes[end].edges, left = count;
    for (uint32_t at = end; nodes[at].before != FRONTIER_NONE; at = nodes[at].before)
        if (nodes[at].collective < COLLECTIVE_KIND_COUNT)
            steps[--left] = (struct convert_step){nodes[at].collective, nodes[at].axis, nodes[at].axes,
                                                  search_layout(c, nodes[nodes[at].before].code),
                                                  search_layout(c, nodes[at].code)};
    return count;
}

/* Looks for the cheapest sequence below c->bound; where there is one, the entry is that. */
static void search_run(struct search_case *c, struct search_entry *entry)
{
    struct frontier *f = &c->search->frontier;
    bool added;
    search_prepare(c);
    uint32_t end = search_code(c, &c->to), at = frontier_find(f, search_code(c, &c->from), &added);
    f->nodes[at].seconds = 0;
    f->nodes[at].before = FRONTIER_NONE;
    for (f->nodes[at].done = true; at != FRONTIER_NONE && f->nodes[at].code != end; at = frontier_pop(f))
        search_expand(c, at);
    if (at == FRONTIER_NONE)
        return;
    struct convert_step steps[CONVERT_STEPS];
    entry->count = convert_join(c->search->stage, steps, search_path(c, at, steps));
    entry->steps = arena_copy(c->search->arena, steps, (entry->count + 1) * sizeof *steps);
    entry->seconds = 0;
    for (uint32_t i = 0; i < entry->count; i++)
        entry->seconds += search_step_seconds(c->search, c->tensor, c->element_bytes, &steps[i]);
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
        if (entry->count)
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
