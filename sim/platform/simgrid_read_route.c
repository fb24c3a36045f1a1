#include "platform/simgrid_read_route.h"

#include <string.h>
#include <strings.h>

void simgrid_read_route_host_link(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t zone = simgrid_reader_zone(reader, place, "host_link");
    const char *id = simgrid_reader_required(reader, place, attributes, "host_link", "id");
    const char *up = simgrid_reader_required(reader, place, attributes, "host_link", "up");
    const char *down = simgrid_reader_required(reader, place, attributes, "host_link", "down");
    uint32_t point = simgrid_reader_point(simgrid, place, "host", id);
    uint32_t up_hop = simgrid_reader_hop(simgrid, place, up, NULL);
    uint32_t down_hop = simgrid_reader_hop(simgrid, place, down, NULL);
    if (zone == UINT32_MAX || up_hop == UINT32_MAX || down_hop == UINT32_MAX ||
        !simgrid_reader_in_zone(simgrid, place, point, zone))
        return;
    struct simgrid_point *host = &simgrid->points.at[point];
    host->leg = true;
    host->up = (struct simgrid_hops){simgrid->hops.count, 1};
    VECTOR_PUSH(&simgrid->hops, up_hop);
    host->down = (struct simgrid_hops){simgrid->hops.count, 1};
    VECTOR_PUSH(&simgrid->hops, down_hop);
}

static bool simgrid_read_route_is_yes(struct simgrid_reader *reader, struct place place,
                                      const char **attributes)
{
    const char *text = simgrid_attribute(attributes, "symmetrical");
    if (!text || strcasecmp(text, "yes") == 0)
        return true;
    if (strcasecmp(text, "no") != 0)
        report_error(&reader->simgrid->input->report, place,
                     "expected symmetrical=\"yes\" or \"no\"; got '%.60s'", text);
    return false;
}

static bool simgrid_read_route_is_everyone(const char *name)
{
    return !name || !*name || strcmp(name, "*") == 0;
}

/* What <route> and its relatives have in common: hops are collected until the element ends. */
static uint32_t simgrid_read_route_open(struct simgrid_reader *reader, struct place place,
                                        const char **attributes, const char *element)
{
    struct simgrid *simgrid = reader->simgrid;
    reader->open = true;
    reader->bypass = reader->up = reader->down = false;
    reader->symmetrical = simgrid_read_route_is_yes(reader, place, attributes);
    reader->route = (struct simgrid_route){
        .from = UINT32_MAX, .to = UINT32_MAX, .place = place, .hops = {simgrid->hops.count, 0}};
    return simgrid_reader_zone(reader, place, element);
}

void simgrid_read_route(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t zone = simgrid_read_route_open(reader, place, attributes, "route");
    const char *src = simgrid_attribute(attributes, "src"), *dst = simgrid_attribute(attributes, "dst");
    bool star = zone != UINT32_MAX && simgrid->zones.at[zone].routing == SIMGRID_STAR;
    reader->up = star && simgrid_read_route_is_everyone(dst);
    reader->down = star && simgrid_read_route_is_everyone(src);
    if (star && reader->up == reader->down) {
        report_error(
            &simgrid->input->report, place,
            "in a zone of this routing a route leads from a host to everyone (without 'dst') or back");
        return;
    }
    src = reader->down ? dst : simgrid_reader_required(reader, place, attributes, "route", "src");
    dst = reader->up ? src : simgrid_reader_required(reader, place, attributes, "route", "dst");
    uint32_t from = simgrid_reader_point(simgrid, place, "host or router", src);
    uint32_t to = simgrid_reader_point(simgrid, place, "host or router", dst);
    if (zone == UINT32_MAX || !simgrid_reader_in_zone(simgrid, place, from, zone) ||
        !simgrid_reader_in_zone(simgrid, place, to, zone))
        return;
    if (simgrid->points.at[from].kind == SIMGRID_ZONE || simgrid->points.at[to].kind == SIMGRID_ZONE) {
        report_error(&simgrid->input->report, place,
                     "a route leads from a host or router to another; between zones it is a <zoneRoute>");
        return;
    }
    reader->route.from = reader->route.gate = from;
    reader->route.to = reader->route.gate_to = to;
}

void simgrid_read_route_bypass(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    simgrid_read_route_open(reader, place, attributes, "bypassRoute");
    const char *src = simgrid_reader_required(reader, place, attributes, "bypassRoute", "src");
    const char *dst = simgrid_reader_required(reader, place, attributes, "bypassRoute", "dst");
    uint32_t from = simgrid_reader_point(simgrid, place, "host or router", src);
    uint32_t to = simgrid_reader_point(simgrid, place, "host or router", dst);
    reader->bypass = true;
    reader->symmetrical = false;
    if (from == UINT32_MAX || to == UINT32_MAX)
        return;
    reader->route.from = reader->route.gate = from;
    reader->route.to = reader->route.gate_to = to;
}

/* A gateway: a host or router inside the zone `of`. UINT32_MAX after reporting. */
static uint32_t simgrid_read_route_gateway(struct simgrid_reader *reader, struct place place,
                                           const char **attributes, const char *key, uint32_t of)
{
    struct simgrid *simgrid = reader->simgrid;
    const char *name = simgrid_reader_required(reader, place, attributes, "zoneRoute", key);
    uint32_t gate = simgrid_reader_point(simgrid, place, "gateway", name);
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

void simgrid_read_route_zones(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    uint32_t zone = simgrid_read_route_open(reader, place, attributes, "zoneRoute"), ends[2], gates[2];
    static const char *const keys[] = {"src", "dst"}, *const gate_keys[] = {"gw_src", "gw_dst"};
    bool well = zone != UINT32_MAX;
    for (int i = 0; i < 2; i++) {
        const char *name = simgrid_reader_required(reader, place, attributes, "zoneRoute", keys[i]);
        ends[i] = simgrid_reader_point(simgrid, place, "zone", name);
        well = zone != UINT32_MAX && simgrid_reader_in_zone(simgrid, place, ends[i], zone) && well;
        if (ends[i] != UINT32_MAX && simgrid->points.at[ends[i]].kind != SIMGRID_ZONE)
            well = report_error(&simgrid->input->report, place, "'%.60s' is no zone", name);
        gates[i] = simgrid_read_route_gateway(reader, place, attributes, gate_keys[i], ends[i]);
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

void simgrid_read_route_link(struct simgrid_reader *reader, struct place place, const char **attributes)
{
    struct simgrid *simgrid = reader->simgrid;
    if (!reader->open) {
        report_error(&simgrid->input->report, place, "<link_ctn> must stand in a <route> or <zoneRoute>");
        return;
    }
    const char *id = simgrid_reader_required(reader, place, attributes, "link_ctn", "id");
    uint32_t hop = simgrid_reader_hop(simgrid, place, id, simgrid_attribute(attributes, "direction"));
    if (hop != UINT32_MAX)
        VECTOR_PUSH(&simgrid->hops, hop);
}

static void simgrid_read_route_end_leg(struct simgrid_reader *reader, struct simgrid_hops back)
{
    const struct simgrid_route *route = &reader->route;
    struct simgrid_point *point = &reader->simgrid->points.at[route->from];
    point->leg = true;
    if (reader->up || reader->symmetrical)
        point->up = reader->up ? route->hops : back;
    if (reader->down || reader->symmetrical)
        point->down = reader->down ? route->hops : back;
}

void simgrid_read_route_end(struct simgrid_reader *reader)
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
        simgrid_read_route_end_leg(reader, back);
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
