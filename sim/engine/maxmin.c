/* Local repair of a max-min allocation, one pass per instant.
 *
 * Dirty links are swept in order of a lower bound of the level at which they can change: the smaller of
 * their old level and their candidate, the root c of Σ coefficient · min(c, cap) = capacity. There a flow's
 * cap is its level, or infinite when it is undecided or limited by this very link. A link whose candidate is
 * below its old level closes (its faster flows slow down to it), one whose candidate equals its old level
 * closes at the stored level bit for bit (there the wave stops), one whose candidate is above opens (the
 * flows that it limited become undecided).
 *
 * Invariants: the sweep never goes down; a link closes once and a flow is decided once per pass; what is
 * closed is final, since closings only raise the keys of other links and openings happen at the old level,
 * before the sweep can pass it. Work is proportional to the entries of the touched links. Where
 * a large part of all flows changes in each instant, a solve from scratch is cheaper (fill.c): the last
 * instant foretells it. */
#include "engine/maxmin.h"

#include "engine/fill.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum link_state { SUMMED = 1, EXACT = 2, CLOSED = 4 };

static void add_link(struct maxmin *maxmin, double capacity)
{
    struct maxmin_link link = {.capacity = capacity, .level = INFINITY, .place = MAXMIN_NONE};
    link.first = incidence_take(&maxmin->pool, 0);
    VECTOR_PUSH(&maxmin->links, link);
}

/* An infinite capacity becomes one that is finite and never felt, so that no sum is infinite. */
static double finite_capacity(double capacity)
{
    assert(capacity >= 0);
    return capacity < 1e300 ? capacity : 1e300;
}

void maxmin_init(struct maxmin *maxmin, const double *capacities, uint32_t link_count)
{
    static_assert(sizeof(struct maxmin_link) <= 72, "the hot record of a link");
    static_assert(sizeof(struct maxmin_flow) == 16, "the hot record of a flow");
    *maxmin = (struct maxmin){.platform_links = link_count};
    for (uint32_t l = 0; l < link_count; l++)
        add_link(maxmin, finite_capacity(capacities[l]));
}

void maxmin_fini(struct maxmin *maxmin)
{
    VECTOR_FREE(&maxmin->links);
    VECTOR_FREE(&maxmin->flows);
    VECTOR_FREE(&maxmin->routes);
    incidence_fini(&maxmin->pool);
    VECTOR_FREE(&maxmin->free_links);
    VECTOR_FREE(&maxmin->dirty);
    VECTOR_FREE(&maxmin->arrivals);
    VECTOR_FREE(&maxmin->changes);
    VECTOR_FREE(&maxmin->heap);
    VECTOR_FREE(&maxmin->sums);
}

static void mark_dirty(struct maxmin *maxmin, uint32_t l, uint8_t how)
{
    struct maxmin_link *link = &maxmin->links.at[l];
    if (!link->dirty)
        VECTOR_PUSH(&maxmin->dirty, l);
    if (link->dirty < how)
        link->dirty = how;
}

static uint32_t private_link(struct maxmin *maxmin, double capacity)
{
    if (!maxmin->free_links.count) {
        add_link(maxmin, capacity);
        return maxmin->links.count - 1;
    }
    uint32_t l = maxmin->free_links.at[--maxmin->free_links.count];
    maxmin->links.at[l].capacity = capacity;
    return l;
}

void maxmin_define(struct maxmin *maxmin, uint32_t flow, const struct network_usage *usage,
                   uint32_t usage_count, double weight, double cap)
{
    assert(weight > 0 && cap > 0);
    if (flow == maxmin->flows.count) {
        VECTOR_PUSH(&maxmin->flows, ((struct maxmin_flow){0}));
        VECTOR_PUSH(&maxmin->routes, ((struct maxmin_route){0}));
    }
    struct maxmin_route route = {.count = usage_count, .cap_link = MAXMIN_NONE};
    if (cap < INFINITY) {
        route.cap_link = private_link(maxmin, finite_capacity(cap));
        route.count++;
    }
    route.size_class = (uint8_t)incidence_class(route.count);
    route.first = incidence_take(&maxmin->pool, route.size_class);
    struct incidence *entries = maxmin->pool.at + route.first;
    for (uint32_t i = 0; i < usage_count; i++) {
        assert(usage[i].coefficient > 0 && usage[i].link < maxmin->platform_links);
        entries[i] = (struct incidence){usage[i].coefficient * weight, usage[i].link, 0};
    }
    if (route.cap_link != MAXMIN_NONE)
        entries[usage_count] = (struct incidence){weight, route.cap_link, 0};
    maxmin->routes.at[flow] = route;
    maxmin->flows.at[flow].level = INFINITY;
    maxmin->flows.at[flow].bottleneck = MAXMIN_NONE;
}

static void grow_link(struct maxmin *maxmin, struct maxmin_link *link)
{
    uint32_t first = incidence_take(&maxmin->pool, link->size_class + 1u);
    memcpy(maxmin->pool.at + first, maxmin->pool.at + link->first, link->count * sizeof(struct incidence));
    incidence_give(&maxmin->pool, link->first, link->size_class);
    link->first = first;
    link->size_class++;
}

void maxmin_attach(struct maxmin *maxmin, uint32_t flow)
{
    struct maxmin_route *route = &maxmin->routes.at[flow];
    for (uint32_t i = 0; i < route->count; i++) {
        struct maxmin_link *link = &maxmin->links.at[maxmin->pool.at[route->first + i].other];
        if (link->count == 1u << link->size_class)
            grow_link(maxmin, link);
        struct incidence *entry = &maxmin->pool.at[route->first + i];
        entry->at = link->count;
        maxmin->pool.at[link->first + link->count++] = (struct incidence){entry->coefficient, flow, i};
    }
    route->attached = 1;
    maxmin->attached++;
    VECTOR_PUSH(&maxmin->arrivals, flow);
}

void maxmin_detach(struct maxmin *maxmin, uint32_t flow)
{
    struct maxmin_route *route = &maxmin->routes.at[flow];
    struct incidence *pool = maxmin->pool.at;
    maxmin->attached -= route->attached;
    if (route->attached) {
        for (uint32_t i = 0; i < route->count; i++) {
            uint32_t l = pool[route->first + i].other, at = pool[route->first + i].at;
            struct maxmin_link *link = &maxmin->links.at[l];
            struct incidence last = pool[link->first + --link->count];
            if (at != link->count) {
                pool[link->first + at] = last;
                pool[maxmin->routes.at[last.other].first + last.at].at = at;
            }
            if (!link->count)
                link->level = INFINITY;
            else if (link->level < INFINITY)
                mark_dirty(maxmin, l, 1); /* an unsaturated link gains nothing from a departure */
        }
    }
    if (route->cap_link != MAXMIN_NONE)
        VECTOR_PUSH(&maxmin->free_links, route->cap_link);
    incidence_give(&maxmin->pool, route->first, route->size_class);
    route->attached = 0;
    route->count = 0;
    maxmin->flows.at[flow].bottleneck = MAXMIN_NONE;
}

void maxmin_set_capacity(struct maxmin *maxmin, uint32_t l, double capacity)
{
    maxmin->links.at[l].capacity = finite_capacity(capacity);
    if (maxmin->links.at[l].count)
        mark_dirty(maxmin, l, 2);
}

/* The sweep's heap is binary, by key then link; each link's record has its place. */

static void heap_put(struct maxmin *maxmin, uint32_t place, struct maxmin_entry entry)
{
    maxmin->heap.at[place] = entry;
    maxmin->links.at[entry.link].place = place;
}

static void heap_up(struct maxmin *maxmin, uint32_t place, struct maxmin_entry entry)
{
    for (uint32_t parent; place; place = parent) {
        parent = (place - 1) / 2;
        if (!maxmin_entry_before(entry, maxmin->heap.at[parent]))
            break;
        heap_put(maxmin, place, maxmin->heap.at[parent]);
    }
    heap_put(maxmin, place, entry);
}

static void heap_down(struct maxmin *maxmin, uint32_t place, struct maxmin_entry entry)
{
    const struct maxmin_entry *at = maxmin->heap.at;
    uint32_t count = maxmin->heap.count;
    for (uint32_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && maxmin_entry_before(at[child + 1], at[child]))
            child++;
        if (!maxmin_entry_before(at[child], entry))
            break;
        heap_put(maxmin, place, at[child]);
    }
    heap_put(maxmin, place, entry);
}

static void heap_pop(struct maxmin *maxmin)
{
    maxmin->links.at[maxmin->heap.at[0].link].place = MAXMIN_NONE;
    struct maxmin_entry last = maxmin->heap.at[--maxmin->heap.count];
    if (maxmin->heap.count)
        heap_down(maxmin, 0, last);
}

/* Adds the link, or lowers its key; a higher key than the present one is left to be found when it is popped.
 */
static void heap_lower(struct maxmin *maxmin, uint32_t l, double key)
{
    struct maxmin_entry entry = {key > maxmin->sweep ? key : maxmin->sweep, l};
    uint32_t place = maxmin->links.at[l].place;
    if (place == MAXMIN_NONE) {
        VECTOR_PUSH(&maxmin->heap, entry);
        heap_up(maxmin, maxmin->heap.count - 1, entry);
    } else if (entry.key < maxmin->heap.at[place].key) {
        heap_up(maxmin, place, entry);
    }
}

/* Starts the pass's state of a link at its first touch. */
static void touch(struct maxmin *maxmin, struct maxmin_link *link)
{
    if (link->pass != maxmin->pass) {
        link->pass = maxmin->pass;
        link->state = 0;
        link->place = MAXMIN_NONE;
    }
}

/* The Newton step from the sums as they are: at most the true candidate, equal to it when they are exact. */
static double candidate(const struct maxmin_link *link)
{
    if (!(link->open > 0))
        return INFINITY;
    double level = (link->capacity - link->smaller) / link->open;
    return level > 0 ? level : 0;
}

/* Whether rounding may have spoilt the running sums: `open` is what is left of a much larger sum. */
static bool worn(const struct maxmin_link *link)
{
    return !(link->state & SUMMED) || link->open < 0.25 * (double)link->open_at_scan;
}

/* Relative distance within which two levels of this link are the same. The rounding error of a candidate is
 * that of `smaller`, magnified by how little of the capacity is left for the others. */
static double tolerance(const struct maxmin_link *link, double level, double open)
{
    double share = open * level;
    double wanted = share > 0 ? 64 * DBL_EPSILON * link->capacity / share : 0;
    return wanted < 1e-12 ? 1e-12 : wanted > 1e-10 ? 1e-10 : wanted;
}

static double least_of(double a, double b)
{
    return a < b ? a : b;
}

/* False when either is infinite. */
static bool same(double a, double b, double relative)
{
    return fabs(a - b) <= relative * least_of(a, b);
}

/* Fresh sums and the exact candidate, by Newton from below: each round's threshold is a lower bound, and the
 * partition is right when no flow counted as open stands below the next one. */
static void scan(struct maxmin *maxmin, uint32_t l)
{
    struct maxmin_link *link = &maxmin->links.at[l];
    const struct incidence *entries = maxmin->pool.at + link->first;
    const struct maxmin_flow *flows = maxmin->flows.at;
    double threshold = maxmin->sweep;
    for (;;) {
        double smaller = 0, open = 0, least = INFINITY;
        for (uint32_t i = 0; i < link->count; i++) {
            const struct maxmin_flow *flow = &flows[entries[i].other];
            double cap = flow->bottleneck == l ? INFINITY : flow->level;
            if (cap < threshold) {
                smaller += entries[i].coefficient * cap;
            } else {
                open += entries[i].coefficient;
                least = cap < least ? cap : least;
            }
        }
        link->smaller = smaller;
        link->open = open;
        double next = candidate(link);
        if (next <= least || next <= threshold)
            break;
        threshold = next;
    }
    link->threshold = threshold;
    link->open_at_scan = (float)link->open;
    link->state |= SUMMED | EXACT;
}

/* Puts a flow on the list of changes at its first change in this pass. */
static void remember(struct maxmin *maxmin, uint32_t f)
{
    struct maxmin_flow *flow = &maxmin->flows.at[f];
    if (flow->pass == maxmin->pass)
        return;
    flow->pass = maxmin->pass;
    VECTOR_PUSH(&maxmin->changes, ((struct maxmin_change){f, flow->level}));
}

/* Decides a flow: link l limits it to `level`. Its other links get new sums; one that was not touched and has
 * a level may now have room, which it can use at its old level at the earliest. */
static void decide(struct maxmin *maxmin, uint32_t f, uint32_t l, double level)
{
    struct maxmin_flow *flow = &maxmin->flows.at[f];
    double before = flow->level;
    uint32_t home = flow->bottleneck;
    remember(maxmin, f);
    maxmin->undecided -= home == MAXMIN_NONE;
    flow->level = level;
    flow->bottleneck = l;
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const struct incidence *entries = maxmin->pool.at + route->first;
    for (uint32_t i = 0; i < route->count; i++) {
        uint32_t other = entries[i].other;
        struct maxmin_link *link = &maxmin->links.at[other];
        if (other == l)
            continue;
        touch(maxmin, link);
        if (link->state & CLOSED)
            continue;
        if (link->state & SUMMED) {
            double cap = home == other ? INFINITY : before;
            double coefficient = entries[i].coefficient;
            if (cap < link->threshold) {
                link->smaller += coefficient * (level - cap);
            } else {
                link->open -= coefficient;
                link->smaller += coefficient * level;
            }
            link->state &= (uint8_t)~EXACT;
        } else if (link->place == MAXMIN_NONE && link->level < INFINITY) {
            heap_lower(maxmin, other, link->level);
        }
    }
}

static void close_link(struct maxmin *maxmin, uint32_t l, double level)
{
    struct maxmin_link *link = &maxmin->links.at[l];
    assert(!(link->state & CLOSED));
    double limit = level * (1 + tolerance(link, level, link->open));
    link->level = level;
    link->state |= CLOSED;
    for (uint32_t i = 0; i < link->count; i++) {
        uint32_t f = maxmin->pool.at[link->first + i].other;
        const struct maxmin_flow *flow = &maxmin->flows.at[f];
        bool own = flow->bottleneck == l;
        if (flow->bottleneck == MAXMIN_NONE)
            decide(maxmin, f, l, level);
        else if (flow->pass != maxmin->pass && (own ? flow->level != level : flow->level > limit))
            decide(maxmin, f, l, level);
    }
}

/* A closed link among the others that the flow crosses: there it is limited as much. */
static uint32_t closed_elsewhere(const struct maxmin *maxmin, uint32_t f)
{
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const struct incidence *entries = maxmin->pool.at + route->first;
    for (uint32_t i = 0; i < route->count; i++) {
        const struct maxmin_link *link = &maxmin->links.at[entries[i].other];
        if (link->pass == maxmin->pass && (link->state & CLOSED))
            return entries[i].other;
    }
    return MAXMIN_NONE;
}

/* A flow that link l limited is undecided: its other links may close earlier than they seemed to. */
static void undecide(struct maxmin *maxmin, uint32_t f, uint32_t l)
{
    struct maxmin_flow *flow = &maxmin->flows.at[f];
    double before = flow->level;
    remember(maxmin, f);
    maxmin->undecided++;
    flow->level = INFINITY;
    flow->bottleneck = MAXMIN_NONE;
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const struct incidence *entries = maxmin->pool.at + route->first;
    for (uint32_t i = 0; i < route->count; i++) {
        uint32_t other = entries[i].other;
        struct maxmin_link *link = &maxmin->links.at[other];
        if (other == l)
            continue;
        touch(maxmin, link);
        if (!(link->state & SUMMED)) {
            heap_lower(maxmin, other, maxmin->sweep);
            continue;
        }
        if (before < link->threshold) {
            link->smaller -= entries[i].coefficient * before;
            link->open += entries[i].coefficient;
            link->state &= (uint8_t)~EXACT;
        }
        heap_lower(maxmin, other, worn(link) ? maxmin->sweep : least_of(link->level, candidate(link)));
    }
}

/* Opens a link at its old level. Its own flows become undecided, except those that a link closed in this pass
 * limits as well: they stay at home there (without this rule ties would close a link twice). */
static void open_link(struct maxmin *maxmin, uint32_t l)
{
    struct maxmin_link *link = &maxmin->links.at[l];
    link->level = INFINITY;
    for (uint32_t i = 0; i < link->count; i++) {
        uint32_t f = maxmin->pool.at[link->first + i].other;
        struct maxmin_flow *flow = &maxmin->flows.at[f];
        if (flow->bottleneck != l)
            continue;
        uint32_t home = closed_elsewhere(maxmin, f);
        if (home == MAXMIN_NONE) {
            undecide(maxmin, f, l);
            continue;
        }
        remember(maxmin, f);
        flow->bottleneck = home;
        flow->level = maxmin->links.at[home].level;
        link->open -= maxmin->pool.at[link->first + i].coefficient;
        link->smaller += maxmin->pool.at[link->first + i].coefficient * flow->level;
        link->state &= (uint8_t)~EXACT;
    }
}

double maxmin_closing_level(struct maxmin *maxmin, uint32_t l, double level, double open)
{
    const struct maxmin_link *link = &maxmin->links.at[l];
    double relative = tolerance(link, level, open);
    if (same(level, link->level, relative))
        level = link->level;
    else if (same(level, maxmin->anchor, relative))
        level = maxmin->anchor;
    maxmin->anchor = level;
    return level;
}

/* Processes the link at the top of the heap: renews its key, closes it, opens it or drops it. */
static void step(struct maxmin *maxmin)
{
    struct maxmin_entry top = maxmin->heap.at[0];
    struct maxmin_link *link = &maxmin->links.at[top.link];
    if (top.key > maxmin->sweep)
        maxmin->sweep = top.key;
    if (!(link->state & EXACT)) {
        double bound = worn(link) ? 0 : least_of(link->level, candidate(link));
        if (bound <= top.key) {
            scan(maxmin, top.link);
            bound = least_of(link->level, candidate(link));
        }
        if (bound == INFINITY) {
            heap_pop(maxmin); /* limits nobody; comes back if a flow on it is undecided later */
            return;
        }
        if (bound > top.key) {
            heap_down(maxmin, 0, (struct maxmin_entry){bound, top.link});
            return;
        }
    }
    double level = candidate(link);
    if (level == INFINITY && link->level == INFINITY) {
        heap_pop(maxmin);
    } else if (level > link->level && !same(level, link->level, tolerance(link, level, link->open))) {
        open_link(maxmin, top.link); /* equal keys of lower links may have gone ahead of it */
        bool exact = (link->state & EXACT) && level > maxmin->sweep;
        heap_down(maxmin, link->place, (struct maxmin_entry){exact ? level : maxmin->sweep, top.link});
    } else {
        level = maxmin_closing_level(maxmin, top.link, level, link->open);
        heap_pop(maxmin);
        close_link(maxmin, top.link, level);
    }
}

/* A new flow with all its links to itself needs no sweep. */
static bool settle_alone(struct maxmin *maxmin, uint32_t f)
{
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const struct incidence *entries = maxmin->pool.at + route->first;
    double least = INFINITY;
    uint32_t bottleneck = MAXMIN_NONE;
    for (uint32_t i = 0; i < route->count; i++) {
        const struct maxmin_link *link = &maxmin->links.at[entries[i].other];
        if (link->count > 1)
            return false;
        double level = link->capacity / entries[i].coefficient;
        if (level < least) {
            least = level;
            bottleneck = entries[i].other;
        }
    }
    maxmin->flows.at[f].level = least;
    maxmin->flows.at[f].bottleneck = bottleneck;
    for (uint32_t i = 0; i < route->count; i++)
        maxmin->links.at[entries[i].other].level = INFINITY;
    maxmin->links.at[bottleneck].level = least;
    return true;
}

/* Returns how many flows settled alone. */
static uint32_t place_arrivals(struct maxmin *maxmin)
{
    for (uint32_t i = 0; i < maxmin->arrivals.count; i++) {
        uint32_t f = maxmin->arrivals.at[i];
        if (!maxmin->routes.at[f].attached)
            continue;
        if (!settle_alone(maxmin, f)) {
            maxmin->arrivals.at[maxmin->undecided++] = f;
            continue;
        }
        maxmin->flows.at[f].pass = maxmin->pass;
        VECTOR_PUSH(&maxmin->changes, ((struct maxmin_change){f, 0}));
    }
    maxmin->arrivals.count = maxmin->undecided;
    return maxmin->changes.count;
}

/* Puts the dirty links into the heap. Where flows only left, the old level is a lower bound already. */
static void place_dirty(struct maxmin *maxmin)
{
    for (uint32_t i = 0; i < maxmin->dirty.count; i++) {
        uint32_t l = maxmin->dirty.at[i];
        struct maxmin_link *link = &maxmin->links.at[l];
        bool grown = link->dirty == 2;
        link->dirty = 0;
        touch(maxmin, link);
        if (!link->count)
            continue;
        if (grown)
            scan(maxmin, l);
        double key = grown ? least_of(link->level, candidate(link)) : link->level;
        if (key < INFINITY)
            heap_lower(maxmin, l, key);
    }
}

/* The local repair: from the links that changed as far as changes reach. */
static void repair(struct maxmin *maxmin)
{
    for (uint32_t i = 0; i < maxmin->arrivals.count; i++) {
        uint32_t f = maxmin->arrivals.at[i];
        maxmin->flows.at[f].pass = maxmin->pass;
        VECTOR_PUSH(&maxmin->changes, ((struct maxmin_change){f, 0}));
        const struct maxmin_route *route = &maxmin->routes.at[f];
        for (uint32_t k = 0; k < route->count; k++)
            mark_dirty(maxmin, maxmin->pool.at[route->first + k].other, 2);
    }
    place_dirty(maxmin);
    while (maxmin->heap.count)
        step(maxmin);
    assert(!maxmin->undecided);
}

/* Whether to solve from scratch: when a sixteenth of the flows arrive or changed the last time. */
static bool widespread(const struct maxmin *maxmin)
{
    uint32_t expected = maxmin->undecided > maxmin->touched ? maxmin->undecided : maxmin->touched;
    return expected > maxmin->attached / 16 && maxmin->links.count / 8 <= maxmin->attached;
}

void maxmin_solve(struct maxmin *maxmin)
{
    maxmin->changes.count = 0;
    if (!maxmin->arrivals.count && !maxmin->dirty.count)
        return;
    maxmin->pass++;
    maxmin->undecided = 0;
    maxmin->sweep = 0;
    maxmin->anchor = -1;
    uint32_t alone = place_arrivals(maxmin);
    if (maxmin->arrivals.count || maxmin->dirty.count) {
        if (widespread(maxmin)) {
            for (uint32_t i = 0; i < maxmin->dirty.count; i++)
                maxmin->links.at[maxmin->dirty.at[i]].dirty = 0;
            fill_solve(maxmin);
        } else {
            repair(maxmin);
        }
        maxmin->touched = maxmin->changes.count - alone;
    }
    maxmin->arrivals.count = maxmin->dirty.count = 0;
}
