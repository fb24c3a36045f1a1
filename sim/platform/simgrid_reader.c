#include "platform/simgrid_reader.h"

#include "input/fields.h"

#include <string.h>
#include <strings.h>

const char *simgrid_reader_required(struct simgrid_reader *reader, struct place place,
                                    const char **attributes, const char *element, const char *name)
{
    const char *text = simgrid_attribute(attributes, name);
    if (text && *text)
        return text;
    report_error(&reader->simgrid->input->report, place, "<%s> needs the attribute '%s'", element, name);
    return "";
}

uint32_t simgrid_reader_zone(struct simgrid_reader *reader, struct place place, const char *element)
{
    if (reader->zones.count == 0)
        report_error(&reader->simgrid->input->report, place, "<%s> must stand in a <zone>", element);
    return reader->zones.count ? reader->zones.at[reader->zones.count - 1] : UINT32_MAX;
}

uint32_t simgrid_reader_point(struct simgrid *simgrid, struct place place, const char *what, const char *name)
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
static uint32_t simgrid_reader_link(struct simgrid *simgrid, struct place place, const char *name, bool *said,
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

uint32_t simgrid_reader_hop(struct simgrid *simgrid, struct place place, const char *name,
                            const char *direction)
{
    struct report *report = &simgrid->input->report;
    bool said = direction && strcasecmp(direction, "NONE") != 0;
    bool down = said && strcasecmp(direction, "DOWN") == 0;
    if (said && !down && strcasecmp(direction, "UP") != 0)
        report_error(report, place, "expected the direction UP or DOWN; got '%.60s'", direction);
    bool attribute = said;
    uint32_t link = simgrid_reader_link(simgrid, place, name, &said, &down);
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

bool simgrid_reader_in_zone(struct simgrid *simgrid, struct place place, uint32_t point, uint32_t zone)
{
    if (point == UINT32_MAX || simgrid->points.at[point].zone == zone)
        return point != UINT32_MAX;
    return report_error(&simgrid->input->report, place, "'%.60s' does not stand in the zone of this route",
                        simgrid_point_name(simgrid, point));
}
