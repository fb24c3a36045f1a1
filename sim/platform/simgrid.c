/* The tables of a platform and what its readers share. */
#include "platform/simgrid.h"

#include "input/fields.h"

#include <string.h>

void simgrid_note(struct simgrid *simgrid, struct place place, const char *kind, const char *format, ...)
{
    if (names_find(&simgrid->said, kind) != UINT32_MAX)
        return;
    names_add(&simgrid->said, kind);
    va_list arguments;
    va_start(arguments, format);
    report_warning(&simgrid->input->report, place, "%s", arena_vformat(&simgrid->arena, format, arguments));
    va_end(arguments);
}

const char *simgrid_attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (strcmp(attributes[0], name) == 0)
            return attributes[1];
    return NULL;
}

static uint32_t simgrid_new_name(struct simgrid *simgrid, struct names *names, struct place place,
                                 const char *what, const char *name)
{
    if (names_find(names, name) == UINT32_MAX)
        return names_add(names, name) - 1;
    report_error(&simgrid->input->report, place, "there is %s '%.60s' already", what, name);
    return UINT32_MAX;
}

uint32_t simgrid_add_point(struct simgrid *simgrid, const char *name, struct simgrid_point point)
{
    uint32_t index =
        simgrid_new_name(simgrid, &simgrid->point_names, point.place, "a host, router or zone", name);
    if (index == UINT32_MAX)
        return index;
    VECTOR_PUSH(&simgrid->points, point);
    if (point.zone != UINT32_MAX)
        simgrid->zones.at[point.zone].members++;
    return index;
}

uint32_t simgrid_add_link(struct simgrid *simgrid, const char *name, struct simgrid_link link)
{
    uint32_t index = simgrid_new_name(simgrid, &simgrid->link_names, link.place, "a link", name);
    if (index != UINT32_MAX)
        VECTOR_PUSH(&simgrid->links, link);
    return index;
}

uint32_t simgrid_add_zone(struct simgrid *simgrid, const char *name, uint32_t parent, struct place place,
                          enum simgrid_routing routing)
{
    uint32_t index = simgrid->zones.count;
    struct simgrid_zone zone = {.routing = routing,
                                .depth = parent == UINT32_MAX ? 0 : simgrid->zones.at[parent].depth + 1,
                                .backbone = UINT32_MAX};
    struct simgrid_point point = {.place = place, .kind = SIMGRID_ZONE, .zone = parent};
    VECTOR_PUSH(&simgrid->zones, zone);
    uint32_t added = simgrid_add_point(simgrid, name, point);
    if (added == UINT32_MAX) /* reported; the rest of the file is read all the same */
        added = simgrid_add_point(simgrid, arena_format(&simgrid->arena, " zone %u", index), point);
    simgrid->zones.at[index].point = added;
    return index;
}

const char *simgrid_point_name(const struct simgrid *simgrid, uint32_t point)
{
    return names_text(&simgrid->point_names, point + 1);
}

const char *simgrid_link_name(const struct simgrid *simgrid, uint32_t link)
{
    return names_text(&simgrid->link_names, link + 1);
}

struct simgrid_hops simgrid_reverse(struct simgrid *simgrid, struct simgrid_hops hops)
{
    struct simgrid_hops back = {simgrid->hops.count, hops.count};
    for (uint32_t i = hops.count; i-- > 0;) {
        uint32_t hop = simgrid->hops.at[hops.first + i];
        VECTOR_PUSH(&simgrid->hops, simgrid->links.at[hop / 2].sharing == SIMGRID_SPLIT ? hop ^ 1 : hop);
    }
    return back;
}

bool simgrid_sharing(struct simgrid *simgrid, struct place place, const char *text,
                     enum simgrid_sharing *sharing)
{
    static const char *const names[] = {"SHARED", "SPLITDUPLEX", "FATPIPE", "FULLDUPLEX"};
    static const enum simgrid_sharing kinds[] = {SIMGRID_SHARED, SIMGRID_SPLIT, SIMGRID_FATPIPE,
                                                 SIMGRID_SPLIT};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *sharing = kinds[i];
            if (kinds[i] == SIMGRID_FATPIPE)
                simgrid_note(
                    simgrid, place, "FATPIPE",
                    "FATPIPE is not imported as such: the flows of the link share its bandwidth here, "
                    "while in SimGrid each has all of it");
            return true;
        }
    return fields_no_such(simgrid->input, place, "sharing policy (that Partita can import)", text, names,
                          sizeof names / sizeof names[0]);
}
