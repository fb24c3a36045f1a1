/* Routing: what a topology file says about paths. The words stand for the usual combinations; the map says
 * each choice by itself. Explicit routes by nodes are arcs per pair of devices, sorted by pair; those by
 * links are read by routes.c. */
#include "platform/routing.h"

#include "platform/graph.h"
#include "platform/routes.h"

#include <stdlib.h>
#include <string.h>

static const char *const routing_paths[] = {"shortest", "dimension-order", "up-down", NULL};
static const char *const routing_costs[] = {"latency", "hops", NULL};
static const char *const routing_spreads[] = {"one", "ecmp", "even-split", NULL};

struct routing_document {
    int paths, cost, spread;
    int64_t seed;
};

#define KEY(name, type, member, text, ...)                                                                   \
    {                                                                                                        \
        .key = name, .kind = type, .offset = offsetof(struct routing_document, member), .about = text,       \
        __VA_ARGS__                                                                                          \
    }
const struct field routing_fields[] = {
    KEY("paths", FIELD_CHOICE, paths, "which paths are allowed; default shortest", .choices = routing_paths),
    KEY("cost", FIELD_CHOICE, cost, "what makes a path short; default latency", .choices = routing_costs),
    KEY("spread", FIELD_CHOICE, spread, "what happens when several paths cost the same; default one",
        .choices = routing_spreads),
    KEY("seed", FIELD_INTEGER, seed, "of the hash by which ecmp chooses; default 0", .low = 0,
        .high = 0x1p53),
};
const size_t routing_field_count = FIELDS_COUNT(routing_fields);

const char *const routing_words[] = {"latency",    "hops", "dimension-order", "up-down", "ecmp",
                                     "even-split", NULL};
static const struct routing_document routing_meanings[] = {
    {.cost = ROUTING_LATENCY},  {.cost = ROUTING_HOPS},   {.paths = ROUTING_DIMENSION_ORDER},
    {.paths = ROUTING_UP_DOWN}, {.spread = ROUTING_ECMP}, {.spread = ROUTING_EVEN_SPLIT},
};

struct routing_route {
    const struct value *from, *to, *via;
    bool one_way;
};
const struct field routing_route_fields[] = {
    {.key = "from",
     .kind = FIELD_VALUE,
     .offset = offsetof(struct routing_route, from),
     .required = true,
     .about = "the device at one end, or a pattern of them"},
    {.key = "to",
     .kind = FIELD_VALUE,
     .offset = offsetof(struct routing_route, to),
     .required = true,
     .about = "the device at the other end, or a pattern of them"},
    {.key = "via",
     .kind = FIELD_VALUE,
     .offset = offsetof(struct routing_route, via),
     .about = "the switches and devices between them, in order; absent: none"},
    {.key = "one-way",
     .kind = FIELD_FLAG,
     .offset = offsetof(struct routing_route, one_way),
     .about = "only in this direction; default no: the way back takes the same nodes"},
};
const size_t routing_route_field_count = FIELDS_COUNT(routing_route_fields);

static const struct array *routing_array(const struct platform *platform, uint32_t node)
{
    uint32_t low = 0, high = platform->arrays.count;
    while (low < high) { /* the last array that starts at or before the node */
        uint32_t middle = low + (high - low) / 2;
        if (platform->arrays.at[middle].first <= node)
            low = middle + 1;
        else
            high = middle;
    }
    while (low-- > 0) { /* arrays without elements start where the next one does */
        const struct array *array = &platform->arrays.at[low];
        if (array->count)
            return node - array->first < array->count ? array : NULL;
    }
    return NULL;
}

/* The cheapest arc from a node to another; UINT32_MAX when there is none. */
static uint32_t routing_arc(const struct platform *platform, uint32_t from, uint32_t to)
{
    uint32_t best = UINT32_MAX;
    double least = 0;
    for (uint32_t a = platform->first_arc[from]; a < platform->first_arc[from + 1]; a++) {
        uint32_t link = platform->arcs.at[a].link;
        double latency = link == UINT32_MAX ? 0 : platform->links.at[link].latency;
        if (platform->arcs.at[a].to != to || (best != UINT32_MAX && latency >= least))
            continue;
        best = a;
        least = latency;
    }
    return best;
}

/* Whether two nodes are of one array and differ in one index only. */
static bool routing_in_line(const struct array *array, uint32_t from, uint32_t to)
{
    uint32_t a[ARRAY_RANK], b[ARRAY_RANK], different = 0;
    if (to - array->first >= array->count)
        return false;
    array_indices(array, from - array->first, a);
    array_indices(array, to - array->first, b);
    for (uint32_t i = 0; i < array->rank; i++)
        different += a[i] != b[i];
    return different == 1;
}

/* Appends the arcs from index at[d] to `target`, `step` (1 or size - 1) at a time; false, and nothing
 * appended, when a link is missing. */
static bool routing_walk(const struct platform *platform, const struct array *array, const uint32_t *start,
                         uint32_t d, uint32_t target, uint32_t step, struct index_list *arcs)
{
    uint32_t at[ARRAY_RANK], before = arcs->count;
    memcpy(at, start, sizeof at);
    while (at[d] != target) {
        uint32_t from = array->first + array_element(array, at);
        at[d] = (at[d] + step) % array->size[d];
        uint32_t arc = routing_arc(platform, from, array->first + array_element(array, at));
        if (arc == UINT32_MAX) {
            arcs->count = before;
            return false;
        }
        VECTOR_PUSH(arcs, arc);
    }
    return true;
}

/* One dimension: the direct link where there is one, else the shorter way around; of equals, upwards. */
static bool routing_line(const struct platform *platform, const struct array *array, const uint32_t *at,
                         uint32_t d, uint32_t target, struct index_list *arcs)
{
    uint32_t size = array->size[d], up = (target + size - at[d]) % size, there[ARRAY_RANK];
    memcpy(there, at, sizeof there);
    there[d] = target;
    uint32_t direct = routing_arc(platform, array->first + array_element(array, at),
                                  array->first + array_element(array, there));
    if (direct != UINT32_MAX) {
        VECTOR_PUSH(arcs, direct);
        return true;
    }
    bool upwards = up <= size - up;
    return routing_walk(platform, array, at, d, target, upwards ? 1 : size - 1, arcs) ||
           routing_walk(platform, array, at, d, target, upwards ? size - 1 : 1, arcs);
}

bool routing_dimension_order(const struct platform *platform, uint32_t from, uint32_t to,
                             struct index_list *arcs)
{
    uint32_t source = platform->devices.at[from].node, target = platform->devices.at[to].node;
    const struct array *array = routing_array(platform, source);
    uint32_t at[ARRAY_RANK] = {0}, goal[ARRAY_RANK] = {0}, before = arcs->count;
    if (!array || target - array->first >= array->count)
        return false;
    array_indices(array, source - array->first, at);
    array_indices(array, target - array->first, goal);
    for (uint32_t d = 0; d < array->rank; at[d] = goal[d], d++)
        if (at[d] != goal[d] && !routing_line(platform, array, at, d, goal[d], arcs)) {
            arcs->count = before;
            return false;
        }
    return true;
}

static int routing_compare(const void *a, const void *b)
{
    const struct routing_fixed *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

const uint32_t *routing_fixed_arcs(const struct platform *platform, uint32_t from, uint32_t to,
                                   uint32_t *count)
{
    const struct routing *routing = &platform->routing;
    if (!routing->fixed.count)
        return NULL;
    const struct routing_fixed pair = {from, to, 0, 0};
    const struct routing_fixed *found =
        bsearch(&pair, routing->fixed.at, routing->fixed.count, sizeof *routing->fixed.at, routing_compare);
    *count = found ? found->count : 0;
    return found ? routing->arcs.at + found->first : NULL;
}

/* Steps from the nearest device, breadth first. */
static void routing_levels(struct platform *platform)
{
    uint32_t nodes = platform->nodes.count, *level = ARENA_ARRAY(&platform->arena, uint32_t, nodes);
    struct index_list queue = {0};
    for (uint32_t n = 0; n < nodes; n++) {
        level[n] = platform->nodes.at[n].device == UINT32_MAX ? UINT32_MAX : 0;
        if (level[n] == 0)
            VECTOR_PUSH(&queue, n);
    }
    for (uint32_t i = 0; i < queue.count; i++) {
        uint32_t node = queue.at[i];
        for (uint32_t a = platform->first_arc[node]; a < platform->first_arc[node + 1]; a++) {
            uint32_t to = platform->arcs.at[a].to;
            if (level[to] != UINT32_MAX)
                continue;
            level[to] = level[node] + 1;
            VECTOR_PUSH(&queue, to);
        }
    }
    VECTOR_FREE(&queue);
    platform->routing.level = level;
}

/* Whether any two devices of one array that differ in one index only are linked. */
static bool routing_has_lines(const struct platform *platform)
{
    for (uint32_t a = 0; a < platform->arcs.count; a++) {
        const struct arc *arc = &platform->arcs.at[a];
        const struct array *array = routing_array(platform, arc->from);
        if (array && platform->nodes.at[arc->from].device != UINT32_MAX &&
            routing_in_line(array, arc->from, arc->to))
            return true;
    }
    return false;
}

static bool routing_has_switch(const struct platform *platform)
{
    for (uint32_t n = 0; n < platform->nodes.count; n++)
        if (platform->nodes.at[n].device == UINT32_MAX)
            return true;
    return false;
}

static bool routing_choose(struct draft *draft, const struct value *value)
{
    struct platform *platform = draft->platform;
    struct routing *routing = &platform->routing;
    struct report *report = &draft->input->report;
    struct routing_document read = {0};
    const struct field word = {.key = "routing", .kind = FIELD_CHOICE, .choices = routing_words};
    int which;
    if (value->kind == VALUE_MAP) {
        if (!fields_read(draft->input, value, value->place, "the routing", routing_fields,
                         routing_field_count, &draft->scope, &read))
            return false;
    } else {
        if (!fields_read_one(draft->input, value, &word, &draft->scope, &which))
            return false;
        read = routing_meanings[which];
    }
    if (read.paths == ROUTING_DIMENSION_ORDER && (read.spread != ROUTING_ONE || value_get(value, "cost")))
        return report_error(
            report, value->place,
            "dimension-order gives each pair one path, whatever it costs: it goes with neither "
            "'spread' nor 'cost'");
    if (value_get(value, "seed") && read.spread != ROUTING_ECMP)
        return report_error(report, value_entry(value, "seed")->place, "a seed goes with spread: ecmp only");
    if (read.paths == ROUTING_DIMENSION_ORDER && platform->devices.count > 1 && !routing_has_lines(platform))
        return report_error(
            report, value->place,
            "dimension-order needs an array of devices that are linked along its indices, such "
            "as a torus chip[x,y]");
    if (read.paths == ROUTING_UP_DOWN && !routing_has_switch(platform))
        return report_error(report, value->place, "up-down needs switches above the devices; there is none");
    routing->paths = read.paths;
    routing->cost = read.cost;
    routing->spread = read.spread;
    routing->seed = (uint64_t)read.seed;
    if (read.paths == ROUTING_UP_DOWN)
        routing_levels(platform);
    return true;
}

/* The nodes that a reference names; devices only if `device`. */
static bool routing_nodes(struct draft *draft, const struct value *value, bool device, struct index_list *out)
{
    struct input *input = draft->input;
    struct reference reference;
    struct pattern pattern;
    const char *what = device ? "device" : "device or switch";
    if (!reference_read(input, value, "the name of a device or switch", &reference))
        return false;
    const struct array *array =
        reference_find(input, &reference, what, draft->arrays.at, draft->arrays.count, true);
    if (!array || !pattern_parse(input, &reference, &draft->scope, &pattern) ||
        !pattern_fit(input, &pattern, array))
        return false;
    if (device && array->count && draft->platform->nodes.at[array->first].device == UINT32_MAX)
        return report_error(&input->report, reference.place, "a route ends at devices; '%s' is a switch",
                            reference.text);
    pattern_elements(&pattern, array, out);
    return true;
}

static const char *routing_name(const struct platform *platform, uint32_t node)
{
    return names_text(platform->names, platform->nodes.at[node].name);
}

/* Adds the route along these nodes, both ends included. */
static bool routing_add(struct draft *draft, const struct index_list *nodes, struct place place)
{
    struct platform *platform = draft->platform;
    struct routing *routing = &platform->routing;
    const uint32_t *node = nodes->at;
    uint32_t last = nodes->count - 1;
    struct routing_fixed fixed = {platform->nodes.at[node[0]].device, platform->nodes.at[node[last]].device,
                                  routing->arcs.count, last};
    for (uint32_t i = 0; i < last; i++) {
        uint32_t arc = routing_arc(platform, node[i], node[i + 1]);
        if (arc == UINT32_MAX)
            return report_error(&draft->input->report, place,
                                "there is no link from '%s' to '%s' on the route from '%s' to '%s'",
                                routing_name(platform, node[i]), routing_name(platform, node[i + 1]),
                                routing_name(platform, node[0]), routing_name(platform, node[last]));
        if (i > 0 && platform->nodes.at[node[i]].terminal)
            return report_error(&draft->input->report, place,
                                "the route from '%s' to '%s' passes through '%s', which forwards nothing",
                                routing_name(platform, node[0]), routing_name(platform, node[last]),
                                routing_name(platform, node[i]));
        VECTOR_PUSH(&routing->arcs, arc);
    }
    VECTOR_PUSH(&routing->fixed, fixed);
    return true;
}

/* The route from one device to another through these nodes, and back. */
static bool routing_pair(struct draft *draft, uint32_t from, uint32_t to, const struct index_list *via,
                         bool back, struct place place)
{
    struct index_list nodes = {0};
    if (from == to)
        return true;
    VECTOR_PUSH(&nodes, from);
    for (uint32_t i = 0; i < via->count; i++)
        VECTOR_PUSH(&nodes, via->at[i]);
    VECTOR_PUSH(&nodes, to);
    bool well = routing_add(draft, &nodes, place);
    for (uint32_t i = 0, j = nodes.count - 1; i < j; i++, j--) {
        uint32_t kept = nodes.at[i];
        nodes.at[i] = nodes.at[j];
        nodes.at[j] = kept;
    }
    well = well && (!back || routing_add(draft, &nodes, place));
    VECTOR_FREE(&nodes);
    return well;
}

/* The nodes between the ends, each named by itself. */
static bool routing_via(struct draft *draft, const struct value *via, struct index_list *out)
{
    bool list = via && via->kind == VALUE_LIST, well = true;
    uint32_t count = !via || via->kind == VALUE_NULL ? 0 : list ? via->count : 1;
    for (uint32_t i = 0; i < count && well; i++) {
        const struct value *item = list ? via->entries[i].value : via;
        uint32_t before = out->count;
        well = routing_nodes(draft, item, false, out);
        if (well && out->count != before + 1)
            well = report_error(&draft->input->report, item->place,
                                "expected one device or switch on the way; '%s' names %u", item->text,
                                out->count - before);
    }
    return well;
}

static bool routing_route(struct draft *draft, const struct value *item)
{
    struct routing_route read = {0};
    struct index_list from = {0}, to = {0}, via = {0};
    bool well = fields_read(draft->input, item, item->place, "a route", routing_route_fields,
                            routing_route_field_count, &draft->scope, &read) &&
                routing_nodes(draft, read.from, true, &from) && routing_nodes(draft, read.to, true, &to) &&
                routing_via(draft, read.via, &via);
    for (uint32_t i = 0; i < from.count && well; i++)
        for (uint32_t j = 0; j < to.count && well; j++)
            well = routing_pair(draft, from.at[i], to.at[j], &via, !read.one_way, item->place);
    VECTOR_FREE(&from);
    VECTOR_FREE(&to);
    VECTOR_FREE(&via);
    return well;
}

static bool routing_routes(struct draft *draft, const struct value *section)
{
    struct platform *platform = draft->platform;
    struct routing *routing = &platform->routing;
    bool well = true;
    if (section->kind == VALUE_MAP)
        return routes_read(draft, section);
    if (section->kind != VALUE_LIST)
        return report_error(&draft->input->report, section->place,
                            "expected a list (by nodes) or a map (by links) for routes; got %s",
                            value_describe(section, &draft->input->arena));
    for (uint32_t i = 0; i < section->count; i++)
        well = routing_route(draft, section->entries[i].value) && well;
    if (routing->fixed.count)
        qsort(routing->fixed.at, routing->fixed.count, sizeof *routing->fixed.at, routing_compare);
    for (uint32_t i = 1; i < routing->fixed.count && well; i++)
        if (routing_compare(&routing->fixed.at[i - 1], &routing->fixed.at[i]) == 0)
            well = report_error(
                &draft->input->report, section->place, "two routes lead from '%s' to '%s'",
                names_text(platform->names, platform->devices.at[routing->fixed.at[i].from].name),
                names_text(platform->names, platform->devices.at[routing->fixed.at[i].to].name));
    return well;
}

bool routing_read(struct draft *draft, const struct value *routing, const struct value *routes)
{
    bool well = !routing || routing->kind == VALUE_NULL || routing_choose(draft, routing);
    return (!routes || routes->kind == VALUE_NULL || routing_routes(draft, routes)) && well;
}
