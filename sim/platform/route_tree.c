/* Route tree: Dijkstra. Latencies are added as whole femtoseconds, so that paths of equal latency are equal
 * whatever the order of the sum, and the tie-break by hops and node index means what it says.
 *
 * Trees are kept in slots, filled on demand up to ROUTE_CACHE bytes; then the oldest is overwritten. */
#include "platform/route_tree.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { ROUTE_CACHE = 1 << 28 };
static const double route_tree_scale = 1e15; /* per second: femtoseconds */

uint64_t route_tree_cost(const struct platform *platform, uint32_t arc)
{
    uint32_t link = platform->arcs.at[arc].link;
    if (platform->routing.cost == ROUTING_HOPS)
        return 1;
    return link == UINT32_MAX ? 0 : (uint64_t)llround(platform->links.at[link].latency * route_tree_scale);
}

bool route_tree_up(const struct platform *platform, uint32_t arc)
{
    uint32_t from = platform->arcs.at[arc].from, to = platform->arcs.at[arc].to;
    const uint32_t *level = platform->routing.level;
    return level[to] != level[from] ? level[to] > level[from] : to < from;
}

/* Numbers the core's nodes: those that forward and have at least two neighbours. */
static void route_tree_core(const struct platform *platform, struct route_cache *cache)
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

/* The states that an arc between core nodes joins: up to two pairs (from, to). */
static uint32_t route_tree_joins(const struct platform *platform, const struct route_cache *cache,
                                 uint32_t arc, uint32_t pairs[2][2])
{
    uint32_t from = cache->core[platform->arcs.at[arc].from], to = cache->core[platform->arcs.at[arc].to];
    pairs[0][0] = from;
    pairs[0][1] = to;
    if (platform->routing.paths != ROUTING_UP_DOWN || route_tree_up(platform, arc))
        return 1;
    pairs[0][1] = to + cache->core_count;
    pairs[1][0] = from + cache->core_count;
    pairs[1][1] = to + cache->core_count;
    return 2;
}

/* Which rows of in_arcs an arc stands in: those of its target, when it comes from the core. Rows of core
 * nodes are used only where a tree's single arc does not say it all. */
static bool route_tree_is_in(const struct platform *platform, const struct route_cache *cache, uint32_t arc)
{
    bool spread = platform->routing.spread != ROUTING_ONE || platform->routing.paths == ROUTING_UP_DOWN;
    const struct arc *at = &platform->arcs.at[arc];
    return cache->core[at->from] != UINT32_MAX && (spread || cache->core[at->to] == UINT32_MAX);
}

/* Sorts arcs into rows: edges by the state they leave, in_arcs by the node they enter. Stable, so each row is
 * in ascending order of arcs. */
static void route_tree_rows(const struct platform *platform, struct route_cache *cache)
{
    const uint32_t *core = cache->core;
    uint32_t pairs[2][2], states = cache->state_count;
    cache->first_edge = ARENA_ARRAY(&cache->arena, uint32_t, (size_t)states + 2);
    cache->first_in = ARENA_ARRAY(&cache->arena, uint32_t, (size_t)platform->nodes.count + 2);
    cache->in_arcs = ARENA_ARRAY(&cache->arena, uint32_t, platform->arcs.count);
    for (uint32_t a = 0; a < platform->arcs.count; a++) {
        const struct arc *arc = &platform->arcs.at[a];
        cache->first_in[arc->to + 2] += route_tree_is_in(platform, cache, a);
        if (core[arc->to] == UINT32_MAX || core[arc->from] == UINT32_MAX)
            continue;
        for (uint32_t i = route_tree_joins(platform, cache, a, pairs); i-- > 0;)
            cache->first_edge[pairs[i][0] + 2]++;
    }
    for (uint32_t s = 2; s < states + 2; s++)
        cache->first_edge[s] += cache->first_edge[s - 1];
    for (uint32_t n = 2; n < platform->nodes.count + 2; n++)
        cache->first_in[n] += cache->first_in[n - 1];
    cache->edges = ARENA_ARRAY(&cache->arena, struct route_edge, cache->first_edge[states + 1]);
    for (uint32_t a = 0; a < platform->arcs.count; a++) { /* first[x + 1] is where row x goes on */
        const struct arc *arc = &platform->arcs.at[a];
        if (route_tree_is_in(platform, cache, a))
            cache->in_arcs[cache->first_in[arc->to + 1]++] = a;
        if (core[arc->to] == UINT32_MAX || core[arc->from] == UINT32_MAX)
            continue;
        for (uint32_t i = route_tree_joins(platform, cache, a, pairs); i-- > 0;)
            cache->edges[cache->first_edge[pairs[i][0] + 1]++] =
                (struct route_edge){route_tree_cost(platform, a), pairs[i][1], a};
    }
}

static void route_tree_cache(struct platform *platform)
{
    struct route_cache *cache = ARENA_NEW(&platform->arena, struct route_cache);
    arena_init(&cache->arena);
    arena_init(&cache->paths);
    cache->source = UINT32_MAX;
    route_tree_core(platform, cache);
    cache->state_count = cache->core_count * (platform->routing.paths == ROUTING_UP_DOWN ? 2 : 1);
    route_tree_rows(platform, cache);
    size_t entry =
        sizeof(struct route_entry) + (platform->routing.spread != ROUTING_ONE ? sizeof(double) : 0);
    size_t tree = (cache->state_count + 1) * entry;
    uint32_t devices = platform->devices.count;
    cache->slot_count = ROUTE_CACHE / tree < devices ? (uint32_t)(ROUTE_CACHE / tree) + 1 : devices;
    cache->owner = ARENA_ARRAY(&cache->arena, uint32_t, cache->slot_count);
    cache->trees = ARENA_ARRAY(&cache->arena, struct route_tree, cache->slot_count);
    cache->slot = ARENA_ARRAY(&cache->arena, uint32_t, platform->nodes.count);
    memset(cache->slot, 0xff, platform->nodes.count * sizeof *cache->slot);
    platform->cache = cache;
}

static bool route_tree_before(struct route_step a, struct route_step b)
{
    if (a.cost != b.cost)
        return a.cost < b.cost;
    return a.nodes != b.nodes ? a.nodes < b.nodes : a.state < b.state;
}

static void route_tree_push(struct route_tree *tree, struct route_step step)
{
    VECTOR_PUSH(&tree->heap, step);
    struct route_step *heap = tree->heap.at;
    uint32_t i = tree->heap.count - 1;
    for (; i > 0 && route_tree_before(step, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = step;
}

static struct route_step route_tree_pop(struct route_tree *tree)
{
    struct route_step *heap = tree->heap.at, first = heap[0];
    uint32_t count = --tree->heap.count, i = 0;
    struct route_step last = heap[count];
    for (uint32_t child = 1; child < count; child = 2 * i + 1) {
        if (child + 1 < count && route_tree_before(heap[child + 1], heap[child]))
            child++;
        if (!route_tree_before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

bool route_tree_nearer(const struct route_entry *a, const struct route_entry *b)
{
    if (!a->nodes || !b->nodes)
        return a->nodes != 0;
    return a->cost < b->cost || (a->cost == b->cost && a->nodes < b->nodes);
}

bool route_tree_improves(const struct platform *platform, const struct route_entry *entry,
                         const struct route_entry *offer)
{
    bool equal = offer->cost == entry->cost && offer->nodes == entry->nodes;
    if (!equal)
        return route_tree_nearer(offer, entry);
    return entry->arc != UINT32_MAX &&
           platform->arcs.at[offer->arc].from < platform->arcs.at[entry->arc].from;
}

/* `paths`: how many equally good paths lead to where the edge starts. */
static void route_tree_relax(const struct platform *platform, struct route_tree *tree,
                             const struct route_entry *from, double paths, const struct route_edge *edge)
{
    struct route_entry *entry = &tree->entries[edge->state];
    struct route_entry offer = {from->cost + edge->cost, from->nodes + 1, edge->arc};
    bool nearer = route_tree_nearer(&offer, entry);
    bool equal = offer.cost == entry->cost && offer.nodes == entry->nodes;
    if (tree->paths && (nearer || equal))
        tree->paths[edge->state] = (nearer ? 0 : tree->paths[edge->state]) + paths;
    if (!route_tree_improves(platform, entry, &offer))
        return;
    *entry = offer;
    if (nearer)
        route_tree_push(tree, (struct route_step){offer.cost, offer.nodes, edge->state});
}

/* Every arc costs at least one hop, so a state that left the heap is final, also for ties. */
bool route_tree_grow(const struct platform *platform, struct route_tree *tree, struct route_entry limit,
                     uint32_t states)
{
    const struct route_cache *cache = platform->cache;
    bool grown = false;
    while (tree->heap.count && states > 0) {
        struct route_step top = tree->heap.at[0];
        if (!route_tree_nearer(&(struct route_entry){top.cost, top.nodes, 0}, &limit))
            break;
        route_tree_pop(tree);
        const struct route_entry from = tree->entries[top.state];
        if (from.cost != top.cost || from.nodes != top.nodes)
            continue; /* a shorter way was found after this one was pushed */
        double paths = tree->paths ? tree->paths[top.state] : 1;
        for (uint32_t i = cache->first_edge[top.state]; i < cache->first_edge[top.state + 1]; i++)
            route_tree_relax(platform, tree, &from, paths, &cache->edges[i]);
        grown = true;
        states--;
    }
    return grown;
}

/* A tree of the root and what its arcs lead to. `tree`: all zero. */
static void route_tree_plant(const struct platform *platform, uint32_t root, struct route_tree *tree)
{
    const struct route_cache *cache = platform->cache;
    const struct route_entry start = {0, 1, UINT32_MAX};
    bool phases = cache->state_count > cache->core_count;
    tree->root = root;
    if (cache->core[root] != UINT32_MAX) {
        tree->entries[cache->core[root]] = start;
        if (tree->paths)
            tree->paths[cache->core[root]] = 1;
    }
    for (uint32_t a = platform->first_arc[root]; a < platform->first_arc[root + 1]; a++) {
        struct route_edge edge = {route_tree_cost(platform, a), cache->core[platform->arcs.at[a].to], a};
        if (edge.state == UINT32_MAX)
            continue;
        if (phases && !route_tree_up(platform, a))
            edge.state += cache->core_count;
        route_tree_relax(platform, tree, &start, 1, &edge);
    }
}

uint32_t route_tree_only(const struct platform *platform, uint32_t device)
{
    const struct route_cache *cache = platform->cache;
    uint32_t node = platform->devices.at[device].node, arc = platform->first_arc[node];
    if (cache->core[node] != UINT32_MAX || platform->first_arc[node + 1] - arc != 1 ||
        cache->core[platform->arcs.at[arc].to] == UINT32_MAX)
        return UINT32_MAX;
    return platform->routing.paths == ROUTING_UP_DOWN && !route_tree_up(platform, arc) ? UINT32_MAX : arc;
}

/* The tree of a slot, with room for all states, none of them reached. */
static struct route_tree *route_tree_clear(struct route_cache *cache, uint32_t slot, bool spread)
{
    struct route_tree *tree = &cache->trees[slot];
    if (slot == cache->slots_used) { /* the arena's memory is zero */
        tree->entries = ARENA_ARRAY(&cache->arena, struct route_entry, cache->state_count);
        tree->paths = spread ? ARENA_ARRAY(&cache->arena, double, cache->state_count) : NULL;
        cache->slots_used++;
        return tree;
    }
    cache->slot[cache->owner[slot]] = UINT32_MAX;
    memset(tree->entries, 0, cache->state_count * sizeof *tree->entries);
    tree->heap.count = 0;
    return tree;
}

struct route_tree *route_tree_get(struct platform *platform, uint32_t device)
{
    if (!platform->cache)
        route_tree_cache(platform);
    struct route_cache *cache = platform->cache;
    uint32_t only = route_tree_only(platform, device);
    uint32_t root = only == UINT32_MAX ? platform->devices.at[device].node : platform->arcs.at[only].to;
    if (cache->slot[root] != UINT32_MAX)
        return &cache->trees[cache->slot[root]];
    uint32_t slot = cache->slot_next;
    cache->slot_next = (slot + 1) % cache->slot_count;
    struct route_tree *tree = route_tree_clear(cache, slot, platform->routing.spread != ROUTING_ONE);
    route_tree_plant(platform, root, tree);
    cache->owner[slot] = root;
    cache->slot[root] = slot;
    return tree;
}

void route_tree_fini(struct platform *platform)
{
    struct route_cache *cache = platform->cache;
    platform->cache = NULL;
    if (!cache)
        return;
    for (uint32_t i = 0; i < cache->slots_used; i++)
        VECTOR_FREE(&cache->trees[i].heap);
    arena_fini(&cache->paths);
    arena_fini(&cache->arena);
}
