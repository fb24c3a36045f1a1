/* <cluster> and <cabinet>: hosts named prefix + number + suffix, each with a link of its own. A cluster is a
 * star: on the way from a host its limiter, its link, the backbone; to a host the same backwards. Its router
 * is joined to the backbone for nothing. */
#include "input/fields.h"
#include "platform/simgrid.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIMGRID_HOSTS = 1 << 16 };

struct simgrid_array {
    const char *id, *prefix, *suffix, *what;
    struct place place;
    double speed, limiter; /* FLOP/s; bytes/s, 0 for none */
    struct simgrid_link link;
    uint32_t zone, backbone;
    struct index_list numbers;
};

static const char *simgrid_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static bool simgrid_number(const char **at, unsigned long *number)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    *number = strtoul(*at, &end, 10);
    *at = end;
    return !errno && *number <= INT32_MAX;
}

/* "0-3,7": ranges and numbers (also with ';' between). */
static bool simgrid_radical(struct simgrid *simgrid, struct simgrid_array *array, const char *radical)
{
    struct report *report = &simgrid->input->report;
    const char *at = radical;
    for (;;) {
        unsigned long low, high;
        while (*at == ' ')
            at++;
        if (!simgrid_number(&at, &low))
            break;
        high = low;
        if (*at == '-' && (at++, !simgrid_number(&at, &high)))
            break;
        if (high < low)
            return report_error(report, array->place, "the radical '%.60s' of %s runs backwards: %lu-%lu",
                                radical, array->what, low, high);
        if (high - low >= SIMGRID_HOSTS - array->numbers.count)
            return report_error(report, array->place, "%s has more than %d hosts", array->what,
                                SIMGRID_HOSTS);
        for (unsigned long n = low; n <= high; n++)
            VECTOR_PUSH(&array->numbers, (uint32_t)n);
        while (*at == ' ')
            at++;
        if (!*at)
            return true;
        if (*at != ',' && *at != ';')
            break;
        at++;
    }
    return report_error(
        report, array->place,
        "expected the radical of %s as numbers and ranges, such as 0-15 or 0-3,7; got '%.60s'", array->what,
        radical);
}

/* What both elements have in common. */
static bool simgrid_array_read(struct simgrid *simgrid, struct simgrid_array *array, const char *element,
                               const char **attributes)
{
    static const char *const needed[] = {"id", "radical", "bw"};
    struct arena *arena = &simgrid->arena;
    const char *speed = simgrid_attribute(attributes, "speed"), *core = simgrid_attribute(attributes, "core");
    bool well = true;
    for (size_t i = 0; i < FIELDS_COUNT(needed); i++)
        if (!simgrid_attribute(attributes, needed[i]))
            well = report_error(&simgrid->input->report, array->place, "<%s> needs the attribute '%s'",
                                element, needed[i]);
    if (!speed)
        speed = simgrid_attribute(attributes, "power");
    if (!speed)
        well =
            report_error(&simgrid->input->report, array->place, "<%s> needs the attribute 'speed'", element);
    if (!well)
        return false;
    array->id = simgrid_attribute(attributes, "id");
    array->prefix = simgrid_or(simgrid_attribute(attributes, "prefix"), "");
    array->suffix = simgrid_or(simgrid_attribute(attributes, "suffix"), "");
    array->what = arena_format(arena, "%s '%.60s'", element, array->id);
    long cores = core ? strtol(core, NULL, 10) : 1;
    well = simgrid_radical(simgrid, array, simgrid_attribute(attributes, "radical"));
    well = simgrid_unit_speed(simgrid, array->place, speed, arena_format(arena, "speed of %s", array->what),
                              &array->speed) &&
           well;
    well = simgrid_unit_bandwidth(simgrid, array->place, simgrid_attribute(attributes, "bw"),
                                  arena_format(arena, "bandwidth (bw) of %s", array->what),
                                  &array->link.bandwidth) &&
           well;
    well = simgrid_unit_time(simgrid, array->place, simgrid_or(simgrid_attribute(attributes, "lat"), "0"),
                             arena_format(arena, "latency (lat) of %s", array->what), &array->link.latency) &&
           well;
    if (well && (array->speed <= 0 || array->link.bandwidth <= 0 || cores < 1))
        well = report_error(&simgrid->input->report, array->place,
                            "speed, cores and bandwidth of %s must be more than 0", array->what);
    array->speed *= (double)cores;
    array->link.place = array->place;
    return well;
}

/* A host, its link, its limiter, its leg. */
static void simgrid_array_host(struct simgrid *simgrid, const struct simgrid_array *array, uint32_t number)
{
    struct arena *arena = &simgrid->arena;
    const char *cable = arena_format(arena, "%s_link_%u", array->id, number);
    struct simgrid_point host = {
        .place = array->place, .kind = SIMGRID_HOST, .zone = array->zone, .speed = array->speed, .leg = true};
    uint32_t limiter = UINT32_MAX, link = simgrid_add_link(simgrid, cable, array->link);
    if (array->limiter > 0)
        limiter = simgrid_add_link(simgrid, arena_format(arena, "%s_limiter", cable),
                                   (struct simgrid_link){.place = array->place,
                                                         .bandwidth = array->limiter,
                                                         .sharing = SIMGRID_SHARED});
    if (link == UINT32_MAX)
        return;
    host.up.first = simgrid->hops.count;
    if (limiter != UINT32_MAX)
        VECTOR_PUSH(&simgrid->hops, limiter * 2);
    VECTOR_PUSH(&simgrid->hops, link * 2);
    if (array->backbone != UINT32_MAX)
        VECTOR_PUSH(&simgrid->hops, array->backbone * 2);
    host.up.count = simgrid->hops.count - host.up.first;
    host.down = simgrid_reverse(simgrid, host.up);
    simgrid_add_point(simgrid, arena_format(arena, "%s%u%s", array->prefix, number, array->suffix), host);
}

void simgrid_cluster_cabinet(struct simgrid *simgrid, uint32_t zone, struct place place,
                             const char **attributes)
{
    struct simgrid_array array = {.place = place, .zone = zone, .backbone = UINT32_MAX};
    array.link.sharing = SIMGRID_SPLIT;
    if (simgrid_array_read(simgrid, &array, "cabinet", attributes))
        for (uint32_t i = 0; i < array.numbers.count; i++)
            simgrid_array_host(simgrid, &array, array.numbers.at[i]);
    VECTOR_FREE(&array.numbers);
}

/* The backbone, if the attributes say one. */
static bool simgrid_cluster_backbone(struct simgrid *simgrid, struct simgrid_array *array,
                                     const char **attributes)
{
    struct arena *arena = &simgrid->arena;
    struct simgrid_link link = {.place = array->place, .sharing = SIMGRID_SHARED};
    const char *bandwidth = simgrid_attribute(attributes, "bb_bw");
    const char *latency = simgrid_or(simgrid_attribute(attributes, "bb_lat"), "0");
    const char *policy = simgrid_or(simgrid_attribute(attributes, "bb_sharing_policy"), "SHARED");
    if (!bandwidth && simgrid_attribute(attributes, "bb_lat"))
        return report_error(&simgrid->input->report, array->place, "%s has 'bb_lat' and no 'bb_bw'",
                            array->what);
    if (!bandwidth)
        return true;
    bool well = simgrid_unit_bandwidth(
        simgrid, array->place, bandwidth,
        arena_format(arena, "bandwidth of the backbone (bb_bw) of %s", array->what), &link.bandwidth);
    well = simgrid_unit_time(simgrid, array->place, latency,
                             arena_format(arena, "latency of the backbone (bb_lat) of %s", array->what),
                             &link.latency) &&
           well;
    well = simgrid_sharing(simgrid, array->place, policy, &link.sharing) && well;
    if (well && link.bandwidth <= 0)
        well = report_error(&simgrid->input->report, array->place,
                            "the bandwidth of the backbone (bb_bw) of %s must be more than 0", array->what);
    if (well && link.sharing == SIMGRID_SPLIT)
        link.sharing = SIMGRID_SHARED;
    if (well)
        array->backbone = simgrid_add_link(simgrid, arena_format(arena, "%s_backbone", array->id), link);
    return well;
}

static bool simgrid_cluster_read(struct simgrid *simgrid, struct simgrid_array *array,
                                 const char **attributes)
{
    static const char *const others[] = {"TORUS", "FAT_TREE", "DRAGONFLY"};
    const char *topology = simgrid_or(simgrid_attribute(attributes, "topology"), "FLAT");
    const char *limiter = simgrid_attribute(attributes, "limiter_link");
    if (!simgrid_array_read(simgrid, array, "cluster", attributes))
        return false;
    for (size_t i = 0; i < FIELDS_COUNT(others); i++)
        if (strcmp(topology, others[i]) == 0)
            return report_error(
                &simgrid->input->report, array->place,
                "%s has the topology %s, which cannot be imported (FLAT can): write it as a topology "
                "of Partita's own",
                array->what, topology);
    if (strcmp(topology, "FLAT") != 0)
        return report_error(&simgrid->input->report, array->place,
                            "expected the topology FLAT of %s; got '%.60s'", array->what, topology);
    bool well = simgrid_sharing(simgrid, array->place,
                                simgrid_or(simgrid_attribute(attributes, "sharing_policy"), "SPLITDUPLEX"),
                                &array->link.sharing);
    if (limiter)
        well = simgrid_unit_bandwidth(simgrid, array->place, limiter,
                                      arena_format(&simgrid->arena, "limiter_link of %s", array->what),
                                      &array->limiter) &&
               well;
    return simgrid_cluster_backbone(simgrid, array, attributes) && well;
}

void simgrid_cluster(struct simgrid *simgrid, uint32_t zone, struct place place, const char **attributes)
{
    struct simgrid_array array = {.place = place, .backbone = UINT32_MAX};
    if (simgrid_cluster_read(simgrid, &array, attributes)) {
        const char *router =
            arena_format(&simgrid->arena, "%s%s_router%s", array.prefix, array.id, array.suffix);
        array.zone = simgrid_add_zone(simgrid, array.id, zone, place, SIMGRID_STAR);
        for (uint32_t i = 0; i < array.numbers.count; i++)
            simgrid_array_host(simgrid, &array, array.numbers.at[i]);
        simgrid_add_point(simgrid, simgrid_or(simgrid_attribute(attributes, "router_id"), router),
                          (struct simgrid_point){.place = place, .kind = SIMGRID_ROUTER, .zone = array.zone});
    }
    VECTOR_FREE(&array.numbers);
}
