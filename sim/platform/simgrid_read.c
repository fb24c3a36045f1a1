/* Reads the XML with expat: one function per element, found in a table. Every element stands where its start
 * tag begins. Reading goes on after an error in what an element says; XML that is not well formed ends it. */
#include "platform/simgrid_read_route.h"

#include "input/fields.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { SIMGRID_DEPTH = 200 };

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

static const char *simgrid_what(struct simgrid *simgrid, const char *what, const char *name)
{
    return arena_format(&simgrid->arena, "%s '%.60s'", what, name);
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
    const char *id = simgrid_reader_required(reader, place, attributes, "zone", "id");
    const char *routing = simgrid_reader_required(reader, place, attributes, "zone", "routing");
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
    if (!reader->zones.count) /* one whose start was refused */
        return;
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
    const char *id = simgrid_reader_required(reader, place, attributes, "host", "id");
    const char *speed = simgrid_attribute(attributes, "power"), *core = simgrid_attribute(attributes, "core");
    if (!speed)
        speed = simgrid_reader_required(reader, place, attributes, "host", "speed");
    point.zone = simgrid_reader_zone(reader, place, "host");
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
    const char *id = simgrid_reader_required(reader, place, attributes, "router", "id");
    uint32_t zone = simgrid_reader_zone(reader, place, "router");
    if (*id && zone != UINT32_MAX)
        simgrid_add_point(reader->simgrid, id,
                          (struct simgrid_point){.place = place, .kind = SIMGRID_ROUTER, .zone = zone});
}

static void simgrid_add_link_of(struct simgrid_reader *reader, struct place place, const char **attributes,
                                const char *element, const char *policy, uint32_t *index)
{
    struct simgrid *simgrid = reader->simgrid;
    struct simgrid_link link = {.place = place};
    const char *id = simgrid_reader_required(reader, place, attributes, element, "id");
    const char *bandwidth = simgrid_reader_required(reader, place, attributes, element, "bandwidth");
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
    uint32_t zone = simgrid_reader_zone(reader, place, "backbone"), index;
    simgrid_add_link_of(reader, place, attributes, "backbone", "SHARED", &index);
    if (zone == UINT32_MAX || index == UINT32_MAX)
        return;
    if (reader->simgrid->zones.at[zone].backbone != UINT32_MAX)
        report_error(&reader->simgrid->input->report, place, "the zone has a backbone already");
    reader->simgrid->zones.at[zone].backbone = index;
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
    uint32_t zone = simgrid_reader_zone(reader, place, "cabinet");
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
    {"host_link", " id up down ", simgrid_read_route_host_link, NULL},
    {"route", " src dst symmetrical ", simgrid_read_route, simgrid_read_route_end},
    {"zoneRoute", " src dst gw_src gw_dst symmetrical ", simgrid_read_route_zones, simgrid_read_route_end},
    {"ASroute", " src dst gw_src gw_dst symmetrical ", simgrid_read_route_zones, simgrid_read_route_end},
    {"bypassRoute", " src dst ", simgrid_read_route_bypass, simgrid_read_route_end},
    {"link_ctn", " id direction ", simgrid_read_route_link, NULL},
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
