/* Route: walks backwards through the tree of the source's shortest paths, from the target. Where paths are
 * spread, every arc that lies on an equally good path is a choice, weighted by the number of paths that lead
 * there: so each whole path has the same share (an even split) or the same chance (ECMP). */
#include "platform/route.h"

#include "platform/route_table.h"
#include "platform/route_tree.h"
#include "platform/routing.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* One way in which a shortest path can reach a node. */
struct route_choice {
    uint32_t arc;
    uint32_t state; /* that the arc comes from; UINT32_MAX: the source */
    double paths;
};

/* A walk for one pair of devices. */
struct route_walk {
    struct platform *platform;
    struct route_tree *tree;
    uint32_t source, target; /* nodes */
    uint32_t only; /* arc from the source to where the tree starts, UINT32_MAX: it starts at the source */
    struct route_entry before; /* what that arc adds to the entries */
    VECTOR(struct route_choice) choices;
    struct route_entry best; /* of the choices */
};

static void route_offer(struct route_walk *walk, uint32_t arc, uint32_t state)
{
    const struct platform *platform = walk->platform;
    struct route_entry reached = {0, 1, UINT32_MAX};
    double paths = 1;
    if (state != UINT32_MAX) {
        reached = walk->tree->entries[state];
        reached.cost += walk->before.cost;
        reached.nodes += reached.nodes ? walk->before.nodes : 0;
        paths = walk->tree->paths ? walk->tree->paths[state] : 1;
    }
    if (!reached.nodes)
        return;
    struct route_entry offer = {reached.cost + route_tree_cost(platform, arc), reached.nodes + 1, arc};
    struct route_entry *best = &walk->best;
    if (route_tree_nearer(best, &offer))
        return;
    if (route_tree_nearer(&offer, best))
        walk->choices.count = 0;
    if (route_tree_improves(platform, best, &offer))
        *best = offer;
    VECTOR_PUSH(&walk->choices, ((struct route_choice){arc, state, paths}));
}

/* The choices for the last arc into a node, or, where `phase` is not UINT32_MAX, into that phase of up-down.
 * The best of them for a single path stands in `best`. */
static void route_choices(struct route_walk *walk, uint32_t node, uint32_t phase)
{
    const struct platform *platform = walk->platform;
    const struct route_cache *cache = platform->cache;
    bool up_down = platform->routing.paths == ROUTING_UP_DOWN;
    walk->choices.count = 0;
    walk->best = (struct route_entry){0};
    for (uint32_t i = cache->first_in[node]; i < cache->first_in[node + 1]; i++) {
        uint32_t arc = cache->in_arcs[i], from = platform->arcs.at[arc].from, state = cache->core[from];
        bool down = up_down && !route_tree_up(platform, arc);
        if (phase != UINT32_MAX && phase != (uint32_t)down)
            continue;
        route_offer(walk, arc, state);
        if (down)
            route_offer(walk, arc, state + cache->core_count);
    }
    if (cache->core[walk->source] != UINT32_MAX)
        return;
    for (uint32_t a = platform->first_arc[walk->source]; a < platform->first_arc[walk->source + 1]; a++)
        if (platform->arcs.at[a].to == node &&
            (phase == UINT32_MAX || phase == (uint32_t)!route_tree_up(platform, a)))
            route_offer(walk, a, UINT32_MAX);
}

static uint32_t route_state_node(const struct platform *platform, const struct route_tree *tree,
                                 uint32_t state)
{
    uint32_t arc = tree->entries[state].arc;
    return arc == UINT32_MAX ? tree->root : platform->arcs.at[arc].to;
}

/* SplitMix64's finaliser: every bit of the input reaches every bit of the result. */
static uint64_t route_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A number in [0, 1) that depends on the flow, the place and the seed only. */
static double route_hash(const struct route_walk *walk, uint32_t node)
{
    uint64_t hash = route_mix(walk->platform->routing.seed);
    hash = route_mix(hash ^ walk->source);
    hash = route_mix(hash ^ walk->target);
    return (double)(route_mix(hash ^ node) >> 11) * 0x1p-53;
}

/* The choice that this flow takes at a node. */
static const struct route_choice *route_choose(const struct route_walk *walk, uint32_t node, bool hashed)
{
    const struct route_choice *choice = walk->choices.at;
    if (!hashed) {
        while (choice->arc != walk->best.arc)
            choice++;
        return choice;
    }
    double total = 0, at = 0;
    for (uint32_t i = 0; i < walk->choices.count; i++)
        total += walk->choices.at[i].paths;
    double wanted = route_hash(walk, node) * total;
    for (uint32_t i = 0; i + 1 < walk->choices.count; i++, choice++)
        if ((at += choice->paths) > wanted)
            break;
    return choice;
}

/* Appends the arcs of one path, last one first; false when there is none. */
static bool route_one(struct route_walk *walk, bool hashed, struct index_list *arcs)
{
    const struct platform *platform = walk->platform;
    const struct route_cache *cache = platform->cache;
    bool simple = !hashed && platform->routing.spread == ROUTING_ONE &&
                  platform->routing.paths != ROUTING_UP_DOWN; /* a state's own arc says it all */
    for (uint32_t node = walk->target, phase = UINT32_MAX; node != walk->source || phase == 1;) {
        uint32_t arc, state = UINT32_MAX;
        if (simple && cache->core[node] != UINT32_MAX) {
            const struct route_entry *entry = &walk->tree->entries[cache->core[node]];
            if (!entry->nodes)
                return false;
            arc = node == walk->tree->root ? walk->only : entry->arc;
        } else {
            route_choices(walk, node, phase);
            if (!walk->choices.count)
                return false;
            const struct route_choice *choice = route_choose(walk, node, hashed);
            arc = choice->arc;
            state = choice->state;
        }
        if (arc == UINT32_MAX)
            return false;
        VECTOR_PUSH(arcs, arc);
        node = platform->arcs.at[arc].from;
        if (platform->routing.paths == ROUTING_UP_DOWN)
            phase = state != UINT32_MAX && state >= cache->core_count;
    }
    return true;
}

/* One layer of the walk through all equally good paths: states that are the same number of hops from the
 * source. */
struct route_front {
    uint32_t state; /* UINT32_MAX: the source */
    double share;   /* of the message that goes through it */
    double latency; /* from there to the target, the longest */
};
struct route_layer {
    struct route_front *at;
    uint32_t count, room;
};
struct route_share_list {
    struct route_share *at;
    uint32_t count, room;
};

static void route_front_add(struct route_layer *layer, struct route_front front)
{
    for (uint32_t i = 0; i < layer->count; i++)
        if (layer->at[i].state == front.state) {
            layer->at[i].share += front.share;
            layer->at[i].latency = fmax(layer->at[i].latency, front.latency);
            return;
        }
    VECTOR_PUSH(layer, front);
}

/* Splits what goes through one place over the arcs that lead there. */
static void route_split_one(struct route_walk *walk, struct route_front front, struct route_layer *next,
                            struct route_share_list *shares)
{
    const struct platform *platform = walk->platform;
    double total = 0;
    for (uint32_t i = 0; i < walk->choices.count; i++)
        total += walk->choices.at[i].paths;
    for (uint32_t i = 0; i < walk->choices.count; i++) {
        const struct route_choice *choice = &walk->choices.at[i];
        uint32_t link = platform->arcs.at[choice->arc].link;
        double share = front.share * (choice->paths / total), latency = front.latency;
        if (link != UINT32_MAX) {
            VECTOR_PUSH(shares, ((struct route_share){link, share}));
            latency += platform->links.at[link].latency;
        }
        route_front_add(next, (struct route_front){choice->state, share, latency});
    }
}

/* All equally good paths, from the target back to the source, hop by hop. */
static bool route_split(struct route_walk *walk, struct route_share_list *shares, double *latency)
{
    const struct platform *platform = walk->platform;
    const struct route_cache *cache = platform->cache;
    struct route_layer layer = {0}, next = {0};
    const uint32_t source = cache->core[walk->source]; /* its state; UINT32_MAX as in a front */
    route_choices(walk, walk->target, UINT32_MAX);
    bool reached = walk->choices.count > 0;
    if (reached)
        route_split_one(walk, (struct route_front){0, 1, 0}, &layer, shares);
    while (reached && layer.at[0].state != UINT32_MAX && layer.at[0].state != source) {
        next.count = 0;
        for (uint32_t i = 0; i < layer.count; i++) {
            uint32_t state = layer.at[i].state, phase = UINT32_MAX;
            if (platform->routing.paths == ROUTING_UP_DOWN)
                phase = state >= cache->core_count;
            route_choices(walk, route_state_node(platform, walk->tree, state), phase);
            route_split_one(walk, layer.at[i], &next, shares);
        }
        struct route_layer swap = layer;
        layer = next;
        next = swap;
    }
    *latency = reached ? layer.at[0].latency : 0;
    VECTOR_FREE(&layer);
    VECTOR_FREE(&next);
    return reached;
}

/* The best way into the target that the tree knows so far, without the arc before its root. */
static struct route_entry route_known(struct route_walk *walk)
{
    const struct route_cache *cache = walk->platform->cache;
    uint32_t state = cache->core[walk->target];
    if (state != UINT32_MAX && cache->state_count == cache->core_count)
        return walk->tree->entries[state];
    route_choices(walk, walk->target, UINT32_MAX);
    struct route_entry known = walk->best;
    known.cost -= known.nodes ? walk->before.cost : 0;
    known.nodes -= known.nodes ? walk->before.nodes : 0;
    return known;
}

/* Lets the tree grow until no other way into the target can be nearer. A look at the ways that are known
 * costs their number, so some growth comes between two of them. */
static void route_settle(struct route_walk *walk)
{
    const uint32_t *first = walk->platform->cache->first_in + walk->target;
    while (route_tree_grow(walk->platform, walk->tree, route_known(walk), (first[1] - first[0]) / 4 + 1))
        ;
}

/* A walk with all choices that it will need. */
static struct route_walk route_walk(struct platform *platform, uint32_t from, uint32_t to)
{
    struct route_tree *tree = route_tree_get(platform, from);
    struct route_walk walk = {.platform = platform,
                              .tree = tree,
                              .only = route_tree_only(platform, from),
                              .source = platform->devices.at[from].node,
                              .target = platform->devices.at[to].node};
    if (walk.only != UINT32_MAX)
        walk.before = (struct route_entry){route_tree_cost(platform, walk.only), 1, walk.only};
    if (tree->heap.count)
        route_settle(&walk);
    return walk;
}

/* The arcs of the path that a single route takes, in order. */
static bool route_arcs(struct platform *platform, uint32_t from, uint32_t to, struct index_list *arcs)
{
    uint32_t count;
    const uint32_t *fixed = routing_fixed_arcs(platform, from, to, &count);
    for (uint32_t i = 0; fixed && i < count; i++)
        VECTOR_PUSH(arcs, fixed[i]);
    if (fixed || (platform->routing.paths == ROUTING_DIMENSION_ORDER &&
                  routing_dimension_order(platform, from, to, arcs)))
        return true;
    struct route_walk walk = route_walk(platform, from, to);
    bool reached = route_one(&walk, platform->routing.spread == ROUTING_ECMP, arcs);
    VECTOR_FREE(&walk.choices);
    for (uint32_t i = 0, j = arcs->count; reached && i + 1 < j--; i++) {
        uint32_t kept = arcs->at[i];
        arcs->at[i] = arcs->at[j];
        arcs->at[j] = kept;
    }
    return reached;
}

/* Makes room for the routes of a source; those of the one before are gone. */
static struct arena *route_paths(struct platform *platform, uint32_t from)
{
    route_tree_get(platform, from);
    struct route_cache *cache = platform->cache;
    if (cache->source != from) {
        arena_fini(&cache->paths);
        cache->source = from;
    }
    return &cache->paths;
}

bool route_find(struct platform *platform, uint32_t from_device, uint32_t to_device, struct route *route)
{
    assert(platform->first_arc && from_device < platform->devices.count &&
           to_device < platform->devices.count);
    *route = (struct route){0};
    if (from_device == to_device)
        return true;
    struct arena *paths = route_paths(platform, from_device);
    uint32_t count;
    if (platform->routing.spread == ROUTING_EVEN_SPLIT &&
        !route_table_links(platform, from_device, to_device, &count) &&
        !routing_fixed_arcs(platform, from_device, to_device, &count)) {
        struct route_walk walk = route_walk(platform, from_device, to_device);
        struct route_share_list shares = {0};
        bool reached = route_split(&walk, &shares, &route->latency);
        route->count = shares.count;
        if (reached)
            route->links = arena_copy(paths, shares.at, shares.count * sizeof *shares.at);
        VECTOR_FREE(&shares);
        VECTOR_FREE(&walk.choices);
        return reached;
    }
    const uint32_t *links = route_links(platform, from_device, to_device, &count);
    if (count == UINT32_MAX)
        return false;
    struct route_share *shares = ARENA_ARRAY(paths, struct route_share, count);
    for (uint32_t i = 0; i < count; i++) {
        shares[i] = (struct route_share){links[i], 1};
        route->latency += platform->links.at[links[i]].latency;
    }
    route->links = shares;
    route->count = count;
    return true;
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
    struct arena *paths = route_paths(platform, from_device);
    struct index_list arcs = {0};
    const uint32_t *links = none;
    if (route_arcs(platform, from_device, to_device, &arcs)) {
        uint32_t *found = ARENA_ARRAY(paths, uint32_t, arcs.count);
        for (uint32_t i = 0; i < arcs.count; i++)
            if (platform->arcs.at[arcs.at[i]].link != UINT32_MAX)
                found[(*count)++] = platform->arcs.at[arcs.at[i]].link;
        links = found;
    } else {
        *count = UINT32_MAX;
    }
    VECTOR_FREE(&arcs);
    return links;
}

void route_fini(struct platform *platform)
{
    route_tree_fini(platform);
}
