/* The way between two hosts, as SimGrid finds it: in the zone in which both stand (or in which the zones that
 * they stand in stand), by that zone's routing; then, recursively, from the first to the gateway where that
 * way starts and from the gateway where it ends to the second. Dijkstra and Floyd both look for the way with
 * the fewest links and are one here, Floyd's, O(members^3) per zone once; of equally long ways it may be
 * another than SimGrid's Dijkstra takes. */
#include "platform/simgrid.h"

#include <stdlib.h>

enum { SIMGRID_MEMBERS = 1024, SIMGRID_CALLS = 4096 };

static int simgrid_compare(const void *a, const void *b)
{
    const struct simgrid_route *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

/* Sorts routes, the first said first among equals; reports the second. */
static bool simgrid_sort(struct simgrid *simgrid, struct simgrid_route *routes, uint32_t count)
{
    bool well = true;
    if (count)
        qsort(routes, count, sizeof *routes, simgrid_compare);
    for (uint32_t i = 1; i < count; i++) {
        if (simgrid_compare(&routes[i - 1], &routes[i]) != 0)
            continue;
        uint32_t line = routes[i - 1].place.line, other = routes[i].place.line;
        const struct simgrid_route *later = line > other ? &routes[i - 1] : &routes[i];
        well = false;
        const char *key =
            arena_format(&simgrid->arena, "route %u:%u", later->place.line, later->place.column);
        if (names_find(&simgrid->said, key) != UINT32_MAX)
            continue; /* its other direction was reported */
        names_add(&simgrid->said, key);
        report_error(&simgrid->input->report, later->place,
                     "there is a route from '%.60s' to '%.60s' already, at line %u (routes are symmetrical "
                     "unless they say symmetrical=\"no\")",
                     simgrid_point_name(simgrid, later->from), simgrid_point_name(simgrid, later->to),
                     line < other ? line : other);
    }
    return well;
}

bool simgrid_route_sort(struct simgrid *simgrid)
{
    uint32_t *members = ARENA_ARRAY(&simgrid->arena, uint32_t, simgrid->zones.count);
    bool well = simgrid_sort(simgrid, simgrid->routes.at, simgrid->routes.count);
    well = simgrid_sort(simgrid, simgrid->bypasses.at, simgrid->bypasses.count) && well;
    simgrid->member = ARENA_ARRAY(&simgrid->arena, uint32_t, simgrid->points.count);
    for (uint32_t p = 0; p < simgrid->points.count; p++)
        if (simgrid->points.at[p].zone != UINT32_MAX)
            simgrid->member[p] = members[simgrid->points.at[p].zone]++;
    for (uint32_t z = 0; z < simgrid->zones.count; z++)
        if (simgrid->zones.at[z].routing == SIMGRID_SHORTEST && members[z] > SIMGRID_MEMBERS)
            well = report_error(&simgrid->input->report, simgrid->points.at[simgrid->zones.at[z].point].place,
                                "a zone with this routing can have at most %d members; this one has %u",
                                SIMGRID_MEMBERS, members[z]);
    return well;
}

static const struct simgrid_route *simgrid_said(const struct simgrid_route *routes, uint32_t count,
                                                uint32_t from, uint32_t to)
{
    const struct simgrid_route wanted = {.from = from, .to = to};
    return count ? bsearch(&wanted, routes, count, sizeof wanted, simgrid_compare) : NULL;
}

/* For each pair of members the last route on the shortest way, + 1. */
static const uint32_t *simgrid_shortest(struct simgrid *simgrid, uint32_t index)
{
    struct simgrid_zone *zone = &simgrid->zones.at[index];
    size_t n = zone->members;
    if (zone->last)
        return zone->last;
    struct arena scratch;
    arena_init(&scratch);
    uint32_t *cost = ARENA_ARRAY(&scratch, uint32_t, n * n),
             *last = ARENA_ARRAY(&simgrid->arena, uint32_t, n * n);
    for (uint32_t r = 0; r < simgrid->routes.count; r++) {
        const struct simgrid_route *route = &simgrid->routes.at[r];
        if (simgrid->points.at[route->from].zone != index)
            continue;
        size_t at = simgrid->member[route->from] * n + simgrid->member[route->to];
        cost[at] = route->hops.count;
        last[at] = r + 1;
    }
    for (size_t c = 0; c < n; c++)
        for (size_t a = 0; a < n; a++) {
            if (!last[a * n + c])
                continue;
            for (size_t b = 0; b < n; b++) {
                if (a == b || !last[c * n + b])
                    continue;
                uint32_t sum = cost[a * n + c] + cost[c * n + b];
                if (last[a * n + b] && sum >= cost[a * n + b])
                    continue;
                cost[a * n + b] = sum;
                last[a * n + b] = last[c * n + b];
            }
        }
    arena_fini(&scratch);
    zone->last = last;
    return last;
}

struct simgrid_search {
    struct simgrid *simgrid;
    struct index_list *out;
    uint32_t calls;
};

static bool simgrid_way(struct simgrid_search *search, uint32_t from, uint32_t to);

static void simgrid_append(struct simgrid_search *search, struct simgrid_hops hops)
{
    for (uint32_t i = 0; i < hops.count; i++)
        VECTOR_PUSH(search->out, search->simgrid->hops.at[hops.first + i]);
}

/* Up from one, down to the other; a link of both (the backbone) once. */
static bool simgrid_star_way(struct simgrid_search *search, const struct simgrid_point *from,
                             const struct simgrid_point *to)
{
    const struct simgrid *simgrid = search->simgrid;
    uint32_t start = search->out->count;
    if ((!from->leg && from->kind != SIMGRID_ROUTER) || (!to->leg && to->kind != SIMGRID_ROUTER))
        return false;
    simgrid_append(search, from->up);
    for (uint32_t i = 0; i < to->down.count; i++) {
        uint32_t hop = simgrid->hops.at[to->down.first + i];
        bool there = false;
        for (uint32_t j = start; j < search->out->count; j++)
            there = there || search->out->at[j] == hop;
        if (!there)
            VECTOR_PUSH(search->out, hop);
    }
    return true;
}

/* Over one route, after the way to where it starts; *at moves to where it ends. */
static bool simgrid_over(struct simgrid_search *search, const struct simgrid_route *route, uint32_t *at)
{
    if (!simgrid_way(search, *at, route->gate))
        return false;
    simgrid_append(search, route->hops);
    *at = route->gate_to;
    return true;
}

/* Over the routes of the shortest way from a member of a zone to another: backwards, then in order. */
static bool simgrid_shortest_way(struct simgrid_search *search, uint32_t zone, uint32_t from, uint32_t to,
                                 uint32_t *at)
{
    struct simgrid *simgrid = search->simgrid;
    const uint32_t *last = simgrid_shortest(simgrid, zone);
    size_t n = simgrid->zones.at[zone].members;
    struct index_list routes = {0};
    for (uint32_t node = to; node != from && routes.count <= n;) {
        uint32_t route = last[simgrid->member[from] * n + simgrid->member[node]];
        if (!route)
            break;
        VECTOR_PUSH(&routes, route - 1);
        node = simgrid->routes.at[route - 1].from;
    }
    bool well =
        routes.count && routes.count <= n && simgrid->routes.at[routes.at[routes.count - 1]].from == from;
    for (uint32_t i = routes.count; i-- > 0 && well;)
        well = simgrid_over(search, &simgrid->routes.at[routes.at[i]], at);
    VECTOR_FREE(&routes);
    return well;
}

static uint32_t simgrid_depth(const struct simgrid *simgrid, uint32_t point)
{
    uint32_t zone = simgrid->points.at[point].zone;
    return zone == UINT32_MAX ? 0 : simgrid->zones.at[zone].depth + 1;
}

static uint32_t simgrid_outward(const struct simgrid *simgrid, uint32_t point)
{
    return simgrid->zones.at[simgrid->points.at[point].zone].point;
}

static bool simgrid_way(struct simgrid_search *search, uint32_t from, uint32_t to)
{
    struct simgrid *simgrid = search->simgrid;
    if (from == to)
        return true;
    if (search->calls++ == SIMGRID_CALLS)
        return false;
    const struct simgrid_route *bypass =
        simgrid_said(simgrid->bypasses.at, simgrid->bypasses.count, from, to);
    if (bypass) {
        simgrid_append(search, bypass->hops);
        return true;
    }
    uint32_t a = from, b = to, at = from;
    while (simgrid_depth(simgrid, a) > simgrid_depth(simgrid, b))
        a = simgrid_outward(simgrid, a);
    while (simgrid_depth(simgrid, b) > simgrid_depth(simgrid, a))
        b = simgrid_outward(simgrid, b);
    while (simgrid->points.at[a].zone != simgrid->points.at[b].zone) {
        a = simgrid_outward(simgrid, a);
        b = simgrid_outward(simgrid, b);
    }
    uint32_t zone = simgrid->points.at[a].zone;
    if (a == b || zone == UINT32_MAX)
        return false;
    enum simgrid_routing routing = simgrid->zones.at[zone].routing;
    if (routing == SIMGRID_NONE)
        return false;
    if (routing == SIMGRID_STAR)
        return a == from && b == to &&
               simgrid_star_way(search, &simgrid->points.at[a], &simgrid->points.at[b]);
    const struct simgrid_route *route = simgrid_said(simgrid->routes.at, simgrid->routes.count, a, b);
    bool well = routing == SIMGRID_SHORTEST ? simgrid_shortest_way(search, zone, a, b, &at)
                                            : route && simgrid_over(search, route, &at);
    return well && simgrid_way(search, at, to);
}

bool simgrid_route_find(struct simgrid *simgrid, uint32_t from, uint32_t to, struct index_list *out)
{
    struct simgrid_search search = {.simgrid = simgrid, .out = out};
    uint32_t before = out->count;
    if (simgrid_way(&search, from, to))
        return true;
    out->count = before;
    return false;
}
