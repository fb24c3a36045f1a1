/* A SimGrid platform as a topology document: a device per host, a loose link per link, and the route of every
 * pair of hosts, since a route of SimGrid's names links and not the nodes between them. A platform that is
 * one flat cluster is written as patterns instead, so that it may be large: its graph has the same routes. */
#include "platform/array.h"
#include "platform/import.h"
#include "platform/simgrid.h"

#include <stdio.h>
#include <string.h>

enum { SIMGRID_ROUTES = 1 << 20 };

struct simgrid_writer {
    struct simgrid *simgrid;
    struct input *input;
    struct value *out;
    struct place place;
    struct names taken;           /* names given */
    const char **points, **links; /* their names in the topology; a point's only if it is a host */
    struct index_list hosts;
};

static bool simgrid_is_file(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".xml") == 0;
}

/* A name that no other element has. */
static const char *simgrid_unique(struct simgrid_writer *writer, const char *prefix, const char *text)
{
    const char *name = import_name(writer->input, prefix, text), *tried = name;
    for (uint32_t n = 2; names_find(&writer->taken, tried) != UINT32_MAX; n++)
        tried = arena_format(&writer->input->arena, "%.*s-%u", ARRAY_NAME - 16, name, n);
    names_add(&writer->taken, tried);
    return tried;
}

static void simgrid_names(struct simgrid_writer *writer)
{
    struct simgrid *simgrid = writer->simgrid;
    writer->points = ARENA_ARRAY(&simgrid->arena, const char *, simgrid->points.count);
    writer->links = ARENA_ARRAY(&simgrid->arena, const char *, simgrid->links.count);
    for (uint32_t p = 0; p < simgrid->points.count; p++)
        if (simgrid->points.at[p].kind == SIMGRID_HOST) {
            writer->points[p] = simgrid_unique(writer, "host-", simgrid_point_name(simgrid, p));
            VECTOR_PUSH(&writer->hosts, p);
        }
    for (uint32_t l = 0; l < simgrid->links.count; l++)
        writer->links[l] = simgrid_unique(writer, "link-", simgrid_link_name(simgrid, l));
}

/* The device entry of a host: of its own type, known by its speed. */
static struct value *simgrid_device(struct simgrid_writer *writer, struct value *devices, const char *name,
                                    const struct simgrid_point *host)
{
    struct input *input = writer->input;
    struct value *entry = import_map(input, devices, name, host->place);
    struct value *with = import_map(input, entry, "with", host->place);
    const char *flops = import_flops(input, host->speed);
    import_quoted(input, with, "name", host->place, "SimGrid host, %s", flops);
    import_text(input, with, "kind", host->place, "cpu");
    import_text(input, import_map(input, with, "peak", host->place), "fp32", host->place, "%s", flops);
    import_text(input, with, "memory", host->place, "memory");
    import_text(input, with, "memory-bandwidth", host->place, "memory-bandwidth");
    return entry;
}

static void simgrid_capacity(struct simgrid_writer *writer, struct value *entry,
                             const struct simgrid_link *link)
{
    import_text(writer->input, entry, "bandwidth", link->place, "%s",
                import_bandwidth(writer->input, link->bandwidth));
    import_text(writer->input, entry, "latency", link->place, "%s",
                import_seconds(writer->input, link->latency));
}

/* "link>" and so on, the hops of one route. */
static const char *simgrid_way_text(struct simgrid_writer *writer, const struct index_list *hops)
{
    const struct simgrid *simgrid = writer->simgrid;
    size_t length = 1;
    for (uint32_t i = 0; i < hops->count; i++)
        length += strlen(writer->links[hops->at[i] / 2]) + 2;
    char *text = arena_alloc(&writer->simgrid->arena, length), *at = text;
    for (uint32_t i = 0; i < hops->count; i++) {
        uint32_t hop = hops->at[i];
        bool split = simgrid->links.at[hop / 2].sharing == SIMGRID_SPLIT;
        at += snprintf(at, length - (size_t)(at - text), "%s%s%s", i ? " " : "", writer->links[hop / 2],
                       !split    ? ""
                       : hop % 2 ? "<"
                                 : ">");
    }
    return text;
}

static bool simgrid_routes(struct simgrid_writer *writer)
{
    struct simgrid *simgrid = writer->simgrid;
    struct index_list hops = {0};
    uint64_t count = writer->hosts.count, missing = 0;
    uint32_t lost[2] = {0};
    if (count * (count - 1) > SIMGRID_ROUTES)
        return report_error(
            &writer->input->report, writer->place,
            "%u hosts have more than %d routes, too many to be listed one by one (a single flat "
            "cluster needs no list and may be larger)",
            writer->hosts.count, SIMGRID_ROUTES);
    struct value *routes = import_map(writer->input, writer->out, "routes", writer->place);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = writer->hosts.at[i];
        struct value *ways = import_map(writer->input, routes, writer->points[from], writer->place);
        for (uint32_t j = 0; j < count; j++) {
            uint32_t to = writer->hosts.at[j];
            hops.count = 0;
            if (i == j)
                continue;
            if (!simgrid_route_find(simgrid, from, to, &hops)) {
                if (missing++ == 0)
                    lost[0] = from, lost[1] = to;
            } else if (hops.count) {
                import_text(writer->input, ways, writer->points[to], writer->place, "%s",
                            simgrid_way_text(writer, &hops));
            } else {
                import_quoted(writer->input, ways, writer->points[to], writer->place, "%s", "");
            }
        }
    }
    VECTOR_FREE(&hops);
    if (missing)
        report_warning(&writer->input->report, writer->place,
                       "there is no route from '%.60s' to '%.60s', and none for %llu pairs of hosts in all",
                       simgrid_point_name(simgrid, lost[0]), simgrid_point_name(simgrid, lost[1]),
                       (unsigned long long)missing);
    return true;
}

static bool simgrid_explicit(struct simgrid_writer *writer)
{
    struct simgrid *simgrid = writer->simgrid;
    struct value *devices = import_map(writer->input, writer->out, "devices", writer->place);
    struct value *links = import_map(writer->input, writer->out, "links", writer->place);
    for (uint32_t h = 0; h < writer->hosts.count; h++) {
        uint32_t p = writer->hosts.at[h];
        simgrid_device(writer, devices, writer->points[p], &simgrid->points.at[p]);
    }
    for (uint32_t l = 0; l < simgrid->links.count; l++) {
        const struct simgrid_link *link = &simgrid->links.at[l];
        struct value *entry = import_map(writer->input, links, writer->links[l], link->place);
        simgrid_capacity(writer, entry, link);
        if (link->sharing != SIMGRID_SPLIT)
            import_text(writer->input, entry, "mode", link->place, "half-duplex");
    }
    return simgrid_routes(writer);
}

/* Whether the platform is one flat cluster without limiters: its hosts' legs are a link each, alike, and
 * perhaps a common backbone. */
static bool simgrid_is_cluster(const struct simgrid_writer *writer)
{
    const struct simgrid *simgrid = writer->simgrid;
    const struct simgrid_point *first = &simgrid->points.at[writer->hosts.at[0]];
    if (simgrid->bypasses.count || simgrid->routes.count || writer->hosts.count < 2 || !first->leg)
        return false;
    if (simgrid->zones.at[first->zone].routing != SIMGRID_STAR || first->up.count < 1 || first->up.count > 2)
        return false;
    const struct simgrid_link *cable = &simgrid->links.at[simgrid->hops.at[first->up.first] / 2];
    bool *taken = ARENA_ARRAY(&writer->simgrid->arena, bool, simgrid->links.count);
    for (uint32_t i = 0; i < writer->hosts.count; i++) {
        const struct simgrid_point *host = &simgrid->points.at[writer->hosts.at[i]];
        if (host->zone != first->zone || !host->leg || host->speed != first->speed ||
            host->up.count != first->up.count || host->down.count != first->up.count)
            return false;
        const uint32_t *up = &simgrid->hops.at[host->up.first], *down = &simgrid->hops.at[host->down.first];
        uint32_t length = host->up.count;
        const struct simgrid_link *own = &simgrid->links.at[up[0] / 2];
        if (own->bandwidth != cable->bandwidth || own->latency != cable->latency ||
            own->sharing != cable->sharing || down[length - 1] != up[0] + (own->sharing == SIMGRID_SPLIT) ||
            up[0] % 2)
            return false;
        if (length == 2 && (up[1] != down[0] || up[1] != simgrid->hops.at[first->up.first + 1] ||
                            simgrid->links.at[up[1] / 2].sharing == SIMGRID_SPLIT))
            return false;
        if (taken[up[0] / 2]) /* each has its own */
            return false;
        taken[up[0] / 2] = true;
    }
    return true;
}

/* Hosts on ports of a switch; with a backbone the ports are stations of one medium, so that whoever goes from
 * one to another uses it once. */
static void simgrid_patterns(struct simgrid_writer *writer)
{
    struct simgrid *simgrid = writer->simgrid;
    struct input *input = writer->input;
    const struct simgrid_point *host = &simgrid->points.at[writer->hosts.at[0]];
    const uint32_t *up = &simgrid->hops.at[host->up.first];
    const struct simgrid_link *cable = &simgrid->links.at[up[0] / 2];
    bool backbone = host->up.count == 2;
    struct value *device =
        simgrid_device(writer, import_map(input, writer->out, "devices", writer->place), "node", host);
    import_text(input, device, "count", writer->place, "%u", writer->hosts.count);
    struct value *ports =
        import_map(input, import_map(input, writer->out, "switches", writer->place), "port", writer->place);
    if (backbone)
        import_text(input, ports, "count", writer->place, "%u", writer->hosts.count);
    struct value *links = import_map(input, writer->out, "links", writer->place);
    struct value *entry = import_map(input, links, "cable", cable->place);
    simgrid_capacity(writer, entry, cable);
    if (cable->sharing != SIMGRID_SPLIT)
        import_text(input, entry, "mode", cable->place, "half-duplex");
    import_quoted(input, entry, "from", writer->place, "node[i]");
    import_quoted(input, entry, "to", writer->place, "%s", backbone ? "port[i]" : "port");
    if (backbone) {
        const struct simgrid_link *link = &simgrid->links.at[up[1] / 2];
        entry = import_map(input, links, "backbone", link->place);
        simgrid_capacity(writer, entry, link);
        import_text(input, entry, "mode", link->place, "shared");
        import_quoted(input, entry, "stations", writer->place, "port[*]");
    }
    uint32_t last = writer->hosts.at[writer->hosts.count - 1];
    simgrid_note(simgrid, host->place, "renamed",
                 "the hosts '%.60s' to '%.60s' are called node[0] to node[%u]",
                 simgrid_point_name(simgrid, writer->hosts.at[0]), simgrid_point_name(simgrid, last),
                 writer->hosts.count - 1);
}

static bool simgrid_write(struct simgrid_writer *writer)
{
    struct input *input = writer->input;
    simgrid_names(writer);
    if (writer->hosts.count == 0)
        return report_error(&input->report, writer->place, "the platform has no hosts");
    report_warning(
        &input->report, writer->place,
        "a SimGrid platform does not say how much memory a host has: 1 TB at 1 TB/s is assumed (the "
        "parameters 'memory' and 'memory-bandwidth')");
    import_quoted(input, writer->out, "about", writer->place, "a SimGrid platform");
    struct value *parameters = import_map(input, writer->out, "parameters", writer->place);
    import_text(input, parameters, "memory", writer->place, "1 TB");
    import_text(input, parameters, "memory-bandwidth", writer->place, "1 TB/s");
    if (!simgrid_is_cluster(writer))
        return simgrid_explicit(writer);
    simgrid_patterns(writer);
    return true;
}

static struct value *simgrid_import(struct input *input, const char *path, const char *text, size_t length,
                                    const struct value *set)
{
    struct simgrid simgrid = {.input = input};
    struct simgrid_writer writer = {.simgrid = &simgrid, .input = input, .place = {path, 1, 1}};
    (void)set;
    arena_init(&simgrid.arena);
    names_init(&simgrid.point_names);
    names_init(&simgrid.link_names);
    names_init(&simgrid.said);
    names_init(&writer.taken);
    names_add(&writer.taken, "memory");
    names_add(&writer.taken, "memory-bandwidth");
    writer.out = value_new(&input->arena, writer.place, VALUE_MAP);
    bool well = simgrid_read(&simgrid, path, text, length) && simgrid_route_sort(&simgrid);
    well = well && simgrid_write(&writer);
    VECTOR_FREE(&simgrid.points);
    VECTOR_FREE(&simgrid.links);
    VECTOR_FREE(&simgrid.zones);
    VECTOR_FREE(&simgrid.routes);
    VECTOR_FREE(&simgrid.bypasses);
    VECTOR_FREE(&simgrid.hops);
    VECTOR_FREE(&writer.hosts);
    names_fini(&writer.taken);
    names_fini(&simgrid.said);
    names_fini(&simgrid.link_names);
    names_fini(&simgrid.point_names);
    arena_fini(&simgrid.arena);
    return well ? writer.out : NULL;
}

const struct importer import_simgrid = {
    .name = "simgrid",
    .about = "a platform of SimGrid (XML, version 4.1)",
    .is_file = simgrid_is_file,
    .read = simgrid_import,
};
