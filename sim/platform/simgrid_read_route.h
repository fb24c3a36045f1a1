/* Simgrid read route: the elements that say over which links hosts, routers and zones reach each other. */
#ifndef PARTITA_PLATFORM_SIMGRID_READ_ROUTE_H
#define PARTITA_PLATFORM_SIMGRID_READ_ROUTE_H

#include "platform/simgrid_reader.h"

/* <route>, <bypassRoute>, <zoneRoute>: links are collected until the element ends. */
void simgrid_read_route(struct simgrid_reader *reader, struct place place, const char **attributes);
void simgrid_read_route_bypass(struct simgrid_reader *reader, struct place place, const char **attributes);
void simgrid_read_route_zones(struct simgrid_reader *reader, struct place place, const char **attributes);
void simgrid_read_route_end(struct simgrid_reader *reader);

/* <link_ctn>: one of those links. */
void simgrid_read_route_link(struct simgrid_reader *reader, struct place place, const char **attributes);

/* <host_link>: the two links between a host and the middle of its star. */
void simgrid_read_route_host_link(struct simgrid_reader *reader, struct place place, const char **attributes);

#endif
