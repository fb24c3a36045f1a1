/* Routes are lists of links, links lists of flows (incidence.h). A change marks the links whose sums it
 * touches; maxmin_solve() then lets repair.c go from there as far as changes reach, or, where a large part of
 * all flows changes in each instant, solves from scratch (fill.c), which is cheaper then: the last instant
 * foretells it. */
#include "engine/maxmin.h"

#include "engine/fill.h"
#include "engine/repair.h"

#include <assert.h>
#include <float.h>
#include <math.h>

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
    assert(weight > 0 && cap >= 0);
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
    for (uint32_t i = 0; i < usage_count; i++) {
        assert(usage[i].coefficient > 0 && usage[i].link < maxmin->platform_links);
        maxmin->pool.other[route.first + i] = usage[i].link;
        incidence_set_coefficient(&maxmin->pool, route.first + i, usage[i].coefficient * weight);
    }
    if (route.cap_link != MAXMIN_NONE) {
        maxmin->pool.other[route.first + usage_count] = route.cap_link;
        incidence_set_coefficient(&maxmin->pool, route.first + usage_count, weight);
    }
    maxmin->routes.at[flow] = route;
    maxmin->flows.at[flow].level = INFINITY;
    maxmin->flows.at[flow].bottleneck = MAXMIN_NONE;
}

static void grow_link(struct maxmin *maxmin, struct maxmin_link *link)
{
    uint32_t first = incidence_take(&maxmin->pool, link->size_class + 1u);
    incidence_copy(&maxmin->pool, first, link->first, link->count);
    incidence_give(&maxmin->pool, link->first, link->size_class);
    link->first = first;
    link->size_class++;
}

/* Puts the i-th entry of a flow into its link's list. */
static void join(struct maxmin *maxmin, uint32_t flow, uint32_t i)
{
    struct incidence_pool *pool = &maxmin->pool;
    uint32_t entry = maxmin->routes.at[flow].first + i;
    struct maxmin_link *link = &maxmin->links.at[pool->other[entry]];
    if (link->count == 1u << link->size_class)
        grow_link(maxmin, link);
    uint32_t place = link->first + link->count;
    pool->twin[entry] = link->count++;
    pool->other[place] = flow;
    pool->twin[place] = i;
    if (pool->coefficient)
        pool->coefficient[place] = pool->coefficient[entry];
}

void maxmin_attach(struct maxmin *maxmin, uint32_t flow)
{
    struct maxmin_route *route = &maxmin->routes.at[flow];
    for (uint32_t i = 0; i < route->count; i++)
        join(maxmin, flow, i);
    route->attached = 1;
    maxmin->attached++;
    VECTOR_PUSH(&maxmin->arrivals, flow);
}

/* Takes the i-th entry of a flow out of its link's list. */
static void leave(struct maxmin *maxmin, uint32_t flow, uint32_t i)
{
    struct incidence_pool *pool = &maxmin->pool;
    uint32_t entry = maxmin->routes.at[flow].first + i, l = pool->other[entry];
    struct maxmin_link *link = &maxmin->links.at[l];
    uint32_t place = link->first + pool->twin[entry], last = link->first + --link->count;
    if (place != last) {
        incidence_copy(pool, place, last, 1);
        pool->twin[maxmin->routes.at[pool->other[last]].first + pool->twin[last]] = place - link->first;
    }
    if (!link->count)
        link->level = INFINITY;
    else if (link->level < INFINITY)
        mark_dirty(maxmin, l, 1); /* an unsaturated link gains nothing from a departure */
}

void maxmin_detach(struct maxmin *maxmin, uint32_t flow)
{
    struct maxmin_route *route = &maxmin->routes.at[flow];
    maxmin->attached -= route->attached;
    for (uint32_t i = 0; route->attached && i < route->count; i++)
        leave(maxmin, flow, i);
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

void maxmin_scale(struct maxmin *maxmin, uint32_t flow, double before, double weight)
{
    const struct maxmin_route *route = &maxmin->routes.at[flow];
    struct incidence_pool *pool = &maxmin->pool;
    for (uint32_t i = 0; i < route->count; i++) {
        uint32_t entry = route->first + i, l = pool->other[entry];
        double coefficient = incidence_coefficient(pool, entry) / before * weight;
        incidence_set_coefficient(pool, entry, coefficient);
        if (!route->attached)
            continue;
        incidence_set_coefficient(pool, maxmin->links.at[l].first + pool->twin[entry], coefficient);
        mark_dirty(maxmin, l, 2);
    }
}

void maxmin_set_cap(struct maxmin *maxmin, uint32_t flow, double weight, double cap)
{
    struct maxmin_route *route = &maxmin->routes.at[flow];
    if (route->cap_link != MAXMIN_NONE) {
        maxmin_set_capacity(maxmin, route->cap_link, cap); /* endless: a capacity that is never felt */
        return;
    }
    if (cap == INFINITY)
        return;
    if (route->count == 1u << route->size_class) {
        uint32_t first = incidence_take(&maxmin->pool, route->size_class + 1u);
        incidence_copy(&maxmin->pool, first, route->first, route->count);
        incidence_give(&maxmin->pool, route->first, route->size_class++);
        route->first = first;
    }
    route->cap_link = private_link(maxmin, finite_capacity(cap));
    maxmin->pool.other[route->first + route->count] = route->cap_link;
    incidence_set_coefficient(&maxmin->pool, route->first + route->count++, weight);
    if (route->attached) {
        join(maxmin, flow, route->count - 1);
        mark_dirty(maxmin, route->cap_link, 2);
    }
}

double maxmin_tolerance(const struct maxmin_link *link, double level, double open)
{
    double share = open * level;
    double wanted = share > 0 ? 64 * DBL_EPSILON * link->capacity / share : 0;
    return wanted < 1e-12 ? 1e-12 : wanted > 1e-10 ? 1e-10 : wanted;
}

double maxmin_closing_level(struct maxmin *maxmin, uint32_t l, double level, double open)
{
    const struct maxmin_link *link = &maxmin->links.at[l];
    double relative = maxmin_tolerance(link, level, open);
    if (maxmin_same(level, link->level, relative))
        level = link->level;
    else if (maxmin_same(level, maxmin->anchor, relative))
        level = maxmin->anchor;
    maxmin->anchor = level;
    return level;
}

/* A new flow with all its links to itself needs no sweep. */
static bool settle_alone(struct maxmin *maxmin, uint32_t f)
{
    const struct maxmin_route *route = &maxmin->routes.at[f];
    const uint32_t *links = maxmin->pool.other + route->first;
    double least = INFINITY;
    uint32_t bottleneck = MAXMIN_NONE;
    for (uint32_t i = 0; i < route->count; i++) {
        const struct maxmin_link *link = &maxmin->links.at[links[i]];
        if (link->count > 1)
            return false;
        double level = link->capacity / incidence_coefficient(&maxmin->pool, route->first + i);
        if (level < least) {
            least = level;
            bottleneck = links[i];
        }
    }
    maxmin->flows.at[f].level = least;
    maxmin->flows.at[f].bottleneck = bottleneck;
    for (uint32_t i = 0; i < route->count; i++)
        maxmin->links.at[links[i]].level = INFINITY;
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

/* What the arrivals change: their links. */
static void mark_arrivals(struct maxmin *maxmin)
{
    for (uint32_t i = 0; i < maxmin->arrivals.count; i++) {
        uint32_t f = maxmin->arrivals.at[i];
        maxmin->flows.at[f].pass = maxmin->pass;
        VECTOR_PUSH(&maxmin->changes, ((struct maxmin_change){f, 0}));
        const struct maxmin_route *route = &maxmin->routes.at[f];
        for (uint32_t k = 0; k < route->count; k++)
            mark_dirty(maxmin, maxmin->pool.other[route->first + k], 2);
    }
}

/* Whether to solve from scratch: when a sixteenth of the flows arrive or changed the last time. */
static bool widespread(const struct maxmin *maxmin)
{
    if (maxmin->solver != NETWORK_CHEAPER)
        return maxmin->solver == NETWORK_SCRATCH;
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
            mark_arrivals(maxmin);
            repair_solve(maxmin);
        }
        maxmin->touched = maxmin->changes.count - alone;
    }
    maxmin->arrivals.count = maxmin->dirty.count = 0;
}
