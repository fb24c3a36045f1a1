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
#include "engine/repair.h"

#include <assert.h>
#include <math.h>

enum link_state { SUMMED = 1, EXACT = 2, CLOSED = 4 };

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

static double least_of(double a, double b)
{
    return a < b ? a : b;
}

/* Fresh sums and the exact candidate, by Newton from below: each round's threshold is a lower bound, and the
 * partition is right when no flow counted as open stands below the next one. */
static void scan(struct maxmin *maxmin, uint32_t l)
{
    struct maxmin_link *link = &maxmin->links.at[l];
    const uint32_t *flows = maxmin->pool.other + link->first;
    const double *coefficients = maxmin->pool.coefficient ? maxmin->pool.coefficient + link->first : NULL;
    double threshold = maxmin->sweep;
    for (;;) {
        double smaller = 0, open = 0, least = INFINITY;
        for (uint32_t i = 0; i < link->count; i++) {
            const struct maxmin_flow *flow = &maxmin->flows.at[flows[i]];
            double cap = flow->bottleneck == l ? INFINITY : flow->level;
            double coefficient = coefficients ? coefficients[i] : 1;
            if (cap < threshold) {
                smaller += coefficient * cap;
            } else {
                open += coefficient;
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

/* The i-th link of a route, touched; NULL: it is link l, whose sums the caller keeps. */
static struct maxmin_link *touch_other(struct maxmin *maxmin, const struct maxmin_route *route, uint32_t i,
                                       uint32_t l)
{
    uint32_t other = maxmin->pool.other[route->first + i];
    struct maxmin_link *link = &maxmin->links.at[other];
    if (other == l)
        return NULL;
    touch(maxmin, link);
    return link;
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
    for (uint32_t i = 0; i < route->count; i++) {
        struct maxmin_link *link = touch_other(maxmin, route, i, l);
        if (!link || link->state & CLOSED)
            continue;
        uint32_t other = maxmin->pool.other[route->first + i];
        if (link->state & SUMMED) {
            double cap = home == other ? INFINITY : before;
            double coefficient = incidence_coefficient(&maxmin->pool, route->first + i);
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
    double limit = level * (1 + maxmin_tolerance(link, level, link->open));
    link->level = level;
    link->state |= CLOSED;
    for (uint32_t i = 0; i < link->count; i++) {
        uint32_t f = maxmin->pool.other[link->first + i];
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
    const uint32_t *links = maxmin->pool.other + route->first;
    for (uint32_t i = 0; i < route->count; i++) {
        const struct maxmin_link *link = &maxmin->links.at[links[i]];
        if (link->pass == maxmin->pass && (link->state & CLOSED))
            return links[i];
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
    for (uint32_t i = 0; i < route->count; i++) {
        struct maxmin_link *link = touch_other(maxmin, route, i, l);
        uint32_t other = maxmin->pool.other[route->first + i];
        if (!link)
            continue;
        if (!(link->state & SUMMED)) {
            heap_lower(maxmin, other, maxmin->sweep);
            continue;
        }
        if (before < link->threshold) {
            double coefficient = incidence_coefficient(&maxmin->pool, route->first + i);
            link->smaller -= coefficient * before;
            link->open += coefficient;
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
        uint32_t f = maxmin->pool.other[link->first + i];
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
        double coefficient = incidence_coefficient(&maxmin->pool, link->first + i);
        link->open -= coefficient;
        link->smaller += coefficient * flow->level;
        link->state &= (uint8_t)~EXACT;
    }
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
    } else if (level > link->level &&
               !maxmin_same(level, link->level, maxmin_tolerance(link, level, link->open))) {
        open_link(maxmin, top.link); /* equal keys of lower links may have gone ahead of it */
        bool exact = (link->state & EXACT) && level > maxmin->sweep;
        heap_down(maxmin, link->place, (struct maxmin_entry){exact ? level : maxmin->sweep, top.link});
    } else {
        level = maxmin_closing_level(maxmin, top.link, level, link->open);
        heap_pop(maxmin);
        close_link(maxmin, top.link, level);
    }
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

void repair_solve(struct maxmin *maxmin)
{
    place_dirty(maxmin);
    while (maxmin->heap.count)
        step(maxmin);
    assert(!maxmin->undecided);
}
