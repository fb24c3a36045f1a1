/* In-network: the switches add up (SHARP, NVLS). Every member sends its vector up a tree of switches once,
 * each switch passes on one sum, and the result comes down again, copied by the switches. They pass on while
 * they receive, so the time is the way up and down and the payload once at the slowest link of the tree;
 * there are no rounds, and both levels of simulation are the same. Assumed: a switch reduces at the speed of
 * its links, and the tree is that of fewest hops from a switch in the middle, over switches that reduce.
 * NVSwitches do nothing by themselves (`fetched`): each of n devices fetches the sum of its share of the
 * vector, for which all send theirs, and sends it to all, so that 1 + 1/n of the vector passes each cable,
 * each way.
 *
 * Graham et al.: Scalable hierarchical aggregation protocol (SHArP), COM-HPC 2016. */
#include "collective/collective.h"

#include "platform/protocol.h"

#include <math.h>
#include <string.h>

/* A tree of arcs from `root` downwards, over reducing switches. */
struct tree {
    struct platform *platform;
    uint32_t *parent;          /* per node; UINT32_MAX: not reached */
    uint32_t *down, *up;       /* per node: links from and to its parent; UINT32_MAX: free */
    double *way_down, *way_up; /* seconds of latency */
    uint32_t *queue;
    uint32_t queued;
};

static void tree_init(struct tree *tree, struct platform *platform, struct arena *arena)
{
    uint32_t nodes = platform->nodes.count;
    *tree = (struct tree){.platform = platform};
    tree->parent = ARENA_ARRAY(arena, uint32_t, nodes);
    tree->down = ARENA_ARRAY(arena, uint32_t, nodes);
    tree->up = ARENA_ARRAY(arena, uint32_t, nodes);
    tree->queue = ARENA_ARRAY(arena, uint32_t, nodes);
    tree->way_down = ARENA_ARRAY(arena, double, nodes);
    tree->way_up = ARENA_ARRAY(arena, double, nodes);
}

/* The first arc from one node to another; UINT32_MAX if there is none. */
static uint32_t arc_between(const struct platform *platform, uint32_t from, uint32_t to)
{
    for (uint32_t a = platform->first_arc[from]; a < platform->first_arc[from + 1]; a++)
        if (platform->arcs.at[a].to == to)
            return a;
    return UINT32_MAX;
}

/* Of the wire: where switches have a protocol, its overhead takes the place of the link's. */
static double link_latency(const struct platform *platform, uint32_t index)
{
    if (index == UINT32_MAX)
        return 0;
    const struct link *link = &platform->links.at[index];
    return link->latency - (protocol_in_switch(platform, link) ? link->overhead : 0);
}

static void tree_reach(struct tree *tree, uint32_t parent, const struct arc *arc)
{
    const struct platform *platform = tree->platform;
    uint32_t node = arc->to, back = arc_between(platform, node, parent);
    if (tree->parent[node] != UINT32_MAX || back == UINT32_MAX)
        return;
    tree->parent[node] = parent;
    tree->down[node] = arc->link;
    tree->up[node] = platform->arcs.at[back].link;
    tree->way_down[node] = tree->way_down[parent] + link_latency(platform, arc->link);
    tree->way_up[node] = tree->way_up[parent] + link_latency(platform, tree->up[node]);
    tree->queue[tree->queued++] = node;
}

/* Breadth first; only reducing switches have children. */
static void tree_grow(struct tree *tree, uint32_t root)
{
    const struct platform *platform = tree->platform;
    memset(tree->parent, 0xff, platform->nodes.count * sizeof *tree->parent);
    tree->parent[root] = root;
    tree->way_down[root] = tree->way_up[root] = 0;
    tree->queue[0] = root;
    tree->queued = 1;
    for (uint32_t i = 0; i < tree->queued; i++) {
        uint32_t node = tree->queue[i];
        for (uint32_t a = platform->first_arc[node];
             platform->nodes.at[node].reduces && a < platform->first_arc[node + 1]; a++)
            tree_reach(tree, node, &platform->arcs.at[a]);
    }
}

static bool tree_spans(const struct tree *tree, const uint32_t *devices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (tree->parent[tree->platform->devices.at[devices[i]].node] == UINT32_MAX)
            return false;
    return true;
}

/* Seconds up and down again for the farthest members; *far: the one at the end of the longest way down. */
static double tree_depth(const struct tree *tree, const uint32_t *devices, uint32_t count, uint32_t *far)
{
    double up = 0, down = 0;
    *far = tree->platform->devices.at[devices[0]].node;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = tree->platform->devices.at[devices[i]].node;
        up = fmax(up, tree->way_up[node]);
        *far = tree->way_down[node] > down ? node : *far;
        down = fmax(down, tree->way_down[node]);
    }
    return up + down;
}

/* Grows the tree anew from where it is shallowest on the way to its farthest member. */
static void tree_centre(struct tree *tree, const uint32_t *devices, uint32_t count, struct arena *arena)
{
    uint32_t *way = ARENA_ARRAY(arena, uint32_t, tree->queued + 1), length = 0, far, best;
    best = tree->queue[0];
    double shallowest = tree_depth(tree, devices, count, &far);
    for (uint32_t node = tree->parent[far]; tree->parent[node] != node; node = tree->parent[node])
        way[length++] = node;
    while (length-- > 0) {
        tree_grow(tree, way[length]);
        double depth = tree_spans(tree, devices, count) ? tree_depth(tree, devices, count, &far) : INFINITY;
        if (depth < shallowest * (1 - 1e-12)) {
            shallowest = depth;
            best = way[length];
        }
    }
    tree_grow(tree, best);
}

/* Grows the tree of the nearest switch that will do: those that member 0 reaches, in order of hops. */
static bool tree_find(struct tree *tree, const uint32_t *devices, uint32_t count, struct arena *arena)
{
    struct platform *platform = tree->platform;
    uint32_t *candidates = ARENA_ARRAY(arena, uint32_t, platform->nodes.count), found = 0, next = 0;
    bool *seen = ARENA_ARRAY(arena, bool, platform->nodes.count);
    for (uint32_t node = platform->devices.at[devices[0]].node;; node = candidates[next++]) {
        for (uint32_t a = platform->first_arc[node]; a < platform->first_arc[node + 1]; a++) {
            uint32_t to = platform->arcs.at[a].to;
            if (!seen[to] && platform->nodes.at[to].reduces)
                candidates[found++] = to;
            seen[to] = true;
        }
        if (next == found)
            break;
    }
    for (uint32_t i = 0; i < found; i++) {
        tree_grow(tree, candidates[i]);
        if (tree_spans(tree, devices, count)) {
            tree_centre(tree, devices, count, arena);
            return true;
        }
    }
    return false;
}

/* Marks the nodes between the members and the root with 1, those of member 0's way with 2 on top. */
static uint8_t *tree_marks(const struct tree *tree, const uint32_t *devices, uint32_t count,
                           struct arena *arena)
{
    uint8_t *marks = ARENA_ARRAY(arena, uint8_t, tree->platform->nodes.count);
    for (uint32_t i = count; i-- > 0;)
        for (uint32_t node = tree->platform->devices.at[devices[i]].node; tree->parent[node] != node;
             node = tree->parent[node])
            marks[node] |= i ? 1 : 2;
    return marks;
}

/* How many switches do what the root does: those with a cable to each member, when the root has them too.
 * NVSwitches side by side share the payload. */
static uint32_t tree_roots(const struct tree *tree, uint32_t root, const uint32_t *devices, uint32_t count)
{
    const struct platform *platform = tree->platform;
    uint32_t first = platform->devices.at[devices[0]].node, roots = 0;
    for (uint32_t a = platform->first_arc[first]; a < platform->first_arc[first + 1]; a++) {
        uint32_t node = platform->arcs.at[a].to;
        bool all = platform->nodes.at[node].reduces;
        for (uint32_t i = 0; i < count && all; i++) {
            uint32_t member = platform->devices.at[devices[i]].node;
            all = tree->parent[member] == root && arc_between(platform, node, member) != UINT32_MAX &&
                  arc_between(platform, member, node) != UINT32_MAX;
        }
        roots += all;
    }
    return roots;
}

static void tree_use(struct activity *out, uint32_t link, double bytes)
{
    if (link != UINT32_MAX)
        VECTOR_PUSH(&out->usage, ((struct usage){link, bytes}));
}

/* Bytes go up from everybody and down to everybody who wants them: all, or member 0 only (reduce), or up from
 * member 0 only (broadcast). An edge that nobody is below of but member 0 is on its own way only. Where
 * devices fetch the sums, each gets its share of them once more and sends it. */
static void tree_loads(const struct tree *tree, int kind, const uint8_t *marks, uint32_t count, double share,
                       struct activity *out)
{
    const struct platform *platform = tree->platform;
    for (uint32_t i = 0; i < tree->queued; i++) {
        uint32_t node = tree->queue[i];
        if (!marks[node] || tree->parent[node] == node)
            continue;
        bool root = marks[node] & 2, member = platform->nodes.at[node].device != UINT32_MAX;
        bool fetched = kind == ALL_REDUCE && member && platform->nodes.at[tree->parent[node]].fetched;
        double bytes = share * (fetched ? 1 + 1.0 / count : 1);
        if (kind == ALL_REDUCE || (kind == REDUCE ? !root : root))
            tree_use(out, tree->up[node], bytes);
        if (kind == ALL_REDUCE || (kind == REDUCE ? root : !root))
            tree_use(out, tree->down[node], bytes);
    }
}

/* The loads of the tree, or of all the trees of switches side by side. */
static void forest_loads(struct tree *tree, int kind, const uint32_t *devices, uint32_t count,
                         struct activity *out, struct arena *arena)
{
    const struct platform *platform = tree->platform;
    uint32_t first = platform->devices.at[devices[0]].node, root = tree->queue[0], last = UINT32_MAX;
    uint32_t roots = tree_roots(tree, root, devices, count);
    if (roots < 2) {
        tree_loads(tree, kind, tree_marks(tree, devices, count, arena), count, 1, out);
        return;
    }
    for (uint32_t a = platform->first_arc[first]; a < platform->first_arc[first + 1]; a++) {
        uint32_t node = platform->arcs.at[a].to;
        if (node == last || !platform->nodes.at[node].reduces)
            continue;
        tree_grow(tree, last = node);
        if (tree_roots(tree, node, devices, count) == roots)
            tree_loads(tree, kind, tree_marks(tree, devices, count, arena), count, 1.0 / roots, out);
    }
}

/* What each member sends to its switch. */
static void tree_sent(const struct tree *tree, int kind, const uint32_t *devices, uint32_t count,
                      struct activity *out)
{
    const struct platform *platform = tree->platform;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t parent = tree->parent[platform->devices.at[devices[i]].node];
        bool fetched = kind == ALL_REDUCE && platform->nodes.at[parent].fetched;
        bool sends = kind == ALL_REDUCE || (kind == BROADCAST && i == 0) || (kind == REDUCE && i > 0);
        VECTOR_PUSH(&out->sent, sends ? 1 + (fetched ? 1.0 / count : 0) : 0);
    }
}

static void tree_latency(const struct tree *tree, int kind, const uint32_t *devices, uint32_t count,
                         struct activity *out)
{
    double up = 0, down = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = tree->platform->devices.at[devices[i]].node;
        if (kind != BROADCAST || i == 0)
            up = fmax(up, kind == REDUCE && i == 0 ? 0 : tree->way_up[node]);
        if (kind != REDUCE || i == 0)
            down = fmax(down, kind == BROADCAST && i == 0 ? 0 : tree->way_down[node]);
    }
    out->latency = out->round_latency = out->first_latency = up + down;
    out->rounds = 1;
}

static bool in_network_loads(const struct collective_request *asked, struct activity *out,
                             struct arena *arena, const char **problem)
{
    int kind = asked->kind;
    const uint32_t *devices = asked->devices, count = asked->count;
    struct tree tree;
    tree_init(&tree, asked->platform, arena);
    if (!tree_find(&tree, devices, count, arena)) {
        *problem = "no switch that reduces (`reduces: yes`) reaches all members over switches that reduce";
        return false;
    }
    tree_latency(&tree, kind, devices, count, out);
    tree_sent(&tree, kind, devices, count, out);
    if (kind != BARRIER)
        forest_loads(&tree, kind, devices, count, out, arena);
    return true;
}

/* For the reader and for the checker, one switch: member n. */
static void in_network_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    uint32_t n = shape->members;
    transfer_begin(out, kind, n, 1);
    for (uint32_t i = 0; i < n; i++)
        if (kind != BROADCAST || i == 0)
            transfer_add(out, 0, i, n, 0, 1, true);
    for (uint32_t i = 0; i < n; i++)
        if (kind != REDUCE || i == 0)
            transfer_add(out, 1, n, i, 0, 1, false);
}

static double in_network_seconds(int kind, const struct shape *shape, double bytes, double latency,
                                 double bandwidth)
{
    (void)shape;
    return latency + (kind == BARRIER ? 0 : bytes / bandwidth);
}

static double in_network_bound(int kind, uint32_t members, double bytes, double latency, double bandwidth)
{
    return members < 2 ? 0 : latency + (kind == BARRIER ? 0 : bytes / bandwidth);
}

const struct algorithm in_network_algorithm = {
    .name = "in-network",
    .about = "the switches add up and copy (SHARP, NVLS): each link carries the payload once each way",
    .kinds = 1u << ALL_REDUCE | 1u << BROADCAST | 1u << REDUCE | 1u << BARRIER,
    .steps = in_network_steps,
    .loads = in_network_loads,
    .seconds = in_network_seconds,
    .bound = in_network_bound,
};
