/* Simgrid reader: what the functions of elements (simgrid_read.c, simgrid_read_route.c) share while expat
 * goes through a platform: what is open, and how attributes name points and links. */
#ifndef PARTITA_PLATFORM_SIMGRID_READER_H
#define PARTITA_PLATFORM_SIMGRID_READER_H

#include "platform/simgrid.h"

#include <expat.h>

struct simgrid_reader {
    struct simgrid *simgrid;
    XML_Parser parser;
    const char *path;
    uint32_t depth;
    struct index_list zones;                  /* open, outermost first; UINT32_MAX for one with an error */
    struct simgrid_route route;               /* open; `from` is UINT32_MAX when it is not to be kept */
    bool open, symmetrical, bypass, up, down; /* up, down: it is a star's leg */
};

/* A required attribute; "" after reporting that it is absent. */
const char *simgrid_reader_required(struct simgrid_reader *reader, struct place place,
                                    const char **attributes, const char *element, const char *name);

/* The zone that is open; UINT32_MAX when there is none, after reporting. */
uint32_t simgrid_reader_zone(struct simgrid_reader *reader, struct place place, const char *element);

/* The point of a name; UINT32_MAX after reporting. */
uint32_t simgrid_reader_point(struct simgrid *simgrid, struct place place, const char *what,
                              const char *name);

/* The hop over a link: "cable" with a direction, or "cable_UP". UINT32_MAX after reporting. */
uint32_t simgrid_reader_hop(struct simgrid *simgrid, struct place place, const char *name,
                            const char *direction);

/* Whether a point may have routes in the open zone; reports it otherwise. */
bool simgrid_reader_in_zone(struct simgrid *simgrid, struct place place, uint32_t point, uint32_t zone);

#endif
