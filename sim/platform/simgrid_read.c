/* Reads the XML with expat: one function per element, found in a table. Every element stands where its start
 * tag begins. Reading goes on after an error in what an element says; XML that is not well formed ends it. */
#include "base/nearest.h"
#include "input/fields.h"
#include "platform/simgrid.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SIMGRID_DEPTH = 200 };

struct simgrid_reader {
    struct simgrid *simgrid;
    XML_Parser parser;
    const char *path;
    uint32_t depth;
    struct index_list zones;                  /* open, outermost first; UINT32_MAX for one with an error */
    struct simgrid_route route;               /* open; `from` is UINT32_MAX when it is not to be kept */
    bool open, symmetrical, bypass, up, down; /* up, down: it is a star's leg */
};

struct simgrid_element {
    const char *name;
    const char *used; /* attributes, with blanks around each */
    void (*start)(struct simgrid_reader *reader, struct place place, const char **attributes);
    void (*end)(struct simgrid_reader *reader);
};

static struct place simgrid_here(const struct simgrid_reader *reader)
{
    return (struct place){reader->path, (uint32_t)XML_GetCurrentLineNumber(reader->parser),
                          (uint32_t)XML_GetCurrentColumnNumber(reader->parser) + 1};
}

/* A required attribute; "" after reporting that it is absent. */
static const char *simgrid_required(struct simgrid_reader *reader, struct place place,
                                    const char **attributes, const char *element, const char *name)
{
    const char *text = simgrid_attribute(attributes, name);
    if (text && *text)
        return text;
    report_error(&reader->simgrid->input->report, place, "<%s> needs the attribute '%s'", element, name);
    return "";
}

static const char *simgrid_what(struct simgrid *simgrid, const char *what, const char *name)
{
    return arena_format(&simgrid->arena, "%s '%.60s'", what, name);
}

/* The zone that is open; UINT32_MAX when there is none, after reporting. */
static uint32_t simgrid_zone(struct simgrid_reader *reader, struct place place, const char *element)
{
    if (reader->zones.count == 0)
        report_error(&reader->simgrid->input->report, place, "<%s> must stand in a <zone>", element);
    return reader->zones.count ? reader->zones.at[reader->zones.count - 1] : UINT32_MAX;
}

/* The point of a name; UINT32_MAX after reporting. */
static uint32_t simgrid_find_point(struct simgrid *simgrid, struct place place, const char *what,
                                   const char *name)
{
    uint32_t id = names_find(&simgrid->point_names, name);
    if (id != UINT32_MAX && id > 0)
        return id - 1;
    if (*name)
        fields_no_such(simgrid->input, place, what, name, simgrid->point_names.list.at + 1,
                       simgrid->point_names.list.count - 1);
    return UINT32_MAX;
}

/* The link of a name; of "cable_UP" and "cable_DOWN" the split-duplex link "cable", with *down set.
 * UINT32_MAX after reporting. */
static uint32_t simgrid_find_link(struct simgrid *simgrid, struct place place, const char *name, bool *said,
                                  bool *down)
{
    static const char *const endings[] = {"_UP", "_DOWN"};
    const struct names *names = &simgrid->link_names;
    uint32_t id = names_find(names, name);
    size_t length = strlen(name);
    if (id != UINT32_MAX && id > 0)
        return id - 1;
    for (int i = 0; i < 2; i++) {
        size_t tail = strlen(endings[i]);
        if (length <= tail || strcmp(name + length - tail, endings[i]) != 0)
            continue;
        id = names_find(names, arena_format(&simgrid->arena, "%.*s", (int)(length - tail), name));
        if (id == UINT32_MAX || id == 0 || simgrid->links.at[id - 1].sharing != SIMGRID_SPLIT)
            continue;
        *said = true;
        *down = i == 1;
        return id - 1;
    }
    if (*name)
        fields_no_such(simgrid->input, place, "link", name, names->list.at + 1, names->list.count - 1);
    return UINT32_MAX;
}

/* The hop over a link: "cable" with a direction, or "cable_UP". UINT32_MAX after reporting. */
static uint32_t simgrid_find_hop(struct simgrid *simgrid, struct place place, const char *name,
                                 const char *direction)
{
    struct report *report = &simgrid->input->report;
    bool said = direction && strcasecmp(direction, "NONE") != 0;
    bool down = said && strcasecmp(direction, "DOWN") == 0;
    if (said && !down && strcasecmp(direction, "UP") != 0)
        report_error(report, place, "expected the direction UP or DOWN; got '%.60s'", direction);
    bool attribute = said;
    uint32_t link = simgrid_find_link(simgrid, place, name, &said, &down);
    if (link == UINT32_MAX)
        return link;
    bool split = simgrid->links.at[link].sharing == SIMGRID_SPLIT;
    if (split && !said)
        report_error(report, place, "'%.60s' is SPLITDUPLEX: it needs direction=\"UP\" or \"DOWN\"", name);
    if (!split && attribute)
        report_error(report, place,
                     "'%.60s' has no directions: only links with sharing_policy=\"SPLITDUPLEX\" have", name);
    return link * 2 + (down && split);
}

static void simgrid_platform_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    const char *version = simgrid_attribute(attributes, "version");
    if (version && strcmp(version, "4.1") != 0 && strcmp(version, "4") != 0 && strcmp(version, "4.0") != 0)
        report_error(
            &reader->simgrid->input->report, place,
            "expected a platform of version 4.1; got '%.60s' (simgrid_update_xml converts old files)",
            version);
}

static void simgrid_zone_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    static const char *const names[] = {"Full",    "Floyd", "Dijkstra", "DijkstraCache",
                                        "Cluster", "Star",  "None"};
    static const enum simgrid_routing kinds[] = {SIMGRID_FULL,     SIMGRID_SHORTEST, SIMGRID_SHORTEST,
                                                 SIMGRID_SHORTEST, SIMGRID_STAR,     SIMGRID_STAR,
                                                 SIMGRID_NONE};
    enum { NAMES = sizeof names / sizeof names[0] };
    struct simgrid *simgrid = reader->simgrid;
    const char *id = simgrid_required(reader, place, attributes, "zone", "id");
    const char *routing = simgrid_required(reader, place, attributes, "zone", "routing");
    uint32_t parent = reader->zones.count ? reader->zones.at[reader->zones.count - 1] : UINT32_MAX;
    size_t kind = 0;
    while (kind < NAMES && strcmp(names[kind], routing) != 0)
        kind++;
    if (kind == NAMES && *routing)
        fields_no_such(simgrid->input, place, "routing (that Partita can import)", routing, names, NAMES);
    if (!reader->zones.count && simgrid->zones.count)
        report_error(&simgrid->input->report, place, "a platform has one outermost zone; '%.60s' is a second",
                     id);
    VECTOR_PUSH(&reader->zones,
                simgrid_add_zone(simgrid, id, parent, place, kind < NAMES ? kinds[kind] : SIMGRID_NONE));
}

/* A backbone, known at last, joins every leg of its star. */
static void simgrid_zone_end(struct simgrid_reader *reader)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t index = reader->zones.at[--reader->zones.count], hop = simgrid->zones.at[index].backbone;
    if (hop == UINT32_MAX)
        return;
    for (uint32_t p = 0; p < simgrid->points.count; p++) {
        struct simgrid_point *point = &simgrid->points.at[p];
        if (point->zone != index || !point->leg)
            continue;
        struct simgrid_hops up = {simgrid->hops.count, point->up.count + 1};
        for (uint32_t i = 0; i < point->up.count; i++)
            VECTOR_PUSH(&simgrid->hops, simgrid->hops.at[point->up.first + i]);
        VECTOR_PUSH(&simgrid->hops, hop * 2);
        struct simgrid_hops down = {simgrid->hops.count, point->down.count + 1};
        VECTOR_PUSH(&simgrid->hops, hop * 2);
        for (uint32_t i = 0; i < point->down.count; i++)
            VECTOR_PUSH(&simgrid->hops, simgrid->hops.at[point->down.first + i]);
        point->up = up;
        point->down = down;
    }
}

static void simgrid_host_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    struct simgrid_point point = {.place = place, .kind = SIMGRID_HOST};
    const char *id = simgrid_required(reader, place, attributes, "host", "id");
    const char *speed = simgrid_attribute(attributes, "power"), *core = simgrid_attribute(attributes, "core");
    if (!speed)
        speed = simgrid_required(reader, place, attributes, "host", "speed");
    point.zone = simgrid_zone(reader, place, "host");
    if (!*id || !*speed || point.zone == UINT32_MAX)
        return;
    const char *what = simgrid_what(simgrid, "speed of host", id);
    if (!simgrid_unit_speed(simgrid, place, speed, what, &point.speed))
        return;
    long cores = core ? strtol(core, NULL, 10) : 1;
    if (cores < 1 || cores > INT_MAX || point.speed <= 0)
        report_error(&simgrid->input->report, place, "the %s must be more than 0, and so its cores", what);
    point.speed *= (double)cores;
    simgrid_add_point(simgrid, id, point);
}

static void simgrid_router_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    const char *id = simgrid_required(reader, place, attributes, "router", "id");
    uint32_t zone = simgrid_zone(reader, place, "router");
    if (*id && zone != UINT32_MAX)
        simgrid_add_point(reader->simgrid, id,
                          (struct simgrid_point){.place = place, .kind = SIMGRID_ROUTER, .zone = zone});
}

static void simgrid_add_link_of(struct simgrid_reader *reader, struct place place, const char **attributes,
                                const char *element, const char *policy, uint32_t *index)
{
    struct simgrid *simgrid = reader->simgrid;
    struct simgrid_link link = {.place = place};
    const char *id = simgrid_required(reader, place, attributes, element, "id");
    const char *bandwidth = simgrid_required(reader, place, attributes, element, "bandwidth");
    const char *latency = simgrid_attribute(attributes, "latency");
    *index = UINT32_MAX;
    if (!*id || !*bandwidth ||
        !simgrid_unit_bandwidth(simgrid, place, bandwidth, simgrid_what(simgrid, "bandwidth of link", id),
                                &link.bandwidth) ||
        !simgrid_unit_time(simgrid, place, latency ? latency : "0",
                           simgrid_what(simgrid, "latency of link", id), &link.latency) ||
        !simgrid_sharing(simgrid, place, policy, &link.sharing))
        return;
    if (link.bandwidth <= 0)
        report_error(&simgrid->input->report, place, "the bandwidth of link '%.60s' must be more than 0", id);
    *index = simgrid_add_link(simgrid, id, link);
}

static void simgrid_link_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    const char *policy = simgrid_attribute(attributes, "sharing_policy");
    uint32_t index;
    simgrid_add_link_of(reader, place, attributes, "link", policy ? policy : "SHARED", &index);
}

static void simgrid_backbone_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    uint32_t zone = simgrid_zone(reader, place, "backbone"), index;
    simgrid_add_link_of(reader, place, attributes, "backbone", "SHARED", &index);
    if (zone == UINT32_MAX || index == UINT32_MAX)
        return;
    if (reader->simgrid->zones.at[zone].backbone != UINT32_MAX)
        report_error(&reader->simgrid->input->report, place, "the zone has a backbone already");
    reader->simgrid->zones.at[zone].backbone = index;
}

/* Whether a point may have routes in the open zone; reports it otherwise. */
static bool simgrid_in_zone(struct simgrid *simgrid, struct place place, uint32_t point, uint32_t zone)
{
    if (point == UINT32_MAX || simgrid->points.at[point].zone == zone)
        return point != UINT32_MAX;
    return report_error(&simgrid->input->report, place, "'%.60s' does not stand in the zone of this route",
                        simgrid_point_name(simgrid, point));
}

static void simgrid_host_link_start(struct simgrid_reader *reader, struct place place,
                                    const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t zone = simgrid_zone(reader, place, "host_link");
    const char *id = simgrid_required(reader, place, attributes, "host_link", "id");
    const char *up = simgrid_required(reader, place, attributes, "host_link", "up");
    const char *down = simgrid_required(reader, place, attributes, "host_link", "down");
    uint32_t point = simgrid_find_point(simgrid, place, "host", id);
    uint32_t up_hop = simgrid_find_hop(simgrid, place, up, NULL);
    uint32_t down_hop = simgrid_find_hop(simgrid, place, down, NULL);
    if (zone == UINT32_MAX || up_hop == UINT32_MAX || down_hop == UINT32_MAX ||
        !simgrid_in_zone(simgrid, place, point, zone))
        return;
    struct simgrid_point *host = &simgrid->points.at[point];
    host->leg = true;
    host->up = (struct simgrid_hops){simgrid->hops.count, 1};
    VECTOR_PUSH(&simgrid->hops, up_hop);
    host->down = (struct simgrid_hops){simgrid->hops.count, 1};
    VECTOR_PUSH(&simgrid->hops, down_hop);
}

static bool simgrid_is_yes(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    const char *text = simgrid_attribute(attributes, "symmetrical");
    if (!text || strcasecmp(text, "yes") == 0)
        return true;
    if (strcasecmp(text, "no") != 0)
        report_error(&reader->simgrid->input->report, place,
                     "expected symmetrical=\"yes\" or \"no\"; got '%.60s'", text);
    return false;
}

static bool simgrid_is_everyone(const char *name)
{
    return !name || !*name || strcmp(name, "*") == 0;
}

/* What <route> and its relatives have in common: hops are collected until the element ends. */
static uint32_t simgrid_open_route(struct simgrid_reader *reader, struct place place, const char **attributes,
                                   const char *element)
{
    struct simgrid *simgrid = reader->simgrid;
    reader->open = true;
    reader->bypass = reader->up = reader->down = false;
    reader->symmetrical = simgrid_is_yes(reader, place, attributes);
    reader->route = (struct simgrid_route){
        .from = UINT32_MAX, .to = UINT32_MAX, .place = place, .hops = {simgrid->hops.count, 0}};
    return simgrid_zone(reader, place, element);
}

static void simgrid_route_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t zone = simgrid_open_route(reader, place, attributes, "route");
    const char *src = simgrid_attribute(attributes, "src"), *dst = simgrid_attribute(attributes, "dst");
    bool star = zone != UINT32_MAX && simgrid->zones.at[zone].routing == SIMGRID_STAR;
    reader->up = star && simgrid_is_everyone(dst);
    reader->down = star && simgrid_is_everyone(src);
    if (star && reader->up == reader->down) {
        report_error(
            &simgrid->input->report, place,
            "in a zone of this routing a route leads from a host to everyone (without 'dst') or back");
        return;
    }
    src = reader->down ? dst : simgrid_required(reader, place, attributes, "route", "src");
    dst = reader->up ? src : simgrid_required(reader, place, attributes, "route", "dst");
    uint32_t from = simgrid_find_point(simgrid, place, "host or router", src);
    uint32_t to = simgrid_find_point(simgrid, place, "host or router", dst);
    if (zone == UINT32_MAX || !simgrid_in_zone(simgrid, place, from, zone) ||
        !simgrid_in_zone(simgrid, place, to, zone))
        return;
    if (simgrid->points.at[from].kind == SIMGRID_ZONE || simgrid->points.at[to].kind == SIMGRID_ZONE) {
        report_error(&simgrid->input->report, place,
                     "a route leads from a host or router to another; between zones it is a <zoneRoute>");
        return;
    }
    reader->route.from = reader->route.gate = from;
    reader->route.to = reader->route.gate_to = to;
}

static void simgrid_bypass_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    simgrid_open_route(reader, place, attributes, "bypassRoute");
    const char *src = simgrid_required(reader, place, attributes, "bypassRoute", "src");
    const char *dst = simgrid_required(reader, place, attributes, "bypassRoute", "dst");
    uint32_t from = simgrid_find_point(simgrid, place, "host or router", src);
    uint32_t to = simgrid_find_point(simgrid, place, "host or router", dst);
    reader->bypass = true;
    reader->symmetrical = false;
    if (from == UINT32_MAX || to == UINT32_MAX)
        return;
    reader->route.from = reader->route.gate = from;
    reader->route.to = reader->route.gate_to = to;
}

/* A gateway: a host or router inside the zone `of`. UINT32_MAX after reporting. */
static uint32_t simgrid_gateway(struct simgrid_reader *reader, struct place place, const char **attributes,
                                const char *key, uint32_t of)
{
    struct simgrid *simgrid = reader->simgrid;
    const char *name = simgrid_required(reader, place, attributes, "zoneRoute", key);
    uint32_t gate = simgrid_find_point(simgrid, place, "gateway", name);
    if (gate == UINT32_MAX || of == UINT32_MAX)
        return UINT32_MAX;
    uint32_t at = gate;
    while (at != of && simgrid->points.at[at].zone != UINT32_MAX)
        at = simgrid->zones.at[simgrid->points.at[at].zone].point;
    if (at == of && simgrid->points.at[gate].kind != SIMGRID_ZONE)
        return gate;
    report_error(&simgrid->input->report, place, "the gateway '%.60s' is no host or router of '%.60s'", name,
                 simgrid_point_name(simgrid, of));
    return UINT32_MAX;
}

static void simgrid_zone_route_start(struct simgrid_reader *reader, struct place place,
                                     const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t zone = simgrid_open_route(reader, place, attributes, "zoneRoute"), ends[2], gates[2];
    static const char *const keys[] = {"src", "dst"}, *const gate_keys[] = {"gw_src", "gw_dst"};
    bool well = zone != UINT32_MAX;
    for (int i = 0; i < 2; i++) {
        const char *name = simgrid_required(reader, place, attributes, "zoneRoute", keys[i]);
        ends[i] = simgrid_find_point(simgrid, place, "zone", name);
        well = zone != UINT32_MAX && simgrid_in_zone(simgrid, place, ends[i], zone) && well;
        if (ends[i] != UINT32_MAX && simgrid->points.at[ends[i]].kind != SIMGRID_ZONE)
            well = report_error(&simgrid->input->report, place, "'%.60s' is no zone", name);
        gates[i] = simgrid_gateway(reader, place, attributes, gate_keys[i], ends[i]);
        well = gates[i] != UINT32_MAX && well;
    }
    if (well && simgrid->zones.at[zone].routing == SIMGRID_STAR)
        well = report_error(&simgrid->input->report, place, "a star or cluster has no routes between zones");
    if (!well)
        return;
    reader->route.from = ends[0];
    reader->route.to = ends[1];
    reader->route.gate = gates[0];
    reader->route.gate_to = gates[1];
}

static void simgrid_link_ctn_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    if (!reader->open) {
        report_error(&simgrid->input->report, place, "<link_ctn> must stand in a <route> or <zoneRoute>");
        return;
    }
    const char *id = simgrid_required(reader, place, attributes, "link_ctn", "id");
    uint32_t hop = simgrid_find_hop(simgrid, place, id, simgrid_attribute(attributes, "direction"));
    if (hop != UINT32_MAX)
        VECTOR_PUSH(&simgrid->hops, hop);
}

static void simgrid_end_leg(struct simgrid_reader *reader, struct simgrid_hops back)
{
    const struct simgrid_route *route = &reader->route;
    struct simgrid_point *point = &reader->simgrid->points.at[route->from];
    point->leg = true;
    if (reader->up || reader->symmetrical)
        point->up = reader->up ? route->hops : back;
    if (reader->down || reader->symmetrical)
        point->down = reader->down ? route->hops : back;
}

static void simgrid_route_end(struct simgrid_reader *reader)
{
    struct simgrid *simgrid = reader->simgrid;
    struct simgrid_route *route = &reader->route, reverse;
    bool self = route->from == route->to && !reader->up && !reader->down; /* a loopback: free here */
    bool kept = reader->open && route->from != UINT32_MAX && !self;
    reader->open = false;
    if (!kept)
        return;
    route->hops.count = simgrid->hops.count - route->hops.first;
    struct simgrid_hops back = {0};
    if (reader->symmetrical)
        back = simgrid_reverse(simgrid, route->hops);
    if (reader->up || reader->down) {
        simgrid_end_leg(reader, back);
        return;
    }
    reverse = (struct simgrid_route){route->to, route->from, route->gate_to, route->gate, back, route->place};
    if (reader->bypass) {
        VECTOR_PUSH(&simgrid->bypasses, *route);
        return;
    }
    VECTOR_PUSH(&simgrid->routes, *route);
    if (reader->symmetrical)
        VECTOR_PUSH(&simgrid->routes, reverse);
}

static void simgrid_cluster_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    uint32_t zone = reader->zones.count ? reader->zones.at[reader->zones.count - 1] : UINT32_MAX;
    if (zone == UINT32_MAX && reader->simgrid->zones.count)
        report_error(&reader->simgrid->input->report, place,
                     "a platform has one outermost zone; put several clusters into a <zone>");
    else
        simgrid_cluster(reader->simgrid, zone, place, attributes);
}

static void simgrid_cabinet_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    uint32_t zone = simgrid_zone(reader, place, "cabinet");
    if (zone != UINT32_MAX)
        simgrid_cluster_cabinet(reader->simgrid, zone, place, attributes);
}

static void simgrid_peer_start(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    (void)attributes;
    report_error(&reader->simgrid->input->report, place,
                 "<peer> and Vivaldi coordinates cannot be imported: write hosts and links instead");
}

static const struct simgrid_element simgrid_elements[] = {
    {"platform", " version ", simgrid_platform_start, NULL},
    {"zone", " id routing ", simgrid_zone_start, simgrid_zone_end},
    {"AS", " id routing ", simgrid_zone_start, simgrid_zone_end},
    {"host", " id speed power core ", simgrid_host_start, NULL},
    {"router", " id ", simgrid_router_start, NULL},
    {"link", " id bandwidth latency sharing_policy ", simgrid_link_start, NULL},
    {"backbone", " id bandwidth latency ", simgrid_backbone_start, NULL},
    {"host_link", " id up down ", simgrid_host_link_start, NULL},
    {"route", " src dst symmetrical ", simgrid_route_start, simgrid_route_end},
    {"zoneRoute", " src dst gw_src gw_dst symmetrical ", simgrid_zone_route_start, simgrid_route_end},
    {"ASroute", " src dst gw_src gw_dst symmetrical ", simgrid_zone_route_start, simgrid_route_end},
    {"bypassRoute", " src dst ", simgrid_bypass_start, simgrid_route_end},
    {"link_ctn", " id direction ", simgrid_link_ctn_start, NULL},
    {"cluster",
     " id prefix suffix radical speed power core bw lat sharing_policy bb_bw bb_lat bb_sharing_policy "
     "limiter_link router_id topology ",
     simgrid_cluster_start, NULL},
    {"cabinet", " id prefix suffix radical speed bw lat ", simgrid_cabinet_start, NULL},
    {"peer", " id ", simgrid_peer_start, NULL},
};
enum { SIMGRID_ELEMENTS = sizeof simgrid_elements / sizeof simgrid_elements[0] };

static const struct simgrid_element *simgrid_find_element(const char *name)
{
    for (size_t i = 0; i < SIMGRID_ELEMENTS; i++)
        if (strcmp(simgrid_elements[i].name, name) == 0)
            return &simgrid_elements[i];
    return NULL;
}

static void simgrid_ignored(struct simgrid_reader *reader, struct place place,
                            const struct simgrid_element *element, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    for (; *attributes; attributes += 2) {
        const char *word = arena_format(&simgrid->arena, " %s ", attributes[0]);
        if (!strstr(element->used, word))
            simgrid_note(simgrid, place, arena_format(&simgrid->arena, "%s %s", element->name, attributes[0]),
                         "'%.60s' of <%s> is not used", attributes[0], element->name);
    }
}

static void XMLCALL simgrid_start(void *data, const char *name, const char **attributes)
{
    struct simgrid_reader *reader = data;
    struct place place = simgrid_here(reader);
    const struct simgrid_element *element = simgrid_find_element(name);
    if (reader->depth++ == 0 && strcmp(name, "platform") != 0) {
        report_error(&reader->simgrid->input->report, place,
                     "expected <platform>, as SimGrid's platforms start; got <%.60s>", name);
        XML_StopParser(reader->parser, XML_FALSE);
    } else if (reader->depth > SIMGRID_DEPTH) {
        report_error(&reader->simgrid->input->report, place, "elements are nested deeper than %d",
                     SIMGRID_DEPTH);
        XML_StopParser(reader->parser, XML_FALSE);
    } else if (!element) {
        simgrid_note(reader->simgrid, place, name, "<%.60s> is not used", name);
    } else {
        simgrid_ignored(reader, place, element, attributes);
        element->start(reader, place, attributes);
    }
}

static void XMLCALL simgrid_end(void *data, const char *name)
{
    struct simgrid_reader *reader = data;
    const struct simgrid_element *element = simgrid_find_element(name);
    reader->depth--;
    if (element && element->end)
        element->end(reader);
}

bool simgrid_read(struct simgrid *simgrid, const char *path, const char *text, size_t length)
{
    struct simgrid_reader reader = {.simgrid = simgrid, .path = path};
    struct report *report = &simgrid->input->report;
    uint32_t errors = report->errors;
    if (length > INT_MAX)
        return report_error(report, (struct place){path, 0, 0}, "the file is larger than 2 GB");
    reader.parser = XML_ParserCreate(NULL);
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, simgrid_start, simgrid_end);
    if (XML_Parse(reader.parser, text, (int)length, 1) == XML_STATUS_ERROR &&
        XML_GetErrorCode(reader.parser) != XML_ERROR_ABORTED)
        report_error(report, simgrid_here(&reader), "the XML is not well formed: %s",
                     XML_ErrorString(XML_GetErrorCode(reader.parser)));
    XML_ParserFree(reader.parser);
    VECTOR_FREE(&reader.zones);
    return report->errors == errors;
}
