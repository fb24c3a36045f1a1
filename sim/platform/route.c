/* Route: Dijkstra over the *core*, the nodes that forward traffic. A terminal (a device with `forward: no`,
 * or a node with one neighbour, which no shortest path can pass through) is never expanded nor stored: the
 * best arc into it is found when its route is asked for. So a tree has one 16-byte entry per switch, not per
 * GPU.
 *
 * Latencies are added as whole femtoseconds, so that paths of equal latency are equal whatever the order of
 * the sum, and the tie-break by hops and node index means what it says.
 *
 * Trees are kept in slots, filled on demand up to ROUTE_CACHE bytes; then the oldest is overwritten. A tree
 * costs O(core arcs · log core nodes), a route O(its hops + arcs into its target). */
#include "platform/route.h"

#include "platform/route_table.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { ROUTE_CACHE = 1 << 28 };
static const double route_latency_scale = 1e15; /* per second: femtoseconds */

struct route_entry {
    uint64_t latency; /* femtoseconds from the source; UINT64_MAX: not reached */
    uint32_t hops;
    uint32_t arc; /* the last arc of the best path; UINT32_MAX at the source */
};
static_assert(sizeof(struct route_entry) == 16, "one tree entry is 16 bytes");

struct route_step {
    uint64_t latency;
    uint32_t hops, core;
};

struct route_edge { /* an arc between two core nodes, as Dijkstra's inner loop reads it */
    uint64_t latency;
    uint32_t core, arc; /* the core node it leads to */
};

struct route_cache {
    struct arena arena;   /* owns the arrays and the trees */
    struct arena paths;   /* routes handed out for `source` */
    uint32_t source;      /* device; UINT32_MAX: none yet */
    uint32_t core_count;  /* nodes that forward */
    uint32_t *core;       /* node -> its index in the core, UINT32_MAX for a terminal */
    uint32_t *first_edge; /* per core node + 1: rows of edges */
    struct route_edge *edges;
    uint32_t *first_in; /* per node + 1: rows of in_arcs, arcs into a terminal; empty for core nodes */
    uint32_t *in_arcs;
    uint32_t *slot; /* device -> slot of its tree, UINT32_MAX for none */
    uint32_t slot_count, slots_used, slot_next;
    uint32_t *owner;            /* slot -> device */
    struct route_entry **trees; /* slot -> core_count entries */
    VECTOR(struct route_step) heap;
};

static uint64_t route_arc_latency(const struct platform *platform, uint32_t arc)
{
    uint32_t link = platform->arcs.at[arc].link;
    return link == UINT32_MAX ? 0 : (uint64_t)llround(platform->links.at[link].latency * route_latency_scale);
}

/* Numbers the core's nodes: those that forward and have at least two neighbours. */
static void route_core(const struct platform *platform, struct route_cache *cache)
{
    uint32_t nodes = platform->nodes.count;
    uint32_t *neighbour = ARENA_ARRAY(&cache->arena, uint32_t, nodes);
    memset(neighbour, 0xff, nodes * sizeof *neighbour);
    cache->core = ARENA_ARRAY(&cache->arena, uint32_t, nodes);
    memset(cache->core, 0xff, nodes * sizeof *cache->core);
    for (uint32_t a = 0; a < platform->arcs.count; a++) {
        uint32_t ends[2] = {platform->arcs.at[a].from, platform->arcs.at[a].to};
        for (int i = 0; i < 2; i++) {
            if (neighbour[ends[i]] == UINT32_MAX)
                neighbour[ends[i]] = ends[1 - i];
            else if (neighbour[ends[i]] != ends[1 - i])
                cache->core[ends[i]] = 0; /* two neighbours */
        }
    }
    for (uint32_t n = 0; n < nodes; n++)
        if (platform->nodes.at[n].terminal)
            cache->core[n] = UINT32_MAX;
        else if (cache->core[n] == 0)
            cache->core[n] = cache->core_count++;
}

/* Sorts the arcs' indices into rows: by `from` among core nodes, by `to` into terminals. Stable, so each row
 * is in ascending order of arcs. */
static void route_rows(const struct platform *platform, struct route_cache *cache)
{
    const uint32_t *core = cache->core;
    cache->first_edge = ARENA_ARRAY(&cache->arena, uint32_t, (size_t)cache->core_count + 2);
    cache->first_in = ARENA_ARRAY(&cache->arena, uint32_t, (size_t)platform->nodes.count + 2);
    cache->edges = ARENA_ARRAY(&cache->arena, struct route_edge, platform->arcs.count);
    cache->in_arcs = ARENA_ARRAY(&cache->arena, uint32_t, platform->arcs.count);
    for (uint32_t a = 0; a < platform->arcs.count; a++) {
        const struct arc *arc = &platform->arcs.at[a];
        if (core[arc->to] == UINT32_MAX)
            cache->first_in[arc->to + 2]++;
        else if (core[arc->from] != UINT32_MAX)
            cache->first_edge[core[arc->from] + 2]++;
    }
    for (uint32_t c = 2; c < cache->core_count + 2; c++)
        cache->first_edge[c] += cache->first_edge[c - 1];
    for (uint32_t n = 2; n < platform->nodes.count + 2; n++)
        cache->first_in[n] += cache->first_in[n - 1];
    for (uint32_t a = 0; a < platform->arcs.count; a++) { /* first[x + 1] is where row x goes on */
        const struct arc *arc = &platform->arcs.at[a];
        if (core[arc->to] == UINT32_MAX)
            cache->in_arcs[cache->first_in[arc->to + 1]++] = a;
        else if (core[arc->from] != UINT32_MAX)
            cache->edges[cache->first_edge[core[arc->from] + 1]++] =
                (struct route_edge){route_arc_latency(platform, a), core[arc->to], a};
    }
}

static void route_cache_new(struct platform *platform)
{
    struct route_cache *cache = ARENA_NEW(&platform->arena, struct route_cache);
    arena_init(&cache->arena);
    arena_init(&cache->paths);
    cache->source = UINT32_MAX;
    route_core(platform, cache);
    route_rows(platform, cache);
    size_t tree = (cache->core_count + 1) * sizeof(struct route_entry);
    uint32_t devices = platform->devices.count;
    cache->slot_count = ROUTE_CACHE / tree < devices ? (uint32_t)(ROUTE_CACHE / tree) + 1 : devices;
    cache->owner = ARENA_ARRAY(&cache->arena, uint32_t, cache->slot_count);
    cache->trees = ARENA_ARRAY(&cache->arena, struct route_entry *, cache->slot_count);
    cache->slot = ARENA_ARRAY(&cache->arena, uint32_t, devices);
    memset(cache->slot, 0xff, devices * sizeof *cache->slot);
    platform->cache = cache;
}

void route_fini(struct platform *platform)
{
    struct route_cache *cache = platform->cache;
    platform->cache = NULL;
    if (!cache)
        return;
    VECTOR_FREE(&cache->heap);
    arena_fini(&cache->paths);
    arena_fini(&cache->arena);
}

static bool route_before(struct route_step a, struct route_step b)
{
    if (a.latency != b.latency)
        return a.latency < b.latency;
    return a.hops != b.hops ? a.hops < b.hops : a.core < b.core;
}

static void route_push(struct route_cache *cache, struct route_step step)
{
    VECTOR_PUSH(&cache->heap, step);
    struct route_step *heap = cache->heap.at;
    uint32_t i = cache->heap.count - 1;
    for (; i > 0 && route_before(step, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = step;
}

static struct route_step route_pop(struct route_cache *cache)
{
    struct route_step *heap = cache->heap.at, first = heap[0];
    uint32_t count = --cache->heap.count, i = 0;
    struct route_step last = heap[count];
    for (uint32_t child = 1; child < count; child = 2 * i + 1) {
        if (child + 1 < count && route_before(heap[child + 1], heap[child]))
            child++;
        if (!route_before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

/* Whether the path to `reached`, prolonged by `arc`, beats the entry: less latency, then fewer hops, then a
 * lower node before the last arc (then the lower arc, since arcs are tried in ascending order per node). */
static bool route_improves(const struct platform *platform, const struct route_entry *entry,
                           const struct route_entry *offer)
{
    if (offer->latency != entry->latency)
        return offer->latency < entry->latency;
    if (offer->hops != entry->hops)
        return offer->hops < entry->hops;
    return entry->arc != UINT32_MAX &&
           platform->arcs.at[offer->arc].from < platform->arcs.at[entry->arc].from;
}

static void route_relax(const struct platform *platform, struct route_cache *cache, struct route_entry *tree,
                        const struct route_entry *from, const struct route_edge *edge)
{
    struct route_entry *entry = &tree[edge->core];
    struct route_entry offer = {from->latency + edge->latency, from->hops + 1, edge->arc};
    if (!route_improves(platform, entry, &offer))
        return;
    bool nearer = offer.latency != entry->latency || offer.hops != entry->hops;
    *entry = offer;
    if (nearer)
        route_push(cache, (struct route_step){offer.latency, offer.hops, edge->core});
}

/* Every arc costs at least one hop, so a node that left the heap is final, also for ties. */
static void route_grow(const struct platform *platform, struct route_cache *cache, uint32_t source,
                       struct route_entry *tree)
{
    for (uint32_t c = 0; c < cache->core_count; c++)
        tree[c] = (struct route_entry){UINT64_MAX, UINT32_MAX, UINT32_MAX};
    struct route_entry start = {0, 0, UINT32_MAX};
    if (cache->core[source] != UINT32_MAX)
        tree[cache->core[source]] = start;
    for (uint32_t a = platform->first_arc[source]; a < platform->first_arc[source + 1]; a++) {
        struct route_edge edge = {route_arc_latency(platform, a), cache->core[platform->arcs.at[a].to], a};
        if (edge.core != UINT32_MAX)
            route_relax(platform, cache, tree, &start, &edge);
    }
    while (cache->heap.count) {
        struct route_step step = route_pop(cache);
        if (tree[step.core].latency != step.latency || tree[step.core].hops != step.hops)
            continue; /* a shorter way was found after this one was pushed */
        const struct route_entry from = tree[step.core];
        for (uint32_t i = cache->first_edge[step.core]; i < cache->first_edge[step.core + 1]; i++)
            route_relax(platform, cache, tree, &from, &cache->edges[i]);
    }
}

static const struct route_entry *route_tree(struct platform *platform, uint32_t device)
{
    struct route_cache *cache = platform->cache;
    if (cache->slot[device] != UINT32_MAX)
        return cache->trees[cache->slot[device]];
    uint32_t slot = cache->slot_next;
    cache->slot_next = (slot + 1) % cache->slot_count;
    if (slot == cache->slots_used) {
        cache->trees[slot] = ARENA_ARRAY(&cache->arena, struct route_entry, cache->core_count);
        cache->slots_used++;
    } else {
        cache->slot[cache->owner[slot]] = UINT32_MAX;
    }
    route_grow(platform, cache, platform->devices.at[device].node, cache->trees[slot]);
    cache->owner[slot] = device;
    cache->slot[device] = slot;
    return cache->trees[slot];
}

/* The best path's last arc into a node; UINT32_MAX when it is not reached. */
static uint32_t route_last_arc(const struct platform *platform, const struct route_entry *tree,
                               uint32_t source, uint32_t node)
{
    const struct route_cache *cache = platform->cache;
    if (cache->core[node] != UINT32_MAX)
        return tree[cache->core[node]].arc;
    struct route_entry best = {UINT64_MAX, UINT32_MAX, UINT32_MAX};
    for (uint32_t i = cache->first_in[node]; i < cache->first_in[node + 1]; i++) {
        uint32_t arc = cache->in_arcs[i], from = platform->arcs.at[arc].from;
        struct route_entry reached = {UINT64_MAX, UINT32_MAX, UINT32_MAX};
        if (from == source)
            reached = (struct route_entry){0};
        else if (cache->core[from] != UINT32_MAX)
            reached = tree[cache->core[from]];
        if (reached.latency == UINT64_MAX)
            continue;
        struct route_entry offer = {reached.latency + route_arc_latency(platform, arc), reached.hops + 1,
                                    arc};
        if (route_improves(platform, &best, &offer))
            best = offer;
    }
    return best.arc;
}

const uint32_t *route_links(struct platform *platform, uint32_t from_device, uint32_t to_device,
                            uint32_t *count)
{
    static const uint32_t none[1] = {UINT32_MAX};
    assert(platform->first_arc && from_device < platform->devices.count &&
           to_device < platform->devices.count);
    *count = 0;
    if (from_device == to_device)
        return none;
    const uint32_t *said = route_table_links(platform, from_device, to_device, count);
    if (said)
        return said;
    if (!platform->cache)
        route_cache_new(platform);
    struct route_cache *cache = platform->cache;
    if (cache->source != from_device) {
        arena_fini(&cache->paths);
        cache->source = from_device;
    }
    const struct route_entry *tree = route_tree(platform, from_device);
    uint32_t source = platform->devices.at[from_device].node, target = platform->devices.at[to_device].node;
    const struct arc *arcs = platform->arcs.at;
    for (uint32_t node = target; node != source;) {
        uint32_t arc = route_last_arc(platform, tree, source, node);
        if (arc == UINT32_MAX) {
            *count = UINT32_MAX;
            return none;
        }
        *count += arcs[arc].link != UINT32_MAX;
        node = arcs[arc].from;
    }
    uint32_t *links = ARENA_ARRAY(&cache->paths, uint32_t, *count), left = *count;
    for (uint32_t node = target; node != source;) {
        uint32_t arc = route_last_arc(platform, tree, source, node);
        if (arcs[arc].link != UINT32_MAX)
            links[--left] = arcs[arc].link;
        node = arcs[arc].from;
    }
    return links;
}
