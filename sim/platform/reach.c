/* A route from a to b exists when a can reach some node, the hub, which can reach b: two walks over the
 * graph, from the hub along the arcs and against them, answer this for all pairs that it joins. With up-down
 * routing the way to the hub only goes up, and that from it down. For other pairs (a platform in parts, a hub
 * that is not above all) the route itself is asked for. */
#include "platform/reach.h"

#include "platform/route.h"
#include "platform/route_tree.h"

#include <string.h>

/* The node that passes on traffic and has most arcs; with up-down routing, of those the farthest from the
 * devices. */
static uint32_t reach_hub(const struct platform *platform)
{
    const uint32_t *level = platform->routing.level;
    uint32_t best = UINT32_MAX, most = 0;
    for (uint32_t n = 0; n < platform->nodes.count; n++) {
        uint32_t arcs = platform->first_arc[n + 1] - platform->first_arc[n];
        if (platform->nodes.at[n].terminal)
            continue;
        bool higher = level && best != UINT32_MAX && level[n] > level[best];
        bool lower = level && best != UINT32_MAX && level[n] < level[best];
        if (best == UINT32_MAX || higher || (!lower && arcs > most)) {
            best = n;
            most = arcs;
        }
    }
    return best;
}

/* Rows of arcs by the node that they enter. */
struct reach_rows {
    uint32_t *first, *arcs;
};

static struct reach_rows reach_rows(const struct platform *platform, struct arena *arena)
{
    uint32_t nodes = platform->nodes.count;
    struct reach_rows rows = {ARENA_ARRAY(arena, uint32_t, nodes + 2),
                              ARENA_ARRAY(arena, uint32_t, platform->arcs.count)};
    for (uint32_t a = 0; a < platform->arcs.count; a++)
        rows.first[platform->arcs.at[a].to + 2]++;
    for (uint32_t n = 2; n < nodes + 2; n++)
        rows.first[n] += rows.first[n - 1];
    for (uint32_t a = 0; a < platform->arcs.count; a++) /* first[n + 1] is where row n goes on */
        rows.arcs[rows.first[platform->arcs.at[a].to + 1]++] = a;
    return rows;
}

/* Marks what can be reached from the hub; with `rows`, what can reach it. `waiting`: room for all nodes. */
static void reach_walk(const struct platform *platform, uint32_t hub, const struct reach_rows *rows,
                       uint32_t *waiting, bool *reached)
{
    bool up_down = platform->routing.paths == ROUTING_UP_DOWN;
    const uint32_t *first = rows ? rows->first : platform->first_arc;
    uint32_t count = 0;
    reached[hub] = true;
    waiting[count++] = hub;
    while (count > 0) {
        uint32_t node = waiting[--count];
        for (uint32_t i = first[node]; i < first[node + 1]; i++) {
            uint32_t arc = rows ? rows->arcs[i] : i;
            uint32_t next = rows ? platform->arcs.at[arc].from : platform->arcs.at[arc].to;
            if (reached[next] || (up_down && route_tree_up(platform, arc) != (rows != NULL)))
                continue;
            reached[next] = true;
            if (!platform->nodes.at[next].terminal)
                waiting[count++] = next;
        }
    }
}

void reach_init(struct reach *reach, struct platform *platform, struct arena *arena)
{
    *reach = (struct reach){.platform = platform,
                            .to_hub = ARENA_ARRAY(arena, bool, platform->nodes.count),
                            .from_hub = ARENA_ARRAY(arena, bool, platform->nodes.count)};
    uint32_t hub = reach_hub(platform);
    if (hub == UINT32_MAX)
        return;
    struct arena scratch;
    arena_init(&scratch);
    uint32_t *waiting = ARENA_ARRAY(&scratch, uint32_t, platform->nodes.count);
    struct reach_rows rows = reach_rows(platform, &scratch);
    reach_walk(platform, hub, NULL, waiting, reach->from_hub);
    reach_walk(platform, hub, &rows, waiting, reach->to_hub);
    arena_fini(&scratch);
}

bool reach_device(struct reach *reach, uint32_t from_device, uint32_t to_device)
{
    const struct device *devices = reach->platform->devices.at;
    if (reach->to_hub[devices[from_device].node] && reach->from_hub[devices[to_device].node])
        return true;
    uint32_t count;
    route_links(reach->platform, from_device, to_device, &count);
    return count != UINT32_MAX;
}
